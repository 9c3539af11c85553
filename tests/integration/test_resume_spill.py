#!/usr/bin/env python3
"""What resume makes of a spill: whole, damaged, of another run, or on a full disk."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from resume_case import REFUSED, SLOW, Case  # noqa: E402


class Spill(Case):
    def damage(self, files):
        """A flipped bit, a cut end, a missing file."""
        with open(files[-1], "r+b") as f:
            f.seek(os.path.getsize(files[-1]) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        os.truncate(files[-2], os.path.getsize(files[-2]) // 2)
        os.unlink(files[-3])

    def test_damaged_files_are_read_again_under_the_living_snapshot(self):
        self.line.stall()
        self.line.go()
        ferry = self.start("run")
        self.assertTrue(ferry.until(lambda: self.pair.spilled() >= 12))
        ferry.kill()
        if self.pair.json("complete") or self.pair.holder() is None:
            self.skipTest("the capture was quicker than the blow")
        self.damage(self.spill_files())
        self.resume()
        self.assertIn("spill.damaged", self.pair.names())
        self.assertEqual(len(self.pair.judge.snapshots), 1)

    def unloaded_files(self):
        loaded = {row[0] for row in self.pair.ledger("SELECT chunk FROM neonferry.chunk")}
        return [f for f in self.spill_files() if os.path.basename(f)[:-4] not in loaded]

    def test_damaged_files_of_a_complete_capture_are_read_again_from_the_source(self):
        self.complete_and_killed()
        self.damage(self.unloaded_files())
        self.pair.judge.settle()
        self.pair.sql("UPDATE users SET bio = 'later' WHERE github_id % 100 = 0")
        self.resume()
        self.assertIn("reproof.done", self.pair.names())
        self.assertEqual(len(self.pair.judge.snapshots), 2)

    def test_damaged_files_without_a_source_are_refused_by_name(self):
        for how in ("missing", "bit"):
            with self.subTest(how=how):
                self.doCleanups()
                self.setUp()
                self.complete_and_killed()
                files = self.unloaded_files()
                if how == "missing":
                    os.unlink(files[-1])
                else:
                    with open(files[-1], "r+b") as f:
                        f.seek(os.path.getsize(files[-1]) // 2)
                        f.write(b"\xff\x00\xff\x00")
                self.lab.source.stop("fast")
                self.resume(status=REFUSED, words=["reading again what the spill lacks of"],
                            timeout=60)
                self.lab.source.start()
                self.pair.judge.close()
                self.pair.judge.__init__(self.pair)
                self.resume()

    def test_killed_when_the_spill_is_gone_and_the_report_is_not_there(self):
        ferry = self.start()
        spill = self.pair.file("spill")
        self.assertTrue(ferry.reach("proof"))
        self.assertTrue(ferry.until(lambda: not os.path.isdir(spill)), ferry.text)
        self.assertTrue(ferry.kill(), "it was faster")
        self.assertIsNone(self.pair.json("summary.json"))
        loaded = self.pair.ledger("SELECT chunk, xid FROM neonferry.chunk ORDER BY 1")
        self.resume()
        self.assertTrue(os.path.exists(self.pair.file("report/report.html")))
        self.assertEqual(self.pair.ledger("SELECT chunk, xid FROM neonferry.chunk ORDER BY 1"), loaded)

    def test_full_disk_waits_for_the_senders(self):
        os.mkdir(self.pair.run_dir)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", self.pair.run_dir],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            self.skipTest("no right to mount a small file system")
        try:
            self.line.rate = SLOW
            ferry = self.start("run")
            self.assertTrue(ferry.said("spill.full"), ferry.text)
            self.line.rate = None
            self.finish(ferry)
        finally:
            subprocess.run(["umount", "-l", self.pair.run_dir], check=True)

    def test_files_of_another_run_are_not_used(self):
        self.kill_in_load()
        mine = self.spill_files()[0]
        name = self.pair.json("run.json")["run"].encode()
        with open(mine, "rb") as f:
            data = f.read()
        with open(mine, "wb") as f:
            f.write(data.replace(name, name[:-1] + (b"0" if name[-1:] != b"0" else b"1")))
        self.resume()
        self.assertIn("spill.damaged", self.pair.names())


if __name__ == "__main__":
    unittest.main()
