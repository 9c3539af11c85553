"""Searches of two databases compared: recall, exact neighbours, plans, a bad index, a lost target."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY, psql_env, wait_until  # noqa: E402
from planted import Planted  # noqa: E402

TOOL = os.path.join(os.environ.get("NEONFERRY_BUILD", "build"), "tests", "verify_tool")
SEARCH = "level=16"

SCHEMA = r"""
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE docs (id int PRIMARY KEY, collection_name text, embedding vector(24));
CREATE TABLE halves (id int PRIMARY KEY, embedding halfvec(8));
CREATE TABLE lists (id int PRIMARY KEY, embedding vector(8));
CREATE TABLE products (id int PRIMARY KEY, embedding vector(8));
CREATE TABLE keyless (what text, embedding vector(8));
INSERT INTO docs SELECT i, 'c' || i % 4, (SELECT array_agg(sin(i % 40 * j) + sin(i * j * 0.13) * 0.5)
    FROM generate_series(1, 24) j)::vector FROM generate_series(1, 4000) i;
INSERT INTO docs SELECT 10000 + i, 'twins', embedding FROM docs, generate_series(1, 5) i WHERE id = 17;
INSERT INTO docs VALUES (20000, 'zero', array_fill(0, ARRAY[24])::vector), (20001, 'none', NULL);
INSERT INTO halves SELECT i, (SELECT array_agg(sin(i * j * 0.37)) FROM generate_series(1, 8) j)::vector::halfvec
    FROM generate_series(1, 500) i;
INSERT INTO lists SELECT i, (SELECT array_agg(cos(i * j * 0.71)) FROM generate_series(1, 8) j)::vector
    FROM generate_series(1, 1000) i;
INSERT INTO products SELECT * FROM lists;
INSERT INTO keyless SELECT 'row ' || id, embedding FROM lists LIMIT 300;
CREATE INDEX docs_hnsw ON docs USING hnsw (embedding vector_cosine_ops);
CREATE INDEX docs_part ON docs USING hnsw (embedding vector_l2_ops) WHERE collection_name = 'c1';
CREATE INDEX docs_expr ON docs USING hnsw ((embedding::halfvec(24)) halfvec_l2_ops);
CREATE INDEX halves_hnsw ON halves USING hnsw (embedding halfvec_l2_ops);
CREATE INDEX lists_ivf ON lists USING ivfflat (embedding vector_l2_ops) WITH (lists = 10);
CREATE INDEX products_ip ON products USING hnsw (embedding vector_ip_ops);
CREATE INDEX keyless_l1 ON keyless USING hnsw (embedding vector_l1_ops);
ANALYZE;
"""


def verify(source, target, *args):
    done = subprocess.run([TOOL, source, target, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=psql_env(), timeout=300)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr.decode()


def of(doc, *verdicts):
    return [c for c in doc["checks"] if c["verdict"] in verdicts]


class Search(Planted):
    schema = SCHEMA

    def index(self, doc, name):
        return [i for i in doc["search"] if i["index"].endswith("." + name)][0]

    def test_equal_databases_answer_the_same(self):
        """P-009: accuracy and times; P-004: recall up to ef_search 200."""
        status, doc = verify(self.source.uri(), self.plant(), "level=31", "sample=300", "margin=0.05")
        self.assertEqual(of(doc, "fail", "unknown"), [])
        self.assertEqual(status, 0)
        self.assertEqual(len(doc["search"]), 7)
        for index in doc["search"]:
            with self.subTest(index["index"]):
                self.assertTrue(index["plans"]["target"]["uses_index"], index["plans"])
                self.assertEqual(index["exact"]["target"]["same"], index["exact"]["target"]["queries"])
                self.assertGreater(index["recall"][-1]["target"]["mean"], 0.9)
                self.assertGreater(index["queries"], 90)
                self.assertGreater(index["latency"]["ratio"]["median"], 0)

    def test_the_same_seed_gives_the_same_queries(self):
        uri = self.plant()
        keys = []
        for seed in ("seed=5", "seed=5", "seed=6"):
            _, doc = verify(self.source.uri(), uri, SEARCH, "sample=20", "table=halves", seed)
            keys.append([e["key"] for e in self.index(doc, "halves_hnsw")["examples"]])
        self.assertEqual(keys[0], keys[1])
        self.assertNotEqual(keys[0], keys[2])

    def test_recall_falls_where_the_target_searches_less(self):
        uri = self.plant("DROP INDEX docs_hnsw; CREATE INDEX docs_hnsw ON docs USING hnsw"
                         " (embedding vector_cosine_ops) WITH (m = 2, ef_construction = 4);"
                         "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET hnsw.ef_search = 1',"
                         " current_database()); END $$")
        status, doc = verify(self.source.uri(), uri, SEARCH, "sample=300", "table=docs")
        self.assertEqual(status, 7)
        found = [c["sentence"] for c in of(doc, "fail") if "docs_hnsw" in c["object"]]
        self.assertTrue(any("recall" in s for s in found), found)
        own = self.index(doc, "docs_hnsw")["recall"][0]
        self.assertLess(own["target"]["mean"], own["source"]["mean"] - 0.01)

    def test_a_recall_without_the_index_is_not_reported(self):
        uri = self.plant("DROP INDEX docs_hnsw; CREATE INDEX docs_hnsw ON docs USING hnsw"
                         " (embedding vector_l2_ops)")
        status, doc = verify(self.source.uri(), uri, SEARCH, "sample=50", "table=docs")
        self.assertEqual(status, 7)
        found = [c["sentence"] for c in of(doc, "fail")]
        self.assertTrue(any("not through the index" in s for s in found), found)
        cosine = [i for i in doc["search"] if i["metric"] == "cosine distance"][0]
        self.assertFalse(cosine["plans"]["target"]["uses_index"])
        self.assertEqual(cosine["recall"], [])

    def test_an_index_that_lost_its_rows_is_found(self):
        # Rows the index does not know: written while it was marked as not ready.
        uri = self.plant("UPDATE pg_index SET indisready = false WHERE indexrelid = 'halves_hnsw'::regclass;"
                         "DELETE FROM halves WHERE id > 20; INSERT INTO halves SELECT id + i * 100, embedding"
                         " FROM halves, generate_series(1, 30) i;"
                         "UPDATE pg_index SET indisready = true WHERE indexrelid = 'halves_hnsw'::regclass")
        status, doc = verify(self.source.uri(), uri, SEARCH, "sample=100", "table=halves")
        self.assertEqual(status, 7, of(doc, "fail", "unknown"))

    def test_without_a_source_the_target_is_its_own_truth(self):
        status, doc = verify("-", self.plant(), SEARCH, "sample=30", "table=docs")
        index = self.index(doc, "docs_hnsw")
        self.assertIn("exact scans", index["truth"])
        self.assertIsNone(index["recall"][0]["source"])
        self.assertGreater(index["recall"][0]["target"]["mean"], 0.8)
        self.assertEqual(of(doc, "fail"), [])
        self.assertEqual(status, 8, "nothing was compared: that is no pass")

    def test_a_slow_target_fails_only_when_a_ratio_was_asked_for(self):
        """P-111: percentiles, round trip, ratio."""
        uri = self.plant()
        _, doc = verify(self.source.uri(), uri, SEARCH, "sample=20", "table=halves", "ratio=0.0001")
        slow = [c["sentence"] for c in of(doc, "fail") if c["group"] == "latency"]
        self.assertTrue(slow)
        self.assertIn("the limit is 0.0001 times (--max-latency-ratio)", slow[0])
        status, doc = verify(self.source.uri(), uri, SEARCH, "sample=20", "table=halves", "ratio=1000")
        self.assertEqual([c["verdict"] for c in doc["checks"] if c["group"] == "latency"], ["pass"])
        for end in ("source", "target"):
            times = self.index(doc, "halves_hnsw")["latency"][end]
            self.assertGreaterEqual(times["p95"], times["p50"])
            self.assertGreater(times["rtt"], 0)

    def test_a_limit_of_latency_that_nothing_was_held_against_is_unknown(self):
        _, doc = verify("-", self.plant(), SEARCH, "sample=10", "table=halves", "ratio=1000")
        self.assertEqual([c["sentence"] for c in of(doc, "unknown") if c["group"] == "latency"],
                         ["--max-latency-ratio was not judged: there is no source"])

    def test_an_index_over_one_vector_is_not_measured(self):
        uri = self.source.uri()
        one = ("CREATE TABLE one (id int PRIMARY KEY, embedding vector(8)); INSERT INTO one SELECT * FROM lists LIMIT 1;"
               "CREATE INDEX one_hnsw ON one USING hnsw (embedding vector_l2_ops)")
        self.source.psql(one)
        try:
            target = self.plant(one, user=FERRY)
            for source in (uri, "-"):
                _, doc = verify(source, target, SEARCH, "table=one")
                self.assertEqual(doc["search"], [])
                self.assertEqual(of(doc, "fail", "unknown", "warning"), [])
                self.assertIn("no vectors to search", [c for c in of(doc, "info")][0]["sentence"])
        finally:
            self.source.psql("DROP TABLE one")

    def test_search_functions_are_called_on_both_ends(self):
        """P-003: an answer that differs is seen."""
        sql = ("CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE users (id uuid PRIMARY KEY, embedding vector(2));"
               "INSERT INTO users SELECT md5(i::text)::uuid, '[1,2]' FROM generate_series(1, 4) i;"
               "CREATE FUNCTION search_similar_users(uuid) RETURNS TABLE (user_id uuid, similarity float8)"
               " LANGUAGE sql AS 'SELECT id, %s FROM public.users WHERE id <> $1'")
        self.source.create_database("functions")
        self.source.psql(sql % "0.5", db="functions")
        for score, same, verdict in (("0.5", 4, "pass"), ("0.6", 0, "fail")):
            db = "functions_" + verdict
            self.target.create_database(db, owner=FERRY)
            self.target.psql(sql % score, db=db, user=FERRY)
            _, doc = verify(self.source.uri(db="functions"), self.target.uri(db=db), SEARCH)
            self.assertEqual(doc["functions"], [
                {"function": "search_similar_users", "calls": 4, "same": same, "rows": 12}])
            self.assertEqual([c["verdict"] for c in doc["checks"] if c["object"] == "search_similar_users"], [verdict])

    def test_indexes_of_one_partition_and_of_bits_are_not_passed_over(self):
        rows = ("CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE parted (id int, k int, embedding vector(8),"
                " PRIMARY KEY (id, k)) PARTITION BY LIST (k);"
                "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);"
                "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);"
                "INSERT INTO parted SELECT i, 1 + i % 2, (SELECT array_agg(sin(i * j * 0.37))"
                " FROM generate_series(1, 8) j)::vector FROM generate_series(1, 200) i;")
        index = "CREATE INDEX parted_1_v ON parted_1 USING hnsw (embedding vector_l2_ops);"
        bits = "CREATE INDEX parted_b ON parted USING hnsw ((binary_quantize(embedding)::bit(8)) bit_hamming_ops);"
        self.source.create_database("parted")
        self.source.psql(rows + index, db="parted")
        found = {}
        for name, sql in (("same", rows + index), ("without", rows), ("bits", rows + index + bits),
                          ("divided", rows + "DROP TABLE parted_1")):
            self.target.create_database("parted_" + name, owner=FERRY)
            self.target.psql(sql, db="parted_" + name, user=FERRY)
            found[name] = verify(self.source.uri(db="parted"), self.target.uri(db="parted_" + name), "level=17",
                                 "sample=20", "table=parted")
        status, doc = found["same"]
        self.assertEqual((status, of(doc, "fail", "unknown", "warning")), (0, []))
        index = self.index(doc, "parted_1_v")
        self.assertEqual(index["rows"], 100)
        self.assertTrue(index["plans"]["target"]["uses_index"])
        status, doc = found["without"]
        self.assertEqual(status, 7)
        self.assertEqual({(c["group"], c["object"]) for c in of(doc, "fail")},
                         {("schema", "public.parted_1_v"), ("search", "public.parted.parted_1_v")})
        status, doc = found["bits"]
        self.assertEqual((status, [c["object"] for c in of(doc, "unknown")]), (8, ["public.parted.parted_b"]))
        # Where the partition itself is not there, its index is no difference of its own.
        status, doc = found["divided"]
        self.assertEqual((status, [c["object"] for c in of(doc, "unknown")]), (8, ["public.parted.parted_1_v"]))
        self.assertEqual([c["object"] for c in of(doc, "warning")], ["public.parted_1"])

    def test_a_document_is_added_found_and_deleted_and_nothing_stays(self):
        """P-110: what verify --smoke does."""
        uri = self.plant()
        db = uri.split("/")[-1].split("?")[0]
        before = self.target.value("SELECT count(*) FROM docs", db=db)
        status, doc = verify(self.source.uri(), uri, "level=32")
        self.assertEqual(status, 0, doc["checks"])
        self.assertTrue([s for s in doc["smoke"] if s["table"] == "public.docs" and s["place"] >= 1])
        self.assertEqual(self.target.value("SELECT count(*) FROM docs", db=db), before)

    def test_a_document_has_the_dimensions_of_the_others(self):
        self.source.create_database("loose")
        self.target.create_database("loose", owner=FERRY)
        sql = ("CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE loose (id int PRIMARY KEY, v vector);"
               "INSERT INTO loose VALUES (1, '[1,2,3,4,5]'); CREATE TABLE bare (id int PRIMARY KEY, v vector);"
               "CREATE INDEX ON bare USING hnsw ((v::vector(7)) vector_l2_ops)")
        self.source.psql(sql, db="loose")
        self.target.psql(sql, db="loose", user=FERRY)
        status, doc = verify(self.source.uri(db="loose"), self.target.uri(db="loose"), "level=32")
        self.assertEqual([(s["table"], s["place"]) for s in doc["smoke"]], [("public.loose", 1)], doc["checks"])
        self.assertIn("bare does not take a made-up row", of(doc, "info")[0]["sentence"])
        self.assertEqual(status, 0, doc["checks"])

    def test_a_target_cut_off_in_the_middle_is_no_pass(self):
        uri = self.plant()
        answer = []
        thread = threading.Thread(target=lambda: answer.append(
            verify(self.source.uri(), uri, "level=31", "sample=2000", "patience=1500")))
        thread.start()
        wait_until(lambda: "neonferry verify" in (self.target.value(
            "SELECT string_agg(application_name, ' ') FROM pg_stat_activity WHERE query LIKE '%nf_q%'",
            user="postgres", db="postgres") or ""), what="a search")
        self.target.stop("immediate")
        thread.join(120)
        self.target.start()
        status, doc = answer[0]
        self.assertIn(status, (3, 8), doc)

    def test_a_short_absence_of_the_target_is_waited_for(self):
        uri = self.plant()
        answer = []
        thread = threading.Thread(target=lambda: answer.append(
            verify(self.source.uri(), uri, "level=15", "jobs=1")))
        thread.start()
        wait_until(lambda: self.target.value("SELECT count(*) FROM pg_stat_activity WHERE application_name"
                                             " LIKE 'neonferry%'", user="postgres", db="postgres") != "0",
                   what="the verifier")
        self.target.restart("immediate")
        thread.join(120)
        status, doc = answer[0]
        self.assertIn(status, (0, 8), doc)
        if status == 8:  # it hit a statement that is not repeated: said, not passed
            self.assertTrue(of(doc, "unknown"))

    @unittest.skipUnless(shutil.which("chromium"), "no Chromium here")
    def test_the_report_is_readable_in_a_browser_without_scripts(self):
        with tempfile.TemporaryDirectory() as folder:
            verify(self.source.uri(), self.plant("DELETE FROM docs WHERE id = 5"), "level=31", "sample=40",
                   "report=" + folder + "/r")
            page = "file://" + folder + "/r/report.html"
            for width in ("1200", "390"):
                shot = folder + "/shot.png"
                done = subprocess.run(
                    ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                     "--window-size=%s,3000" % width, "--user-data-dir=" + folder + "/profile", "--screenshot=" + shot, page],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
                self.assertTrue(os.path.exists(shot), done.stdout.decode()[-500:])
                self.assertGreater(os.path.getsize(shot), 20000)
            done = subprocess.run(
                ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
                 "--user-data-dir=" + folder + "/profile", page],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300)
            dom = done.stdout.decode()
            self.assertIn("FAIL", dom)
            self.assertIn("1 missing", dom)
            self.assertIn("<svg", dom)
            self.assertNotIn("<script", dom)


if __name__ == "__main__":
    unittest.main()
