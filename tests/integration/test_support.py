#!/usr/bin/env python3
"""The tests' own tools do what the other tests rely on."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import SqlError, make_target, psql_env  # noqa: E402
from proxy import Proxy  # noqa: E402

ROWS = (b"y" * 99 + b"\n") * 100000


def psql(uri, sql, rows=b""):
    return subprocess.run(["psql", "-XAtqc", sql, uri], input=rows, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=psql_env(), timeout=60)


class Support(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = make_target()
        cls.target.psql("CREATE TABLE t (a text)")

    @classmethod
    def tearDownClass(cls):
        cls.target.destroy()

    def setUp(self):
        self.target.psql("TRUNCATE t")

    def test_target_is_reached_by_tls_only_and_without_superuser(self):
        who = psql(self.target.uri(), "SELECT rolsuper, rolcreatedb, ssl FROM pg_roles, pg_stat_ssl "
                   "WHERE rolname = current_user AND pid = pg_backend_pid()")
        self.assertEqual(who.stdout, b"f|t|t\n")
        self.assertIn(b"no encryption", psql(self.target.uri(sslmode="disable"), "SELECT 1").stderr)
        verified = psql(self.target.uri(sslmode="verify-full", sslrootcert=self.target.ca), "SELECT 1")
        self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertIn(b"password", psql(self.target.uri(password="wrong"), "SELECT 1").stderr)

    def test_rows_keep_nulls_newlines_and_empty_texts(self):
        rows = self.target.psql("SELECT 1, NULL, E'a\\nb', '' UNION ALL SELECT 2, 'ü', ' ', '|'")
        self.assertEqual(rows, [["1", None, "a\nb", ""], ["2", "ü", " ", "|"]])
        self.assertEqual(self.target.psql("SELECT 1 WHERE false"), [])

    def test_sessions_wait_for_each_other(self):
        with self.target.session() as one, self.target.session() as two:
            one.query("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
            two.send("SELECT count(*) FROM t")
            with self.assertRaises(TimeoutError):
                two.wait(0.3)
            one.query("COMMIT")
            self.assertEqual(two.wait(), [["0"]])
            with self.assertRaises(SqlError) as caught:
                two.query("SELECT 1 / 0")
            self.assertEqual(caught.exception.sqlstate, "22012")

    def test_killed_server_comes_back_with_what_was_committed(self):
        self.target.psql("INSERT INTO t VALUES ('kept')")
        self.target.kill()
        with self.assertRaises(SqlError):
            self.target.psql("SELECT 1")
        self.target.start()
        self.assertEqual(self.target.psql("TABLE t"), [["kept"]])

    def test_line_keeps_channel_binding_and_counts(self):
        for inspect in (False, True):
            with Proxy(self.target, inspect) as line:
                done = psql(line.uri(channel_binding="require"), "COPY t FROM STDIN", ROWS)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertGreater(line.sent, len(ROWS))
                self.assertEqual(line.opened, 1)

    def test_line_cut_after_bytes_loads_nothing(self):
        with Proxy(self.target) as line:
            line.cut_after(1000000)
            self.assertNotEqual(psql(line.uri(), "COPY t FROM STDIN", ROWS).returncode, 0)
            self.assertEqual(self.target.value("SELECT count(*) FROM t"), "0")
            self.assertEqual(psql(line.uri(), "SELECT 1").stdout, b"1\n")

    def test_line_refuses_and_falls_silent(self):
        with Proxy(self.target) as line:
            line.refuse()
            self.assertIn(b"refused", psql(line.uri(), "SELECT 1").stderr)
            line.accept()
            line.stall()
            self.assertIn(b"timeout", psql(line.uri(connect_timeout=2), "SELECT 1").stderr)
            line.go()
            self.assertEqual(psql(line.uri(), "SELECT 1").stdout, b"1\n")

    def test_line_loses_the_answer_to_a_commit_that_happened(self):
        with Proxy(self.target, inspect=True) as line:
            line.lose_answer("COMMIT")
            done = psql(line.uri(), "BEGIN; INSERT INTO t VALUES ('z'); COMMIT")
            self.assertNotEqual(done.returncode, 0)
            self.assertTrue(line.lost)
            self.assertEqual(self.target.psql("TABLE t"), [["z"]])


if __name__ == "__main__":
    unittest.main()
