#!/usr/bin/env python3
"""An end that goes away, or changes, under a run; and a run that is told to stop."""

import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import SqlError, wait_until  # noqa: E402
from proxy import Proxy  # noqa: E402
from resume_case import SLOW, STOPPED, Case  # noqa: E402


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


if __name__ == "__main__":
    unittest.main()
