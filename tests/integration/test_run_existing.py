"""Into a target that has its tables already: from migrations, from other tools, with rows in them."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cluster import REPO  # noqa: E402
from ends import Ends  # noqa: E402
from moving import assert_same, neonferry, relations, rows, schema_text  # noqa: E402

DOCUMENTS = """CREATE TABLE vector_documents (id int PRIMARY KEY, collection_name text, content text);
    CREATE TABLE other (id int)"""


class Pair(Ends):
    runs = 0

    def run_it(self, *args, command="run", **kw):
        self.runs += 1
        return neonferry(command, *self.ends(), *args, run_dir=self.folder("%s-%d" % (self.db, self.runs)), **kw)

    def plan(self, *args):
        return neonferry("plan", *self.ends(), *args)

    def moved(self, *args, only=None, **kw):
        done = self.run_it(*args, **kw)
        self.assertEqual(done.status, 0, done.text[-3000:])
        assert_same(self, self.source, self.target, self.db, self.db, only=only)
        return done


class Migrations(Pair):
    def test_a_target_made_by_the_migrations(self):
        self.source.apply_migrations(db=self.db)
        self.source.file(os.path.join(REPO, "scripts/lib/fill.sql"), db=self.db)
        self.target.apply_migrations(db=self.db)
        before = schema_text(self.target, self.db)
        done = self.run_it()
        self.assertEqual(done.status, 3, done.text)  # migration 005 put rows of its own there
        self.assertIn('"public"."embedding_models" already holds 3 rows', done.err)
        done = self.moved("--on-existing", "truncate")
        self.maxDiff = None
        self.assertEqual(schema_text(self.target, self.db), before)
        self.assertEqual(self.here("SELECT conname FROM pg_constraint WHERE NOT convalidated"), [])
        self.assertEqual(self.here("SELECT relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid "
                                   "WHERE NOT indisvalid"), [])
        self.assertNotIn("contents", done.text)

    def test_the_history_of_other_tools_is_already_there(self):
        """P-208: its table is one like any other; the same rows are not sent again."""
        history = """CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty bool);
            INSERT INTO schema_migrations VALUES (1, false), (2, false);
            CREATE TABLE "_prisma_migrations" (id text, at timestamptz);
            INSERT INTO "_prisma_migrations" VALUES ('a', '2026-01-01 00:00+00')"""
        self.there(history + "; CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        self.here(history + "; CREATE TABLE t (a int)")
        done = self.moved()
        self.assertRegex(done.out, r"public\.schema_migrations .*already there")
        self.assertRegex(done.out, r"public\._prisma_migrations .*already there")
        self.assertEqual(self.here("SELECT count(*) FROM neonferry.chunk WHERE relation ~ 'migrations'"), [["0"]])


class Rows(Pair):
    def fill(self):
        self.there("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' || i "
                   "FROM generate_series(1, 100) i")
        self.here("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'old' "
                  "FROM generate_series(501, 510) i")

    def test_refused_by_default_and_nothing_is_touched(self):
        self.fill()
        for done in self.plan(), self.run_it():
            self.assertEqual(done.status, 3, done.text)
            self.assertIn('table "public"."t" already holds 10 rows', done.err)
            self.assertRegex(done.err, "hint: --on-existing append .*truncate")
        self.assertEqual(self.plan("--on-existing", "append").status, 0)
        self.assertEqual(self.here("SELECT count(*), min(v), max(v) FROM t"), [["10", "old", "old"]])
        self.assertEqual(self.here("SELECT to_regnamespace('neonferry')"), [[None]])

    def test_truncate_says_so_and_moves(self):
        self.fill()
        done = self.moved("--on-existing", "truncate")
        self.assertRegex(done.text, r'removing the rows of "public"."t"')

    def test_truncate_of_a_referenced_table_does_not_reach_the_others(self):
        self.fill()
        self.there("TRUNCATE t")
        self.here("CREATE TABLE r (id int REFERENCES t); INSERT INTO r VALUES (501)")
        done = self.run_it("--on-existing", "truncate")
        self.assertNotEqual(done.status, 0)
        self.assertEqual(self.here("SELECT count(*) FROM r"), [["1"]])

    def test_append_is_proven_as_before_plus_source(self):
        self.fill()
        done = self.run_it("--on-existing", "append")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(rows(self.target, "public.t", db=self.db, where="WHERE id < 500"),
                         rows(self.source, "public.t", db=self.db))
        self.assertEqual(self.here("SELECT count(*) FROM t WHERE v = 'old'"), [["10"]])

    def test_append_of_a_row_that_is_there_stops_and_keeps_what_was(self):
        self.fill()
        self.here("INSERT INTO t VALUES (50, 'mine')")
        done = self.run_it("--on-existing", "append")
        self.assertEqual(done.status, 5, done.text)
        self.assertRegex(done.err, r"t_pkey.*\(id\)=\(50\)")
        self.assertIn("hint:", done.err)
        self.assertEqual(self.here("SELECT v FROM t WHERE id = 50"), [["mine"]])
        self.here("DELETE FROM t WHERE id = 50")
        done = neonferry("resume", self.folder(self.db + "-1"), "--source", self.source.uri(self.db), "--target",
                         self.target.uri(self.db))
        self.assertEqual(done.status, 7, done.text)  # the row from before is gone: that is a difference

    def test_append_with_collections(self):
        self.there(DOCUMENTS + "; INSERT INTO vector_documents SELECT i, 'c' || i % 3, 'x' FROM generate_series(1, 99) i")
        self.here(DOCUMENTS + "; INSERT INTO vector_documents SELECT 500 + i, 'c1', 'y' FROM generate_series(1, 9) i")
        done = self.run_it("--on-existing", "append")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here("SELECT content, count(*) FROM vector_documents GROUP BY 1 ORDER BY 1"),
                         [["x", "99"], ["y", "9"]])

    def test_the_same_database_twice_is_already_there(self):
        self.there("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE INDEX ON t (v); CREATE TABLE e (id int); "
                   "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) i")
        self.moved()
        done = self.moved()
        self.assertRegex(done.out, r"public\.t .*already there")

    def test_parts_of_a_partitioned_table_that_are_there(self):
        sql = """CREATE TABLE p (id int, v text) PARTITION BY RANGE (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
            CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200)"""
        self.there(sql + "; INSERT INTO p SELECT i, 'v' FROM generate_series(0, 199) i")
        self.here(sql + "; INSERT INTO p SELECT i, 'v' FROM generate_series(0, 99) i")
        self.moved()

    def test_partitions_appended_and_truncated(self):
        sql = """CREATE TABLE p (id int, v text) PARTITION BY RANGE (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
            CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200)"""
        self.there(sql + "; INSERT INTO p SELECT i, 'v' FROM generate_series(0, 199) i")
        self.here(sql + "; INSERT INTO p SELECT i, 'old' FROM generate_series(50, 149) i")
        done = self.run_it("--on-existing", "append")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here("SELECT v, count(*) FROM p GROUP BY 1 ORDER BY 1"), [["old", "100"], ["v", "200"]])
        self.moved("--on-existing", "truncate")

    def test_partitions_through_the_root_appended(self):
        self.there("""CREATE TABLE p (id int, v text) PARTITION BY RANGE (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
            CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
            INSERT INTO p SELECT i, 'v' FROM generate_series(0, 199) i""")
        self.here("CREATE TABLE p (id int, v text); INSERT INTO p VALUES (1, 'old')")
        done = self.run_it("--on-existing", "append", "--data-only")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here("SELECT v, count(*) FROM p GROUP BY 1 ORDER BY 1"), [["old", "1"], ["v", "200"]])
        done = self.run_it("--on-existing", "truncate", "--data-only")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(rows(self.target, "public.p", db=self.db), rows(self.source, "public.p", db=self.db))


class Collections(Pair):
    def fill(self):
        self.there(DOCUMENTS + """; INSERT INTO other VALUES (1);
            INSERT INTO vector_documents SELECT i, (ARRAY['a', 'b', 'it''s "c"', NULL])[1 + i % 4], 'x'
            FROM generate_series(1, 400) i""")

    def by_collection(self):
        return dict(self.here("SELECT coalesce(collection_name, '-'), count(*) FROM vector_documents GROUP BY 1"))

    def test_only_the_chosen_ones_go(self):
        """P-106: --collection."""
        self.fill()
        done = self.run_it("--collection", "a", "--collection", 'it\'s "c"')
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.by_collection(), {"a": "100", 'it\'s "c"': "100"})

    def test_a_second_one_beside_the_first(self):
        self.fill()
        for name in "a", "b":
            done = self.run_it("--collection", name)
            self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.by_collection(), {"a": "100", "b": "100"})

    def test_truncate_removes_only_the_chosen_ones(self):
        self.fill()
        self.here(DOCUMENTS + """; INSERT INTO vector_documents SELECT 1000 + i, (ARRAY['a', 'b', NULL])[1 + i % 3], 'old'
            FROM generate_series(1, 30) i""")
        done = self.run_it("--collection", "a")
        self.assertEqual(done.status, 3, done.text)
        self.assertIn("already holds 10 rows of these collections", done.err)
        done = self.run_it("--collection", "a", "--on-existing", "truncate")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.by_collection(), {"a": "100", "b": "10", "-": "10"})

    def test_append_to_the_chosen_ones(self):
        self.fill()
        self.here(DOCUMENTS + """; INSERT INTO vector_documents SELECT 1000 + i, (ARRAY['a', 'b', NULL])[1 + i % 3], 'old'
            FROM generate_series(1, 30) i""")
        done = self.run_it("--collection", "a", "--on-existing", "append")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.by_collection(), {"a": "110", "b": "10", "-": "10"})

    def test_a_collection_that_is_not_there_is_a_usage_error(self):
        self.fill()
        done = self.run_it("--collection", "nobody")
        self.assertEqual(done.status, 2, done.text)
        self.assertIn('"nobody"', done.err)
        self.assertIn("hint:", done.err)

    def test_another_tables_column(self):
        self.there("CREATE TABLE docs (id int, kind int); INSERT INTO docs SELECT i, i % 3 FROM generate_series(1, 90) i")
        done = self.run_it("--collection-column", "docs=kind", "--collection", "2")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here("SELECT kind, count(*) FROM docs GROUP BY 1"), [["2", "30"]])

    def test_an_enum_divides_too(self):
        self.there("CREATE TYPE k AS ENUM ('x', 'y'); CREATE TABLE docs (id int, kind k); "
                   "INSERT INTO docs SELECT i, 'x' FROM generate_series(1, 90) i")
        self.moved("--collection-column", "docs=kind")


class Columns(Pair):
    def test_extra_columns_of_the_target_keep_their_defaults(self):
        self.there("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 100) i")
        self.here("CREATE TABLE t (at timestamptz DEFAULT now(), n int NOT NULL DEFAULT 7, id int PRIMARY KEY, v text, "
                  "s bigserial, x text, g int GENERATED ALWAYS AS (id * 2) STORED)")
        done = self.run_it()
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(rows(self.target, "public.t", "id, v", self.db), rows(self.source, "public.t", "id, v", self.db))
        self.assertEqual(self.here("SELECT count(*), count(DISTINCT s), min(n), count(x) FROM t"), [["100", "100", "7", "0"]])
        self.assertRegex(done.out, r"PASS WITH EXCEPTIONS: .*column")

    def test_extra_columns_with_rows_before(self):
        self.there("CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'a')")
        self.here("CREATE TABLE t (id int, v text, extra int DEFAULT 1); INSERT INTO t VALUES (2, 'b', 5)")
        done = self.run_it("--on-existing", "append")
        self.assertEqual(done.status, 0, done.text)

    def test_already_there_with_extra_columns(self):
        self.there("CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'a')")
        self.here("CREATE TABLE t (id int, v text, extra int DEFAULT 1); INSERT INTO t VALUES (1, 'a', 5)")
        done = self.run_it()
        self.assertEqual(done.status, 0, done.text)
        self.assertIn("already there", done.out)

    def test_a_wider_type_on_the_target(self):
        self.there("CREATE TABLE t (id int, v varchar(9), w vector(2)); INSERT INTO t VALUES (1, 'a', '[1,2]')")
        self.here("CREATE TABLE t (id int, v varchar, w vector)")
        self.moved()

    def test_a_generated_column_is_computed_by_the_target(self):
        self.there("CREATE TABLE t (id int, g int GENERATED ALWAYS AS (id + 1) STORED); INSERT INTO t VALUES (1)")
        self.here("CREATE TABLE t (id int, g int GENERATED ALWAYS AS (id + 100) STORED)")
        done = self.run_it()
        self.assertIn(done.status, (0, 7, 8), done.text)  # the expression is the target's own
        self.assertEqual(self.here("SELECT g FROM t"), [["101"]])

    def test_extension_in_another_schema(self):
        self.there("CREATE TABLE t (id int, w vector(2), ws vector(2)[]); INSERT INTO t VALUES (1, '[1,2]', '{\"[1,2]\"}')")
        self.target.psql("DROP EXTENSION vector; CREATE SCHEMA ext; GRANT USAGE ON SCHEMA ext TO ferry; "
                         "CREATE EXTENSION vector SCHEMA ext; CREATE TABLE t (id int, w ext.vector(2), ws ext.vector(2)[]);"
                         "ALTER TABLE t OWNER TO ferry", db=self.db, user="postgres")
        self.moved("--data-only")


class Choosing(Pair):
    def fill(self):
        self.there("""CREATE SCHEMA s; CREATE TYPE s.kind AS ENUM ('x');
            CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int REFERENCES a); CREATE TABLE s.c (k s.kind);
            CREATE TABLE "D d" (id int); INSERT INTO a SELECT FROM generate_series(1, 10); INSERT INTO b VALUES (1), (2);
            INSERT INTO s.c VALUES ('x'); INSERT INTO "D d" VALUES (5)""")

    def test_only_one_table(self):
        """P-106: --table."""
        self.fill()
        done = self.moved("--table", "a", only=["public.a"])
        self.assertEqual(sorted(relations(self.target, self.db)), ["public.a"])
        self.assertEqual(self.here("SELECT nextval('a_id_seq')"), [["11"]], done.text)

    def test_a_table_of_another_schema_with_its_type(self):
        self.fill()
        self.moved("--table", "s.c", only=["s.c"])

    def test_a_quoted_table(self):
        self.fill()
        self.moved("--table", '"D d"', only=['public."D d"'])

    def test_all_but_one(self):
        """P-106: --exclude-table."""
        self.fill()
        self.moved("--exclude-table", "b", only=["public.a", "s.c", 'public."D d"'])
        self.assertNotIn("public.b", relations(self.target, self.db))

    def test_a_table_whose_foreign_key_points_outside(self):
        self.fill()
        done = self.run_it("--table", "b")
        self.assertIn(done.status, (0, 5), done.text)
        self.assertEqual(rows(self.target, "public.b", db=self.db), rows(self.source, "public.b", db=self.db))

    def test_a_table_that_is_not_there_is_a_usage_error(self):
        self.fill()
        for option in "--table", "--exclude-table":
            done = self.run_it(option, "nosuch")
            self.assertEqual(done.status, 2, done.text)
            self.assertIn("nosuch", done.err)

    def test_schema_only_then_data_only(self):
        self.fill()
        done = self.run_it("--schema-only")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(sorted(relations(self.target, self.db)), sorted(relations(self.source, self.db)))
        self.assertEqual(rows(self.target, "public.a", db=self.db), [])
        self.moved("--data-only")
        self.assertEqual(schema_text(self.target, self.db), schema_text(self.source, self.db))

    def test_copy_moves_rows_only(self):
        self.fill()
        self.assertEqual(self.run_it("--schema-only").status, 0)
        done = self.run_it(command="copy")
        self.assertEqual(done.status, 0, done.text)
        assert_same(self, self.source, self.target, self.db, self.db)

    def test_copy_into_tables_that_are_not_there_is_refused(self):
        self.fill()
        done = self.run_it(command="copy")
        self.assertEqual(done.status, 3, done.text)
        self.assertIn("there is no table", done.err)


class Neighbours(Pair):
    """Rows of tables that are not the run's are never taken along, whatever their foreign keys do."""

    def both(self, sql):
        self.there(sql)
        self.here(sql)

    def parents(self):
        self.both("""CREATE TABLE x (id int PRIMARY KEY, c text);
            CREATE TABLE y (id int PRIMARY KEY, x int REFERENCES x ON DELETE CASCADE);
            CREATE TABLE z (id int, x int REFERENCES x ON DELETE SET NULL)""")
        self.there("INSERT INTO x SELECT i, 'c' || i % 3 FROM generate_series(1, 300) i; "
                   "INSERT INTO y SELECT i, i FROM generate_series(1, 50) i")

    def test_truncate_does_not_reach_tables_outside_the_run(self):
        self.parents()
        self.here("INSERT INTO x VALUES (3, 'c0'), (4000, 'zz'), (6, 'c0'); INSERT INTO y VALUES (9001, 3), (9002, NULL)")
        for args in ((), ("--collection-column", "x=c", "--collection", "c0")):
            for go in self.plan, self.run_it:
                done = go("--table", "x", "--on-existing", "truncate", *args)
                self.assertEqual(done.status, 3, done.text[-2000:])
                self.assertRegex(done.err, r'emptying "public"\."x" would reach rows of public\.y, by its foreign key y_x_fkey '
                                           r"\(ON DELETE CASCADE\)")
                self.assertIn("hint: take that table along", done.err)
            self.assertEqual(self.here("SELECT count(*) FROM x UNION ALL SELECT count(*) FROM y"), [["3"], ["2"]])
        # Another collection than the one that y refers to may be emptied, and both tables together.
        done = self.run_it("--table", "x", "--on-existing", "truncate", "--collection-column", "x=c", "--collection", "c1")
        self.assertEqual(done.status, 0, done.text[-2000:])
        self.assertEqual(self.here("SELECT count(*) FROM y"), [["2"]])
        self.moved("--on-existing", "truncate")

    def test_abort_does_not_reach_rows_that_came_to_refer(self):
        self.parents()
        done = self.run_it("--data-only", "--table", "x")
        self.assertEqual(done.status, 0, done.text[-2000:])
        self.here("INSERT INTO y VALUES (999, 5); INSERT INTO z VALUES (1, 6)")
        folder = self.folder("%s-%d" % (self.db, self.runs))
        done = neonferry("abort", folder, "--target", self.target.uri(self.db), "--yes")
        self.assertEqual(done.status, 3, done.text)
        self.assertRegex(done.err, "would reach rows of public.[yz], by its foreign key")
        self.assertIn("--keep-data", done.err)
        self.assertEqual(self.here("SELECT * FROM y"), [["999", "5"]])
        self.assertEqual(self.here("SELECT * FROM z"), [["1", "6"]])
        self.here("DELETE FROM y; DELETE FROM z")
        done = neonferry("abort", folder, "--target", self.target.uri(self.db), "--yes")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here("SELECT count(*) FROM x"), [["0"]])

    def test_abort_removes_children_before_their_parents(self):
        self.parents()
        done = self.run_it("--data-only")
        self.assertEqual(done.status, 0, done.text[-2000:])
        done = neonferry("abort", self.folder("%s-%d" % (self.db, self.runs)), "--target", self.target.uri(self.db), "--yes")
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here("SELECT count(*) FROM x UNION ALL SELECT count(*) FROM y"), [["0"], ["0"]])

    def abort(self):
        return neonferry("abort", self.folder("%s-%d" % (self.db, self.runs)), "--target", self.target.uri(self.db), "--yes")

    def test_abort_says_what_it_could_not_remove_also_where_the_rest_went(self):
        self.parents()
        self.both("CREATE TABLE zz (id int)")
        self.there("INSERT INTO zz VALUES (1)")
        self.assertEqual(self.run_it("--data-only", "--table", "x", "--table", "zz").status, 0)
        self.here("INSERT INTO y VALUES (999, 5)")
        done = self.abort()
        self.assertEqual(done.status, 3, done.text)
        self.assertIn("would reach rows of public.y", done.err)

    def test_abort_removes_rows_that_refer_to_one_another(self):
        self.both("""CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE, beside int REFERENCES tree ON DELETE SET NULL);
            CREATE TABLE p (id int PRIMARY KEY, up int REFERENCES p ON DELETE CASCADE) PARTITION BY RANGE (id);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
            CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
            ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b ON DELETE SET NULL""")
        self.there("""INSERT INTO tree SELECT i, nullif(i / 3, 0), nullif(i - 1, 0) FROM generate_series(1, 300) i;
            INSERT INTO p SELECT i, CASE WHEN i < 150 THEN i + 50 ELSE i - 140 END FROM generate_series(1, 199) i;
            INSERT INTO a SELECT i, NULL FROM generate_series(1, 50) i; INSERT INTO b SELECT i, i FROM generate_series(1, 50) i;
            UPDATE a SET b = id""")
        self.here("INSERT INTO tree VALUES (0, 0, 0); INSERT INTO a VALUES (0, NULL); INSERT INTO b VALUES (0, 0)")
        count = "SELECT (SELECT count(*) FROM tree), (SELECT count(*) FROM p), (SELECT count(*) FROM a), (SELECT count(*) FROM b)"
        done = self.run_it("--data-only", "--on-existing", "append")
        self.assertEqual(done.status, 0, done.text[-2000:])
        self.assertEqual(self.here(count), [["301", "199", "51", "51"]])
        # A row of another that would go with them is still in the way.
        self.here("INSERT INTO tree VALUES (-1, 7, NULL)")
        done = self.abort()
        self.assertEqual(done.status, 3, done.text)
        self.assertIn("would reach rows of public.tree, by its foreign key tree_up_fkey", done.err)
        self.assertEqual(self.here("SELECT count(*) FROM tree"), [["302"]])
        self.here("DELETE FROM tree WHERE id = -1")
        done = self.abort()
        self.assertEqual(done.status, 0, done.text)
        self.assertEqual(self.here(count), [["1", "0", "1", "1"]])

    def test_what_another_run_set_aside_is_asked_for(self):
        self.there("CREATE TABLE a (id int PRIMARY KEY, c text); CREATE INDEX a_c ON a (c); "
                   "INSERT INTO a SELECT i, i FROM generate_series(1, 100) i")
        self.here("CREATE TABLE a (id int PRIMARY KEY, c text); CREATE INDEX a_c ON a (c); INSERT INTO a VALUES (5, 'mine')")
        done = self.run_it("--on-existing", "append")
        self.assertEqual(done.status, 5, done.text[-2000:])
        first = self.folder("%s-%d" % (self.db, self.runs))
        self.assertEqual(self.here("SELECT count(*) FROM pg_indexes WHERE indexname = 'a_c'"), [["0"]])
        done = self.run_it("--on-existing", "truncate")
        self.assertEqual(done.status, 3, done.text[-2000:])
        self.assertRegex(done.err, r"run \S+ set 1 indexes, constraints or triggers of public\.a aside .* not put them back")
        done = neonferry("abort", first, "--target", self.target.uri(self.db), "--yes")
        self.assertEqual(done.status, 0, done.text)
        self.moved("--on-existing", "truncate")
        self.assertEqual(self.here("SELECT count(*) FROM pg_indexes WHERE indexname = 'a_c'"), [["1"]])


if __name__ == "__main__":
    unittest.main()
