#!/usr/bin/env python3
"""What is done before a run and kept with it: backup, point to go back to, locks; and who is told at its end.

P-101 backup, P-011 restore point, P-118 migrate_to_neon.sh, P-308 --notify, P-409 check --locks.
"""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, REPO, bindir, make_source, make_target, psql_env  # noqa: E402
from hook import make_hook  # noqa: E402
from moving import NEONFERRY, assert_same, environment, neonferry  # noqa: E402

FILL = """
CREATE TABLE plain (id int PRIMARY KEY, t text);
INSERT INTO plain SELECT i, md5(i::text) FROM generate_series(1, 2000) i;
CREATE TABLE other (v vector(3)); INSERT INTO other VALUES ('[1,2,3]');
"""
# A neonctl that writes down how it was called, and answers as the real one does.
NEONCTL = """#!/bin/sh
echo "$NEON_API_KEY $*" >>"$0.calls"
[ ! -e "$0.refuses" ] || { echo "ERROR: branches limit exceeded" >&2; exit 1; }
echo '{"branch": {"id": "br-copy-1", "name": "x", "parent_id": "br-main-1"}, "endpoints": []}'
"""
KEY = "napi_SECRET"


class Case(unittest.TestCase):
    n = 0

    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(make_source())
        cls.target = cls.enterClassContext(make_target())
        cls.source.psql(FILL)

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        Case.n += 1
        self.db = "t%d" % Case.n
        self.target.create_database(self.db, owner=FERRY)
        self.env = {"SOURCE_DATABASE_URL": self.source.uri(), "NEON_DATABASE_URL": self.target.uri(db=self.db)}

    def at(self, name):
        return os.path.join(self.folder, name)

    def call(self, *args, env=None, **kw):
        return neonferry(*args, env=dict(self.env, **(env or {})), cwd=self.folder, **kw)

    def files(self):
        return sorted(os.listdir(self.folder))


class Backup(Case):
    def test_P_101_a_backup_is_made_proven_described_and_can_be_loaded(self):
        """P-101, P-114, P-407: one compressed file, read again, described, and loaded by pg_restore."""
        done = self.call("backup", "--json")
        self.assertEqual(done.status, 0, done.text)
        told = json.loads(done.out)
        name = os.path.basename(told["file"])
        self.assertRegex(name, r"^backup_%s_\d{8}_\d{6}\.dump$" % self.source.db)
        self.assertEqual(self.files(), [name, name + ".json"])
        self.assertEqual(stat.S_IMODE(os.stat(told["file"]).st_mode), 0o600)
        with open(told["file"], "rb") as f:
            content = f.read()
        self.assertEqual((told["bytes"], told["sha256"]), (len(content), hashlib.sha256(content).hexdigest()))
        self.assertEqual(told["tables"], 2)
        self.assertGreater(told["entries"], 4)
        with open(told["file"] + ".json") as f:
            self.assertEqual(json.load(f), told)
        subprocess.run([os.path.join(bindir(), "pg_restore"), "--no-owner", "--no-comments", "-d",
                        self.target.socket_uri(self.db, "postgres"), told["file"]], env=psql_env(), check=True)
        assert_same(self, self.source, self.target, target_db=self.db)

    def test_P_407_a_target_that_went_wrong_goes_back_to_its_backup(self):
        """P-407: pg_restore --clean over what is there now."""
        self.assertEqual(self.call("run").status, 0)
        done = self.call("backup", "--json", "--source", self.target.uri(db=self.db))
        self.assertEqual(done.status, 0, done.text)
        self.target.psql("UPDATE plain SET t = 'wrong'; DROP TABLE other", db=self.db)
        subprocess.run([os.path.join(bindir(), "pg_restore"), "--clean", "--if-exists", "--no-owner", "--no-comments",
                        "-n", "public", "-d", self.target.socket_uri(self.db, "postgres"), json.loads(done.out)["file"]],
                       env=psql_env(), check=True)
        assert_same(self, self.source, self.target, target_db=self.db)

    def test_P_101_the_run_knows_it(self):
        """P-101: the run's result names the backup."""
        made = self.call("backup", "--output", "b.dump", run_dir=self.at("run"))
        self.assertEqual(made.status, 0, made.text)
        done = self.call("run", run_dir=self.at("run"))
        self.assertEqual(done.status, 0, done.text)
        self.assertIn("b.dump", done.out)
        with open(self.at("run/summary.json")) as f:
            backup = json.load(f)["facts"]["backup"]
        self.assertEqual((backup["file"], backup["tables"]), (os.path.realpath(self.at("b.dump")), 2))

    def test_it_replaces_nothing_and_leaves_nothing(self):
        self.assertEqual(self.call("backup", "--output", "b.dump").status, 0)
        before = self.files()
        again = self.call("backup", "--output", "b.dump")
        self.assertEqual(again.status, 2, again.text)
        self.assertRegex(again.err, r"b\.dump is there already\n +hint: ")
        for options, status, words in (
                (("--output", "nowhere/b.dump"), 2, "nowhere/b.dump"),
                (("--output", "c.dump", "--source", self.source.uri(db="nosuch")), 3, "nosuch"),
                (("--output", "c.dump", "--target", "x"), 2, "--target")):
            done = self.call("backup", *options)
            self.assertEqual(done.status, status, done.text)
            self.assertIn(words, done.err)
        self.assertEqual(self.files(), before)

    def test_not_into_the_run_folder_which_forget_removes(self):
        done = self.call("backup", "--output", self.at("run/b.dump"), run_dir=self.at("run"))
        self.assertEqual(done.status, 2, done.text)
        self.assertIn("forget", done.err)

    def test_a_damaged_archive_gets_no_name(self):
        """A pg_dump that ends well and wrote a file that cannot be unpacked: the list alone would pass."""
        tools = self.at("tools")
        os.mkdir(tools)
        with open(os.path.join(tools, "pg_dump"), "w") as f:
            f.write('#!/bin/sh\n[ "$1" = --version ] && exec %s/pg_dump --version\nfor last; do :; done\n'
                    '%s/pg_dump "$@" || exit\nsize=$(stat -c %%s "$last")\n'
                    'dd if=/dev/zero of="$last" bs=1 count=40 seek=$((size - 60)) conv=notrunc 2>/dev/null\n'
                    % (bindir(), bindir()))
        with open(os.path.join(tools, "pg_restore"), "w") as f:
            f.write('#!/bin/sh\nexec %s/pg_restore "$@"\n' % bindir())
        for name in os.listdir(tools):
            os.chmod(os.path.join(tools, name), 0o755)
        done = self.call("backup", "--output", "b.dump", env={"PATH": tools + ":" + os.environ["PATH"]})
        self.assertEqual(done.status, 5, done.text)
        self.assertIn("reading the backup again", done.err)
        self.assertEqual(self.files(), ["tools"])


class RestorePoint(Case):
    def neonctl(self):
        folder = self.at("bin")
        os.mkdir(folder)
        path = os.path.join(folder, "neonctl")
        with open(path, "w") as f:
            f.write(NEONCTL)
        os.chmod(path, 0o755)
        self.target.psql("ALTER DATABASE %s SET neon.project_id = 'soft-dew-1'; "
                         "ALTER DATABASE %s SET neon.branch_id = 'br-main-1'" % (self.db, self.db), user="postgres")
        return path, {"PATH": folder + ":" + os.environ["PATH"], "NEON_API_KEY": KEY}

    def test_P_011_the_position_is_recorded_and_kept_by_the_run(self):
        """P-011, P-407: where the target can be set back to."""
        made = self.call("restore-point", "--json", run_dir=self.at("run"))
        self.assertEqual(made.status, 0, made.text)
        point = json.loads(made.out)
        self.assertRegex(point["lsn"], r"^[0-9A-F]+/[0-9A-F]+$")
        self.assertNotIn("go_back", point)
        self.target.psql("SELECT pg_switch_wal()", user="postgres")
        done = self.call("run", run_dir=self.at("run"))
        self.assertEqual(done.status, 0, done.text)
        with open(self.at("run/summary.json")) as f:
            self.assertEqual(json.load(f)["facts"]["restore_point"], point)
        again = self.call("restore-point", run_dir=self.at("run"))
        self.assertEqual(again.status, 2, again.text)
        self.assertIn("is there already", again.err)

    def test_every_run_records_it_before_its_first_write(self):
        """P-011: without being asked."""
        before = self.target.value("SELECT pg_current_wal_flush_lsn()", user="postgres")
        done = self.call("run", run_dir=self.at("run"))
        self.assertEqual(done.status, 0, done.text)
        with open(self.at("run/restore-point.json")) as f:
            point = json.load(f)
        with open(self.at("run/summary.json")) as f:
            self.assertEqual(json.load(f)["facts"]["restore_point"], point)
        written = self.target.psql("SELECT '%s' <= lsn AND lsn < pg_current_wal_lsn() - 10000 FROM (SELECT "
                                   "'%s'::pg_lsn) x (lsn)" % (before, point["lsn"]), user="postgres")
        self.assertEqual(written[0][0], "t")

    def test_P_011_with_a_key_neonctl_makes_a_branch(self):
        """P-011: NEON_API_KEY, a branch, the command to go back."""
        path, env = self.neonctl()
        done = self.call("restore-point", "--json", env=env)
        self.assertEqual(done.status, 0, done.text)
        point = json.loads(done.out)
        self.assertEqual((point["project"], point["branch"], point["backup_branch_id"]),
                         ("soft-dew-1", "br-main-1", "br-copy-1"))
        self.assertEqual(point["go_back"], "neonctl branches restore br-main-1 br-copy-1 --project-id soft-dew-1 "
                                           "--preserve-under-name before-restore")
        with open(path + ".calls") as f:
            call = f.read()
        self.assertRegex(call, r"^%s branches create --project-id soft-dew-1 --name before-neonferry-[-\d]+ "
                               r"--no-compute --output json --no-analytics --parent br-main-1\n$" % KEY)
        self.assertNotIn(KEY, done.text)

    def test_a_branch_that_cannot_be_made_is_an_error_and_the_position_is_shown(self):
        path, env = self.neonctl()
        with open(path + ".refuses", "w"):
            pass
        done = self.call("restore-point", env=env)
        self.assertEqual(done.status, 3, done.text)
        self.assertIn("branches limit exceeded", done.err)
        self.assertRegex(done.out, r"lsn +[0-9A-F]+/")
        os.unlink(path)
        done = self.call("restore-point", env=dict(env, PATH="/usr/bin:/bin"))
        self.assertEqual(done.status, 2, done.text)
        self.assertIn("npm install -g neonctl", done.err)
        self.assertNotIn(KEY, done.text)

    def test_without_a_key_the_command_to_go_back_is_told(self):
        self.neonctl()
        done = self.call("restore-point")
        self.assertEqual(done.status, 0, done.text)
        self.assertRegex(done.out, r"neonctl branches restore br-main-1 \^self@[0-9A-F]+/[0-9A-F]+ --project-id soft-dew-1")
        self.assertIn("every database of the branch", done.err)


class Around(Case):
    def test_P_308_the_end_of_a_run_is_posted(self):
        """P-308: also of one that was refused."""
        hook, url = make_hook(self)
        good = self.call("run", "--notify", url, run_dir=self.at("run"))
        self.target.psql("ALTER TABLE plain ALTER t SET NOT NULL", db=self.db)
        bad = self.call("run", "--notify", url, run_dir=self.at("run2"))  # the target holds rows now
        self.assertEqual((good.status, bad.status), (0, 7), bad.text)  # the same rows: already there
        refused = self.call("run", "--target", self.target.uri(db="nosuch"), env={"NEONFERRY_NOTIFY": url})
        self.assertEqual(refused.status, 3, refused.text)
        texts = [message["text"] for _, _, message in hook.received]
        self.assertRegex(texts[0], r"^neonferry run \S+, .* to .*: Everything asked for is done and proven\. "
                                   r"\(exit status 0\)$")
        different = "All rows asked for are there and proven, but definitions differ: see the report."
        with open(os.path.join(self.at("run2"), "summary.json"), encoding="utf-8") as f:
            self.assertIn(different, json.load(f)["means"])
        self.assertIn(different, texts[1])
        self.assertIn(different, bad.text)
        self.assertRegex(texts[2], r"nosuch.*\(exit status 3\)$")
        for done in (good, bad, refused):
            self.assertNotIn("SECRET", done.text)
        self.assertNotIn("ferry pass", json.dumps(texts))

    def test_P_208_P_309_histories_of_other_tools_are_carried_over(self):
        """P-208, P-309; P-012, P-408: and every table of a run has its statistics and is vacuumed."""
        self.source.psql("CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL,"
                         " finished_at timestamptz, migration_name varchar(255) NOT NULL);"
                         "INSERT INTO _prisma_migrations SELECT n, md5(n::text), now(), 'm' || n FROM"
                         " generate_series(1, 40) n;"
                         "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,"
                         " success boolean NOT NULL, checksum bytea NOT NULL);"
                         "INSERT INTO _sqlx_migrations SELECT n, 'm' || n, true, sha256(n::text::bytea) FROM"
                         " generate_series(1, 40) n")
        self.addCleanup(self.source.psql, "DROP TABLE _prisma_migrations, _sqlx_migrations")
        done = self.call("run")
        self.assertEqual(done.status, 0, done.text)
        assert_same(self, self.source, self.target, target_db=self.db)
        self.assertEqual(self.target.value("SELECT count(DISTINCT tablename) FROM pg_stats WHERE tablename IN ('plain',"
                                           " '_prisma_migrations', '_sqlx_migrations')", db=self.db), "3")
        # VACUUM passes by a page that the proof reads at the same moment
        self.assertEqual(self.target.value("SELECT relpages > 9 AND relallvisible > relpages / 2 FROM pg_class WHERE"
                                           " relname = 'plain'", db=self.db), "t")

    def test_P_409_check_shows_who_holds_locks(self):
        """P-409: process, state, lock and statement."""
        done = self.call("check", "--locks")
        self.assertEqual(done.status, 0, done.text)
        self.assertRegex(done.out, r"ok +source +locks")
        with self.source.session() as session:
            session.query("BEGIN")
            session.query("LOCK TABLE plain")
            done = self.call("check", "--locks")
            self.assertRegex(done.out, r"note +source +locks +pid \d+ .*idle in transaction.*AccessExclusiveLock on "
                                       r"(public\.)?plain.*LOCK TABLE plain")
            self.assertNotRegex(self.call("check").out, r"source +locks")

    def test_check_tells_of_search_settings_that_a_run_does_not_carry(self):
        """Without them definitions differ after the run, which then does not end with 0."""
        self.source.psql("ALTER DATABASE %s SET hnsw.ef_search = 100" % self.source.db)
        self.addCleanup(self.source.psql, "ALTER DATABASE %s RESET hnsw.ef_search" % self.source.db)
        self.assertRegex(self.call("check").out, r"note +target +search settings +none; .*hnsw\.ef_search=100")
        self.assertEqual(self.call("run").status, 7)
        self.target.psql("SELECT '[1]'::vector; ALTER DATABASE %s SET hnsw.ef_search = 100" % self.db, db=self.db)
        self.assertRegex(self.call("check").out, r"ok +target +search settings +hnsw\.ef_search=100")
        self.assertEqual(self.call("run").status, 0)

    def test_check_knows_which_extensions_the_role_may_create(self):
        self.source.psql("CREATE EXTENSION pageinspect")
        self.addCleanup(self.source.psql, "DROP EXTENSION pageinspect")
        done = self.call("check")
        self.assertRegex(done.out, r"stop +target +extension +pageinspect \S+: only a superuser may create it there: "
                                   r"CREATE EXTENSION pageinspect")
        self.target.psql("CREATE EXTENSION pageinspect", db=self.db, user="postgres")
        done = self.call("check")
        self.assertRegex(done.out, r"ok +target +extension +pageinspect")

    def test_P_103_check_knows_the_room_and_what_is_in_the_way(self):
        """P-103: and what to do about it."""
        done = self.call("check")
        self.assertRegex(done.out, r"ok +here +room +\d.* free in \. .*\n")
        self.assertRegex(done.out, r"ok +target +room +this server tells no size limit")
        self.assertRegex(done.out, r"ok +source +blockers")
        self.target.psql("ALTER DATABASE %s SET neon.max_cluster_size = '1MB'" % self.db, user="postgres")
        with self.source.session() as session:
            session.query("BEGIN")
            session.query("LOCK TABLE plain")
            done = self.call("check")
        self.assertEqual(done.status, 0, done.text)
        self.assertRegex(done.out, r"note +source +blockers +.*pid \d+ \(\w+, idle in transaction for \d+ s\) on "
                                   r"(public\.)?plain; let them end")
        self.assertRegex(done.out, r"note +target +room +the project may hold 1\.0 MB.*raise the limit")

    def test_P_102_what_the_source_held_before_is_in_the_folder_and_beside_the_target_in_the_report(self):
        """P-102: sizes, indexes, versions of the extensions."""
        done = self.call("run", "--run-dir", self.at("run"))
        self.assertEqual(done.status, 0, done.text)
        with open(self.at("run/statistics.json")) as f:
            before = json.load(f)
        with open(self.at("run/report/report.json")) as f:
            both = json.load(f)["transfer"]["run"]["statistics"]
        self.assertEqual(both["source"], before)
        real = {end: server.value("SELECT extversion FROM pg_extension WHERE extname = 'vector'", db=db)
                for end, server, db in (("source", self.source, None), ("target", self.target, self.db))}
        for end, version in real.items():
            tables = {t["table"]: t for t in both[end]["tables"]}
            self.assertEqual(both[end]["extensions"]["vector"], version)
            self.assertEqual(tables['"public"."plain"']["indexes"], ["plain_pkey"])
            self.assertIsNone(tables['"public"."other"']["indexes"])
            self.assertGreater(tables['"public"."plain"']["bytes"], 100000)
        size = self.source.value("SELECT pg_table_size('plain')")
        self.assertEqual({t["table"]: t["bytes"] for t in before["tables"]}['"public"."plain"'], int(size))
        with open(self.at("run/report/report.html")) as f:
            self.assertIn("source before: PostgreSQL", f.read())

    def test_P_115_what_was_written_in_the_target_since_can_be_carried_back(self):
        """P-115: a run with its ends exchanged."""
        self.assertEqual(self.call("run").status, 0)
        self.target.psql("INSERT INTO plain VALUES (9001, 'since'); DELETE FROM plain WHERE id = 7;"
                         "UPDATE other SET v = '[3,2,1]'; CREATE TABLE later (id int); INSERT INTO later VALUES (1)",
                         db=self.db)
        back = "back%d" % Case.n
        self.source.create_database(back)
        done = self.call("run", "--source", self.target.uri(db=self.db), "--target", self.source.uri(db=back))
        self.assertEqual(done.status, 0, done.text)
        assert_same(self, self.target, self.source, source_db=self.db, target_db=back)
        self.assertEqual(self.source.value("SELECT t FROM plain WHERE id = 9001", db=back), "since")

    def test_P_116_a_run_stays_under_the_limit_of_sessions_and_says_so(self):
        """P-116: no connection of it is refused."""
        for limit, senders in ((5, "senders 1 instead of 8"), (11, "senders 4 instead of 8"), (-1, None)):
            with self.subTest(limit=limit):
                self.target.psql("ALTER ROLE %s CONNECTION LIMIT %d" % (FERRY, limit), user="postgres")
                self.target.psql("DROP DATABASE %s" % self.db, user="postgres")
                self.target.create_database(self.db, owner=FERRY)
                before = self.target.log_text().count("too many connections for role")
                done = self.call("run", "--senders", "8")
                self.assertEqual(done.status, 0, done.text)
                if senders:
                    self.assertIn(senders, done.text)
                else:
                    self.assertNotIn("instead of 8", done.text)
                self.assertEqual(self.target.log_text().count("too many connections for role"), before)

    def test_a_run_without_standard_descriptors_writes_into_no_file_of_its_own(self):
        argv = "'%s' run --run-dir '%s' <&- >&- 2>&-" % (NEONFERRY, self.at("run"))
        done = subprocess.run(["bash", "-c", argv], env=environment(**self.env), timeout=120, check=False)
        self.assertEqual(done.returncode, 0)
        assert_same(self, self.source, self.target, target_db=self.db)
        with open(self.at("run/summary.json")) as f:
            self.assertEqual(json.load(f)["verdict"], "proven")
        with open(self.at("run/events.jsonl")) as f:
            for line in f:
                json.loads(line)

    def test_P_118_the_script_of_old_moves_the_database(self):
        """P-118: scripts/migrate_to_neon.sh and its variables."""
        host, port = self.source.uri(), self.source.port
        env = environment(NEON_DATABASE_URL=self.target.uri(db=self.db), NEONFERRY=NEONFERRY, LOCAL_DB_PORT=str(port),
                          LOCAL_DB_NAME=re.search(r"/([^/?]+)(\?|$)", host).group(1), LOCAL_DB_HOST="127.0.0.1",
                          LOCAL_DB_USER=re.search(r"//([^:@]+)", host).group(1),
                          SOURCE_DATABASE_URL="postgresql://not.this.one/x")
        password = re.search(r"//[^:]+:([^@]+)@", host)
        if password:
            env["LOCAL_DB_PASSWORD"] = password.group(1)
        script = os.path.join(REPO, "scripts", "migrate_to_neon.sh")
        done = subprocess.run([script, "--run-dir", self.at("run")], env=env, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        assert_same(self, self.source, self.target, target_db=self.db)
        del env["NEON_DATABASE_URL"]
        done = subprocess.run([script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr.decode(), r"NEON_DATABASE_URL is not set\nhint: ")


if __name__ == "__main__":
    unittest.main()
