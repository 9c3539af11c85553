"""`verify` and `report` from the command line: what is asked for wrongly is refused, not passed."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, psql_env  # noqa: E402
from command import NEONFERRY  # noqa: E402
from planted import Planted  # noqa: E402

PASS, REFUSED, FAIL, UNKNOWN = 0, 2, 7, 8

SCHEMA = """
CREATE EXTENSION citext;
CREATE TABLE mails (id int PRIMARY KEY, a citext NOT NULL DEFAULT 'x', CHECK (a <> 'nobody'));
CREATE UNIQUE INDEX mails_a ON mails (a);
INSERT INTO mails VALUES (1, 'A@b'), (2, 'c@D');
CREATE TABLE docs (id int PRIMARY KEY, collection_name text, topic text, t text);
INSERT INTO docs SELECT i, 'c' || i % 3, 't' || i % 2, 'x' || i FROM generate_series(1, 30) i;
CREATE STATISTICS docs_st (dependencies) ON topic, collection_name FROM docs;
CREATE RULE docs_kept AS ON DELETE TO docs WHERE old.id < 0 DO INSTEAD NOTHING;
CREATE VIEW seen AS SELECT id, t FROM docs;
CREATE RULE seen_new AS ON INSERT TO seen DO INSTEAD INSERT INTO docs (id, t) VALUES (new.id, new.t);
CREATE TABLE plain (id serial PRIMARY KEY, t text);
INSERT INTO plain (t) SELECT 'y' || i FROM generate_series(1, 5) i;
"""


class Case(Planted):
    schema, planter = SCHEMA, FERRY

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def call(self, *args, status=PASS):
        done = subprocess.run([NEONFERRY, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=psql_env(), cwd=self.folder, timeout=300)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def verify(self, target, *args, level="digest", status=PASS):
        return self.call("verify", "--source", self.source.uri(), "--target", target, "--level", level, *args,
                         status=status)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            f.write(text)
        return name

    def read(self, *path):
        with open(os.path.join(self.folder, *path), encoding="utf-8") as f:
            return f.read()


class Definitions(Case):
    def test_a_rule_is_seen_by_schema_compare(self):
        target = self.plant("CREATE RULE rx AS ON INSERT TO plain DO INSTEAD NOTHING;"
                            "CREATE STATISTICS st ON topic, t FROM docs")
        out = self.call("schema", "compare", "--source", self.source.uri(), "--target", target, status=FAIL)
        self.assertRegex(out, r"rule .*public\.plain\.rx")
        self.assertRegex(out, r"statistics .*public\.st")


    def test_an_extension_in_pg_catalog_is_no_difference(self):
        target = self.plant("ALTER EXTENSION citext SET SCHEMA pg_catalog", user="postgres")
        self.assertRegex(self.verify(target), "(?m)^PASS: all")

    def test_totals_name_only_what_differs(self):
        target = self.plant("INSERT INTO docs VALUES (31, 'c1', 't1', 'x31')")
        out = self.verify(target, status=FAIL)
        self.assertRegex(out, r"totals  public.docs: control totals differ: id \(sum, max, distinct\)")
        self.assertNotIn("NULLs", out)


class Limits(Case):
    def test_a_limit_that_could_never_be_judged_is_refused(self):
        nobody = "postgresql://127.0.0.1:1/nobody"
        self.assertIn("--max-latency-ratio means nothing where nothing is searched",
                      self.verify(nobody, "--max-latency-ratio", "2", level="digest", status=REFUSED))
        self.assertIn("add --level search", self.call("verify", "--source", nobody, "--target", nobody, "--against",
                                                      "snapshot", "--max-latency-ratio", "2", status=REFUSED))
        for wrong in ("5", "1", "inf", "nan", "0", "x"):
            self.assertIn("--margin is a share above 0 and below 1, such as 0.01, not \"%s\"" % wrong,
                          self.verify(nobody, "--margin", wrong, status=REFUSED))
        for wrong in ("inf", "nan", "-1"):
            self.assertIn("--max-latency-ratio is a number above 0",
                          self.verify(nobody, "--max-latency-ratio", wrong, level="search", status=REFUSED))


class Waivers(Case):
    good = {"group": "schema", "object": "public.plain_id_seq", "reason": "set at the end", "by": "Kim",
            "expires": "2999-02-28"}

    def test_a_waiver_that_says_too_little_is_refused(self):
        for wrong, words in (({"expires": "2027-13-45"}, "expires is .2027-13-45., which is no day"),
                             ({"expires": "soon"}, "expires is .soon."), ({"expires": "2027-02-29"}, "which is no day"),
                             ({"by": None}, "by is missing"), ({"reason": " "}, "reason is missing"),
                             ({"expires": None}, "expires is missing"), ({"object": None}, "object is missing"),
                             ({"by": 7}, "by is missing, or no text"), ({"group": "schemas"}, "group is none of")):
            with self.subTest(wrong):
                waiver = {k: v for k, v in dict(self.good, **wrong).items() if v is not None}
                name = self.write("w.json", json.dumps([self.good, waiver]))
                out = self.verify("postgresql://127.0.0.1:1/nobody", "--waivers", name, status=REFUSED)
                self.assertRegex(out, "waiver 2 in w.json: .*" + words)
        self.write("w.json", '["public.plain"]')
        self.assertIn("waiver 1 in w.json: it is no object",
                      self.verify("postgresql://127.0.0.1:1/nobody", "--waivers", "w.json", status=REFUSED))

    def test_the_examples_of_the_manual_are_waivers(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "verify.md")) as f:
            examples = re.findall(r"```json\n(.*?)```", f.read(), re.S)
        self.assertTrue(examples)
        for example in examples:
            out = self.verify("postgresql://127.0.0.1:1/nobody", "--waivers", self.write("w.json", example), status=3)
            self.assertNotIn("w.json", out)

    def test_a_sequence_is_named_like_every_other_object(self):
        target = self.plant("SELECT setval('plain_id_seq', 2)")
        out = self.verify(target, status=FAIL)
        self.assertIn("fail  schema  public.plain_id_seq: sequence public.plain_id_seq is behind", out)
        name = self.write("w.json", json.dumps([self.good]))
        self.assertIn("PASS WITH EXCEPTIONS", self.verify(target, "--waivers", name))


class Rendered(Case):
    def refused(self, words):
        before = self.read("r", "SHA256SUMS")
        self.assertRegex(self.call("report", "r", status=REFUSED), words)
        self.assertEqual(self.read("r", "SHA256SUMS"), before)

    def sign(self):
        """As somebody would who changes the sums, too."""
        done = subprocess.run(["sha256sum", "report.json"], cwd=self.folder + "/r", stdout=subprocess.PIPE, text=True)
        lines = [s for s in self.read("r", "SHA256SUMS").splitlines(True) if not s.endswith("report.json\n")]
        self.write("r/SHA256SUMS", done.stdout + "".join(lines))

    def test_a_doctored_report_is_not_rendered(self):
        self.verify(self.plant("DELETE FROM docs WHERE id = 3"), "--report", "r", status=FAIL)
        self.assertIn("FAIL: ", self.call("report", "r"))
        good = self.read("r", "report.json")
        self.write("r/report.json", good.replace("FAIL", "PASS"))
        self.refused("(?s)report.json is not as it was written: SHA256SUMS beside it has another checksum.*verify again")
        self.sign()
        self.refused("says PASS, but its findings give FAIL")
        self.write("r/report.json", "{}")
        self.sign()
        self.refused("is no report of this version")
        self.write("r/report.json", json.dumps(dict(json.loads(good), checks=[{"verdict": "fine"}])))
        self.sign()
        self.refused("is no report of this version")
        self.write("r/report.json", good)
        self.sign()
        self.call("report", "r")
        self.write("r/differences.ndjson", "")
        self.refused("differences.ndjson is not as it was written")
        os.unlink(self.folder + "/r/SHA256SUMS")
        self.assertIn("there is no SHA256SUMS", self.call("report", "r", status=REFUSED))

    def test_every_form_counts_the_same_checks(self):
        self.verify(self.plant("DELETE FROM docs WHERE id = 3; CREATE TABLE more (id int)"), "--report", "r", status=FAIL)
        doc = json.loads(self.read("r", "report.json"))
        checks = [c for c in doc["checks"] if c["verdict"] != "info"]
        self.assertLess(len(checks), len(doc["checks"]))
        junit = self.read("r", "report.junit.xml")
        self.assertIn('tests="%d"' % len(checks), junit)
        self.assertEqual(junit.count("<testcase "), len(checks))
        self.assertRegex(junit, r"<system-out>[^<]*table public.more is only in the target")
        self.assertIn(" of %d checks failed" % len(checks), self.read("r", "report.md"))


class Collections(Case):
    def test_a_collection_that_nobody_has_is_no_pass(self):
        target = self.plant()
        out = self.verify(target, "--collection", "nope", status=UNKNOWN)
        self.assertRegex(out, "unknown  coverage  nope: no row of either end is of the collection nope.*docs.collection_name")
        self.verify(target, "--collection", "nope", "--collection", "c1", status=UNKNOWN)
        self.verify(target, "--collection", "c1")
        # One that only one end has is a difference, as ever.
        target = self.plant("DELETE FROM docs WHERE collection_name = 'c1'")
        self.assertIn("is missing in the target", self.verify(target, "--collection", "c1", status=FAIL))

    def test_without_a_divided_table_a_collection_is_refused(self):
        out = self.verify(self.plant(), "--collection", "c1", "--table", "plain", status=REFUSED)
        self.assertIn("--collection-column TABLE=COLUMN", out)

    def test_a_rule_that_names_nothing_is_refused(self):
        target = self.plant()
        self.assertIn("no table that is compared is named nosuchtab",
                      self.verify(target, "--collection-column", "nosuchtab=t", status=REFUSED))
        self.assertIn("table public.docs has no column nosuchcolumn",
                      self.verify(target, "--collection-column", "docs=nosuchcolumn", status=REFUSED))
        self.verify(target, "--collection-column", "public.docs=topic", "--collection", "t1")

    def test_a_run_is_compared_by_the_chosen_collections(self):
        self.target.create_database("moved", owner=FERRY)
        target = self.target.uri(db="moved")
        self.call("run", "--source", self.source.uri(), "--target", target, "--run-dir", "r", "--collection-column",
                  "docs=collection_name")
        self.target.psql("UPDATE docs SET t = 'other' WHERE id = 2", db="moved", user=FERRY)  # of c2
        against = ("verify", "--target", target, "--against-run", "r", "--level", "digest")
        self.assertIn("PASS", self.call(*against, "--collection", "c1"))
        self.assertIn("PASS", self.call(*against, "--source", self.source.uri(), "--collection", "c0", "--collection", "c1"))
        out = self.call(*against, "--collection", "c2", status=FAIL)
        self.assertNotRegex(out, "collection c[01]")
        self.assertIn("no row of either end", self.call(*against, "--collection", "nope", status=UNKNOWN))

    def test_what_a_run_added_to_is_unknown_without_the_source(self):
        self.target.create_database("added", owner=FERRY)
        target = self.target.uri(db="added")
        self.call("run", "--source", self.source.uri(), "--target", target, "--run-dir", "first", "--schema-only")
        self.target.psql("INSERT INTO docs (id, t) VALUES (-1, 'here before')", db="added", user=FERRY)
        self.call("run", "--source", self.source.uri(), "--target", target, "--run-dir", "r", "--data-only",
                  "--on-existing", "append")
        against = ("verify", "--target", target, "--against-run", "r", "--level", "digest")
        self.assertRegex(self.call(*against, status=UNKNOWN),
                         r"public\.docs\W+the run added its rows to those that were there")

    def test_a_table_that_a_run_moved_and_that_is_gone_fails(self):
        self.target.create_database("gone", owner=FERRY)
        target = self.target.uri(db="gone")
        self.call("run", "--source", self.source.uri(), "--target", target, "--run-dir", "r")
        self.target.psql("DROP TABLE docs CASCADE", db="gone", user=FERRY)
        against = ("verify", "--target", target, "--against-run", "r")
        out = self.call(*against, "--level", "counts", "--report", "gone", status=FAIL)
        self.assertIn("public.docs: table public.docs, which the run moved, is missing in the target", out)
        tables = {t["name"]: t["verdict"] for t in json.loads(self.read("gone", "report.json"))["tables"]}
        self.assertEqual(tables["public.docs"], "missing")
        self.assertIn("public.docs", self.call(*against, "--level", "schema", status=FAIL))
        self.call(*against, "--level", "digest", "--table", "plain")
        # With the source, its own catalog tells it; once.
        out = self.call(*against, "--source", self.source.uri(), "--level", "counts", status=FAIL)
        self.assertEqual(out.count("fail  schema  public.docs:"), 1, out)


if __name__ == "__main__":
    unittest.main()
