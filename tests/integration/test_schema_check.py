#!/usr/bin/env python3
"""What migrations would change, what they made, and whether two schemas are the same."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, MIGRATIONS  # noqa: E402
from schema_cli import Case, Folder, schema, states  # noqa: E402

START = ("CREATE TABLE t (id int PRIMARY KEY, a text, b int, c numeric(10,2), d varchar(10));"
         "INSERT INTO t SELECT g, CASE WHEN g % 10 > 0 THEN 'x' END, g % 5, 1, 'd' "
         "FROM generate_series(1, 100) g;"
         "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (0), (1)")


class Base(Case):
    def tearDown(self):
        left = self.server.psql("SELECT datname FROM pg_database WHERE datname LIKE 'neonferry_scratch%'")
        self.assertEqual(left, [], "a scratch database is left")

    def dry_run(self, sql, *options):
        with Folder({"001_x.sql": sql}) as folder:
            return self.schema("apply", folder, "--dry-run", *options)

    def change(self, sql, *options):
        """(severity, why) of the one change that the SQL makes."""
        changes = self.dry_run(sql, *options).json["changes"]
        self.assertEqual(len(changes), 1, changes)
        return changes[0]["severity"], changes[0]["why"]


class BreakingChanges(Base):
    def setUp(self):
        super().setUp()
        self.psql(START)

    def test_P_202_each_sort_of_change_is_judged_by_the_rows_that_are_there(self):
        """P-202, P-307: safe, review, destructive."""
        cases = [
            ("CREATE TABLE n (i int)", "safe", ""),
            ("ALTER TABLE t ADD e int", "safe", ""),
            ("ALTER TABLE t ADD e int NOT NULL DEFAULT 1", "safe", ""),
            ("ALTER TABLE t ADD e timestamptz NOT NULL DEFAULT clock_timestamp()", "review", "writes anew"),
            ("ALTER TABLE t ADD e int NOT NULL", "destructive", "100 rows would have no value: it would fail"),
            ("ALTER TABLE t ALTER a SET NOT NULL", "destructive", "10 rows hold NULL: it would fail"),
            ("ALTER TABLE t ALTER b SET NOT NULL", "review", "no row is against it"),
            ("ALTER TABLE t ALTER a SET DEFAULT 'y'", "safe", ""),
            ("DROP TABLE p", "destructive", "2 rows"),
            ("ALTER TABLE t DROP a", "destructive", "90 values"),
            ("ALTER TABLE t ALTER b TYPE bigint", "review", "writes anew"),
            ("ALTER TABLE t ALTER b TYPE smallint", "destructive", "values may be changed"),
            ("ALTER TABLE t ALTER d TYPE varchar(20)", "safe", ""),
            ("ALTER TABLE t ALTER d TYPE varchar(5)", "destructive", "values may be changed"),
            ("ALTER TABLE t ALTER c TYPE numeric(12,2)", "safe", ""),
            ("ALTER TABLE t ALTER c TYPE numeric(12,0)", "destructive", "values may be changed"),
            ("ALTER TABLE t ADD CONSTRAINT u UNIQUE (b)", "destructive", "95 rows are doubles"),
            ("ALTER TABLE t ADD CONSTRAINT u UNIQUE (id, b)", "review", "no row is against it"),
            ("CREATE UNIQUE INDEX u ON t (b) WHERE id > 90", "destructive", "5 rows are doubles"),
            ("CREATE INDEX CONCURRENTLY i ON t (b)", "safe", "reads"),
            ("ALTER TABLE t ADD CONSTRAINT k CHECK (b < 4)", "destructive", "20 rows are against it"),
            ("ALTER TABLE t ADD CONSTRAINT k CHECK (b < 4) NOT VALID", "review", "not checked"),
            ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES p", "destructive", "60 rows have no parent"),
            ("ALTER TABLE t RENAME b TO bb", "review", "programs that use the old name fail"),
            ("ALTER TABLE p RENAME TO pp", "review", None),
            ("ALTER TABLE p SET UNLOGGED", "destructive", "empties it"),
            ("ALTER TABLE p ENABLE ROW LEVEL SECURITY", "review", "nobody but the owner"),
            ("COMMENT ON TABLE t IS 'DROP TABLE t'", None, None),
        ]
        for sql, severity, why in cases:
            with self.subTest(sql=sql):
                if severity is None:
                    self.assertEqual(self.dry_run(sql).ok().json["changes"], [])
                    continue
                changes = self.dry_run(sql).json["changes"]
                found = [c for c in changes if c["kind"] != "constraint"] or changes
                self.assertEqual(found[0]["severity"], severity, found)
                self.assertIn(why or "", found[0]["why"])
        self.assertEqual(self.value("SELECT count(*) FROM t"), "100")
        self.assertEqual(self.value("SELECT to_regclass('schema_migrations')"), None)

    def test_P_202_what_happens_to_rows_without_a_change_of_shape_is_seen(self):
        """P-202, P-307: dropped and made again, truncated, deleted, overwritten, computed anew."""
        self.psql("CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM t';"
                  "CREATE VIEW v AS SELECT id FROM p; CREATE TABLE empty (id int);"
                  "CREATE SEQUENCE sq; SELECT setval('sq', 100)")
        cases = [
            ("DROP TABLE p CASCADE; CREATE TABLE p (id int PRIMARY KEY)", "public.p", "replaced", "destructive", "2 rows"),
            ("ALTER TABLE t DROP d; ALTER TABLE t ADD d varchar(10)", "public.t.d", "replaced", "destructive", "100 values"),
            ("TRUNCATE p", "public.p", "rows", "destructive", "all its rows are lost; 2 rows now"),
            ("DELETE FROM p", "public.p", "rows", "destructive", "no WHERE; 2 rows"),
            ("DELETE FROM p WHERE id > 0", "public.p", "rows", "review", "which ones is not seen; 2 rows"),
            ("WITH x AS (DELETE FROM p RETURNING id) SELECT FROM x", "public.p", "rows", "destructive", ""),
            ("DO 'BEGIN PERFORM wipe(); END'", "public.t", "rows", "destructive", "a function deletes rows"),
            ("UPDATE v SET id = id + 5", "public.p", "rows", "review", "overwritten, in which rows is not seen; 2 rows"),
            ("DELETE FROM empty", "public.empty", "rows", "safe", "0 rows"),
            ("ALTER TABLE p DISABLE TRIGGER USER; DELETE FROM p; ALTER TABLE p ENABLE TRIGGER USER", "public.p",
             "rows", "destructive", "2 rows"),
            ("DO 'BEGIN ALTER TABLE p DISABLE TRIGGER USER; DELETE FROM p; ALTER TABLE p ENABLE TRIGGER USER; END'",
             "public.p", "rows", "review", "not seen"),
            ("ALTER TABLE t ALTER a TYPE text USING ''", "public.t", "rewritten", "destructive", "USING"),
            ("ALTER TABLE t ALTER b TYPE bigint USING 0", "public.t.b", "type", "destructive", "USING"),
            ("ALTER TABLE t ALTER COLUMN b SET DATA TYPE bigint USING b::numeric(10)::bigint, ADD UNIQUE (id, b)",
             "public.t.b", "type", "review", ""),
            ("CLUSTER p USING p_pkey", "public.p", "rewritten", "review", "written anew"),
            ("SELECT setval('sq', 5)", "public.sq", "value", "review", "goes back"),
            ("SELECT setval('sq', 1, false)", "public.sq", "value", "review", "goes back"),
            ("ALTER SEQUENCE sq RESTART", "public.sq", "value", "review", "goes back"),
            ("ALTER TABLE p RENAME TO old; CREATE TABLE p (id int)", "public.p", "replaced", "review", "is in public.old"),
            ("ALTER TABLE t DROP a; ALTER TABLE t RENAME d TO a", "public.t.a", "replaced", "destructive", "90 values"),
            ("ALTER TABLE t RENAME TO tt; ALTER TABLE tt DROP a", "public.t.a", "removed", "destructive", "90 values"),
        ]
        for sql, name, change, severity, why in cases:
            with self.subTest(sql=sql):
                result = self.dry_run(sql)
                found = [c for c in result.json["changes"] if (c["object"], c["change"]) == (name, change)]
                self.assertEqual([c["severity"] for c in found], [severity], result.json["changes"])
                self.assertIn(why, found[0]["why"])
                self.assertEqual(result.status, 7 if severity == "destructive" else 0)
        for sql in ("INSERT INTO p VALUES (7)", "SELECT nextval('sq')", "-- DELETE FROM p\nSELECT 'DELETE FROM p'",
                    "SELECT setval('sq', 500)"):
            with self.subTest(sql=sql):
                self.assertEqual(self.dry_run(sql).ok().json["changes"], [])
        self.assertEqual(self.value("SELECT count(*) FROM t"), "100")

    def test_in_place_the_rows_are_counted(self):
        cases = [("DELETE FROM t WHERE b = 1", "rows", "destructive", "20 rows are deleted"),
                 ("UPDATE t SET a = '' WHERE b = 1", "rows", "review", "20 rows are overwritten"),
                 ("TRUNCATE t", "rewritten", "destructive", "emptied, or every row written anew")]
        for sql, change, severity, why in cases:
            with self.subTest(sql=sql):
                found = self.dry_run(sql, "--in-place").json["changes"]
                self.assertEqual([(c["change"], c["severity"]) for c in found], [(change, severity)])
                self.assertIn(why, found[0]["why"])
        self.assertEqual(self.value("SELECT count(*) FROM t WHERE a = ''"), "0")

    def test_rows_that_the_same_migrations_change_are_not_counted_as_an_obstacle(self):
        for sql, why in (("ALTER TABLE t ADD z int; UPDATE t SET z = 1; ALTER TABLE t ALTER z SET NOT NULL",
                          "100 rows would have no value now: it fails unless these migrations change that"),
                         ("UPDATE t SET a = 'y' WHERE a IS NULL; ALTER TABLE t ALTER a SET NOT NULL",
                          "10 rows hold NULL now: it fails unless")):
            with self.subTest(sql=sql):
                result = self.dry_run(sql).ok()
                self.assertEqual({c["severity"] for c in result.json["changes"]}, {"review"})
                self.assertTrue(any(why in c["why"] for c in result.json["changes"]), result.json["changes"])
        failing = self.dry_run("INSERT INTO t (id) VALUES (1000); ALTER TABLE t ALTER a SET NOT NULL")
        self.assertNotEqual(failing.status, 0)
        self.psql("CREATE TABLE ev (id int, k int) PARTITION BY LIST (k);"
                  "CREATE TABLE ev_1 PARTITION OF ev FOR VALUES IN (1); INSERT INTO ev VALUES (1, 1)")
        self.dry_run("ALTER TABLE ev ADD z int; UPDATE ev SET z = 1; ALTER TABLE ev ALTER z SET NOT NULL").ok()
        self.assertEqual(self.dry_run("INSERT INTO p VALUES (2), (3), (4); ALTER TABLE t ADD CONSTRAINT f "
                                      "FOREIGN KEY (b) REFERENCES p").ok().json["destructive"], 0)
        self.assertEqual(self.dry_run("INSERT INTO t VALUES (1000, 'x'); ALTER TABLE t ALTER a SET DEFAULT 'y';"
                                      "ALTER TABLE t ADD z int; ALTER TABLE t ADD CONSTRAINT c CHECK (b < 4)")
                         .json["destructive"], 1)

    def test_P_202_what_would_fail_on_the_rows_that_are_there_is_never_said_to_be_well(self):
        """P-202: NULLS NOT DISTINCT, partitions, MATCH FULL, domains, exclusion, sequences, VALIDATE."""
        self.psql("CREATE TABLE k (x int, y int); INSERT INTO k VALUES (1, NULL), (NULL, NULL), (NULL, NULL), (2, 2);"
                  "CREATE TABLE kp (x int, y int, PRIMARY KEY (x, y)); INSERT INTO kp VALUES (2, 2);"
                  "ALTER TABLE k ADD CONSTRAINT late CHECK (x < 2) NOT VALID;"
                  "CREATE TABLE part (id int) PARTITION BY RANGE (id);"
                  "CREATE TABLE part_rest PARTITION OF part DEFAULT;"
                  "CREATE TABLE part_a PARTITION OF part FOR VALUES FROM (100) TO (200);"
                  "INSERT INTO part VALUES (5), (150), (300); CREATE TABLE loose (id int); INSERT INTO loose VALUES (1);"
                  "CREATE TABLE loose_p (x int PRIMARY KEY); INSERT INTO loose_p VALUES (1);"
                  "CREATE DOMAIN dom AS int; CREATE TABLE doms (v dom, w dom); INSERT INTO doms VALUES (1, -1), (2, 3);"
                  "CREATE SEQUENCE sq; SELECT setval('sq', 100); CREATE EXTENSION btree_gist")
        cases = [
            ("CREATE UNIQUE INDEX u ON k (y) NULLS NOT DISTINCT", "destructive", "2 rows are doubles: it would fail"),
            ("ALTER TABLE k ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (y)", "destructive", "2 rows are doubles"),
            ("CREATE UNIQUE INDEX u ON k (y)", "review", "no row is against it"),
            ("CREATE TABLE part_b PARTITION OF part FOR VALUES FROM (0) TO (10)", "destructive",
             "1 rows of it are in the default partition: it would fail"),
            ("CREATE TABLE part_b PARTITION OF part FOR VALUES FROM (10) TO (20)", "safe", "no row is against it"),
            ("ALTER TABLE part DETACH PARTITION part_a; "
             "ALTER TABLE part ATTACH PARTITION part_a FOR VALUES FROM (100) TO (120)", "destructive",
             "1 rows are outside of its bounds: it would fail"),
            ("ALTER TABLE part ATTACH PARTITION loose FOR VALUES FROM (0) TO (10)", "destructive",
             "1 rows of it are in the default partition"),
            ("ALTER TABLE k ADD CONSTRAINT f FOREIGN KEY (x, y) REFERENCES kp MATCH FULL", "destructive",
             "1 rows have no parent"),
            ("ALTER TABLE k ADD CONSTRAINT f FOREIGN KEY (x, y) REFERENCES kp", "review", "no row is against it"),
            ("ALTER DOMAIN dom ADD CHECK (VALUE > 0)", "destructive", "1 values are against it: it would fail"),
            ("ALTER DOMAIN dom ADD CHECK (VALUE > -5)", "review", "no row is against it"),
            ("ALTER DOMAIN dom ADD CONSTRAINT nv CHECK (VALUE > 0) NOT VALID", "review", "not checked on the rows"),
            ("ALTER TABLE k ADD CONSTRAINT ex EXCLUDE USING gist (x WITH =)", "review", "not known, look before"),
            ("ALTER TABLE k VALIDATE CONSTRAINT late", "destructive", "1 rows are against it"),
            ("ALTER TABLE kp DROP CONSTRAINT kp_pkey, ADD CONSTRAINT kp_pkey CHECK (x > 2)", "destructive",
             "1 rows are against it"),
            ("ALTER TABLE k RENAME x TO xx", "review", "programs that use the old name fail"),
        ]
        for sql, severity, why in cases:
            with self.subTest(sql=sql):
                changes = self.dry_run(sql).json["changes"]
                found = [c for c in changes if why in c["why"]]
                self.assertEqual([c["severity"] for c in found], [severity], changes)
        self.assertIn("--in-place", self.dry_run("CREATE TABLE kk (x int PRIMARY KEY REFERENCES loose_p); "
                                                 "INSERT INTO kk VALUES (1)").err)
        refused = self.dry_run("ALTER SEQUENCE sq MAXVALUE 50")
        self.assertEqual(refused.status, 3)
        self.assertIn("cannot be greater than MAXVALUE", refused.err)

    def test_a_renamed_label_is_no_loss_and_what_is_renamed_or_dropped_is_locked(self):
        self.psql("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        self.assertEqual(self.change("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'"),
                         ("review", "a label is renamed: programs that use the old one fail"))
        self.assertEqual(self.change("ALTER TYPE mood ADD VALUE 'glad'")[0], "safe")
        self.psql("CREATE TABLE moods (m mood); INSERT INTO moods VALUES ('ok')")
        self.assertEqual({(c["object"], c["change"]) for c in self.dry_run("ALTER TYPE mood RENAME TO humour").ok()
                          .json["changes"]}, {("public.humour", "renamed"), ("public.moods.m", "type")})
        for sql in ("ALTER TABLE p RENAME TO pp", "DROP TABLE p"):
            locks = self.dry_run(sql).json["locks"]
            self.assertEqual([(x["relation"], x["mode"]) for x in locks], [("public.p", "AccessExclusiveLock")], sql)

    def test_P_202_destructive_changes_stop_apply_until_allowed(self):
        """P-202, P-307: --dry-run and --allow-destructive."""
        with Folder({"001_x.sql": "ALTER TABLE t DROP a"}) as folder:
            self.assertEqual(self.schema("apply", folder, "--dry-run").status, 7)
            refused = self.schema("apply", folder)
            self.assertEqual(refused.status, 3)
            self.assertIn("--allow-destructive", refused.err)
            self.assertEqual(self.value("SELECT count(a) FROM t"), "90")
            self.schema("apply", folder, "--allow-destructive").ok()
            self.assertEqual(states(None, folder, uri=self.uri), {"001": "applied"})

    def test_locks_are_named_and_statements_beyond_the_database_are_not_tried(self):
        result = self.dry_run("ALTER TABLE t ADD z int;\nCREATE ROLE intruder;\n"
                              "ALTER TABLE p ADD CONSTRAINT c CHECK (id >= 0)").ok().json
        self.assertEqual([(x["relation"], x["mode"]) for x in result["locks"]],
                         [("public.p", "AccessExclusiveLock"), ("public.t", "AccessExclusiveLock")])
        self.assertEqual([(s["line"], s["statement"]) for s in result["skipped"]], [(2, "CREATE ROLE intruder")])
        self.assertEqual(self.value("SELECT count(*) FROM pg_roles WHERE rolname = 'intruder'"), "0")

    def test_what_could_not_be_asked_is_not_safe(self):
        """A unique index over a column that is not there yet: it fails on a table with rows."""
        changes = self.dry_run("ALTER TABLE t ADD z int DEFAULT 1; CREATE UNIQUE INDEX CONCURRENTLY z ON t (z)").json["changes"]
        severity, why = [(c["severity"], c["why"]) for c in changes if c["kind"] == "index"][0]
        self.assertEqual(severity, "review", why)
        self.assertIn("is not known", why)

    def test_in_place_tries_in_the_target_and_rolls_back(self):
        severity, why = self.change("ALTER TABLE t ALTER a SET NOT NULL", "--in-place") \
            if self.value("UPDATE t SET a = '' WHERE a IS NULL RETURNING 1") else ("", "")
        self.assertEqual((severity, why), ("review", "rows without a value are refused; no row is against it"))
        self.assertEqual(self.value("SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass "
                                    "AND attname = 'a'"), "f")
        with self.server.session(db=self.db, user=FERRY) as busy:
            busy.query("BEGIN; SELECT * FROM t")
            began = time.monotonic()
            failed = self.dry_run("ALTER TABLE t ADD z int", "--in-place")
            self.assertIn("55P03", failed.err)
            self.assertLess(time.monotonic() - began, 10)

    def test_a_dry_run_waits_for_nobody(self):
        with self.server.session(db=self.db, user=FERRY) as busy:
            busy.query("BEGIN; INSERT INTO t VALUES (1000)")
            self.dry_run("ALTER TABLE t ADD z int").ok()

    def test_a_role_that_may_not_create_a_database_names_a_scratch(self):
        self.server.create_role("small", "small", "LOGIN NOCREATEDB")
        self.psql("GRANT ALL ON DATABASE %s TO small; GRANT ALL ON SCHEMA public TO small; "
                  "GRANT SELECT ON ALL TABLES IN SCHEMA public TO small" % self.db, user="postgres")
        self.server.create_database("scratch_" + self.db, owner="small")
        uri = self.server.uri(db=self.db, user="small", password="small")
        scratch = self.server.uri(db="scratch_" + self.db, user="small", password="small")
        with Folder({"001_x.sql": "CREATE SCHEMA s; CREATE TABLE s.a (i int); CREATE TABLE mine (i serial)"}) as folder:
            refused = self.schema("apply", folder, "--dry-run", uri=uri)
            self.assertEqual(refused.status, 3)
            self.assertIn("--scratch URI", refused.err)
            self.schema("apply", folder, "--dry-run", "--scratch", scratch, uri=uri).ok()
            again = self.schema("apply", folder, "--dry-run", "--scratch", scratch, uri=uri).ok()
            self.assertEqual(again.json["safe"], 4)
            self.psql("CREATE TABLE kept (i int)", db="scratch_" + self.db, user="small")
            refused = self.schema("apply", folder, "--dry-run", "--scratch", scratch, uri=uri)
            self.assertIn("is not empty", refused.err)
            self.assertEqual(self.value("SELECT to_regclass('kept')", db="scratch_" + self.db), "kept")

    def test_a_scratch_database_that_anything_is_kept_in_is_not_emptied(self):
        """A function, a type or a schema alone is something, too; what an extension brings is not."""
        db = "scratch_" + self.db
        self.server.create_database(db, owner=FERRY)
        scratch = self.server.uri(db=db)
        self.psql("CREATE EXTENSION IF NOT EXISTS vector", db=db, user="postgres")
        with Folder({"001_x.sql": "CREATE TABLE mine (i int)"}) as folder:
            for kept, gone in (("FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "FUNCTION f"),
                               ("TYPE e AS ENUM ('a')", "TYPE e"), ("DOMAIN d AS int", "DOMAIN d"),
                               ("SCHEMA s", "SCHEMA s")):
                self.psql("CREATE " + kept, db=db)
                refused = self.schema("apply", folder, "--dry-run", "--scratch", scratch)
                self.assertEqual(refused.status, 3, kept)
                self.assertIn("is not empty", refused.err)
                self.psql("DROP " + gone, db=db)  # fails where it is not there any more
            self.schema("apply", folder, "--dry-run", "--scratch", scratch).ok()

    def test_a_migration_that_fails_in_the_scratch_database_is_named(self):
        failed = self.dry_run("CREATE TABLE ok (i int);\nALTER TABLE nothing ADD i int")
        self.assertEqual(failed.status, 3)
        self.assertIn("001_x.sql, line 2", failed.err)


class Verify(Base):
    def setUp(self):
        super().setUp()
        self.schema("apply", MIGRATIONS).ok()

    def verify(self, *options):
        return self.schema("verify", MIGRATIONS, *options)

    def found(self):
        result = self.verify()
        self.assertEqual(result.status, 7, result.err)
        return {(d["kind"], d["object"], d["change"]) for d in result.json["differences"]}

    def test_P_303_a_good_database_passes_and_extras_do_not_count(self):
        """P-303: and the seed rows are counted."""
        self.psql("CREATE TABLE extra (i int); CREATE INDEX ON users (location)")
        result = self.verify().ok().json
        self.assertEqual(result["differences"], [])
        self.assertEqual([(s["table"], s["rows"], s["missing"]) for s in result["seeds"]],
                         [("public.embedding_models", 3, 0)])

    def test_P_303_P_001_to_P_005_every_planted_fault_is_found(self):
        """P-303: tables and keys (P-001), functions (P-003), HNSW parameters (P-004), defaults."""
        faults = [
            ("DROP TABLE notifications", ("table", "public.notifications", "removed")),
            ("ALTER TABLE users DROP bio", ("column", "public.users.bio", "removed")),
            ("ALTER TABLE repositories ALTER stars DROP DEFAULT", ("column", "public.repositories.stars", "default")),
            ("ALTER TABLE repositories ALTER stars TYPE bigint", ("column", "public.repositories.stars", "type")),
            ("ALTER TABLE users DROP CONSTRAINT users_username_key",
             ("constraint", "public.users.users_username_key", "removed")),
            ("ALTER TABLE user_repository_interactions DROP CONSTRAINT user_repository_interactions_pkey",
             ("constraint", "public.user_repository_interactions.user_repository_interactions_pkey", "removed")),
            ("DROP INDEX users_embedding_hnsw; CREATE INDEX users_embedding_hnsw ON users USING hnsw "
             "(embedding halfvec_l2_ops) WITH (m = 16, ef_construction = 64)",
             ("index", "public.users_embedding_hnsw", "columns")),
            ("DROP INDEX repositories_embedding_hnsw; CREATE INDEX repositories_embedding_hnsw ON repositories "
             "USING hnsw (embedding halfvec_cosine_ops) WITH (m = 8, ef_construction = 64)",
             ("index", "public.repositories_embedding_hnsw", "options")),
            ("DROP FUNCTION search_similar_users",
             ("function", "public.search_similar_users(for_user uuid, result_limit integer, "
              "min_similarity double precision, ef_search integer)", "removed")),
            ("ALTER TABLE contribution_outcomes DROP CONSTRAINT contribution_outcomes_user_id_fkey, ADD CONSTRAINT "
             "contribution_outcomes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE NOT VALID",
             ("constraint", "public.contribution_outcomes.contribution_outcomes_user_id_fkey", "validated")),
            ("DROP TRIGGER touch_updated_at ON users", ("trigger", "public.users.touch_updated_at", "removed")),
            ("ALTER TYPE difficulty_level ADD VALUE 'wizard'", ("type", "public.difficulty_level", "labels")),
        ]
        for sql, _ in faults:
            self.psql(sql)
        found = self.found()
        for sql, fault in faults:
            self.assertIn(fault, found, sql)
        depending = {("sequence", "public.notifications_id_seq", "removed"),
                     ("index", "public.repositories_stars", "columns")}
        self.assertEqual(found, {fault for _, fault in faults} | depending)

    def test_an_invalid_index_and_a_lost_extension_are_found(self):
        """P-002: with the indexes that needed the extension."""
        self.psql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_skills'::regclass",
                  user="postgres")
        self.psql("DROP EXTENSION pg_trgm CASCADE", user="postgres")
        found = self.found()
        self.assertIn(("index", "public.users_skills", "valid"), found)
        self.assertIn(("extension", "pg_trgm", "removed"), found)
        self.assertIn(("index", "public.users_username_trgm", "removed"), found)

    def test_P_303_a_lost_seed_row_is_found(self):
        """P-303: rows that a migration put in."""
        self.psql("DELETE FROM embedding_models WHERE name = 'all-MiniLM-L6-v2'")
        result = self.verify()
        self.assertEqual(result.status, 7)
        self.assertEqual(result.json["seeds"][0]["missing"], 1)

    def test_P_201_the_rights_of_the_applications_role_are_verified(self):
        """P-201: what it lacks is named."""
        self.server.create_role("app_" + self.db, "app", "LOGIN")
        lacking = self.verify("--app-role", "app_" + self.db)
        self.assertEqual(lacking.status, 7)
        self.assertIn({"object": "public.users", "lacks": "DELETE, INSERT, SELECT, UPDATE"}, lacking.json["grants"])
        self.psql("GRANT ALL ON ALL TABLES IN SCHEMA public TO app_%s; GRANT USAGE ON ALL SEQUENCES IN SCHEMA "
                  "public TO app_%s" % (self.db, self.db))
        self.verify("--app-role", "app_" + self.db).ok()

    def test_the_settings_of_database_and_role_are_no_difference(self):
        """Times are told in one zone and one format; what has no schema is made where it was."""
        self.psql("ALTER DATABASE %s SET timezone = 'Asia/Tokyo';"
                  "ALTER DATABASE %s SET search_path = 'app', 'public';"
                  "ALTER ROLE %s SET datestyle = 'German'" % (self.db, self.db, FERRY), user="postgres")
        try:
            with Folder({"001_when.sql":
                         "CREATE SCHEMA app; CREATE TABLE public.made (at timestamptz DEFAULT '2026-01-02 03:04', i interval DEFAULT '1 day 2 h');"
                         "CREATE TABLE parts (at timestamptz) PARTITION BY RANGE (at);"
                         "CREATE TABLE part PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO "
                         "('2026-02-01')"}) as folder:
                self.schema("apply", folder, "--history-table", "public.when_history").ok()
                self.assertEqual(self.value("SELECT to_regclass('app.parts') IS NOT NULL"), "t")
                for command in ("verify", "compare"):
                    found = self.schema(command, folder, "--history-table", "public.when_history")
                    differences = [d for d in found.json["differences"] if "part" in d["object"] or
                                   d["object"].startswith("public.made")]
                    self.assertEqual(differences, [], command)
        finally:
            self.psql("ALTER ROLE %s RESET datestyle" % FERRY, user="postgres")

    def test_P_304_compare_sees_both_directions(self):
        """P-304: with the migrations."""
        self.schema("compare", MIGRATIONS).ok()
        self.psql("CREATE TABLE extra (i int); DROP INDEX users_profile")
        result = self.schema("compare", MIGRATIONS)
        self.assertEqual(result.status, 7)
        self.assertEqual([(d["object"], d["change"]) for d in result.json["differences"]],
                         [("public.users_profile", "removed"), ("public.extra", "added")])

    def test_P_304_compare_with_another_database(self):
        """P-304: and its settings."""
        self.server.create_database("other_" + self.db, owner=FERRY)
        other = self.server.uri(db="other_" + self.db)
        self.schema("apply", MIGRATIONS, uri=other).ok()
        self.schema("compare", None, "--source", other).ok()
        self.psql("ALTER TABLE users ADD z int; ALTER DATABASE %s SET hnsw.ef_search = 77" % self.db,
                  user="postgres")
        result = self.schema("compare", None, "--source", other)
        self.assertEqual({(d["kind"], d["change"], d["after"]) for d in result.json["differences"]},
                         {("column", "added", None), ("setting", "added", None)})


class Environments(Base):
    def env(self):
        urls = {}
        for name in ("DEV", "TEST", "PROD"):
            db = "%s_%s" % (self.db, name.lower())
            self.server.create_database(db, owner=FERRY)
            urls["DATABASE_URL_" + name] = self.server.uri(db=db)
        urls["DATABASE_URL_UNPOOLED"] = urls.pop("DATABASE_URL_PROD")
        return urls

    def on(self, command, env, folder, *options):
        return schema(None, command.split()[0], folder, "--env", command.split()[1], *options, env=env)

    def test_P_006_prod_is_refused_until_test_has_them_and_was_verified(self):
        """P-006: the same files, the same checksums."""
        with Folder({"001_a.sql": "CREATE TABLE a (i int)"}) as folder:
            env = self.env()
            self.on("apply dev", env, folder).ok()
            refused = self.on("apply prod", env, folder)
            self.assertEqual(refused.status, 3)
            self.assertIn("001_a.sql has not been applied to test", refused.err)
            self.on("apply test", env, folder).ok()
            self.assertIn("no passed verify", self.on("apply prod", env, folder).err)
            self.on("verify test", env, folder).ok()
            self.on("apply prod", env, folder).ok()
            folder.put("002_b.sql", "CREATE TABLE b (i int)")
            self.assertIn("002_b.sql has not been applied", self.on("apply prod", env, folder).err)
            self.on("apply test", env, folder).ok()
            self.assertIn("changed since its last passed verify", self.on("apply prod", env, folder).err)
            self.on("verify test", env, folder).ok()
            folder.put("002_b.sql", "CREATE TABLE b (i bigint)")
            self.assertIn("another checksum", self.on("apply prod", env, folder).err)
            folder.put("002_b.sql", "CREATE TABLE b (i int)")
            self.on("apply prod", env, folder).ok()

    def test_a_target_on_the_command_line_wins_over_the_environments_choice(self):
        with Folder({"001_a.sql": "SELECT 1"}) as folder:
            env = dict(self.env(), NEONFERRY_ENV="prod")
            self.schema("apply", folder, env=env).ok()  # no gate: it is not prod
            self.assertEqual(self.value("SELECT count(*) FROM schema_migrations"), "1")
            self.assertEqual(schema(None, "apply", folder, env=env).status, 3)
            refused = self.schema("apply", folder, "--env", "test", env=env)
            self.assertEqual(refused.status, 2)
            self.assertIn("exclude each other", refused.err)

    def test_P_006_each_environment_has_its_variable(self):
        """P-006: dev, test and prod."""
        with Folder({"001_a.sql": "SELECT 1"}) as folder:
            for name, variable in (("dev", "DATABASE_URL_DEV"), ("test", "DATABASE_URL_TEST"),
                                   ("prod", "DATABASE_URL_UNPOOLED")):
                missing = self.on("status " + name, {}, folder)
                self.assertEqual(missing.status, 2)
                self.assertIn(variable, missing.err)


if __name__ == "__main__":
    unittest.main()
