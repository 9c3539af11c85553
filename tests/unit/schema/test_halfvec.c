/* halfvec: which columns are marked, and what a dump's tables and indexes say afterwards. */
#include "common/attr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/halfvec.h"

#include <stdlib.h>
#include <string.h>

/* What becomes of one entry of table s."t x" when column is converted. */
static void expect(const char *type, const char *column, const char *before, const char *after)
{
	struct archive_entry entry = { .type = (char *)(uintptr_t)type,
				       .schema = (char *)(uintptr_t) "s",
				       .sql = strdup(before) };
	struct archive a = { .n_entries = 1, .entries = &entry };
	json_t *list = json_pack("[{s:s, s:s, s:s, s:s}]", "schema", "s", "table", "t x", "column",
				 column, "in", "\"ext\"");
	struct err e = ERR_INIT;

	if (strcmp(type, "TABLE") == 0)
		entry.tag = (char *)(uintptr_t) "t x";
	else
		entry.table = (char *)(uintptr_t) "t x";
	assert_int_equal(halfvec_archive(&a, list, &e), 0);
	assert_string_equal(entry.sql, after);
	free(entry.sql);
	json_decref(list);
}

static void only_the_column_of_a_table_changes(void **state)
{
	(void)state;
	expect("TABLE", "e",
	       "CREATE TABLE s.\"t x\" (\n    id integer,\n    e ext.vector(3) DEFAULT "
	       "'[1,2,3]'::ext.vector NOT NULL,\n"
	       "    f ext.vector(3),\n    CONSTRAINT c CHECK ((e <> '[0,0,0]'::ext.vector))\n);",
	       "CREATE TABLE s.\"t x\" (\n    id integer,\n    e ext.halfvec(3) DEFAULT "
	       "'[1,2,3]'::ext.vector NOT NULL,\n"
	       "    f ext.vector(3),\n    CONSTRAINT c CHECK ((e <> '[0,0,0]'::ext.vector))\n);");
	expect("TABLE", "A \"b\"",
	       "CREATE TABLE s.\"t x\" (\n    \"A \"\"b\"\"\" \"my.ext\".vector\n);",
	       "CREATE TABLE s.\"t x\" (\n    \"A \"\"b\"\"\" \"my.ext\".halfvec\n);");
	expect("TABLE", "vector", "CREATE TABLE s.\"t x\" (vector ext.vector(2), id text);",
	       "CREATE TABLE s.\"t x\" (vector ext.halfvec(2), id text);");
	expect("TABLE", "e", "CREATE TABLE s.\"t x\" (e ext.vectors, id ext.vector);",
	       "CREATE TABLE s.\"t x\" (e ext.vectors, id ext.vector);");
}

static void operator_classes_behind_the_column_change(void **state)
{
	(void)state;
	expect("INDEX", "e",
	       "CREATE INDEX i ON s.\"t x\" USING hnsw (e ext.vector_cosine_ops) WITH (m='8');",
	       "CREATE INDEX i ON s.\"t x\" USING hnsw (e ext.halfvec_cosine_ops) WITH (m='8');");
	expect("INDEX", "e", "CREATE INDEX i ON ONLY s.\"t x\" USING ivfflat (e) WITH (lists='5');",
	       "CREATE INDEX i ON ONLY s.\"t x\" USING ivfflat (e \"ext\".halfvec_l2_ops) WITH "
	       "(lists='5');");
	expect("INDEX", "e", "CREATE INDEX i ON s.\"t x\" USING btree (id, e, f);",
	       "CREATE INDEX i ON s.\"t x\" USING btree (id, e, f);");
	expect("INDEX", "e",
	       "CREATE INDEX i ON s.\"t x\" USING hnsw (((e)::ext.vector(2)) ext.vector_l2_ops) "
	       "WHERE (e IS NOT NULL);",
	       "CREATE INDEX i ON s.\"t x\" USING hnsw (((e)::ext.vector(2)) ext.vector_l2_ops) "
	       "WHERE (e IS NOT NULL);");
	expect("INDEX", "e", "CREATE INDEX i ON s.\"t x\" USING hnsw (f ext.vector_ip_ops);",
	       "CREATE INDEX i ON s.\"t x\" USING hnsw (f ext.vector_ip_ops);");
}

static void other_entries_stay(void **state)
{
	(void)state;
	expect("VIEW", "e", "CREATE VIEW v (e) AS SELECT e ext.vector;",
	       "CREATE VIEW v (e) AS SELECT e ext.vector;");
	expect("TABLE", "e", "CREATE TABLE s.\"t x\" (", "CREATE TABLE s.\"t x\" (");
	expect("INDEX", "e", "CREATE INDEX", "CREATE INDEX");
	expect("INDEX", "e", "CREATE INDEX i ON s.\"t x\" USING hnsw (e",
	       "CREATE INDEX i ON s.\"t x\" USING hnsw (e");
}

static void functions_come_from_the_schema_of_vector(void **state)
{
	char *cast = NULL, *send = NULL, *in;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(halfvec_functions("\"my \"\"ext\".\"vector_send\"", &cast, &send, &e), 0);
	assert_string_equal(cast, "(%s)::\"my \"\"ext\".\"halfvec\"");
	assert_string_equal(send, "\"my \"\"ext\".\"halfvec_send\"");
	in = halfvec_schema(cast);
	assert_string_equal(in, "\"my \"\"ext\"");
	free(cast);
	free(send);
	free(in);
	assert_int_equal(halfvec_functions(NULL, &cast, &send, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_column_of_a_table_changes),
		cmocka_unit_test(operator_classes_behind_the_column_change),
		cmocka_unit_test(other_entries_stay),
		cmocka_unit_test(functions_come_from_the_schema_of_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
