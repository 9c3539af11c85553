#!/usr/bin/env python3
"""Indexes and foreign keys of tables that are complete, while another table is still loaded.

The load of one table is held by a lock on it in the target, so what comes before what depends on
nothing but the program.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ferry import Lab  # noqa: E402
from moving import assert_same, schema_text  # noqa: E402

TABLES = """
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (id int PRIMARY KEY, parent int, v text);
CREATE TABLE items (id int PRIMARY KEY, e vector(8));
CREATE TABLE big (id int, v text);
CREATE TABLE refers (id int, big int);
CREATE TABLE parts (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM (100) TO (200);
"""
ROWS = """
INSERT INTO parent SELECT n, 'p' || n FROM generate_series(1, 200) n;
INSERT INTO child SELECT n, 1 + n % 200, 'c' || n FROM generate_series(1, 1000) n;
INSERT INTO items SELECT n, (SELECT array_agg(sin(n * d)) FROM generate_series(1, 8) d)::vector
	FROM generate_series(1, 500) n;
INSERT INTO big SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 3000) n;
INSERT INTO refers SELECT n, n FROM generate_series(1, 100) n;
INSERT INTO parts SELECT n, 'x' FROM generate_series(0, 199) n;
"""
INDEXES = """
CREATE INDEX child_v ON child (v);
CREATE INDEX items_hnsw ON items USING hnsw (e vector_l2_ops);
ALTER TABLE child ADD CONSTRAINT child_parent FOREIGN KEY (parent) REFERENCES parent;
CREATE UNIQUE INDEX big_id ON big (id);
ALTER TABLE refers ADD CONSTRAINT refers_big FOREIGN KEY (big) REFERENCES big (id);
CREATE INDEX parts_v ON parts (v);
"""
SMALL = {"parent_pkey", "child_pkey", "child_v", "child_parent", "items_pkey", "items_hnsw",
         "parts_a_v_idx", "parts_b_v_idx"}
MORE = ("--senders", "6")  # enough that the held table does not hold all of them
MAKE_BIG = "CREATE TABLE big (id int, v text)"


def built(events):
    """Names of what was built, in order; a constraint's tag begins with its table."""
    return [e["facts"]["name"].split(" ")[-1] for e in events if e["name"] == "index.built"]


class Overlap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(fill=False)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def pair(self, source=TABLES + ROWS + INDEXES, target=""):
        pair = self.lab.pair(empty=True)
        for server, user, sql in ((pair.source, pair.source.superuser, source), (pair.target, None, target)):
            server.psql("CREATE EXTENSION IF NOT EXISTS vector", db=pair.name, user=server.superuser)
            server.psql(sql, db=pair.name, user=user)
        return pair

    def hold(self, pair, table="big"):
        """A session that lets nobody write into the table until it ends."""
        session = pair.target.session(db=pair.name, user=pair.target.superuser)
        self.addCleanup(session.close)
        session.query("BEGIN; LOCK TABLE %s IN SHARE MODE" % table)
        return session

    def start_held(self, pair, *options):
        holder = self.hold(pair)
        ferry = pair.start("run", *MORE, *options)
        self.assertTrue(ferry.until(lambda: SMALL <= set(built(pair.events())), timeout=30, what="the small indexes"))
        return holder, ferry

    def assert_whole(self, pair):
        self.assertEqual(schema_text(pair.source, pair.name), schema_text(pair.target, pair.name))
        self.assertEqual(pair.ledger("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"), [])
        self.assertEqual(pair.ledger("SELECT conname FROM pg_constraint WHERE NOT convalidated"), [])
        assert_same(self, pair.source, pair.target, pair.name, pair.name)

    def test_small_tables_are_whole_before_the_last_chunk_of_the_big_one(self):
        with self.pair(target=MAKE_BIG) as pair:
            # The target's own table keeps what it has: nothing. So the source has nothing on it either.
            pair.sql("ALTER TABLE refers DROP CONSTRAINT refers_big; DROP INDEX big_id")
            holder, ferry = self.start_held(pair)
            self.assertEqual(pair.ledger("SELECT count(*) FROM neonferry.chunk WHERE relation LIKE '%big%'"),
                             [["0"]])
            self.assertEqual(pair.ledger("SELECT convalidated FROM pg_constraint WHERE conname = "
                                         "'child_parent'"), [["t"]])
            self.assertEqual(pair.ledger("SELECT indisvalid FROM pg_index WHERE indexrelid = "
                                         "'items_hnsw'::regclass"), [["t"]])
            holder.close()
            self.assertEqual(ferry.wait(), 0, ferry.text)
            self.assert_whole(pair)
            order = [e["facts"].get("table") for e in pair.events() if e["name"] == "table.loaded"]
            self.assertEqual(order[-1], "big")
            last = max(i for i, e in enumerate(pair.events()) if e["name"] == "table.loaded")
            self.assertEqual(built(pair.events()[last:]), ["parts_v"])  # the parent, which has no rows

    def test_a_foreign_key_waits_for_both_tables(self):
        with self.pair(target="CREATE TABLE big (id int, v text); CREATE UNIQUE INDEX big_id ON big (id)") as pair:
            holder, ferry = self.start_held(pair)
            self.assertNotIn("refers_big", built(pair.events()))
            holder.close()
            self.assertEqual(ferry.wait(), 0, ferry.text)
            self.assert_whole(pair)
            events = pair.events()
            loaded = [i for i, e in enumerate(events) if e["name"] == "table.loaded" and
                      e["facts"]["table"] == "big"]
            foreign = [i for i, e in enumerate(events) if e["name"] == "index.built" and
                       e["facts"]["name"] == "refers refers_big"]
            self.assertEqual((len(loaded), len(foreign)), (1, 1))
            self.assertLess(loaded[0], foreign[0])

    def test_killed_in_the_overlap_nothing_is_built_twice(self):
        with self.pair(target="CREATE TABLE big (id int, v text); CREATE UNIQUE INDEX big_id ON big (id)") as pair:
            oids = "SELECT relname, oid FROM pg_class WHERE relkind = 'i' AND relname IN ('child_v', " \
                   "'items_hnsw', 'parent_pkey', 'parts_a_v_idx') ORDER BY 1"
            holder, ferry = self.start_held(pair)
            before = pair.ledger(oids)
            ferry.kill()
            again = pair.start("resume", *MORE)
            again.reach("copy")
            holder.close()
            self.assertEqual(again.wait(), 0, again.text)
            self.assertEqual(pair.ledger(oids), before)
            self.assert_whole(pair)

    def test_set_aside_comes_back_while_another_table_is_loaded(self):
        everything = TABLES + INDEXES.replace("CREATE UNIQUE INDEX big_id ON big (id);", "") \
            .replace("ALTER TABLE refers ADD CONSTRAINT refers_big FOREIGN KEY (big) REFERENCES big (id);", "")
        with self.pair(everything + ROWS, everything) as pair:
            holder, ferry = self.start_held_existing(pair)
            self.assertEqual(pair.ledger("SELECT count(*) FROM neonferry.set_aside WHERE restored IS NULL AND "
                                         "name = 'child_v'"), [["0"]])
            ferry.kill()
            again = pair.start("resume", *MORE)
            again.reach("copy")
            holder.close()
            self.assertEqual(again.wait(), 0, again.text)
            self.assert_whole(pair)

    def start_held_existing(self, pair):
        holder = self.hold(pair)
        ferry = pair.start("run", *MORE)
        back = {"child_v", "items_hnsw", "child_parent", "parts_a_v_idx"}
        self.assertTrue(ferry.until(lambda: back <= set(built(pair.events())), timeout=30, what="what was set aside"))
        return holder, ferry

    def test_an_index_that_cannot_be_built_ends_the_copy_and_keeps_it(self):
        # The target's foreign key refuses what the source holds.
        with self.pair(TABLES + ROWS + "INSERT INTO child VALUES (5000, 777, 'no such parent')",
                       TABLES + "ALTER TABLE child ADD CONSTRAINT child_parent FOREIGN KEY (parent) "
                       "REFERENCES parent") as pair:
            holder = self.hold(pair)
            ferry = pair.start("run", *MORE)
            self.assertEqual(ferry.wait(), 5, ferry.text)
            self.assertIn("(777)", ferry.text)
            self.assertIn("child_parent", ferry.text)
            self.assertGreater(pair.loaded(), 0)
            holder.close()
            before = pair.ledger("SELECT chunk, xid FROM neonferry.chunk ORDER BY 1")
            pair.ledger("DELETE FROM child WHERE id = 5000")
            again = pair.run("resume", *MORE)
            self.assertEqual(again.status, 7, again.text)  # the proof sees the row that we took away
            after = dict(pair.ledger("SELECT chunk, xid FROM neonferry.chunk"))
            self.assertEqual([[c, after.get(c)] for c, _ in before], before)

    def test_a_lost_snapshot_takes_foreign_keys_back(self):
        with self.pair(TABLES + ROWS + INDEXES.replace("REFERENCES parent;", "REFERENCES parent ON DELETE "
                       "CASCADE;"), "CREATE TABLE big (id int, v text); CREATE UNIQUE INDEX big_id ON big "
                       "(id)") as pair:
            holder, ferry = self.start_held(pair, "--spill", "none")
            ferry.kill()
            pair.end_holder()
            pair.sql("UPDATE parent SET v = 'changed' WHERE id % 3 = 0; INSERT INTO parent VALUES (900, 'new'); "
                     "INSERT INTO child VALUES (9000, 900, 'new')")
            again = pair.start("resume", *MORE)
            self.assertTrue(again.said("index.taken_back"))
            holder.close()
            self.assertEqual(again.wait(), 0, again.text)
            self.assert_whole(pair)


if __name__ == "__main__":
    unittest.main()
