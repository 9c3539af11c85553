#!/usr/bin/env python3
"""How a run ends where its rows are proven: with what its report says of everything else."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY  # noqa: E402
from ends import Servers  # noqa: E402
from moving import neonferry  # noqa: E402

FILL = """
CREATE TABLE docs (id int PRIMARY KEY, v vector(3), t text);
INSERT INTO docs SELECT i, '[1,2,3]', md5(i::text) FROM generate_series(1, 500) i;
CREATE INDEX docs_t ON docs (t);
"""


class RunEnd(Servers):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source.psql(FILL)

    def setUp(self):
        self.db = self._testMethodName[5:60]
        self.dir = self.folder(self.db)
        self.target.create_database(self.db, owner=FERRY)

    def call(self, *args, **kw):
        return neonferry(*args, "--source", self.source.uri(), "--target", self.target.uri(db=self.db), **kw)

    def run_it(self, *args):
        """How it ended, its summary, and the run's place in its own report, which must say the same."""
        done = self.call("run", *args, run_dir=self.dir)
        with open(os.path.join(self.dir, "summary.json"), encoding="utf-8") as f:
            summary = json.load(f)
        with open(os.path.join(self.dir, "report", "report.json"), encoding="utf-8") as f:
            self.assertEqual(json.load(f)["transfer"]["summary"]["exit_status"], done.status)
        self.assertEqual((summary["exit_status"], summary["verdict"]), (done.status, "proven"), done.text)
        self.assertIn(summary["means"], " ".join(done.text.split()))
        return done, summary

    def make_target_tables(self, sql):
        self.target.psql("CREATE TABLE docs (id int PRIMARY KEY, v vector(3), t text);"
                         + sql + "; ALTER TABLE docs OWNER TO %s" % FERRY, db=self.db)

    def test_definitions_that_differ_are_no_success(self):
        self.make_target_tables("CREATE INDEX docs_t ON docs (id, t)")
        done, summary = self.run_it()
        self.assertEqual((done.status, summary["report"]["verdict"], summary["report"]["definitions"]),
                         (7, "FAIL", "compared"), done.text)
        self.assertIn("All rows asked for are there and proven, but definitions differ", summary["means"])
        self.target.psql("DROP INDEX docs_t; CREATE INDEX docs_t ON docs (t)", db=self.db)
        again = self.call(*summary["next"].split("`")[1].split()[1:])  # what it says to do next
        self.assertEqual(again.status, 0, again.text)

    def test_definitions_not_asked_for_are_only_told(self):
        self.make_target_tables("CREATE INDEX docs_t ON docs (id, t)")
        done, summary = self.run_it("--data-only")
        self.assertEqual((done.status, summary["report"]["verdict"], summary["report"]["definitions"]),
                         (0, "FAIL", "not asked for"), done.text)
        self.assertIn("definitions, not asked for, differ", summary["means"])

    def test_another_version_of_an_extension_is_an_exception_of_what_a_run_moved(self):
        """verify, which knows of no run, judges it as a difference."""
        self.source.psql("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
        self.addCleanup(self.source.psql, "UPDATE pg_extension x SET extversion = a.default_version FROM"
                        " pg_available_extensions a WHERE a.name = x.extname AND x.extname = 'vector'")
        done, summary = self.run_it()
        self.assertEqual((done.status, summary["report"]["verdict"]), (0, "PASS WITH EXCEPTIONS"), done.text)
        against = self.call("verify", "--against-run", self.dir, "--level", "digest")
        self.assertEqual(against.status, 0, against.text)
        self.assertRegex(against.text, r"warning\s+schema\s+vector: .*0\.7\.4")
        alone = self.call("verify", "--level", "digest")
        self.assertEqual(alone.status, 7, alone.text)

    def test_a_table_that_the_run_did_not_move_has_no_exception(self):
        """verify --against-run of the whole database: only what was moved was looked at before."""
        self.source.psql("CREATE TABLE aside (v varchar(9))")
        self.addCleanup(self.source.psql, "DROP TABLE aside")
        self.target.psql("CREATE TABLE aside (v varchar, extra int); ALTER TABLE aside OWNER TO %s" % FERRY, db=self.db)
        done, _ = self.run_it("--table", "docs")
        self.assertEqual(done.status, 0, done.text)
        whole = self.call("verify", "--against-run", self.dir, "--table", "aside", "--table", "docs", "--level", "digest")
        self.assertEqual(whole.status, 7, whole.text)
        self.assertRegex(whole.text, r"fail\s+schema\s+public\.aside\.v: .*character varying\(9\)")
        self.assertRegex(whole.text, r"fail\s+schema\s+public\.aside: .*extra")


if __name__ == "__main__":
    unittest.main()
