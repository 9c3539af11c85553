"""Commands against real servers: what is printed where, exit statuses, the terminal, Ctrl-C, and that
a password is nowhere."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY_PASSWORD, make_source, make_target, wait_until  # noqa: E402
from command import NEONFERRY, environment  # noqa: E402
from terminal import on_terminal  # noqa: E402

SECRETS = (FERRY_PASSWORD, quote(FERRY_PASSWORD, safe=""), quote(FERRY_PASSWORD))

FILL = """
    CREATE TABLE plain (id int PRIMARY KEY, t text);
    INSERT INTO plain SELECT i, 'row ' || i FROM generate_series(1, 1000) i;
    CREATE TABLE vector_documents (id int PRIMARY KEY, collection_name text, embedding vector(8));
    INSERT INTO vector_documents SELECT i, (ARRAY['guides', 'notes', NULL])[1 + i % 3],
        ARRAY(SELECT (i * d %% 7)::real FROM generate_series(1, 8) d)::vector
        FROM generate_series(1, 3000) i;
""".replace("%%", "%")
BIG = """
    CREATE TABLE big (id int PRIMARY KEY, t text);
    INSERT INTO big SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 60000) i;
"""


def setUpModule():
    global SOURCE, TARGET
    SOURCE = unittest.enterModuleContext(make_source())
    TARGET = unittest.enterModuleContext(make_target())
    SOURCE.psql(FILL)


class Case(unittest.TestCase):
    """A folder, an empty target, and the program with its ends in the environment."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="neonferry-cli-")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder])
        TARGET.psql("DROP SCHEMA IF EXISTS neonferry CASCADE; DROP SCHEMA public CASCADE;"
                    "CREATE SCHEMA public AUTHORIZATION ferry; CREATE EXTENSION IF NOT EXISTS vector",
                    user="postgres")
        self.env = environment(SOURCE_DATABASE_URL=SOURCE.uri(), NEON_DATABASE_URL=TARGET.uri())

    def big(self):
        SOURCE.psql(BIG)
        self.addCleanup(self.drop_big)

    def drop_big(self):
        """A holder that a failed test left behind has a lock; it ends with the run's folder."""
        subprocess.run(["rm", "-rf", self.folder], check=True)
        SOURCE.psql("DROP TABLE big", timeout=60)

    def popen(self, *words, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([NEONFERRY] + list(words), cwd=self.folder,
                                   env=kw.pop("env", self.env), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **kw)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()

    def run_(self, *words, status=0, **kw):
        process = self.popen(*words, **kw)
        out, err = process.communicate(timeout=120)
        for secret in SECRETS:
            self.assertNotIn(secret, out + err)
        self.assertEqual(process.returncode, status, out + err)
        return out, err

    def no_secret_on_disk(self):
        for folder, _, files in os.walk(self.folder):
            for name in files:
                with open(os.path.join(folder, name), "rb") as f:
                    content = f.read()
                for secret in SECRETS:
                    self.assertNotIn(secret.encode(), content, name)

    def wait_for_rows(self, table):
        def there():
            try:
                return TARGET.value("SELECT 1 FROM neonferry.chunk LIMIT 1", user="postgres")
            except Exception:
                return None
        wait_until(there, 60, what="rows in " + table)


class Run(Case):
    def test_result_on_standard_output_and_the_rest_on_the_other(self):
        """P-109: the application's new setting, without password; P-107: rows per collection."""
        out, err = self.run_("run", "--run-dir", "r", "--jobs", "2")
        self.assertRegex(out, r"(?m)^public\.plain +1,000 .* [0-9a-f]{16}  same$")
        self.assertRegex(out, r"(?m)^  guides +1,000 .*  same$")
        self.assertRegex(out, r"(?m)^  \(no collection\) +1,000 .*  same$")
        self.assertRegex(out, r"(?m)^total +4,000 ")
        self.assertRegex(out, r"(?m)^timings: .*copy [0-9.]+ s")
        self.assertRegex(out, r"DATABASE_URL=postgresql://ferry@127\.0\.0\.1:%d/neondb\?sslmode=require"
                         % TARGET.port)
        self.assertRegex(out, r"(?m)^run \S+ after .* \(exit status 0\)$")
        self.assertRegex(err, r"(?m)^source: postgres@.* \(from SOURCE_DATABASE_URL\)$")
        self.assertRegex(err, r"(?m)^target: ferry@.* \(from NEON_DATABASE_URL\)$")
        self.assertRegex(err, r"(?m)^jobs: 2 \(from --jobs\)$")
        self.assertRegex(err, r"(?m)^\[0:\d\d\] (schema|copy|indexes|proof)")
        self.assertNotIn("\033", out + err)
        with open(self.folder + "/r/summary.json") as f:
            summary = json.load(f)
        self.assertEqual((summary["verdict"], summary["exit_status"]), ("proven", 0))
        tables = {t["table"]: t for t in summary["tables"]}
        self.assertEqual(tables["plain"]["rows"], tables["plain"]["target_rows"])
        self.assertEqual(len(tables["vector_documents"]["collections"]), 3)
        self.no_secret_on_disk()

    def test_quiet_is_one_line(self):
        out, err = self.run_("run", "--run-dir", "r", "--quiet")
        self.assertEqual(err, "")
        self.assertEqual(out.count("\n"), 1)
        self.assertIn("exit status 0", out)

    def test_json_is_nothing_but_lines_of_json(self):
        out, _ = self.run_("run", "--run-dir", "r", "--json")
        events = [json.loads(line) for line in out.splitlines()]
        names = [e["name"] for e in events]
        self.assertIn("phase", names)
        self.assertIn("progress", names)
        self.assertEqual(names[-1], "summary")
        self.assertEqual(events[-1]["facts"]["exit_status"], 0)

    def test_an_error_with_json_ends_with_the_summary_too(self):
        out, err = self.run_("run", "--json", "--target", TARGET.uri(db="nowhere"), status=3)
        last = json.loads(out.splitlines()[-1])
        self.assertEqual(last["facts"]["exit_status"], 3)
        self.assertEqual(last["facts"]["error"]["sqlstate"], "3D000")
        self.assertIn("neonferry: error: ", err)

    def test_the_same_command_again_finds_everything_done(self):
        self.run_("run", "--run-dir", "r")
        out, _ = self.run_("run", "--run-dir", "r")
        self.assertIn("exit status 0", out)

    def test_copy_moves_rows_only(self):
        TARGET.psql("CREATE TABLE plain (id int, t text)")
        out, _ = self.run_("copy", "--table", "plain", "--run-dir", "r")
        self.assertEqual(TARGET.value("SELECT count(*) FROM plain"), "1000")
        self.assertRegex(out, r"(?m)^public\.plain .*  -$")

    def test_settings_of_the_environment_are_told(self):
        self.env["NEONFERRY_SPILL"] = "none"
        _, err = self.run_("run", "--run-dir", "r")
        self.assertRegex(err, r"(?m)^spill: none \(from environment variable NEONFERRY_SPILL\)$")


class Refused(Case):
    def test_what_cannot_be_reached_is_3(self):
        for target, text in ((TARGET.uri(db="nowhere"), 'database "nowhere" does not exist'),
                             (TARGET.uri(password="wrong"), "password authentication failed"),
                             ("postgresql://ferry@127.0.0.1:1/x", "refused")):
            _, err = self.run_("run", "--run-dir", "r", "--target", target, status=3)
            self.assertIn(text, err)
            self.assertIn("\n  hint: ", err)
            subprocess.run(["rm", "-rf", self.folder + "/r"], check=True)

    def test_rows_in_the_target_are_3_and_stay(self):
        TARGET.psql("CREATE TABLE plain (id int, t text); INSERT INTO plain VALUES (-1, 'mine')")
        _, err = self.run_("run", "--run-dir", "r", status=3)
        self.assertIn("plain", err)
        self.assertIn("--on-existing", err)
        self.assertEqual(TARGET.psql("SELECT * FROM plain"), [["-1", "mine"]])

    def test_a_refused_run_leaves_no_folder_that_nobody_named(self):
        _, err = self.run_("run", "--target", TARGET.uri(db="nowhere"), status=3)
        self.assertIn("nowhere", err)
        self.assertEqual(os.listdir(self.folder + "/neonferry-runs"), [])

    def test_database_url_needs_a_yes(self):
        env = dict(self.env, DATABASE_URL=self.env["NEON_DATABASE_URL"])
        del env["NEON_DATABASE_URL"]
        _, err = self.run_("run", "--run-dir", "r", env=env, status=2)
        self.assertIn("DATABASE_URL", err)
        self.assertIn("--yes", err)
        self.assertFalse(os.path.exists(self.folder + "/r"))
        self.run_("run", "--run-dir", "r", "--yes", env=env)

    def test_a_password_given_as_an_option_is_not_in_the_list_of_processes(self):
        self.big()
        process = self.popen("run", "--run-dir", "r", "--target", TARGET.uri(), env=environment(
            SOURCE_DATABASE_URL=SOURCE.uri()))
        wait_until(lambda: os.path.exists(self.folder + "/r/run.json"), 30)
        with open("/proc/%d/cmdline" % process.pid, "rb") as f:
            arguments = f.read()
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"--target", arguments)
        for secret in SECRETS:
            self.assertNotIn(secret.encode(), arguments)


class Verify(Case):
    def setUp(self):
        super().setUp()
        self.run_("run", "--run-dir", "r", "--quiet")

    def test_equal_databases_are_0(self):
        """P-120: PASS and exit status 0."""
        out, _ = self.run_("verify")
        self.assertRegex(out, r"(?m)^public\.plain .*  identical$")
        self.assertRegex(out, r"(?m)^PASS: ")

    def test_one_changed_row_is_7_and_its_collection_is_named(self):
        """P-107; P-120: exit status 7."""
        TARGET.psql("UPDATE vector_documents SET embedding = '[1,2,3,4,5,6,7,9]' WHERE id = 7")
        out, _ = self.run_("verify", status=7)
        self.assertRegex(out, r"(?m)^public\.vector_documents .*  different$")
        self.assertRegex(out, r"(?m)^  notes .*  different$")
        self.assertRegex(out, r"(?m)^  guides .*  identical$")

    def test_a_missing_table_is_7(self):
        TARGET.psql("DROP TABLE plain")
        out, _ = self.run_("verify", status=7)
        self.assertIn("plain", out)

    def test_a_column_of_another_type_is_7(self):
        TARGET.psql("ALTER TABLE plain ALTER id TYPE bigint")
        out, _ = self.run_("verify", "--table", "plain", status=7)
        self.assertIn('column "id" is integer in the source and bigint in the target', out)

    def test_what_cannot_be_read_is_8(self):
        TARGET.psql("ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        out, _ = self.run_("verify", "--table", "plain", "--level", "digest", status=8)
        self.assertIn("row-level security", out)
        self.assertRegex(out, r"(?m)^INCONCLUSIVE: ")

    def test_a_waived_difference_is_an_exception(self):
        TARGET.psql("ALTER TABLE plain ALTER t SET NOT NULL")
        self.run_("verify", "--level", "schema", status=7)
        with open(self.folder + "/waivers.json", "w") as f:
            json.dump([{"group": "schema", "object": "public.plain.t", "reason": "wanted", "by": "us",
                        "expires": "2999-12-31"}], f)
        out, _ = self.run_("verify", "--level", "schema", "--waivers", "waivers.json")
        self.assertRegex(out, r"(?m)^PASS WITH EXCEPTIONS: ")

    def test_the_report_is_written_and_rendered_again(self):
        self.run_("verify", "--report", "report")
        files = {"report.html", "report.json", "report.junit.xml", "report.md", "queries.sql", "SHA256SUMS"}
        self.assertEqual(set(os.listdir(self.folder + "/report")), files)
        with open(self.folder + "/report/report.html") as f:
            html = f.read()
        os.unlink(self.folder + "/report/report.html")
        self.run_("report", "report")
        with open(self.folder + "/report/report.html") as f:
            self.assertEqual(f.read(), html)

    def test_differing_rows_go_with_a_report_rendered_elsewhere(self):
        TARGET.psql("UPDATE plain SET t = 'other' WHERE id = 3")
        self.run_("verify", "--report", "first", status=7)
        self.run_("report", "first", "--report", "second")
        with open(self.folder + "/first/differences.ndjson") as a, open(self.folder + "/second/differences.ndjson") as b:
            rows = a.read()
            self.assertEqual(b.read(), rows)
        self.assertIn('"changed"', rows)
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=self.folder + "/second", check=True,
                       stdout=subprocess.DEVNULL)

    def test_a_finished_run_is_enough_where_the_source_is_gone(self):
        out, err = self.run_("verify", "--against-run", "r", "--source", "postgresql://nowhere/gone")
        self.assertRegex(err, r"(?m)^neonferry: warning: source: .*nowhere.* only .* what the run read")
        self.assertRegex(out, r"(?m)^public\.plain .*  identical$")
        TARGET.psql("UPDATE plain SET t = 'other' WHERE id = 3")
        self.run_("verify", "--against-run", "r", status=7)

    def test_json_is_one_document(self):
        out, _ = self.run_("verify", "--json")
        self.assertEqual(json.loads(out)["verdict"], "PASS")

    def test_a_report_that_is_none_says_what_to_name(self):
        error = self.run_("report", "nosuch", status=2)[1]
        self.assertIn("there is no report in nosuch", error)
        self.assertIn("hint: name a folder that `neonferry verify --report` wrote", error)
        self.assertIn("hint: name a folder", self.run_("report", status=2)[1])

    def test_waivers_that_cannot_be_read_say_what_they_are(self):
        error = self.run_("verify", "--waivers", "nosuch", status=3)[1]
        self.assertRegex(error, r"cannot read .*nosuch")
        self.assertIn("hint: --waivers names a JSON file", error)

    def test_a_report_folder_that_cannot_be_made_is_3_and_says_which_option(self):
        error = self.run_("verify", "--report", "/proc/nosuch", status=3)[1]
        self.assertIn("cannot make the folder /proc/nosuch", error)
        self.assertIn("with --report", error)

    def test_an_unknown_table_is_2(self):
        _, err = self.run_("verify", "--table", "nonsense", status=2)
        self.assertIn("nonsense", err)


class Looking(Case):
    def test_check_finds_nothing_and_says_so(self):
        """P-103: both ends, TLS."""
        out, _ = self.run_("check")
        self.assertRegex(out, r"(?m)^ok +target +encryption +TLS")
        self.assertIn("nothing found that would stop a run", out)

    def test_check_finds_the_same_database(self):
        out, _ = self.run_("check", "--target", SOURCE.uri().replace("127.0.0.1", "localhost"), status=3)
        self.assertRegex(out, r"(?m)^stop +both .*same database")

    def test_check_finds_a_missing_right_and_no_connection(self):
        """P-103: an end that cannot be reached."""
        out, _ = self.run_("check", "--source", SOURCE.uri(db="nowhere"), status=3)
        self.assertRegex(out, r"(?m)^stop +source +connection")
        self.assertRegex(out, r"(?m)^ok +target +connection")

    def test_plan_writes_nothing(self):
        out, _ = self.run_("plan")
        self.assertRegex(out, r"(?m)^public\.vector_documents +3,000 .*binary")
        self.assertRegex(out, r"(?m)^  guides +1,000$")
        self.assertEqual(os.listdir(self.folder), [])
        self.assertIsNone(TARGET.value("SELECT to_regclass('neonferry.run')"))

    def test_status_and_plan_of_a_run_need_no_server(self):
        self.run_("run", "--quiet")
        name = os.listdir(self.folder + "/neonferry-runs")[0]
        for words in (["status"], ["status", name], ["status", "neonferry-runs/" + name]):
            out, _ = self.run_(*words, env=environment())
            self.assertRegex(out, r"(?m)^state +finished")
        out, _ = self.run_("plan", name, env=environment())
        self.assertIn("public.plain", out)
        out, _ = self.run_("status", "--json", env=environment())
        self.assertEqual(json.loads(out)["run"], name)

    def test_forget_asks_then_leaves_the_rows_alone(self):
        self.run_("run", "--run-dir", "r", "--quiet")
        _, err = self.run_("forget", "r", status=2)
        self.assertIn("--yes", err)
        self.run_("forget", "r", "--yes")
        self.assertEqual(TARGET.value("SELECT count(*) FROM plain"), "1000")
        self.assertIsNone(TARGET.value("SELECT to_regclass('neonferry.run')"))
        self.assertFalse(os.path.exists(self.folder + "/r"))


class Interrupted(Case):
    def setUp(self):
        super().setUp()
        self.big()

    def begin(self, *more):
        process = self.popen("run", "--run-dir", "r", "--chunk-size", "64k", "--senders", "1", *more)
        self.wait_for_rows("big")
        return process

    def test_ctrl_c_is_4_and_resume_finishes(self):
        process = self.begin()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 4, out + err)
        self.assertIn("stopping", err)
        resume = "`neonferry resume %s/r`" % os.path.realpath(self.folder)  # not in ./neonferry-runs
        self.assertIn(resume, out)
        out, _ = self.run_("status", "r", env=environment())
        self.assertRegex(out, r"(?m)^state +stopped")
        self.assertIn(resume, out)
        out, _ = self.run_("resume", "r")
        self.assertIn("exit status 0", out)
        self.assertEqual(TARGET.value("SELECT count(*) FROM big"), "60000")

    def test_a_run_keeps_the_mode_of_its_spill_and_says_so(self):
        process = self.begin("--spill", "none")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        _, err = self.run_("resume", "r", "--spill", "always", status=2)
        self.assertIn("--spill", err)
        _, err = self.run_("resume", "r")
        self.assertIn("spill: none, which the run was begun with", err)
        self.assertNotIn("spill always", err)
        _, err = self.run_("run", "--run-dir", "r")
        self.assertIn("spill: none, which the run was begun with", err)

    def test_an_unfinished_run_is_not_forgotten(self):
        """Only its records know what it took away from the target."""
        TARGET.psql("CREATE TABLE big (id int PRIMARY KEY, t text); CREATE INDEX big_i ON big (id)")
        process = self.begin()
        process.kill()
        process.communicate(timeout=20)
        wrong = environment(PGPASSWORD="wrong")
        for command in ("forget", "abort"):
            self.run_(command, "r", "--yes", status=3, env=wrong)
        self.run_("abort", "r", "--yes", "--keep-data", status=3, env=wrong)
        _, err = self.run_("forget", "r", "--yes", status=3)
        self.assertIn("is not finished", err)
        self.assertIn("--keep-data", err)
        self.assertEqual(TARGET.value("SELECT count(*) FROM neonferry.set_aside"), "1")
        self.run_("abort", "r", "--yes", "--keep-data")
        self.assertEqual(TARGET.value("SELECT to_regclass('big_i')"), "big_i")

    def test_a_resume_knows_its_ends_and_takes_the_password_from_elsewhere(self):
        process = self.begin()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        env = environment(PGPASSWORD=FERRY_PASSWORD)
        _, err = self.run_("resume", "r", env=env)
        self.assertIn("(from the run folder)", err)

    def test_ctrl_c_ends_in_time_also_when_the_target_is_silent(self):
        process = self.begin()
        TARGET.pause()
        try:
            time.sleep(1)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            self.assertEqual(process.returncode, 4)
            self.assertLess(time.monotonic() - begun, 16)
        finally:
            TARGET.unpause()
        self.run_("resume", "r")

    def test_ctrl_c_twice_ends_at_once(self):
        process = self.begin()
        TARGET.pause()
        try:
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            self.assertEqual(process.returncode, 4)
            self.assertLess(time.monotonic() - begun, 5)
        finally:
            TARGET.unpause()
        self.run_("resume", "r")


class Terminal(Case):
    """On a pseudo terminal of 80 columns."""

    def on_terminal(self, *words, answer=None, term="xterm", interrupt_at=None, columns=0):
        when = {b"[y/N]": lambda process: answer.encode()} if answer else {}
        if interrupt_at:
            when[interrupt_at] = lambda process: process.send_signal(signal.SIGINT)
        return on_terminal([NEONFERRY, *words], when, columns, cwd=self.folder, env=dict(self.env, TERM=term))

    def test_the_live_area_is_drawn_and_the_cursor_comes_back(self):
        self.big()
        status, seen = self.on_terminal("run", "--run-dir", "r", "--chunk-size", "64k")
        self.assertEqual(status, 0, seen)
        self.assertEqual(seen.count("\033[?25l"), 1)
        self.assertEqual(seen.count("\033[?25h"), 1)
        self.assertGreater(seen.rindex("\033[?25h"), seen.rindex("\033[J"))
        self.assertRegex(seen, r"(?m)^ big +[█▏▎▍▌▋▊▉▒░]+ +\d+ % ")
        self.assertRegex(seen, r" of 64,000 rows, ")

    def test_an_interrupted_display_restores_the_cursor(self):
        self.big()
        status, seen = self.on_terminal("run", "--run-dir", "r", "--chunk-size", "64k",
                                        interrupt_at=b"  copy  ")
        self.assertEqual(status, 4, seen)
        self.assertEqual(seen.count("\033[?25l"), seen.count("\033[?25h"))

    def test_dumb_and_colourless_terminals_get_no_sequences(self):
        status, seen = self.on_terminal("run", "--run-dir", "r", term="dumb")
        self.assertEqual(status, 0)
        self.assertNotIn("\033", seen)
        status, seen = self.on_terminal("verify", "--no-color")
        self.assertEqual(status, 0)
        self.assertIsNone(re.search("\033\\[[0-9]+m", seen))

    def test_a_question_is_asked_and_a_no_is_3(self):
        self.env["DATABASE_URL"] = self.env.pop("NEON_DATABASE_URL")
        status, seen = self.on_terminal("run", "--run-dir", "r", answer="n\n")
        self.assertIn("Is it the new one? [y/N]", seen)
        self.assertEqual(status, 3, seen)
        self.assertFalse(os.path.exists(self.folder + "/r"))
        status, seen = self.on_terminal("run", "--run-dir", "r", answer="y\n")
        self.assertEqual(status, 0, seen)

    def fits(self, seen, columns):
        """Nothing is wider than the terminal but what must stay whole: an address, a path."""
        for line in seen.replace("\r", "").split("\n"):
            if " " in line.strip() and "postgresql://" not in line and "/" not in line:
                self.assertLessEqual(len(line), columns, seen)

    def test_tables_are_as_wide_as_the_terminal(self):
        name = "a_table_whose_name_takes_the_better_part_of_a_line_of_80_cells"
        SOURCE.psql("CREATE TABLE %s AS SELECT 1 AS id; CREATE FUNCTION many(%s) RETURNS int LANGUAGE sql "
                    "AS 'SELECT 1'" % (name, ", ".join("a%d double precision" % i for i in range(9))))
        self.addCleanup(SOURCE.psql, "DROP TABLE %s; DROP FUNCTION many" % name)
        for columns in (80, 40):
            status, seen = self.on_terminal("plan", columns=columns)
            self.assertEqual(status, 0, seen)
            self.fits(seen, columns)
            self.assertIn(name, re.sub(r"\s", "", re.sub(r" +\d.*(?=\r)", "", seen)))
        status, seen = self.on_terminal("run", "--run-dir", "r", term="dumb", columns=40)
        self.assertEqual(status, 0, seen)
        self.fits(seen, 40)
        self.assertIn("public." + name, seen)
        self.assertRegex(seen, r"(?m)^public\.plain +1,000 .*same\r$")
        status, seen = self.on_terminal("verify", "--level", "counts", "--no-color", columns=40)
        self.assertEqual(status, 0, seen)
        self.fits(seen, 40)
        status, seen = self.on_terminal("abort", "r", answer="y\n", columns=40)
        self.assertEqual(status, 0, seen)
        self.fits(seen, 40)
        self.assertIn("The run r is finished", seen)
        self.assertIn("Remove this from ", seen)

    def test_a_pipe_gets_every_row_on_one_line(self):
        out = self.run_("plan")[0]
        self.assertRegex(out, r"(?m)^table +rows +bytes +format +ranges +collections +note$")
        self.assertRegex(out, r"(?m)^public\.plain +1,000 ")


if __name__ == "__main__":
    unittest.main()
