#!/usr/bin/env python3
"""Several processes, and what happens to those that a run needs: a second run on the same target, a ledger that
was dropped, the holder's connection cut, a clock that is set by a day while the program runs."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from badio import badclock  # noqa: E402
from cluster import wait_until  # noqa: E402
from neonlab import MoveCase  # noqa: E402

SMALL = ("--chunk-size", "128K", "--memory", "16M")
NOT_WRITTEN, STOPPED, REFUSED = 3, 4, 6
DAY = 100000


class Processes(MoveCase):
    documents = 100

    def setUp(self):
        self.pair = self.lab.pair()
        self.addCleanup(self.pair.close)
        self.ep = self.pair.ep

    def load(self, *options, **kw):
        """A run in the middle of its load."""
        self.ep.rate = 1e6
        ferry = self.pair.start("run", *SMALL, *options, **kw)
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= 3), ferry.text[-2000:])
        return ferry

    def finish(self, ferry):
        self.ep.rate = None
        ferry.wait()
        self.pair.check(self, ferry)

    def test_a_second_run_on_the_same_target_is_refused_and_does_no_harm(self):
        first = self.load()
        before = self.pair.ledger("SELECT run, generation FROM neonferry.run")
        second = self.pair.start("run", *SMALL, run_dir=os.path.join(self.pair.base, "second"), judge=False)
        second.wait()
        self.assertEqual(second.status, NOT_WRITTEN, second.text[-2000:])
        self.assertRegex(second.text, "(?s)error: .*(rows|exists|already|run).*hint: ")
        self.assertEqual(self.pair.ledger("SELECT run, generation FROM neonferry.run"), before)
        self.finish(first)

    def test_a_ledger_that_was_dropped(self):
        ferry = self.load()
        ferry.kill()
        self.ep.rate = None
        rows = self.pair.judge.target_rows()
        self.pair.ledger("DROP SCHEMA neonferry CASCADE")
        self.pair._watch = None
        ferry = self.pair.resume()
        self.pair.check(self, ferry, REFUSED)
        self.assertIn("does not know the run", ferry.text)
        self.assertIn("hint:", ferry.text)
        self.assertEqual(self.pair.judge.target_rows(), rows, "nothing was loaded without a ledger")

    def test_the_holders_connection_is_cut(self):
        """Its snapshot and locks are gone with it: the running copier takes new ones and proves what it has."""
        ferry = self.load("--spill", "none")
        ask = ("SELECT pid FROM pg_stat_activity WHERE datname = '%s' AND application_name LIKE 'neonferry%%holder%%'"
               % self.pair.name)
        wait_until(lambda: self.pair.source.psql(ask, db="postgres"), what="the holder's session")
        self.pair.source.psql("SELECT pg_terminate_backend(pid) FROM (%s) AS s" % ask, db="postgres")
        wait_until(lambda: not self.pair.holder() or ferry.status is not None, what="the holder to end")
        self.pair.sql("UPDATE users SET bio = 'later' WHERE github_id % 10 = 0")
        self.finish(ferry)

    def test_a_clock_that_jumps_is_nothing_to_a_run(self):
        clock = os.path.join(self.pair.base, "clock")
        ferry = self.load(env=badclock(clock))

        def days():
            return {event["time"][:10] for event in self.pair.events()}

        for seconds in (DAY, -DAY):
            with open(clock, "w") as f:
                f.write(str(seconds))
            before, known = self.pair.loaded(), days()
            self.assertTrue(ferry.until(lambda before=before: self.pair.loaded() > before), ferry.text[-2000:])
            self.assertTrue(ferry.until(lambda known=known: days() > known, what="an event by the new clock"),
                            ferry.text[-2000:])
        self.finish(ferry)
        self.assertEqual(len(days()), 3, "the clock was really set: %s" % days())
        self.assertLess(self.pair.json("summary.json")["ms"], 1000 * DAY // 10)

    def test_a_clock_set_forward_does_not_keep_the_end_from_coming(self):
        """Ctrl-C with a silent target: ten seconds for what is in flight are ten seconds."""
        clock = os.path.join(self.pair.base, "clock")
        ferry = self.load(env=badclock(clock))
        with open(clock, "w") as f:
            f.write(str(DAY))
        before = self.pair.loaded()
        self.assertTrue(ferry.until(lambda: self.pair.loaded() > before), ferry.text[-2000:])
        self.ep.stall()
        ferry.signal(signal.SIGINT)
        ferry.wait(120)
        self.assertEqual(ferry.status, STOPPED, ferry.text[-2000:])
        self.ep.go()
        self.ep.rate = None
        self.pair.check(self, self.pair.resume())


if __name__ == "__main__":
    unittest.main()
