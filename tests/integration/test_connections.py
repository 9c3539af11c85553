"""How the two ends are found, told apart and reached; and that no password is ever shown."""

import glob
import os
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY_PASSWORD, free_port, make_target, wait_until  # noqa: E402
from ends import Servers  # noqa: E402
from moving import NEONFERRY, assert_same, environment, neonferry  # noqa: E402

SOURCE_PASSWORD = "Sourcer3t:'\\x"
BOUNCER = "/usr/sbin/pgbouncer"


class Pair(Servers):
    source_options = {"password": SOURCE_PASSWORD}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source.psql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")

    def setUp(self):
        self.dir = self.folder(self._testMethodName)

    def plan(self, *args, **env):
        """What is said about the ends: plan writes nothing."""
        return neonferry("plan", *args, env=env)

    def check_from(self, done, source, target):
        self.assertEqual(done.status, 0, done.text)
        self.assertRegex(done.err, r"source: \S+ \(from %s\)" % source)
        self.assertRegex(done.err, r"target: \S+ \(from %s\)" % target)


class WhereFrom(Pair):
    def test_the_source_in_its_order(self):
        """Each variable gives way to those before it, which are added one by one (P-109)."""
        s = self.source
        target = ["--target", self.target.uri()]
        env = {"PGHOST": s.host, "PGPORT": str(s.port), "PGUSER": "postgres", "PGDATABASE": s.db,
               "PGPASSWORD": SOURCE_PASSWORD}
        self.check_from(self.plan(*target, **env), r"PG\*", "--target")
        env.update(PGDATABASE="wrong", POSTGRES_HOST=s.host, POSTGRES_PORT=str(s.port), POSTGRES_USER="postgres",
                   POSTGRES_DB=s.db, POSTGRES_PASSWORD=SOURCE_PASSWORD)
        self.check_from(self.plan(*target, **env), r"POSTGRES_\*", "--target")
        env.update(POSTGRES_DB="wrong", LOCAL_DB_HOST=s.host, LOCAL_DB_PORT=str(s.port), LOCAL_DB_USER="postgres",
                   LOCAL_DB_NAME=s.db, LOCAL_DB_PASSWORD=SOURCE_PASSWORD)
        self.check_from(self.plan(*target, **env), r"LOCAL_DB_\*", "--target")
        env.update(LOCAL_DB_NAME="wrong", SOURCE_DATABASE_URL=s.uri())
        self.check_from(self.plan(*target, **env), "SOURCE_DATABASE_URL", "--target")
        env.update(SOURCE_DATABASE_URL=s.uri("wrong"))
        self.check_from(self.plan("--source", s.uri(), *target, **env), "--source", "--target")

    def test_the_target_in_its_order(self):
        """P-109; P-201: the direct address before the pooled one."""
        right, wrong = self.target.uri(), self.target.uri("wrong")
        source = ["--source", self.source.uri()]
        env = {"DATABASE_URL": right}
        self.check_from(self.plan(*source, "--yes", **env), "--source", "DATABASE_URL")
        env.update(DATABASE_URL=wrong, DATABASE_URL_UNPOOLED=right)
        self.check_from(self.plan(*source, **env), "--source", "DATABASE_URL_UNPOOLED")
        env.update(DATABASE_URL_UNPOOLED=wrong, NEON_DATABASE_URL=right)
        self.check_from(self.plan(*source, **env), "--source", "NEON_DATABASE_URL")
        env.update(NEON_DATABASE_URL=wrong)
        self.check_from(self.plan(*source, "--target", right, **env), "--source", "--target")

    def test_database_url_needs_a_confirmation(self):
        done = self.plan("--source", self.source.uri(), DATABASE_URL=self.target.uri())
        self.assertNotEqual(done.status, 0, done.text)
        self.assertIn("DATABASE_URL", done.err)
        self.assertIn("--yes", done.err)
        self.assertEqual(self.target.value("SELECT to_regnamespace('neonferry')"), None)

    def test_keyword_strings(self):
        s = self.source
        words = "host=%s port=%d user=postgres dbname=%s" % (s.host, s.port, s.db)
        done = self.plan("--source", words, "--target", self.target.uri(), PGPASSWORD=SOURCE_PASSWORD)
        self.check_from(done, "--source", "--target")

    def test_service_and_password_file(self):
        """P-109: PGSERVICEFILE and PGPASSFILE."""
        s, t = self.source, self.target
        service, passfile = self.folder("services"), self.folder("passfile")
        with open(service, "w", encoding="utf-8") as f:
            f.write("[old]\nhost=%s\nport=%d\nuser=postgres\ndbname=%s\n"
                    "[new]\nhost=%s\nport=%d\nuser=ferry\ndbname=%s\nsslmode=require\n" % (
                        s.host, s.port, s.db, t.host, t.port, t.db))
        with open(os.open(passfile, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
            for c, secret in ((s, SOURCE_PASSWORD), (t, FERRY_PASSWORD)):
                f.write("%s:%d:*:*:%s\n" % (c.host, c.port, secret.replace("\\", "\\\\").replace(":", "\\:")))
        done = neonferry("run", "--source", "service=old", "--target", "service=new", run_dir=self.dir,
                         env={"PGSERVICEFILE": service, "PGPASSFILE": passfile})
        self.assertEqual(done.status, 0, done.text)
        assert_same(self, s, t)


class TheSameDatabase(Pair):
    """Names prove nothing: a lock that is taken here is seen there."""

    def check_refused(self, source, target, db):
        done = neonferry("run", "--source", source, "--target", target, run_dir=self.dir)
        self.assertEqual(done.status, 3, done.text)
        self.assertIn("the same database", done.err)
        self.dir += "-again"
        self.assertIn("hint:", done.err)
        self.assertEqual(self.source.value("SELECT to_regnamespace('neonferry')", db=db), None)

    def test_by_every_name_and_route(self):
        s = self.source
        self.check_refused(s.uri(), s.uri(), s.db)
        self.check_refused(s.uri(), s.uri().replace("127.0.0.1", "localhost"), s.db)
        self.check_refused(s.uri(), s.socket_uri(), s.db)

    def test_as_another_role(self):
        self.source.create_role("somebody", "pw", "LOGIN SUPERUSER")
        self.check_refused(self.source.uri(), self.source.uri(user="somebody"), self.source.db)

    def test_through_a_pooler(self):
        if not os.access(BOUNCER, os.X_OK):
            self.skipTest("pgbouncer is not installed")
        port, conf = free_port(), self.folder("bouncer.ini")
        os.chmod(self.folder.path, 0o755)
        with open(conf, "w", encoding="utf-8") as f:
            f.write("[databases]\n* = host=%s port=%d user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                    "listen_port = %d\nauth_type = any\npool_mode = session\nunix_socket_dir =\n"
                    "ignore_startup_parameters = extra_float_digits,search_path,options\n" % (
                        self.source.socket_dir, self.source.port, port))
        as_postgres = {"user": "postgres"} if os.geteuid() == 0 else {}
        with subprocess.Popen([BOUNCER, conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              **as_postgres) as bouncer:
            try:
                uri = "postgresql://postgres@127.0.0.1:%d/%s" % (port, self.source.db)
                wait_until(lambda: subprocess.run(["psql", "-XAtc", "SELECT 1", uri], check=False,
                                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                                  env=environment()).returncode == 0, what="pgbouncer")
                self.check_refused(self.source.uri(), uri, self.source.db)
            finally:
                bouncer.terminate()

    def test_another_database_of_the_same_server_is_fine(self):
        self.source.create_database("elsewhere")
        done = neonferry("run", "--source", self.source.uri(), "--target", self.source.uri("elsewhere"),
                         run_dir=self.dir)
        self.assertEqual(done.status, 0, done.text)
        assert_same(self, self.source, self.source, self.source.db, "elsewhere")


class Certificates(Pair):
    def test_verify_full_with_the_right_one(self):
        done = self.plan("--source", self.source.uri(), "--target",
                         self.target.uri(sslmode="verify-full", sslrootcert=self.target.ca))
        self.assertEqual(done.status, 0, done.text)

    def test_verify_full_refuses_a_wrong_authority(self):
        with make_target(vector=False) as other:
            done = neonferry("run", "--source", self.source.uri(), "--target",
                             self.target.uri(sslmode="verify-full", sslrootcert=other.ca), run_dir=self.dir)
        self.assertEqual(done.status, 3, done.text)
        self.assertRegex(done.err, "target.*certificate verify failed")
        self.assertIn("hint:", done.err)
        self.assertNotIn("password authentication", self.target.log_text())

    def test_verify_full_refuses_a_wrong_name(self):
        uri = self.target.uri(sslmode="verify-full", sslrootcert=self.target.ca).replace("127.0.0.1", "127.0.0.2")
        done = neonferry("run", "--source", self.source.uri(), "--target", uri + "&hostaddr=127.0.0.1",
                         run_dir=self.dir)
        self.assertEqual(done.status, 3, done.text)
        self.assertRegex(done.err, "target.*does not match host name")
        self.assertIn("hint:", done.err)

    # ---- sslmode=require, which libpq does not verify ------------------------------------------

    def by_name(self, name):
        return self.target.uri(sslmode="require", hostaddr="127.0.0.1").replace("@127.0.0.1", "@" + name)

    def test_require_on_neon_is_verified_with_the_roots_of_the_system(self):
        """Sessions of our own and those of pg_dump's kind alike; and what is remembered is what was given."""
        target = self.by_name("ep-a.test.neon.tech")
        done = neonferry("run", "--source", self.source.uri(), "--target", target, run_dir=self.dir,
                         env={"SSL_CERT_FILE": self.target.ca})
        self.assertEqual(done.status, 0, done.text)
        with open(os.path.join(self.dir, "run.json"), encoding="utf-8") as f:
            run = f.read()
        self.assertIn("sslmode='require'", run)
        self.assertNotIn("sslrootcert", run)

    def test_require_on_neon_refuses_a_wrong_authority_and_a_wrong_name(self):
        with make_target(vector=False) as other:
            for name, roots, words in (("ep-a.test.neon.tech", other.ca, "certificate verify failed"),
                                       ("ep-a.elsewhere.neon.tech", self.target.ca, "does not match host name")):
                done = neonferry("run", "--source", self.source.uri(), "--target", self.by_name(name), run_dir=self.dir + name,
                                 env={"SSL_CERT_FILE": roots})
                self.assertEqual(done.status, 3, done.text)
                self.assertIn(words, done.err)
                self.assertIn("hint:", done.err)

    def test_require_elsewhere_and_without_roots_is_as_libpq_has_it(self):
        with make_target(vector=False) as other:
            for name, roots in (("db.example.org", other.ca), ("ep-a.test.neon.tech", "/nonexistent")):
                done = self.plan("--source", self.source.uri(), "--target", self.by_name(name), SSL_CERT_FILE=roots)
                self.assertEqual(done.status, 0, done.text)


class Watch(threading.Thread):
    """Argument lists of every process with a mark in its environment, for as long as it runs."""

    def __init__(self, mark):
        super().__init__(daemon=True)
        self.mark, self.seen, self.done = mark.encode(), {}, False

    def run(self):
        while not self.done:
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                try:
                    with open(path, "rb") as f:
                        words = f.read()
                    if words in self.seen:
                        continue
                    with open(os.path.dirname(path) + "/environ", "rb") as f:
                        if self.mark in f.read():
                            self.seen[words] = path
                except OSError:
                    continue
            time.sleep(0.002)


class Passwords(Pair):
    SECRETS = (SOURCE_PASSWORD, FERRY_PASSWORD, "ferry%20pass%2Fword%401", "Sourcer3t%3A%27%5Cx")

    def check_clean(self, what, text):
        for secret in self.SECRETS:
            self.assertNotIn(secret, text, what)
        self.assertNotIn("Sourcer3t", text, what)

    def check_folder(self):
        names = [os.path.join(folder, name) for folder, _, files in os.walk(self.dir) for name in files]
        self.assertTrue(names)
        for name in names:
            with open(name, "rb") as f:
                self.check_clean(name, f.read().decode("latin-1"))
            self.assertEqual(os.stat(name).st_mode & 0o077, 0, name)

    def test_never_shown(self):
        """P-109: passwords, in no output, file, argument or table."""
        watch = Watch("WATCHED=" + self.dir)
        watch.start()
        env = {"WATCHED": self.dir, "SOURCE_DATABASE_URL": self.source.uri(), "NEON_DATABASE_URL": self.target.uri()}
        done = neonferry("run", "--json", run_dir=self.dir, env=env)
        watch.done = True
        watch.join()
        self.assertEqual(done.status, 0, done.text)
        self.check_clean("output", done.text)
        self.check_folder()
        programs = [words.decode("latin-1") for words in watch.seen]
        self.assertTrue(any("pg_dump" in words for words in programs), "pg_dump was not seen")
        for words in programs:
            self.check_clean("arguments", words)
        for command in "status", "plan":
            done = neonferry(command, self.dir)
            self.check_clean(command, done.text)
        ledger = self.target.psql("SELECT r::text FROM neonferry.run r")
        self.check_clean("ledger", str(ledger))

    def test_given_as_an_argument_it_is_wiped_from_the_list(self):
        with subprocess.Popen([NEONFERRY, "run", "--source", self.source.uri(), "--target", self.target.uri(),
                               "--on-existing", "truncate", "--run-dir", self.dir], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()) as process:
            wait_until(lambda: os.path.exists(os.path.join(self.dir, "run.json")), what="the run to begin")
            with open("/proc/%d/cmdline" % process.pid, "rb") as f:
                self.check_clean("own arguments", f.read().decode("latin-1"))
            self.check_clean("output", process.communicate(timeout=60)[0].decode())
        self.check_folder()

    def test_not_in_the_error_of_a_refused_connection(self):
        for source, target in ((self.source.uri(password="Sourcer3t2"), self.target.uri()),
                               (self.source.uri(), self.target.uri("nosuch")),
                               (self.source.uri().replace(str(self.source.port), "port"), self.target.uri())):
            done = neonferry("run", "--source", source, "--target", target, "--run-dir", self.dir + "-x")
            self.assertIn(done.status, (2, 3), done.text)
            self.check_clean("error", done.text)
            self.dir += "-y"


if __name__ == "__main__":
    unittest.main()
