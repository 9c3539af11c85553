#!/usr/bin/env python3
"""A run with NEONFERRY_SPILL_KEY: nothing of the rows is readable on the disk, a resume needs the same key and
is refused by name without it, and what somebody else puts into the folder is never loaded."""

import hashlib
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ferry import holders, program  # noqa: E402
from neonlab import MoveCase  # noqa: E402

SMALL = ("--chunk-size", "256K", "--memory", "16M")
KEY, OTHER = "ab" * 32, "cd" * 32
WITH, WITHOUT = {"NEONFERRY_SPILL_KEY": KEY}, {}
USAGE, REFUSED = 2, 6
WORDS = 16  # digests in a row, and in the large object
# Bytes that do not compress: they stand in a readable spill file as they are.
FILL = ("CREATE TABLE public.secrets (id int PRIMARY KEY, v bytea); INSERT INTO public.secrets SELECT n, "
        "(SELECT string_agg(sha512((n || '-' || k)::bytea), ''::bytea ORDER BY k) FROM generate_series(1, %d) k) "
        "FROM generate_series(1, 400) n; SELECT lo_from_bytea(4711, v) FROM public.secrets WHERE id = 7" % WORDS)


def digest(row, word):
    return hashlib.sha512(b"%d-%d" % (row, word)).digest()


class SpillKey(MoveCase):
    documents = 100

    def setUp(self):
        self.pair = self.lab.pair()
        self.addCleanup(self.pair.close)
        self.ep = self.pair.ep
        self.pair.sql(FILL)

    def killed(self, env):
        """A run whose capture is complete; most of it is not loaded, and the program is dead."""
        self.ep.rate = 1e6
        ferry = self.pair.start("run", *SMALL, env=env)
        self.assertTrue(ferry.until(lambda: self.pair.json("complete")), ferry.text[-2000:])
        self.assertTrue(ferry.kill())
        self.ep.rate = None
        self.pair.end_holder()  # it may have died before it let it go

    def found(self, words):
        """Files of the run and outputs that hold one of these."""
        found = set()
        for folder, _, names in os.walk(self.pair.base):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    content = f.read()
                found |= {name for word in words if word in content}
        return found

    def resume(self, env, status=0, words=(), **kw):
        ferry = self.pair.run("resume", *SMALL, env=env, **kw)
        self.pair.check(self, ferry, status)
        for word in words:
            self.assertIn(word, ferry.text)
        return ferry

    def all_files(self):
        """Content of the run folder, but for the log."""
        files = {}
        for folder, _, names in os.walk(self.pair.run_dir):
            for name in names:
                if name != "events.jsonl":
                    path = os.path.join(folder, name)
                    with open(path, "rb") as f:
                        files[path] = (os.stat(path).st_mtime_ns, f.read())
        return files

    # ---- what is on the disk ---------------------------------------------------------------------

    def test_nothing_of_the_rows_is_readable(self):
        rows = [digest(row, word)[at:at + 24] for row in range(1, 401) for word in range(1, WORDS + 1) for at in (0, 40)]
        large = [digest(7, word)[at:at + 24] for word in range(1, WORDS + 1) for at in (0, 40)]
        self.killed(WITH)
        names = os.listdir(self.pair.file("spill"))
        self.assertGreater(len([n for n in names if n.endswith(".nfs")]), 5)
        self.assertTrue(os.path.exists(self.pair.file("large-objects.data")))
        self.assertEqual(self.found(rows), set())
        self.assertEqual(self.found([KEY.encode(), bytes.fromhex(KEY)]), set(), "the key itself")
        self.resume(WITH)
        self.assertEqual(self.pair.target.psql("SELECT count(*), md5(lo_get(4711)) FROM public.secrets", self.pair.name),
                         self.pair.sql("SELECT count(*), md5(lo_get(4711)) FROM public.secrets"))
        # The same without a key, so that it is known that this would have been seen.
        with self.lab.pair() as self.pair:
            self.pair.sql(FILL)
            self.killed(WITHOUT)
            self.assertTrue([n for n in self.found(rows) if n.endswith(".nfs")])
            self.assertIn("large-objects.data", self.found(large))

    def test_the_key_is_in_no_process_and_no_crash_writes_memory_to_a_disk(self):
        self.ep.rate = 1e6
        ferry = self.pair.start("run", *SMALL, env=WITH)
        self.assertTrue(ferry.until(lambda: self.pair.spilled() > 2), ferry.text[-2000:])
        seen = 0
        for pid in [ferry.pid] + holders(self.pair.run_dir):
            for name in ("environ", "cmdline"):
                with open("/proc/%d/%s" % (pid, name), "rb") as f:
                    content = f.read()
                self.assertNotIn(KEY.encode(), content)
                seen += len(content) > 0
            with open("/proc/%d/limits" % pid) as f:
                self.assertRegex(f.read(), r"Max core file size +0 ")
        self.assertGreaterEqual(seen, 3)
        self.ep.rate = None
        ferry.wait()
        self.pair.check(self, ferry)
        self.assertIn("spill: encrypted", ferry.text)

    # ---- resume ----------------------------------------------------------------------------------

    def test_without_the_key_or_with_another_it_is_refused_and_nothing_is_touched(self):
        self.killed(WITH)
        ledger = "SELECT * FROM neonferry.run r, (SELECT count(*), max(generation) FROM neonferry.chunk) c"
        before = self.all_files(), self.pair.ledger(ledger)
        for env, status, words in (
                (WITHOUT, REFUSED, ("is encrypted, and no key is given", "set NEONFERRY_SPILL_KEY")),
                ({"NEONFERRY_SPILL_KEY": OTHER}, REFUSED, ("is encrypted with another key", "that the run was begun with")),
                ({"NEONFERRY_SPILL_KEY": ""}, USAGE, ("NEONFERRY_SPILL_KEY", "openssl rand")),
                ({"NEONFERRY_SPILL_KEY": KEY[1:]}, USAGE, ("NEONFERRY_SPILL_KEY", "64 hexadecimal digits"))):
            with self.subTest(env=env):
                ferry = self.resume(env, status, words)
                self.assertNotIn(KEY[1:], ferry.text)
                self.assertEqual((self.all_files(), self.pair.ledger(ledger)), before)
        done = subprocess.run([program(), "status", self.pair.run_dir], stdout=subprocess.PIPE, check=True)
        self.assertRegex(done.stdout.decode(), r"(?s)spill.*chunks +\d\d.*encrypted +(true|yes)")
        self.lab.source.stop("fast")
        try:
            self.resume_without_source()
        finally:
            self.lab.source.start()

    def resume_without_source(self):
        """The key in base64 is the same key; what lies in the spill is all that is needed."""
        ferry = self.pair.run("resume", *SMALL, env={"NEONFERRY_SPILL_KEY": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="})
        self.assertEqual(ferry.status, 0, ferry.text[-2000:])
        self.assertEqual(self.pair.judge.verdict(), {})

    def test_a_run_begun_without_a_key_is_not_half_encrypted(self):
        self.killed(WITHOUT)
        before = self.all_files()
        self.resume(WITH, REFUSED, ("was begun without one", "unset NEONFERRY_SPILL_KEY"))
        self.assertEqual(self.all_files(), before)

    def test_abort_needs_no_key(self):
        self.killed(WITH)
        ferry = self.pair.run("abort", "--yes", judge=False)
        self.assertEqual(ferry.status, 0, ferry.text[-2000:])
        self.assertFalse(os.path.exists(self.pair.run_dir))

    # ---- a folder that somebody else was at ------------------------------------------------------

    def unloaded(self):
        known = {row[0] for row in self.pair.ledger("SELECT chunk FROM neonferry.chunk")}
        folder = self.pair.file("spill")
        return [os.path.join(folder, n) for n in sorted(os.listdir(folder))
                if n.endswith(".nfs") and n[:-4] not in known]

    def test_files_exchanged_changed_and_put_in_place_are_read_again(self):
        self.killed(WITH)
        files = self.unloaded()
        self.assertGreater(len(files), 6)
        os.rename(files[0], files[0] + ".x")
        os.rename(files[1], files[0])
        os.rename(files[0] + ".x", files[1])
        with open(files[2], "r+b") as f:
            f.seek(os.path.getsize(files[2]) - 20)  # the tag of the end
            f.write(b"\0\0\0\0")
        with open(files[3], "rb") as f, open(files[4], "rb") as g:
            one, two = f.read(), g.read()
        with open(files[3], "wb") as f:  # the head of its own, all else of the next
            f.write(one[:72] + two[72:])
        self.resume(WITH)
        self.assertEqual(self.pair.names().count("spill.damaged"), 4)
        self.assertIn("reproof.done", self.pair.names())


if __name__ == "__main__":
    unittest.main()
