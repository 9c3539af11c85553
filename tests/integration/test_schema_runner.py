#!/usr/bin/env python3
"""schema status, apply and rollback against a real server: what is applied, what a fault leaves."""

import os
import shutil
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, MIGRATIONS, free_port, make_dir, make_source, wait_until  # noqa: E402
from schema_cli import Case, Folder, Running, schema  # noqa: E402

TWO = {
    "001_create_users.sql": "CREATE TABLE users (id int PRIMARY KEY, name text)",
    "001_create_users.down.sql": "DROP TABLE users",
    "002_add_mail.sql": "ALTER TABLE users ADD mail text;\nINSERT INTO users VALUES (1, 'a', 'm') ON CONFLICT DO NOTHING;\n",
    "002_add_mail.down.sql": "ALTER TABLE users DROP mail",
}
COLUMNS = ["applied_at", "checksum", "description", "execution_ms", "version"]


class Runner(Case):
    def test_P_301_P_302_P_401_applies_what_is_pending_and_status_tells_when_and_how_long(self):
        """P-205, P-301, P-302, P-401: what is applied, and the history's columns."""
        with Folder(TWO) as folder:
            self.assertEqual(self.states(folder), {"001": "pending", "002": "pending"})
            applied = self.schema("apply", folder).ok().json["applied"]
            self.assertEqual([m["version"] for m in applied], ["001", "002"])
            status = self.schema("status", folder).ok().json
            self.assertEqual(status["history"], "public.schema_migrations")
            self.assertEqual([m["state"] for m in status["migrations"]], ["applied", "applied"])
            for m in status["migrations"]:
                self.assertTrue(m["applied_at"])
                self.assertGreaterEqual(m["execution_ms"], 0)
            folder.put("003_more.sql", "CREATE TABLE more (i int)")
            again = self.schema("apply", folder).ok().json["applied"]
            self.assertEqual([m["version"] for m in again], ["003"])
            self.assertEqual(self.schema("apply", folder).ok().json["applied"], [])
        self.assertEqual(sorted(r[0] for r in self.psql(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'schema_migrations'::regclass "
            "AND attnum > 0")), COLUMNS)
        self.assertEqual(self.psql("SELECT version, description FROM schema_migrations ORDER BY 1"),
                         [["001", "create users"], ["002", "add mail"], ["003", "more"]])

    def test_P_105_the_shipped_migrations_apply_and_roll_back(self):
        """P-105; P-002: their extensions are created."""
        self.schema("apply", MIGRATIONS, "--vector-dimensions", "100").ok()
        self.assertEqual(self.value("SELECT count(*) FROM pg_extension WHERE extname IN "
                                    "('vector', 'pg_trgm', 'uuid-ossp', 'pgcrypto')"), "4")
        self.assertEqual(self.value(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
            "'vector_documents'::regclass AND attname = 'embedding'"), "vector(100)")
        self.schema("rollback 0", MIGRATIONS).ok()
        self.assertEqual(self.value("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND "
                                    "relnamespace = 'public'::regnamespace"), "1")

    def test_a_failing_migration_leaves_nothing_and_names_file_and_line(self):
        with Folder(TWO) as folder:
            self.schema("apply", folder, "--to", "1").ok()
            self.psql("INSERT INTO users VALUES (7)", user=FERRY)
            # only the rows that are there make it fail, so the scratch database does not tell
            folder.put("002_add_mail.sql", "ALTER TABLE users ADD mail text;\n\nSELECT 1 / (1 - count(*)) FROM users")
            failed = self.schema("apply", folder)
            self.assertEqual(failed.status, 5)
            self.assertIn("22012", failed.err)
            self.assertIn("while running 002_add_mail.sql", failed.err)
            self.assertEqual(self.states(folder), {"001": "applied", "002": "pending"})
            self.assertEqual(self.value("SELECT count(*) FROM pg_attribute WHERE attname = 'mail'"), "0")
            folder.put("002_add_mail.sql", TWO["002_add_mail.sql"])
            self.schema("apply", folder).ok()

    def test_a_syntax_error_is_named_by_its_line(self):
        with Folder({"001_a.sql": "CREATE TABLE a (i int);\nCREATE TABEL b (i int);\n"}) as folder:
            self.assertEqual(self.schema("apply", folder).status, 3)
            # without the scratch database: the target says it
            self.psql("ALTER ROLE ferry NOCREATEDB", user="postgres")
            try:
                failed = self.schema("apply", folder, "--allow-destructive")
            finally:
                self.psql("ALTER ROLE ferry CREATEDB", user="postgres")
            self.assertEqual(failed.status, 5)
            self.assertIn("what would change is not known", failed.err)
            self.assertIn("001_a.sql, line 2", failed.err)
            self.assertEqual(self.value("SELECT to_regclass('a')"), None)

    def test_unusable_files_are_refused_before_anything_runs(self):
        bad = {"003_latin.sql": b"SELECT '\xe9'", "2_twice.sql": "SELECT 1", "004_x.down.sql": "SELECT 1"}
        words = {"003_latin.sql": "not UTF-8", "2_twice.sql": "version 002 is there twice",
                 "004_x.down.sql": "undoes a migration that is not there"}
        for name, text in bad.items():
            with Folder(TWO) as folder:
                folder.put(name, text)
                refused = self.schema("apply", folder)
                self.assertEqual(refused.status, 2, refused.err)
                self.assertIn(words[name], refused.err)
        self.assertEqual(self.value("SELECT to_regclass('users')"), None)

    def test_P_401_a_changed_file_is_refused_unless_forced(self):
        """P-401: by its checksum; FORCE_MIGRATION."""
        with Folder(TWO) as folder:
            self.schema("apply", folder).ok()
            folder.put("001_create_users.sql", "CREATE TABLE users (id bigint)")
            self.assertEqual(self.states(folder)["001"], "changed")
            refused = self.schema("apply", folder)
            self.assertEqual(refused.status, 3)
            self.assertIn("001_create_users.sql", refused.err)
            self.schema("apply", folder, env={"FORCE_MIGRATION": "true"}).ok()
            self.assertEqual(self.states(folder)["001"], "applied")

    def test_a_file_out_of_order_and_a_missing_one_are_named_and_a_gap_is_shown(self):
        with Folder(TWO) as folder:
            folder.put("005_late.sql", "SELECT 1")
            self.schema("apply", folder).ok()
            folder.put("003_early.sql", "SELECT 1")
            folder.remove("001_create_users.sql")
            folder.remove("001_create_users.down.sql")
            self.assertEqual(self.states(folder), {"001": "missing", "002": "applied",
                                                   "003": "out of order", "005": "applied"})
            self.assertEqual(self.schema("status", folder).json["gaps"], ["004"])
            applied = self.schema("apply", folder).ok()
            self.assertIn("003_early.sql is out of order", applied.err)
            self.assertIn("version 001 is applied, but its file", applied.err)

    def test_what_has_no_file_is_not_said_to_be_verified(self):
        with Folder({"001_a.sql": "CREATE TABLE a (i int)", "002_b.sql": "CREATE TABLE b (i int)"}) as folder:
            self.schema("apply", folder).ok()
            folder.remove("001_a.sql")
            verified = self.schema("verify", folder, as_json=False)
            self.assertEqual(verified.status, 8)
            self.assertIn("not verified: the files of 1 are missing", verified.out)
            self.assertNotIn("everything they made is there", verified.out)
            compared = self.schema("compare", folder)
            self.assertEqual(compared.status, 7)
            self.assertIn("version 001 is applied, but its file is missing", compared.err)

    def test_P_208_P_309_another_tools_table_keeps_its_name_and_is_shown(self):
        """P-208, P-309: Prisma, sqlx and others."""
        self.psql("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean);"
                  "INSERT INTO schema_migrations VALUES (7, false);"
                  "CREATE TABLE _sqlx_migrations (version bigint, description text, checksum bytea);"
                  "INSERT INTO _sqlx_migrations VALUES (20240101, 'x', '');"
                  "CREATE TABLE _prisma_migrations (migration_name text, checksum text, finished_at timestamptz);"
                  "CREATE TABLE alembic_version (version_num varchar(32));"
                  "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations "
                  "(id serial, hash text, created_at bigint);"
                  "CREATE TABLE flyway_schema_history (installed_rank int, version text, script text)",
                  user=FERRY)
        with Folder(TWO) as folder:
            self.schema("apply", folder).ok()
            status = self.schema("status", folder).ok().json
        self.assertEqual(status["history"], "neonferry.schema_migrations")
        self.assertEqual({o["tool"]: o["table"] for o in status["others"]}, {
            "golang-migrate": "public.schema_migrations", "sqlx": "public._sqlx_migrations",
            "Prisma": "public._prisma_migrations", "Alembic": "public.alembic_version",
            "Drizzle": "drizzle.__drizzle_migrations", "Flyway": "public.flyway_schema_history"})
        self.assertEqual([o["latest"] for o in status["others"] if o["tool"] == "sqlx"], ["20240101"])
        self.assertEqual(self.psql("SELECT * FROM schema_migrations"), [["7", "f"]])

    def test_P_208_what_another_tool_did_not_finish_is_not_counted_as_applied(self):
        """P-208: Flyway, sqlx, Prisma."""
        self.psql("CREATE TABLE flyway_schema_history (installed_rank int, version text, script text, success bool);"
                  "INSERT INTO flyway_schema_history VALUES (1, '1', 'a', true), (2, '2', 'b', false);"
                  "CREATE TABLE _sqlx_migrations (version bigint, description text, checksum bytea, success bool);"
                  "INSERT INTO _sqlx_migrations VALUES (1, 'a', '', true), (2, 'b', '', false), (3, 'c', '', false);"
                  "CREATE TABLE _prisma_migrations (migration_name text, checksum text, finished_at timestamptz);"
                  "INSERT INTO _prisma_migrations VALUES ('1_a', '', now()), ('2_b', '', NULL)", user=FERRY)
        with Folder(TWO) as folder:
            others = self.schema("status", folder).ok().json["others"]
        self.assertEqual({o["tool"]: (o["entries"], o["failed"], o["latest"]) for o in others},
                         {"Flyway": (1, 1, "1"), "sqlx": (1, 2, "1"), "Prisma": (1, 1, "1_a")})

    def test_the_history_table_may_be_named_and_must_have_the_columns(self):
        with Folder(TWO) as folder:
            self.schema("apply", folder, "--history-table", "our_history").ok()
            self.assertEqual(self.value("SELECT count(*) FROM our_history"), "2")
            refused = self.schema("status", folder, "--history-table", "users")
            self.assertEqual(refused.status, 2)
            self.assertIn("has not the columns of a history", refused.err)

    def test_settings_of_one_migration_do_not_reach_the_next(self):
        with Folder({"001_a.sql": "CREATE SCHEMA s; SET search_path = s; CREATE TABLE a (i int)",
                     "002_b.sql": "CREATE TABLE b (i int)",
                     "003_c.sql": "SELECT pg_catalog.set_config('search_path', '', false);\n"
                                  "CREATE TABLE s.c (i int)"}) as folder:
            self.schema("apply", folder).ok()
        self.assertEqual(self.psql("SELECT relnamespace::regnamespace, relname FROM pg_class WHERE "
                                   "relname IN ('a', 'b', 'c') ORDER BY 2"),
                         [["s", "a"], ["public", "b"], ["s", "c"]])

    def test_rights_missing_for_one_statement_are_named_and_nothing_stays(self):
        self.psql("CREATE TABLE theirs (i int); GRANT SELECT ON theirs TO ferry", user="postgres")
        with Folder({"001_a.sql": "CREATE TABLE mine (i int);\nALTER TABLE theirs ADD j int;\n"}) as folder:
            failed = self.schema("apply", folder)
            self.assertEqual(failed.status, 5)
            self.assertIn("must be owner of table theirs", failed.err)
            self.assertIn("001_a.sql", failed.err)
            self.assertEqual(self.states(folder), {"001": "pending"})
        self.assertEqual(self.value("SELECT to_regclass('mine')"), None)

    def test_to_ends_at_a_version(self):
        with Folder(TWO) as folder:
            self.schema("apply", folder, "--to", "1").ok()
            self.assertEqual(self.states(folder), {"001": "applied", "002": "pending"})

    def test_to_a_version_that_is_not_there_applies_nothing(self):
        """Not everything: neither for a number beyond, nor for what is no number."""
        with Folder(TWO) as folder:
            for version in ("3", "002_add_mail", "v1"):
                for more in ((), ("--dry-run",)):
                    refused = self.schema("apply", folder, "--to", version, *more)
                    self.assertEqual(refused.status, 2, refused.err)
                    self.assertIn("There are: 001, 002.", refused.err)
            self.assertEqual(self.states(folder), {"001": "pending", "002": "pending"})


class Rollback(Case):
    def test_P_204_P_305_undoes_newest_first_down_to_the_version(self):
        """P-204, P-305: by the down scripts."""
        with Folder(TWO) as folder:
            self.schema("apply", folder).ok()
            undone = self.schema("rollback 1", folder).ok().json["undone"]
            self.assertEqual([m["version"] for m in undone], ["002"])
            self.assertEqual(self.states(folder), {"001": "applied", "002": "pending"})
            self.schema("apply", folder).ok()
            undone = self.schema("rollback 0", folder).ok().json["undone"]
            self.assertEqual([m["version"] for m in undone], ["002", "001"])
            self.assertEqual(self.value("SELECT to_regclass('users')"), None)

    def test_P_305_asks_first(self):
        """P-305: in a script without --yes nothing is undone."""
        with Folder(TWO) as folder:
            self.schema("apply", folder).ok()
            asked = self.schema("rollback 1", folder, "--no-yes", as_json=False)
            self.assertEqual(asked.status, 2)
            self.assertIn("nobody is here to answer", asked.err)
            self.assertIn("002_add_mail.down.sql", asked.out)
            self.assertEqual(self.states(folder)["002"], "applied")

    def test_a_missing_down_script_stops_before_anything_runs(self):
        with Folder(TWO) as folder:
            folder.remove("001_create_users.down.sql")
            self.schema("apply", folder).ok()
            refused = self.schema("rollback 0", folder)
            self.assertEqual(refused.status, 3)
            self.assertIn("001_create_users.sql has no down script", refused.err)
            self.assertEqual(self.states(folder), {"001": "applied", "002": "applied"})

    def test_an_unknown_version_is_refused(self):
        with Folder(TWO) as folder:
            self.schema("apply", folder).ok()
            self.assertEqual(self.schema("rollback 7", folder).status, 2)
            self.assertEqual(self.schema("rollback", folder).status, 2)

    def test_a_down_script_that_fails_keeps_its_migration(self):
        with Folder(TWO) as folder:
            folder.put("001_create_users.down.sql", "DROP TABLE users; DROP TABLE nothing")
            self.schema("apply", folder).ok()
            failed = self.schema("rollback 0", folder)
            self.assertEqual(failed.status, 5)
            self.assertEqual(self.states(folder), {"001": "applied", "002": "pending"})
            self.assertEqual(self.value("SELECT count(*) FROM users"), "1")

    def sleeping(self, n=30):
        return self.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(%d)%%' AND pid <> "
                          "pg_backend_pid()" % n) == "1"

    def end_sleepers(self):
        self.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid "
                  "<> pg_backend_pid()", user="postgres")
        wait_until(lambda: self.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE "
                                      "'neonferry%'") == "0")

    def test_killed_within_a_down_script_nothing_of_it_is_undone(self):
        with Folder(TWO) as folder:
            self.schema("apply", folder).ok()
            down = TWO["002_add_mail.down.sql"]
            folder.put("002_add_mail.down.sql", down + ";\nSELECT pg_sleep(30);\n")
            running = Running(self.server, "rollback 1", folder, uri=self.uri)
            wait_until(self.sleeping)
            running.kill()
            self.assertEqual(self.states(folder), {"001": "applied", "002": "applied"})
            self.end_sleepers()
            self.assertEqual(self.states(folder), {"001": "applied", "002": "applied"})
            folder.put("002_add_mail.down.sql", down)
            self.schema("rollback 1", folder).ok()
            self.assertEqual(self.states(folder), {"001": "applied", "002": "pending"})
            self.schema("apply", folder).ok()

    def test_killed_between_down_scripts_the_next_call_undoes_the_rest(self):
        with Folder(TWO) as folder:
            self.schema("apply", folder).ok()
            folder.put("001_create_users.down.sql", "SELECT pg_sleep(30);\nDROP TABLE users;\n")
            running = Running(self.server, "rollback 0", folder, uri=self.uri)
            wait_until(self.sleeping)
            running.kill()
            self.assertEqual(self.states(folder), {"001": "applied", "002": "pending"})
            self.end_sleepers()
            folder.put("001_create_users.down.sql", "DROP TABLE users")
            undone = self.schema("rollback 0", folder).ok().json["undone"]
            self.assertEqual([m["version"] for m in undone], ["001"])
            self.assertEqual(self.states(folder), {"001": "pending", "002": "pending"})
            self.assertEqual(self.value("SELECT to_regclass('users')"), None)
            self.schema("apply", folder).ok()
            self.assertEqual(self.states(folder), {"001": "applied", "002": "applied"})

    def test_killed_within_a_down_script_of_steps_the_next_call_goes_on_behind_the_last(self):
        up = "CREATE TABLE big (id int);\nCREATE INDEX big_a ON big (id);\nCREATE INDEX big_b ON big (id);\n"
        down = ("DROP INDEX CONCURRENTLY big_a;\nSELECT pg_advisory_lock(77);\nDROP INDEX CONCURRENTLY big_b;\n"
                "DROP TABLE big;\n")
        with Folder({"001_big.sql": up, "001_big.down.sql": down}) as folder:
            self.schema("apply", folder).ok()
            with self.session(user=FERRY) as holder:
                holder.query("SELECT pg_advisory_lock(77)")
                running = Running(self.server, "rollback 0", folder, uri=self.uri)
                wait_until(lambda: self.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT "
                                              "granted") == "1")
                running.kill()
                status = self.schema("status", folder).ok().json
                self.assertEqual(status["migrations"][0]["state"], "half rolled back")
                self.assertTrue(status["migrations"][0]["down_begun"])
                self.assertEqual([(p["version"], p["statements_done"]) for p in status["unfinished"]],
                                 [("001 down", 1)])
                self.assertIn("001 down", self.schema("status", folder, as_json=False).out)
            wait_until(lambda: self.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE "
                                          "'neonferry%'") == "0")
            self.schema("rollback 0", folder).ok()
            self.assertEqual(self.states(folder), {"001": "pending"})
            self.assertEqual(self.value("SELECT to_regclass('big')"), None)

    def test_P_305_a_corrected_down_script_that_stopped_half_way_runs_anew_with_force(self):
        """P-305: and until then status, apply and verify tell of it."""
        down = "-- neonferry: no-transaction\nDROP INDEX IF EXISTS big_a;\nDROP TABLE bigg;\n"
        with Folder({"001_big.sql": "CREATE TABLE big (id int);\nCREATE INDEX big_a ON big (id)",
                     "001_big.down.sql": down}) as folder:
            self.schema("apply", folder).ok()
            self.assertEqual(self.schema("rollback 0", folder).status, 5)
            status = self.schema("status", folder, as_json=False).ok()
            self.assertIn("1 half rolled back", status.out)
            self.assertEqual(self.states(folder), {"001": "half rolled back"})
            applied = self.schema("apply", folder, as_json=False).ok()
            self.assertIn("nothing was pending, 1 half rolled back: `neonferry schema rollback` goes on", applied.out)
            self.assertIn("001 is half rolled back", applied.err)
            self.assertEqual(self.schema("verify", folder).status, 7)
            folder.put("001_big.down.sql", down.replace("bigg", "big"))
            refused = self.schema("rollback 0", folder)
            self.assertEqual(refused.status, 3)
            self.assertIn("--force runs the new one", refused.err)
            self.schema("rollback 0", folder, "--force").ok()
            self.assertEqual(self.states(folder), {"001": "pending"})
            self.assertEqual(self.value("SELECT to_regclass('big')"), None)


CONCURRENT = ("SET work_mem = '4MB';\nALTER TABLE c ADD more int;\nCREATE UNIQUE INDEX CONCURRENTLY c_u ON c (u);\n"
              "CREATE INDEX CONCURRENTLY c_id ON c (id);\n")


class OutsideOfOneTransaction(Case):
    def setUp(self):
        super().setUp()
        self.psql("CREATE TABLE c (id int, u int); INSERT INTO c SELECT g, g % 2 FROM generate_series(1, 100) g",
                  user=FERRY)

    def test_an_invalid_index_is_told_and_mended_by_the_next_call(self):
        with Folder({"001_c.sql": CONCURRENT}) as folder:
            self.assertEqual(self.schema("apply", folder).status, 3)  # 98 rows are doubles
            failed = self.schema("apply", folder, "--allow-destructive")
            self.assertEqual(failed.status, 5)
            self.assertIn("001_c.sql, line 3", failed.err)
            status = self.schema("status", folder).ok().json
            self.assertEqual(status["migrations"][0]["state"], "unfinished")
            self.assertEqual(status["unfinished"][0]["statements_done"], 2)
            self.assertIn("23505", status["unfinished"][0]["error"])
            self.assertEqual(self.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'c_u'::regclass"), "f")
            self.psql("DELETE FROM c WHERE id > 2", user=FERRY)
            mended = self.schema("apply", folder).ok()
            self.assertIn("c_u is invalid", mended.err)
            self.assertEqual(self.states(folder), {"001": "applied"})
        self.assertEqual(self.value("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'c'::regclass"), "t")
        self.assertEqual(self.value("SELECT count(*) FROM c"), "2")
        self.assertEqual(self.value("SELECT count(*) FROM neonferry.schema_progress"), "0")

    def test_a_file_that_changed_since_it_was_begun_is_refused(self):
        with Folder({"001_c.sql": CONCURRENT}) as folder:
            self.schema("apply", folder, "--allow-destructive")
            folder.put("001_c.sql", CONCURRENT.replace("UNIQUE ", ""))
            refused = self.schema("apply", folder)
            self.assertEqual(refused.status, 3)
            self.assertIn("has changed since it was begun", refused.err)
            self.psql("ALTER TABLE c DROP more", user=FERRY)
            self.schema("apply", folder, "--force").ok()

    def test_killed_in_a_concurrent_build_the_next_call_finishes(self):
        self.psql("CREATE TABLE big (id int); INSERT INTO big SELECT generate_series(1, 1000)", user=FERRY)
        with Folder({"001_i.sql": "CREATE INDEX CONCURRENTLY big_id ON big (id);\nVACUUM big;\n"}) as folder:
            with self.session(user=FERRY) as old:
                old.query("BEGIN; INSERT INTO big VALUES (0)")  # the build waits for it
                running = Running(self.server, "apply", folder, uri=self.uri)
                wait_until(lambda: self.value("SELECT count(*) FROM pg_index WHERE indexrelid = "
                                              "to_regclass('big_id')") == "1")
                running.kill()
                self.assertEqual(self.states(folder), {"001": "unfinished"})
                old.query("COMMIT")
            wait_until(lambda: self.value("SELECT count(*) FROM pg_stat_activity WHERE "
                                          "application_name LIKE 'neonferry%'") == "0")
            self.schema("apply", folder).ok()
            self.assertEqual(self.states(folder), {"001": "applied"})
        self.assertEqual(self.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_id'::regclass"), "t")

    def test_killed_within_a_transaction_nothing_stays(self):
        with Folder({"001_s.sql": "CREATE TABLE s (i int);\nSELECT pg_sleep(30);\n"}) as folder:
            running = Running(self.server, "apply", folder, uri=self.uri)
            wait_until(lambda: self.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                                          "'%pg_sleep(30)%' AND pid <> pg_backend_pid()") == "1")
            running.kill()
            self.assertEqual(self.states(folder), {"001": "pending"})
            self.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
                      "'%pg_sleep(30)%' AND pid <> pg_backend_pid()", user="postgres")
            folder.put("001_s.sql", "CREATE TABLE s (i int)")
            self.schema("apply", folder).ok()

    def test_P_206_a_batch_goes_in_rounds_and_goes_on_after_a_kill(self):
        """P-206: every row is changed once."""
        self.psql("CREATE TABLE rows AS SELECT g AS id, 0 AS done FROM generate_series(1, 1000) g; "
                  "ALTER TABLE rows ADD PRIMARY KEY (id)", user=FERRY)
        batch = ("-- neonferry: batch pause=20\nUPDATE rows SET done = done + 1 WHERE id IN "
                 "(SELECT id FROM rows WHERE done = 0 ORDER BY id LIMIT 10)")
        with Folder({"001_b.sql": batch}) as folder:
            running = Running(self.server, "apply", folder, uri=self.uri)
            wait_until(lambda: int(self.value("SELECT count(*) FROM rows WHERE done = 1")) >= 50)
            running.kill()
            status = self.schema("status", folder).ok().json
            self.assertEqual(status["migrations"][0]["state"], "unfinished")
            done = int(self.value("SELECT count(*) FROM rows WHERE done = 1"))
            self.assertGreaterEqual(status["unfinished"][0]["rows"], 50)
            self.assertLess(done, 1000)
            folder.put("001_b.sql", batch.replace("pause=20", "pause=20 "))
            refused = self.schema("apply", folder)
            self.assertIn("has changed since it was begun", refused.err)
            folder.put("001_b.sql", batch)
            self.schema("apply", folder).ok()
        self.assertEqual(self.psql("SELECT done, count(*) FROM rows GROUP BY 1"), [["1", "1000"]])

    def test_P_206_a_batch_that_changes_no_rows_is_refused(self):
        """P-206: it would never end."""
        for sql in ("SELECT 1", "WITH d AS (DELETE FROM c RETURNING id) SELECT count(*) FROM d", "ANALYZE c"):
            with self.subTest(sql=sql), Folder({"001_b.sql": "-- neonferry: batch\n" + sql}) as folder:
                refused = self.schema("apply", folder, "--allow-destructive", timeout=60)
                self.assertEqual(refused.status, 2)
                self.assertIn("changes no rows, as a batch it would never end", refused.err)
                self.assertEqual(self.schema("lint", folder).status, 7)
        with Folder({"001_b.sql": "/* who: me */\n-- neonferry: batch\nWITH x AS (SELECT id FROM c LIMIT 40)"
                                  " DELETE FROM c USING x WHERE c.id = x.id"}) as folder:
            self.schema("apply", folder).ok()
        self.assertEqual(self.value("SELECT count(*) FROM c"), "0")

    def test_a_concurrent_drop_in_a_down_script(self):
        with Folder({"001_t.sql": "CREATE TABLE t (i int)", "002_i.sql": "CREATE INDEX CONCURRENTLY t_i ON t (i)",
                     "002_i.down.sql": "DROP INDEX CONCURRENTLY t_i"}) as folder:
            self.schema("apply", folder).ok()
            self.schema("rollback 1", folder).ok()
            self.assertEqual(self.states(folder), {"001": "applied", "002": "pending"})
        self.assertEqual(self.value("SELECT to_regclass('t_i')"), None)


class Locks(Case):
    ALTER = {"001_t.sql": "ALTER TABLE t ADD j int"}

    def setUp(self):
        super().setUp()
        self.psql("CREATE TABLE t (i int)", user=FERRY)

    def test_P_409_an_idle_session_in_the_way_is_named_and_nothing_is_applied(self):
        """P-409: the lock timeout, the blocker."""
        with Folder(self.ALTER) as folder, self.session(user=FERRY) as idle:
            idle.query("BEGIN; SELECT * FROM t")
            failed = self.schema("apply", folder, "--lock-timeout", "1500ms")
            self.assertEqual(failed.status, 4, failed.err)
            self.assertIn("process %d (user ferry, idle in transaction" % idle.pid, failed.err)
            self.assertEqual(self.states(folder), {"001": "pending"})
            locks = self.schema("apply", folder, "--locks").ok().json
            self.assertEqual([b["pid"] for b in locks], [idle.pid])
            self.assertIn("AccessShareLock on public.t", locks[0]["locks"])

    def test_P_409_end_idle_ends_it_and_goes_on(self):
        """P-409: --end-idle."""
        with Folder(self.ALTER) as folder, self.session(user=FERRY) as idle:
            idle.query("BEGIN; SELECT * FROM t")
            self.schema("apply", folder, "--lock-timeout", "1s", "--end-idle").ok()
            self.assertEqual(self.states(folder), {"001": "applied"})

    def test_two_runners_at_once_the_second_is_told_of_the_first(self):
        with Folder({"001_t.sql": "SELECT pg_sleep(4); CREATE TABLE once (i int)"}) as folder:
            first = Running(self.server, "apply", folder, uri=self.uri)
            wait_until(lambda: self.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                                          "'%pg_sleep(4)%' AND pid <> pg_backend_pid()") == "1")
            second = self.schema("apply", folder, "--lock-timeout", "500ms")
            self.assertEqual(second.status, 3)
            self.assertIn("another runner is at work", second.err)
            waiting = Running(self.server, "apply", folder, uri=self.uri)
            first.wait().ok()
            self.assertEqual(waiting.wait().ok().json["applied"], [])
        self.assertEqual(self.value("SELECT count(*) FROM schema_migrations"), "1")


@unittest.skipUnless(shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin"),
                     "no pgbouncer here")
class Pooler(unittest.TestCase):
    def test_a_pooler_in_between_is_found_out_and_refused(self):
        with make_source() as server, Folder(TWO) as folder:
            port, home = free_port(), make_dir()
            with open(home + "/bouncer.ini", "w") as f:
                f.write("[databases]\n* = host=127.0.0.1 port=%d user=postgres\n[pgbouncer]\n"
                        "listen_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\n"
                        "pool_mode = transaction\n" % (server.port, port))
            name = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
            bouncer = subprocess.Popen([name, "-q", home + "/bouncer.ini"], stderr=subprocess.DEVNULL,
                                       user="postgres" if os.geteuid() == 0 else None)
            try:
                wait_until(lambda: listens(port))
                uri = "postgresql://postgres@127.0.0.1:%d/chat_pgvector" % port
                refused = schema(None, "apply", folder, uri=uri)
                self.assertEqual(refused.status, 3, refused.err)
                self.assertIn("a pooler is in between", refused.err)
                self.assertEqual(server.value("SELECT to_regclass('users')"), None)
            finally:
                bouncer.terminate()
                bouncer.wait()
                shutil.rmtree(home)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    unittest.main()
