"""Bad input: a clear error that says what, where and what to do; nothing written, nothing lost."""

import os
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import SqlError, bindir, make_dir, make_source, make_target, wait_until  # noqa: E402
from ends import Ends  # noqa: E402
from moving import NEONFERRY, Folder, assert_same, environment, neonferry, rows  # noqa: E402

USAGE, REFUSED, STOPPED, ACT, DIFFERENT = 2, 3, 4, 5, 7


class Case(Ends):
    def run_it(self, *args, source=None, target=None, command="run", **kw):
        return neonferry(command, *self.ends(source, target), *args, run_dir=self.dir, **kw)

    def check(self, done, status, *patterns, hint=".+"):
        """The status, every pattern in the error, and a hint."""
        self.assertEqual(done.status, status, done.text)
        error = done.err[done.err.find("neonferry: error:"):]
        self.assertTrue(error.startswith("neonferry: error:"), done.text)
        for pattern in patterns:
            self.assertRegex(error, pattern)
        self.assertRegex(error, "\n *hint: " + hint)
        self.assertNotIn("internal", error.lower())
        return error

    def check_untouched(self, tables=()):
        """No ledger and no tables but those that were there."""
        self.assertEqual(self.here("SELECT to_regnamespace('neonferry')", user="postgres"), [[None]])
        names = self.here("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                          " ORDER BY 1", user="postgres")
        self.assertEqual([n for n, in names], sorted(tables))

    def resume(self, **kw):
        done = neonferry("resume", self.dir, *self.ends(), **kw)
        self.assertEqual(done.status, 0, done.text[-3000:])
        return done


class CommandLine(Case):
    def test_unknown_option(self):
        self.check(self.run_it("--surce", "x"), USAGE, "--surce", hint=".*--help|.*--source")
        self.assertFalse(os.path.exists(self.dir))

    def test_unknown_command(self):
        done = neonferry("rnu")
        self.assertEqual(done.status, USAGE)
        self.assertIn("rnu", done.err)

    def test_bad_values(self):
        for option, value in (("--jobs", "0"), ("--jobs", "x"), ("--memory", "1M"), ("--memory", "12Q"),
                              ("--spill", "maybe"), ("--on-existing", "drop"), ("--chunk-size", "-1")):
            done = self.run_it(option, value)
            self.assertEqual(done.status, USAGE, done.text)
            self.assertIn(option, done.err)

    def test_malformed_uri(self):
        for uri in ("postgresql://u:se%ZZcret@h/db", "postgres//h/db", "postgresql://h:port/db",
                    "host=h dbname=x nosuch=1", "postgresql://h/db?nosuch=1"):
            error = self.check(self.run_it(source=uri), USAGE, "source|--source")
            self.assertNotIn("se%ZZcret", error)
        self.check_untouched()

    def test_no_ends(self):
        self.check(neonferry("run"), USAGE, "source")

    def test_run_folder_of_another_run(self):
        self.there("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        self.assertEqual(self.run_it().status, 0)
        self.source.create_database(self.db + "_2")
        done = self.run_it(source=self.source.uri(self.db + "_2"))
        self.check(done, USAGE, re.escape(self.dir), self.db + "_2|other databases", hint=".*--run-dir")
        self.assertEqual(self.here("SELECT a FROM t"), [["1"]])

    def test_run_folder_that_is_something_else(self):
        os.mkdir(self.dir)
        with open(os.path.join(self.dir, "notes.txt"), "w", encoding="utf-8") as f:
            f.write("mine")
        done = self.run_it()
        self.assertIn(done.status, (0, USAGE), done.text)
        with open(os.path.join(self.dir, "notes.txt"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "mine")

    def test_run_folder_whose_run_has_no_name(self):
        os.mkdir(self.dir)
        with open(os.path.join(self.dir, "run.json"), "w", encoding="utf-8") as f:
            f.write("{}")
        for options in ((), ("--table", "a", "--exclude-table", "b")):
            self.check(self.run_it(*options), REFUSED, "run.json names no run")

    def test_a_run_that_is_not_there(self):
        self.check(neonferry("resume", self.dir), USAGE, re.escape(self.dir))
        self.check(neonferry("status", self.dir), USAGE, re.escape(self.dir))


class Connecting(Case):
    def test_wrong_password(self):
        uri = self.target.uri(self.db, password="WrongSecret")
        error = self.check(self.run_it(target=uri), REFUSED, "target", "password authentication failed", "ferry")
        self.assertNotIn("WrongSecret", error)
        self.check_untouched()

    def test_no_such_database(self):
        self.check(self.run_it(target=self.target.uri("nosuch")), REFUSED, "target", '"nosuch" does not exist')
        self.dir += "2"
        self.check(self.run_it(source=self.source.uri("nosuch")), REFUSED, "source", '"nosuch" does not exist')
        self.check_untouched()

    def test_nobody_listens(self):
        uri = "postgresql://u@127.0.0.1:1/x"
        self.check(self.run_it(source=uri), REFUSED, "source", "127.0.0.1")
        self.check_untouched()

    def test_no_such_role(self):
        self.check(self.run_it(source=self.source.uri(self.db, user="nobody")), REFUSED, 'role "nobody"')

    def test_tls_asked_of_a_server_without(self):
        """P-117: TLS."""
        uri = self.source.uri(self.db, sslmode="require")
        self.check(self.run_it(source=uri), REFUSED, "source", "SSL|TLS", hint=".*(sslmode|TLS)")
        self.check_untouched()

    def test_no_tls_given_to_a_server_that_wants_it(self):
        uri = self.target.uri(self.db, sslmode="disable")
        self.check(self.run_it(target=uri), REFUSED, "target", "(?i)pg_hba|encryption|ssl", hint=".*(sslmode|TLS|SSL)")


class Extensions(Case):
    def test_one_that_the_target_does_not_offer(self):
        self.there("CREATE EXTENSION hstore; CREATE TABLE t (id int, h hstore);"
                   "UPDATE pg_extension SET extname = 'nosuchext' WHERE extname = 'hstore'")
        self.check(self.run_it(), REFUSED, "nosuchext", "target", hint=".*(install|leave out)")
        self.check_untouched()

    def test_one_that_the_role_may_not_create(self):
        """P-117: extension missing."""
        with make_target(vector=False) as target:
            self.there("CREATE TABLE t (id int, v vector(2)); INSERT INTO t VALUES (1, '[1,2]')")
            done = self.run_it(target=target.uri())
            self.assertIn(done.status, (REFUSED, ACT), done.text)
            self.check(done, done.status, "extension", "vector", hint="create the extension vector")
            target.psql("CREATE EXTENSION vector", user="postgres")
            done = self.run_it(target=target.uri())
            self.assertEqual(done.status, 0, done.text)
            assert_same(self, self.source, target, self.db)

    def test_missing_for_data_only(self):
        with make_target(vector=False) as target:
            self.there("CREATE TABLE t (id int, v vector(2))")
            target.psql("CREATE TABLE t (id int, v text)")
            self.check(self.run_it("--data-only", target=target.uri()), REFUSED, "extension vector", "missing")

    def test_version_too_old(self):
        """P-104: versions of both ends are compared."""
        self.there("CREATE TABLE t (id int, v halfvec(2))")
        self.here("UPDATE pg_extension SET extversion = '0.6.2' WHERE extname = 'vector'", user="postgres")
        self.check(self.run_it(), REFUSED, "extension vector", "0.6.2", "0.7.0",
                   hint="ALTER EXTENSION vector UPDATE")
        self.check_untouched()

    def test_target_that_is_not_utf8(self):
        self.there("CREATE TABLE t (id int)")
        self.target.create_database("latin", owner="ferry", options="ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
        self.check(self.run_it(target=self.target.uri("latin")), REFUSED, "LATIN1", hint=".*UTF8")


class Tables(Case):
    def both(self, there, here, *args):
        self.there(there)
        self.here(here)
        return self.run_it(*args)

    def test_vector_dimension_mismatch(self):
        """P-117: dimension mismatch."""
        done = self.both("CREATE TABLE docs (id int, emb vector(3)); INSERT INTO docs VALUES (1, '[1,2,3]')",
                         "CREATE TABLE docs (id int, emb vector(4))")
        self.check(done, REFUSED, r"docs\.emb", "3 on the source, 4 on the target", hint=r".*TYPE .*vector\(3\)")
        self.check_untouched(["docs"])

    def test_halfvec_dimension_mismatch(self):
        done = self.both("CREATE TABLE docs (emb halfvec(3))", "CREATE TABLE docs (emb halfvec(4))")
        self.check(done, REFUSED, r"docs\.emb", "dimension")

    def test_vectors_that_do_not_fit_are_named_when_they_come(self):
        done = self.both("CREATE TABLE docs (id int, emb vector); INSERT INTO docs VALUES (1, '[1,2]'), (2, '[1,2,3]')",
                         "CREATE TABLE docs (id int, emb vector(2))")
        self.check(done, ACT, "expected 2 dimensions, not 3", "docs")
        self.assertEqual(self.here("SELECT * FROM docs"), [])

    def test_column_missing(self):
        done = self.both("CREATE TABLE t (id int, extra text)", "CREATE TABLE t (id int)")
        self.check(done, REFUSED, r"t\.extra", "missing on the target", hint='ALTER TABLE "public"."t" ADD COLUMN "extra" text')
        self.check_untouched(["t"])

    def test_column_of_another_type(self):
        done = self.both("CREATE TABLE t (id bigint)", "CREATE TABLE t (id int)")
        self.check(done, REFUSED, r"t\.id", "bigint on the source, integer on the target")
        self.check_untouched(["t"])

    def test_column_that_only_the_target_has_and_must_have(self):
        done = self.both("CREATE TABLE t (id int)", "CREATE TABLE t (id int, must text NOT NULL)")
        self.check(done, REFUSED, r"t\.must", "NOT NULL", hint=".*default")

    def test_enum_label_that_the_target_lacks(self):
        done = self.both("CREATE TYPE k AS ENUM ('a', 'b'); CREATE TABLE t (k k); INSERT INTO t VALUES ('b')",
                         "CREATE TYPE k AS ENUM ('a'); CREATE TABLE t (k k)")
        self.assertIn(done.status, (REFUSED, ACT))
        self.check(done, done.status, 'enum .*"b"|"b".*enum')
        self.assertEqual(self.here("SELECT * FROM t"), [])

    def test_every_difference_of_a_table_is_named_at_once(self):
        done = self.both("CREATE TABLE t (a int, b text, c int)", "CREATE TABLE t (a text)")
        self.check(done, REFUSED, r"t\.a", r"t\.b", r"t\.c")

    def test_table_missing_for_data_only(self):
        done = self.both("CREATE TABLE a (id int); CREATE TABLE b (id int)", "CREATE TABLE a (id int)", "--data-only")
        self.check(done, REFUSED, '"public"."b"', hint=".*(create|without --data-only)")
        self.check_untouched(["a"])

    def test_a_view_in_its_place(self):
        done = self.both("CREATE TABLE a (id int)", "CREATE VIEW a AS SELECT 1 AS id", "--data-only")
        self.check(done, REFUSED, "view", r"public\.a")

    def test_not_empty(self):
        done = self.both("CREATE TABLE a (id int); INSERT INTO a VALUES (1)",
                         "CREATE TABLE a (id int); INSERT INTO a VALUES (2)")
        self.check(done, REFUSED, "already holds 1 row", hint="--on-existing append")
        self.assertEqual(self.here("SELECT id FROM a"), [["2"]])
        self.check_untouched(["a"])

    def test_unlogged_target(self):
        done = self.both("CREATE TABLE a (id int); INSERT INTO a VALUES (1)", "CREATE UNLOGGED TABLE a (id int)")
        self.check(done, REFUSED, r"public\.a", "unlogged", hint=".*SET LOGGED.*--allow-unlogged")
        self.check_untouched(["a"])
        done = self.run_it("--allow-unlogged")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here("SELECT id FROM a"), [["1"]])

    def test_null_where_the_target_allows_none(self):
        done = self.both("CREATE TABLE a (id int); INSERT INTO a VALUES (1), (NULL)", "CREATE TABLE a (id int NOT NULL)")
        self.check(done, ACT, 'null value in column "id"', '"public"."a"')
        self.assertEqual(self.here("SELECT id FROM a"), [])
        self.here("ALTER TABLE a ALTER id DROP NOT NULL")
        self.resume()
        self.assertEqual(rows(self.target, "public.a", db=self.db), [b"1", b"\\N"])

    def test_duplicate_key_of_a_kept_index(self):
        done = self.both("CREATE TABLE a (id int, v text); INSERT INTO a SELECT i % 60, 'v' FROM generate_series(1, 100) i",
                         "CREATE TABLE a (id int CONSTRAINT one_of_each PRIMARY KEY, v text)")
        self.check(done, ACT, "one_of_each", r"Key \(id\)=\(\d+\)", '"public"."a"')
        self.assertEqual(self.here("SELECT count(*) FROM a"), [["0"]])
        self.here("ALTER TABLE a DROP CONSTRAINT one_of_each")
        self.here("ALTER TABLE a ALTER id DROP NOT NULL")
        self.resume()
        self.assertEqual(rows(self.target, "public.a", db=self.db), rows(self.source, "public.a", db=self.db))

    def test_duplicate_key_in_damaged_source(self):
        """A unique index of the source that lies: its rows arrive, its index cannot be built."""
        self.there("CREATE TABLE a (id int, v text); INSERT INTO a VALUES (1, 'x'), (1, 'y');"
                   "CREATE INDEX a_id ON a (id); UPDATE pg_index SET indisunique = true WHERE indexrelid = 'a_id'::regclass",
                   options={"allow_system_table_mods": "on"})
        done = self.run_it()
        self.check(done, ACT, "a_id", r"\(id\)=\(1\)")
        self.assertEqual(self.here("SELECT count(*) FROM a"), [["2"]])

    def test_foreign_key_that_does_not_hold(self):
        self.there("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p);"
                   "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);"
                   "SET session_replication_role = replica; INSERT INTO c VALUES (77)")
        done = self.run_it()
        self.check(done, ACT, "c_p_fkey", "77")
        self.assertEqual(self.here("SELECT count(*) FROM c"), [["2"]])
        self.here("INSERT INTO p VALUES (77)")
        done = neonferry("resume", self.dir, *self.ends())
        self.assertEqual(done.status, DIFFERENT, done.text)  # the row that was added is not the source's
        self.here("DELETE FROM c WHERE p = 77; DELETE FROM p WHERE p.id = 77")

    def test_check_constraint_that_only_the_target_has(self):
        done = self.both("CREATE TABLE a (id int); INSERT INTO a VALUES (-1)",
                         "CREATE TABLE a (id int CONSTRAINT positive CHECK (id > 0))")
        self.check(done, ACT, "positive", '"public"."a"')


class Rights(Case):
    def test_target_role_that_may_not_create(self):
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        self.target.create_role("guest_" + self.db[:20], "pw")
        guest = self.target.uri(self.db, user="guest_" + self.db[:20])
        self.check(self.run_it(target=guest), REFUSED, "target", "CREATE|create|permission denied",
                   hint=".*(GRANT|owner|owns)")
        self.check_untouched()

    def test_target_role_that_may_not_insert(self):
        """P-117: permission denied."""
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        self.here("CREATE TABLE t (id int)", user="postgres")
        self.check(self.run_it(), REFUSED, r"public\.t", "may not write", hint="grant INSERT|GRANT INSERT")
        self.check_untouched(["t"])

    def test_source_role_that_may_not_read(self):
        self.source.create_role("reader")
        self.there("CREATE TABLE t (id int); CREATE TABLE u (id int); GRANT SELECT ON u TO reader")
        done = self.run_it(source=self.source.uri(self.db, user="reader"))
        self.check(done, REFUSED, '"public"."t"', hint="GRANT SELECT")
        self.check_untouched()

    def test_source_table_under_row_level_security(self):
        self.source.create_role("policed")
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
                   "CREATE POLICY p ON t USING (id > 1); GRANT SELECT ON t TO policed")
        done = self.run_it(source=self.source.uri(self.db, user="policed"))
        self.check(done, REFUSED, '"public"."t"', "row-level security", hint=".*(owner|BYPASSRLS)")
        self.check_untouched()

    def test_source_sequence_that_may_not_be_read(self):
        self.source.create_role("half_reader")
        self.there("CREATE TABLE t (id serial); GRANT SELECT ON t TO half_reader")
        done = self.run_it(source=self.source.uri(self.db, user="half_reader"))
        self.check(done, REFUSED, "t_id_seq", hint=".*(GRANT|grant)")
        self.check_untouched()

    def test_forced_row_level_security_on_the_target(self):
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        self.here("CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        self.check(self.run_it(), REFUSED, r"public\.t", "row-level security", hint=".*NO FORCE ROW LEVEL SECURITY")
        self.check_untouched(["t"])

    def test_database_that_is_read_only(self):
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        self.target.psql('ALTER DATABASE "%s" SET default_transaction_read_only = on' % self.db, db="postgres", user="postgres")
        done = self.run_it()
        self.assertIn(done.status, (0, REFUSED, ACT), done.text)
        if done.status:
            self.check(done, done.status, "read-only")


class Limits(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.target = self.enterContext(make_target())

    def test_too_many_tables_for_the_lock_table(self):
        with make_source(conf={"max_locks_per_transaction": "10", "max_connections": "10",
                               "max_prepared_transactions": "0", "autovacuum_max_workers": "1",
                               "max_wal_senders": "0"}) as source:
            source.psql("DO $$ BEGIN FOR i IN 1..6000 LOOP EXECUTE format('CREATE TABLE t%s (id int)', i);"
                        " IF i % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$")
            done = neonferry("run", "--source", source.uri(), "--target", self.target.uri(), run_dir=self.folder("r"))
            self.assertEqual(done.status, REFUSED, done.text[-2000:])
            self.assertRegex(done.err, r"max_locks_per_transaction")
            self.assertRegex(done.err, r"hint: .*max_locks_per_transaction.*\d+")
            self.assertEqual(self.target.value("SELECT to_regnamespace('neonferry')"), None)

    def test_target_disk_full_then_resumed_with_room(self):
        place = make_dir()
        mount = os.path.join(place, "small")
        os.mkdir(mount)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            os.rmdir(mount)
            os.rmdir(place)
            self.skipTest("no right to mount a small file system")
        try:
            self.disk_full(mount)
        finally:
            self.target.destroy()
            subprocess.run(["umount", mount], check=True)
            os.rmdir(mount)
            os.rmdir(place)

    def disk_full(self, mount):
        os.mkdir(mount + "/space")
        subprocess.run(["chown", "postgres:postgres", mount + "/space"], check=True)
        os.chmod(mount + "/space", 0o700)
        self.target.psql("CREATE TABLESPACE small LOCATION '%s/space'" % mount, user="postgres", db="postgres")
        self.target.psql("GRANT CREATE ON TABLESPACE small TO ferry", user="postgres", db="postgres")
        self.target.psql("CREATE TABLE t (id int, v text) TABLESPACE small")
        self.target.psql("ALTER TABLE t ALTER v SET STORAGE EXTERNAL")
        with make_source() as source:
            source.psql("CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, (SELECT string_agg(md5(i || '/' || k), '')"
                        " FROM generate_series(1, 300) k) FROM generate_series(1, 6000) i")
            ends = ["--source", source.uri(), "--target", self.target.uri()]
            done = neonferry("run", *ends, run_dir=self.folder("r"))
            self.assertEqual(done.status, ACT, done.text)
            self.assertRegex(done.err, "No space left on device")
            self.assertRegex(done.err, "hint: ")
            subprocess.run(["mount", "-o", "remount,size=256m", mount], check=True)
            done = neonferry("resume", self.folder("r"), *ends)
            self.assertEqual(done.status, 0, done.text)
            assert_same(self, source, self.target)


class Others(Case):
    """What others do to the source during the run: they wait or are refused; never fewer rows."""

    def begin(self, sql="", n=4000):
        """A run that is held in the middle of the copy: its target's table takes no rows."""
        self.there("CREATE TABLE t (id int, v text); ALTER TABLE t ALTER v SET STORAGE EXTERNAL; INSERT INTO t "
                   "SELECT i, repeat('x', 5000) FROM generate_series(1, %d) i; %s" % (n, sql))
        self.here("CREATE TABLE t (id int, v text)")
        before = rows(self.source, "public.t", db=self.db)
        lock = self.target.session(db=self.db, user="postgres")
        self.addCleanup(lock.close)
        lock.query("BEGIN; LOCK TABLE t IN SHARE MODE")
        process = self.start("--data-only", "--spill", "none", "--memory", "16M", "--chunk-size", "256k")
        wait_until(lambda: '"phase: copy"' in self.events(), what="the copy to begin")
        return process, lock, before

    def start(self, *args, path=None):
        env = environment()
        if path:
            env["PATH"] = path + ":" + env["PATH"]
        process = subprocess.Popen([NEONFERRY, "run", *self.ends(), "--run-dir", self.dir, *args],
                                   env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def events(self):
        try:
            with open(os.path.join(self.dir, "events.jsonl"), encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def end(self, process, lock, before):
        lock.query("ROLLBACK")
        out = process.communicate(timeout=120)[0].decode()
        self.assertEqual(process.returncode, 0, out)
        self.assertEqual(rows(self.target, "public.t", db=self.db), before)
        return out

    def one_statement(self, sql):
        process, lock, before = self.begin("CREATE INDEX t_id ON t (id)")
        with self.assertRaises(SqlError) as refused:
            self.there("SET lock_timeout = '700ms'; " + sql)
        self.assertEqual(refused.exception.sqlstate, "55P03")
        self.end(process, lock, before)
        self.there(sql)  # the source is free again

    def test_one_that_waits_before_us_is_named_and_the_run_goes_on_without_it(self):
        self.there("CREATE TABLE u (id int); INSERT INTO u VALUES (1), (2)")
        self.here("CREATE TABLE u (id int)")
        process, lock, before = self.begin()
        other = self.source.session(db=self.db)
        self.addCleanup(other.close)
        other.send("TRUNCATE u")
        lock.query("ROLLBACK; BEGIN")  # the copy comes to the small table last
        said = re.compile('waiting for a lock on "public"."u".*process %d' % other.pid)
        wait_until(lambda: said.search(self.events().replace("\\", "")), what="the run to say who is in the way")
        self.assertIsNone(process.poll())
        self.source.psql("SELECT pg_cancel_backend(%d)" % other.pid)
        self.end(process, lock, before)
        self.assertEqual(rows(self.target, "public.u", db=self.db), [b"1", b"2"])

    def test_one_that_waits_between_the_holder_and_pg_dump_is_named(self):
        """pg_dump as we find it, but it waits for our word before it begins."""
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        tools = self.folder("tools")
        os.mkdir(tools)
        os.symlink(os.path.join(bindir(), "pg_restore"), os.path.join(tools, "pg_restore"))
        with open(os.path.join(tools, "pg_dump"), "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\nreal=%s/pg_dump\n[ "$1" = --version ] && exec $real --version\n'
                    'touch %s/ready\nwhile [ ! -e %s/go ]; do sleep 0.05; done\nexec $real "$@"\n'
                    % (bindir(), tools, tools))
            os.fchmod(f.fileno(), 0o755)
        process = self.start(path=tools)
        wait_until(lambda: os.path.exists(tools + "/ready"), what="pg_dump to be called")
        other = self.source.session(db=self.db)
        self.addCleanup(other.close)
        other.send("ALTER TABLE t ADD v text")
        wait_until(lambda: self.source.value("SELECT count(*) FROM pg_locks WHERE pid = %d AND NOT granted"
                                             % other.pid, db=self.db) == "1", what="the ALTER to wait")
        with open(tools + "/go", "w", encoding="utf-8"):
            pass
        said = re.compile(r"pg_dump waits for a table lock in the source: process %d .*waits for .*t" % other.pid)
        wait_until(lambda: said.search(self.events()), timeout=60, what="the run to say who is in the way")
        self.assertIsNone(process.poll())
        self.source.psql("SELECT pg_cancel_backend(%d)" % other.pid)
        out = process.communicate(timeout=120)[0].decode()
        self.assertEqual(process.returncode, 0, out)
        self.assertEqual(rows(self.target, "public.t", db=self.db), [b"1"])

    def test_truncate_waits(self):
        self.one_statement("TRUNCATE t")

    def test_drop_waits(self):
        self.one_statement("DROP TABLE t")

    def test_vacuum_full_waits(self):
        self.one_statement("VACUUM FULL t")

    def test_cluster_waits(self):
        self.one_statement("CLUSTER t USING t_id")

    def test_alter_type_waits(self):
        self.one_statement("ALTER TABLE t ALTER id TYPE bigint")

    def test_drop_column_waits(self):
        self.one_statement("ALTER TABLE t DROP COLUMN v")

    def test_rows_that_come_and_go_are_not_seen(self):
        process, lock, before = self.begin()
        self.there("DELETE FROM t WHERE id % 2 = 0; UPDATE t SET v = 'new'; INSERT INTO t VALUES (-1, 'late')")
        self.there("VACUUM t")
        self.end(process, lock, before)

    def test_a_plan_that_waits_for_a_table_is_stopped_by_a_second_signal(self):
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        holder = self.source.session(db=self.db)
        self.addCleanup(holder.close)
        holder.query("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen([NEONFERRY, "plan", *self.ends()], env=environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        wait_until(lambda: self.there("SELECT 1 FROM pg_locks WHERE NOT granted"), what="the plan to wait")
        process.send_signal(signal.SIGINT)
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=5)[1].decode()
        self.assertEqual(process.returncode, STOPPED, error)

    def test_a_table_that_somebody_holds_is_waited_for_and_that_is_said(self):
        self.there("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        holder = self.source.session(db=self.db)
        self.addCleanup(holder.close)
        holder.query("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        process = self.start()
        time.sleep(4)
        self.assertIsNone(process.poll())
        holder.query("INSERT INTO t VALUES (2); COMMIT")
        out = process.communicate(timeout=60)[0].decode()
        self.assertEqual(process.returncode, 0, out)
        self.assertIn("waiting", out)
        self.assertEqual(rows(self.target, "public.t", db=self.db), [b"1", b"2"])


if __name__ == "__main__":
    unittest.main()
