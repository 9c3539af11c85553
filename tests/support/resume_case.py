"""Runs that something happens to, and what resume makes of them: a base class for tests.

    class Spill(Case):
        def test_it(self):
            self.kill_in_load("--spill", "none")
            self.resume()                       # ends with 0, the target is the source

The target is reached over a line (self.line) that may be slow, stalled or cut. Standard library only.
"""

import glob
import os
import unittest

from cluster import wait_until
from ferry import Lab, holders
from proxy import Proxy

OPTIONS = ("--chunk-size", "128K", "--memory", "16M")
SLOW = 6_000_000  # bytes a second to the target: a load of some seconds
DONE, STOPPED, ACT, REFUSED = 0, 4, 5, 6


class Case(unittest.TestCase):
    """A pair of a small lab, and a line to its target."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(900))

    def setUp(self):
        if self.lab.source.pid() is None:
            self.lab.source.start()
        self.pair = self.lab.pair()
        self.addCleanup(self.pair.close)
        self.line = Proxy(self.lab.target)
        self.addCleanup(self.line.close)

    # ---- words ---------------------------------------------------------------------------------

    def start(self, command="run", *options, **kw):
        """Over the line, which is slow unless told otherwise."""
        kw.setdefault("target", self.line.uri(db=self.pair.name))
        return self.pair.start(command, *OPTIONS, *options, **kw)

    def finish(self, ferry, status=DONE, *words, timeout=120):
        self.assertEqual(ferry.wait(timeout), status, ferry.text[-3000:])
        for word in words:
            self.assertIn(word, ferry.text)
        if status == DONE:
            self.assertEqual(self.pair.judge.verdict(), {})
            self.assertEqual(holders(self.pair.run_dir), [], "a holder outlives its run")
        return ferry

    def resume(self, *options, status=DONE, words=(), timeout=120, **kw):
        return self.finish(self.start("resume", *options, **kw), status, *words, timeout=timeout)

    def load(self, *options, n=3, **kw):
        """A run in the middle of its load, which is slow."""
        self.line.rate = SLOW
        ferry = self.start("run", *options, **kw)
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= n), ferry.text)
        return ferry

    def kill_in_load(self, *options, n=3):
        self.load(*options, n=n).kill()
        self.line.rate = None

    def complete_and_killed(self):
        """The capture is complete, the load is not, the copier is dead."""
        self.line.rate = SLOW // 4
        ferry = self.start("run")
        self.assertTrue(ferry.said("capture.complete"))
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= 2), ferry.text)
        self.assertTrue(ferry.kill())
        self.line.rate = None
        wait_until(lambda: not holders(self.pair.run_dir), what="the holder to end")

    def sessions(self, server, what):
        """Backend pids of neonferry's sessions of a kind: sender, reader, holder, control."""
        rows = server.psql("SELECT pid FROM pg_stat_activity WHERE datname = '%s' AND application_name "
                           "~ '^neonferry .* %s'" % (self.pair.name, what), db="postgres",
                           user="postgres")
        return [row[0] for row in rows]

    def terminate(self, server, what):
        pids = wait_until(lambda: self.sessions(server, what), what="a session: " + what)
        server.psql("SELECT pg_terminate_backend(pid) FROM unnest(ARRAY[%s]) pid" % ",".join(pids),
                    db="postgres", user="postgres")

    def spill_files(self):
        return sorted(glob.glob(os.path.join(self.pair.file("spill"), "*.nfs")), key=os.path.getsize)

    def state(self):
        """All that resume could have changed: the ledger, and how many rows lie in the target."""
        return (self.pair.ledger("SELECT chunk, rows, xid, generation FROM neonferry.chunk ORDER BY 1"),
                self.pair.ledger("SELECT count(*) FROM vector_documents"))
