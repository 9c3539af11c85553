"""The report: control totals, the SQL of each check, evidence, provenance, exceptions, the run's own."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, psql_env  # noqa: E402
from planted import Planted  # noqa: E402

BUILD = os.environ.get("NEONFERRY_BUILD", "build")
TOOL = os.path.join(BUILD, "tests", "verify_tool")
NEONFERRY = os.environ.get("NEONFERRY", os.path.join(BUILD, "neonferry"))
DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")

SCHEMA = r"""
CREATE EXTENSION IF NOT EXISTS vector;
CREATE DOMAIN price AS numeric;
CREATE TABLE goods (id bigint PRIMARY KEY, "odd ""name" text, amount numeric, cost price, weight float8,
    sold boolean, seen timestamptz, day date, raw bytea, extra jsonb, embedding vector(3));
INSERT INTO goods SELECT i, 'n' || i, i * 1.10, i * 2, i * 0.1, i %% 3 = 0,
    '2026-01-01'::timestamptz + i * interval '1 hour', '2026-01-01'::date + i, decode(md5(i::text), 'hex'), '{}',
    CASE WHEN i %% 10 > 0 THEN ('[' || i || ',1,2]')::vector END FROM generate_series(1, 100) i;
UPDATE goods SET amount = NULL WHERE id = 7;
CREATE TABLE few (id int PRIMARY KEY, salary numeric);
INSERT INTO few VALUES (1, 987654.25), (2, 10);
CREATE TABLE wide (%s);
INSERT INTO wide (c0) VALUES (5);
CREATE INDEX goods_hnsw ON goods USING hnsw (embedding vector_l2_ops);
ANALYZE;
""" % ", ".join("c%d int" % i for i in range(700))


def verify(source, target, *args):
    done = subprocess.run([TOOL, source, target, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=psql_env(), timeout=300)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr.decode()


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


class Report(Planted):
    schema, planter = SCHEMA, FERRY

    def folder(self):
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path)
        return path

    def totals(self, doc, table, column):
        columns = [t for t in doc["totals"] if t["table"] == table][0]["columns"]
        return [c for c in columns if c["column"] == column][0]

    def test_control_totals_are_those_that_sql_gives(self):
        _, doc = verify(self.source.uri(), self.plant(), "level=72")
        self.assertEqual([c for c in doc["checks"] if c["verdict"] in ("fail", "unknown")], [])
        amount = self.totals(doc, "public.goods", "amount")
        self.assertEqual(amount["nulls"], [1, 1])
        self.assertEqual(amount["sum"], ["5547.3"] * 2)
        self.assertEqual((amount["min"], amount["max"]), (["1.1"] * 2, ["110"] * 2))
        self.assertEqual(amount["distinct"], ["99"] * 2)
        self.assertEqual(self.totals(doc, "public.goods", "cost")["sum"], ["10100"] * 2)
        self.assertEqual(self.totals(doc, "public.goods", "weight")["sum"], ["505"] * 2)
        self.assertEqual(self.totals(doc, "public.goods", "sold")["sum"], ["33"] * 2)
        self.assertEqual(self.totals(doc, "public.goods", 'odd "name')["sum"], ["292"] * 2)
        self.assertEqual(self.totals(doc, "public.goods", "raw")["sum"], ["1600"] * 2)
        self.assertEqual(self.totals(doc, "public.goods", "day")["max"], ["2026-04-11"] * 2)
        self.assertEqual(self.totals(doc, "public.goods", "embedding")["nulls"], [10, 10])
        self.assertEqual(self.totals(doc, "public.wide", "c699")["nulls"], [1, 1])

    def test_a_total_that_differs_is_found_and_named(self):
        for sql, column, words in (
                ("UPDATE goods SET amount = amount + 0.01 WHERE id = 9", "amount", "amount (sum)"),
                ("UPDATE goods SET amount = NULL WHERE id = 9", "amount", "NULLs"),
                ("UPDATE goods SET seen = seen + interval '1 microsecond' WHERE id = 100", "seen", "max"),
                ("UPDATE goods SET weight = -1 WHERE id = 3", "weight", "min"),
                ("UPDATE goods SET amount = 11 WHERE id = 11; UPDATE goods SET amount = 12.1 + 13.2 - 11"
                 " WHERE id = 12", "amount", "amount (distinct)"),
                ("DELETE FROM goods WHERE id = 50", "id", "distinct"),
        ):
            with self.subTest(sql):
                status, doc = verify(self.source.uri(), self.plant(sql), "level=72", "table=goods")
                self.assertEqual(status, 7)
                found = [c for c in doc["checks"] if c["group"] == "totals"]
                self.assertEqual([c["verdict"] for c in found], ["fail"])
                self.assertIn(words, found[0]["sentence"])
                self.assertFalse(self.totals(doc, "public.goods", column)["same"])

    def test_trailing_zeros_are_no_difference_of_totals(self):
        _, doc = verify(self.source.uri(), self.plant("UPDATE goods SET amount = amount * 1.00"),
                        "level=72", "table=goods")
        self.assertEqual([c["verdict"] for c in doc["checks"] if c["group"] == "totals"], ["pass"])

    def test_totals_of_a_few_values_are_hidden_unless_values_are_asked_for(self):
        folder = self.folder()
        uri = self.plant("UPDATE few SET salary = 987654.5 WHERE id = 1")
        status, doc = verify(self.source.uri(), uri, "level=72", "table=few", "report=" + folder)
        self.assertEqual(status, 7)
        self.assertTrue(self.totals(doc, "public.few", "salary")["hidden"])
        for name in os.listdir(folder):
            self.assertNotIn("987654", read(folder, name), name)
        _, doc = verify(self.source.uri(), uri, "level=72", "table=few", "values=1")
        self.assertEqual(self.totals(doc, "public.few", "salary")["max"], ["987654.25", "987654.5"])

    def test_totals_that_cannot_be_read_are_no_pass(self):
        self.target.create_database("closed", owner=FERRY, options="TEMPLATE good")
        self.target.psql("REVOKE SELECT ON few FROM " + FERRY, db="closed", user=FERRY)
        status, doc = verify(self.source.uri(), self.target.uri(db="closed"), "level=72", "table=few")
        self.assertEqual(status, 8)
        self.assertTrue([c for c in doc["checks"] if c["group"] == "totals" and c["verdict"] == "unknown"])

    def test_the_queries_of_the_report_give_its_numbers(self):
        folder, uri = self.folder(), self.plant()
        verify(self.source.uri(), uri, "level=127", "sample=20", "report=" + folder)
        doc = json.loads(read(folder, "report.json"))
        kinds = {q["check"] for q in doc["queries"]}
        self.assertEqual(kinds, {"count", "digest", "totals", "embeddings", "search"})
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", os.path.join(folder, "queries.sql"),
                               uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=psql_env(), timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        out = done.stdout.decode()
        for table in doc["tables"]:
            self.assertIn("|".join([str(table["rows"][1])] + table["digest"]["target"]), out.splitlines())

    def test_the_sums_hold_and_a_changed_file_is_seen(self):
        folder = self.folder()
        verify(self.source.uri(), self.plant("DELETE FROM goods WHERE id = 1"), "level=9", "report=" + folder,
               "diff=" + folder + "/differences.ndjson")
        check = ["sha256sum", "-c", "--strict", "SHA256SUMS"]
        done = subprocess.run(check, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        for name in ("report.html", "report.json", "report.junit.xml", "report.md", "queries.sql",
                     "differences.ndjson"):
            self.assertIn(name + ": OK", done.stdout.decode())
        page = read(folder, "report.html")
        for name in ("report.json", "queries.sql"):
            self.assertIn(sha256(os.path.join(folder, name)), page)
        with open(os.path.join(folder, "report.html"), "a") as f:
            f.write("<!-- -->")
        self.assertNotEqual(subprocess.run(check, cwd=folder, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL).returncode, 0)

    def test_waived_and_open_exceptions_stand_in_the_register(self):
        folder = self.folder()
        waivers = os.path.join(folder, "w.json")
        with open(waivers, "w") as f:
            json.dump([{"group": "totals", "object": "public.goods", "reason": "known since <May>",
                        "by": "Kim", "expires": "2999-01-01"}], f)
        verify(self.source.uri(), self.plant("UPDATE goods SET weight = 0 WHERE id = 5"), "level=72",
               "table=goods", "waivers=" + waivers, "report=" + folder)
        doc = json.loads(read(folder, "report.json"))
        by_group = {x["group"]: x for x in doc["exceptions"]}
        self.assertEqual(by_group["totals"]["disposition"], "accepted")
        self.assertEqual(by_group["totals"]["by"], "Kim")
        self.assertEqual(by_group["digest"]["disposition"], "open")
        self.assertEqual([x["id"] for x in doc["exceptions"]], ["E-1", "E-2", "E-3"][:len(doc["exceptions"])])
        page = read(folder, "report.html")
        self.assertIn("known since &lt;May&gt;", page)
        self.assertNotIn("<May>", page)

    def test_every_key_of_the_document_is_documented(self):
        """P-009: also connections, sizes of indexes, room as halfvec."""
        _, doc = verify(self.source.uri(), self.plant("DELETE FROM goods WHERE id < 3"), "level=127", "sample=20",
                        "report=" + self.folder())
        reference = read(DOCS, "reference", "report.md")
        documented = set(re.findall(r"`([A-Za-z0-9_]+)`", reference))
        missing = set()

        def walk(node):
            if isinstance(node, dict):
                missing.update(k for k in node if k not in documented)
                for value in node.values():
                    walk(value)
            elif isinstance(node, list):
                for value in node:
                    walk(value)
        walk(doc)
        self.assertEqual(missing, set())
        self.assertIn(doc["schema"], reference)
        self.assertGreater(doc["resources"]["vector_indexes"][0]["bytes"][1], 0)
        goods = [t for t in doc["resources"]["tables"] if t["table"] == "public.goods"][0]
        self.assertLess(goods["as_halfvec"], goods["as_vector"])
        self.assertGreater(doc["resources"]["sessions"]["target"]["used"], 0)

    def test_a_run_leaves_its_report_and_report_renders_it_again(self):
        """P-008, P-113: checklists with evidence."""
        folder = self.folder()
        self.target.create_database("moved", owner=FERRY)
        run = os.path.join(folder, "run")
        done = subprocess.run([NEONFERRY, "run", "--source", self.source.uri(), "--target",
                               self.target.uri(db="moved"), "--run-dir", run, "--exclude-table", "wide"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=psql_env(), timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertIn("report:  " + run + "/report/report.html", done.stdout.decode())
        doc = json.loads(read(run, "report", "report.json"))
        self.assertEqual([c for c in doc["checks"] if c["verdict"] in ("fail", "unknown")], [])
        self.assertEqual({t["name"]: (t["rows"], t["method"], t["verdict"]) for t in doc["tables"]},
                         {"public.goods": ([100, 100], "stream", "identical"),
                          "public.few": ([2, 2], "stream", "identical")})
        self.assertEqual(doc["coverage"]["rows_content_checked"], 102)
        plan = json.loads(read(run, "plan.1.json"))
        self.assertEqual(doc["transfer"]["run"]["snapshot"], plan["snapshot"])
        self.assertEqual(doc["settings"]["excluded"], ["wide"])
        self.assertTrue([i for i in doc["checklist"] if i["done"] == "yes" and "LSN" in i["evidence"] and i["at"]])
        page = read(run, "report", "report.html")
        for words in ("What was moved", "By whom", "From which snapshot", plan["snapshot"], "excluded on request"):
            self.assertIn(words, page)
        os.unlink(os.path.join(run, "report", "report.html"))
        again = subprocess.run([NEONFERRY, "report", run], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=psql_env(), timeout=60)
        self.assertEqual(again.returncode, 0, again.stderr.decode())
        self.assertEqual(read(run, "report", "report.html"), page)

    def test_generated_columns_of_a_run_are_told_and_do_not_make_it_inconclusive(self):
        self.source.create_database("computed")
        self.source.psql("CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);"
                         "INSERT INTO t SELECT generate_series(1, 50)", db="computed")
        self.target.create_database("computed", owner=FERRY)
        run = os.path.join(self.folder(), "run")
        ends = ["--source", self.source.uri(db="computed"), "--target", self.target.uri(db="computed")]
        again = os.path.join(self.folder(), "again")
        for command, folder in ((["run", *ends, "--run-dir", run], run + "/report"),
                                (["verify", *ends, "--against-run", run, "--report", again], again)):
            done = subprocess.run([NEONFERRY, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=psql_env(), timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
            doc = json.loads(read(folder, "report.json"))
            self.assertEqual([c for c in doc["checks"] if c["verdict"] in ("fail", "unknown")], [])
            self.assertIn("info", [c["verdict"] for c in doc["checks"] if "generated columns" in c["sentence"]])

    def test_the_command_of_the_report_holds_no_secret(self):
        folder = self.folder()
        uri = self.plant()
        secret = re.search(r"://[^:/@]+:([^@]+)@", uri)
        done = subprocess.run([NEONFERRY, "verify", "--source", self.source.uri(), "--target", uri, "--level",
                               "counts", "--table", "few", "--report", folder + "/a b"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=psql_env(), timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        doc = json.loads(read(folder, "a b", "report.json"))
        self.assertEqual(doc["command"], 'neonferry verify --source "$SOURCE_DATABASE_URL" --target'
                         " \"$NEON_DATABASE_URL\" --table few --level counts --report '%s/a b'" % folder)
        self.assertTrue(doc["operator"]["host"])
        self.assertEqual(doc["tool"]["program_sha256"], sha256(NEONFERRY))
        if secret:
            for name in os.listdir(folder + "/a b"):
                self.assertNotIn(secret.group(1), read(folder, "a b", name))


if __name__ == "__main__":
    unittest.main()
