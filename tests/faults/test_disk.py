#!/usr/bin/env python3
"""The disk under the run folder, and the storage under the target, are not what they were: nothing that is
damaged is ever loaded, and the target equals the source, or the run says by name why it cannot go on."""

import os
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from neonlab import MoveCase  # noqa: E402

SMALL = ("--chunk-size", "64K", "--memory", "16M")


class Disk(MoveCase):
    documents = 500

    def setUp(self):
        self.pair = self.lab.pair()
        self.addCleanup(self.pair.close)
        self.ep = self.pair.ep

    def begin(self, chunks=4, rate=3e6):
        """A run that has loaded some chunks, and still has most of its way to go."""
        self.ep.rate, before = rate, self.ep.messages["c"]
        ferry = self.pair.start("run", *SMALL)
        self.assertTrue(ferry.until(lambda: self.ep.messages["c"] >= before + chunks), ferry.text[-2000:])
        return ferry

    def complete_and_killed(self):
        ferry = self.begin()
        self.assertTrue(ferry.until(lambda: self.pair.json("complete")), ferry.text[-2000:])
        ferry.kill()
        self.ep.rate = None

    def unloaded(self):
        known = {row[0] for row in self.pair.ledger("SELECT chunk FROM neonferry.chunk")}
        folder = self.pair.file("spill")
        return [os.path.join(folder, n) for n in sorted(os.listdir(folder))
                if n.endswith(".nfs") and n[:-4] not in known]

    def test_file_of_a_future_format(self):
        self.complete_and_killed()
        path = self.unloaded()[0]
        with open(path, "r+b") as f:
            head = f.read(16)
            at = next(i for i in range(4, 16) if head[i] in (1, 2, 3))  # the version, after the magic
            f.seek(at)
            f.write(bytes([head[at] + 90]))
        self.pair.check(self, self.pair.resume())
        self.assertTrue({"spill.damaged", "spill.missing"} & set(self.pair.names()), self.pair.names())

    def test_spill_folder_removed_under_the_running_process(self):
        ferry = self.begin()
        gone = os.path.join(self.pair.base, "gone")
        os.rename(self.pair.file("spill"), gone)
        shutil.rmtree(gone, ignore_errors=True)
        self.ep.rate = None
        ferry.wait()
        if ferry.status != 0:
            self.assertIn(ferry.status, (4, 5), ferry.text[-2000:])
            self.assertIn("spill", ferry.text)
            ferry = self.pair.resume()
        self.pair.check(self, ferry)

    def test_spill_folder_that_becomes_read_only(self):
        def mount(*words):
            return subprocess.run(["mount", *words], check=False, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode == 0
        self.ep.rate = 3e6
        ferry = self.pair.start("run", *SMALL)
        self.assertTrue(ferry.until(lambda: self.pair.spilled() >= 3), ferry.text[-2000:])
        ferry.signal(signal.SIGSTOP)
        folder = self.pair.file("spill")
        if not mount("--bind", folder, folder):
            self.skipTest("no right to mount")
        try:
            if not mount("-o", "remount,bind,ro", folder):
                self.skipTest("no right to mount read-only")
            complete = self.pair.json("complete")
            ferry.signal(signal.SIGCONT)
            self.ep.rate = None
            ferry.wait()
            if not complete:
                self.assertIn("Read-only file system", ferry.text)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)
        if ferry.status != 0:
            self.pair.check(self, ferry, 5)
            ferry = self.pair.resume()
        self.pair.check(self, ferry)

    def test_target_restored_to_a_moment_of_the_load(self):
        """The ledger is older than the spill: what is gone with it is loaded again, once."""
        ferry = self.begin(chunks=8)
        ferry.signal(signal.SIGSTOP)
        server = self.ep.server
        self.ep.stop("fast")
        backup = os.path.join(self.pair.base, "backup")
        subprocess.run(["cp", "-a", server.data, backup], check=True)
        self.ep.wake()
        ferry.signal(signal.SIGCONT)
        before = self.ep.messages["c"]
        self.assertTrue(ferry.until(lambda: self.ep.messages["c"] >= before + 20), ferry.text[-2000:])
        ferry.kill()
        later = self.pair.ledger("SELECT count(*) FROM neonferry.chunk")[0][0]
        self.ep.stop("immediate")
        shutil.rmtree(server.data)
        subprocess.run(["cp", "-a", backup, server.data], check=True)
        shutil.rmtree(backup)
        self.ep.rate = None
        self.ep.wake()
        self.pair._watch = None
        earlier = self.pair.ledger("SELECT count(*) FROM neonferry.chunk")[0][0]
        self.assertLess(int(earlier), int(later))
        self.pair.check(self, self.pair.resume())


if __name__ == "__main__":
    unittest.main()
