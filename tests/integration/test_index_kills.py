#!/usr/bin/env python3
"""kill -9 at random moments from the first index on, resumed each time: the full catalog at the end.

The target has its tables, indexes and constraints already, so they are set aside and come back: HNSW,
GIN, trigram, unique, foreign keys, comments, statistics targets, marks for CLUSTER and replica
identity, partitions. Another pair begins with an empty target: there the run makes them.

NEONFERRY_INDEX_KILLS=20 kills that often (6 without); NEONFERRY_SEED=N repeats the delays.
"""

import os
import random
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ferry import Lab  # noqa: E402
from moving import assert_same, schema_text  # noqa: E402

KILLS = int(os.environ.get("NEONFERRY_INDEX_KILLS") or 6)
SEED = int(os.environ.get("NEONFERRY_SEED") or random.randrange(1 << 31))
OPTIONS = ("--chunk-size", "256K", "--memory", "64M")

TABLES = """
CREATE TABLE owners (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE items (id int PRIMARY KEY, owner int, name text, tags jsonb, e vector(64), h halfvec(32));
CREATE TABLE links (a int, b int, note text, PRIMARY KEY (a, b));
CREATE TABLE parts (k int, owner int, v text) PARTITION BY RANGE (k);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM (1000) TO (5000);
CREATE TABLE seen (id int NOT NULL, at timestamptz);
"""
INDEXES = """
CREATE INDEX items_e ON items USING hnsw (e vector_cosine_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX items_h ON items USING hnsw (h halfvec_l2_ops);
CREATE INDEX items_iv ON items USING ivfflat (e vector_l2_ops) WITH (lists = 10);
CREATE INDEX items_tags ON items USING gin (tags jsonb_path_ops);
CREATE INDEX items_trgm ON items USING gin (name gin_trgm_ops);
CREATE INDEX items_upper ON items (upper(name)) WHERE owner IS NOT NULL;
ALTER INDEX items_upper ALTER COLUMN 1 SET STATISTICS 321;
CREATE UNIQUE INDEX items_once ON items (owner, id) INCLUDE (name);
CREATE INDEX links_b ON links (b);
ALTER TABLE links CLUSTER ON links_b;
COMMENT ON INDEX links_b IS 'back, it''s said';
CREATE UNIQUE INDEX seen_id ON seen (id);
ALTER TABLE seen REPLICA IDENTITY USING INDEX seen_id;
ALTER TABLE items ADD CONSTRAINT items_owner FOREIGN KEY (owner) REFERENCES owners;
ALTER TABLE links ADD CONSTRAINT links_a FOREIGN KEY (a) REFERENCES items ON DELETE CASCADE;
ALTER TABLE links ADD CONSTRAINT links_b_fkey FOREIGN KEY (b) REFERENCES items DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT links_a ON links IS 'forth';
CREATE INDEX parts_v ON parts (v);
CREATE INDEX parts_alone ON parts_a (k);
ALTER TABLE parts ADD CONSTRAINT parts_owner FOREIGN KEY (owner) REFERENCES owners;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER items_noted BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION noted();
ALTER TABLE items ENABLE ALWAYS TRIGGER items_noted;
"""
ROWS = """
INSERT INTO owners SELECT n, 'owner ' || n FROM generate_series(1, 300) n;
INSERT INTO items SELECT n, 1 + n % 300, md5(n::text), jsonb_build_object('n', n % 50, 'k', md5(n::text)),
	(SELECT array_agg(sin(n * d)) FROM generate_series(1, 64) d)::vector,
	(SELECT array_agg(cos(n * d)) FROM generate_series(1, 32) d)::vector::halfvec FROM generate_series(1, 2500) n;
INSERT INTO links SELECT n, 1 + (n * 7) % 2500, 'l' FROM generate_series(1, 2500) n;
INSERT INTO parts SELECT n, 1 + n % 300, md5(n::text) FROM generate_series(0, 3999) n;
INSERT INTO seen SELECT n, '2026-01-01' FROM generate_series(1, 2000) n;
"""
EXTENSIONS = "CREATE EXTENSION IF NOT EXISTS vector; CREATE EXTENSION IF NOT EXISTS pg_trgm"
# What pg_dump does not say: that all of it is in force.
STATE = """
SELECT 'index', indexrelid::regclass::text, (indisvalid AND indisready)::text FROM pg_index i JOIN pg_class c
	ON c.oid = i.indrelid WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'constraint', conrelid::regclass || ' ' || conname, convalidated::text FROM pg_constraint
	WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass || ' ' || tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1, 2, 3"""


class IndexKills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("seed: NEONFERRY_SEED=%d" % SEED, file=sys.stderr)
        cls.lab = Lab(fill=False)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def pair(self, existing):
        pair = self.lab.pair(empty=True)
        for server in (pair.source, pair.target):
            server.psql(EXTENSIONS, db=pair.name, user=server.superuser)
        pair.source.psql(TABLES + ROWS + INDEXES, db=pair.name)
        if existing:
            pair.target.psql(TABLES + INDEXES, db=pair.name)
        return pair

    def go_through(self, pair, dice, most):
        """One run, struck up to `most` times; how often it was."""
        struck = 0
        ferry = pair.start("run", *OPTIONS, judge=False)
        while struck < most:
            # From the moment that rows arrive: from there on something is built.
            if not ferry.until(lambda: pair.loaded() > 0, what="the first chunk"):
                break
            try:
                ferry.process.wait(dice.uniform(0, 1.5))
                break
            except subprocess.TimeoutExpired:
                struck += ferry.kill()
            ferry = pair.start("resume", *OPTIONS, judge=False)
        self.assertEqual(ferry.wait(), 0, ferry.text[-3000:])
        return struck

    def whole(self, existing, number):
        dice = random.Random(SEED * 10 + number)
        struck = 0
        for _ in range(KILLS + 2):
            with self.pair(existing) as pair:
                struck += self.go_through(pair, dice, min(KILLS - struck, 7))
                self.assertEqual(schema_text(pair.source, pair.name), schema_text(pair.target, pair.name),
                                 "seed %d" % SEED)
                self.assertEqual(pair.ledger(STATE), pair.source.psql(STATE, db=pair.name), "seed %d" % SEED)
                self.assertEqual(pair.ledger("SELECT * FROM neonferry.set_aside WHERE restored IS NULL"), [])
                assert_same(self, pair.source, pair.target, pair.name, pair.name)
            if struck >= KILLS:
                return
        self.fail("only %d of %d blows hit" % (struck, KILLS))

    def test_what_was_set_aside_is_back(self):
        self.whole(True, 1)

    def test_what_the_run_makes_is_there(self):
        """P-403: the index phase of a transfer, HNSW among others."""
        self.whole(False, 2)


if __name__ == "__main__":
    unittest.main()
