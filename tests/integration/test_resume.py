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
from cluster import FERRY_PASSWORD, SqlError, wait_until  # noqa: E402
from ferry import Lab, has_faults, holders, program  # noqa: E402
from proxy import Proxy  # noqa: E402

OPTIONS = ("--chunk-size", "128K", "--memory", "16M")
SLOW = 6_000_000  # bytes a second to the target: a load of some seconds
DONE, STOPPED, ACT, REFUSED = 0, 4, 5, 6


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(900)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

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


class Target(Case):
    def test_ended_sender_goes_on(self):
        ferry = self.load()
        self.terminate(self.lab.target, "sender")
        self.line.rate = None
        self.finish(ferry)
        self.assertIn("target.wait", self.pair.names())

    def test_line_cut_in_mid_copy_goes_on(self):
        ferry = self.load()
        for _ in range(3):
            self.line.cut_after(400_000)
            time.sleep(0.4)
        self.line.rate = None
        self.finish(ferry)

    def test_lost_answers_of_commit_double_nothing(self):
        with Proxy(self.lab.target, inspect=True) as line:
            line.rate = SLOW
            ferry = self.start("run", target=line.uri(db=self.pair.name))
            for n in range(4):
                self.assertTrue(ferry.until(lambda n=n: self.pair.loaded() >= 3 * n + 2))
                line.lose_answer("COMMIT")
                wait_until(lambda: line.lost or ferry.status is not None, what="a lost COMMIT")
            line.rate = None
            self.finish(ferry)

    def test_restart_fast_and_immediate_in_the_load(self):
        ferry = self.load()
        self.lab.target.restart("fast")
        self.pair._watch = None
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= 8), ferry.text)
        self.lab.target.restart("immediate")
        self.pair._watch = None
        self.line.rate = None
        self.finish(ferry)

    def test_restart_in_the_index_phase(self):
        ferry = self.start("run")
        self.assertTrue(ferry.reach("index"))
        time.sleep(0.3)
        self.lab.target.restart("immediate")
        self.finish(ferry)

    def test_refused_for_seconds_goes_on(self):
        ferry = self.load()
        self.line.refuse()
        time.sleep(3)
        self.line.accept()
        self.line.rate = None
        self.finish(ferry)


class Source(Case):
    def test_a_reader_ended_in_the_middle_of_a_range_reads_no_sealed_row_again(self):
        """Collections are at different places of the range by then; reading goes on at the one farthest behind."""
        self.pair.sql("INSERT INTO vector_documents (id, user_id, collection_name, content, metadata, embedding) "
                      "SELECT gen_random_uuid(), user_id, collection_name, content, metadata, embedding "
                      "FROM vector_documents, generate_series(1, 3)")
        self.line.rate = SLOW
        ferry = self.pair.start("run", "--spill", "none", "--chunk-size", "64K", "--memory", "16M", "--senders", "1",
                                target=self.line.uri(db=self.pair.name))
        self.assertTrue(ferry.until(lambda: self.pair.loaded() >= 12), ferry.text)
        self.terminate(self.lab.source, "reader")
        self.assertTrue(ferry.said("source.lost"), ferry.text[-2000:])
        self.line.rate = None
        self.finish(ferry)
        self.assertEqual(len(self.pair.judge.snapshots), 1)

    def test_restarted_source_is_a_new_snapshot(self):
        ferry = self.load("--spill", "none")
        self.pair.judge.settle()
        self.lab.source.restart("fast")
        self.pair.sql("DELETE FROM vector_documents WHERE id IN "
                      "(SELECT id FROM vector_documents ORDER BY ctid LIMIT 40)")
        self.line.rate = None
        self.finish(ferry)
        self.assertIn("reproof.done", self.pair.names())
        self.assertEqual(len(self.pair.judge.snapshots), 2)

    def test_ended_holder_and_truncated_table_are_noticed_by_the_running_copier(self):
        """An old snapshot reads an emptied table as empty, without an error: it must not be believed."""
        ferry = self.load("--spill", "none")
        ferry.signal(signal.SIGSTOP)
        self.pair.end_holder()
        self.pair.sql("SET lock_timeout = '20s'; TRUNCATE user_repository_interactions, notifications")
        ferry.signal(signal.SIGCONT)
        self.line.rate = None
        self.finish(ferry)
        self.assertEqual(self.pair.judge.expected["notifications"][0], "0")

    def test_locks_keep_others_from_rewriting_until_the_capture_is_complete(self):
        ferry = self.load("--spill", "none")
        for statement in ("TRUNCATE user_search_settings", "VACUUM FULL users", "DROP TABLE embeddings",
                          "ALTER TABLE users ADD COLUMN more int"):
            with self.assertRaises(SqlError) as caught:
                self.pair.sql("SET lock_timeout = '200ms'; " + statement if "VACUUM" not in statement
                              else "SET lock_timeout = '200ms';\n" + statement)
            self.assertEqual(caught.exception.sqlstate, "55P03", statement)
        self.line.rate = None
        self.finish(ferry)
        self.pair.sql("TRUNCATE user_search_settings")

    def test_one_who_waits_for_an_exclusive_lock_is_named_and_waited_for(self):
        ferry = self.load("--spill", "none")
        with self.lab.source.session(db=self.pair.name) as other:
            other.send("TRUNCATE cache_invalidation_log")
            wait_until(lambda: self.sql_waits(), what="the other to wait")
            self.line.rate = None
            self.assertTrue(ferry.said("source.lock"), ferry.text)
            self.lab.source.psql("SELECT pg_cancel_backend(%d)" % other.pid, db="postgres")
            with self.assertRaises(SqlError):
                other.wait()
            self.finish(ferry)
        said = [e["text"] for e in self.pair.events() if e["name"] == "source.lock"][0]
        self.assertRegex(said, r'waiting for a lock on "public"."\w+": process %d .*waits for public\.cache'  % other.pid)

    def sql_waits(self):
        return self.pair.sql("SELECT 1 FROM pg_locks WHERE NOT granted")

    def test_holder_whose_copier_dies_while_it_waits_for_a_lock_ends(self):
        with self.lab.source.session(db=self.pair.name) as other:
            other.query("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            ferry = self.start("run")
            self.assertTrue(ferry.said("snapshot.wait"))
            self.assertIn("holds public.users", ferry.text + str(self.pair.events()))
            ferry.kill()
            again = self.start("run")
            self.assertTrue(again.said("snapshot.wait"), again.text)
            other.query("ROLLBACK")
            self.finish(again)


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


class Stopped(Case):
    def stop(self, ferry, limit):
        began = time.monotonic()
        ferry.signal(signal.SIGINT)
        self.assertEqual(ferry.wait(30), STOPPED, ferry.text)
        self.assertLess(time.monotonic() - began, limit)

    def test_once_drains(self):
        self.stop(self.load(), 15)
        self.line.rate = None
        self.resume()
        self.assertEqual(len(self.pair.judge.snapshots), 1)

    def test_once_ends_in_time_when_the_target_is_silent(self):
        ferry = self.load()
        self.line.stall()
        time.sleep(0.5)
        self.stop(ferry, 15)
        self.line.go()
        self.line.rate = None
        self.resume()

    def test_once_ends_in_time_when_the_source_is_silent(self):
        ferry = self.load("--spill", "none")
        self.lab.source.pause()
        self.addCleanup(self.lab.source.unpause)
        self.line.rate = None
        time.sleep(0.5)
        self.stop(ferry, 15)
        self.lab.source.unpause()
        self.resume()

    def test_twice_stops_at_once(self):
        ferry = self.load()
        self.line.stall()
        ferry.signal(signal.SIGINT)
        time.sleep(0.3)
        self.stop(ferry, 3)
        self.line.go()
        self.line.rate = None
        self.resume()

    def test_in_the_index_phase(self):
        ferry = self.start("run")
        self.assertTrue(ferry.reach("index"))
        time.sleep(0.2)
        self.stop(ferry, 15)
        self.resume()


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
