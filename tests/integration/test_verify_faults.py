"""The verifier must not lie: every fault planted in a good target is found, named, and not passed."""

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

TOOL = os.path.join(os.environ.get("NEONFERRY_BUILD", "build"), "tests", "verify_tool")
PASS, FAIL, UNKNOWN = 0, 7, 8
NO_SEARCH = "level=15"

SCHEMA = r"""
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE items (id serial PRIMARY KEY, collection_name text, name text, price numeric, qty bigint,
    ratio float8, at timestamptz, meta jsonb, code char(5), feeling mood DEFAULT 'sad', note text,
    shout text GENERATED ALWAYS AS (upper(name)) STORED, embedding vector(8));
CREATE TABLE events (what text, n int);
CREATE TABLE parts (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
CREATE TABLE parts_new PARTITION OF parts DEFAULT;
CREATE TABLE orders (id int PRIMARY KEY, item int NOT NULL REFERENCES items);
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TABLE odd (id int PRIMARY KEY, a text, b text, n numeric, r real, raw bytea, j json, t time, w interval,
    ch char(8));
INSERT INTO odd VALUES (1, 'a|', 'c', 12345678901234, 0.0001234, '\x00ff', '{"a": 1}', '10:20:30.000001', '1 day', 'x'),
    (2, NULL, '', 1e20, 1e-30, decode(repeat('ab', 2000000), 'hex'), 'null', '24:00', '24 hours', 'x');
INSERT INTO items (collection_name, name, price, qty, ratio, at, meta, code, feeling, note, embedding)
    SELECT CASE WHEN i % 50 = 0 THEN NULL ELSE 'c' || i % 3 END, 'Café ' || i, i * 1.10, 9007199254740990 + i,
        i / 7.0, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 hour', jsonb_build_object('k', i),
        'ab' || i % 10, CASE WHEN i % 2 = 0 THEN 'sad' ELSE 'glad' END::mood,
        CASE WHEN i % 10 = 0 THEN '' WHEN i % 10 = 1 THEN NULL ELSE 'n' || i END,
        CASE WHEN i % 25 = 0 THEN NULL ELSE (SELECT array_agg(sin(i * 8 + j)) FROM generate_series(1, 8) j)::vector END
    FROM generate_series(1, 400) i;
INSERT INTO items (id, ratio, embedding) VALUES (1000, 0.0, '[0,1,2,3,4,5,6,7]');
SELECT setval('items_id_seq', 1000);
CREATE SEQUENCE fresh;
ALTER SEQUENCE fresh RESTART WITH 1000;
INSERT INTO events SELECT 'event ' || i % 7, i % 3 FROM generate_series(1, 100) i;
INSERT INTO parts SELECT i, date '2023-01-01' + i * 10 FROM generate_series(1, 200) i;
INSERT INTO orders SELECT i, i FROM generate_series(1, 50) i;
CREATE POLICY mine ON odd USING (id > 0);
CREATE RULE kept AS ON DELETE TO odd DO ALSO NOTIFY lost;
CREATE STATISTICS both_of (dependencies) ON code, feeling FROM items;
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE TYPE point3 AS (x int, y int, z int);
CREATE INDEX items_name ON items (name);
CREATE INDEX items_embedding ON items USING hnsw (embedding vector_cosine_ops);
ANALYZE;
"""

# name: SQL in the target, (group, object, sentence) patterns of a finding, more in the document
FAULTS = {
    "one bit of one float": (
        "UPDATE items SET embedding = replace(embedding::text, '3,', '3.0000002,')::vector WHERE id = 1000",
        "rows", "items", "1 changed", r'"first": 4, "components": 1'),
    "two embeddings exchanged": (
        "UPDATE items SET embedding = (SELECT o.embedding FROM items o WHERE o.id = 15 - items.id)"
        " WHERE id IN (7, 8)", "rows", "items", "2 changed", '"belongs_to": "8".*"belongs_to": "7"'),
    "all embeddings permuted": (
        "WITH o AS (SELECT id, embedding, row_number() OVER (ORDER BY id) n, count(*) OVER () c FROM items"
        " WHERE embedding IS NOT NULL) UPDATE items SET embedding = b.embedding FROM o a JOIN o b"
        " ON b.n = a.n % a.c + 1 WHERE a.id = items.id", "rows", "items", "385 changed", "belongs_to"),
    "a row is missing": ("DELETE FROM items WHERE id = 300", "rows", "items", "1 missing", '"300"'),
    "a row is extra": ("INSERT INTO items (id, name) VALUES (5000, 'x')", "rows", "items", "1 extra", '"5000"'),
    "a row is doubled": (
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey; INSERT INTO orders SELECT * FROM orders WHERE id = 3",
        "rows", "orders", "1 doubled", '"3"'),
    "a row without key is missing": (
        "DELETE FROM events WHERE ctid = (SELECT min(ctid) FROM events)", "rows", "events", "1 missing", None),
    "a row without key is extra": ("INSERT INTO events VALUES ('new', 1)", "rows", "events", "1 extra", None),
    "a row without key is doubled": (
        "INSERT INTO events SELECT * FROM events LIMIT 1", "rows", "events", "1 doubled", None),
    "NULL for an empty string": (
        "UPDATE items SET note = NULL WHERE id = 10", "rows", "items", "1 changed",
        "an empty text in the source, NULL in the target"),
    "an empty string for NULL": (
        "UPDATE items SET note = '' WHERE id = 11", "rows", "items", "1 changed",
        "NULL in the source, an empty text in the target"),
    "minus zero": (
        "UPDATE items SET ratio = '-0' WHERE id = 1000", "rows", "items", "1 of them equal for SQL",
        '"column": "ratio".*another form of the same value'),
    "minus zero in a vector": (
        "UPDATE items SET embedding = '[-0,1,2,3,4,5,6,7]' WHERE id = 1000", "rows", "items",
        "1 of them equal for SQL", "a zero changed its sign"),
    "1.00 for 1.0": (
        "UPDATE items SET price = price::numeric(20, 3) WHERE id = 10", "rows", "items",
        "1 of them equal for SQL", '"column": "price"'),
    "a trailing space": (
        "UPDATE items SET name = name || ' ' WHERE id = 10", "rows", "items", "1 changed",
        "only trailing spaces differ"),
    "a microsecond": (
        "UPDATE items SET at = at + interval '1 microsecond' WHERE id = 10", "rows", "items", "1 changed",
        "target - source = 00:00:00.000001"),
    "the last digit of a bigint": (
        "UPDATE items SET qty = qty + 1 WHERE id = 10", "rows", "items", "1 changed", "target - source = 1"),
    "a key of jsonb": (
        """UPDATE items SET meta = '{"K": 10}' WHERE id = 10""", "rows", "items", "1 changed", '"column": "meta"'),
    "another normal form": (
        "UPDATE items SET name = normalize(name, NFD) WHERE id = 10", "rows", "items", "1 changed",
        "another Unicode normal form"),
    "an enum's label": (
        "UPDATE items SET feeling = 'glad' WHERE id = 10", "rows", "items", "1 changed", '"column": "feeling"'),
    "a collection renamed": (
        "UPDATE items SET collection_name = 'c9' WHERE collection_name = 'c2'", "counts",
        "collection c2", "missing in the target", None),
    "the last digit of a large number": (
        "UPDATE odd SET n = n + 1 WHERE id = 1", "rows", "odd", "1 changed", "target - source = 1"),
    "the fourth digit of a small float": (
        "UPDATE odd SET r = 0.0001235 WHERE id = 1", "rows", "odd", "1 changed", '"column": "r"'),
    "text that moves over a separator": (
        "UPDATE odd SET a = 'a', b = '|c' WHERE id = 1", "rows", "odd", "1 changed", '"column": "a".*"column": "b"'),
    "the word for NULL": ("UPDATE odd SET a = '<null>' WHERE id = 2", "rows", "odd", "1 changed", "NULL in the source"),
    "one byte of a large value": (
        "UPDATE odd SET raw = set_byte(raw, 1999999, 1) WHERE id = 2", "rows", "odd", "1 changed", '"column": "raw"'),
    "a space in json": (
        """UPDATE odd SET j = '{"a":1}' WHERE id = 1""", "rows", "odd", "1 of them equal for SQL", '"column": "j"'),
    "null of json for NULL": ("UPDATE odd SET j = NULL WHERE id = 2", "rows", "odd", "1 changed", "NULL in the target"),
    "the end of a day": ("UPDATE odd SET t = '00:00' WHERE id = 2", "rows", "odd", "1 changed", '"column": "t"'),
    "a day for 24 hours": (
        "UPDATE odd SET w = '24 hours' WHERE id = 1", "rows", "odd", "1 of them equal for SQL", '"column": "w"'),
    "a row below the least key": ("INSERT INTO odd VALUES (-5)", "rows", "odd", "1 extra", '"-5"'),
    "a row twice more": (
        "INSERT INTO events SELECT e.* FROM (SELECT * FROM events LIMIT 1) e, generate_series(1, 2)",
        "rows", "events", "2 doubled", None),
    "two rows without key exchanged for twins of others": (
        "DELETE FROM events WHERE ctid IN (SELECT min(ctid) FROM events WHERE n < 2 GROUP BY n);"
        "INSERT INTO events SELECT what, 2 FROM events WHERE n = 2 LIMIT 2",
        "rows", "events", "2 missing, 2 doubled", None),
    "a row of a partition": (
        "DELETE FROM parts WHERE id = 9", "rows", "parts", "1 missing", '"9", "2023-04-01"'),
    "a generated column": (
        "ALTER TABLE items DROP COLUMN shout; ALTER TABLE items ADD shout text GENERATED ALWAYS AS (lower(name))"
        " STORED", "digest", "items", "generated columns differ", None),
    "an embedding lost": (
        "UPDATE items SET embedding = NULL WHERE id = 7", "presence", "items.embedding in c1",
        "128 embeddings in the source, 127 in the target", None),
    "a zero vector": (
        "UPDATE items SET embedding = '[0,0,0,0,0,0,0,0]' WHERE id = 7", "presence", "items.embedding in c1",
        "0 zero vectors in the source, 1 in the target", None),
    "an index of another operator class": (
        "DROP INDEX items_embedding; CREATE INDEX items_embedding ON items USING hnsw (embedding vector_l2_ops)",
        "schema", "items_embedding", "vector_cosine_ops.*vector_l2_ops", None),
    "an index with other options": (
        "DROP INDEX items_embedding; CREATE INDEX items_embedding ON items USING hnsw (embedding"
        " vector_cosine_ops) WITH (m = 4)", "schema", "items_embedding", "m='4'", None),
    "an invalid index": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'items_embedding'::regclass",
        "schema", "items_embedding", "is not valid", None),
    "a missing index": ("DROP INDEX items_name", "schema", "items_name", "missing in the target", None),
    "ef_search lowered": (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET hnsw.ef_search = 10', current_database()); END $$",
        "schema", "hnsw.ef_search", '"40" in the source, "10" in the target', None),
    "a sequence that nobody has used behind": (
        "ALTER SEQUENCE fresh RESTART", "schema", "fresh", "behind: 999 in the source, 0 in the target", None),
    "a sequence behind": (
        "SELECT setval('items_id_seq', 999)", "schema", "items_id_seq", "1000 in the source, 999 in the target",
        None),
    "another version of the extension": (
        "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'", "schema", "vector", "0.7.4", None),
    "a foreign key missing": (
        "ALTER TABLE orders DROP CONSTRAINT orders_item_fkey", "schema", "orders_item_fkey", "missing", None),
    "a foreign key not validated": (
        "ALTER TABLE orders DROP CONSTRAINT orders_item_fkey; ALTER TABLE orders ADD CONSTRAINT orders_item_fkey"
        " FOREIGN KEY (item) REFERENCES items NOT VALID", "schema", "orders_item_fkey", "not validated", None),
    "a trigger disabled": (
        "ALTER TABLE items DISABLE TRIGGER USER", "schema", "touched", "is disabled", None),
    "a function with another body": (
        "CREATE OR REPLACE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "schema", "touched", "another definition", None),
    "a column that allows NULL": (
        "ALTER TABLE orders ALTER item DROP NOT NULL", "schema", "orders.item", "NOT NULL in the source only", None),
    "a column of another type": (
        "ALTER TABLE orders ALTER item TYPE bigint", "schema", "orders", "integer in the source.*bigint", None),
    "a column missing": ("ALTER TABLE items DROP COLUMN note", "schema", "items", '"note" is missing', None),
    "a trigger that fires for replicas only": (
        "ALTER TABLE items ENABLE REPLICA TRIGGER touched", "schema", "touched on public.items",
        'enabled "yes" in the source, "replica" in the target', None),
    "a rule that swallows rows": (
        "CREATE RULE rx AS ON INSERT TO orders DO INSTEAD NOTHING", "schema", "rx on public.orders",
        "rule rx on public.orders is only in the target", None),
    "a rule lost": ("DROP RULE kept ON odd", "schema", "kept on public.odd", "is missing in the target", None),
    "another rule": (
        "CREATE OR REPLACE RULE kept AS ON DELETE TO odd DO ALSO NOTIFY others", "schema", "kept on public.odd",
        r"(?s)NOTIFY lost.* in the source, .*NOTIFY others", None),
    "a rule disabled": ("ALTER TABLE odd DISABLE RULE kept", "schema", "kept on public.odd", "is disabled", None),
    "a policy for other roles": (
        "DROP POLICY mine ON odd; CREATE POLICY mine ON odd TO ferry USING (id > 0)", "schema", "mine on public.odd",
        'roles "public" in the source, "ferry" in the target', None),
    "a policy without its check": (
        "DROP POLICY mine ON odd; CREATE POLICY mine ON odd USING (true)", "schema", "mine on public.odd",
        'using "\\(id > 0\\)" in the source, "true" in the target', None),
    "a domain that allows more": (
        "ALTER DOMAIN small DROP CONSTRAINT small_check", "schema", "public.small",
        'checks "CHECK .*" in the source, none in the target', None),
    "a field of a composite type": (
        "ALTER TYPE point3 DROP ATTRIBUTE z", "schema", "public.point3", "x integer, y integer, z integer", None),
    "a function that costs more": (
        "ALTER FUNCTION touched() COST 5000", "schema", "touched", "another definition", None),
    "an index of another collation": (
        "DROP INDEX items_name; CREATE INDEX items_name ON items (name COLLATE \"C\")", "schema", "items_name",
        'COLLATE "C"', None),
    "a column of another collation": (
        "ALTER TABLE odd ALTER a TYPE text COLLATE \"C\"", "schema", "public.odd.a", 'collation none .*"C"', None),
    "a table missing": ("DROP TABLE events", "schema", "events", "missing in the target", None),
}

# Differences that are exceptions: the rows are right, something else is not as in the source.
EXCEPTIONS = {
    "statistics lost": ("DROP STATISTICS both_of", "public.both_of", "statistics public.both_of is missing"),
    "another default": (
        "ALTER TABLE items ALTER feeling SET DEFAULT 'glad'", "items.feeling",
        "has the default 'sad'::public.mood in the source, 'glad'"),
    "a sequence with other steps": (
        "ALTER SEQUENCE items_id_seq INCREMENT 7", "public.items_id_seq",
        'increment "1" in the source, "7" in the target'),
    "a partition with other bounds": (
        "ALTER TABLE parts DETACH PARTITION parts_old; ALTER TABLE parts ATTACH PARTITION parts_old FOR VALUES FROM"
        " ('2021-01-01') TO ('2025-01-01')", "public.parts_old", "partition_bound .*2020-01-01.*2021-01-01"),
    "options of a table": (
        "ALTER TABLE odd SET (fillfactor = 50)", "public.odd", 'options none in the source, "fillfactor=50"'),
}

# What cannot be looked at is never green.
UNREADABLE = {
    "no right to read": ("REVOKE SELECT ON events FROM ferry", "digest", "events", "permission denied"),
    "row-level security": (
        "ALTER TABLE events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "digest", "events",
        "row-level security"),
}


def verify(source, target, *args, levels=NO_SEARCH):
    done = subprocess.run([TOOL, source, target, levels, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=psql_env(), timeout=120)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr.decode()


def findings(doc, group, obj, sentence, verdict):
    return [c for c in doc["checks"] if c["group"] == group and c["verdict"] == verdict
            and obj in c["object"] and re.search(sentence, c["sentence"])]


class Faults(Planted):
    schema = SCHEMA

    def test_a_good_copy_passes(self):
        """P-112: databases that nothing of neonferry moved; P-108: embeddings are counted."""
        status, doc = verify(self.source.uri(), self.plant(""))
        bad = [c for c in doc["checks"] if c["verdict"] not in ("pass", "info")]
        self.assertEqual(bad, [])
        self.assertEqual((status, doc["verdict"]), (PASS, "PASS"))
        self.assertEqual({t["verdict"] for t in doc["tables"]}, {"identical"})
        self.assertEqual(doc["fingerprint"]["source"], doc["fingerprint"]["target"])
        self.assertEqual(doc["coverage"]["rows"], doc["coverage"]["rows_content_checked"])
        self.assertEqual(doc["coverage"]["rows"], 401 + 100 + 200 + 50 + 2)
        embeddings = [g["target"] for g in doc["embeddings"] if g["table"] == "public.items"]
        self.assertEqual(sum(g["with"] for g in embeddings), 385)
        self.assertEqual({(g["min_dims"], g["max_dims"], g["zero"]) for g in embeddings}, {(8, 8, 0)})

    def test_every_planted_fault_is_found_and_named(self):
        """P-107: counts; P-108: rows, embeddings; P-104: extensions."""
        for name, (sql, group, obj, sentence, more) in FAULTS.items():
            with self.subTest(name):
                status, doc = verify(self.source.uri(), self.plant(sql))
                self.assertEqual((status, doc["verdict"]), (FAIL, "FAIL"))
                self.assertTrue(findings(doc, group, obj, sentence, "fail"),
                                [c for c in doc["checks"] if c["verdict"] != "pass"])
                if more:
                    self.assertRegex(json.dumps(doc, ensure_ascii=False), more)

    def test_other_definitions_are_exceptions(self):
        for name, (sql, obj, sentence) in EXCEPTIONS.items():
            with self.subTest(name):
                status, doc = verify(self.source.uri(), self.plant(sql), levels="level=1")
                self.assertEqual((status, doc["verdict"]), (PASS, "PASS WITH EXCEPTIONS"))
                bad = [c for c in doc["checks"] if c["verdict"] not in ("pass", "info")]
                self.assertEqual([c["object"] for c in bad if re.search(sentence, c["sentence"])],
                                 [c["object"] for c in bad])
                self.assertTrue(findings(doc, "schema", obj, sentence, "warning"), bad)

    def test_definitions_are_counted_by_kind(self):
        _, doc = verify(self.source.uri(), self.plant("DROP INDEX items_name; DROP POLICY mine ON odd"), levels="level=1")
        kinds = {k["kind"]: (k["source"], k["target"], k["different"]) for k in doc["objects"]}
        self.assertEqual(kinds["index"], (6, 5, 1))
        self.assertEqual(kinds["policy"], (1, 0, 1))
        self.assertEqual(kinds["trigger"], (1, 1, 0))
        self.assertEqual(kinds["row security"], (0, 0, 0))

    def test_an_extension_in_another_schema_is_no_difference(self):
        uri = self.plant("CREATE SCHEMA ext; GRANT USAGE ON SCHEMA ext TO PUBLIC; ALTER EXTENSION vector SET SCHEMA ext")
        status, doc = verify(self.source.uri(), uri, levels="level=1")
        self.assertEqual([c for c in doc["checks"] if c["verdict"] not in ("pass", "info")], [])
        self.assertEqual(status, PASS)

    def test_a_schema_that_is_closed_does_not_hide_the_sequences(self):
        uri = self.plant("CREATE SCHEMA closed; CREATE SEQUENCE closed.s; SELECT setval('items_id_seq', 3)")
        _, doc = verify(self.source.uri(), uri, levels="level=1")
        self.assertEqual(findings(doc, "schema", "", "", "unknown"), [])
        self.assertTrue(findings(doc, "schema", "items_id_seq", "behind", "fail"), doc["checks"])

    def test_definitions_that_cannot_be_read_are_inconclusive(self):
        uri = self.plant("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_get_triggerdef(oid) FROM PUBLIC")
        status, doc = verify(self.source.uri(), uri, levels="level=1")
        self.assertEqual((status, doc["verdict"]), (UNKNOWN, "INCONCLUSIVE"))
        self.assertTrue(findings(doc, "schema", "definitions", "of the target could not be read.*permission denied",
                                 "unknown"), doc["checks"])
        # What else there is to see is still looked at.
        self.assertIn("large objects", {k["kind"] for k in doc["objects"]})

    def test_the_state_of_a_target_alone_is_judged(self):
        uri = self.plant("ALTER TABLE items DISABLE TRIGGER USER; UPDATE pg_index SET indisvalid = false WHERE"
                         " indexrelid = 'items_embedding'::regclass; DROP INDEX items_name")
        _, doc = verify("-", uri, levels="level=1")
        bad = {c["object"]: c["sentence"] for c in doc["checks"] if c["verdict"] == "fail"}
        self.assertEqual(set(bad), {"touched on public.items", "public.items_embedding"}, bad)
        self.assertEqual({k["source"] for k in doc["objects"]}, {None})

    def test_other_settings_of_the_target_are_no_difference(self):
        # Text of values depends on these; what is compared does not.
        uri = self.plant("DO $$ DECLARE s text; BEGIN FOREACH s IN ARRAY ARRAY['TimeZone = ''Asia/Kolkata''',"
                         "'DateStyle = ''SQL, DMY''', 'IntervalStyle = ''iso_8601''', 'bytea_output = ''escape''',"
                         "'extra_float_digits = ''-5''', 'default_transaction_isolation = ''serializable'''] LOOP"
                         " EXECUTE format('ALTER DATABASE %I SET ', current_database()) || s; END LOOP; END $$")
        status, doc = verify(self.source.uri(), uri, levels="level=14")
        self.assertEqual((status, doc["verdict"]), (PASS, "PASS"), doc["checks"])

    def test_a_difference_of_one_generated_value_is_found_in_its_row(self):
        uri = self.plant("ALTER TABLE items DROP COLUMN shout; ALTER TABLE items ADD shout text GENERATED ALWAYS AS"
                         " (CASE WHEN id = 17 THEN 'x' ELSE upper(name) END) STORED")
        status, doc = verify(self.source.uri(), uri, levels="level=8")
        self.assertEqual(status, FAIL)
        found = findings(doc, "rows", "items", "1 changed .in generated columns", "fail")
        self.assertTrue(found, doc["checks"])
        self.assertRegex(json.dumps(doc), r'"key": \["17"\].*"column": "shout"')

    def test_it_does_not_stop_after_many_differences(self):
        rows = "CREATE TABLE many (id int PRIMARY KEY, t text); INSERT INTO many SELECT i, i FROM generate_series(1, 12000) i"
        self.source.psql(rows)
        try:
            with tempfile.NamedTemporaryFile() as f:
                uri = self.plant(rows + "; UPDATE many SET t = t || ' '; ALTER TABLE many OWNER TO " + FERRY)
                status, doc = verify(self.source.uri(), uri, "diff=" + f.name, "table=many", levels="level=8")
                with open(f.name) as differences:
                    lines = sum(1 for _ in differences)
        finally:
            self.source.psql("DROP TABLE many")
        self.assertEqual((status, lines), (FAIL, 12000))
        self.assertEqual(doc["tables"][0]["differences"]["changed"], 12000)

    def test_what_cannot_be_read_is_inconclusive(self):
        for name, (sql, group, obj, sentence) in UNREADABLE.items():
            with self.subTest(name):
                if name == "no right to read":
                    sql = "ALTER TABLE events OWNER TO postgres; " + sql
                status, doc = verify(self.source.uri(), self.plant(sql))
                self.assertEqual((status, doc["verdict"]), (UNKNOWN, "INCONCLUSIVE"),
                                 [c for c in doc["checks"] if c["verdict"] == "fail"])
                self.assertTrue(findings(doc, group, obj, sentence, "unknown"), doc["checks"])
                self.assertIn("public.events", doc["coverage"]["skipped"])

    def test_a_query_that_fails_half_way_is_inconclusive(self):
        # A damaged block: the scan dies in the middle of the table.
        uri = self.plant("CHECKPOINT")
        db = uri.split("/")[-1].split("?")[0]
        path = self.target.value("SELECT pg_relation_filepath('items')", db=db, user="postgres")
        self.target.stop("fast")
        with open(os.path.join(self.target.data, path), "r+b") as f:
            f.seek(2 * 8192)
            f.write(os.urandom(8192))
        self.target.start()
        status, doc = verify(self.source.uri(), uri)
        self.assertEqual(status, UNKNOWN, [c for c in doc["checks"] if c["verdict"] == "fail"])
        self.assertTrue(findings(doc, "digest", "items", "invalid page", "unknown"), doc["checks"])

    def test_differing_rows_are_all_in_the_file_and_some_in_the_report(self):
        uri = self.plant("UPDATE items SET qty = 0; DELETE FROM orders WHERE id > 10")
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/diff.ndjson"
            status, doc = verify(self.source.uri(), uri, "diff=" + path, "max_rows=5")
            with open(path) as f:
                lines = [json.loads(line) for line in f]
        self.assertEqual(status, FAIL)
        tables = {t["name"]: t["differences"] for t in doc["tables"] if "differences" in t}
        self.assertEqual(tables["public.items"]["changed"], 401)
        self.assertEqual(len(tables["public.items"]["rows"]), 5)
        self.assertEqual(sum(line["class"] == "changed" for line in lines), 401)
        self.assertEqual(sum(line["class"] == "missing" for line in lines), 40)

    def test_values_are_hidden_unless_asked_for(self):
        uri = self.plant("UPDATE items SET note = 'a secret of mine' WHERE id = 17")
        _, doc = verify(self.source.uri(), uri)
        self.assertNotIn("a secret of mine", json.dumps(doc))
        _, doc = verify(self.source.uri(), uri, "values=1")
        self.assertIn("a secret of mine", json.dumps(doc))

    def test_only_the_collections_asked_for_are_compared(self):
        uri = self.plant("UPDATE items SET qty = 0 WHERE collection_name = 'c1'")
        self.assertEqual(verify(self.source.uri(), uri, "collection=c2")[0], PASS)
        self.assertEqual(verify(self.source.uri(), uri, "collection=c1")[0], FAIL)

    def test_only_the_tables_asked_for_are_compared(self):
        uri = self.plant("DELETE FROM events; DROP INDEX items_name")
        self.assertEqual(verify(self.source.uri(), uri, "table=orders")[0], PASS)
        self.assertEqual(verify(self.source.uri(), uri, "table=public.events")[0], FAIL)

    def test_a_waived_difference_is_an_exception_until_it_expires(self):
        uri = self.plant("DROP INDEX items_name")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            waiver = {"group": "schema", "object": "*items_name", "reason": "not needed", "by": "me"}
            for expires, expected in (("2999-01-01", PASS), ("2020-01-01", FAIL)):
                f.seek(0)
                json.dump([dict(waiver, expires=expires)], f)
                f.flush()
                status, doc = verify(self.source.uri(), uri, "waivers=" + f.name)
                self.assertEqual(status, expected)
                if expected == PASS:
                    self.assertEqual(doc["verdict"], "PASS WITH EXCEPTIONS")

    def test_a_vector_stored_as_halfvec_is_compared_exactly(self):
        """P-010: the comparison, whoever converted."""
        sql = ("DROP INDEX items_embedding; ALTER TABLE items ALTER embedding TYPE halfvec(8);"
               "CREATE INDEX items_embedding ON items USING hnsw (embedding halfvec_cosine_ops)")
        status, doc = verify(self.source.uri(), self.plant(sql))
        self.assertEqual(status, PASS, [c for c in doc["checks"] if c["verdict"] not in ("pass", "info")])
        row = [t for t in doc["tables"] if t["name"] == "public.items"][0]
        self.assertIn("vector(8) to", row["conversion"])
        status, doc = verify(self.source.uri(), self.plant(
            sql + "; UPDATE items SET embedding = '[0,1,2,3,4,5,6,7.01]' WHERE id = 1000"))
        self.assertEqual(status, FAIL)
        self.assertTrue(findings(doc, "rows", "items", "1 changed", "fail"), doc["checks"])

    def test_a_target_that_does_not_answer_is_no_pass(self):
        status, text = verify(self.source.uri(), self.target.uri(db="nothing_here"))
        self.assertEqual(status, 3)
        self.assertIn("nothing_here", text)


if __name__ == "__main__":
    unittest.main()
