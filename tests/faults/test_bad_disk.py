#!/usr/bin/env python3
"""System calls on the run folder fail: EIO at every step of writing and reading a spill file, short writes and
reads, interruptions, a disk that is full for a while. The program says what failed and where; nothing is lost,
nothing half-written is left, and the next resume finishes. And --spill-limit bounds the disk at every moment."""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from badio import badio  # noqa: E402
from cluster import psql_env  # noqa: E402
from ferry import Lab, program  # noqa: E402
from neonlab import MoveCase  # noqa: E402

SMALL = ("--chunk-size", "128K", "--memory", "16M")
REFUSED, ACT = 3, 5
MORE = ("CREATE TABLE public.more AS SELECT n AS id, (SELECT string_agg(sha512((n || '-' || k)::bytea), ''::bytea) "
        "FROM generate_series(1, 16) k) AS v FROM generate_series(1, %d) n")


class DiskCase(MoveCase):
    documents = 100

    def setUp(self):
        self.pair = self.lab.pair()
        self.addCleanup(self.pair.close)
        self.ep = self.pair.ep

    def names_in_spill(self):
        try:
            return os.listdir(self.pair.file("spill"))
        except FileNotFoundError:
            return []

    def finish(self, ferry):
        ferry.wait()
        self.pair.check(self, ferry)


class BadDisk(DiskCase):
    def stops(self, rule, words):
        """Stopped, and the first error says what failed and where; nothing half-written lies about."""
        ferry = self.pair.run("run", *SMALL, env=badio(rule))
        self.pair.check(self, ferry, ACT)
        first = next(line for line in ferry.text.split("\n") if "error:" in line)
        self.assertRegex(first, words)
        self.assertIn(self.pair.run_dir, first)
        self.assertEqual([n for n in self.names_in_spill() if not n.endswith(".nfs")], [])
        self.assertEqual([n for n in os.listdir(self.pair.run_dir) if ".tmp-" in n], [])

    def test_each_step_of_writing_fails_and_the_next_run_goes_on(self):
        for rule, words in (
                ("fsync EIO plan.1.json", r"cannot write \S+/plan\.1\.json: Input/output error"),
                ("pwrite EIO /spill/ 2 1", "cannot write a spill file: Input/output error"),
                ("fdatasync EIO /spill/ 2 1", "cannot sync a spill file: Input/output error"),
                ("rename EIO /spill/ 2 1", "cannot rename a spill file: Input/output error"),
                ("fsync EIO /spill 2 1", "cannot sync the folder of a spill file: Input/output error"),
                ("open EROFS /spill/.tmp- 2 9", "cannot create a spill file: Read-only file system"),
                ("rename EIO /complete", r"cannot write \S+/complete: Input/output error")):
            with self.subTest(rule=rule):
                self.stops(rule, words)
        self.finish(self.pair.start("resume", *SMALL))
        self.assertNotIn("spill.damaged", self.pair.names(), "what was reported as written is whole")

    def test_reading_back_fails(self):
        """What cannot be read is read again from the source, without anybody's help."""
        self.pair.sql(MORE % 8000)  # more than what may stay in memory
        self.ep.rate = 1e6
        ferry = self.pair.start("run", "--chunk-size", "64K", "--memory", "16M", "--workers", "2", "--senders", "2",
                                env=badio("pread EIO /spill/ 5 2"))
        self.assertTrue(ferry.until(lambda: "spill.damaged" in self.pair.names()), ferry.text[-2000:])
        self.ep.rate = None
        self.finish(ferry)
        said = str([e for e in self.pair.events() if e["name"] == "spill.damaged"])
        self.assertIn("Input/output error", said)

    def test_short_and_interrupted_calls_are_nothing(self):
        self.pair.sql(MORE % 8000)
        self.ep.rate = 4e6
        ferry = self.pair.start("run", "--chunk-size", "64K", "--memory", "16M", "--workers", "2", "--senders", "2",
                                env=badio("pwrite EINTR /spill/ 1 20", "pwrite short /spill/", "pread EINTR /spill/ 1 20",
                                          "pread short /spill/", "write short /run/", "read short /run/"))
        self.finish(ferry)
        self.assertFalse({"spill.damaged", "spill.full"} & set(self.pair.names()), self.pair.names())

    def test_a_disk_that_is_full_for_a_while(self):
        """The capture waits for the senders and says so; nobody does anything."""
        ferry = self.pair.start("run", *SMALL, env=badio("pwrite ENOSPC /spill/ 5 12"))
        self.finish(ferry)
        said = [e for e in self.pair.events() if e["name"] == "spill.full"]
        self.assertEqual(len(said), 1, "said once")
        self.assertIn("No space left on device", str(said))
        self.assertIn("waits for the senders", ferry.text)


class EachFile(unittest.TestCase):
    """A file of the run folder that cannot be written: said by name, ended in order (a build with sanitizers
    sees what is not given back), and finished by the next that can write it."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(fill=False))

    def setUp(self):
        self.pair = self.lab.pair(empty=True)
        self.addCleanup(self.pair.close)
        self.pair.sql("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 99) n; SELECT lo_from_bytea(4711, 'x')")

    def test_of_a_run(self):
        for rule, status in (("rename EIO /holder.json", REFUSED), ("rename EIO /schema.json", REFUSED),
                             ("rename EIO /sequences.json", REFUSED), ("rename EIO /large-objects.json", REFUSED),
                             ("rename EIO /plan.1.json", ACT), ("pwrite EIO /spill/", ACT),
                             ("rename EIO /summary.json", ACT)):
            with self.subTest(rule=rule):
                ferry = self.pair.run("run", env=badio(rule), judge=False)
                self.assertEqual(ferry.status, status, ferry.text[-3000:])
                self.assertIn("Input/output error", ferry.text)
        ferry = self.pair.run("resume", judge=False)
        self.assertEqual(ferry.status, 0, ferry.text[-3000:])

    def test_of_a_report(self):
        """It is not what the run is for."""
        ferry = self.pair.run("run", env=badio("rename EIO /report/SHA256SUMS"), judge=False)
        self.assertEqual(ferry.status, 0, ferry.text[-3000:])
        self.assertIn("there is no report of this run: cannot write", ferry.text)
        self.assertEqual(self.pair.run("run", judge=False).status, 0)
        ferry = self.pair.run("report", env=badio("rename EIO /report/report.html"), source=False, target=False,
                              judge=False)
        self.assertEqual(ferry.status, REFUSED, ferry.text[-3000:])
        self.assertIn("report.html: Input/output error", ferry.text)

    def test_of_the_holder(self):
        """Alone, for the copier ends one that fails before it could tell what it leaves."""
        os.mkdir(self.pair.run_dir)
        task = {"dir": self.pair.run_dir, "run": "r", "ttl_ms": 1000, "relations": []}
        source = self.lab.source
        env = dict(psql_env(), PGHOST=source.socket_dir, PGPORT=str(source.port), PGUSER="postgres",
                   PGDATABASE=self.pair.name, **badio("rename EIO /holder.json"))
        done = subprocess.run([program(), "__hold"], input=json.dumps(task), text=True, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("holder.json: Input/output error", json.loads(done.stdout)["error"])


class SpillLimit(DiskCase):
    documents = 100
    LIMIT = 1 << 20
    OPTIONS = ("--chunk-size", "64K", "--memory", "16M", "--workers", "4", "--spill-limit", "1M")

    def spilled_bytes(self):
        total = 0
        for name in self.names_in_spill():
            try:
                total += os.path.getsize(os.path.join(self.pair.file("spill"), name))
            except FileNotFoundError:
                pass
        return total

    def watch(self, ferry, until=lambda: False):
        """The most that lay in the spill folder at one moment."""
        most = 0

        def look():
            nonlocal most
            most = max(most, self.spilled_bytes())
            return until()
        ferry.until(look, timeout=120)
        return most

    def test_it_bounds_the_disk_and_is_said(self):
        self.ep.rate = 3e6
        ferry = self.pair.start("run", *self.OPTIONS)
        most = self.watch(ferry, until=lambda: self.pair.json("complete"))
        self.ep.rate = None
        most = max(most, self.watch(ferry))
        self.finish(ferry)
        self.assertLessEqual(most, self.LIMIT)
        self.assertGreater(most, self.LIMIT // 3, "the spill was used")
        said = [e for e in self.pair.events() if e["name"] == "spill.full"]
        self.assertEqual(len(said), 1, "said once")
        self.assertIn("may hold %d" % self.LIMIT, str(said))
        self.assertIn("waits for the senders", ferry.text)

    def test_a_resume_keeps_the_limit_and_counts_what_is_there(self):
        self.ep.rate = 2e6
        ferry = self.pair.start("run", *self.OPTIONS)
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= 5 and self.spilled_bytes() > self.LIMIT // 3),
                        ferry.text[-2000:])
        ferry.kill()
        before = self.spilled_bytes()
        ferry = self.pair.start("resume", *self.OPTIONS)
        most = self.watch(ferry, until=lambda: self.pair.json("complete"))
        self.ep.rate = None
        most = max(most, self.watch(ferry))
        self.finish(ferry)
        self.assertLessEqual(most, self.LIMIT)
        self.assertGreaterEqual(most, before // 2)
        self.assertEqual(len(self.pair.judge.snapshots), 1)

    def test_a_limit_smaller_than_a_chunk(self):
        """Nothing can be spilled: the capture goes at the target's speed, all arrives."""
        self.pair.sql(MORE % 3000)
        ferry = self.pair.start("run", "--chunk-size", "4M", "--memory", "64M", "--workers", "1", "--jobs", "1", "--senders", "1",
                                "--table", "more", "--spill-limit", "1M")
        self.watch(ferry)
        ferry.wait()
        self.assertEqual(ferry.status, 0, ferry.text[-3000:])
        ask = "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM more t"
        self.assertEqual(self.pair.target.psql(ask, self.pair.name), self.pair.sql(ask))
        self.assertIn("may hold %d" % self.LIMIT, ferry.text)
        big = [e for e in self.pair.events() if e["name"] == "spill.full"]
        self.assertEqual(len(big), 1)


if __name__ == "__main__":
    unittest.main()
