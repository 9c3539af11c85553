#!/usr/bin/env python3
"""The target goes away in every way that Neon has, while rows are moved: the running process goes on by
itself, nobody types anything, and the target equals the source at the snapshot, row for row."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from neonlab import MoveCase  # noqa: E402


class TargetAway(MoveCase):
    # ---- restarts --------------------------------------------------------------------------------

    def test_crash_in_mid_copy(self):
        text, _ = self.move(lambda p, ep: [ep.when(ep.restart, sent="d", after=2000000)])
        self.assertIn("waiting for the target", text)

    def test_crashes_one_after_the_other(self):
        self.move(lambda p, ep: [ep.when(ep.restart, sent="d", after=n * 1500000) for n in (1, 3, 5, 7)])

    def test_fast_restart_in_mid_copy(self):
        self.move(lambda p, ep: [ep.when(lambda: ep.restart("fast"), sent="d", after=2500000)])

    def test_crash_right_after_a_commit(self):
        def prepare(pair, ep):
            return [ep.when(ep.restart, sent="c", nth=n) for n in (2, 9, 15)]
        self.move(prepare)

    def test_crash_while_an_index_is_built(self):
        def prepare(pair, ep):
            return [ep.when(ep.restart, sent="Q", text="USING hnsw"),
                    ep.when(ep.restart, sent="Q", text="ADD CONSTRAINT", nth=2)]
        self.move(prepare)

    def test_crash_while_the_schema_is_applied(self):
        self.move(lambda p, ep: [ep.when(ep.restart, sent="Q", text="CREATE TABLE", nth=3)])

    def test_crash_in_the_proof(self):
        def prepare(pair, ep):
            return [ep.when(ep.restart, sent="Q", text="record_send", nth=3)]
        self.move(prepare, at_least=0)

    def test_gone_for_fifteen_seconds_and_the_edge_says_so(self):
        def prepare(pair, ep):
            ep.patience = 0.5
            return [ep.when(lambda: ep.restart(down=15), sent="d", after=2000000)]
        text, _ = self.move(prepare)
        self.assertRegex(text, "Couldn't connect to compute node|terminating|closed")

    # ---- commits of which nobody hears -----------------------------------------------------------

    def test_commits_that_are_done_but_not_answered(self):
        def prepare(pair, ep):
            return [ep.when("lose", sent="c", nth=n) for n in (1, 4, 5, 11, 20)]
        self.move(prepare)

    def test_answers_that_are_swallowed(self):
        def prepare(pair, ep):
            return [ep.when("cut", answered="COMMIT", nth=n) for n in (6, 12, 13, 25)]
        self.move(prepare)

    def test_a_session_that_survives_its_client_in_mid_copy(self):
        def prepare(pair, ep):
            return [ep.when("orphan", sent="d", after=1000000), ep.when("orphan", sent="c", nth=7)]
        self.move(prepare)


if __name__ == "__main__":
    unittest.main()
