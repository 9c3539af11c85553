"""neonferry schema ..., on folders of migrations that a test writes.

    with Folder({"001_a.sql": "CREATE TABLE a (i int)"}) as folder:
        schema(target, "apply", folder).ok()
        schema(target, "status", folder).json["pending"]

Standard library only.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from cluster import FERRY, make_target
from ferry import program

# What would name a database, or change a default, behind the test's back.
_CLEARED = ("DATABASE_URL", "NEON", "PG", "POSTGRES_", "FORCE_MIGRATION", "SOURCE_DATABASE")


class Folder:
    """A folder of files, gone afterwards."""

    def __init__(self, files=None):
        self.path = tempfile.mkdtemp(prefix="neonferry-migrations-")
        for name, text in (files or {}).items():
            self.put(name, text)

    def put(self, name, text):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())

    def remove(self, name):
        os.unlink(os.path.join(self.path, name))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def ok(self):
        if self.status != 0:
            raise AssertionError("exit status %d\n%s\n%s" % (self.status, self.out, self.err))
        return self


def environment(more=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith(_CLEARED)}
    env.update(more or {})
    return env


def arguments(server, command, folder=None, *options, uri=None, as_json=True):
    argv = [program(), "schema"] + command.split()
    if server is not None or uri is not None:
        argv += ["--target", uri or server.uri()]
    if folder is not None:
        argv += ["--dir", getattr(folder, "path", folder)]
    return argv + (["--json"] if as_json else []) + list(options)


def schema(server, command, folder=None, *options, env=None, timeout=120, **kw):
    """Runs it to the end, with --yes where it is taken. uri= and as_json= as of arguments()."""
    if command.split()[0] != "lint" and "--no-yes" not in options:
        options += ("--yes",)
    options = [o for o in options if o != "--no-yes"]
    done = subprocess.run(arguments(server, command, folder, *options, **kw), env=environment(env),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """One that runs in the background."""

    def __init__(self, server, command, folder, *options, env=None, **kw):
        self._p = subprocess.Popen(arguments(server, command, folder, "--yes", *options, **kw),
                                   env=environment(env), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def kill(self):
        self._p.send_signal(signal.SIGKILL)
        self._p.communicate()

    def wait(self, timeout=120):
        out, err = self._p.communicate(timeout=timeout)
        return Result(self._p.returncode, out.decode(), err.decode())


def states(server, folder, **kw):
    """{version: state} as status has it."""
    return {m["version"]: m["state"] for m in schema(server, "status", folder, **kw).ok().json["migrations"]}


class Case(unittest.TestCase):
    """A server for a class, a database for each test."""

    n = 0

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(make_target())

    def setUp(self):
        type(self).n += 1
        self.db = "t%d" % self.n
        self.server.create_database(self.db, owner=FERRY)
        self.uri = self.server.uri(db=self.db)

    def schema(self, command, folder=None, *options, **kw):
        return schema(None, command, folder, *options, **dict({"uri": self.uri}, **kw))

    def states(self, folder):
        return states(None, folder, uri=self.uri)

    def psql(self, sql, **kw):
        return self.server.psql(sql, **dict({"db": self.db}, **kw))

    def value(self, sql, **kw):
        return self.server.value(sql, **dict({"db": self.db}, **kw))

    def session(self, **kw):
        return self.server.session(db=self.db, **kw)
