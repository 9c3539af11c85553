#!/usr/bin/env python3
"""Speed against peers and limits, as ratios within one run.

    benchmarks/bench.py SCENARIO... [--binary build/neonferry] [--rows N] [--runs 5] [--json FILE]

Scenarios: copy run memory collections real many-tables hnsw existing several (see docs/benchmarks.md). hnsw
builds over half of --rows. several compares with another neonferry, --against. Each starts its own two
servers on loopback, the target over TLS and as a role without superuser, the same for everybody.
Two warm-ups are thrown away, contestants take turns, medians are compared: machines are noisy, so
only ratios of one run mean anything.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import bench_verify  # noqa: E402
from cluster import make_source, make_target, psql_env  # noqa: E402

SERVER = {"shared_buffers": "512MB", "max_wal_size": "8GB", "full_page_writes": "on", "fsync": "off",
          "checkpoint_timeout": "30min", "max_connections": "100"}

FILL = """
CREATE TABLE documents (id uuid, collection_name text, user_id text, content text, metadata jsonb,
    embedding vector(1536), created_at timestamptz, updated_at timestamptz);
ALTER TABLE documents ALTER embedding SET STORAGE external;
SELECT setseed(0.5);
CREATE TEMP TABLE pool AS SELECT i, (SELECT array_agg((random() - 0.5)::real) FROM
    generate_series(1, 1536) g WHERE i = i)::vector(1536) AS v FROM generate_series(1, 2000) i;
ALTER TABLE pool ADD PRIMARY KEY (i);
INSERT INTO documents SELECT md5(n::text)::uuid,
    (ARRAY['applications','companies','questions','resumes','notes','mails'])[1 + n % 6],
    'user_' || n % 500, repeat(md5(n::text) || ' ', 10),
    jsonb_build_object('n', n, 'kind', md5((n % 100)::text)), p.v,
    timestamptz '2026-01-01' + n * interval '1 second', now()
    FROM generate_series(1, {rows}) n JOIN pool p ON p.i = 1 + n % 2000 ORDER BY n;
VACUUM (ANALYZE) documents;
"""


class Lab:
    """Source and target, and the ways to move a table between them."""

    def __init__(self, args):
        self.args = args
        self.source = make_source(conf=SERVER)
        self.target = make_target(conf=SERVER)
        self.dir = tempfile.mkdtemp(prefix="neonferry-bench-")
        self.runs = 0

    def __enter__(self):
        self.source.__enter__()
        self.target.__enter__()
        return self

    def __exit__(self, *unused):
        self.source.__exit__(None, None, None)
        self.target.__exit__(None, None, None)
        shutil.rmtree(self.dir, ignore_errors=True)

    def empty_target(self):
        self.target.psql("DROP SCHEMA IF EXISTS neonferry CASCADE; TRUNCATE documents")
        self.target.psql("CHECKPOINT", user="postgres")

    def neonferry(self, command, *options, binary=None):
        """Runs it; returns (seconds, peak KiB, output)."""
        self.runs += 1
        argv = [binary or self.args.binary, command, "--source", self.source.uri(), "--target", self.target.uri(),
                "--run-dir", f"{self.dir}/run{self.runs}", "--quiet", "--yes", *options]
        return timed(argv)

    def events(self, name):
        """Those of the last run."""
        with open(f"{self.dir}/run{self.runs}/events.jsonl", encoding="utf-8") as f:
            return [e for e in map(json.loads, f) if e["name"] == name]

    def cpu(self):
        """CPU seconds so far of both servers, sessions that ended included, and of our own children."""
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        ticks = 0
        for server in (self.source, self.target):
            with open(f"/proc/{server.pid()}/stat", encoding="utf-8") as f:
                ticks += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:15]))
        return own.ru_utime + own.ru_stime + ticks / os.sysconf("SC_CLK_TCK")

    def psql_pipes(self, halves, fmt):
        """One `psql COPY | psql COPY` for each half, by ctid."""
        pages = int(self.source.value("SELECT pg_relation_size('documents') / 8192"))
        cut = [i * pages // halves for i in range(halves)] + [pages]
        script = []
        for a, b in zip(cut, cut[1:]):
            script.append(
                f"psql -XAtq \"$S\" -c \"COPY (SELECT * FROM documents WHERE ctid >= '({a},0)' AND ctid < "
                f"'({b},0)') TO STDOUT ({fmt})\" | psql -XAtq \"$T\" -c \"COPY documents FROM STDIN ({fmt})\" &")
        env = dict(psql_env(), S=self.source.uri(), T=self.target.uri())
        return timed(["bash", "-c", "\n".join(script) + "\nwait"], env)


    def pgcopydb(self, command, options):
        """Two table jobs, a table of two or more parts."""
        work = f"{self.dir}/pgcopydb"
        return timed(["bash", "-c", f"rm -rf {work}; {self.args.pgcopydb} {command} --dir {work} --source \"$S\" "
                      f"--target \"$T\" --table-jobs 2 --split-tables-larger-than 100MB {options}"],
                     dict(psql_env(), S=self.source.uri(), T=self.target.uri()))


def timed(argv, env=None):
    """(seconds, peak KiB of the largest process, output); a failure ends the benchmark."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=env)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start
        out.seek(0)
        text = out.read().decode(errors="replace")
    if child.returncode != 0:
        sys.exit(f"{argv[0]} {argv[1]} ended with {child.returncode}:\n{text}")
    return seconds, usage.ru_maxrss, text


def contest(contestants, before, runs, warmups=2, lab=None, cpu=None):
    """Takes turns; returns {name: [seconds...]} and {name: peak KiB}; with a lab fills cpu likewise."""
    seconds, peak = {n: [] for n in contestants}, {n: 0 for n in contestants}
    for turn in range(runs + warmups):
        for name, run in contestants.items():
            before()
            began = lab.cpu() if lab else 0
            took, rss, _ = run()
            if lab and turn >= warmups:
                time.sleep(0.5)  # the servers' sessions end a little later
                cpu.setdefault(name, []).append(lab.cpu() - began)
            if turn >= warmups:
                seconds[name].append(took)
                peak[name] = max(peak[name], rss)
            print(f"  {'warm-up' if turn < warmups else 'run %d' % (turn - warmups + 1)}: "
                  f"{name} {took:.2f} s, {rss // 1024} MB", flush=True)
    return seconds, peak


def report(title, seconds, peak, base):
    print(f"\n{title} (median, spread, ratio to {base}, peak memory)")
    medians = {n: statistics.median(s) for n, s in seconds.items()}
    for name, s in seconds.items():
        print(f"  {name:38} {medians[name]:7.2f} s  {min(s):.2f}-{max(s):.2f}  "
              f"{medians[name] / medians[base]:5.2f}  {peak[name] // 1024:5} MB")
    return {"title": title, "base": base, "median_s": medians, "all_s": seconds,
            "peak_mib": {n: p // 1024 for n, p in peak.items()}}


def bench_copy(args):
    with Lab(args) as lab:
        lab.source.psql(FILL.format(rows=args.rows))
        lab.target.psql("CREATE TABLE documents (id uuid, collection_name text, user_id text, content text, "
                        "metadata jsonb, embedding vector(1536), created_at timestamptz, updated_at timestamptz)")
        common = ("--collection-column", "documents=collection_name", "--table", "documents")
        contestants = {
            "psql binary, two ctid halves": lambda: lab.psql_pipes(2, "FORMAT binary"),
            "neonferry copy --spill none": lambda: lab.neonferry("copy", "--spill", "none", *common),
            "neonferry copy --spill always": lambda: lab.neonferry("copy", "--spill", "always", *common),
            "psql text, two ctid halves": lambda: lab.psql_pipes(2, "FORMAT text"),
        }
        if args.pgcopydb and "--use-copy-binary" in timed([args.pgcopydb, "clone", "--help"])[2]:
            contestants["pgcopydb --use-copy-binary, 2 jobs"] = lambda: lab.pgcopydb(
                "copy table-data", "--use-copy-binary --skip-vacuum")
        cpu = {}
        seconds, peak = contest(contestants, lab.empty_target, args.runs, lab=lab, cpu=cpu)
        result = report(f"copy of {args.rows} rows", seconds, peak, "psql binary, two ctid halves")
        # On a shared machine the steadier number: two cores are busy all the time.
        print("\nCPU seconds of source, target and client together (median)")
        for name, values in cpu.items():
            print(f"  {name:38} {statistics.median(values):7.2f} s  {min(values):.2f}-{max(values):.2f}")
        return result | {"cpu_s": cpu}


def bench_run(args):
    """Everything included: schema, data, indexes, constraints, proof; against the packaged peers."""
    with Lab(args) as lab:
        lab.source.psql(FILL.format(rows=args.rows))
        lab.source.psql("ALTER TABLE documents ADD PRIMARY KEY (id); CREATE INDEX ON documents "
                        "(collection_name); CREATE INDEX ON documents USING gin (metadata)")

        def empty():
            lab.target.psql("DROP SCHEMA IF EXISTS neonferry CASCADE; DROP TABLE IF EXISTS documents")
            lab.target.psql("CHECKPOINT", user="postgres")

        env = dict(psql_env(), S=lab.source.uri(), T=lab.target.uri())
        contestants = {
            "neonferry run": lambda: lab.neonferry("run", "--collection-column", "documents=collection_name"),
            "pg_dump -Fc -Z0 | pg_restore": lambda: timed(
                ["bash", "-c", "set -o pipefail; pg_dump -Fc -Z0 --no-owner --no-acl -t documents \"$S\" | "
                 "pg_restore --no-owner --no-acl -d \"$T\""], env),
        }
        if args.pgcopydb:
            contestants["pgcopydb clone, 2 jobs"] = lambda: lab.pgcopydb(
                "clone", "--no-owner --no-acl --no-comments --index-jobs 2 --skip-extensions")
        seconds, peak = contest(contestants, empty, args.runs, warmups=1)
        return report(f"run of {args.rows} rows, everything included", seconds, peak, "neonferry run")


def bench_memory(args):
    with Lab(args) as lab:
        lab.source.psql(FILL.format(rows=args.rows))
        lab.source.psql("ALTER TABLE documents ADD bin text; UPDATE documents SET bin = 'c' || (get_byte("
                        "uuid_send(id), 0) % 27); VACUUM FULL documents")
        lab.target.psql("CREATE TABLE documents (id uuid, collection_name text, user_id text, content text, "
                        "metadata jsonb, embedding vector(1536), created_at timestamptz, updated_at timestamptz, "
                        "bin text)")
        def copy(column, *options):
            return lambda: lab.neonferry("copy", "--collection-column", f"documents={column}", *options)
        contestants = {
            "default memory": copy("collection_name"),
            "--memory 64M": copy("collection_name", "--memory", "64M"),
            "--memory 64M, 27 collections": copy("bin", "--memory", "64M"),
            "--memory 64M --spill none, 27 collections": copy("bin", "--memory", "64M", "--spill", "none"),
        }
        seconds, peak = contest(contestants, lab.empty_target, args.runs, warmups=1)
        return report(f"memory, {args.rows} rows", seconds, peak, "default memory")


def bench_collections(args):
    """Interleaved collections against the same table undivided; many tiny collections."""
    with Lab(args) as lab:
        lab.source.psql("""CREATE TABLE documents (id int, collection_name text, embedding vector(100), tiny text);
            SELECT setseed(0.5);
            INSERT INTO documents SELECT n, 'c' || n %% 27, (SELECT array_agg(random()::real) FROM
            generate_series(1, 100) g WHERE n = n)::vector(100), 't' || n %% 5000 FROM
            generate_series(1, %d) n; VACUUM (ANALYZE) documents""" % (args.rows * 3))
        lab.target.psql("CREATE TABLE documents (id int, collection_name text, embedding vector(100), tiny text)")
        def copy(*options):
            return lambda: lab.neonferry("copy", "--spill", "none", *options)
        contestants = {
            "undivided": copy(),
            "27 collections": copy("--collection-column", "documents=collection_name"),
            "5,000 collections": copy("--collection-column", "documents=tiny"),
        }
        seconds, peak = contest(contestants, lab.empty_target, args.runs)
        return report(f"collections, {args.rows * 3} rows of vector(100)", seconds, peak, "undivided")


def bench_real(args):
    """The real word vectors, a collection for each first letter, against the same table undivided."""
    with Lab(args) as lab:
        bench_verify.load(lab.source, bench_verify.PACKAGE, 10 ** 6)
        lab.source.psql("ALTER TABLE vector_documents RENAME TO documents")
        lab.source.psql("VACUUM (ANALYZE) documents")
        lab.target.psql(bench_verify.TABLE)
        lab.target.psql("ALTER TABLE vector_documents RENAME TO documents; "
                        "ALTER TABLE documents DROP CONSTRAINT vector_documents_pkey")
        rows, letters = lab.source.psql("SELECT count(*), count(DISTINCT collection_name) FROM documents")[0]

        def copy(*options):
            return lambda: lab.neonferry("copy", "--spill", "none", *options)
        contestants = {"undivided": copy(),
                       f"{letters} collections": copy("--collection-column", "documents=collection_name")}
        seconds, peak = contest(contestants, lab.empty_target, args.runs)
        return report(f"{rows} real vectors of 100 dimensions", seconds, peak, "undivided")


def bench_many_tables(args):
    with Lab(args) as lab:
        lab.source.psql("DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, "
                        "v text)', i); IF i % 10 = 0 THEN EXECUTE format('INSERT INTO t%s VALUES (1, ''x'')', i); "
                        "END IF; IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$")
        plan, _, _ = timed([args.binary, "plan", "--source", lab.source.uri(), "--quiet"])
        print(f"plan of 5,000 tables: {plan:.2f} s", flush=True)
        run, rss, _ = lab.neonferry("run")
        print(f"run of 5,000 tables: {run:.2f} s, {rss // 1024} MB", flush=True)
        lab.target.psql("DROP SCHEMA neonferry CASCADE")
        compare, _, _ = timed([args.binary, "schema", "compare", "--source", lab.source.uri(), "--target",
                               lab.target.uri(), "--quiet"])
        print(f"schema compare of 5,000 tables (two catalog models): {compare:.2f} s")
        return {"title": "5,000 tables", "plan_s": plan, "run_s": run, "compare_s": compare, "peak_mib": rss // 1024}


VECTORS = """
CREATE TABLE items (id int8 PRIMARY KEY, embedding vector(1536));
SELECT setseed(0.5);
CREATE TEMP TABLE centres AS SELECT i, (SELECT array_agg((random() - 0.5)::real) FROM
    generate_series(1, 1536) g WHERE i = i) AS v FROM generate_series(1, 200) i;
INSERT INTO items SELECT n, (SELECT array_agg((c.v[g] + (random() - 0.5) * 0.6)::real ORDER BY g) FROM
    generate_series(1, 1536) g)::vector(1536) FROM generate_series(1, {rows}) n JOIN centres c ON c.i = 1 + n % 200;
VACUUM (ANALYZE) items;
"""
HNSW = "CREATE INDEX items_hnsw ON items USING hnsw (embedding vector_cosine_ops) WITH (m=16, ef_construction=64)"


def bench_hnsw(args):
    """The index phase of a run against the plain statement: with the same memory, and with defaults."""
    with Lab(args) as lab:
        lab.source.psql(VECTORS.format(rows=args.rows // 2))
        lab.source.psql("SET maintenance_work_mem = '1GB'; SET min_parallel_table_scan_size = 0; " + HNSW, timeout=3600)
        memory = []

        def empty():
            lab.target.psql("DROP SCHEMA IF EXISTS neonferry CASCADE; DROP TABLE IF EXISTS items")
            lab.target.psql("CHECKPOINT", user="postgres")

        recalls, exact = {}, []

        def note_recall(name):
            if not exact:
                exact.append(nearest(lab.target, "SET enable_indexscan = off"))
            found = nearest(lab.target, "SET enable_seqscan = off; SET hnsw.ef_search = 40")
            hits = sum(len(set(a) & set(b)) for a, b in zip(found, exact[0]))
            recalls.setdefault(name, []).append(hits / sum(map(len, exact[0])))

        def run():
            _, rss, _ = lab.neonferry("run")
            memory.append(next(re.search(r"(\d+) MB", e["text"]).group(1) + "MB" for e in lab.events("index.build")))
            took = next(e["facts"]["ms"] for e in lab.events("index.built") if e["facts"]["name"] == "items_hnsw")
            note_recall("index phase of neonferry run")
            return took / 1000, rss, ""

        def statement(name, settings):
            def build():
                lab.target.psql("DROP INDEX IF EXISTS items_hnsw")
                start = time.monotonic()
                lab.target.psql(settings() + HNSW, timeout=3600)
                took = time.monotonic() - start
                note_recall(name)
                return took, 0, ""
            return build

        same, defaults = "CREATE INDEX, the same memory", "CREATE INDEX, server defaults"
        contestants = {
            "index phase of neonferry run": run,
            same: statement(same, lambda: f"SET maintenance_work_mem = '{memory[-1]}'; "),
            defaults: statement(defaults, lambda: ""),
        }
        turn = iter(range(10 ** 6))
        seconds, peak = contest(contestants, lambda: empty() if next(turn) % 3 == 0 else None,
                                args.runs, warmups=0)
        result = report(f"HNSW over {args.rows // 2} rows of vector(1536)", seconds, peak,
                        "index phase of neonferry run")
        result["recall"] = {n: statistics.mean(r) for n, r in recalls.items()}
        for name, recall in result["recall"].items():
            print(f"  {name:38} recall of 10 nearest, ef_search 40: {recall:.4f}")
        return result


def nearest(server, settings):
    """The 10 nearest of each of 60 rows of items."""
    rows = server.psql(settings + "; SELECT array(SELECT i.id FROM items i ORDER BY i.embedding <=> q.embedding "
                       "LIMIT 10) FROM items q WHERE q.id % (SELECT greatest(count(*) / 60, 1) FROM items) = 0 "
                       "ORDER BY q.id LIMIT 60", timeout=3600)
    return [row[0].strip("{}").split(",") for row in rows]


EXISTING = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
ALTER TABLE documents ADD PRIMARY KEY (id);
CREATE INDEX documents_hnsw ON documents USING hnsw (embedding vector_cosine_ops) WITH (m=16, ef_construction=64);
CREATE INDEX documents_collection ON documents (collection_name);
CREATE INDEX documents_metadata ON documents USING gin (metadata);
CREATE INDEX documents_content ON documents USING gin (content gin_trgm_ops);
CREATE UNIQUE INDEX documents_once ON documents (user_id, id);
CREATE TABLE owners (id text PRIMARY KEY);
INSERT INTO owners SELECT DISTINCT user_id FROM documents;
ALTER TABLE documents ADD FOREIGN KEY (user_id) REFERENCES owners;
COMMENT ON INDEX documents_collection IS 'kept';
"""


def schema_of(server):
    """As pg_dump orders it, without comments and what differs from call to call."""
    text = subprocess.run(["pg_dump", "--schema-only", "--no-owner", "--no-acl", "-N", "neonferry", server.uri()],
                          check=True, capture_output=True, text=True, env=psql_env()).stdout
    return re.sub(r"^(\\(un)?restrict .*|--.*|\s*|.* EXTENSION .*)\n", "", text, flags=re.M)


def bench_existing(args):
    """A target that has tables and indexes already against an empty one: as fast, and the same in the end."""
    with Lab(args) as lab:
        lab.source.psql(FILL.format(rows=args.rows))
        lab.source.psql("SET maintenance_work_mem = '1GB'; SET min_parallel_table_scan_size = 0; " + EXISTING,
                        timeout=3600)
        lab.target.psql("CREATE EXTENSION IF NOT EXISTS pg_trgm", user="postgres")
        schema = schema_of(lab.source)
        wipe = "DROP SCHEMA IF EXISTS neonferry CASCADE; DROP TABLE IF EXISTS documents, owners CASCADE"

        def into(existing):
            def run():
                lab.target.psql(wipe)
                if existing:
                    lab.target.psql(schema)
                lab.target.psql("CHECKPOINT", user="postgres")
                took = lab.neonferry("run")
                if schema_of(lab.target) != schema:
                    sys.exit("the target's catalog is not the source's")
                return took
            return run

        contestants = {"into an empty target": into(False), "into existing tables and indexes": into(True)}
        seconds, peak = contest(contestants, lambda: None, args.runs, warmups=1)
        return report(f"run of {args.rows} rows", seconds, peak, "into an empty target")


def bench_several(args):
    """Tables of different size, each with an HNSW index: the time until all is done."""
    with Lab(args) as lab:
        lab.source.psql(FILL.format(rows=args.rows))
        for n, part in enumerate((8, 16, 16, 32)):
            lab.source.psql(f"CREATE TABLE part{n} AS SELECT id, collection_name, metadata, embedding FROM documents "
                            f"LIMIT {args.rows // part}; ALTER TABLE part{n} ADD PRIMARY KEY (id); "
                            f"CREATE INDEX ON part{n} USING hnsw (embedding vector_l2_ops); "
                            f"CREATE INDEX ON part{n} USING gin (metadata)", timeout=3600)
        lab.source.psql("ALTER TABLE documents ADD PRIMARY KEY (id); VACUUM ANALYZE", timeout=3600)
        tables = "documents, part0, part1, part2, part3"

        def empty():
            lab.target.psql(f"DROP SCHEMA IF EXISTS neonferry CASCADE; DROP TABLE IF EXISTS {tables}")
            lab.target.psql("CHECKPOINT", user="postgres")

        contestants = {"neonferry run": lambda: lab.neonferry("run")}
        if args.against:
            contestants["neonferry run (--against)"] = lambda: lab.neonferry("run", binary=args.against)
        seconds, peak = contest(contestants, empty, args.runs, warmups=1)
        return report(f"several tables, {args.rows} rows in the largest", seconds, peak, "neonferry run")


SCENARIOS = {"copy": bench_copy, "run": bench_run, "memory": bench_memory, "collections": bench_collections,
             "many-tables": bench_many_tables, "hnsw": bench_hnsw, "existing": bench_existing,
             "several": bench_several, "real": bench_real}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("scenario", nargs="+", choices=sorted(SCENARIOS))
    p.add_argument("--binary", default=os.path.join(ROOT, "build", "neonferry"))
    p.add_argument("--against", help="another neonferry, for the scenario several")
    p.add_argument("--pgcopydb", default=shutil.which("pgcopydb"), help="the peer, default: the packaged one")
    p.add_argument("--rows", type=int, default=100000)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--json")
    args = p.parse_args()
    results = [SCENARIOS[name](args) for name in args.scenario]
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
