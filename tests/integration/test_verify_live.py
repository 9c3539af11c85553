"""`verify --against snapshot`: rows that are written meanwhile are told apart from lasting differences."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, make_source, make_target  # noqa: E402
from command import NEONFERRY, environment  # noqa: E402

DONE, DIFFERENT, UNPROVEN = 0, 7, 8

# Small tables: workers of a parallel plan cost more than they give where the machine is busy.
ALONE = {"max_parallel_workers_per_gather": "0"}

SCHEMA = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE docs (id int PRIMARY KEY, collection_name text, body text, n int, v vector(3),
    loud text GENERATED ALWAYS AS (upper(body)) STORED);
CREATE TABLE bag (what text);
INSERT INTO docs SELECT i, 'c' || i % 3, 'body ' || i, i, ARRAY[i, 1, 2]::vector FROM generate_series(1, 300) i;
INSERT INTO bag SELECT 'thing ' || i % 10 FROM generate_series(1, 100) i;
CREATE PROCEDURE churn() LANGUAGE plpgsql AS $$ BEGIN LOOP UPDATE docs SET n = n + 1000 WHERE id = 7; COMMIT;
    PERFORM pg_sleep(0.01); END LOOP; END $$;
"""


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(make_source(conf=ALONE))
        cls.target = cls.enterClassContext(make_target(conf=ALONE))
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.db = "d%d" % self.number
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        for server, owner in ((self.source, None), (self.target, FERRY)):
            server.create_database(self.db, owner=owner)
            server.psql(SCHEMA, db=self.db)

    def verify(self, *args, at_round=None, rounds="1000", wait="20ms"):
        """at_round(): called once, when rows are looked at again for the first time."""
        process = subprocess.Popen(
            [NEONFERRY, "verify", "--source", self.source.uri(db=self.db), "--target", self.target.uri(db=self.db),
             "--against", "snapshot", "--recheck-rounds", rounds, "--recheck-wait", wait, "--report", "r", *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(),
            cwd=self.folder)
        said = []
        for line in process.stderr:
            said.append(line)
            if at_round and "looking at them again, round 1 " in line:
                at_round()
        process.stderr.close()
        process.wait(300)
        self.said = "".join(said)
        with open(self.folder + "/r/report.json") as f:
            doc = json.load(f)
        self.states = {}
        if os.path.exists(self.folder + "/r/differences.ndjson"):
            with open(self.folder + "/r/differences.ndjson") as f:
                for line in map(json.loads, f):
                    self.states.setdefault(line["state"], []).append(
                        (line["table"], line["class"], line.get("key", [None])[0]))
        return process.returncode, doc

    def rows(self, doc, verdict):
        return [c["sentence"] for c in doc["checks"] if c["group"] == "rows" and c["verdict"] == verdict]

    def test_without_differences_nothing_is_looked_at_again(self):
        status, doc = self.verify()
        self.assertEqual((status, doc["verdict"]), (DONE, "PASS"), doc["checks"])
        self.assertNotIn("again", self.said)
        self.assertNotIn("search", doc, "a moving source is not searched unless that is asked for")

    def test_a_difference_that_stays_is_lasting(self):
        self.target.psql("UPDATE docs SET n = 0 WHERE id = 9; DELETE FROM bag WHERE what = 'thing 3'", db=self.db)
        status, doc = self.verify(rounds="2")
        self.assertEqual((status, doc["verdict"]), (DIFFERENT, "FAIL"))
        self.assertEqual(sorted(self.rows(doc, "fail")),
                         ["lasting differences: 1 changed", "lasting differences: 10 missing"])
        self.assertEqual(sorted(self.states), ["lasting"])
        self.assertIn(("public.docs", "changed", "9"), self.states["lasting"])
        docs = [t for t in doc["tables"] if t["name"] == "public.docs"][0]
        self.assertEqual((docs["verdict"], docs["differences"]["lasting"]), ("different", 1))
        self.assertEqual(docs["differences"]["rows"][0]["state"], "lasting")

    def test_lost_embeddings_are_no_exception_where_no_row_was_compared(self):
        self.target.psql("UPDATE docs SET v = NULL WHERE id < 20", db=self.db)
        status, doc = self.verify("--level", "presence")
        self.assertEqual((status, doc["verdict"]), (DIFFERENT, "FAIL"), doc["checks"])
        self.assertTrue([c for c in doc["checks"] if (c["group"], c["verdict"]) == ("presence", "fail")])

    def test_differences_that_settle_are_transient_and_no_failure(self):
        self.target.psql("UPDATE docs SET n = 0, body = 'x' WHERE id = 9; DELETE FROM docs WHERE id > 298;"
                         "INSERT INTO docs (id) VALUES (999); DELETE FROM bag WHERE what = 'thing 3'", db=self.db)
        status, doc = self.verify(at_round=lambda: self.target.psql(
            "UPDATE docs SET n = 9, body = 'body 9' WHERE id = 9; DELETE FROM docs WHERE id = 999;"
            "INSERT INTO docs SELECT i, 'c' || i % 3, 'body ' || i, i, ARRAY[i, 1, 2]::vector"
            " FROM generate_series(299, 300) i; INSERT INTO bag SELECT 'thing 3' FROM generate_series(1, 10)",
            db=self.db))
        self.assertEqual((status, doc["verdict"]), (DONE, "PASS WITH EXCEPTIONS"), doc["checks"])
        self.assertEqual(len(self.rows(doc, "warning")), 2)
        self.assertEqual(sorted(self.states["transient"]),
                         sorted([("public.bag", "missing", None)] +
                                [("public.docs", "missing", "299"), ("public.docs", "missing", "300"),
                                 ("public.docs", "changed", "9"), ("public.docs", "extra", "999")]))
        self.assertEqual({t["name"]: t["verdict"] for t in doc["tables"]}, {"public.bag": "settled", "public.docs": "settled"})
        self.assertTrue([c for c in doc["checks"] if c["group"] == "counts" and c.get("was") == "fail"])

    def test_transient_and_lasting_in_one_table_are_told_apart(self):
        self.target.psql("UPDATE docs SET n = 0 WHERE id IN (9, 10)", db=self.db)
        status, doc = self.verify(rounds="60", at_round=lambda: self.source.psql(
            "UPDATE docs SET n = 0 WHERE id = 9", db=self.db))
        self.assertEqual(status, DIFFERENT)
        self.assertEqual(self.states, {"transient": [("public.docs", "changed", "9")],
                                       "lasting": [("public.docs", "changed", "10")]})
        self.assertEqual(self.rows(doc, "fail"), ["lasting differences: 1 changed"])

    def test_a_row_that_never_rests_is_neither(self):
        with self.source.session(db=self.db) as writer:
            writer.send("CALL churn()")
            status, doc = self.verify(rounds="3", wait="1s")
            self.source.psql("SELECT pg_cancel_backend(%d)" % writer.pid, db=self.db)
        self.assertEqual((status, doc["verdict"]), (UNPROVEN, "INCONCLUSIVE"), doc["checks"])
        self.assertIn("never came to rest", self.rows(doc, "unknown")[0])
        self.assertEqual(list(self.states), ["moving"])
        self.assertIn("public.docs", doc["coverage"]["skipped"])

    def test_a_target_that_follows_the_source_passes(self):
        ending = threading.Event()

        def write():
            with self.source.session(db=self.db) as source, self.target.session(db=self.db, user=FERRY) as target:
                n = 1000
                while not ending.is_set():
                    n += 1
                    for end in (source, target):
                        end.query("INSERT INTO docs (id, body, n) VALUES (%d, 'new', %d)" % (n, n))
        thread = threading.Thread(target=write)
        thread.start()
        try:
            status, doc = self.verify()
        finally:
            ending.set()
            thread.join()
        self.assertEqual(status, DONE, [c for c in doc["checks"] if c["verdict"] in ("fail", "unknown")])

    def test_generated_columns_settle_with_their_rows(self):
        self.source.psql("UPDATE docs SET body = 'later' WHERE id = 5", db=self.db)
        status, doc = self.verify(at_round=lambda: self.target.psql(
            "UPDATE docs SET body = 'later' WHERE id = 5", db=self.db))
        self.assertEqual(status, DONE, doc["checks"])

    def test_a_repair_writes_lasting_differences_only(self):
        self.target.psql("UPDATE docs SET n = 0 WHERE id IN (9, 10); DELETE FROM bag", db=self.db)
        status, doc = self.verify("--repair", "--yes", rounds="3")
        self.assertEqual((status, doc["verdict"]), (DONE, "PASS"), doc["checks"])
        self.assertEqual(sorted((t["table"], t["inserted"], t["updated"]) for t in doc["repair"]["tables"]),
                         [("public.bag", 100, 0), ("public.docs", 0, 2)])


if __name__ == "__main__":
    unittest.main()
