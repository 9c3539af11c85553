#!/usr/bin/env python3
"""Narrow tables travel in text where a sample says that it is much shorter; everything else in binary."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ferry import Lab, holders  # noqa: E402
from moving import neonferry  # noqa: E402

# Each of more than a megabyte, but `little`; the numbers are small, so that text is short.
TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE narrow (id int PRIMARY KEY, kind smallint, amount numeric(8,2), ok boolean, "wo""rd" text, day date);
INSERT INTO narrow SELECT i, i % 7, i % 9, i % 2 = 0, CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN
    e'a\\tb\\\\' WHEN 3 THEN '\\\\N' ELSE 'w' || i % 50 END, date '2020-01-01' + i % 400 FROM generate_series(1, 30000) i;
CREATE TABLE parts (id bigint, tenant text) PARTITION BY LIST (tenant);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT i, CASE WHEN i % 9 > 0 THEN 'a' END FROM generate_series(1, 45000) i;
CREATE TABLE tenants (tenant smallint, n int);
INSERT INTO tenants SELECT NULLIF(i % 6, 5), i % 100 FROM generate_series(1, 45000) i;
CREATE TABLE little (a int, b int); INSERT INTO little SELECT i, i FROM generate_series(1, 500) i;
CREATE TABLE wide (a bigint, t text); INSERT INTO wide SELECT i, repeat('x', 80) FROM generate_series(1, 12000) i;
CREATE TABLE stamped (a int, t timestamptz); INSERT INTO stamped SELECT i, now() FROM generate_series(1, 35000) i;
CREATE TABLE measured (a int, b smallint, c real); INSERT INTO measured SELECT i, 1, i FROM generate_series(1, 35000) i;
CREATE TABLE moods (a int, b smallint, m mood); INSERT INTO moods SELECT i, 1, 'sad' FROM generate_series(1, 35000) i;
CREATE TABLE embedded (a int, b int, c int, e vector(2));
INSERT INTO embedded SELECT 1, 1, 1, '[1,2]' FROM generate_series(1, 30000);
CREATE TABLE emptied (a int, b int); INSERT INTO emptied SELECT 1, 1 FROM generate_series(1, 45000);
DELETE FROM emptied;
"""
TEXT = {"narrow", "parts_a", "parts_rest", "tenants"}
COLLECTIONS = ("--collection-column", "tenants=tenant")


class Formats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(fill=False)
        cls.lab.source.psql(TABLES, db="filled")

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def tables(self, pair):
        return {t["name"]: t for t in pair.json("plan.1.json")["tables"]}

    def test_a_sample_chooses_and_everything_arrives(self):
        with self.lab.pair() as pair:
            ferry = pair.run("run", *COLLECTIONS)
            self.assertEqual(ferry.status, 0, ferry.text[-3000:])
            self.assertEqual(pair.judge.verdict(), {})
            tables = self.tables(pair)
            self.assertEqual({n for n, t in tables.items() if not t["binary"]}, TEXT)
            for name in TEXT:
                self.assertRegex(tables[name]["not_binary_why"],
                                 r"^text is shorter: \d+\.\d bytes a row against \d+\.\d in binary, of \d+ rows sampled$")
            self.assertEqual(len(tables["tenants"]["collections"]), 6)
            result = {t["table"]: t for t in pair.json("summary.json")["tables"]}
            self.assertEqual((result["parts"]["binary"], result["parts"]["verdict"]), (False, "same"))

    def test_what_was_asked_for_is_not_sampled(self):
        done = neonferry("plan", "--source", self.lab.source.uri(db="filled"), "--target",
                         self.lab.target.uri(db="postgres"), "--format", "binary", "--json")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual({t["binary"] for t in json.loads(done.out)["tables"]}, {True})

    def test_a_resume_under_another_snapshot_keeps_the_choice(self):
        """The sample would now say binary; chunks of both formats in one table could not be proven."""
        with self.lab.pair() as pair:
            ferry = pair.start("run", *COLLECTIONS, "--chunk-size", "64K", "--spill", "none", "--senders", "1",
                               "--jobs", "1")
            self.assertTrue(ferry.until(lambda: pair.loaded() >= 20), ferry.text[-2000:])
            ferry.kill()
            pair.end_holder()
            pair.judge.settle()
            self.assertEqual(holders(pair.run_dir), [])
            pair.sql("UPDATE narrow SET \"wo\"\"rd\" = repeat('y', 100) WHERE id > 1000")
            ferry = pair.run("resume", "--chunk-size", "64K")
            self.assertEqual(ferry.status, 0, ferry.text[-3000:])
            self.assertEqual(pair.judge.verdict(), {})
            later = {t["name"]: t["binary"] for t in pair.json("plan.2.json")["tables"]}
            self.assertEqual({n for n, binary in later.items() if not binary}, TEXT)


if __name__ == "__main__":
    unittest.main()
