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
from planted import Planted  # noqa: E402

NEONFERRY = os.path.abspath(os.environ.get("NEONFERRY", "build/neonferry"))
PASS, REFUSED, FAIL, UNKNOWN = 0, 2, 7, 8

SCHEMA = """
CREATE TABLE docs (id int PRIMARY KEY, collection_name text, topic text, t text);
INSERT INTO docs SELECT i, 'c' || i % 3, 't' || i % 2, 'x' || i FROM generate_series(1, 30) i;
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


if __name__ == "__main__":
    unittest.main()
