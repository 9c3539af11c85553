#!/usr/bin/env python3
"""Neon says no. What waiting helps is waited for; what it does not help ends at once, without a storm of
retries, with exit status 3 (nothing written) or 5 (the user must act), the limit named, and what was
captured kept: when the cause is gone, resume finishes, and the target equals the source."""

import os
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import neonwire as wire  # noqa: E402
from cluster import psql_env, wait_until  # noqa: E402
from ferry import program  # noqa: E402
from neonlab import MoveCase  # noqa: E402

ACT, REFUSED = 5, 3


class NeonRefuses(MoveCase):
    documents = 400

    def setUp(self):
        self.pair = self.lab.pair()
        self.addCleanup(self.pair.close)
        self.ep = self.pair.ep

    def says(self, ferry, *texts):
        for text in texts:
            self.assertIn(text.lower(), ferry.text.lower())

    # ---- at the first connection -----------------------------------------------------------------

    def refused_at_once(self, text, hint, most=3, **kw):
        """Exit 3 with Neon's words and ours, after a few connections at most; the target is untouched."""
        before = self.ep.opened
        ferry = self.pair.run("run", judge=False, timeout=40, **kw)
        self.assertEqual(ferry.status, REFUSED, ferry.text[-2000:])
        self.says(ferry, text, hint)
        self.assertLessEqual(self.ep.opened - before, most, "a storm of retries")
        self.assertEqual(self.pair.leaks(), [])
        self.assertEqual(self.ep.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'neonferry'",
                                       db=self.pair.name), "0")

    def test_wrong_password(self):
        self.refused_at_once("password authentication failed for user 'neondb_owner'", "password",
                             target=self.ep.uri(db=self.pair.name, password="wrong"))

    def test_no_such_role(self):
        self.refused_at_once("password authentication failed for user 'nobody'", "user",
                             target=self.ep.uri(db=self.pair.name, user="nobody"))

    def test_no_such_database(self):
        self.refused_at_once('database "nowhere" does not exist', "create the database",
                             target=self.ep.uri(db="nowhere"))

    def test_no_such_endpoint(self):
        self.refused_at_once(wire.NOT_FOUND, "host", target=self.ep.uri(
            db=self.pair.name, host="ep-no-such-1.eu-test-1.neon.test"))

    def test_without_a_name(self):
        self.refused_at_once("Endpoint ID is not specified", "options=endpoint",
                             target=self.ep.uri(db=self.pair.name, sslsni=0))

    def test_without_tls(self):
        """P-117: SSL required."""
        self.refused_at_once("connection is insecure", "sslmode=require",
                             target=self.ep.uri(db=self.pair.name, sslmode="disable"))

    def test_certificate_of_somebody_else(self):
        self.refused_at_once("certificate verify failed", "sslrootcert", target=self.ep.uri(
            db=self.pair.name, sslmode="verify-full", sslrootcert="/etc/ssl/certs/ca-certificates.crt"))

    def test_certificate_for_another_name(self):
        self.refused_at_once("does not match host name", "name", target=self.ep.uri(
            db=self.pair.name, host="localhost", options="endpoint=" + self.ep.name, sslmode="verify-full",
            sslrootcert=self.lab.neon.ca))

    def test_what_the_control_plane_refuses(self):
        for text, hint in ((wire.DISABLED, "enable"), (wire.UNAVAILABLE, "quota"), (wire.COMPUTE_QUOTA, "plan"),
                           (wire.TRANSFER_QUOTA, "plan"), (wire.ACTIVE_LIMIT, "branch"),
                           (wire.IP_NOT_ALLOWED, "allow"), (wire.BLOCKED_NETWORK, "network")):
            with self.subTest(text=text):
                self.ep.refuse(text)
                before = self.ep.opened
                ferry = self.pair.run("run", judge=False, timeout=40, run_dir=self.pair.run_dir + text[:9])
                self.assertIn(ferry.status, (REFUSED, ACT), ferry.text[-2000:])
                self.says(ferry, text, hint)
                self.assertLessEqual(self.ep.opened - before, 2, "a storm of retries")

    # ---- not now ---------------------------------------------------------------------------------

    def test_what_waiting_helps_is_waited_for(self):
        texts = [wire.NO_COMPUTE, wire.NO_PERMIT, wire.TOO_MANY, wire.CONTROL_PLANE, wire.LATE]

        def other_words():
            self.ep.refuse(texts.pop() if texts else None)
            if texts or self.ep._refusal:
                threading.Timer(0.8, other_words).start()
        self.ep.when(lambda: (other_words(), self.ep.cut()), sent="d", after=1500000)
        ferry = self.pair.begin()
        ferry.wait()
        self.pair.check(self, ferry)
        self.assertEqual(texts, [])

    def test_a_compute_that_comes_up_late(self):
        self.ep.stop()
        self.ep.patience = 0.3
        threading.Timer(2.5, self.ep.wake).start()
        ferry = self.pair.begin()
        ferry.wait()
        self.pair.check(self, ferry)
        self.says(ferry, wire.NO_COMPUTE)

    # ---- in the middle ---------------------------------------------------------------------------

    def stopped(self, ferry, *texts):
        """Exit 5, in time, few connections, the spill kept."""
        ferry.wait(60)
        self.pair.check(self, ferry, ACT)
        self.says(ferry, *texts)
        self.assertGreater(self.pair.spilled(), 0)

    def test_a_quota_is_used_up_in_mid_run(self):
        def end():
            self.ep.refuse(wire.COMPUTE_QUOTA)
            self.ep.suspend()
        moment = self.ep.when(end, sent="d", after=1500000)
        ferry = self.pair.begin()
        moment.wait()
        before = self.ep.opened
        self.stopped(ferry, wire.COMPUTE_QUOTA, "plan", "resume")
        self.assertLessEqual(self.ep.opened - before, 5, "a storm of retries")
        self.ep.refuse(None)
        self.pair.check(self, self.pair.resume())

    def test_the_password_is_changed_in_mid_run(self):
        def end():
            self.ep.refuse(wire.WRONG_PASSWORD.format("neondb_owner"))
            self.ep.cut()
        self.ep.when(end, sent="d", after=1500000)
        ferry = self.pair.begin()
        self.stopped(ferry, "password authentication failed for user 'neondb_owner'")
        self.ep.refuse(None)
        self.pair.check(self, self.pair.resume())

    def size_now(self):
        return int(self.ep.value("SELECT (sum(pg_database_size(oid)) / 1048576)::int FROM pg_database"))

    def test_the_project_is_full_in_mid_copy(self):
        before, limit = self.ep.full_answers, self.size_now() + 12
        self.ep.rate = 5e6
        self.ep.size_limit = limit
        ferry = self.pair.begin()
        self.stopped(ferry, wire.FULL.format(limit), "53100", "upgrade the plan or free space")
        self.assertIn(self.ep.full_answers - before, range(1, 9), "a storm of retries")
        self.assertEqual(self.pair.leaks(), [], "waiting for the user costs the compute nothing")
        again = self.pair.resume()
        self.assertEqual(again.status, ACT, "as long as nothing has changed")
        self.ep.size_limit = None
        self.ep.rate = None
        self.pair.check(self, self.pair.resume())

    def test_the_project_is_full_when_indexes_are_built(self):
        filled = threading.Event()  # whichever statement comes first fills it, and only once: not again on resume

        def fill():
            if filled.is_set():
                return
            filled.set()
            self.ep.stall()
            self.ep.size_limit = 1
            wait_until(lambda: self.ep.is_full, 10)
            self.ep.go()
        self.ep.when(fill, sent="Q", text="VALIDATE")
        self.ep.when(fill, sent="Q", text="CREATE INDEX", nth=2)
        ferry = self.pair.begin()
        self.stopped(ferry, wire.FULL.format(1), "upgrade the plan or free space")
        self.ep.size_limit = None
        self.pair.check(self, self.pair.resume())

    # ---- which door ------------------------------------------------------------------------------

    def test_a_pooled_name_becomes_the_direct_one_aloud(self):
        """P-007: the direct endpoint is used instead, and said."""
        before = self.ep.pooled
        ferry = self.pair.begin(target=self.ep.uri(db=self.pair.name, pooled=True))
        ferry.wait()
        self.pair.check(self, ferry)
        self.says(ferry, "is a pooler", "direct endpoint")
        self.assertEqual(self.ep.pooled, before, "nothing went through the pooler")

    def test_check_says_that_a_name_is_a_pooler(self):
        """P-103, P-007."""
        before = self.ep.pooled
        done = subprocess.run([program(), "check", "--source", self.pair.source.uri(db=self.pair.name), "--target",
                               self.ep.uri(db=self.pair.name, pooled=True)], env=psql_env(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("is a pooler", done.stdout)
        self.assertIn("direct endpoint", done.stdout)
        self.assertEqual(self.ep.pooled, before, "nothing went through the pooler")

    def test_rows_go_through_the_pooler_where_that_is_allowed(self):
        """They arrive, also over cuts; and no setting stays behind in the pool for its other clients."""
        moments = [self.ep.when("cut", sent="d", after=1000000), self.ep.when("lose", sent="c", nth=6),
                   self.ep.when(self.ep.restart, sent="d", after=3000000)]
        pooled = self.ep.uri(db=self.pair.name, pooled=True)
        ferry = self.pair.begin("--allow-pooler", target=pooled)
        ferry.wait()
        self.pair.check(self, ferry)
        self.says(ferry, "through the pooler", "direct endpoint")
        self.assertTrue(all(m.fired for m in moments))
        self.assertGreater(self.ep.pooled, 2)
        done = subprocess.run(["psql", "-XAtq", "-d", pooled, "-c", "SELECT current_setting('search_path'), "
                               "current_setting('row_security'), current_setting('lock_timeout')"],
                              stdout=subprocess.PIPE, env=psql_env(), check=True).stdout.decode().strip()
        self.assertEqual(done, '"$user", public|on|0')

    def test_bound_to_the_certificate(self):
        ferry = self.pair.begin(target=self.ep.uri(db=self.pair.name, sslmode="verify-full",
                                                   sslrootcert=self.lab.neon.ca, channel_binding="require"))
        ferry.wait()
        self.pair.check(self, ferry)

    def test_routed_by_the_options(self):
        ferry = self.pair.begin(target=self.ep.uri(db=self.pair.name, sslsni=0, host="127.0.0.1",
                                                   options="endpoint=" + self.ep.name))
        ferry.wait()
        self.pair.check(self, ferry)


if __name__ == "__main__":
    unittest.main()
