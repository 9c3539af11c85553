"""Ledger, archive and schema phases on real servers, step by step, through tests/support/phases.c."""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
from cluster import SqlError, bindir, make_source, make_target, wait_until  # noqa: E402

BUILD = os.environ.get("NEONFERRY_BUILD", os.path.join(os.path.dirname(os.path.dirname(HERE)), "build"))
PHASES = os.path.join(BUILD, "tests", "phases")
# Tables whose rows the tests carry themselves, between pre-data and post-data.
COPIED = ["app.users", "app.posts", "app.part", "app.child_of_part"]
ALL_TABLES = ["app.users", "app.posts", "app.part", "app.part1", "app.part2", "app.child_of_part",
              "app.ident", "app.nvfk", '"odd schema"."Odd ""table"" x"']


BASE = tempfile.TemporaryDirectory(prefix="neonferry-")


def tearDownModule():
    BASE.cleanup()


class PhaseError(Exception):
    def __init__(self, fields):
        super().__init__(fields["error"])
        self.text, self.hint = fields["error"], fields["hint"]
        self.sqlstate, self.kind = fields["sqlstate"], fields["kind"]


class Run:
    """One run: a folder with its archive, a name, a generation."""

    def __init__(self, source, target, name="run-1", folder=None, jobs=2, db=None):
        self.source, self.target, self.name, self.jobs = source, target, name, jobs
        self.db = db
        self.folder = folder or tempfile.mkdtemp(dir=BASE.name)
        self.generation = 1
        self.events = ""

    def start(self, command, *args, **kw):
        env = dict(os.environ, PHASES_GENERATION=str(self.generation), PHASES_JOBS=str(self.jobs))
        argv = [PHASES, self.source.uri(db=self.db), self.target.uri(), self.folder, self.name, command]
        return subprocess.Popen(argv + list(args), env=env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **kw)

    def __call__(self, command, *args, timeout=120):
        p = self.start(command, *args)
        out, self.events = p.communicate(timeout=timeout)
        if p.returncode == 0:
            return json.loads(out) if out.strip() else None
        if not out.strip():
            raise AssertionError("%s ended with %d: %s" % (command, p.returncode, self.events))
        raise PhaseError(json.loads(out))

    def take_over(self):
        self.generation = self("take-over")


def dump(cluster, user=None):
    """The whole schema as pg_dump writes it, without what must differ."""
    argv = [os.path.join(bindir(), "pg_dump"), "--schema-only", "--no-owner", "--no-acl",
            "--exclude-schema=neonferry", "-d", cluster.socket_uri(user=user)]
    text = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout
    text = re.sub(r"(?m)^(--.*|\\(un)?restrict .*|CREATE EVENT TRIGGER evt .*\n *EXECUTE.*|COMMENT ON"
                  r" EVENT TRIGGER.*|COMMENT ON EXTENSION.*)\n", "", text)
    text = text.replace("CREATE UNLOGGED TABLE", "CREATE TABLE")
    return re.sub(r"\n{2,}", "\n", text)


def carry_rows(source, target, tables=COPIED):
    for table in tables:
        columns = source.value(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = "
            "'%s'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''" % table)
        read = "COPY (SELECT %s FROM %s) TO STDOUT" % (columns, table)
        write = "COPY %s (%s) FROM STDIN" % (table, columns)
        psql = os.path.join(bindir(), "psql")
        rows = subprocess.run([psql, "-Xqd", source.socket_uri(), "-c", read], check=True,
                              stdout=subprocess.PIPE).stdout
        subprocess.run([psql, "-Xqd", target.socket_uri(user="ferry"), "-c", write], check=True,
                       input=rows)


class Phases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = make_source()
        cls.target = make_target()
        with open(os.path.join(HERE, "rich_schema.sql")) as f:
            cls.source.psql(f.read())

    @classmethod
    def tearDownClass(cls):
        cls.source.destroy()
        cls.target.destroy()

    def setUp(self):
        self.target.psql("DROP DATABASE IF EXISTS neondb WITH (FORCE)", db="postgres", user="postgres")
        self.target.create_database("neondb", owner="ferry")
        self.phase = Run(self.source, self.target)
        self.phase("begin")
        self.phase("dump")

    def objects(self, where="true"):
        return self.target.psql("SELECT section, entry, outcome, seq FROM neonferry.object WHERE %s"
                                " ORDER BY seq" % where)

    def whole(self):
        self.phase("pre")
        carry_rows(self.source, self.target)
        self.phase("post")

    # --- the schema arrives ---

    def test_schema_arrives_whole_by_a_role_without_superuser(self):
        """P-104: extensions, too."""
        self.whole()
        self.phase("refresh")
        self.assertEqual(dump(self.source), dump(self.target, "ferry"))
        self.assertEqual(self.target.value("SELECT s FROM app.mv1"), "2000")
        self.assertEqual(self.target.psql("SELECT conname FROM pg_constraint WHERE NOT convalidated"
                                          " ORDER BY 1"), self.source.psql("SELECT conname FROM pg_constraint WHERE NOT convalidated"
                                           " ORDER BY 1"))
        left = {(f["what"], f["name"]) for f in self.phase("left-out")}
        self.assertLessEqual({("EVENT TRIGGER", "evt"), ("COMMENT", "EXTENSION vector"),
                              ("unlogged", '"odd schema"."Odd ""table"" x"')}, left)

    def test_done_entries_are_not_done_again(self):
        self.whole()
        self.phase("refresh")
        before = self.objects()
        for command in ("pre", "post", "refresh"):
            self.phase(command)
        self.assertEqual(self.objects(), before)

    def test_existing_tables_keep_what_they_have(self):
        self.whole()
        self.phase("forget")
        self.target.psql("DROP INDEX app.users_lower; COMMENT ON TABLE app.users IS 'mine'")
        before = dump(self.target, "ferry")
        again = Run(self.source, self.target, "run-2", self.phase.folder)
        for command in ("begin", "pre", "post"):
            again(command)
        self.assertEqual(dump(self.target, "ferry"), before)
        self.assertEqual(self.objects("outcome = 'applied'"), [])

    def test_selected_tables_bring_what_they_need(self):
        run = Run(self.source, self.target, "run-2")
        run("begin")
        run("dump", "app.users", "part")
        run("pre")
        carry_rows(self.source, self.target, ["app.users", "app.part"])
        run("post")
        self.assertEqual(self.target.psql("SELECT relname FROM pg_class WHERE relnamespace = "
                                          "'app'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')"
                                          " ORDER BY 1"),
                         [["part"], ["part1"], ["part2"], ["users"], ["users_id_seq"]])
        self.assertEqual(self.target.psql("SELECT conname FROM pg_constraint WHERE contype = 'f' AND"
                                          " conparentid = 0 ORDER BY 1"),
                         [["part_u_fkey"], ["users_boss_fkey"]])
        self.assertEqual(self.target.psql("SELECT typname FROM pg_type WHERE typname IN ('mood', 'pair')"),
                         [["mood"]])
        self.assertEqual(self.target.psql("SELECT tgname FROM pg_trigger WHERE tgrelid ="
                                          " 'app.users'::regclass AND NOT tgisinternal ORDER BY 1"),
                         [["off"], ["touch"], ["touch2"]])

    def test_excluded_tables_take_what_needs_them_along(self):
        run = Run(self.source, self.target, "run-2")
        run("begin")
        run("dump", "--", "app.posts")
        run("pre")
        self.assertEqual(self.target.psql("SELECT to_regclass('app.posts'), to_regclass('app.v'),"
                                          " to_regclass('app.posts_id_seq'),"
                                          " to_regclass('app.child_of_part')"),
                         [[None, None, None, "app.child_of_part"]])
        self.assertIn(("VIEW", "app.v"), {(f["what"], f["name"]) for f in run("left-out")})
        run("post")

    # --- it names what is wrong ---

    def test_failing_entry_is_named(self):
        self.target.psql("CREATE SCHEMA app; CREATE TYPE app.mood AS (x int)")
        with self.assertRaises(PhaseError) as caught:
            self.phase("pre")
        self.assertIn("TABLE app.users", caught.exception.text)
        self.assertTrue(caught.exception.hint)
        self.assertIsNone(self.target.value("SELECT to_regclass('app.users')"))

    def test_extension_that_the_role_may_not_create_is_named(self):
        with make_target(vector=False) as bare:
            run = Run(self.source, bare)
            run("begin")
            run("dump")
            with self.assertRaises(PhaseError) as caught:
                run("pre")
        self.assertIn("EXTENSION vector", caught.exception.text)
        self.assertIn("create the extension vector", caught.exception.hint)

    def test_foreign_key_with_rows_that_break_it_names_the_keys(self):
        self.phase("pre")
        carry_rows(self.source, self.target)
        self.target.psql("INSERT INTO app.posts (id, user_id) OVERRIDING SYSTEM VALUE VALUES"
                         " (90001, 9001), (90002, 9002), (90003, 9001)")
        with self.assertRaises(PhaseError) as caught:
            self.phase("post")
        self.assertIn("posts_user", caught.exception.text)
        self.assertIn("(9001), (9002)", caught.exception.text)
        self.assertEqual(caught.exception.kind, "data")
        self.target.psql("DELETE FROM app.posts WHERE user_id > 9000")
        self.phase("post")
        self.assertEqual(dump(self.source).count("FOREIGN KEY"),
                         dump(self.target, "ferry").count("FOREIGN KEY"))

    def test_duplicate_rows_name_the_constraint(self):
        self.phase("pre")
        carry_rows(self.source, self.target)
        self.target.psql("INSERT INTO app.users (id, name) VALUES (900, 'user 7')")
        with self.assertRaises(PhaseError) as caught:
            self.phase("post")
        self.assertIn("users_name_key", caught.exception.text)
        self.assertEqual(caught.exception.sqlstate, "23505")

    def test_invalid_leftover_index_is_built_again(self):
        self.phase("pre")
        carry_rows(self.source, self.target)
        self.target.psql("CREATE INDEX users_lower ON app.users (lower(name))")
        self.target.psql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
                         "'app.users_lower'::regclass", user="postgres")
        self.target.psql("CREATE INDEX posts_user ON app.posts (body)")  # valid: stays as it is
        self.phase("post")
        self.assertEqual(self.target.psql("SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE"
                                          " indexrelid::regclass::text IN ('app.users_lower',"
                                          " 'app.posts_user') ORDER BY 1::text"),
                         [["app.posts_user", "t"], ["app.users_lower", "t"]])
        self.assertIn("body", self.target.value("SELECT pg_get_indexdef('app.posts_user'::regclass)"))

    # --- kills and outages ---

    def kill_until_done(self, command, seed):
        rng = random.Random(seed)
        kills = 0
        while True:
            p = self.phase.start(command)
            try:
                # Each time a little longer: on a slow machine nothing is ever done otherwise.
                out, events = p.communicate(timeout=rng.uniform(0.02, 0.35 + 0.05 * kills))
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
                kills += 1
                self.phase.take_over()
                continue
            self.assertEqual(p.returncode, 0, out + events)
            return kills

    def test_killed_at_any_moment_ends_with_the_same_schema(self):
        kills = 0
        for seed in range(4):
            self.setUp()
            kills += self.kill_until_done("pre", seed)
            carry_rows(self.source, self.target)
            kills += self.kill_until_done("post", seed + 100)
            self.assertEqual(dump(self.source), dump(self.target, "ferry"))
        self.assertGreater(kills, 4)

    def test_lost_sessions_and_a_restart_need_nobody(self):
        self.phase("pre")
        carry_rows(self.source, self.target)
        p = self.phase.start("post")
        ended = 0
        while p.poll() is None and ended < 5:
            ended += int(self.target.value(
                "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                "application_name LIKE 'neonferry run-1%') t", user="postgres"))
        self.target.stop("immediate")
        time.sleep(1)
        self.target.start()
        out, events = p.communicate(timeout=200)
        self.assertEqual(p.returncode, 0, out + events)
        self.assertGreaterEqual(ended, 5)
        self.assertIn("target.retry", events)
        self.assertEqual(dump(self.source), dump(self.target, "ferry"))

    def blocked_post(self, holder):
        """post, started, with one of its sessions waiting for a lock that holder has."""
        holder.query("BEGIN; LOCK TABLE app.users IN SHARE UPDATE EXCLUSIVE MODE")
        p = self.phase.start("post")
        wait_until(lambda: self.waiting() == 1)
        return p

    def waiting(self):
        return int(self.target.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type ="
                                     " 'Lock' AND application_name LIKE 'neonferry run-1%'",
                                     user="postgres"))

    def assert_done_once(self):
        self.assertEqual(self.target.value("SELECT count(*) FROM (SELECT entry FROM neonferry.object"
                                           " WHERE section = 'post-data' GROUP BY entry HAVING"
                                           " count(*) > 1) d"), "0")
        self.assertEqual(dump(self.source), dump(self.target, "ferry"))

    def test_takeover_ends_a_backend_that_outlived_its_client(self):
        self.phase("pre")
        with self.target.session() as holder:
            p = self.blocked_post(holder)
            p.kill()
            p.communicate()
            self.phase.take_over()
            self.assertEqual(self.waiting(), 0)
            holder.query("COMMIT")
        self.phase("post")
        self.assert_done_once()

    def test_backend_that_outlived_its_client_is_waited_for_not_doubled(self):
        self.phase("pre")
        with self.target.session() as holder:
            p = self.blocked_post(holder)
            p.kill()
            p.communicate()
            again = self.phase.start("post")  # as after a broken line: nobody ended the first
            wait_until(lambda: self.waiting() == 2)
            holder.query("COMMIT")
        out, events = again.communicate(timeout=60)
        self.assertEqual(again.returncode, 0, out + events)
        self.assertIn("target.retry", events)  # it found the claim taken, and asked the ledger
        self.assert_done_once()

    def test_stale_process_can_change_nothing(self):
        self.phase.take_over()
        self.phase.generation = 1
        for command in ("pre", "post"):
            with self.assertRaises(PhaseError) as caught:
                self.phase(command)
            self.assertEqual(caught.exception.kind, "resume")
        self.assertEqual(self.objects(), [])
        self.assertIsNone(self.target.value("SELECT to_regnamespace('app')"))
        with self.assertRaises(PhaseError) as caught:
            self.phase("state", "done")
        self.assertEqual(caught.exception.kind, "resume")

    # --- set aside, put back ---

    def existing(self):
        """A target that has the schema and rows already, and a new run on it."""
        self.whole()
        self.phase("forget")
        run = Run(self.source, self.target, "run-2", self.phase.folder)
        run("begin")
        run("pre")
        return run

    def test_set_aside_and_put_back_leaves_the_same_schema(self):
        run = self.existing()
        before = dump(self.target, "ferry")
        states = "SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal" \
                 " ORDER BY 1::text, 2"
        triggers = self.target.psql(states)
        run("aside", *ALL_TABLES)
        left = self.target.psql("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisunique AND"
                                " NOT indisexclusion AND indrelid::regclass::text = ANY (ARRAY["
                                "'app.users', 'app.posts', 'app.part', 'app.part1'])")
        self.assertEqual(left, [])
        self.assertEqual(self.target.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f'"), "0")
        self.assertEqual(self.target.psql("SELECT DISTINCT tgenabled FROM pg_trigger WHERE NOT"
                                          " tgisinternal"), [["D"]])
        rows = run("rows", "set_aside")
        run("aside", *ALL_TABLES)
        self.assertEqual(run("rows", "set_aside"), rows)
        run("restore")
        self.assertEqual(dump(self.target, "ferry"), before)
        self.assertEqual(self.target.psql(states), triggers)
        self.assertTrue(all(r["restored"] for r in run("rows", "set_aside")))

    def test_partitions_alone_bring_their_root(self):
        run = self.existing()
        before = dump(self.target, "ferry")
        run("aside", "app.part1", "app.part2")
        self.assertEqual({(r["relation"], r["kind"], r["name"]) for r in run("rows", "set_aside")
                          if r["kind"] in ("index", "foreign key")},
                         {("app.part", "foreign key", "part_u_fkey"), ("app.part", "index", "part_k"),
                          ("app.part1", "index", "part1_k_idx"), ("app.part2", "index", "part2_k_idx")})
        run("restore")
        self.assertEqual(dump(self.target, "ferry"), before)

    def test_restore_killed_at_any_moment(self):
        self.phase = self.existing()
        before = dump(self.target, "ferry")
        kills = 0
        for seed in range(3):
            self.target.psql("DELETE FROM neonferry.set_aside; DELETE FROM neonferry.object WHERE"
                             " section LIKE 'aside%'")
            self.phase("aside", *ALL_TABLES)
            kills += self.kill_until_done("restore", seed)
            self.assertEqual(dump(self.target, "ferry"), before)
        self.assertGreater(kills, 0)

    def test_what_cannot_be_dropped_is_kept_with_its_reason(self):
        run = self.existing()
        self.target.psql("CREATE TABLE app.foreign_owner (a int); CREATE INDEX fo ON app.foreign_owner (a);"
                         " ALTER TABLE app.foreign_owner OWNER TO postgres", user="postgres")
        run("aside", "app.foreign_owner", "app.part1")
        self.assertIn("stays during the load", run.events)
        kept = {r["name"]: r["detail"]["kept"] for r in run("rows", "set_aside") if "kept" in r["detail"]}
        self.assertEqual(kept["fo"], "the role does not own the table")
        self.assertIn("not loaded", kept["part1_k_idx"])
        self.assertIn("not loaded", kept["part_u_fkey"])
        run("restore")

    # --- sequences, vacuum ---

    def test_sequences_are_set_and_never_set_back(self):
        self.whole()
        self.target.psql("SELECT setval('app.users_id_seq', 9999)")
        self.phase("sequences")
        for name, want in (("app.posts_id_seq", ["2000", "t"]), ("app.down", ["95", "t"]),
                           ("app.never", ["7", "f"]), ("app.users_id_seq", ["9999", "t"])):
            self.assertEqual(self.target.psql("SELECT last_value, is_called FROM " + name), [want])
        self.assertIn("users_id_seq", self.phase.events)

    def test_sequence_that_the_role_may_not_set_is_named(self):
        self.whole()
        self.target.psql("ALTER SEQUENCE app.down OWNER TO postgres", user="postgres")
        with self.assertRaises(PhaseError) as caught:
            self.phase("sequences")
        self.assertIn("app.down", caught.exception.text)
        self.assertEqual(self.target.value("SELECT last_value FROM app.posts_id_seq"), "2000")

    def test_vacuum_makes_statistics_of_tables_and_roots(self):
        """P-012, P-408: VACUUM (ANALYZE) after the load."""
        self.whole()
        self.phase("vacuum", *[t for t in ALL_TABLES if t != "app.part"])
        self.assertEqual(self.target.psql("SELECT relname, reltuples FROM pg_class WHERE oid IN"
                                          " ('app.users'::regclass, 'app.part'::regclass) ORDER BY 1"),
                         [["part", "200"], ["users", "200"]])

    # --- taking it away ---

    def test_drop_created_removes_the_run_and_nothing_else(self):
        self.target.psql("CREATE SCHEMA mine; CREATE TABLE mine.t (a int)")
        before = dump(self.target, "ferry")
        self.whole()
        listed = self.phase("created")
        self.assertIn({"type": "FUNCTION", "name": "app.atomic(integer, integer)",
                       "sql": 'DROP FUNCTION IF EXISTS "app"."atomic"(integer, integer)'}, listed)
        self.phase("drop-created")
        self.assertEqual(dump(self.target, "ferry"), before)
        self.assertEqual(self.objects(), [])
        self.phase("pre")
        self.assertEqual(self.target.value("SELECT count(*) FROM app.users"), "0")

    def test_drop_created_stops_at_what_others_made(self):
        self.phase("pre")
        self.target.psql("CREATE VIEW public.mine AS SELECT * FROM app.users")
        with self.assertRaises(PhaseError) as caught:
            self.phase("drop-created")
        self.assertEqual(caught.exception.sqlstate, "2BP01")
        self.assertEqual(self.target.value("SELECT count(*) FROM public.mine"), "0")
        self.target.psql("DROP VIEW public.mine")
        self.phase("drop-created")
        self.assertIsNone(self.target.value("SELECT to_regnamespace('app')"))

    # --- the ledger ---

    def test_runs_are_registered_once_and_forgotten(self):
        with self.assertRaises(PhaseError) as caught:
            self.phase("begin")
        self.assertEqual(caught.exception.kind, "usage")
        other = Run(self.source, self.target, "run-2")
        with self.assertRaises(PhaseError) as caught:
            other.take_over()
        self.assertEqual(caught.exception.kind, "resume")
        other("begin")
        self.phase("forget")
        self.assertEqual([r["run"] for r in other("rows", "run")], ["run-2"])
        self.target.psql("CREATE TABLE neonferry.schema_migrations (version text)")
        other("forget")
        self.assertEqual(self.target.psql("SELECT relname FROM pg_class WHERE relnamespace = "
                                          "'neonferry'::regnamespace"), [["schema_migrations"]])
        other("forget")

    def test_several_runs_may_begin_at_once(self):
        self.phase("forget")
        runs = [Run(self.source, self.target, "at-once-%d" % i) for i in range(8)]
        started = [r.start("begin") for r in runs]
        for p in started:
            out, err = p.communicate()
            self.assertEqual(p.returncode, 0, out + err)
        self.assertEqual(self.target.value("SELECT count(*) FROM neonferry.run"), "8")
        self.assertEqual(self.target.value("SELECT count(*) FROM neonferry.format"), "1")

    def test_newer_ledger_is_refused_by_name(self):
        self.target.psql("UPDATE neonferry.format SET version = 99")
        for command in ("begin", "take-over", "forget"):
            with self.assertRaises(PhaseError) as caught:
                self.phase(command)
            self.assertIn("format 99", caught.exception.text)

    def test_role_that_may_not_create_schemas_is_told(self):
        self.phase("forget")
        self.target.psql("DROP SCHEMA IF EXISTS neonferry")
        self.target.psql("ALTER DATABASE neondb OWNER TO postgres", user="postgres")
        with self.assertRaises(PhaseError) as caught:
            self.phase("begin")
        self.assertIn("CREATE", caught.exception.hint)

    def test_takeover_ends_the_backends_of_the_run_alone(self):
        with self.target.session() as mine, self.target.session() as other:
            mine.query("SET application_name = 'neonferry run-1 sender'")
            other.query("SET application_name = 'neonferry run-12'")
            self.phase.take_over()
            self.assertEqual(self.phase.generation, 2)
            self.assertEqual(other.value("SELECT 1"), "1")
            with self.assertRaises((SqlError, BrokenPipeError)):
                mine.value("SELECT 1")

    # --- vector indexes ---

    def test_graph_that_outgrows_its_memory_is_reported(self):
        self.source.create_database("big")
        self.source.psql("CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE b (id int, v vector(3));"
                         " CREATE INDEX b_v ON b USING hnsw (v vector_l2_ops) WITH (m = 8,"
                         " ef_construction = 16)", db="big")
        with make_target(conf={"shared_buffers": "8MB"}) as small:
            big = Run(self.source, small, "big", db="big")
            for command in ("begin", "dump", "pre"):
                big(command)
            small.psql("INSERT INTO b SELECT g, ARRAY[random(), random(), g]::vector FROM"
                       " generate_series(1, 200000) g")
            big("post", timeout=300)
            self.assertIn("with 64 MB", big.events)
            self.assertIn("index b_v has outgrown its memory", big.events)
            self.assertEqual(small.value("SELECT indisvalid FROM pg_index WHERE indexrelid ="
                                         " 'b_v'::regclass"), "t")


if __name__ == "__main__":
    unittest.main()
