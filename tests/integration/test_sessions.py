"""A session with a server: what it is set up as, how each way to fail is told, and that every wait
ends: by the server's answer, a deadline, a cancel or the request to stop."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import free_port, make_source, make_target, psql_env, wait_until  # noqa: E402

TOOL = os.path.join(os.environ.get("NEONFERRY_BUILD", "build"), "tests", "pg_tool")


class Tool:
    """pg_tool: one session, command by command."""

    def __init__(self, uri, role="target"):
        self.process = subprocess.Popen([TOOL, role, uri], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, env=psql_env())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        if self.process.wait(20) != 0:
            raise AssertionError("pg_tool ended with %s" % self.process.returncode)
        self.process.stdout.close()

    def send(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def wait(self):
        return json.loads(self.process.stdout.readline())

    def try_(self, *words):
        self.send(*words)
        return self.wait()

    def do(self, *words):
        answer = self.try_(*words)
        if not answer["ok"]:
            raise AssertionError("%s: %s" % (words, answer["error"]["text"]))
        return answer

    def fail(self, *words):
        answer = self.try_(*words)
        if answer["ok"]:
            raise AssertionError("%s did not fail" % (words,))
        return answer["error"]

    def memory(self):
        """Bytes of resident memory."""
        with open("/proc/%d/statm" % self.process.pid) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Relay:
    """Passes bytes between a client and a server, not faster than rate bytes/s towards the server.

    edit: (old, new), replaced in what the server says.
    """

    def __init__(self, port, rate=None, edit=(b"", b"")):
        self.server, self.rate, self.edit, self.sockets = port, rate, edit, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            server = socket.create_connection(("127.0.0.1", self.server))
            self.sockets += [client, server]
            for way in (client, server, self.rate, (b"", b"")), (server, client, None, self.edit):
                threading.Thread(target=self._pass, args=way, daemon=True).start()

    @staticmethod
    def _pass(a, b, rate, edit):
        try:
            while True:
                data = a.recv(16384)
                if not data:
                    break
                b.sendall(data.replace(*edit) if edit[0] else data)
                if rate:
                    time.sleep(len(data) / rate)
        except OSError:
            pass
        for s in a, b:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def silent_listener():
    """Takes connections and never says a word."""
    return socket.create_server(("127.0.0.1", 0))


def full_listener():
    """Does not even take connections: its queue is full. Returns the listener and what fills it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fill = []
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
        fill.append(s)
    return listener, fill


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plain = make_source()
        cls.tls = make_target()
        cls.plain.psql("CREATE TABLE t (id int PRIMARY KEY, v text)")
        cls.plain.psql("CREATE TABLE noisy (id int PRIMARY KEY, v text)")
        cls.plain.psql("""CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE NOTICE 'row % %', NEW.id, repeat('x', 3000); RETURN NEW; END $$""")
        cls.plain.psql("CREATE TRIGGER tell BEFORE INSERT ON noisy FOR EACH ROW "
                       "WHEN (NEW.id % 20 = 0) EXECUTE FUNCTION tell()")
        cls.plain.psql("CREATE TABLE big AS SELECT g AS id, repeat('x', 100) AS v "
                       "FROM generate_series(1, 200000) g")

    @classmethod
    def tearDownClass(cls):
        cls.plain.destroy()
        cls.tls.destroy()

    def setUp(self):
        self.plain.psql("TRUNCATE t, noisy")

    def opened(self, cluster=None, **params):
        tool = Tool((cluster or self.plain).uri(**params))
        self.addCleanup(tool.__exit__)
        tool.do("open", "test")
        return tool

    # ---- connecting ----------------------------------------------------------------------------

    def test_a_session_is_set_up_by_set_whatever_the_database_says(self):
        self.plain.create_database("odd")
        for setting in ("datestyle = 'SQL, DMY'", "timezone = 'Asia/Tokyo'", "bytea_output = escape",
                        "extra_float_digits = -5", "statement_timeout = 5", "row_security = on",
                        "default_transaction_read_only = on", "search_path = public",
                        "synchronous_commit = off", "intervalstyle = iso_8601",
                        "idle_in_transaction_session_timeout = 100", "client_encoding = LATIN1"):
            self.plain.psql("ALTER DATABASE odd SET " + setting, db="postgres")
        tool = self.opened(db="odd", application_name="other")
        want = {"datestyle": "ISO, YMD", "timezone": "UTC", "bytea_output": "hex",
                "extra_float_digits": "1", "statement_timeout": "0", "row_security": "off",
                "default_transaction_read_only": "off", "search_path": "", "synchronous_commit": "on",
                "intervalstyle": "postgres", "idle_in_transaction_session_timeout": "0",
                "client_encoding": "UTF8", "lock_timeout": "0", "idle_session_timeout": "0",
                "lc_monetary": "C", "synchronize_seqscans": "off", "jit": "off",
                "standard_conforming_strings": "on", "application_name": "neonferry test",
                "default_transaction_isolation": "read committed", "xmloption": "content"}
        names = ", ".join("'%s', pg_catalog.current_setting('%s')" % (k, k) for k in want)
        got = json.loads(tool.do("value", "SELECT pg_catalog.json_build_object(%s)" % names)["value"])
        self.assertEqual(got, want)

    def test_a_wrong_password_is_told_with_its_sqlstate_and_without_the_password(self):
        with Tool(self.tls.uri(password="n0tth1s")) as tool:
            e = tool.fail("open")
        self.assertEqual((e["sqlstate"], e["kind"], e["next"]), ("28P01", "target", "give up"))
        self.assertIn('password authentication failed for user "', e["text"])
        self.assertNotIn("n0tth1s", json.dumps(e))
        self.assertNotIn("LOCATION", e["text"])

    def test_a_missing_database_is_told(self):
        with Tool(self.plain.uri(db="nope"), "source") as tool:
            e = tool.fail("open")
        self.assertEqual((e["sqlstate"], e["kind"], e["next"]), ("3D000", "source", "give up"))

    def test_a_server_that_wants_tls_is_told(self):
        with Tool(self.tls.uri(sslmode="disable")) as tool:
            e = tool.fail("open")
        self.assertEqual((e["sqlstate"], e["next"]), ("28000", "give up"))
        self.assertIn("sslmode=require", e["hint"])

    def test_a_server_without_tls_is_told(self):
        with Tool(self.plain.uri(sslmode="require")) as tool:
            e = tool.fail("open")
        self.assertEqual((e["kind"], e["next"]), ("target", "give up"))
        self.assertIn("does not support SSL", e["text"])

    def test_a_certificate_is_verified_when_asked_for(self):
        with Tool(self.tls.uri(sslmode="verify-full", sslrootcert=self.tls.ca)) as tool:
            tool.do("open")
        with Tool(self.tls.uri(sslmode="verify-ca",
                               sslrootcert="/etc/ssl/certs/ca-certificates.crt")) as tool:
            e = tool.fail("open")
        self.assertEqual(e["next"], "give up")
        self.assertIn("certificate", e["text"])

    def test_nobody_listening_is_tried_again(self):
        with Tool("postgresql://u@127.0.0.1:%d/d" % free_port()) as tool:
            e = tool.fail("open")
        self.assertEqual((e["kind"], e["next"]), ("network", "retry"))

    def test_a_silent_server_is_given_the_timeout(self):
        with silent_listener() as s:
            with Tool("postgresql://u@127.0.0.1:%d/d?connect_timeout=2" %
                      s.getsockname()[1]) as tool:
                answer = tool.try_("open")
        self.assertEqual((answer["error"]["kind"], answer["error"]["next"]), ("network", "retry"))
        self.assertIn("no answer within 2 s", answer["error"]["text"])
        self.assertLess(answer["ms"], 4000)

    def test_the_next_address_is_tried_after_the_timeout(self):
        listener, fill = full_listener()
        uri = "postgresql://%s@127.0.0.1:%d,127.0.0.1:%d/%s?connect_timeout=2" % (
            self.plain.user, listener.getsockname()[1], self.plain.port, self.plain.db)
        with Tool(uri) as tool:
            answer = tool.do("open")
        self.assertGreater(answer["ms"], 1500)
        for s in [listener] + fill:
            s.close()

    def test_a_version_out_of_range_is_refused_by_name(self):
        version = self.plain.value("SHOW server_version").split()[0].encode()
        cases = (("source", b"13", False), ("source", b"14", True), ("source", b"18", True),
                 ("source", b"19", False), ("target", b"14", False), ("target", b"15", True),
                 ("target", b"18", True), ("target", b"19", False))
        for role, major, good in cases:
            other = major + b"." + b"9" * (len(version) - 3)
            relay = Relay(self.plain.port, edit=(b"server_version\0" + version,
                                                 b"server_version\0" + other))
            self.addCleanup(relay.close)
            uri = "postgresql://%s@127.0.0.1:%d/%s" % (self.plain.user, relay.port, self.plain.db)
            with Tool(uri, role) as tool:
                answer = tool.try_("open")
            if good:
                # transaction_timeout is set from version 17 on, which this server may not be.
                self.assertTrue(answer["ok"] or "transaction_timeout" in answer["error"]["text"])
                continue
            self.assertEqual(answer["error"]["kind"], "refused")
            self.assertIn("%s: PostgreSQL %s" % (role, other.decode()), answer["error"]["text"])
            self.assertEqual(answer["error"]["next"], "give up")

    def test_stop_ends_a_connect(self):
        with silent_listener() as s:
            with Tool("postgresql://u@127.0.0.1:%d/d" % s.getsockname()[1]) as tool:
                tool.do("stop", 300)
                answer = tool.try_("open")
        self.assertEqual(answer["error"]["kind"], "stopped")
        self.assertLess(answer["ms"], 3000)

    # ---- statements ----------------------------------------------------------------------------

    def test_the_first_error_counts_and_the_session_lives_on(self):
        tool = self.opened()
        e = tool.fail("exec", "SELECT 1; SELECT 1/0; SELECT nope")
        self.assertEqual((e["sqlstate"], e["kind"]), ("22012", "data"))
        self.assertEqual(tool.do("value", "SELECT 7")["value"], "7")

    def test_detail_constraint_and_place_are_told(self):
        self.plain.psql("INSERT INTO t VALUES (5)")
        e = self.opened().fail("exec", "INSERT INTO public.t VALUES (5)")
        self.assertEqual((e["sqlstate"], e["constraint"], e["kind"]), ("23505", "t_pkey", "data"))
        self.assertIn("Key (id)=(5) already exists.", e["text"])

    def test_notices_come_with_their_sqlstate(self):
        tool = self.opened()
        answer = tool.do("exec", "DO $$BEGIN RAISE WARNING 'careful %', 1 USING ERRCODE = '01004'; END$$")
        self.assertEqual(answer["notices"], [["WARNING", "01004", "careful 1"]])

    def test_a_null_and_no_row_are_null(self):
        tool = self.opened()
        self.assertIsNone(tool.do("value", "SELECT NULL")["value"])
        self.assertIsNone(tool.do("value", "SELECT 1 WHERE false")["value"])
        self.assertEqual(tool.do("value", "SELECT ''")["value"], "")

    def test_a_failed_transaction_is_never_taken_for_committed(self):
        tool = self.opened()
        tool.do("begin")
        tool.fail("exec", "SELECT nope")
        e = tool.fail("commit")
        self.assertIn("rolled the transaction back", e["text"])
        tool.do("begin", "ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.assertEqual(tool.do("value", "SHOW transaction_isolation")["value"], "repeatable read")
        tool.do("commit")

    def test_rollback_makes_a_session_usable_again(self):
        tool = self.opened()
        tool.do("begin")
        tool.fail("exec", "SELECT nope")
        self.assertEqual(tool.fail("exec", "SELECT 1")["kind"], "internal")
        self.assertTrue(tool.do("rollback")["alive"])
        tool.do("exec", "SELECT 1")

    def test_a_deadline_ends_a_statement_here_and_there(self):
        tool = self.opened()
        pid = tool.do("timeout", 500)["pid"]
        answer = tool.try_("exec", "SELECT pg_catalog.pg_sleep(60)")
        e = answer["error"]
        self.assertEqual((e["kind"], e["next"]), ("network", "ask"))
        self.assertIn("no answer within", e["text"])
        self.assertLess(answer["ms"], 2000)
        self.assertFalse(answer["alive"])
        self.assertFalse(tool.do("rollback")["alive"])
        gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % pid
        wait_until(lambda: self.plain.value(gone) == "0", 5, what="the end of the backend")
        self.assertEqual(tool.fail("exec", "SELECT 1")["kind"], "network")

    def test_another_thread_can_cancel(self):
        for cluster in self.plain, self.tls:
            tool = self.opened(cluster)
            for _ in range(2):
                tool.do("cancel", 300)
                answer = tool.try_("exec", "SELECT pg_catalog.pg_sleep(60)")
                e = answer["error"]
                self.assertEqual((e["sqlstate"], e["next"]), ("57014", "ask"))
                self.assertTrue(answer["alive"])

    def test_stop_ends_a_statement(self):
        tool = self.opened()
        tool.do("stop", 300)
        answer = tool.try_("exec", "SELECT pg_catalog.pg_sleep(60)")
        self.assertEqual(answer["error"]["kind"], "stopped")
        self.assertLess(answer["ms"], 2000)

    def test_a_terminated_session_is_told_by_the_servers_last_words(self):
        for cluster in self.plain, self.tls:
            tool = self.opened(cluster)
            pid = tool.do("exec", "SELECT 1")["pid"]
            cluster.psql("SELECT pg_terminate_backend(%d)" % pid, user=cluster.superuser)
            time.sleep(0.3)
            e = tool.fail("exec", "SELECT 1")
            self.assertEqual((e["sqlstate"], e["kind"], e["next"]), ("57P01", "network", "ask"))
            self.assertEqual(tool.fail("exec", "SELECT 1")["next"], "retry")

    def test_a_cut_connection_is_told(self):
        relay = Relay(self.plain.port)
        tool = Tool("postgresql://%s@127.0.0.1:%d/%s" % (self.plain.user, relay.port, self.plain.db))
        self.addCleanup(tool.__exit__)
        tool.do("open")
        tool.send("exec", "SELECT pg_catalog.pg_sleep(60)")
        time.sleep(0.5)
        relay.close()
        e = tool.wait()["error"]
        self.assertEqual((e["kind"], e["next"]), ("network", "ask"))

    # ---- COPY IN -------------------------------------------------------------------------------

    LOAD = "BEGIN; INSERT INTO public.t VALUES (0, 'claim'); COPY public.t FROM STDIN; COMMIT"

    def test_rows_and_claim_go_in_by_one_query(self):
        tool = self.opened()
        tool.do("copy_in", self.LOAD)
        self.assertFalse(tool.do("put", 3000)["alive"])
        answer = tool.do("end")
        self.assertEqual(answer["tag"], "COMMIT")
        self.assertGreater(answer["rows"], 30000)
        self.assertEqual(self.plain.value("SELECT count(*) FROM t"), str(answer["rows"] + 1))

    def test_a_statement_that_fails_before_the_copy_is_the_error(self):
        self.plain.psql("INSERT INTO t VALUES (0)")
        tool = self.opened()
        e = tool.fail("copy_in", self.LOAD)
        self.assertEqual((e["sqlstate"], e["constraint"]), ("23505", "t_pkey"))
        self.assertTrue(tool.do("rollback")["alive"])
        self.assertEqual(tool.fail("put", 1)["kind"], "internal")

    def test_a_bad_row_fails_the_end_and_leaves_nothing(self):
        self.plain.psql("INSERT INTO t VALUES (7)")
        tool = self.opened()
        tool.do("copy_in", self.LOAD)
        tool.do("put", 1)
        e = tool.fail("end")
        self.assertEqual((e["sqlstate"], e["kind"]), ("23505", "data"))
        self.assertIn("COPY t, line 7", e["text"])
        self.assertTrue(tool.do("rollback")["alive"])
        self.assertEqual(self.plain.value("SELECT count(*) FROM t"), "1")

    def slow(self, rate):
        relay = Relay(self.plain.port, rate)
        self.addCleanup(relay.close)
        tool = Tool("postgresql://%s@127.0.0.1:%d/%s" % (self.plain.user, relay.port, self.plain.db))
        self.addCleanup(tool.__exit__)
        tool.do("open")
        return tool

    def test_an_early_error_stops_the_sending(self):
        self.plain.psql("INSERT INTO t VALUES (1)")
        tool = self.slow(4e6)
        tool.do("copy_in", self.LOAD)
        answer = tool.try_("put", 100000)
        self.assertFalse(answer["ok"])
        self.assertEqual(answer["error"]["sqlstate"], "23505")
        self.assertLess(answer["sent"], 40e6)
        self.assertTrue(tool.do("rollback")["alive"])
        self.assertEqual(self.plain.value("SELECT count(*) FROM t"), "1")

    def test_notices_in_mid_copy_are_not_taken_for_an_error(self):
        tool = self.slow(4e6)
        tool.do("copy_in", "BEGIN; COPY public.noisy FROM STDIN; COMMIT")
        notices = len(tool.do("put", 12000)["notices"])
        answer = tool.do("end")
        self.assertEqual(notices + len(answer["notices"]), answer["rows"] // 20)
        self.assertGreater(notices, 100)

    def test_a_session_terminated_in_mid_copy_is_told(self):
        for cluster, table in (self.plain, "t"), (self.tls, "t2"):
            cluster.psql("CREATE TABLE IF NOT EXISTS public.%s (id int PRIMARY KEY, v text)" % table)
            tool = self.opened(cluster)
            pid = tool.do("copy_in", "BEGIN; COPY public.%s FROM STDIN; COMMIT" % table)["pid"]
            tool.do("put", 500)
            cluster.psql("SELECT pg_terminate_backend(%d)" % pid, user=cluster.superuser)
            time.sleep(0.3)
            answer = tool.try_("put", 50000)
            if answer["ok"]:
                answer = tool.try_("end")
            e = answer["error"]
            self.assertEqual((e["kind"], e["next"]), ("network", "ask"), e["text"])
            self.assertEqual(e["sqlstate"], "57P01", e["text"])
            self.assertFalse(tool.do("rollback")["alive"])

    def test_a_stalled_server_costs_no_memory(self):
        tool = self.opened()
        tool.do("copy_in", self.LOAD)
        tool.do("put", 100)
        before = tool.memory()
        self.plain.pause()
        try:
            tool.send("put", 50000)
            time.sleep(1)
            self.assertLess(tool.memory() - before, 4 << 20)
        finally:
            self.plain.unpause()
        self.assertTrue(tool.wait()["ok"])

    def test_stop_ends_a_stalled_copy(self):
        tool = self.opened()
        tool.do("copy_in", self.LOAD)
        self.plain.pause()
        try:
            tool.do("stop", 500)
            answer = tool.try_("put", 1000000)
        finally:
            self.plain.unpause()
        self.assertEqual(answer["error"]["kind"], "stopped")
        self.assertLess(answer["ms"], 2000)
        self.assertFalse(tool.do("rollback")["alive"])

    def test_an_abandoned_copy_leaves_nothing_and_the_session_lives(self):
        tool = self.opened()
        tool.do("copy_in", self.LOAD)
        tool.do("put", 1000)
        self.assertTrue(tool.do("rollback")["alive"])
        self.assertEqual(tool.do("value", "SELECT count(*) FROM public.t")["value"], "0")

    def test_a_statement_that_is_no_copy_is_our_mistake(self):
        tool = self.opened()
        self.assertEqual(tool.fail("copy_in", "SELECT 1")["kind"], "internal")
        self.assertEqual(tool.fail("exec", "COPY public.t FROM STDIN")["kind"], "internal")

    # ---- COPY OUT ------------------------------------------------------------------------------

    OUT = "COPY (SELECT * FROM public.big) TO STDOUT (FORMAT binary)"

    def test_every_row_comes_out(self):
        for cluster in self.plain, self.tls:
            tool = self.opened(cluster)
            tool.do("copy_out", "COPY (SELECT g FROM pg_catalog.generate_series(1, 123456) g) TO STDOUT")
            answer = tool.do("rows")
            self.assertEqual((answer["rows"], answer["alive"]), (123456, True))

    def test_an_error_in_mid_copy_out_is_told(self):
        tool = self.opened()
        tool.do("copy_out", "COPY (SELECT 1/(5000 - id) FROM public.big) TO STDOUT")
        answer = tool.try_("rows")
        self.assertEqual(answer["error"]["sqlstate"], "22012")
        self.assertTrue(answer["alive"])

    def test_a_session_terminated_in_mid_copy_out_is_told(self):
        tool = self.opened()
        pid = tool.do("copy_out", self.OUT)["pid"]
        tool.do("rows", 10)
        self.plain.psql("SELECT pg_terminate_backend(%d)" % pid)
        answer = tool.try_("rows")
        self.assertEqual((answer["error"]["kind"], answer["error"]["next"]), ("network", "ask"))
        self.assertLess(answer["rows"], 200000)

    def test_stop_and_deadline_end_a_silent_copy_out(self):
        for ask in ("stop", 500), ("timeout", 500):
            tool = self.opened()
            tool.do(*ask)
            tool.do("copy_out", "COPY (SELECT pg_catalog.repeat('x', 100) FROM public.big "
                                "UNION ALL SELECT pg_catalog.pg_sleep(60)::text) TO STDOUT")
            answer = tool.try_("rows")
            self.assertEqual(answer["error"]["kind"], "stopped" if ask[0] == "stop" else "network")
            self.assertLess(answer["ms"], 2000)

    def test_a_copy_out_left_in_the_middle_ends_the_session(self):
        tool = self.opened()
        pid = tool.do("copy_out", self.OUT)["pid"]
        tool.do("rows", 10)
        self.assertFalse(tool.do("rollback")["alive"])
        gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % pid
        wait_until(lambda: self.plain.value(gone) == "0", 5, what="the end of the backend")
        tool.do("close")
        tool.do("open")


if __name__ == "__main__":
    unittest.main()
