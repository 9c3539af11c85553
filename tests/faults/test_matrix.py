#!/usr/bin/env python3
"""The matrix of faults counts what it says it counts: a row that is lost, doubled or changed behind its back
is seen, and a few faults of each cheap kind are survived. (scripts/fault_matrix.sh is the whole of it.)"""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import matrix  # noqa: E402
from matrix import Row  # noqa: E402
from neonlab import MoveCase  # noqa: E402


class Counts(MoveCase):
    documents = 300

    def test_what_is_lost_doubled_or_changed_is_seen(self):
        with self.lab.pair() as pair:
            ferry = pair.begin()
            ferry.wait()
            row = Row("kills")
            row.times = 1
            row.judge(pair, ferry)
            self.assertTrue(row.good, row.words)
            table = "public.cache_invalidation_log"
            for sql, seen in (("DELETE FROM %s WHERE ctid IN (SELECT ctid FROM %s LIMIT 3)" % (table, table), (3, 0)),
                              ("CREATE TABLE IF NOT EXISTS public.more AS SELECT 1 AS a", (0, 1)),
                              ("UPDATE public.users SET bio = 'another' WHERE github_id % 100 = 0", (0, 0))):
                pair.ep.psql(sql, db=pair.name)
                before = (row.lost, row.doubled, row.differing)
                row.judge(pair, ferry)
                self.assertEqual((row.lost - before[0], row.doubled - before[1]), seen, row.words)
                self.assertGreater(row.differing, before[2])
                self.assertFalse(row.good)
                pair.ep.psql("DROP TABLE IF EXISTS public.more", db=pair.name)
                pair.judge.expected = dict(pair.judge.target_rows())  # the next one starts from here

    def test_a_few_of_each_cheap_kind(self):
        sys.argv = ["matrix", "--only", "kills", "--only", "restarts", "--only", "commits", "--kills", "2",
                    "--restarts", "1", "--commits", "2", "--seed", "1"]
        m = matrix.Matrix.__new__(matrix.Matrix)
        m.args, m.lab, m.rows = matrix.options(), self.lab, []
        m.dice = matrix.random.Random(1)
        for kind, times in m.args.count.items():
            if times:
                m.measure(kind, times)
        self.assertEqual([r.kind for r in m.rows if not r.good], [], [r.words for r in m.rows])
        self.assertIn("| 2 |", m.table())


if __name__ == "__main__":
    unittest.main()
