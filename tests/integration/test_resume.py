#!/usr/bin/env python3
"""What resume means: each row of the table in the design, with its exit status and its words."""

import glob
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import FERRY_PASSWORD, wait_until  # noqa: E402
from ferry import has_faults, holders, program  # noqa: E402
from resume_case import ACT, DONE, REFUSED, SLOW, Case  # noqa: E402


class Snapshot(Case):
    def test_killed_copier_keeps_the_snapshot(self):
        self.kill_in_load("--spill", "none")
        self.assertIsNotNone(self.pair.holder())
        self.pair.sql("DELETE FROM vector_documents; UPDATE users SET bio = 'later'")
        self.resume()
        self.assertEqual(len(self.pair.judge.snapshots), 1)

    def test_a_chosen_collection_that_comes_up_in_another_table_after_the_kill(self):
        """A table that had no row of it had no route; the new snapshot has one there."""
        self.pair.sql("CREATE TABLE elsewhere (id int PRIMARY KEY, kind text)")
        name = self.pair.source.psql("SELECT collection_name FROM vector_documents GROUP BY 1 ORDER BY count(*) DESC "
                                     "LIMIT 1", db=self.pair.name)[0][0]
        self.kill_in_load("--spill", "none", "--collection", name, "--collection-column", "elsewhere=kind")
        self.pair.end_holder()
        self.pair.sql("INSERT INTO elsewhere VALUES (1, 'another'), (2, '%s')" % name)
        ferry = self.start("resume")
        self.assertEqual(ferry.wait(), DONE, ferry.text[-3000:])
        self.assertEqual(self.pair.target.psql("SELECT id FROM elsewhere", db=self.pair.name, user="postgres"), [["2"]])
        self.assertEqual(holders(self.pair.run_dir), [])

    def test_a_chosen_collection_that_comes_up_in_another_table_while_the_copier_runs(self):
        self.pair.sql("CREATE TABLE elsewhere (id int PRIMARY KEY, kind text)")
        name = self.pair.source.psql("SELECT collection_name FROM vector_documents GROUP BY 1 ORDER BY count(*) DESC "
                                     "LIMIT 1", db=self.pair.name)[0][0]
        self.pair.sql("UPDATE vector_documents SET content = repeat('word ', 8000) WHERE collection_name = '%s'" % name)
        ferry = self.load("--spill", "none", "--collection", name, "--collection-column", "elsewhere=kind")
        ferry.signal(signal.SIGSTOP)
        self.pair.end_holder()
        self.terminate(self.lab.source, "reader")
        self.pair.sql("INSERT INTO elsewhere VALUES (1, 'another'), (2, '%s')" % name)
        ferry.signal(signal.SIGCONT)
        self.line.rate = None
        self.assertEqual(ferry.wait(), DONE, ferry.text[-3000:])
        self.assertIn("reproof.done", self.pair.names())
        self.assertEqual(self.pair.target.psql("SELECT id FROM elsewhere", db=self.pair.name, user="postgres"), [["2"]])

    def test_a_lost_list_of_large_objects_is_made_again(self):
        self.pair.sql("SELECT lo_from_bytea(4711, 'ours')")
        self.kill_in_load("--spill", "none")
        os.remove(self.pair.file("large-objects.json"))
        self.resume()
        self.assertEqual(self.pair.ledger("SELECT convert_from(lo_get(4711), 'UTF8')"), [["ours"]])

    def test_complete_capture_needs_no_source(self):
        self.complete_and_killed()
        self.lab.source.stop("fast")
        self.resume()
        self.assertIn("resume.spill", self.pair.names())

    def test_lost_snapshot_is_proven_again_and_says_so(self):
        self.kill_in_load("--spill", "none")
        self.pair.end_holder()
        ferry = self.resume()
        self.assertIn("the run is now the source as of this new snapshot",
                      str([e["text"] for e in self.pair.events()]))
        facts = [e["facts"] for e in self.pair.events() if e["name"] == "reproof.done"][0]
        self.assertEqual((facts["reread"], facts["withdrawn"]), (0, 0), ferry.text)
        self.assertGreater(facts["kept"], 0)

    def test_no_recapture_goes_on_where_nothing_changed(self):
        self.kill_in_load("--spill", "none")
        self.pair.end_holder()
        self.resume("--no-recapture")

    def test_no_recapture_refuses_changes_by_name_and_changes_nothing(self):
        self.kill_in_load("--spill", "none")
        self.pair.end_holder()
        before = self.state()
        self.pair.judge.settle()
        self.pair.sql("UPDATE vector_documents SET content = 'other' WHERE ctid = "
                      "(SELECT min(ctid) FROM vector_documents)")
        self.resume("--no-recapture", status=REFUSED, words=['"vector_documents"'])
        self.assertEqual(self.state(), before)
        self.assertEqual(holders(self.pair.run_dir), [], "its snapshot is of no use to anybody")
        self.resume()

    def test_no_recapture_refuses_growth(self):
        self.kill_in_load("--spill", "none")
        self.pair.end_holder()
        self.pair.sql("INSERT INTO vector_documents (content) SELECT repeat('x', 3000) "
                      "FROM generate_series(1, 300)")
        self.resume("--no-recapture", status=REFUSED, words=['"vector_documents"'])

    def test_dropped_altered_and_rewritten_tables(self):
        for sql, status, word in (("DROP TABLE users CASCADE", REFUSED, '"users" was dropped'),
                                  ("ALTER TABLE users ADD COLUMN more int", REFUSED,
                                   '"users" was altered'),
                                  ("VACUUM FULL vector_documents", DONE, "")):
            with self.subTest(sql=sql):
                self.doCleanups()
                self.setUp()
                self.kill_in_load("--spill", "none")
                self.pair.end_holder()
                self.pair.judge.settle()
                self.pair.sql(sql)
                self.resume(status=status, words=[word])

    @unittest.skipUnless(has_faults(), "the program was built without NEONFERRY_FAULTS")
    def test_time_to_live_ends_the_holder(self):
        self.load("--spill", "none", env={"NEONFERRY_TEST_TTL_MS": "25000"}).kill()
        self.assertIsNotNone(self.pair.holder())
        wait_until(lambda: self.pair.holder() is None, 60, what="the holder to end by itself")
        self.line.rate = None
        self.resume()
        self.assertIn("reproof.done", self.pair.names())

    def test_another_server_under_the_same_name_is_refused(self):
        self.kill_in_load("--spill", "none")
        self.pair.end_holder()
        path = self.pair.file("plan.1.json")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace('"source_id":"', '"source_id":"1').replace('"source_id": "',
                                                                          '"source_id": "1'))
        self.resume(status=REFUSED, words=["is not the database that this run began with"])


class Refused(Case):
    def test_two_at_once(self):
        first = self.load()
        self.assertEqual(self.start("resume", judge=False).wait(30), REFUSED)
        second = self.pair.ferries[-1]
        self.assertIn("another process is working on the run", second.text)
        self.line.rate = None
        self.finish(first)

    def test_stale_copier_can_never_load(self):
        self.line.rate = SLOW // 4
        stale = self.start("run")
        self.assertTrue(stale.said("capture.complete"))
        self.assertTrue(stale.until(lambda: self.pair.loaded() >= 3))
        stale.signal(signal.SIGSTOP)
        copy = os.path.join(self.pair.base, "copy")
        shutil.copytree(self.pair.run_dir, copy)
        self.line.rate = None
        fresh = self.start("resume", run_dir=copy, judge=False)
        self.assertEqual(fresh.wait(60), DONE, fresh.text)
        stale.signal(signal.SIGCONT)
        self.assertEqual(stale.wait(60), REFUSED, stale.text)
        self.assertIn("another process took this run over", stale.text)
        self.assertEqual(self.pair.judge.verdict(), {})

    def test_same_chunk_with_another_digest(self):
        self.kill_in_load()
        self.pair.ledger("UPDATE neonferry.chunk SET read0 = read0 + 1 WHERE chunk = "
                         "(SELECT min(chunk) FROM neonferry.chunk WHERE rows > 0)")
        self.resume(status=ACT, words=["same chunk id with another digest"])

    def test_damaged_plan(self):
        self.kill_in_load()
        os.truncate(self.pair.file("plan.1.json"), 200)
        self.resume(status=REFUSED, words=["plan.1.json"])

    def test_lost_schema(self):
        self.kill_in_load()
        self.pair.end_holder()
        name = self.pair.file("schema.dump")
        os.rename(name, name + ".kept")
        self.resume(status=REFUSED, words=["there is no " + name, "put the file back"])
        os.rename(name + ".kept", name)
        self.resume()

    def test_ledger_that_does_not_know_the_run(self):
        self.kill_in_load()
        self.pair.ledger("DELETE FROM neonferry.run")
        self.resume(status=REFUSED, words=["does not know the run"])

    def test_already_there_and_changed_under_a_new_snapshot(self):
        self.pair.ledger("CREATE TABLE public.t (a int)")
        self.pair.sql("CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1)")
        self.pair.ledger("INSERT INTO public.t VALUES (1); ALTER TABLE public.t OWNER TO ferry")
        self.kill_in_load("--spill", "none")
        self.pair.end_holder()
        self.pair.sql("INSERT INTO public.t VALUES (2)")
        self.resume(status=REFUSED, words=['"t" was already there'])


class Left(Case):
    def test_abort_leaves_nothing(self):
        self.kill_in_load("--spill", "none")
        self.assertIsNotNone(self.pair.holder())
        ferry = self.pair.start("abort", "--yes", target=self.line.uri(db=self.pair.name), judge=False)
        self.assertEqual(ferry.wait(30), 0, ferry.text)
        self.assertEqual(holders(self.pair.run_dir), [])
        self.assertFalse(os.path.exists(self.pair.run_dir))
        self.assertEqual(self.pair.ledger("SELECT nspname FROM pg_namespace WHERE nspname = 'neonferry'"), [])
        self.assertEqual(self.pair.ledger("SELECT relname FROM pg_class WHERE relnamespace = "
                                          "'public'::regnamespace AND relkind = 'r'"), [])

    def test_no_password_anywhere(self):
        secrets = [FERRY_PASSWORD.encode(), b"ferry%20pass%2Fword%401", b"secret of source"]
        self.lab.source.psql("ALTER ROLE postgres PASSWORD 'secret of source'", db="postgres")
        source = self.lab.source.uri(db=self.pair.name, password="secret of source")
        self.line.rate = SLOW
        # By the environment: what a user types as an argument is in the list of processes.
        ferry = self.start("run", source=False, target=False, env={
            "SOURCE_DATABASE_URL": source, "NEON_DATABASE_URL": self.line.uri(db=self.pair.name)})
        seen = set()
        while ferry.status is None and self.pair.loaded() < 10:
            seen |= self.command_lines(ferry)
        self.line.rate = None
        while ferry.status is None:
            seen |= self.command_lines(ferry)
        self.finish(ferry)
        texts = {path: open(path, "rb").read() for path in
                 glob.glob(self.pair.base + "/**", recursive=True) if os.path.isfile(path)}
        for secret in secrets:
            self.assertFalse([line for line in seen if secret in line])
            self.assertFalse([path for path, text in texts.items() if secret in text])
        self.assertTrue([line for line in seen if b"pg_dump" in line or b"__hold" in line])

    @staticmethod
    def command_lines(ferry):
        """Of the process, of those it started, and of the holder."""
        lines = set()
        ours = [ferry.pid] + holders(ferry.run_dir)
        for path in glob.glob("/proc/[0-9]*"):
            try:
                with open(path + "/stat") as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
                if parent != ferry.pid and int(path[6:]) not in ours:
                    continue
                with open(path + "/cmdline", "rb") as f:
                    lines.add(f.read())
            except OSError:
                pass
        return lines

    def test_folder_and_files_are_closed_to_others(self):
        self.kill_in_load()
        for path in [self.pair.run_dir] + glob.glob(self.pair.run_dir + "/**", recursive=True):
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_status_of_a_killed_run(self):
        self.kill_in_load("--spill", "none")
        done = subprocess.run([program(), "status", self.pair.run_dir], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)


class Kept(Case):
    def test_indexes_that_were_there_come_back(self):
        """The target has the tables from migrations: their indexes are set aside, and restored once."""
        self.lab.target.apply_migrations(db=self.pair.name)
        before = self.indexes()
        self.line.rate = SLOW
        ferry = self.start("run", "--on-existing", "truncate")
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= 3), ferry.text)
        ferry.kill()
        self.assertNotEqual(self.indexes(), before)
        self.line.rate = None
        ferry = self.start("resume")
        self.assertTrue(ferry.reach("index"))
        time.sleep(0.3)
        ferry.kill()
        self.resume()
        self.assertEqual(self.indexes(), before)

    def indexes(self):
        return self.pair.ledger("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
                                "SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint "
                                "WHERE connamespace = 'public'::regnamespace ORDER BY 1")

    def test_source_and_target_in_one_server(self):
        server = self.lab.target
        server.psql("CREATE DATABASE beside", db="postgres", user="postgres")
        self.addCleanup(server.psql, "DROP DATABASE beside WITH (FORCE)", "postgres", "postgres")
        server.psql("CREATE TABLE t AS SELECT n, repeat(md5(n::text), 40) FROM generate_series(1, 20000) n;"
                    "ALTER TABLE t OWNER TO ferry", db="beside", user="postgres")
        source = server.uri(db="beside")
        self.line.rate = SLOW
        ferry = self.start("run", "--spill", "none", source=source, judge=False)
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= 3), ferry.text)
        ferry.kill()
        self.line.rate = None
        ferry = self.start("resume", source=source, judge=False)
        self.assertEqual(ferry.wait(60), DONE, ferry.text)
        self.assertNotIn("reproof.done", self.pair.names())
        rows = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM t"
        self.assertEqual(self.pair.ledger(rows), server.psql(rows, db="beside", user="postgres"))


if __name__ == "__main__":
    unittest.main()
