"""`verify --repair`: the source's rows over those that differ, and over no others; then verified again."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import FERRY, psql_env, wait_until  # noqa: E402
from command import NEONFERRY, environment  # noqa: E402
from planted import Planted  # noqa: E402
from terminal import on_terminal  # noqa: E402
from test_verify_faults import FAULTS  # noqa: E402
from test_verify_faults import SCHEMA as FAULT_SCHEMA  # noqa: E402

TOOL = os.path.join(os.environ.get("NEONFERRY_BUILD", "build"), "tests", "verify_tool")
DONE, REFUSED, DIFFERENT = 0, 2, 7
NO_SEARCH = "level=15"

# Small tables: workers of a parallel plan cost more than they give where the machine is busy.
ALONE = {"max_parallel_workers_per_gather": "0"}

SCHEMA = r"""
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TYPE place AS (street text, number int);
CREATE DOMAIN price AS numeric CHECK (VALUE >= 0);
CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, boss int REFERENCES people,
    written timestamptz NOT NULL DEFAULT '2026-01-01', loud text GENERATED ALWAYS AS (upper(email)) STORED);
CREATE TABLE orders (id int, part date, person int REFERENCES people ON DELETE CASCADE, paid price, ship place,
    tags text[], seen tstzrange, meta jsonb, raw bytea, f real, PRIMARY KEY (id, part)) PARTITION BY RANGE (part);
CREATE TABLE orders_old PARTITION OF orders FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
CREATE TABLE orders_new PARTITION OF orders DEFAULT;
CREATE TABLE "Odd ""Names"" x" ("a b" text PRIMARY KEY, "select" int GENERATED ALWAYS AS IDENTITY, v vector(3));
CREATE TABLE lines (what text, n int, v vector(3));
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.written := now(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER always BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER never BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE people ENABLE ALWAYS TRIGGER always, DISABLE TRIGGER never, DISABLE TRIGGER stamp;
INSERT INTO people (email, boss) SELECT 'p' || i, CASE WHEN i > 1 THEN i - 1 END FROM generate_series(1, 40) i;
ALTER TABLE people ENABLE TRIGGER stamp;
INSERT INTO orders SELECT i, date '2023-01-01' + i * 10, 1 + i % 40, i * 1.10, ROW('street ' || i, i)::place,
    ARRAY['a' || i, NULL, ''], tstzrange('2026-01-01', NULL), jsonb_build_object('k', i), decode(md5(i::text), 'hex'),
    CASE i WHEN 5 THEN 'NaN' WHEN 6 THEN '-0' ELSE i / 3.0 END FROM generate_series(1, 200) i;
INSERT INTO "Odd ""Names"" x" ("a b", v) SELECT E'it''s \\ ' || i, ARRAY[i, -0.0, 1e-38]::real[]::vector
    FROM generate_series(1, 20) i;
INSERT INTO lines SELECT 'line ' || i % 7, i % 3, ARRAY[i % 2, 0, 1]::vector FROM generate_series(1, 100) i;
"""
ALL_ROWS = """
SELECT 'p', p::text FROM people p UNION ALL SELECT 'o', o::text FROM orders o
UNION ALL SELECT 'n', t::text FROM "Odd ""Names"" x" t UNION ALL SELECT 'l', l::text FROM lines l ORDER BY 1, 2
"""
TRIGGERS = "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"


def tool(source, target, *args):
    done = subprocess.run([TOOL, source, target, NO_SEARCH, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=psql_env(), timeout=300)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr.decode()


class Case(Planted):
    schema, conf, planter = SCHEMA, ALONE, FERRY

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def rows(self, sql=ALL_ROWS):
        return self.target.psql(sql, db=self.db, user="postgres")

    def verify(self, target, *args, status=DONE):
        done = subprocess.run([NEONFERRY, "verify", "--source", self.source.uri(), "--target", target, "--level", "digest",
                               *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=environment(), cwd=self.folder, timeout=300)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def asked(self, target, meanwhile, *args):
        """On a terminal; meanwhile() is called while the question stands, and gives the answer."""
        return on_terminal([NEONFERRY, "verify", "--source", self.source.uri(), "--target", target, "--level", "digest",
                            "--repair", *args], {b"[y/N]": lambda process: meanwhile()}, cwd=self.folder,
                           env=environment(TERM="dumb"))

    def findings(self, doc, *verdicts):
        return [c for c in doc["checks"] if c["verdict"] in verdicts]


class Faults(Case):
    schema = FAULT_SCHEMA

    def test_every_fault_in_rows_is_mended(self):
        # All of them at once: rows lost, doubled, changed by one bit, their embeddings permuted.
        faults = [sql for name, (sql, group, *_) in FAULTS.items()
                  if group == "rows" or name in ("a collection renamed", "an embedding lost")]
        self.assertGreater(len(faults), 25)
        target = self.plant(";\n".join(faults), user="postgres")
        status, doc = tool(self.source.uri(), target, "repair=1")
        self.assertEqual(status, DIFFERENT)
        left = {t["table"]: t["left"] for t in doc["repair"]["tables"] if t["left"]}
        self.assertEqual(sorted(left), ["public.events", "public.items", "public.odd"], "nothing extra is deleted")
        self.assertEqual({t["name"]: t["verdict"] for t in doc["tables"]},
                         {"public.events": "different", "public.items": "different", "public.odd": "different",
                          "public.orders": "identical", "public.parts": "identical"})
        self.assertEqual({c["class"] for t in doc["tables"] for c in t.get("differences", {}).get("rows", [])}, {"extra"})
        self.assertTrue([c for c in doc["repair"]["before"] if c["verdict"] == "fail"])
        status, doc = tool(self.source.uri(), target, "repair=2")
        self.assertEqual({t["verdict"] for t in doc["tables"]}, {"identical"})
        # Definitions are not repaired: one fault dropped a primary key.
        failed = self.findings(doc, "fail", "unknown")
        self.assertEqual({(c["group"], "orders_pkey" in c["object"]) for c in failed}, {("schema", True)}, failed)
        self.assertEqual(status, DIFFERENT)


class Repair(Case):
    def test_a_wreck_is_the_source_again(self):
        target = self.plant("""
            ALTER TABLE people DISABLE TRIGGER USER;
            DELETE FROM orders WHERE id % 3 = 0; DELETE FROM people WHERE id > 30;
            UPDATE people SET email = 'other ' || id WHERE id BETWEEN 5 AND 9;
            UPDATE orders SET f = 1, ship = NULL, tags = NULL, meta = '{}', raw = '' WHERE id % 5 = 0;
            UPDATE orders SET person = 2;
            DELETE FROM "Odd ""Names"" x" WHERE v <-> '[3,0,0]' < 2.5;
            UPDATE "Odd ""Names"" x" SET v = NULL WHERE "a b" LIKE '%9';
            DELETE FROM lines WHERE n = 1; INSERT INTO lines SELECT * FROM lines WHERE n = 0;
            ALTER TABLE people ENABLE TRIGGER stamp, ENABLE ALWAYS TRIGGER always""")
        before = self.rows(TRIGGERS)
        out, err = self.verify(target, "--repair", "--yes", "--report", "r")
        self.assertEqual(self.rows(), self.source.psql(ALL_ROWS))
        self.assertEqual(self.rows(TRIGGERS), before)
        self.assertIn("PASS", out)
        self.assertRegex(err, r"repair of public\.people: insert 10, write over 5")
        with open(self.folder + "/r/report.json") as f:
            doc = json.load(f)
        with open(self.folder + "/r/repaired.ndjson") as f:
            lines = [json.loads(line) for line in f]
        people = [t for t in doc["repair"]["tables"] if t["table"] == "public.people"][0]
        self.assertEqual((people["inserted"], people["updated"], people["refused"]), (10, 5, 0))
        self.assertEqual({line["class"] for line in lines}, {"repaired"})
        self.assertEqual(sum(line["table"] == "public.people" for line in lines), 15)
        self.assertIn("repaired.ndjson", [a["path"] for a in doc["artifacts"]])
        with open(self.folder + "/r/report.html") as f:
            self.assertIn('<section id="repair">', f.read())
        self.verify(target)

    def test_only_the_rows_that_differ_are_written(self):
        target = self.plant("UPDATE people SET email = 'x' WHERE id = 7; DELETE FROM orders WHERE id = 9")
        rows = "SELECT tableoid::regclass, ctid, xmin FROM %s WHERE id NOT IN (7, 9) ORDER BY id"
        before = [self.rows(rows % t) for t in ("people", "orders")]
        self.verify(target, "--repair", "--yes")
        self.assertEqual([self.rows(rows % t) for t in ("people", "orders")], before)
        self.assertEqual(self.rows(), self.source.psql(ALL_ROWS))

    def test_in_a_pipe_without_yes_it_is_refused_before_anything(self):
        _, err = self.verify("postgresql://127.0.0.1:1/nobody", "--repair", status=REFUSED)
        self.assertIn("--yes", err)

    def test_options_that_do_not_fit_are_refused(self):
        for words, why in ((("--delete-extra",), "--repair"), (("--repair", "--yes", "--level", "counts"), "digest"),
                           (("--repair", "--yes", "--against-run", "r"), "--against-run"),
                           (("--against", "snapshot", "--against-run", "r"), "--against-run"),
                           (("--recheck-rounds", "2"), "--against snapshot")):
            with self.subTest(words):
                args = [w for w in words]
                if "--level" not in words:
                    args += ["--level", "digest"]
                done = subprocess.run([NEONFERRY, "verify", "--source", "postgresql://127.0.0.1:1/a", "--target",
                                       "postgresql://127.0.0.1:1/b", *args], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
                                      cwd=self.folder, timeout=60)
                self.assertEqual(done.returncode, REFUSED, done.stderr)
                self.assertIn(why, done.stderr)

    def test_a_no_writes_nothing_and_the_differences_stand(self):
        target = self.plant("DELETE FROM orders WHERE id = 9")
        before = self.rows()
        status, seen = self.asked(target, lambda: b"n\n")
        self.assertEqual(status, DIFFERENT, seen)
        self.assertIn("repair of public.orders: insert 1", seen)
        self.assertIn("nothing was written", seen)
        self.assertEqual(self.rows(), before)

    def test_a_row_written_since_it_was_compared_is_left_alone(self):
        target = self.plant("UPDATE people SET email = 'x' || id WHERE id IN (7, 8, 9); DELETE FROM orders WHERE id < 3;"
                            "DELETE FROM lines WHERE ctid = (SELECT ctid FROM lines WHERE n = 2 LIMIT 1)")

        def meanwhile():
            self.target.psql("UPDATE people SET email = 'newer' WHERE id = 8; DELETE FROM people WHERE id = 40;"
                             "INSERT INTO orders (id, part) SELECT 1, date '2023-01-01' + 10;"
                             "INSERT INTO lines SELECT * FROM lines WHERE n = 2 LIMIT 1", db=self.db, user=FERRY)
            return b"y\n"
        status, seen = self.asked(target, meanwhile, "--report", "r")
        self.assertEqual(status, DIFFERENT, seen)
        with open(self.folder + "/r/repaired.ndjson") as f:
            lines = [json.loads(line) for line in f]
        stale = sorted((line["table"], line.get("key", [None])[0]) for line in lines if line["class"] == "stale")
        self.assertIn(("public.people", "8"), stale)
        self.assertIn(("public.orders", "1"), stale)
        self.assertEqual(self.rows("SELECT email FROM people WHERE id IN (7, 8, 9) ORDER BY id"),
                         [["p7"], ["newer"], ["p9"]])
        self.assertEqual(self.rows("SELECT count(*) FROM orders WHERE id = 2"), [["1"]])
        self.assertIn("left alone", seen)

    def test_what_the_target_refuses_is_named_and_the_rest_is_written(self):
        target = self.plant("DELETE FROM orders; ALTER TABLE orders ADD CONSTRAINT cheap CHECK (id <> 77)")
        out, _ = self.verify(target, "--repair", "--yes", "--report", "r", status=DIFFERENT)
        self.assertEqual(self.rows("SELECT count(*) FROM orders"), [["199"]])
        self.assertRegex(out, r"fail  repair  public\.orders: 1 rows were refused; the first: .*cheap")
        with open(self.folder + "/r/repaired.ndjson") as f:
            refused = [line for line in map(json.loads, f) if line["class"] == "refused"]
        self.assertEqual([(r["key"][0], "cheap" in r["why"]) for r in refused], [("77", True)])

    def test_keys_that_changed_places_and_rows_that_need_others(self):
        # A unique value in the way of two rows, and rows that refer to rows still missing.
        target = self.plant("SET session_replication_role = replica; DELETE FROM people WHERE id > 2;"
                            "INSERT INTO people (id, email) OVERRIDING SYSTEM VALUE VALUES (900, 'p5');"
                            "INSERT INTO orders (id, part, person) VALUES (1000, '2023-01-01', 900)", user="postgres")
        status, doc = tool(self.source.uri(), target, "repair=2")
        self.assertEqual((status, self.findings(doc, "fail", "unknown")), (DONE, []))
        self.assertEqual(self.rows(), self.source.psql(ALL_ROWS))

    def test_a_trigger_that_swallows_rows_does_not_pass_for_a_repair(self):
        self.target.create_role("clerk", "secret")
        target = self.plant("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
                            "DELETE FROM lines WHERE n = 1;"
                            "CREATE TRIGGER no BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION no();"
                            "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
        target = self.target.uri(db=self.db, user="clerk")
        status, doc = tool(self.source.uri(), target, "repair=1", "table=lines")
        self.assertEqual(status, DIFFERENT)
        self.assertTrue(doc["repair"]["tables"][0]["plan"]["triggers_fire"])
        self.assertIn("0 rows were written where", json.dumps(self.findings(doc, "fail")))

    def test_no_right_to_write_is_told_for_the_table(self):
        self.target.create_role("reader", "secret")
        self.plant("DELETE FROM lines WHERE n = 1; DELETE FROM people WHERE id = 40;"
                   "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; GRANT ALL ON people TO reader")
        self.target.psql("ALTER TABLE people OWNER TO reader; GRANT ALL ON SCHEMA public TO reader", db=self.db, user="postgres")
        status, doc = tool(self.source.uri(), self.target.uri(db=self.db, user="reader"), "repair=1",
                           "table=lines", "table=people")
        self.assertEqual(status, DIFFERENT)
        self.assertRegex(json.dumps(self.findings(doc, "fail")), "was not repaired: .*permission denied")
        self.assertEqual(self.rows("SELECT count(*) FROM people"), [["40"]])

    def test_a_vector_kept_as_halfvec_is_converted_and_mended(self):
        target = self.plant("ALTER TABLE lines ALTER v TYPE halfvec(3); DELETE FROM lines WHERE n = 1;"
                            "INSERT INTO lines SELECT what, n, '[9,9,9]' FROM lines LIMIT 1;"
                            """ALTER TABLE "Odd ""Names"" x" ALTER v TYPE halfvec(3);"""
                            """UPDATE "Odd ""Names"" x" SET v = '[0,0,0]' """)
        status, doc = tool(self.source.uri(), target, "repair=2")
        self.assertEqual((status, self.findings(doc, "fail", "unknown")), (DONE, []))
        self.assertEqual(self.rows("SELECT count(*), min(v::text) FROM lines"), [["100", "[0,0,1]"]])

    def test_only_the_table_asked_for_is_repaired(self):
        target = self.plant("UPDATE people SET email = 'x' || id WHERE id IN (7, 8)")
        status, _ = tool(self.source.uri(), target, "repair=1", "table=lines")
        self.assertEqual((status, self.rows("SELECT count(*) FROM people WHERE email LIKE 'x%'")), (DONE, [["2"]]))

    def test_a_materialized_view_is_not_written_but_named(self):
        sql = "CREATE MATERIALIZED VIEW totals AS SELECT n, count(*) FROM lines GROUP BY 1"
        self.source.psql(sql)
        try:
            target = self.plant("INSERT INTO lines VALUES ('x', 1, NULL); %s; DELETE FROM lines WHERE what = 'x'" % sql)
            status, doc = tool(self.source.uri(), target, "repair=2")
        finally:
            self.source.psql("DROP MATERIALIZED VIEW totals")
        self.assertEqual(status, DIFFERENT)
        self.assertIn("refresh it", json.dumps(doc["repair"]))


REACHED = """
CREATE TABLE np (k numeric PRIMARY KEY, u text UNIQUE);
CREATE TABLE nc (id int PRIMARY KEY, k numeric REFERENCES np ON DELETE CASCADE, note text);
CREATE TABLE ns (id int PRIMARY KEY, k numeric REFERENCES np ON DELETE SET NULL);
CREATE TABLE nu (id int PRIMARY KEY, u text REFERENCES np (u) ON UPDATE CASCADE);
CREATE TABLE self (id int PRIMARY KEY, up int REFERENCES self ON DELETE CASCADE);
CREATE TABLE pp (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE pp1 PARTITION OF pp FOR VALUES IN (1);
CREATE TABLE pp2 PARTITION OF pp FOR VALUES IN (2);
CREATE TABLE pc (n int PRIMARY KEY, id int DEFAULT 1, part int DEFAULT 1,
    FOREIGN KEY (id, part) REFERENCES pp ON DELETE SET DEFAULT) PARTITION BY RANGE (n);
CREATE TABLE pc1 PARTITION OF pc DEFAULT;
CREATE TABLE px (id int, part int, FOREIGN KEY (id, part) REFERENCES pp1 ON DELETE CASCADE);
CREATE EXTENSION citext;
CREATE SCHEMA "S 1";
CREATE COLLATION plain_c (provider = icu, locale = 'und', deterministic = false);
CREATE TABLE "S 1"."P "" t" ("k'1" citext, b text COLLATE plain_c, n bigint, PRIMARY KEY ("k'1", b, n));
CREATE TABLE "S 1"."C.t" ("%x" citext, y varchar(9) COLLATE plain_c, z int,
    FOREIGN KEY ("%x", y, z) REFERENCES "S 1"."P "" t" ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE log (what text);
CREATE TABLE fl (f float8, id int, PRIMARY KEY (f, id));
INSERT INTO fl VALUES (0, 1), (1.5, 2);
INSERT INTO np VALUES (1.0, 'p'), (2, 'q');
INSERT INTO nc VALUES (1, 1.0, 'x'), (2, 1, 'y');
INSERT INTO ns VALUES (1, 1.0);
INSERT INTO nu VALUES (1, 'q');
INSERT INTO self VALUES (1, NULL), (2, 1);
INSERT INTO pp VALUES (1, 1), (2, 2);
INSERT INTO pc VALUES (1, 2, 2);
"""


class Reached(Case):
    schema = REACHED
    others = ("SELECT 'nc', t::text FROM nc t UNION ALL SELECT 'ns', t::text FROM ns t UNION ALL SELECT 'nu', t::text"
              " FROM nu t UNION ALL SELECT 'pc', t::text FROM pc t UNION ALL SELECT 'self', t::text FROM self t"
              " UNION ALL SELECT 'log', t::text FROM log t ORDER BY 1, 2")

    def repair(self, planted, table, *args, status=DIFFERENT):
        target = self.plant(planted)
        before = self.rows(self.others)
        out, _ = self.verify(target, "--repair", "--yes", *args, *(a for t in table.split(", ") for a in ("--table", t)),
                             status=status)
        return out, before

    def test_a_delete_never_reaches_rows_of_other_tables(self):
        for what, sql, table, names in (
                ("a key of other bytes", "UPDATE np SET k = 1.00 WHERE k = 1.0", "np", None),
                ("rows that cascade", "INSERT INTO np VALUES (9); INSERT INTO nc VALUES (8, 9), (9, 9)", "np",
                 "delete 2 rows of public.nc .constraint nc_k_fkey, ON DELETE CASCADE"),
                ("an extra parent", "INSERT INTO np VALUES (9); INSERT INTO ns VALUES (9, 9)", "np",
                 "change 1 rows of public.ns .constraint ns_k_fkey, ON DELETE SET NULL"),
                ("odd names and types", """INSERT INTO "S 1"."P "" t" VALUES ('A', 'b', 9);"""
                 """INSERT INTO "S 1"."C.t" VALUES ('a', 'b', 9)""", '"S 1"."P "" t"', "1 rows of S 1.C.t "),
                ("partitioned", "INSERT INTO pp VALUES (9, 2); INSERT INTO pc VALUES (9, 9, 2)", "pp",
                 "1 rows of public.pc .*SET DEFAULT"),
                ("of one partition", "INSERT INTO pp VALUES (9, 1), (9, 2); INSERT INTO px VALUES (9, 1)", "pp",
                 "1 rows of public.px .*CASCADE"),
                ("of the source's rows", "INSERT INTO self VALUES (9, 2); UPDATE self SET up = 9 WHERE id = 2", "self",
                 None)):
            with self.subTest(what):
                out, before = self.repair(sql, table, "--delete-extra", status=DIFFERENT if names else DONE)
                if names:
                    self.assertEqual(self.rows(self.others), before)
                    self.assertRegex(out, "fail  repair  .*the first.*: deleting it would .*%s.*by hand" % names)

    def test_a_key_of_other_bytes_is_written_over(self):
        # Nothing refers to it by its bytes: rows that refer to 1.00 refer to 1.0.
        self.repair("UPDATE np SET k = 1.00 WHERE k = 1.0; UPDATE np SET k = 2.000, u = 'q' WHERE k = 2;"
                    "UPDATE fl SET f = '-0' WHERE f = 0", "np, fl", status=DONE)
        self.assertEqual(self.rows("SELECT k, u FROM np ORDER BY 1"), [["1.0", "p"], ["2", "q"]])
        self.assertEqual(self.rows("SELECT f FROM fl ORDER BY id"), [["0"], ["1.5"]])
        self.assertEqual(self.rows(self.others), self.source.psql(self.others))

    def test_a_key_of_other_bytes_is_changed_and_equivalent(self):
        target = self.plant("UPDATE np SET k = 1.00 WHERE k = 1.0; UPDATE fl SET f = '-0' WHERE f = 0")
        out, _ = self.verify(target, "--report", "r", status=DIFFERENT)
        self.assertIn("fail  rows  public.np: 1 changed (1 of them equal for SQL)", out)
        self.assertIn("fail  rows  public.fl: 1 changed (1 of them equal for SQL)", out)
        with open(self.folder + "/r/report.json") as f:
            tables = {t["name"]: t for t in json.load(f)["tables"]}
        self.assertEqual({tables["public.np"]["verdict"], tables["public.fl"]["verdict"]}, {"equivalent"})
        self.assertEqual([c["column"] for c in tables["public.np"]["differences"]["rows"][0]["columns"]], ["k"])

    def test_rows_that_go_themselves_are_no_hindrance(self):
        sql = ("INSERT INTO self VALUES (9, 2), (10, 9), (11, 10); INSERT INTO np VALUES (9); INSERT INTO nc VALUES (9, 9)")
        self.repair(sql, "self, np, nc", "--delete-extra", status=DONE)
        self.assertEqual(self.rows(self.others), self.source.psql(self.others))

    def test_a_rest_without_children_is_deleted(self):
        out, before = self.repair("INSERT INTO np VALUES (8), (9); INSERT INTO nc VALUES (9, 9)", "np", "--delete-extra")
        self.assertEqual(self.rows(self.others), before)
        self.assertEqual(self.rows("SELECT k FROM np ORDER BY 1"), [["1.0"], ["2"], ["9"]])

    def test_an_update_of_a_referenced_value_reaches_none_either(self):
        sql = "UPDATE np SET u = 'other' WHERE k = 2"
        out, before = self.repair(sql, "np")
        self.assertEqual(self.rows(self.others), before)
        self.assertRegex(out, "updating it would change 1 rows of public.nu .constraint nu_u_fkey, ON UPDATE CASCADE")
        # Where that table is repaired with it, the cascade is the repair.
        self.repair(sql, "np, nu", status=DONE)
        self.assertEqual(self.rows(self.others), self.source.psql(self.others))

    def test_a_rule_is_off_like_a_trigger(self):
        out, before = self.repair("CREATE RULE r AS ON INSERT TO np DO ALSO INSERT INTO log VALUES ('r');"
                                  "CREATE RULE n AS ON UPDATE TO np DO INSTEAD NOTHING; DELETE FROM nu;"
                                  "DELETE FROM np WHERE k = 2", "np")
        self.assertRegex(out, r"(?m)^public.np .*  identical$")
        self.assertEqual(self.rows(self.others), before)
        self.assertEqual(self.rows("SELECT ev_enabled FROM pg_rewrite WHERE rulename IN ('r', 'n')"), [["O"], ["O"]])


class Interrupted(Case):
    schema = """
        CREATE TABLE big (id int PRIMARY KEY, t text);
        INSERT INTO big SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 6000) i;
        CREATE TABLE bag (t text);
        INSERT INTO bag SELECT md5((i / 2)::text) FROM generate_series(1, 3000) i;
    """

    def test_killed_it_leaves_whole_transactions_and_goes_on(self):
        target = self.plant("DELETE FROM big WHERE id > 10; UPDATE big SET t = ''; DELETE FROM bag")
        command = [NEONFERRY, "verify", "--source", self.source.uri(), "--target", target, "--level", "digest",
                   "--repair", "--yes"]
        # The third batch waits for this row: what is committed before it is whole batches.
        with self.target.session(db=self.db, user="postgres") as blocker:
            blocker.query("BEGIN; INSERT INTO big VALUES (1100, 'in the way')")
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=environment(), cwd=self.folder)
            wait_until(lambda: self.rows("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                         " AND datname = current_database()") != [["0"]], timeout=120,
                       what="the repair to meet the row")
            process.kill()
            process.wait()
            blocker.query("ROLLBACK")
        wait_until(lambda: self.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'neonferry%'"
                                     " AND datname = current_database()") == [["0"]], what="its sessions to end")
        count = int(self.rows("SELECT count(*) FROM big")[0][0])
        self.assertEqual(count % 500, 0, "whole batches only")
        self.assertLess(count, 6000)
        self.verify(target, "--repair", "--yes")
        for table in ("big", "bag"):
            sql = "SELECT md5(string_agg(x::text, ',' ORDER BY x::text)) FROM %s x" % table
            self.assertEqual(self.rows(sql), self.source.psql(sql))

    def test_a_target_that_restarts_in_the_middle_is_waited_for(self):
        target = self.plant("DELETE FROM big WHERE id > 10; DELETE FROM bag")
        with self.target.session(db=self.db, user="postgres") as blocker:
            blocker.query("BEGIN; INSERT INTO big VALUES (1100, 'in the way')")
            process = subprocess.Popen([TOOL, self.source.uri(), target, NO_SEARCH, "repair=1"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=psql_env())
            wait_until(lambda: self.rows("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                         " AND datname = current_database()") != [["0"]], timeout=120,
                       what="the repair to meet the row")
            self.target.restart("immediate")
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, DONE, out[-3000:] + err)
        self.assertEqual(self.rows("SELECT count(*) FROM big"), [["6000"]])


if __name__ == "__main__":
    unittest.main()
