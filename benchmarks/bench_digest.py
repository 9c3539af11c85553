#!/usr/bin/env python3
"""What a digest of 1536-dimensional rows costs the server that computes it, in microseconds a row.

    benchmarks/bench_digest.py [--rows 30000] [--runs 5] [--json FILE]

One server on loopback, one worker, everything cached. Contestants take turns, two warm-ups are thrown
away, medians are compared. "hashtext" is the query that pgcopydb documents for comparing data:
count(*), sum(hashtext(row::text)::bigint).
"""

import argparse
import json
import os
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from cluster import make_source  # noqa: E402

FILL = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE documents (id bigint PRIMARY KEY, collection_name text, content text, metadata jsonb,
    embedding vector(1536), created_at timestamptz);
CREATE TEMP TABLE pool AS SELECT i, (SELECT array_agg(sin(i * g * 0.37)) FROM generate_series(1, 1536) g)
    ::vector(1536) AS v FROM generate_series(1, 500) i;
INSERT INTO documents SELECT n, 'c' || n %% 6, md5(n::text), jsonb_build_object('n', n), v,
    timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, %d) n JOIN pool ON i = 1 + n %% 500;
VACUUM (ANALYZE) documents;
"""

ROW = """sha256(record_send(ROW(nf_src.collection_name, nf_src.content, nf_src.created_at,
    public.vector_send(nf_src.embedding), nf_src.id, nf_src.metadata)))"""
WORD = "(('x' || encode(substr(s, %d, 8), 'hex'))::bit(64)::int8)"
SUMS = "count(*), sum(%s), sum(%s)" % (WORD % 1, WORD % 9)
BUCKET = "(('x' || encode(substr(sha256(record_send(ROW(nf_src.id))), 1, 4), 'hex'))::bit(32)::int4 & 1023)"

QUERIES = {
    "table": "SELECT %s FROM (SELECT %s AS s FROM ONLY documents AS nf_src OFFSET 0) q" % (SUMS, ROW),
    "collections": "SELECT g, %s FROM (SELECT %s AS s, nf_src.collection_name::text COLLATE \"C\" AS g"
                   " FROM ONLY documents AS nf_src OFFSET 0) q GROUP BY 1" % (SUMS, ROW),
    "buckets": "SELECT g, %s FROM (SELECT %s AS s, %s AS g FROM ONLY documents AS nf_src OFFSET 0) q"
               " GROUP BY 1" % (SUMS, ROW, BUCKET),
    "hashtext": "SELECT count(*), sum(hashtext(d::text)::bigint) FROM documents d",
}
LIMITS = {"table": 15, "collections": 20, "buckets": 20}


def cost(server, sql, rows):
    """The server's own time: EXPLAIN ANALYZE without the cost of timing every node."""
    plan = server.psql("SET max_parallel_workers_per_gather = 0; SET jit = off; SET TimeZone = 'UTC';"
                       "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + sql)
    return json.loads(plan[0][0])[0]["Execution Time"] * 1000 / rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=30000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json")
    args = parser.parse_args()
    times = {name: [] for name in QUERIES}
    with make_source(conf={"shared_buffers": "512MB"}) as server:
        server.psql(FILL % args.rows)
        for run in range(args.runs + 2):
            for name, sql in QUERIES.items():
                took = cost(server, sql, args.rows)
                if run >= 2:
                    times[name].append(took)
    medians = {name: statistics.median(t) for name, t in times.items()}
    for name, median in medians.items():
        limit = LIMITS.get(name)
        print("%-12s %6.1f us/row  %5.2f of hashtext%s" % (
            name, median, median / medians["hashtext"], "  (limit %d)" % limit if limit else ""))
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"rows": args.rows, "runs": args.runs, "us_per_row": medians}, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
