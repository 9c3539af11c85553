#!/usr/bin/env python3
"""The shipped migrations against a target reached as Neon is: by its owner, without superuser."""

import glob
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import MIGRATIONS, SqlError, make_source, make_target  # noqa: E402

NO_PATH = {"search_path": ""}
NAMES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    UNION ALL SELECT typname FROM pg_type t WHERE typtype = 'e'"""


def vector(place, rest):
    """SQL for 1536 numbers: 1 at place, rest elsewhere."""
    return ("('[' || (SELECT string_agg(CASE n WHEN %d THEN '1' ELSE '%s' END, ',' ORDER BY n)"
            " FROM generate_series(1, 1536) n) || ']')" % (place, rest))


def uuid(n):
    return "00000000-0000-0000-0000-%012d" % n


class Migrations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = make_target()
        cls.target.apply_migrations()
        cls.fill()

    @classmethod
    def tearDownClass(cls):
        cls.target.destroy()

    @classmethod
    def fill(cls):
        t = cls.target
        t.psql("INSERT INTO repositories (id, full_name, description, primary_language) "
               "VALUES ('%s', 'a/vector-db', 'A vector database in C', 'C')" % uuid(9))
        titles = ["Fix parser crash", "Parser documentation", "Unrelated thing", "Write more tests"]
        for n, title in enumerate(titles, 1):
            t.psql("INSERT INTO opportunities (id, repository_id, title, embedding) "
                   "VALUES ('%s', '%s', '%s', %s::halfvec)"
                   % (uuid(n), uuid(9), title, vector(n, "0.0%d" % n)))
        for n in (1, 2, 3):
            t.psql("INSERT INTO users (id, username, skills, email, embedding) VALUES "
                   "('%s', 'u%d', '{parser}', 'U%d@X.org', %s::halfvec)"
                   % (uuid(n), n, n, vector(n, "0.0%d" % n)))

    def call(self, sql):
        return self.target.psql(sql, options=NO_PATH)

    def test_fusion_adds_both_lists_with_30_and_70_percent_and_k_60(self):
        """P-005, P-003: hybrid_search_opportunities()."""
        rows = self.call("SELECT * FROM public.hybrid_search_opportunities('parser crash', %s::public.halfvec)"
                         % vector(3, "0"))
        # By text only the first is like "parser crash"; by vector: 3, 4, 2, 1.
        expected = [(1, 0.3 / 61 + 0.7 / 64), (3, 0.7 / 61), (4, 0.7 / 62), (2, 0.7 / 63)]
        self.assertEqual([r[0] for r in rows], [uuid(n) for n, _ in expected])
        for row, (_, score) in zip(rows, expected):
            self.assertAlmostEqual(float(row[2]), score, 12)

    def test_a_list_without_query_is_left_out(self):
        by_vector = self.call("SELECT opportunity_id, text_rank FROM "
                              "public.hybrid_search_opportunities(NULL, %s::public.halfvec, 2)" % vector(3, "0"))
        self.assertEqual(by_vector, [[uuid(3), None], [uuid(4), None]])
        by_text = self.call("SELECT opportunity_id, vector_rank FROM "
                            "public.hybrid_search_opportunities('parser', NULL)")
        self.assertEqual(by_text, [[uuid(1), None], [uuid(2), None]])

    def test_repositories_are_found_by_name_and_description(self):
        """P-003: hybrid_search_repositories()."""
        rows = self.call("SELECT full_name FROM public.hybrid_search_repositories('vector database', NULL)")
        self.assertEqual(rows, [["a/vector-db"]])

    def test_ef_search_is_put_back(self):
        """P-004: the searches set hnsw.ef_search for themselves only."""
        rows = self.call("SELECT set_config('hnsw.ef_search', '33', false) \\g /dev/null\n"
                         "SELECT count(*) FROM public.hybrid_search_repositories('vector', NULL) \\g /dev/null\n"
                         "SHOW hnsw.ef_search")
        self.assertEqual(rows, [["33"]])

    def test_similar_users_are_others_nearest_first(self):
        """P-003: search_similar_users()."""
        rows = self.call("SELECT user_id FROM public.search_similar_users('%s')" % uuid(1))
        self.assertEqual(rows, [[uuid(3)], [uuid(2)]])

    def test_matches_follow_preferences_and_leave_out_what_was_done(self):
        """P-003: find_matching_opportunities_for_user(); P-001: the tables it reads."""
        match = "SELECT opportunity_id FROM public.find_matching_opportunities_for_user('%s')" % uuid(2)
        self.assertEqual(len(self.call(match)), 4)
        self.target.psql("INSERT INTO contribution_outcomes (user_id, opportunity_id, repository_id) "
                         "VALUES ('%s', '%s', '%s')" % (uuid(2), uuid(1), uuid(9)))
        self.assertNotIn([uuid(1)], self.call(match))
        self.target.psql("INSERT INTO user_preferences (user_id, difficulties) VALUES ('%s', '{expert}')" % uuid(2))
        self.assertEqual(self.call(match), [])

    def test_email_digest_ignores_case(self):
        found = self.target.value("SELECT username FROM users WHERE email_digest = digest('u2@x.org', 'sha256')")
        self.assertEqual(found, "u2")

    def test_update_touches_updated_at(self):
        self.assertEqual(self.target.value(
            "UPDATE users SET bio = 'x', updated_at = '2000-01-01' WHERE username = 'u3' "
            "RETURNING updated_at > now() - interval '1 hour'"), "t")

    def test_downs_undo_everything(self):
        self.target.create_database("undone", owner="ferry")
        before = self.target.psql(NAMES, db="undone")
        extension_types = {"gtrgm", "_gtrgm"}
        self.target.apply_migrations(db="undone")
        for path in sorted(glob.glob(MIGRATIONS + "/*.down.sql"), reverse=True):
            self.target.file(path, db="undone", options=NO_PATH)
        after = self.target.psql(NAMES, db="undone")
        self.assertEqual([r for r in after if r[0] not in extension_types], before)

    def test_dimensions_are_a_parameter(self):
        """P-105: also the kind of index follows them."""
        self.target.create_database("narrow", owner="ferry")
        for dimensions, index in ((100, "vector_cosine_ops"), (3000, "halfvec_cosine_ops"), (5000, None)):
            self.target.apply_migrations(db="narrow", dimensions=dimensions, only={"001", "002"})
            found = self.target.value(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = 'vector_documents'::regclass AND attname = 'embedding'", db="narrow")
            self.assertEqual(found, "vector(%d)" % dimensions)
            definition = self.target.value(
                "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%hnsw%'", db="narrow")
            self.assertEqual(definition is None, index is None)
            self.assertIn(index or "", definition or "")
            self.target.psql("DROP TABLE vector_documents", db="narrow")


class Embeddings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = make_source()
        cls.server.apply_migrations()

    @classmethod
    def tearDownClass(cls):
        cls.server.destroy()

    def setUp(self):
        self.server.psql("TRUNCATE embeddings, cache_invalidation_log, search_performance_metrics")
        self.actions = [self.upsert(n, "the quick fox %d" % n) for n in (1, 1, 2)]
        self.actions.append(self.upsert(1, "the slow fox"))

    def upsert(self, n, content):
        return self.call("SELECT action FROM public.upsert_embedding('doc', '%d', '%s', %s::public.vector)"
                         % (n, content, vector(n, "0")))[0][0]

    def call(self, sql):
        return self.server.psql(sql, options=NO_PATH)

    def test_the_same_text_is_written_once(self):
        """P-402, P-405: by SHA-256; P-406: the log of invalidations."""
        self.assertEqual(self.actions, ["inserted", "unchanged", "inserted", "updated"])
        self.assertEqual(self.server.psql("SELECT source_id, reason FROM cache_invalidation_log ORDER BY id"),
                         [["1", "insert"], ["2", "insert"], ["1", "update"]])

    def test_another_models_size_is_refused(self):
        with self.assertRaises(SqlError) as caught:
            self.call("SELECT public.upsert_embedding('doc', '3', 'x', '[1,2]'::public.vector)")
        self.assertEqual(caught.exception.sqlstate, "23503")

    def test_models_live_side_by_side(self):
        """P-402: of different sizes; P-406: vector_search_stats."""
        self.call("SELECT public.upsert_embedding('doc', '1', 'x', array_fill(1, '{384}')::public.vector,"
                  " 'all-MiniLM-L6-v2')")
        rows = self.server.psql("SELECT model, dimensions, embedding_count FROM vector_search_stats ORDER BY 1")
        self.assertEqual(rows, [["all-MiniLM-L6-v2", "384", "1"], ["text-embedding-3-small", "1536", "2"]])

    def test_similarity_search_is_exact_before_and_after_every_index(self):
        """P-403, P-405: rebuild_vector_indexes() by row count."""
        search = ("SELECT source_id, similarity FROM public.similarity_search(%s::public.vector)" % vector(2, "0"))
        expected = [["2", "1"], ["1", "0"]]
        self.assertEqual(self.call(search), expected)
        for above, method in ((1000, "ivfflat"), (1, "hnsw")):
            built = self.call("SELECT model, row_count, method FROM public.rebuild_vector_indexes(%d)" % above)
            self.assertEqual(built, [["text-embedding-3-small", "2", method]])
            self.assertEqual(self.call(search), expected)

    def test_hybrid_search_weighs_70_to_30_and_users_may_differ(self):
        """P-404, P-405: weights of a user; P-406: search_performance_metrics."""
        search = ("SELECT source_id, score FROM public.hybrid_search('slow', %s::public.vector, "
                  "for_user => '%s', record_metrics => true)")
        rows = self.call(search % (vector(2, "0"), "somebody"))
        self.assertEqual([r[0] for r in rows], ["1", "2"])
        self.assertAlmostEqual(float(rows[0][1]), 0.7 / 62 + 0.3 / 61, 12)
        self.assertAlmostEqual(float(rows[1][1]), 0.7 / 61, 12)
        self.server.psql("INSERT INTO user_search_settings (user_id, vector_weight, text_weight) "
                         "VALUES ('reader', 0, 1) ON CONFLICT DO NOTHING")
        rows = self.call(search % (vector(2, "0"), "reader"))
        self.assertAlmostEqual(float(rows[0][1]), 1 / 61, 12)
        self.assertEqual(self.server.psql("SELECT user_id, result_count FROM search_performance_metrics ORDER BY id"),
                         [["somebody", "2"], ["reader", "2"]])


if __name__ == "__main__":
    unittest.main()
