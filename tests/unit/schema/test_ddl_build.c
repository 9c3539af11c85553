/* Who may build what, and when. */
#include "schema/ddl_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Tables a, b, c: pre-data entries 0 to 2; what is built on them behind. */
enum { A, B, C, A_KEY, A_INDEX, A_OTHER, A_MARKED, A_HNSW, B_KEY, B_HNSW, C_KEY, B_TO_A, N };

struct lab {
	struct archive archive;
	struct archive_entry entries[N];
	struct ddl_post post;
	int64_t bytes[N];
	struct ddl_build *build;
};

/* Nobody writes into these strings. */
static char *plain(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void table(struct lab *lab, int i, char *name)
{
	lab->entries[i] = (struct archive_entry){
		.dump_id = i + 1, .type = plain("TABLE"), .schema = plain("s"), .tag = name,
		.section = ARCHIVE_PRE_DATA, .parent = -1
	};
}

static void part(struct lab *lab, int i, const char *type, int of, const char *sql)
{
	lab->entries[i] = (struct archive_entry){
		.dump_id = i + 1, .type = plain(type), .schema = plain("s"), .tag = plain("t i"),
		.table = lab->entries[of].tag, .section = ARCHIVE_POST_DATA, .parent = of,
		.sql = plain(sql)
	};
}

static void set_up(struct lab *lab, int jobs)
{
	struct err e = ERR_INIT;
	PGresult *none = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	*lab = (struct lab){ .bytes = { [A] = 5 << 20, [B] = 50 << 20, [C] = 7 } };
	table(lab, A, plain("a"));
	table(lab, B, plain("b"));
	table(lab, C, plain("c"));
	part(lab, A_KEY, "CONSTRAINT", A, "ALTER TABLE ONLY s.a ADD CONSTRAINT k PRIMARY KEY (i);");
	part(lab, A_INDEX, "INDEX", A, "CREATE INDEX i ON s.a USING btree (v);");
	part(lab, A_OTHER, "INDEX", A, "CREATE INDEX o ON s.a USING gin (w);");
	part(lab, A_MARKED, "INDEX", A,
	     "CREATE UNIQUE INDEX m ON s.a USING btree (u);\n\n"
	     "ALTER TABLE ONLY s.a REPLICA IDENTITY USING INDEX m;");
	part(lab, A_HNSW, "INDEX", A, "CREATE INDEX h ON s.a USING hnsw (e public.vector_l2_ops);");
	part(lab, B_KEY, "CONSTRAINT", B, "ALTER TABLE ONLY s.b ADD CONSTRAINT k PRIMARY KEY (i);");
	part(lab, B_HNSW, "INDEX", B, "CREATE INDEX h ON s.b USING hnsw (e public.vector_l2_ops);");
	part(lab, C_KEY, "CONSTRAINT", C, "ALTER TABLE ONLY s.c ADD CONSTRAINT k PRIMARY KEY (i);");
	part(lab, B_TO_A, "FK CONSTRAINT", B,
	     "ALTER TABLE ONLY s.b ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES s.a(i);");
	lab->archive = (struct archive){ .n_entries = N, .entries = lab->entries };
	lab->post = (struct ddl_post){ .archive = &lab->archive };
	lab->post.state = (struct ddl_state){ .archive = &lab->archive,
					      .outcome = calloc(N, sizeof(enum ddl_outcome)),
					      .validated = calloc(N, sizeof(bool)) };
	assert_int_equal(ddl_build_new(&lab->build, jobs, &e), 0);
	assert_int_equal(ddl_build_add(lab->build, &lab->post, lab->bytes, none, &e), 0);
	PQclear(none);
}

static void tear_down(struct lab *lab)
{
	ddl_build_free(lab->build);
	ddl_state_done(&lab->post.state);
}

/* The next hand is this kind with this entry first; n entries. */
static struct ddl_build_hand expect(struct lab *lab, bool vectors, enum ddl_build_kind kind, int entry,
				    int n)
{
	struct ddl_build_hand hand = { 0 };

	assert_int_equal(ddl_build_next(lab->build, vectors, &hand), 1);
	assert_int_equal(hand.kind, kind);
	assert_int_equal(hand.entries[0], entry);
	assert_int_equal(hand.n, n);
	return hand;
}

static void done(struct lab *lab, struct ddl_build_hand *hand)
{
	for (int i = 0; i < hand->n; i++)
		lab->post.state.outcome[hand->entries[i]] = DDL_APPLIED;
	ddl_build_done(lab->build, hand);
}

/* Asks as a session does: it has waited some seconds then. */
static void expect_nothing(struct lab *lab, bool vectors)
{
	struct ddl_build_hand hand;

	assert_int_equal(ddl_build_next(lab->build, vectors, &hand), 0);
}

static void build_rest_of_a(struct lab *lab)
{
	for (int i = A_INDEX; i <= A_OTHER; i++) {
		struct ddl_build_hand hand = expect(lab, false, DDL_BUILD_INDEX, i, 1);
		done(lab, &hand);
	}
}

static void test_a_table_is_built_when_it_is_loaded(void **state)
{
	struct lab lab;

	(void)state;
	set_up(&lab, 4);
	ddl_build_loaded(lab.build, "\"s\".\"unknown\"", 1);
	ddl_build_loaded(lab.build, "\"s\".\"a\"", 5 << 20);
	struct ddl_build_hand a = expect(&lab, false, DDL_BUILD_INDEX, A_KEY, 2);
	assert_false(a.small);
	assert_int_equal(a.entries[1], A_MARKED);
	done(&lab, &a);
	build_rest_of_a(&lab);
	struct ddl_build_hand h = expect(&lab, true, DDL_BUILD_VECTOR, A_HNSW, 1);
	done(&lab, &h);
	expect_nothing(&lab, false); /* b is not there, so the foreign key waits, too */
	ddl_build_loaded(lab.build, "\"s\".\"b\"", 1);
	struct ddl_build_hand b = expect(&lab, false, DDL_BUILD_INDEX, B_KEY, 1);
	done(&lab, &b);
	struct ddl_build_hand add = expect(&lab, false, DDL_BUILD_ADD, B_TO_A, 1);
	done(&lab, &add);
	struct ddl_build_hand validate = expect(&lab, false, DDL_BUILD_VALIDATE, B_TO_A, 1);
	done(&lab, &validate);
	tear_down(&lab);
}

static void test_one_session_while_tables_are_loaded(void **state)
{
	struct lab lab;

	(void)state;
	set_up(&lab, 2);
	ddl_build_loaded(lab.build, "\"s\".\"a\"", 0);
	ddl_build_loaded(lab.build, "\"s\".\"b\"", 0);
	struct ddl_build_hand b = expect(&lab, false, DDL_BUILD_INDEX, B_KEY, 1); /* the largest */
	assert_false(ddl_build_sort_begin(lab.build)); /* without workers */
	ddl_build_sort_end(lab.build, false);
	expect_nothing(&lab, false);
	ddl_build_all_loaded(lab.build);
	struct ddl_build_hand a = expect(&lab, false, DDL_BUILD_INDEX, A_KEY, 2);
	done(&lab, &a);
	done(&lab, &b);
	tear_down(&lab);
}

static void test_nothing_else_on_a_table_in_a_hand(void **state)
{
	struct lab lab;

	(void)state;
	set_up(&lab, 4);
	ddl_build_all_loaded(lab.build);
	struct ddl_build_hand b = expect(&lab, false, DDL_BUILD_INDEX, B_KEY, 1);
	struct ddl_build_hand a = expect(&lab, false, DDL_BUILD_INDEX, A_KEY, 2);
	struct ddl_build_hand c = expect(&lab, false, DDL_BUILD_INDEX, C_KEY, 1);
	assert_true(c.small);
	expect_nothing(&lab, true);
	done(&lab, &c);
	done(&lab, &a);
	done(&lab, &b);
	build_rest_of_a(&lab);
	struct ddl_build_hand h = expect(&lab, true, DDL_BUILD_VECTOR, B_HNSW, 1);
	expect_nothing(&lab, false); /* the key needs both tables free */
	done(&lab, &h);
	struct ddl_build_hand add = expect(&lab, false, DDL_BUILD_ADD, B_TO_A, 1);
	expect_nothing(&lab, true); /* a and b are in the key's hands */
	done(&lab, &add);
	tear_down(&lab);
}

static void test_plain_indexes_of_a_large_table_are_built_beside_each_other(void **state)
{
	struct lab lab;

	(void)state;
	set_up(&lab, 4);
	ddl_build_loaded(lab.build, "\"s\".\"a\"", 0);
	struct ddl_build_hand key = expect(&lab, false, DDL_BUILD_INDEX, A_KEY, 2);
	ddl_build_all_loaded(lab.build);
	struct ddl_build_hand b = expect(&lab, false, DDL_BUILD_INDEX, B_KEY, 1);
	struct ddl_build_hand c = expect(&lab, false, DDL_BUILD_INDEX, C_KEY, 1);
	expect_nothing(&lab, false); /* the key has the table for itself */
	done(&lab, &key);
	struct ddl_build_hand index = expect(&lab, false, DDL_BUILD_INDEX, A_INDEX, 1);
	assert_false(index.small);
	done(&lab, &c);
	struct ddl_build_hand other = expect(&lab, false, DDL_BUILD_INDEX, A_OTHER, 1);
	done(&lab, &index);
	expect_nothing(&lab, true); /* vectors wait for the last of them */
	done(&lab, &other);
	struct ddl_build_hand h = expect(&lab, true, DDL_BUILD_VECTOR, A_HNSW, 1);
	done(&lab, &b);
	done(&lab, &h);
	tear_down(&lab);
}

static void test_sorts_leave_the_workers_to_a_vector_index(void **state)
{
	struct lab lab;

	(void)state;
	set_up(&lab, 4);
	ddl_build_all_loaded(lab.build);
	struct ddl_build_hand b = expect(&lab, false, DDL_BUILD_INDEX, B_KEY, 1);
	assert_true(ddl_build_sort_begin(lab.build));
	ddl_build_sort_end(lab.build, true);
	done(&lab, &b);
	struct ddl_build_hand h = expect(&lab, true, DDL_BUILD_VECTOR, B_HNSW, 1);
	assert_false(ddl_build_sort_begin(lab.build));
	ddl_build_sort_end(lab.build, false);
	done(&lab, &h);
	assert_true(ddl_build_sort_begin(lab.build)); /* a's vectors wait for a's key */
	ddl_build_sort_end(lab.build, true);
	tear_down(&lab);
}

static void test_a_foreign_key_that_was_there_is_not_validated(void **state)
{
	struct lab lab;
	struct ddl_build_hand hand;

	(void)state;
	set_up(&lab, 4);
	ddl_build_all_loaded(lab.build);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ddl_build_next(lab.build, false, &hand), 1);
		done(&lab, &hand);
	}
	hand = expect(&lab, false, DDL_BUILD_ADD, B_TO_A, 1);
	lab.post.state.outcome[B_TO_A] = DDL_PRESENT;
	ddl_build_done(lab.build, &hand);
	assert_int_equal(ddl_build_next(lab.build, false, &hand), -1);
	tear_down(&lab);
}

static void test_the_end_ends_everybody(void **state)
{
	struct lab lab;
	struct ddl_build_hand hand;

	(void)state;
	set_up(&lab, 4);
	ddl_build_all_loaded(lab.build);
	ddl_build_end(lab.build);
	assert_int_equal(ddl_build_next(lab.build, false, &hand), -1);
	assert_int_equal(ddl_build_next(lab.build, true, &hand), -1);
	tear_down(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_table_is_built_when_it_is_loaded),
		cmocka_unit_test(test_one_session_while_tables_are_loaded),
		cmocka_unit_test(test_nothing_else_on_a_table_in_a_hand),
		cmocka_unit_test(test_plain_indexes_of_a_large_table_are_built_beside_each_other),
		cmocka_unit_test(test_sorts_leave_the_workers_to_a_vector_index),
		cmocka_unit_test(test_a_foreign_key_that_was_there_is_not_validated),
		cmocka_unit_test(test_the_end_ends_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
