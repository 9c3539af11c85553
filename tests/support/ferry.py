"""Runs of neonferry for tests, and a judge of their result that is not neonferry.

    with Lab(documents=2500) as lab, lab.pair() as pair:
        first = pair.start("run")                  # in the background, in pair.run_dir
        first.reach("copy"); first.kill()          # kill -9 in a phase
        pair.end_holder()                          # and its snapshot, too
        assert pair.start("resume").wait() == 0
        pair.judge.verdict()                       # {} : the target is the source at the snapshot

Lab holds two servers and a filled source database; pair() gives a fresh copy of that database and an
empty target. The judge follows the run: whenever a holder exports a snapshot, the judge imports it in
a session of its own and takes the sorted rows of every table, before anybody is let go on.
Standard library only.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from cluster import FERRY, REPO, SqlError, make_source, make_target, psql_env, wait_until

FILL = os.path.join(REPO, "scripts", "lib", "fill.sql")
_SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")


def program():
    """The neonferry under test."""
    path = os.environ.get("NEONFERRY") or os.path.join(REPO, "build-debug", "neonferry")
    if not os.access(path, os.X_OK):
        raise RuntimeError("no neonferry at %s: set NEONFERRY" % path)
    return path


def has_faults():
    """Whether the program was built with NEONFERRY_FAULTS (test builds only)."""
    with open(program(), "rb") as f:
        return b"NEONFERRY_TEST_SKIP_RANGE" in f.read()


def holders(run_dir=None):
    """The pids of all living __hold processes (of a run folder)."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read().split(b"\0")
            pid = int(path.split("/")[2])
            if len(words) < 2 or words[1] != b"__hold":
                continue
            links = [os.readlink(fd) for fd in glob.glob("/proc/%d/fd/*" % pid)]
        except OSError:
            continue
        if run_dir is None or any(link.startswith(run_dir + "/") for link in links):
            found.append(pid)
    return found


class Lab:
    """Two servers; a source database "filled" that pairs are copied from."""

    def __init__(self, documents=2500, source_conf=None, target_conf=None, fill=True):
        self._n = 0
        self.source = make_source(migrations=fill, db="filled", conf=source_conf)
        self.target = None
        try:
            self.target = make_target(conf=target_conf)
            if fill:
                subprocess.run(["psql", "-Xq", "-d", self.source.socket_uri(db="filled"), "-v",
                                "documents=%d" % documents, "-f", FILL], env=psql_env(), check=True)
                self.source.psql("VACUUM ANALYZE", db="filled")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        for server in (self.source, self.target):
            if server is not None:
                server.destroy()

    def pair(self, **kw):
        self._n += 1
        return Pair(self, "pair%d" % self._n, **kw)


class Pair:
    """A source database, an empty target database and a run folder between them."""

    def __init__(self, lab, name, empty=False):
        self.lab, self.name = lab, name
        self.source, self.target = lab.source, lab.target
        self.source.create_database(name, options="" if empty else "TEMPLATE filled")
        self.target.create_database(name, owner=FERRY)
        self.base = tempfile.mkdtemp(prefix="neonferry-run-")
        self.run_dir = os.path.join(self.base, "run")
        self.ferries = []
        self.judge = Judge(self)
        self._watch = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        for f in self.ferries:
            f.kill()
        self.end_holder()
        self.judge.close()
        if self._watch:
            self._watch.close()
        for server in (self.source, self.target):
            if server.pid() is not None:
                server.psql('DROP DATABASE "%s" WITH (FORCE)' % self.name, db="postgres",
                            user="postgres")
        shutil.rmtree(self.base, ignore_errors=True)

    # ---- running -------------------------------------------------------------------------------

    def start(self, command="run", *options, source=None, target=None, run_dir=None, env=None,
              judge=True):
        """Starts `neonferry COMMAND` in the background. source, target: URIs instead of the pair's;
        False leaves the option out."""
        run_dir = run_dir or self.run_dir
        argv = [program(), command]
        argv += [run_dir] if command != "run" else ["--run-dir", run_dir]
        for key, uri, of in (("--source", source, self.source), ("--target", target, self.target)):
            if uri is not False and (command != "abort" or key == "--target"):
                argv += [key, uri or of.uri(db=self.name)]
        f = Ferry(self, argv + list(options), run_dir, env)
        self.ferries.append(f)
        if judge and run_dir == self.run_dir:
            self.judge.follow(f)
        return f

    def run(self, command="run", *options, timeout=120, **kw):
        """start() and wait; the finished Ferry."""
        f = self.start(command, *options, **kw)
        f.wait(timeout)
        return f

    def holder(self):
        """The pid of the living holder of the run folder, or None."""
        found = holders(self.run_dir)
        return found[0] if found else None

    def end_holder(self):
        """kill -9 of every holder of the run folder."""
        for pid in holders(self.run_dir):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not holders(self.run_dir), what="the holder to be gone")

    def file(self, name):
        return os.path.join(self.run_dir, name)

    def json(self, name):
        try:
            with open(self.file(name)) as f:
                return json.load(f)
        except (FileNotFoundError, ValueError):
            return None

    def events(self, offset=0):
        """The events of the run folder so far, as dicts."""
        try:
            with open(self.file("events.jsonl")) as f:
                f.seek(offset)
                lines = f.read().split("\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines[:-1]]

    def names(self, offset=0):
        return [event["name"] for event in self.events(offset)]

    def spilled(self):
        """How many chunks lie in the spill folder."""
        try:
            return sum(name.endswith(".nfs") for name in os.listdir(self.file("spill")))
        except FileNotFoundError:
            return 0

    def loaded(self):
        """How many chunks the target's ledger has; 0 while there is none."""
        if self._watch is None:
            self._watch = self.target.session(db=self.name, user="postgres")
        try:
            return int(self._watch.value("SELECT count(*) FROM neonferry.chunk"))
        except SqlError:
            return 0

    def ledger(self, sql):
        return self.target.psql(sql, db=self.name, user="postgres")

    def sql(self, sql):
        """SQL in the source."""
        return self.source.psql(sql, db=self.name)


class Ferry:
    """One process of neonferry."""

    def __init__(self, pair, argv, run_dir, env):
        self.pair, self.run_dir = pair, run_dir
        self.log = os.path.join(pair.base, "output.%d" % len(pair.ferries))
        events = os.path.join(run_dir, "events.jsonl")
        self.offset = os.path.getsize(events) if os.path.exists(events) else 0
        keep = {k: v for k, v in os.environ.items() if k in _SANITIZERS}
        environment = dict(psql_env(), **keep)
        for name in ("DATABASE_URL", "NEON_DATABASE_URL", "DATABASE_URL_UNPOOLED"):
            environment.pop(name, None)
        environment.update(env or {})
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env=environment, cwd=pair.base, start_new_session=True)
        self.pid = self.process.pid

    @property
    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    @property
    def status(self):
        return self.process.poll()

    def wait(self, timeout=120):
        """The exit status; TimeoutError with the end of the output."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError("neonferry runs on after %g s: %s" % (timeout, self.text[-3000:]))

    def events(self):
        """What this process has told (a later one on the same folder adds to it)."""
        return self.pair.events(self.offset)

    def until(self, condition, timeout=60, what="the moment"):
        """True once condition() holds, False if the process ended before."""
        def ready():
            return condition() or self.status is not None
        wait_until(ready, timeout, 0.002, what + ": " + self.text[-800:])
        return self.status is None

    def reach(self, phase, timeout=60):
        """Waits until the process is in a phase: plan, schema, copy, index, finish, proof."""
        mark = '"phase":"%s"' % phase
        path = os.path.join(self.run_dir, "events.jsonl")

        def there():
            if not os.path.exists(path):
                return False
            with open(path) as f:
                f.seek(self.offset)
                return mark in f.read()
        return self.until(there, timeout, "phase " + phase)

    def said(self, name):
        """Waits for an event of this name."""
        return self.until(lambda: any(e["name"] == name for e in self.events()), what="event " + name)

    def signal(self, number):
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        """kill -9. True if it was still at work."""
        alive = self.status is None
        if alive:
            self.signal(signal.SIGKILL)
        self.process.wait()
        return alive


# Sorted rows of a table, as one line: their number and a digest over all of them in order. The text
# of a row holds every column, embeddings with all their numbers.
_ROWS = ("SELECT count(*), md5(coalesce(string_agg(md5(r), '' ORDER BY md5(r)), '')) "
         "FROM (SELECT t::text AS r FROM ONLY {0} AS t) AS rows")
_TABLES = ("SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
           "WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema', 'neonferry') "
           "ORDER BY 1")


def rows_of(session):
    """{table: (rows, digest)} of all tables that a session sees, in its transaction."""
    tables = [row[0] for row in session.query(_TABLES)]
    return {t: tuple(session.query(_ROWS.format(t))[0]) for t in tables}


class Judge:
    """Knows what the target must hold: the source as the run's newest snapshot shows it."""

    def __init__(self, pair):
        self.pair = pair
        self.expected, self.snapshots, self.late = None, [], []
        self._session = pair.source.session(db=pair.name)
        self._followed, self._ended = None, False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def follow(self, ferry):
        """This process is held while a snapshot is imported, so that none can end unseen."""
        self._followed = ferry

    def close(self):
        self._ended = True
        self._thread.join()
        if self._session is not None:
            self._session.close()

    def _work(self):
        while not self._ended:
            self._look()
            time.sleep(0.002)

    def _look(self):
        info = self.pair.json("holder.json")
        if not info or not holders(self.pair.run_dir):
            return
        with self._lock:
            if info["snapshot"] not in self.snapshots and self._connect():
                self._take(info["snapshot"])

    def _take(self, snapshot):
        """Imports it while the process is held; then the rows are safe and the process goes on."""
        ferry = self._followed
        if ferry and ferry.status is None:
            ferry.signal(signal.SIGSTOP)
        try:
            self._session.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            self._session.query("SET TRANSACTION SNAPSHOT '%s'" % snapshot)
            self._session.query("SELECT 1")
            if ferry and ferry.status is None:
                ferry.signal(signal.SIGCONT)
            self.expected = rows_of(self._session)
            self.snapshots.append(snapshot)
            self._session.query("ROLLBACK")
        except (SqlError, BrokenPipeError) as error:
            self.late.append((snapshot, str(error)))
            self._begin_again()
        finally:
            if ferry and ferry.status is None:
                ferry.signal(signal.SIGCONT)

    def _begin_again(self):
        try:
            self._session.query("ROLLBACK")
        except (SqlError, BrokenPipeError):
            self._session.close()
            self._session = None

    def _connect(self):
        if self._session is None and self.pair.source.pid() is not None:
            try:
                self._session = self.pair.source.session(db=self.pair.name)
            except SqlError:
                pass
        return self._session is not None

    def settle(self):
        """Returns when no snapshot is being looked at: nothing of the judge holds back a VACUUM."""
        self._look()

    def target_rows(self):
        with self.pair.target.session(db=self.pair.name, user="postgres") as session:
            return rows_of(session)

    def verdict(self):
        """What differs between the target and the snapshot: {table: (expected, found)}."""
        with self._lock:
            expected = self.expected
        assert expected is not None, "the judge saw no snapshot: %r" % self.late
        found = self.target_rows()
        return {t: (expected.get(t), found.get(t)) for t in sorted(set(expected) | set(found))
                if expected.get(t) != found.get(t)}
