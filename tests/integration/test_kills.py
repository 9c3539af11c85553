#!/usr/bin/env python3
"""Thirty kills (-9), aimed at every phase; the target is the source at the snapshot, row for row.

The judge imports the run's exported snapshot in a session of its own and compares sorted rows.
NEONFERRY_SEED=N repeats the delays of a run (what they meet still depends on the machine).
"""

import os
import random
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import SqlError  # noqa: E402
from ferry import Lab, has_faults, holders  # noqa: E402
from proxy import Proxy  # noqa: E402

SEED = int(os.environ.get("NEONFERRY_SEED") or random.randrange(1 << 31))
DOCUMENTS = 1800
OPTIONS = ("--chunk-size", "256K", "--memory", "64M")
TRIES = 3  # how often a sequence is begun again when a process was quicker than the blow

# Rows go, their space is freed, others take it; some change, some move; the table grows.
CHANGES = """
DELETE FROM vector_documents WHERE id IN
	(SELECT id FROM vector_documents ORDER BY md5(id::text || {n}) LIMIT 90);
DELETE FROM notifications WHERE id % 9 = {n} % 9;
VACUUM vector_documents;
VACUUM notifications;
INSERT INTO vector_documents (collection_name, content, embedding)
SELECT (ARRAY['new {n}', NULL, 'companies', 'it''s "new"'])[1 + k % 4], 'in freed space ' || k,
	(SELECT array_agg(sin(k * d))::vector FROM generate_series(1, 1536) d)
FROM generate_series(1, 60) k;
UPDATE vector_documents SET content = content || ' changed {n}', embedding = NULL
WHERE id IN (SELECT id FROM vector_documents ORDER BY md5({n} || id::text) LIMIT 25);
UPDATE vector_documents SET collection_name = CASE collection_name WHEN 'companies' THEN 'resumes'
	WHEN 'new {n}' THEN NULL ELSE 'new {n}' END
WHERE id IN (SELECT id FROM vector_documents ORDER BY md5('move {n}' || id::text) LIMIT 25);
INSERT INTO vector_documents (collection_name, content, metadata)
SELECT (ARRAY['applications', 'grown {n}'])[1 + k % 2], repeat('appended ', 400) || k, '{{"n": {n}}}'
FROM generate_series(1, 200) k;
UPDATE users SET bio = 'changed {n}' WHERE github_id % 7 = {n} % 7;
INSERT INTO notifications (user_id, kind, title)
SELECT id, (enum_range(NULL::notification_kind))[1], 'new {n}' FROM users LIMIT 40;
"""
# Only new rows, in new pages or behind the last row of the last one.
APPENDED = """
INSERT INTO vector_documents (collection_name, content, embedding)
SELECT (ARRAY['applications', 'brand new', NULL])[1 + k % 3], 'appended ' || k,
	(SELECT array_agg(cos(k * d))::vector FROM generate_series(1, 1536) d)
FROM generate_series(1, 150) k;
INSERT INTO notifications (user_id, kind, title)
SELECT id, (enum_range(NULL::notification_kind))[1], 'appended' FROM users LIMIT 100;
"""
IN_FREED_SPACE = ("SELECT count(*) > 0 FROM vector_documents WHERE content LIKE 'in freed space%' "
                  "AND (ctid::text::point)[0] < {pages}")


class Writer(threading.Thread):
    """An application that does not know of the migration: it goes on writing to the source."""

    def __init__(self, pair):
        super().__init__(daemon=True)
        self.pair, self.ended, self.errors, self.n = pair, threading.Event(), [], 0

    def run(self):
        while not self.ended.wait(0.05):
            self.n += 1
            try:
                self.pair.sql("""
                    UPDATE vector_documents SET collection_name = 'moved %(n)d', content = 'x'
                    WHERE id IN (SELECT id FROM vector_documents ORDER BY md5(id::text || %(n)d) LIMIT 5);
                    DELETE FROM vector_documents WHERE id IN
                        (SELECT id FROM vector_documents ORDER BY md5(%(n)d || id::text) LIMIT 3);
                    INSERT INTO vector_documents (collection_name, content)
                    SELECT (ARRAY[NULL, 'written'])[1 + k %% 2], 'w' FROM generate_series(1, 6) k;
                    UPDATE users SET bio = 'w%(n)d' WHERE github_id %% 50 = %(n)d %% 50;
                    """ % {"n": self.n})
            except SqlError as error:
                self.errors.append(str(error))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.ended.set()
        self.join()


class Kills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("seed: NEONFERRY_SEED=%d" % SEED, file=sys.stderr)
        cls.lab = Lab(DOCUMENTS)
        cls.kills = []

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    # ---- how a blow is aimed -------------------------------------------------------------------

    def strike(self, pair, ferry, phase, dice):
        """kill -9 in the phase. False where the process had ended before."""
        delay = {"schema": 0.1, "index": 0.9, "proof": 0.15}.get(phase, 0.0)
        if phase == "capture":
            n = pair.spilled() + dice.randint(1, 25)
            hit = ferry.until(lambda: pair.spilled() >= n, what="%d spilled chunks" % n)
        elif phase == "load":
            n = pair.loaded() + dice.randint(1, 25)
            hit = ferry.until(lambda: pair.loaded() >= n, what="%d loaded chunks" % n)
        elif phase == "reproof":
            hit = ferry.said("snapshot.again")
            delay = 0.5
        else:
            hit = ferry.reach(phase)
        if hit and delay:
            threading.Event().wait(dice.uniform(0, delay))
        return ferry.kill() and hit

    def go_through(self, pair, blows, options, dice, between):
        """One run, struck once for each of blows, resumed after each. False: a blow came too late."""
        ferry = pair.start("run", *OPTIONS, *options)
        for i, phase in enumerate(blows):
            if not self.strike(pair, ferry, phase, dice):
                if ferry.status not in (0, -9):
                    self.fail("ended with %r before %s: %s" % (ferry.status, phase, ferry.text[-3000:]))
                return False
            self.kills.append(phase)
            between(pair, i)
            ferry = pair.start("resume", *OPTIONS)
        self.assertEqual(ferry.wait(), 0, ferry.text[-3000:])
        return True

    def sequence(self, number, blows, options=(), between=lambda pair, i: None, writer=False):
        dice = random.Random(SEED * 100 + number)
        for _ in range(TRIES):
            kept = len(self.kills)
            with self.lab.pair() as pair:
                if writer:
                    with Writer(pair) as w:
                        done = self.go_through(pair, blows, options, dice, between)
                    self.assertGreater(w.n, 0)
                    self.assertEqual(w.errors, [])
                else:
                    done = self.go_through(pair, blows, options, dice, between)
                if done:
                    self.assertEqual(pair.judge.verdict(), {}, "seed %d" % SEED)
                    self.assertEqual(holders(pair.run_dir), [], "a holder outlives its run")
                    return
            del self.kills[kept:]
        self.fail("%d times a process ended before it was struck: %s" % (TRIES, blows))

    # ---- the copier alone is killed; the application goes on ------------------------------------

    def test_copier_killed_in_schema_capture_load_index(self):
        self.sequence(1, ["schema", "capture", "load", "index"], writer=True)

    def test_copier_killed_in_capture_load_index_proof(self):
        self.sequence(2, ["capture", "load", "index", "proof"], writer=True)

    def test_copier_killed_in_schema_and_late(self):
        self.sequence(3, ["schema", "schema", "index", "proof"], writer=True)

    def test_copier_killed_again_and_again_in_the_load(self):
        self.sequence(4, ["load", "load", "load", "index"], ["--spill", "none"], writer=True)

    def test_copier_killed_with_overflow(self):
        self.sequence(5, ["load", "load", "index", "proof"], ["--spill", "overflow"], writer=True)

    # ---- the holder too, and the source is another one at resume ---------------------------------

    def change(self, pair, i):
        pair.end_holder()
        pair.judge.settle()
        pages = pair.source.value("SELECT pg_relation_size('vector_documents') / 8192", db=pair.name)
        pair.sql(CHANGES.format(n=i + 1))
        self.assertEqual(pair.source.value(IN_FREED_SPACE.format(pages=pages), db=pair.name), "t")

    def test_holder_killed_in_capture_source_changed(self):
        self.sequence(6, ["capture", "capture", "capture"], between=self.change)

    def test_holder_killed_in_load_source_changed(self):
        self.sequence(7, ["load", "load", "load"], ["--spill", "none"], between=self.change)

    def test_holder_killed_in_load_with_overflow_source_changed(self):
        self.sequence(8, ["load", "load"], ["--spill", "overflow"], between=self.change)

    def test_holder_killed_while_chunks_are_proven_again(self):
        self.sequence(9, ["load", "reproof", "reproof"], ["--spill", "none"], between=self.change)

    # ---- what is not sent again -----------------------------------------------------------------

    def grown(self, pair, line, options):
        """Struck in the load, holder dead, rows appended, resumed: bytes loaded before, its chunks,
        bytes of the resume on the line, and those of its rows."""
        there = line.uri(db=pair.name)
        # No page has room but the last: what is inserted now stands behind all other rows.
        pair.sql("VACUUM FULL vector_documents; VACUUM FULL notifications")
        ferry = pair.start("run", *OPTIONS, *options, target=there)
        n = 40
        self.assertTrue(ferry.until(lambda: pair.loaded() >= n), ferry.text)
        ferry.kill()
        pair.end_holder()
        pair.judge.settle()
        total = int(pair.ledger("SELECT coalesce(sum(bytes), 0) FROM neonferry.chunk")[0][0])
        ids = {row[0] for row in pair.ledger("SELECT chunk FROM neonferry.chunk")}
        pair.sql(APPENDED)
        before = line.sent
        again = pair.run("resume", *OPTIONS, target=there)
        self.assertEqual(again.status, 0, again.text[-3000:])
        return total, ids, line.sent - before, pair.json("summary.json")["facts"]["bytes_sent"]

    def test_table_that_only_grew_resends_nothing(self):
        for options in (["--spill", "none"], ["--spill", "always"]):
            with self.subTest(options=options), self.lab.pair() as pair, \
                    Proxy(self.lab.target) as line:
                line.rate = 8_000_000  # so that the load is still going on when it is struck
                before, ids, wire, sent = self.grown(pair, line, options)
                self.assertEqual(pair.judge.verdict(), {})
                left = {row[0] for row in pair.ledger("SELECT chunk FROM neonferry.chunk")}
                self.assertEqual(ids - left, set(), "chunks were withdrawn although nothing changed")
                self.assertEqual(sum("withdrawn" in e.get("facts", {}) and e["facts"]["withdrawn"] > 0
                                     for e in pair.events()), 0)
                total = int(pair.ledger("SELECT sum(bytes) FROM neonferry.chunk")[0][0])
                self.assertEqual(sent, total - before, "more was sent than was missing")
                # What else goes over the line is SQL: claims, indexes, the proof.
                self.assertLess(wire, sent * 1.1 + 2_000_000)

    # ---- the judge and the proof notice a reader that loses rows ---------------------------------

    @unittest.skipUnless(has_faults(), "the program was built without NEONFERRY_FAULTS")
    def test_lost_range_is_noticed_by_judge_and_proof(self):
        with self.lab.pair() as pair:
            ferry = pair.run("run", *OPTIONS, env={"NEONFERRY_TEST_SKIP_RANGE": "vector_documents"})
            self.assertEqual(ferry.status, 7, ferry.text[-2000:])
            self.assertEqual(list(pair.judge.verdict()), ["vector_documents"])
            tables = {t["table"]: t for t in pair.json("summary.json")["tables"]}
            self.assertEqual(tables["vector_documents"]["verdict"], "different")
            self.assertEqual(tables["users"]["verdict"], "same")

    def test_thirty_kills(self):
        """Runs last by its name's place in the suite; see load_tests."""
        count = {phase: self.kills.count(phase) for phase in set(self.kills)}
        self.assertGreaterEqual(len(self.kills), 30, count)
        for phase in ("schema", "capture", "load", "index", "proof"):
            self.assertGreaterEqual(count.get(phase, 0), 2, count)


def load_tests(loader, tests, pattern):
    """In order of definition; the count comes last."""
    suite = unittest.TestSuite()
    names = [n for n in vars(Kills) if n.startswith("test_")]
    suite.addTests(Kills(n) for n in names)
    return suite


if __name__ == "__main__":
    unittest.main()
