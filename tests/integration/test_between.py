#!/usr/bin/env python3
"""What happens between a look and the act that rests on it: the line is held right there, the world is changed,
and it goes on."""

import glob
import os
import signal
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from badio import badio  # noqa: E402
from cluster import wait_until  # noqa: E402
from ferry import Lab  # noqa: E402
from proxy import Proxy  # noqa: E402

DONE, STOPPED, ACT, REFUSED = 0, 4, 5, 6
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


class Complaint(Proxy):
    """A server that at the end of each COPY says that a page is damaged."""

    text = b"SERROR\0VERROR\0CXX001\0Minvalid page in block 7\0\0"
    complains = False

    def _change(self, pair, upward, head, body):
        if not self.complains or upward or head[:1] != b"C" or not body.startswith(b"COPY"):
            return super()._change(pair, upward, head, body)
        return [b"E" + struct.pack("!i", 4 + len(self.text)) + self.text]


class Source(Case):
    """The copier was killed when all was sealed and little loaded; the holder lives."""

    small = ("--chunk-size", "64K", "--memory", "16M", "--senders", "2")

    def setUp(self):
        super().setUp()
        self.line = Complaint(self.lab.source, inspect=True)
        self.there = Proxy(self.lab.target)
        self.addCleanup(self.line.close)
        self.addCleanup(self.there.close)
        self.pair.sql(ROWS % 1500)
        self.table_there()
        self.there.rate = 100_000
        ferry = self.start("run", "--data-only", env=badio("rename EIO /complete"))
        self.assertTrue(ferry.said("capture.unmarked"), ferry.text)
        self.assertTrue(ferry.kill())
        self.there.rate = None
        self.holder = self.pair.holder()
        self.assertIsNotNone(self.holder)

    def start(self, command, *options, **kw):
        name = self.pair.name
        return self.pair.start(command, *self.small, *options, source=self.line.uri(db=name),
                               target=self.there.uri(db=name), judge=False, **kw)

    def finish(self, ferry):
        """Done, under the snapshot that the holder kept."""
        self.ended(ferry, DONE)
        self.same()
        self.assertNotIn("snapshot.again", self.pair.names())

    def chunks(self):
        """Files of chunks that are not loaded, in their order in the table."""
        loaded = {row[0] for row in self.pair.ledger("SELECT chunk FROM neonferry.chunk")}
        files = glob.glob(self.pair.file("spill/*.nfs"))
        left = [f for f in files if os.path.basename(f)[:-4] not in loaded]
        return sorted(left, key=lambda f: [int(n) for n in os.path.basename(f).split(".")[:-1]])

    def test_a_stopped_look_for_the_holder_leaves_it_alone(self):
        moment = self.line.when("stall", sent="Q", text="SET TRANSACTION SNAPSHOT")
        ferry = self.start("resume")
        self.assertTrue(ferry.until(lambda: moment.fired), ferry.text)
        ferry.signal(signal.SIGINT)
        self.ended(ferry, STOPPED)
        self.assertEqual(self.pair.holder(), self.holder)

    def test_a_range_read_to_its_end_is_done_only_where_the_source_was_merely_away(self):
        os.unlink(self.chunks()[2])
        self.line.complains, self.there.rate = True, 100_000
        self.ended(self.start("resume"), ACT, "invalid page in block 7")
        self.line.complains, self.there.rate = False, None
        os.unlink(self.chunks()[2])
        moment = self.line.when("cut", answered="COPY")
        ferry = self.start("resume")
        self.finish(ferry)
        self.assertTrue(moment.fired)
        self.assertNotIn("source.lost", [e["name"] for e in ferry.events()], "no row was read twice")

    def test_the_source_is_kept_while_a_sender_finds_a_file_damaged(self):
        """The files are seen all there; a moment later senders put them aside, before they are read through."""
        for path in self.chunks()[2:]:
            with open(path, "r+b") as f:
                f.seek(os.path.getsize(path) // 2)
                f.write(b"\xff\x00\xff\x00")
        ferry = self.start("resume", env=badio("access wait /complete 2 1"))  # the first look is at the beginning
        self.finish(ferry)
        names = [e["name"] for e in ferry.events()]
        self.assertLess(names.index("spill.damaged"), names.index("copy.again"))
        self.assertLess(names.index("copy.again"), names.index("capture.complete"))


if __name__ == "__main__":
    unittest.main()
