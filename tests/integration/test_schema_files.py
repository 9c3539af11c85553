#!/usr/bin/env python3
"""schema lint and export, notifications, 5,000 tables, and what the commands say when used wrongly."""

import glob
import json
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, MIGRATIONS  # noqa: E402
from hook import make_hook  # noqa: E402
from schema_cli import Case, Folder, schema  # noqa: E402


class Files(Case):
    # --- lint ---

    def lint(self, files, **kw):
        with Folder(files) as folder:
            result = self.schema("lint", folder, **kw)
        return result.status, [(f["severity"], f["file"], f["line"], f["rule"]) for f in result.json], result

    def test_P_307_the_shipped_migrations_have_nothing_to_mend(self):
        """P-307: schema lint."""
        result = self.schema("lint", MIGRATIONS).ok()
        self.assertEqual([f for f in result.json if f["severity"] != "note"], [])

    def test_P_307_the_servers_parser_judges_every_statement_and_runs_none(self):
        """P-307: syntax."""
        status, found, _ = self.lint({
            "001_a.sql": "CREATE TABLE a (i int);\nCREATE INDEX CONCURRENTLY i ON a (i);\n"
                         "INSERT INTO a SELECT nothing FROM nowhere;\n\nALTER TABLE a\n  ADD COLUM b int,\n  AD c int;\n",
            "001_a.down.sql": "DROP TABLE a;\nDORP TABLE b;\n"})
        self.assertEqual(status, 7)
        self.assertEqual(found, [("error", "001_a.sql", 6, "syntax"), ("error", "001_a.down.sql", 2, "syntax")])
        self.assertEqual(self.server.value("SELECT to_regclass('a')", db=self.db), None)

    def test_P_307_names_order_and_scripts_are_looked_at(self):
        """P-307: naming."""
        status, found, result = self.lint({"001_ok.sql": "SELECT 1", "03-CamelCase.sql": "SELECT 1",
                                      "notes.sql": "", "004_empty.sql": "-- nothing\n",
                                      "005_b.sql": "-- neonferry: batch\nDELETE FROM t WHERE old"}, uri=None)
        self.assertEqual(status, 0)
        self.assertEqual({(f[1], f[3]) for f in found if f[0] == "warning" and f[3] != "order"}, {
            ("03-CamelCase.sql", "name"), ("notes.sql", "name"), ("004_empty.sql", "empty"),
            ("005_b.sql", "batch")})
        self.assertEqual([f["text"] for f in result.json if f["rule"] == "order"], ["002 is missing"])

    def test_what_does_not_work_on_neon_is_told_with_the_reason(self):
        cases = [
            ("CREATE TABLESPACE x LOCATION '/x'", "error", "no tablespaces"),
            ("ALTER SYSTEM SET work_mem = '1GB'", "error", "server settings"),
            ("SET session_replication_role = replica", "error", "session_replication_role"),
            ("ALTER TABLE t DISABLE TRIGGER ALL", "error", "DISABLE TRIGGER USER"),
            ("COPY t FROM '/etc/passwd'", "error", "files"),
            ("COPY t TO PROGRAM 'cat'", "error", "files"),
            ("CREATE UNLOGGED TABLE u (i int)", "warning", "empties it"),
            ("ALTER TABLE t OWNER TO somebody", "warning", "member of the new owner"),
            ("CREATE ROLE r PASSWORD 'md5...'", "warning", "no hash"),
        ]
        for sql, severity, reason in cases:
            with self.subTest(sql=sql):
                _, found, result = self.lint({"001_x.sql": "SELECT 'CREATE TABLESPACE';\n%s;\n" % sql})
                neon = [f for f in result.json if f["rule"] == "neon"]
                self.assertEqual([(f["severity"], f["line"]) for f in neon], [(severity, 2)])
                self.assertIn(reason, neon[0]["text"])
        _, found, _ = self.lint({"001_x.sql": "ALTER TABLE t DISABLE TRIGGER USER; "
                                              "COMMENT ON TABLE t IS 'alter system'"})
        self.assertEqual([f for f in found if f[3] == "neon"], [])

    def test_a_directive_that_does_nothing_is_an_error(self):
        _, found, _ = self.lint({"001_x.sql": "UPDATE t SET a = 1\n-- neonferry: batch\nWHERE b;\n"
                                              "-- a -- neonferry: nothing\nSELECT '\n-- neonferry: batch\n';\n"
                                              "-- neonferry: no-transaction"})
        self.assertEqual([(f[0], f[2]) for f in found if f[3] == "directive"], [("error", 2), ("error", 8)])

    def test_what_the_runner_refuses_is_an_error(self):
        _, found, result = self.lint({"001_x.sql": "SELECT 1;\nCOMMIT;\nSELECT 2"})
        self.assertEqual(found[0][0], "error")
        self.assertIn("line 2", result.json[0]["text"])

    # --- export ---

    def test_P_306_export_is_dated_reproducible_and_can_be_loaded(self):
        """P-306: definitions only."""
        self.schema("apply", MIGRATIONS).ok()
        with tempfile.TemporaryDirectory() as folder:
            before = os.getcwd()
            os.chdir(folder)
            try:
                name = self.schema("export").ok().json["file"]
                self.assertRegex(name, r"^schema_export_\d{8}_\d{6}\.sql$")
                self.schema("export", None, "--output", "again.sql").ok()
            finally:
                os.chdir(before)
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                first = f.read()
            with open(os.path.join(folder, "again.sql"), encoding="utf-8") as f:
                self.assertEqual(f.read(), first)
            self.assertNotIn("\\restrict", first)
            self.assertNotIn("neonferry.", first)
            other = "copy_" + self.db
            self.server.create_database(other, owner=FERRY)
            self.server.file(os.path.join(folder, name), db=other, user="postgres")
        result = self.schema("compare", None, "--source", self.server.uri(db=other))
        self.assertEqual(result.json["differences"], [])

    def test_export_does_not_wait_for_ever_behind_a_lock(self):
        self.server.psql("CREATE TABLE held (i int)", db=self.db)
        with self.server.session(db=self.db) as holder:
            holder.query("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
            refused = self.schema("export", None, "--output", "/dev/null")
        self.assertNotEqual(refused.status, 0)
        self.assertIn("a table is locked: pg_dump waited 10 s", refused.err)
        self.assertIn("pg_stat_activity", refused.err)

    # --- notifications ---

    def test_P_207_P_308_the_result_is_posted_as_slack_takes_it_and_the_address_is_never_shown(self):
        """P-207, P-308: --notify of schema apply."""
        hook, url = make_hook(self)
        with Folder({"001_a.sql": "CREATE TABLE a (i int)"}) as folder:
            done = self.schema("apply", folder, "--notify", url).ok()
            folder.put("002_b.sql", "CREATE TABEL b ()")
            failed = self.schema("apply", folder, "--notify", url)
        self.assertEqual([(p, t) for p, t, _ in hook.received],
                         [("/services/T0/SECRET", "application/json")] * 2)
        self.assertIn("1 migration applied and verified", hook.received[0][2]["text"])
        self.assertIn("failed", hook.received[1][2]["text"])
        self.assertNotIn("ferry pass", json.dumps(hook.received))
        for text in (done.out, done.err, failed.out, failed.err):
            self.assertNotIn("SECRET", text)

    def test_P_308_a_hook_that_refuses_is_a_warning_without_the_address(self):
        """P-308: the result stays what it is."""
        _, url = make_hook(self, status=403)
        with Folder({"001_a.sql": "CREATE TABLE a (i int)"}) as folder:
            for address, word in ((url, "HTTP status 403"), ("http://127.0.0.1:1/SECRET", "not sent"),
                                  ("ftp://x/SECRET", "https://")):
                result = self.schema("apply", folder, "--notify", address).ok()
                self.assertIn(word, result.err)
                self.assertNotIn("SECRET", result.err)

    # --- many tables ---

    def test_5000_tables_are_compared_in_little_time(self):
        self.server.psql("DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY "
                         "KEY, a text NOT NULL DEFAULT ''x'', b int CHECK (b > 0))', i); "
                         "IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$", db=self.db, user="postgres")
        began = time.monotonic()
        self.schema("compare", None, "--source", self.uri).ok()  # reads it twice
        self.assertLess(time.monotonic() - began, 20)

    # --- the command line ---

    def test_wrong_words_are_told(self):
        for command, word in (("aply", "schema apply"), ("", "which schema command")):
            result = schema(None, command or "--no-color", None, "--no-yes", as_json=False)
            self.assertEqual(result.status, 2, result.err)
            self.assertIn(word, result.err)
        with Folder({}) as folder:
            self.assertEqual(self.schema("status", folder.path + "/nothing").status, 2)
            result = self.schema("status", folder, "--env", "dev")
            self.assertIn("--env and --target exclude each other", result.err)

    def test_passwords_are_nowhere(self):
        self.assertTrue(glob.glob(MIGRATIONS + "/*.sql"))
        result = self.schema("apply", MIGRATIONS, as_json=False).ok()
        self.assertNotIn("pass/word", result.out + result.err)
        self.assertNotIn("pass%2Fword", result.out + result.err)


if __name__ == "__main__":
    unittest.main()
