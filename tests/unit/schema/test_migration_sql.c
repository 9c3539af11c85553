/* Scripts taken apart: statements, those that must be alone, what is refused. */
#include "schema/migration_sql.h"

#include "schema/migration_file.h"
#include "common/text.h"
#include "tests/unit/common/unit.h"

struct parsed {
	struct migration_script script;
	struct migration_sql sql;
};

static struct parsed parse(const char *sql)
{
	struct parsed p = { 0 };

	assert_ok(migration_script_parse(&p.script, "f.sql", "f.sql", sql, strlen(sql), E));
	assert_ok(migration_sql_parse(&p.sql, &p.script, E));
	return p;
}

static void done(struct parsed *p)
{
	migration_sql_done(&p->sql);
	migration_script_done(&p->script);
}

static void expect_statements(const char *sql, int n, const char *const *texts)
{
	struct parsed p = parse(sql);

	assert_int_equal(p.sql.n, n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(p.sql.list[i].len, strlen(texts[i]));
		assert_memory_equal(p.sql.list[i].at, texts[i], p.sql.list[i].len);
	}
	done(&p);
}

static void semicolons_within_anything_do_not_split(void **state)
{
	static const char *const texts[] = {
		"SELECT ';'", "SELECT E'\\';'", "SELECT $a$;$b$;$a$", "SELECT \";\"",
		"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT /* ; /* ; */ ; */ 1",
	};
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		text_addf(&t, " ; -- not; this\n%s;", texts[i]);
	expect_statements(text_str(&t), (int)ARRAY_LEN(texts), texts);
}

static void an_atomic_body_is_one_statement(void **state)
{
	static const char *const texts[] = {
		"CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a > 1 THEN 2 END; END",
		"CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
		"SELECT 1",
	};
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		text_addf(&t, "%s;\n", texts[i]);
	expect_statements(text_str(&t), (int)ARRAY_LEN(texts), texts);
}

static void what_must_be_alone_is_recognised(void **state)
{
	static const struct {
		const char *sql, *alone;
	} cases[] = {
		{ "CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX CONCURRENTLY" },
		{ "create /* x */ unique index concurrently ON t (a)", "CREATE INDEX CONCURRENTLY" },
		{ "DROP INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY" },
		{ "REINDEX (VERBOSE) TABLE CONCURRENTLY t", "REINDEX CONCURRENTLY" },
		{ "VACUUM (ANALYZE) t", "VACUUM" },
		{ "ALTER TABLE s.t DETACH PARTITION p CONCURRENTLY", "DETACH PARTITION CONCURRENTLY" },
		{ "ALTER SYSTEM SET work_mem = '1GB'", "ALTER SYSTEM" },
		{ "CREATE INDEX i ON t (a)", NULL },
		{ "CREATE INDEX \"concurrently\" ON t (a)", NULL },
		{ "COMMENT ON TABLE t IS 'CREATE INDEX CONCURRENTLY'", NULL },
		{ "REFRESH MATERIALIZED VIEW CONCURRENTLY v", NULL },
		{ "ALTER TYPE e ADD VALUE 'x'", NULL },
		{ "CREATE FUNCTION vacuum() RETURNS int LANGUAGE sql AS 'VACUUM'", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed p = parse(cases[i].sql);
		assert_int_equal(p.sql.n, 1);
		if (cases[i].alone && p.sql.list[0].alone)
			assert_string_equal(p.sql.list[0].alone, cases[i].alone);
		else if (cases[i].alone || p.sql.list[0].alone)
			fail_msg("%s: %s", cases[i].sql, p.sql.list[0].alone ? "alone" : "not alone");
		assert_int_equal(p.sql.stepwise, cases[i].alone != NULL);
		done(&p);
	}
}

static void begin_and_commit_around_all_are_left_out(void **state)
{
	struct parsed p = parse("-- head\nBEGIN;\nCREATE TABLE a (i int);\nSELECT 1;\nCOMMIT;\n");

	(void)state;
	assert_int_equal(p.sql.n, 2);
	assert_int_equal(p.sql.body_line, 3);
	assert_memory_equal(p.sql.body, "CREATE TABLE a (i int);\nSELECT 1", p.sql.body_len);
	assert_int_equal(p.sql.list[1].line, 4);
	done(&p);
}

static void refusals_name_file_and_line(void **state)
{
	static const struct {
		const char *sql, *text;
	} cases[] = {
		{ "SELECT 1;\n\\restrict x\n", "f.sql: line 2: a meta-command of psql" },
		{ "COPY t FROM stdin;\n1\n\\.\n", "f.sql: line 1: COPY FROM STDIN" },
		{ "SELECT 1;\nCOMMIT;\nSELECT 2;", "f.sql: line 2: controls the transaction" },
		{ "BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nCOMMIT;",
		  "f.sql: line 3: controls the transaction" },
		{ "-- neonferry: batch\nUPDATE t SET a = 1;\nSELECT 1",
		  "f.sql: line 3: a batch is one" },
		{ "COPY t TO STDOUT", "nowhere to write to" },
		{ "-- neonferry: batch\nVACUUM t", "a batch is one statement" },
		{ "-- neonferry: batch\nSELECT 1", "it would never end" },
		{ "-- neonferry: batch\nWITH d AS (DELETE FROM t) SELECT 1", "it would never end" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct migration_script s = { 0 };
		struct migration_sql m = { 0 };
		struct err e = ERR_INIT;
		assert_ok(migration_script_parse(&s, "f.sql", "f.sql", cases[i].sql,
						 strlen(cases[i].sql), E));
		assert_int_equal(migration_sql_parse(&m, &s, &e), -1);
		assert_has(e.text, cases[i].text);
		assert_true(e.hint[0]);
		migration_script_done(&s);
	}
	struct parsed p = parse("SAVEPOINT a; SELECT 1; ROLLBACK TO a");
	assert_int_equal(p.sql.n, 3);
	done(&p);
}

static void the_index_of_a_concurrent_build_is_found(void **state)
{
	static const struct {
		const char *sql, *index, *table;
	} cases[] = {
		{ "CREATE INDEX CONCURRENTLY i ON s.t (a)", "i", "s.t" },
		{ "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"I x\" ON ONLY t USING hnsw (a)", "\"I x\"", "t" },
		{ "CREATE INDEX CONCURRENTLY ON t (a)", NULL, NULL },
		{ "CREATE INDEX i ON t (a)", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_TEXT struct text index = TEXT_INIT;
		AUTO_TEXT struct text table = TEXT_INIT;
		struct parsed p = parse(cases[i].sql);
		assert_int_equal(migration_sql_index(&p.sql.list[0], &index, &table), cases[i].index != NULL);
		if (cases[i].index) {
			assert_string_equal(text_str(&index), cases[i].index);
			assert_string_equal(text_str(&table), cases[i].table);
		}
		done(&p);
	}
}

static void positions_count_characters(void **state)
{
	(void)state;
	assert_int_equal(migration_sql_line("é\nfoo\nbar", 5, 1), 5);
	assert_int_equal(migration_sql_line("é\nfoo\nbar", 5, 3), 6);
	assert_int_equal(migration_sql_line("é\nfoo\nbar", 5, 7), 7);
	assert_int_equal(migration_sql_line("a", 1, 100), 1);
}

static void nothing_is_no_statement(void **state)
{
	struct parsed p = parse("-- nothing here\n/* nor here */ ;;\n");

	(void)state;
	assert_int_equal(p.sql.n, 0);
	assert_null(p.sql.body);
	done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(semicolons_within_anything_do_not_split),
		cmocka_unit_test(an_atomic_body_is_one_statement),
		cmocka_unit_test(what_must_be_alone_is_recognised),
		cmocka_unit_test(begin_and_commit_around_all_are_left_out),
		cmocka_unit_test(refusals_name_file_and_line),
		cmocka_unit_test(the_index_of_a_concurrent_build_is_found),
		cmocka_unit_test(positions_count_characters),
		cmocka_unit_test(nothing_is_no_statement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
