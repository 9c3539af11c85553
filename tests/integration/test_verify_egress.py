"""What the target sends while it is verified, counted on the line: little, whatever the size."""

import json
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, make_source, make_target, psql_env  # noqa: E402
from command import NEONFERRY  # noqa: E402
from proxy import Proxy  # noqa: E402

TOOL = os.path.join(os.environ.get("NEONFERRY_BUILD", "build"), "tests", "verify_tool")
DIMENSIONS, MB = 512, 1_000_000

# Small tables: workers of a parallel plan cost more than they give where the machine is busy.
ALONE = {"max_parallel_workers_per_gather": "0"}

SCHEMA = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE docs (id int PRIMARY KEY, collection_name text, body text, embedding vector(%d));
INSERT INTO docs SELECT i, 'c' || mod(i, 5), repeat(md5(i::text), 10),
    (SELECT array_agg(sin(i * j)) FROM generate_series(1, %d) j)::vector FROM generate_series(1, %%d) i;
CREATE TABLE notes AS SELECT i AS n, md5(i::text) AS t FROM generate_series(1, %%d) i;
""" % (DIMENSIONS, DIMENSIONS)


class Egress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(make_source(conf=ALONE))
        cls.target = cls.enterClassContext(make_target(conf=ALONE))
        for db, rows in (("small", 250), ("large", 2500)):
            for server, owner in ((cls.source, None), (cls.target, FERRY)):
                server.create_database(db, owner=owner)
                server.psql(SCHEMA % (rows, rows), db=db)
        index = "CREATE INDEX docs_hnsw ON docs USING hnsw (embedding vector_l2_ops) WITH (m = 4, ef_construction = 16)"
        for server in (cls.source, cls.target):
            server.psql(index + "; ANALYZE", db="large")

    def received(self, db, *args):
        """What came from the target, in bytes, and the report."""
        with Proxy(self.target) as line:
            done = subprocess.run([TOOL, self.source.uri(db=db), line.uri(db=db), *args], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=psql_env(), timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)
            return line.received, json.loads(done.stdout)

    def test_counts_presence_and_digest_take_little_whatever_the_size(self):
        small, _ = self.received("small", "level=14")
        large, doc = self.received("large", "level=14")
        bytes_there = int(self.target.value("SELECT pg_total_relation_size('docs')", db="large"))
        self.assertGreater(bytes_there, 5 * MB)
        self.assertLess(large, MB // 4)
        self.assertLess(abs(large - small), 20_000, "it does not grow with the rows")
        self.assertEqual(doc["coverage"]["rows_content_checked"], 5000)

    def test_a_search_fetches_keys_and_says_before_how_much(self):
        queries = 60
        rest, _ = self.received("large", "level=15")
        with Proxy(self.target) as line:
            done = subprocess.run([NEONFERRY, "verify", "--source", self.source.uri(db="large"), "--target",
                                   line.uri(db="large"), "--sample", str(queries), "--json"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, env=psql_env(), timeout=300)
            all_of_it = line.received
        doc = json.loads(done.stdout)
        said = re.search(r"searching through .*docs_hnsw.*: (\d+) queries, about (\d+) kB from the target", done.stderr)
        self.assertTrue(said, done.stderr)
        index = doc["search"][0]
        self.assertGreater(index["egress"], 0)
        self.assertLess(index["egress"], all_of_it - rest, "its own count is not more than what passed")
        self.assertLess(all_of_it - rest, 2 * int(said.group(2)) * 1000 + MB // 4, "as much as was said")
        # One answer with its vectors would be 10 * 4 * 512 bytes, and there are more than 5 a query.
        self.assertLess(all_of_it - rest, queries * 5 * 10 * 4 * DIMENSIONS / 2)


if __name__ == "__main__":
    unittest.main()
