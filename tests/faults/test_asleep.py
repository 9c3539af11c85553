#!/usr/bin/env python3
"""The target sleeps, is crowded, is silent, or an administrator interferes: the running process waits and
goes on by itself, and the target equals the source at the snapshot, row for row."""

import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import SqlError, wait_until  # noqa: E402
from neonlab import MoveCase  # noqa: E402


class TargetAsleep(MoveCase):
    # ---- sleep -----------------------------------------------------------------------------------

    def test_suspended_between_the_phases(self):
        """The control session idles while rows are loaded; then it is dead."""
        def prepare(pair, ep):
            return [ep.when(ep.suspend, answered="COMMIT", nth=n) for n in (10, 30)]
        _, events = self.move(prepare, at_least=0)
        self.assertEqual([e for e in events if e.get("level") == "error"], [])

    def test_suspended_before_the_first_connection(self):
        def prepare(pair, ep):
            ep.cold_start = 2
            ep.suspend()
        try:
            self.move(prepare, at_least=0)
        finally:
            self.lab.neon.endpoint.cold_start = 0.3

    def test_the_source_is_slow_and_the_target_sleeps_meanwhile(self):
        """The holder's locks are waited for: nothing is sent for longer than the target stays awake."""
        with self.lab.pair() as pair:
            pair.ep.suspend_after = 1
            with pair.source.session(db=pair.name) as other:
                other.query("BEGIN; LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE")
                ferry = pair.begin()
                wait_until(lambda: pair.ep.opened > 0, 20)
                before = pair.ep.suspends
                wait_until(lambda: pair.ep.suspends > before or ferry.status is not None, 20,
                           what="the target to fall asleep")
                other.query("ROLLBACK")
            ferry.wait()
            pair.ep.suspend_after = None
            pair.check(self, ferry)

    # ---- crowded, cancelled ----------------------------------------------------------------------

    def test_no_free_connection_slot(self):
        """P-117: too many connections."""
        with self.lab.pair() as pair:
            server = pair.ep.server
            server.configure(max_connections="14")
            pair.ep.restart()
            try:
                ferry = pair.begin("--senders", "2")
                ferry.reach("schema")
                crowd = []
                with self.assertRaises(SqlError):
                    while True:
                        crowd.append(server.session(user="neondb_owner"))
                pair.ep.cut()
                try:
                    while True:
                        crowd.append(server.session(user="neondb_owner"))
                except SqlError:
                    pass
                waited = ferry.until(lambda: any("slots are reserved" in e.get("text", "") + e.get("message", "")
                                                 for e in ferry.events()), what="53300")
                self.assertTrue(waited, ferry.text[-2000:])
                for session in crowd:
                    session.close()
                ferry.wait()
                pair.check(self, ferry)
            finally:
                server.configure(max_connections="104")
                pair.ep.restart()

    def cancel_all(self, pair, what):
        pair.ep.psql("SELECT %s(pid) FROM pg_stat_activity WHERE application_name LIKE 'neonferry%%' "
                     "AND state = 'active'" % what, db="postgres")

    def test_statements_cancelled_and_sessions_ended_by_an_administrator(self):
        def prepare(pair, ep):
            return [ep.when(lambda: self.cancel_all(pair, "pg_cancel_backend"), sent="d", after=1500000),
                    ep.when(lambda: self.cancel_all(pair, "pg_terminate_backend"), sent="d", after=4000000),
                    ep.when(lambda: self.cancel_all(pair, "pg_cancel_backend"), sent="Q", text="USING hnsw"),
                    ep.when(lambda: self.cancel_all(pair, "pg_terminate_backend"), sent="Q", text="VALIDATE")]
        self.move(prepare)

    # ---- silence ---------------------------------------------------------------------------------

    def test_a_stall_of_half_a_minute_is_not_an_error(self):
        with self.lab.pair() as pair:
            def silence():
                pair.ep.stall()
                threading.Timer(30, pair.ep.go).start()
            moment = pair.ep.when(silence, sent="d", after=2000000)
            began = time.monotonic()
            ferry = pair.begin()
            ferry.wait()
            pair.check(self, ferry)
            self.assertTrue(moment.fired)
            self.assertGreater(time.monotonic() - began, 30)
            names = [e["name"] for e in ferry.events()]
            self.assertNotIn("target.wait", names)

    def test_delay_jitter_and_a_narrow_line(self):
        def prepare(pair, ep):
            ep.delay, ep.jitter, ep.rate = 0.01, 0.01, 4e6
            return [ep.when("cut", sent="d", after=5000000)]
        self.move(prepare)

    def test_an_idle_transaction_of_the_target_is_never_ended(self):
        """idle_in_transaction_session_timeout is 2 s here; the session's own setting keeps it off."""
        def prepare(pair, ep):
            ep.rate = 2e6
        _, events = self.move(prepare, at_least=0)
        self.assertNotIn("25P03", str(events))


if __name__ == "__main__":
    unittest.main()
