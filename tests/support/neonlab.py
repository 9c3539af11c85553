"""Moving a database to the stand-in for Neon in fault tests: Lab and Pair of ferry.py, with an endpoint
of neon.py as the target.

    with NeonLab(documents=1200) as lab, lab.pair() as pair:
        pair.ep.when(pair.ep.restart, sent="d", after=2_000_000)
        f = pair.run("run")
        assert f.status == 0
        assert pair.judge.verdict() == {} and pair.leaks() == []

The judge compares sorted rows through the run's own snapshot, by psql; see ferry.py.
"""

import os
import re
import unittest

import ferry
from cluster import FERRY, wait_until
from ferry import Lab, Pair, holders
from neon import Neon
from neoncompute import ADMIN, OWNER, OWNER_PASSWORD

OPTIONS = ("--chunk-size", "256K", "--memory", "64M")


class _Target:
    """An endpoint with the methods that ferry.py uses of a Cluster: past the edge, as superuser."""

    def __init__(self, ep):
        self.ep = ep

    def pid(self):
        self.ep.wake()
        return self.ep.server.pid()

    def create_database(self, name, owner=None):
        self.ep.wake()
        self.ep.compute.create_database(name, OWNER if owner == FERRY else owner or OWNER)

    def uri(self, **kw):
        return self.ep.uri(**kw)

    def psql(self, sql, db, user=None, **kw):
        return self.ep.psql(sql, db=db, user=ADMIN, **kw)

    def value(self, sql, db, **kw):
        return self.ep.value(sql, db=db, **kw)

    def session(self, db, user=None, **kw):
        self.ep.wake()
        return self.ep.server.session(db=db, user=ADMIN, **kw)

    def destroy(self):
        pass  # the edge does


class NeonLab(Lab):
    def __init__(self, documents=1200, conf=None, source_conf=None):
        self.neon = Neon(conf=dict({"idle_in_transaction_session_timeout": "2000"}, **(conf or {}))).start()
        make_target, ferry.make_target = ferry.make_target, lambda conf: _Target(self.neon.endpoint)
        try:
            super().__init__(documents, source_conf=source_conf)
        except BaseException:
            self.neon.close()
            raise
        finally:
            ferry.make_target = make_target

    def close(self):
        super().close()
        self.neon.close()

    def pair(self, **kw):
        self._n += 1
        return NeonPair(self, "pair%d" % self._n, **kw)


class NeonPair(Pair):
    """As Pair; ep is the endpoint, calm again when the pair is closed."""

    def __init__(self, lab, name, **kw):
        self.ep = lab.neon.endpoint
        super().__init__(lab, name, **kw)

    def close(self):
        self.ep.go()
        self.ep.refuse(None)
        self.ep.refuse(None, early=True)
        self.ep.delay = self.ep.jitter = 0.0
        self.ep.rate = self.ep.size_limit = self.ep.suspend_after = None
        self.ep.patience = 6.0
        self.ep.forget()
        super().close()

    def begin(self, *options, **kw):
        """start("run") with small chunks."""
        return self.start("run", *OPTIONS, *options, **kw)

    def resume(self, *options, **kw):
        """`resume` to its end."""
        return self.run("resume", *OPTIONS, *options, **kw)

    def sessions(self):
        """Sessions of the program that are still open, on both ends (a pooler's own come by the socket)."""
        ask = "SELECT application_name || ': ' || left(query, 60) FROM pg_stat_activity " \
              "WHERE application_name LIKE 'neonferry%' AND client_addr IS NOT NULL"
        return [row[0] for row in self.target.psql(ask, db="postgres") + self.source.psql(ask, db="postgres")]

    def leaks(self):
        """What a finished run must not leave: processes, sessions, locks, prepared transactions, secrets."""
        try:
            wait_until(lambda: not self.sessions() and not holders(self.run_dir), 5)
        except TimeoutError:
            pass
        found = self.sessions() + ["holder %d" % pid for pid in holders(self.run_dir)]
        return found + self.secrets()

    def secrets(self):
        """Files of the run and outputs that hold the password, in clear or as a URI has it."""
        words = (OWNER_PASSWORD.encode(), re.search(":([^:@]*)@", self.ep.uri()).group(1).encode())
        found = []
        for folder, _, names in os.walk(self.base):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    content = f.read()
                found += ["password in " + path for word in words if word in content]
        return found

    def indexes(self):
        """Number of valid indexes and of constraints, in source and target."""
        ask = "SELECT (SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE indisvalid AND " \
              "relnamespace = 'public'::regnamespace), (SELECT count(*) FROM pg_constraint WHERE convalidated " \
              "AND connamespace = 'public'::regnamespace)"
        return [end.psql(ask, db=self.name, user=who)[0] for end, who in
                ((self.source, "postgres"), (self.target, None))]

    def check(self, test, ferry, status=0):
        """Fails unless it ended so, and (status 0) everything arrived and nothing is left behind."""
        test.assertEqual(ferry.status, status, ferry.text[-3000:])
        if status == 0:
            test.assertEqual(self.judge.verdict(), {})
            there, here = self.indexes()
            test.assertEqual(there, here, "indexes and constraints")
            test.assertEqual(self.leaks(), [])
        else:
            test.assertEqual(self.secrets(), [])


class MoveCase(unittest.TestCase):
    """Tests that share a NeonLab of `documents`; move() is one run with something going wrong."""

    documents = 700

    @classmethod
    def setUpClass(cls):
        cls.lab = NeonLab(cls.documents)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def move(self, prepare, *options, at_least=1, timeout=120):
        """One run, with moments that prepare(pair, ep) arranges; returns what the run said."""
        with self.lab.pair() as pair:
            moments = prepare(pair, pair.ep) or []
            ferry = pair.begin(*options)
            ferry.wait(timeout)
            pair.check(self, ferry)
            for moment in moments:
                self.assertTrue(moment.fired, "never came: %r" % vars(moment))
            events = [e["name"] for e in ferry.events()]
            waits = [n for n in events if n in ("target.wait", "target.retry", "run.again", "connect.wait")]
            self.assertGreaterEqual(len(waits), at_least, events)
            return ferry.text, ferry.events()
