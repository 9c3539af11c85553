"""Moving a database with neonferry in tests, and judging the result without neonferry.

    done = neonferry("run", "--source", source.uri(), "--target", target.uri(), run_dir=folder)
    assert done.status == 0, done.text
    assert_same(self, source, target)

The judge reads both ends with psql's COPY and compares sorted lines of text, table by table.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile

from cluster import REPO, bindir, psql_env

NEONFERRY = os.path.join(os.environ.get("NEONFERRY_BUILD", os.path.join(REPO, "build")), "neonferry")

# Every table and filled materialized view of the user's, with the columns to compare in order of name.
_RELATIONS = r"""
SELECT c.oid::regclass::text, c.relkind, c.relispartition,
       coalesce((SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname COLLATE "C")
                 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.relispopulated AND c.relpersistence <> 't'
  AND n.nspname !~ '^(pg_|information_schema$|neonferry$)'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1"""


class Done:
    """How a command ended: status, out, err, text (both), and summary (its --json document)."""

    def __init__(self, process, out, err):
        self.status, self.out, self.err = process.returncode, out, err
        self.text = out + err

    def events(self):
        """The JSON lines of --json."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


def environment(**extra):
    """Nobody else's settings: no PG*, no connection variable, no home that holds a password."""
    env = {k: v for k, v in psql_env().items()
           if not re.match(r"(NEON|SOURCE_|LOCAL_DB|POSTGRES|DATABASE_URL)", k)}
    env.pop("PGCLIENTENCODING", None)
    env.update({"HOME": "/nonexistent", "PATH": bindir() + ":" + env.get("PATH", "")})
    env.update(extra)
    return env


def neonferry(*args, run_dir=None, env=None, timeout=300, cwd=None, stdin=subprocess.DEVNULL):
    """Runs the program to its end; run_dir becomes --run-dir."""
    argv = [NEONFERRY, *map(str, args)] + (["--run-dir", str(run_dir)] if run_dir else [])
    process = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(**(env or {})), cwd=cwd or tempfile.gettempdir())
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise TimeoutError("%s: not done after %gs: %s" % (argv[1], timeout, err.decode())) from None
    return Done(process, out.decode(errors="replace"), err.decode(errors="replace"))


class Folder:
    """A folder for runs that goes away; f("a") is the path of a new run in it."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="neonferry-runs-")
        return self

    def __call__(self, name):
        return os.path.join(self.path, name)

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)


def _copy(cluster, sql, db):
    argv = [os.path.join(bindir(), "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
            cluster.socket_uri(db, cluster.superuser), "-c", sql]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=psql_env({"search_path": "", "TimeZone": "UTC", "DateStyle": "ISO",
                                        "row_security": "off"}), check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return done.stdout


def relations(cluster, db=None):
    """{qualified name: (kind, is partition, columns)} as the superuser sees them."""
    rows = cluster.psql(_RELATIONS, db=db, user=cluster.superuser, options={"search_path": ""})
    return {name: (kind, part == "t", columns) for name, kind, part, columns in rows}


def rows(cluster, table, columns="*", db=None, where=""):
    """The rows of a table as sorted lines of COPY text."""
    lines = _copy(cluster, "COPY (SELECT %s FROM %s %s) TO STDOUT" % (columns, table, where), db)
    return sorted(lines.split(b"\n")[:-1])


def objects(cluster, db=None):
    """{oid: content in hex} of the large objects."""
    return dict(cluster.psql("SELECT oid, encode(lo_get(oid), 'hex') FROM pg_largeobject_metadata ORDER BY 1",
                             db=db, user=cluster.superuser))


def assert_same(test, source, target, source_db=None, target_db=None, only=None):
    """Fails unless both databases hold the same tables with the same rows (partitions by root)."""
    there, here = relations(source, source_db), relations(target, target_db)
    if only is None:
        test.assertEqual(sorted(there), sorted(here))
    for name in sorted(only or there):
        kind, part, columns = there[name]
        if part:
            continue
        scope = "" if kind != "r" else "ONLY "
        a = rows(source, scope + name, columns, source_db)
        b = rows(target, scope + name, columns, target_db)
        test.assertEqual(len(a), len(b), "rows of %s" % name)
        if a != b:
            first = next(i for i in range(len(a)) if a[i] != b[i])
            test.fail("%s differs:\n%r\n%r" % (name, a[first][:2000], b[first][:2000]))


def _without_noise(line):
    return line and not line.startswith(("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict",
                                         "\\unrestrict"))


def schema_text(cluster, db=None):
    """pg_dump --schema-only without what a move leaves out; sorted statements, for comparing."""
    done = subprocess.run([os.path.join(bindir(), "pg_dump"), "--schema-only", "--no-owner", "--no-acl",
                           "--no-publications", "--no-subscriptions", "--no-tablespaces", "-N",
                           "neonferry", "-d", cluster.socket_uri(db, cluster.superuser)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=psql_env(), check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    text = "\n".join(filter(_without_noise, done.stdout.decode().split("\n")))
    return sorted(s.strip() for s in re.split(r";\n", text) if s.strip())
