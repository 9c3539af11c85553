#!/usr/bin/env python3
"""What happens between a look and the act that rests on it: the line is held right there, the world is changed,
and it goes on."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import wait_until  # noqa: E402
from ferry import Lab  # noqa: E402
from proxy import Proxy  # noqa: E402

DONE, REFUSED = 0, 6
ROWS = "INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, %d) i"
TABLE = "CREATE TABLE t (id int PRIMARY KEY, v text)"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(fill=False))

    def setUp(self):
        self.pair = self.lab.pair(empty=True)
        self.addCleanup(self.pair.close)
        self.pair.judge.close()  # nobody changes the source
        self.pair.sql(TABLE)

    def table_there(self, sql=""):
        self.pair.ledger(TABLE + "; ALTER TABLE t OWNER TO ferry; " + sql)

    def ended(self, ferry, status, *words):
        self.assertEqual(ferry.wait(60), status, ferry.text[-3000:])
        for word in words:
            self.assertIn(word, ferry.text)

    def same(self):
        rows = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY id)) FROM t"
        self.assertEqual(self.pair.ledger(rows), self.pair.sql(rows))


class Target(Case):
    def setUp(self):
        super().setUp()
        self.line = Proxy(self.lab.target, inspect=True)
        self.addCleanup(self.line.close)

    def start(self, command, *options):
        return self.pair.start(command, *options, target=self.line.uri(db=self.pair.name), judge=False)

    def held(self, command, *options, text, sent="Q", nth=1):
        """A process whose line stands still after this statement was sent, before its answer."""
        moment = self.line.when("stall", sent=sent, text=text, nth=nth)
        ferry = self.start(command, *options)
        self.assertTrue(ferry.until(lambda: moment.fired), ferry.text)
        return ferry

    def hold_again(self, ferry, text, sent="Q"):
        moment = self.line.when("stall", sent=sent, text=text)
        self.line.go()
        self.assertTrue(ferry.until(lambda: moment.fired), ferry.text)

    def test_a_copier_that_was_taken_over_removes_no_large_object(self):
        self.pair.sql(ROWS % 9)
        ferry = self.held("run", text="COPY ")
        # As an earlier snapshot would have left it: the run's own, and the source has it no more.
        self.pair.ledger("SELECT lo_from_bytea(4711, 'kept'); ALTER LARGE OBJECT 4711 OWNER TO ferry; "
                         "INSERT INTO neonferry.object (run, section, entry, generation, tag, outcome, detail) "
                         "SELECT run, 'blob', 4711, generation, '4711', 'applied', '{\"sha256\": \"\"}' FROM neonferry.run")
        self.hold_again(ferry, "section = 'blob'", sent="P")
        self.pair.ledger("UPDATE neonferry.run SET generation = generation + 1")
        self.line.go()
        self.ended(ferry, REFUSED, "this run was taken over")
        self.assertEqual(self.pair.ledger("SELECT convert_from(lo_get(4711), 'UTF8')"), [["kept"]])
        self.assertEqual(self.pair.ledger("SELECT tag FROM neonferry.object WHERE section = 'blob'"), [["4711"]])
        self.ended(self.start("resume"), DONE)
        self.assertEqual(self.pair.ledger("SELECT count(*) FROM pg_largeobject_metadata"), [["0"]])

    def test_a_table_that_is_emptied_after_it_was_looked_at_is_loaded(self):
        more = "; CREATE TABLE u AS SELECT * FROM t"
        self.pair.sql(ROWS % 9 + more)
        self.table_there(ROWS % 9 + more + "; ALTER TABLE u OWNER TO ferry")
        ferry = self.held("run", text="INSERT INTO neonferry.run ", sent="P")
        self.pair.ledger("DELETE FROM t; TRUNCATE u")
        self.line.go()
        self.ended(ferry, DONE)
        self.assertEqual([t["already_there"] for t in self.pair.json("plan.1.json")["tables"]], [True, True])
        self.same()
        self.assertEqual(self.pair.ledger("SELECT count(*) FROM u"), [["9"]])

    def test_a_look_of_abort_that_fails_is_no_answer(self):
        self.pair.sql(ROWS % 9)
        self.table_there()
        self.ended(self.start("run", "--data-only"), DONE)
        left = "SELECT (SELECT count(*) FROM t), (SELECT sum(rows) FROM neonferry.chunk)"
        ferry = self.held("abort", "--yes", text="WITH gone AS (DELETE FROM neonferry.object", sent="P")
        with self.lab.target.session(db=self.pair.name, user="postgres") as other:
            other.query("BEGIN; LOCK TABLE neonferry.chunk IN ACCESS EXCLUSIVE MODE")
            self.line.go()
            cancel = ("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                      "AND query ~ 'neonferry.chunk'")
            wait_until(lambda: self.pair.ledger(cancel), what="the look-up to wait")
            self.assertNotEqual(ferry.wait(30), DONE, ferry.text)
            other.query("ROLLBACK")
        self.assertIn("reading the ledger of run", ferry.text)
        self.assertEqual(self.pair.ledger(left), [["9", "9"]])
        cut = self.line.when("cut", sent="Q", text="to_regclass(relation) IS NOT NULL")
        ferry = self.start("abort", "--yes")
        self.assertNotEqual(ferry.wait(30), DONE, ferry.text)
        self.assertTrue(cut.fired)
        self.assertEqual(self.pair.ledger(left), [["9", "9"]])
        self.ended(self.start("abort", "--yes"), DONE)
        self.assertEqual(self.pair.ledger("SELECT count(*) FROM t"), [["0"]])


if __name__ == "__main__":
    unittest.main()
