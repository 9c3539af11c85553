#!/usr/bin/env python3
"""The matrix of faults: neonferry moves a database to the stand-in for Neon again and again, and something
breaks each time. Prints one row for each kind of fault: how often, rows lost, rows doubled, what a person
had to do, the longest recovery. scripts/fault_matrix.sh starts it; --help tells the counts.

The judge is not neonferry: psql sorts the rows of both ends, the source as the run's snapshot shows it,
imported in a session of its own (tests/support/ferry.py).
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import SqlError, bindir, psql_env, wait_until  # noqa: E402
from neonlab import NeonLab  # noqa: E402
from proxy import Proxy  # noqa: E402

# kind: (short, full, most faults in one run)
COUNTS = {"kills": (16, 200, 6), "restarts": (4, 50, 4), "commits": (6, 50, 6), "stalls": (1, 20, 1),
          "source": (4, 20, 2), "disk": (1, 20, 1), "damage": (4, 20, 4)}
TITLES = {
    "kills": "kill -9 of the copier (half with writers on the source)",
    "restarts": "target crashes and restarts at once",
    "commits": "line cut right after COMMIT was forwarded",
    "stalls": "target silent for {stall} s, window closed",
    "source": "sessions of the source ended while it is read",
    "disk": "spill disk full",
    "damage": "spill file damaged",
}
SMALL = ("--chunk-size", "128K", "--memory", "32M")
RATE = 12e6  # bytes a second to the target, so that a load lasts

WRITES = """
UPDATE vector_documents SET collection_name = 'moved {n}', content = 'x'
WHERE id IN (SELECT id FROM vector_documents ORDER BY md5(id::text || {n}) LIMIT 5);
DELETE FROM vector_documents WHERE id IN (SELECT id FROM vector_documents ORDER BY md5({n} || id::text) LIMIT 3);
INSERT INTO vector_documents (collection_name, content)
SELECT (ARRAY[NULL, 'written'])[1 + k % 2], 'w' FROM generate_series(1, 6) k;
"""


class Row:
    """What one kind of fault did."""

    def __init__(self, kind):
        self.kind, self.times, self.runs = kind, 0, 0
        self.lost = self.doubled = self.differing = self.actions = self.failed = 0
        self.longest = 0.0
        self.words = []

    def judge(self, pair, ferry):
        self.runs += 1
        if ferry.status != 0:
            self.failed += 1
            self.words.append("exit %r: %s" % (ferry.status, ferry.text[-1500:]))
            return
        for table, (expected, found) in pair.judge.verdict().items():
            there, here = int(expected[0]) if expected else 0, int(found[0]) if found else 0
            self.lost += max(0, there - here)
            self.doubled += max(0, here - there)
            self.differing += 1
            self.words.append("%s: expected %r, found %r" % (table, expected, found))
        for leak in pair.leaks():
            self.failed += 1
            self.words.append("left behind: " + leak)

    @property
    def good(self):
        return not (self.lost or self.doubled or self.differing or self.failed) and self.times > 0


class Writer(threading.Thread):
    """An application that knows nothing of the migration."""

    def __init__(self, pair):
        super().__init__(daemon=True)
        self.pair, self.ended = pair, threading.Event()

    def run(self):
        n = 0
        while not self.ended.wait(0.1):
            n += 1
            try:
                self.pair.sql(WRITES.format(n=n))
            except SqlError:
                pass  # the source is restarted or its sessions are ended: applications meet that too

    def stop(self):
        self.ended.set()
        self.join()


class Matrix:
    def __init__(self, args):
        self.args = args
        self.dice = random.Random(args.seed)
        self.lab = NeonLab(args.documents)
        self.rows = []

    def close(self):
        self.lab.close()

    def measure(self, kind, times):
        """Runs until so many faults have struck. A run whose process was quicker counts what struck."""
        row, idle = Row(kind), 0
        self.rows.append(row)
        while row.times < times and idle < 5:
            before = row.times
            with self.lab.pair() as pair:
                most = min(COUNTS[kind][2], times - row.times)
                row.judge(pair, getattr(self, "do_" + kind)(pair, row, most))
            idle = idle + 1 if row.times == before else 0
            print("  %s: %d of %d" % (kind, row.times, times), file=sys.stderr, flush=True)
        if row.times < times:
            row.failed += 1
            row.words.append("only %d of %d faults struck" % (row.times, times))

    # ---- how long until rows move again ----------------------------------------------------------

    def recovery(self, pair, ferry, row, since):
        """Waits until the target takes a statement again (or the run is over); keeps the longest time."""
        def work():
            return pair.ep.messages["c"] + pair.ep.messages["Q"]
        before = work()
        ferry.until(lambda: work() > before, 120, "rows to move again")
        row.longest = max(row.longest, time.monotonic() - since)

    def end(self, ferry):
        ferry.wait(300)
        return ferry

    # ---- the faults ------------------------------------------------------------------------------

    def aim(self, pair, ferry, phase):
        """True when the process is somewhere in that phase, and still at work."""
        if phase == "capture":
            n = pair.spilled() + self.dice.randint(1, 20)
            return ferry.until(lambda: pair.spilled() >= n, 120, "capture")
        if phase == "load":
            n = pair.ep.messages["c"] + self.dice.randint(1, 20)
            return ferry.until(lambda: pair.ep.messages["c"] >= n, 120, "load")
        if not ferry.reach("index", 120):
            return False
        time.sleep(self.dice.uniform(0, 1.0))
        return ferry.status is None

    def do_kills(self, pair, row, most):
        writer = Writer(pair) if row.runs % 2 == 0 else None
        phases = sorted((self.dice.choice(["capture", "load", "load", "index"]) for _ in range(most)),
                        key=["capture", "load", "index"].index)
        if writer:
            writer.start()
        pair.ep.rate = RATE
        ferry = pair.start("run", *SMALL)
        for i, phase in enumerate(phases):
            if not self.aim(pair, ferry, phase) or not ferry.kill():
                break
            since = time.monotonic()
            row.times += 1
            row.actions += 1
            if writer and i % 3 == 2:
                pair.end_holder()  # as a reboot: the snapshot is gone too
                pair.judge.settle()
            ferry = pair.start("resume", *SMALL)
            self.recovery(pair, ferry, row, since)
        self.end(ferry)
        if writer:
            writer.stop()
        return ferry

    def strike(self, pair, row, moments):
        """A run in which moments come by themselves; counts those that did."""
        pair.ep.rate = RATE
        ferry = pair.start("run", *SMALL)
        for moment in moments:
            if not ferry.until(lambda m=moment: m.fired, 120, "the moment"):
                break
            self.recovery(pair, ferry, row, time.monotonic())
        self.end(ferry)
        row.times += sum(m.fired for m in moments)
        return ferry

    def do_restarts(self, pair, row, most):
        at = sorted(self.dice.sample(range(500000, 10000000), most))
        moments = [pair.ep.when(pair.ep.restart, sent="d", after=n) for n in at[:-1]]
        text = self.dice.choice(["USING hnsw", "CREATE TABLE", "VALIDATE", "record_send"])
        last = pair.ep.when(pair.ep.restart, sent="Q", text=text)
        return self.strike(pair, row, ([last] + moments) if text == "CREATE TABLE" else (moments + [last]))

    def do_commits(self, pair, row, most):
        at = sorted(self.dice.sample(range(1, 40), most))
        return self.strike(pair, row, [pair.ep.when("lose", sent="c", nth=n) for n in at])

    def do_stalls(self, pair, row, most):
        def silence():
            pair.ep.stall()
            threading.Timer(self.args.stall, pair.ep.go).start()
        return self.strike(pair, row, [pair.ep.when(silence, sent="d", after=self.dice.randint(500000, 8000000))
                                       for _ in range(most)])

    READERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND state = 'active' AND query LIKE 'COPY (%%'"

    def reading(self, pair):
        return pair.source.value(self.READERS % pair.name, db="postgres") != "0"

    def do_source(self, pair, row, most):
        """All sessions there (a new snapshot follows), or all but the holder's (the same one goes on)."""
        # More than its memory holds, so that it is still reading when the fault strikes.
        pair.sql("INSERT INTO vector_documents (id, user_id, collection_name, content, metadata, embedding) SELECT "
                 "gen_random_uuid(), user_id, collection_name, content, metadata, embedding FROM vector_documents, "
                 "generate_series(1, %d)" % (3500 // self.args.documents))
        pair.ep.rate = RATE / 6
        ferry = pair.start("run", "--chunk-size", "64K", "--memory", "16M", "--spill", "none", "--senders", "1")
        for _ in range(most):
            if not ferry.until(lambda: self.reading(pair), 120, "reading"):
                break
            time.sleep(self.dice.uniform(0, 0.4))
            since = time.monotonic()
            spare = self.dice.choice(["", " AND state <> 'idle in transaction'"])
            ended = pair.source.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' "
                                     "AND application_name LIKE 'neonferry%%'%s" % (pair.name, spare), db="postgres")
            if ended and ferry.status is None:
                row.times += 1
                ferry.until(lambda: self.reading(pair), 60, "reading again")
                row.longest = max(row.longest, time.monotonic() - since)
        pair.ep.rate = None
        return self.end(ferry)

    def do_disk(self, pair, row, most):
        os.mkdir(pair.run_dir)
        size = "size=%dk" % self.dice.randint(3000, 6000)
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", pair.run_dir], check=True)
        try:
            pair.ep.rate = RATE / 2
            ferry = pair.start("run", *SMALL)
            if ferry.said("spill.full"):
                row.times += 1
                pair.ep.rate = None
            self.end(ferry)
        finally:
            subprocess.run(["umount", "-l", pair.run_dir], check=True)
        return ferry

    def harm(self, path):
        """A flipped bit, a cut end, a missing file, an empty one, garbage at its begin."""
        how = self.dice.choice(["bit", "cut", "missing", "empty", "garbage"])
        if how == "missing":
            os.unlink(path)
            return
        with open(path, "r+b") as f:
            size = os.path.getsize(path)
            if how in ("cut", "empty"):
                f.truncate(0 if how == "empty" else self.dice.randrange(1, size))
                return
            at = self.dice.randrange(size) if how == "bit" else 0
            f.seek(at)
            old = f.read(16 if how == "garbage" else 1)
            f.seek(at)
            f.write(bytes(b ^ (1 << self.dice.randrange(8)) for b in old))

    def unloaded(self, pair):
        known = {row[0] for row in pair.ledger("SELECT chunk FROM neonferry.chunk")}
        folder = pair.file("spill")
        return [os.path.join(folder, n) for n in sorted(os.listdir(folder))
                if n.endswith(".nfs") and n[:-4] not in known]

    def do_damage(self, pair, row, most):
        pair.ep.rate = RATE / 4
        ferry = pair.start("run", *SMALL)
        if not self.aim(pair, ferry, "load") or not ferry.kill():
            return self.end(ferry)
        files = self.unloaded(pair)
        for path in self.dice.sample(files, min(most, len(files))):
            self.harm(path)
            row.times += 1
        row.actions += 1
        pair.ep.rate = None
        since = time.monotonic()
        ferry = pair.start("resume", *SMALL)
        self.recovery(pair, ferry, row, since)
        return self.end(ferry)

    # ---- the table -------------------------------------------------------------------------------

    def table(self):
        lines = ["| fault | times | runs | rows lost | rows doubled | tables that differ | runs that did not end "
                 "well | human actions | longest recovery |", "|---|---|---|---|---|---|---|---|---|"]
        for r in self.rows:
            action = "none" if not r.actions else "`resume`, %d times" % r.actions
            longest = "%.1f s" % r.longest if r.longest else "-"
            lines.append("| %s | %d | %d | %d | %d | %d | %d | %s | %s |" % (
                TITLES[r.kind].format(stall="%g" % self.args.stall), r.times, r.runs, r.lost, r.doubled,
                r.differing, r.failed, action, longest))
        return "\n".join(lines)


class Pgcopydb:
    """The packaged pgcopydb in the same lab: what becomes of the rows where neonferry goes on.

    It reaches the same server past the edge, by a plain line: it does not carry the edge's host name over to
    pg_restore when the name is not in the DNS, which is no fault of its own."""

    def __init__(self, lab):
        self.lab = lab

    def clone(self, pair, line, *more):
        argv = ["pgcopydb", "clone", "--source", pair.source.uri(db=pair.name), "--target",
                line.uri(db=pair.name), "--dir", os.path.join(pair.base, "pgcopydb"), "--no-owner", "--no-acl",
                "--skip-extensions", "--table-jobs", "2", "--index-jobs", "2",
                "--split-tables-larger-than", "1MB", *more]
        env = dict(psql_env(), PATH=bindir() + ":" + os.environ["PATH"], XDG_RUNTIME_DIR=pair.base)
        with open(os.path.join(pair.base, "pgcopydb.log"), "ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                    start_new_session=True)

    @staticmethod
    def extend(pair):
        """What an ordinary role may not do for it: extensions are there before, and have no comments."""
        names = pair.sql("SELECT quote_ident(extname) FROM pg_extension WHERE extname <> 'plpgsql'")
        pair.ep.psql("".join("CREATE EXTENSION IF NOT EXISTS %s;" % row[0] for row in names), db=pair.name)
        pair.sql("".join("COMMENT ON EXTENSION %s IS NULL;" % row[0] for row in names))

    def catch(self, pair, process):
        """The pid of a server process in mid COPY of vector_documents, None if there was none."""
        ask = "SELECT pid FROM pg_stat_activity WHERE datname = '%s' AND state = 'active' AND query ILIKE " \
              "'copy%%vector_documents%%' AND query NOT ILIKE '%%pg_stat_activity%%' LIMIT 1" % pair.name
        wait_until(lambda: process.poll() is not None or pair.ep.value(ask, db="postgres"), 60, 0.05)
        return pair.ep.value(ask, db="postgres")

    def rows(self, pair):
        ask = "SELECT count(*) FROM public.vector_documents"
        try:
            here = pair.ep.value(ask, db=pair.name)
        except SqlError:
            here = "no table"
        return "%s of %s rows of vector_documents" % (here, pair.sql(ask)[0][0])

    def end(self, process):
        try:
            return "exit %d" % process.wait(90)
        except subprocess.TimeoutExpired:
            self.kill(process)
            return "hung for 90 s, killed"

    @staticmethod
    def kill(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def one_backend_terminated(self, pair, line):
        line.rate = 2e6
        process = self.clone(pair, line)
        pid = self.catch(pair, process)
        if not pid:
            return "not in mid COPY: " + self.end(process)
        pair.ep.psql("SELECT pg_terminate_backend(%s)" % pid, db="postgres")
        line.rate = None
        return "%s; %s" % (self.end(process), self.rows(pair))

    def killed_and_resumed(self, pair, line):
        line.rate = 2e6
        process = self.clone(pair, line)
        if not self.catch(pair, process):
            return "not in mid COPY: " + self.end(process)
        time.sleep(1)
        self.kill(process)
        line.rate = None
        plain = self.end(self.clone(pair, line, "--resume"))
        other = self.end(self.clone(pair, line, "--resume", "--not-consistent"))
        return "--resume: %s; --resume --not-consistent: %s; %s" % (plain, other, self.rows(pair))

    def differing_data(self, pair, line):
        known = subprocess.run(["pgcopydb", "compare", "data", "--help"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False).stdout
        if b"unknown command" in known:
            return "this version has no `compare data`"
        if self.end(self.clone(pair, line)) != "exit 0":
            return "clone failed"
        pair.ep.psql("DELETE FROM public.notifications WHERE id % 2 = 0", db=pair.name)
        done = subprocess.run(["pgcopydb", "compare", "data", "--source", pair.source.uri(db=pair.name), "--target",
                               line.uri(db=pair.name)], env=psql_env(), check=False, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        return "half of a table deleted: `compare data` exit %d" % done.returncode

    def untouched(self, pair, line):
        return "%s; %s" % (self.end(self.clone(pair, line)), self.rows(pair))

    def table(self):
        version = subprocess.run(["pgcopydb", "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 check=False).stdout.decode().split("\n")[0]
        lines = ["| %s, fault | what happened |" % version, "|---|---|"]
        for title, work in (("none", self.untouched),
                            ("one backend of the target terminated in mid COPY", self.one_backend_terminated),
                            ("killed in mid COPY, then resumed", self.killed_and_resumed),
                            ("data differs afterwards", self.differing_data)):
            with self.lab.pair() as pair, Proxy(pair.ep.server) as line:
                self.extend(pair)
                lines.append("| %s | %s |" % (title, work(pair, line)))
        return "\n".join(lines)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the large counts: two to three hours")
    for kind, (short, full, _) in COUNTS.items():
        parser.add_argument("--" + kind, type=int, metavar="N", help="default %d, with --full %d" % (short, full))
    parser.add_argument("--only", action="append", choices=sorted(COUNTS), help="these kinds only")
    parser.add_argument("--stall", type=float, help="seconds of a stall: default 8, with --full 30")
    parser.add_argument("--documents", type=int, default=700, help="rows of vector_documents (700)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--pgcopydb", action="store_true", help="also what the installed pgcopydb does")
    args = parser.parse_args()
    args.stall = args.stall or (30 if args.full else 8)
    args.count = {}
    for kind, (short, full, _) in COUNTS.items():
        given = getattr(args, kind)
        args.count[kind] = (full if args.full else short) if given is None else given
        if args.only and kind not in args.only:
            args.count[kind] = 0
    return args


def main():
    args = options()
    began = time.monotonic()
    print("seed %d" % args.seed, file=sys.stderr)
    matrix = Matrix(args)
    try:
        for kind, times in args.count.items():
            if times:
                matrix.measure(kind, times)
        print(matrix.table())
        if args.pgcopydb:
            print("\n" + Pgcopydb(matrix.lab).table())
    finally:
        matrix.close()
    print("\n%d s, seed %d" % (time.monotonic() - began, args.seed))
    for row in matrix.rows:
        for words in row.words:
            print("%s: %s" % (row.kind, words), file=sys.stderr)
    return 0 if all(row.good for row in matrix.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
