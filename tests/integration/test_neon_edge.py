#!/usr/bin/env python3
"""The stand-in for Neon is as Neon: routing, refusals, settings, roles, sleep, limits; and its tricks
do what a test is told they do. Clients are psql and Python's own TLS: neonferry has no part in this."""

import os
import socket
import ssl
import struct
import subprocess
import sys
import unittest

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
sys.path.insert(0, SUPPORT)
import neonwire as wire  # noqa: E402
from cluster import HOST, SqlError, bindir, make_dir, psql_env, wait_until  # noqa: E402
from neon import REGION, Neon  # noqa: E402

ONE, TWO = "ep-cold-meadow-123456", "ep-warm-brook-654321"


def psql(uri, *commands, data=b"", env=None):
    argv = [os.path.join(bindir(), "psql"), "-XAtq", "-v", "VERBOSITY=verbose", "-d", uri]
    for command in commands:
        argv += ["-c", command]
    done = subprocess.run(argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(psql_env(), **(env or {})), check=False)
    return done.stdout.decode().strip()


class Edge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.neon = Neon((ONE, TWO), conf={"idle_in_transaction_session_timeout": "700"}).start()
        cls.ep, cls.other = cls.neon[ONE], cls.neon[TWO]
        cls.ep.psql("CREATE TABLE public.t (a text); GRANT ALL ON public.t TO PUBLIC")

    @classmethod
    def tearDownClass(cls):
        cls.neon.close()

    def setUp(self):
        self.ep.psql("TRUNCATE public.t")

    def refused(self, text, uri):
        self.assertIn("ERROR:  " + text, psql(uri, "SELECT 1"))

    # ---- where a client lands --------------------------------------------------------------------

    def test_the_endpoint_comes_from_the_name_or_the_options(self):
        ask = "SELECT current_setting('neon.endpoint_id')"
        self.assertEqual(psql(self.ep.uri(), ask), ONE)
        self.assertEqual(psql(self.other.uri(), ask), TWO)
        self.assertEqual(psql(self.ep.uri(sslsni=0, options="endpoint=" + TWO), ask), TWO)
        self.assertEqual(psql(self.ep.uri(options="project=" + ONE), ask), ONE)
        self.refused(wire.NO_ENDPOINT, self.ep.uri(sslsni=0))
        self.refused(wire.INCONSISTENT.format(ONE, TWO), self.ep.uri(options="endpoint=" + TWO))
        self.refused(wire.BAD_NAME.format("a'b"), self.ep.uri(sslsni=0, options="endpoint=a'b"))
        self.refused(wire.NOT_FOUND, self.ep.uri(host="ep-no-such-1." + REGION))

    def test_the_connection_must_be_tls_and_may_be_bound_to_the_certificate(self):
        self.refused(wire.INSECURE, self.ep.uri(sslmode="disable"))
        full = self.ep.uri(sslmode="verify-full", sslrootcert=self.neon.ca, channel_binding="require")
        self.assertEqual(psql(full, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t")
        wrong = self.ep.uri(sslmode="verify-full", sslrootcert="/etc/ssl/certs/ca-certificates.crt")
        self.assertIn("certificate verify failed", psql(wrong, "SELECT 1"))

    def test_tls_without_asking_first_and_its_protocol_name(self):
        context = ssl.create_default_context(cafile=self.neon.ca)
        context.set_alpn_protocols(["postgresql"])
        with socket.create_connection((HOST, self.neon.port)) as plain, \
                context.wrap_socket(plain, server_hostname=self.ep.host()) as tls:
            self.assertEqual(tls.selected_alpn_protocol(), "postgresql")
            tls.sendall(wire.startup_packet({"user": "neondb_owner", "database": "neondb"}))
            kind, _, method = struct.unpack("!cii", tls.recv(9))
            self.assertEqual((kind, method), (b"R", 10))
            self.assertIn(b"SCRAM-SHA-256-PLUS", tls.recv(100))

    def test_a_newer_protocol_is_negotiated_down(self):
        packet = wire.startup_packet({"user": "u", "_pq_.x": "1"})
        packet = packet[:4] + struct.pack("!i", wire.PROTOCOL_3_0 + 2) + packet[8:]
        context = ssl.create_default_context(cafile=self.neon.ca)
        with socket.create_connection((HOST, self.neon.port)) as plain, \
                context.wrap_socket(plain, server_hostname=self.ep.host()) as tls:
            tls.sendall(packet)
            self.assertEqual(tls.recv(100)[:20], b"v" + struct.pack("!iii", 19, 0, 1) + b"_pq_.x\0")

    # ---- what is refused, and how ----------------------------------------------------------------

    def test_refusals_have_the_form_and_the_words_of_the_proxy(self):
        self.refused(wire.WRONG_PASSWORD.format("neondb_owner"), self.ep.uri(password="wrong"))
        self.refused(wire.WRONG_PASSWORD.format("nobody"), self.ep.uri(user="nobody"))
        self.refused('database "nowhere" does not exist', self.ep.uri(db="nowhere"))
        self.ep.refuse(wire.COMPUTE_QUOTA)
        self.refused(wire.WRONG_PASSWORD.format("neondb_owner"), self.ep.uri(password="wrong"))
        self.refused(wire.COMPUTE_QUOTA, self.ep.uri())
        self.ep.refuse(None)
        self.ep.refuse(wire.NO_PERMIT, early=True)
        self.refused(wire.NO_PERMIT, self.ep.uri(password="wrong"))
        self.ep.refuse(None, early=True)
        self.assertEqual(psql(self.ep.uri(), "SELECT 1"), "1")

    def test_the_code_on_the_wire_is_always_xx000(self):
        fields = wire.error_fields(wire.error("x")[5:])
        self.assertEqual(fields, {"S": "ERROR", "C": "XX000", "M": "x"})

    def test_startup_parameters_are_dropped_except_options(self):
        env = {"PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German"}
        self.assertNotEqual(psql(self.ep.uri(), "SHOW timezone", env=env), "Asia/Tokyo")
        self.assertEqual(psql(self.ep.uri(), "SHOW datestyle", env=env), "ISO, MDY")
        self.assertEqual(psql(self.ep.uri(options="-c work_mem=11MB"), "SHOW work_mem"), "11MB")

    # ---- what is behind it -----------------------------------------------------------------------

    def test_roles_and_settings_are_those_of_neon(self):
        ask = psql(self.ep.uri(), "SELECT rolsuper, rolbypassrls, rolreplication, pg_has_role('neon_superuser', "
                                  "'member'), current_setting('max_connections'), "
                                  "current_setting('superuser_reserved_connections') FROM pg_roles "
                                  "WHERE rolname = current_user")
        self.assertEqual(ask, "f|t|t|t|104|7")
        self.assertIn("42501: permission denied to set parameter",
                      psql(self.ep.uri(), "SET session_replication_role = replica"))

    def test_an_idle_transaction_is_ended(self):
        with self.ep.server.session(user="neondb_owner") as session:
            session.query("BEGIN")
            wait_until(lambda: self.ep.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" %
                                             session.pid) == "0", 10)

    def test_the_pooler_is_a_real_one(self):
        pooled = self.ep.uri(pooled=True)
        self.assertEqual(psql(pooled, "SELECT current_setting('neon.endpoint_id')"), ONE)
        psql(pooled, "SET work_mem = '17MB'")
        self.assertEqual(psql(pooled, "SHOW work_mem"), "17MB", "a setting leaks to the next client")
        self.refused(wire.POOLED_OPTION.format("work_mem"), self.ep.uri(pooled=True, options="-c work_mem=1MB"))

    def test_no_more_connections_than_slots(self):
        limit = self.ep.server.conf["max_connections"]
        self.ep.server.configure(max_connections="12")
        self.ep.restart()
        sessions = [self.ep.server.session(user="neondb_owner") for _ in range(5)]
        self.refused("remaining connection slots are reserved", self.ep.uri())
        for s in sessions:
            s.close()
        self.ep.server.configure(max_connections=limit)
        self.ep.restart()

    # ---- life ------------------------------------------------------------------------------------

    def test_it_falls_asleep_when_idle_and_wakes_for_a_client(self):
        before = self.ep.suspends
        with self.ep.server.session(user="neondb_owner") as busy:
            self.ep.suspend_after = 0.6
            busy.query("SELECT pg_sleep(1.5)")
            self.assertEqual(self.ep.suspends, before, "it works")
            wait_until(lambda: self.ep.suspends > before, 10, what="suspend with an idle session")
            with self.assertRaises(SqlError):
                busy.query("SELECT 1")
        self.ep.suspend_after = None
        self.assertFalse(self.ep.compute.is_up)
        self.assertEqual(psql(self.ep.uri(), "SELECT 1"), "1")

    def test_a_compute_that_is_gone_is_waited_for_a_little(self):
        self.ep.stop()
        self.ep.patience = 0.5
        self.refused(wire.NO_COMPUTE, self.ep.uri())
        self.ep.patience = 6
        self.ep.wake()
        self.assertEqual(psql(self.ep.uri(), "SELECT 1"), "1")

    def test_a_restart_after_so_many_bytes_of_copy(self):
        moment = self.ep.when(self.ep.restart, sent="d", after=1000000)
        said = psql(self.ep.uri(), "COPY t FROM STDIN", data=b"0123456789\n" * 3000000)
        self.assertTrue(moment.fired)
        self.assertRegex(said, "connection|terminating")
        self.assertEqual(self.ep.value("SELECT count(*) FROM t"), "0")

    # ---- tricks ----------------------------------------------------------------------------------

    def count(self):
        return int(self.ep.value("SELECT count(*) FROM t"))

    def test_a_commit_is_done_and_its_answer_lost(self):
        moment = self.ep.when("lose", sent="c")
        self.assertIn("connection", psql(self.ep.uri(), "COPY t FROM STDIN", data=b"x\n"))
        self.assertTrue(moment.fired)
        wait_until(lambda: self.count() == 1, 5)
        self.ep.lose_answer("INSERT")
        self.assertIn("connection", psql(self.ep.uri(), "INSERT INTO t VALUES ('y')"))
        self.assertEqual(self.count(), 2)

    def test_a_client_is_cut_in_mid_copy_and_its_session_lives_on(self):
        self.ep.when("orphan", sent="d")
        psql(self.ep.uri(), "COPY t FROM STDIN", data=b"0123456789\n" * 100000)
        ask = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY t%' AND state = 'active'"
        self.assertEqual(self.ep.value(ask), "1")
        self.ep.cut()
        wait_until(lambda: self.ep.value(ask) == "0", 10)

    def test_the_size_limit_has_its_words_also_for_an_index(self):
        full = "53100: " + wire.FULL.format(1)
        self.ep.size_limit = 1
        wait_until(lambda: self.ep.is_full, 5)
        said = psql(self.ep.uri(), "COPY t FROM STDIN", "SELECT count(*) FROM t", data=b"x\n")
        self.assertIn(full, said)
        self.assertIn("HINT:  " + wire.FULL_HINT, said)
        self.assertTrue(said.endswith("0"), "the session goes on")
        self.assertIn(full, psql(self.ep.uri(), "CREATE INDEX ON t (a)"))
        self.assertEqual(psql(self.ep.uri(), "SELECT 1"), "1")
        self.ep.size_limit = None
        self.assertEqual(psql(self.ep.uri(), "INSERT INTO t VALUES ('x') RETURNING a"), "x")

    def test_a_stall_closes_the_window_and_breaks_nothing(self):
        self.ep.stall()
        loader = subprocess.Popen([os.path.join(bindir(), "psql"), "-Xq", "-d", self.ep.uri(), "-c",
                                   "COPY t FROM STDIN"], stdin=subprocess.PIPE, env=psql_env())
        before = self.ep.sent
        with self.assertRaises(subprocess.TimeoutExpired):
            loader.wait(1)
        self.assertEqual(self.ep.sent, before)
        self.ep.go()
        loader.communicate(b"x\n")
        self.assertEqual((loader.returncode, self.count()), (0, 1))

    def test_a_cancel_request_finds_its_session(self):
        said = subprocess.run(["timeout", "--signal=INT", "2", os.path.join(bindir(), "psql"), "-X", "-d",
                               self.ep.uri(), "-c", "SELECT pg_sleep(20)"], env=psql_env(), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        self.assertIn(b"canceling statement due to user request", said)

    # ---- by the command line ---------------------------------------------------------------------

    def test_one_command_starts_it_and_one_stops_it(self):
        folder = make_dir("neonferry-neon-")
        tool = [sys.executable, "-B", os.path.join(SUPPORT, "neon.py")]
        uri = subprocess.run(tool + ["start", "--dir", folder], check=True,
                             stdout=subprocess.PIPE).stdout.decode().strip()
        try:
            self.assertEqual(psql(uri, "SELECT 1"), "1")
            for words in (["set", "delay=0.001"], [ONE, "restart"]):
                subprocess.run(tool + ["do", "--dir", folder] + words, check=True, stdout=subprocess.DEVNULL)
            self.assertEqual(psql(uri, "SELECT 1"), "1")
        finally:
            subprocess.run(tool + ["stop", "--dir", folder], check=True)
        self.assertFalse(os.path.exists(folder))


if __name__ == "__main__":
    unittest.main()
