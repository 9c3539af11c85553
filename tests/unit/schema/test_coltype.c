/* The type rules, on rows as the server would answer them. */
#include "schema/coltype.h"

#include "schema/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* In the order of enum query_type_column; "" stands for NULL. Sorted by OID, as text of one length.
 */
static const char *const rows[][QY_N] = {
	{ "16", "bool", "\"pg_catalog\".\"bool\"", "b", "f", "\"pg_catalog\".\"boolsend\"", "t",
	  "f", "", "" },
	{ "23", "int4", "\"pg_catalog\".\"int4\"", "b", "f", "\"pg_catalog\".\"int4send\"", "t",
	  "f", "", "" },
	{ "1007", "_int4", "\"pg_catalog\".\"_int4\"", "b", "t", "\"pg_catalog\".\"array_send\"",
	  "t", "f", "", "23" },
	{ "1033", "aclitem", "\"pg_catalog\".\"aclitem\"", "b", "f", "", "f", "f", "", "" },
	{ "2205", "regclass", "\"pg_catalog\".\"regclass\"", "b", "f",
	  "\"pg_catalog\".\"regclasssend\"", "t", "t", "", "" },
	{ "2210", "_regclass", "\"pg_catalog\".\"_regclass\"", "b", "t",
	  "\"pg_catalog\".\"array_send\"", "t", "f", "", "2205" },
	{ "3904", "int4range", "\"pg_catalog\".\"int4range\"", "r", "f",
	  "\"pg_catalog\".\"range_send\"", "t", "f", "", "23" },
	{ "20001", "mood", "\"public\".\"mood\"", "e", "f", "\"pg_catalog\".\"enum_send\"", "t",
	  "f", "", "" },
	{ "20002", "_mood", "\"public\".\"_mood\"", "b", "t", "\"pg_catalog\".\"array_send\"", "t",
	  "f", "", "20001" },
	{ "20003", "vector", "\"x y\".\"vector\"", "b", "f", "\"x y\".\"vector_send\"", "t", "f",
	  "vector", "" },
	{ "20004", "outer", "\"public\".\"outer\"", "d", "f", "\"x y\".\"vector_send\"", "t", "f",
	  "", "20005" },
	{ "20005", "inner", "\"public\".\"inner\"", "d", "f", "\"x y\".\"vector_send\"", "t", "f",
	  "", "20003" },
	{ "20006", "pair", "\"public\".\"pair\"", "c", "f", "\"pg_catalog\".\"record_send\"", "t",
	  "f", "", "23 20003" },
	{ "20007", "bad", "\"public\".\"bad\"", "c", "f", "\"pg_catalog\".\"record_send\"", "t",
	  "f", "", "23 20008" },
	{ "20008", "_bad", "\"public\".\"_bad\"", "b", "t", "\"pg_catalog\".\"array_send\"", "t",
	  "f", "", "2210" },
	{ "20009", "vector", "\"public\".\"vector\"", "b", "f", "\"public\".\"my_send\"", "t", "f",
	  "", "" },
	{ "20010", "loop", "\"public\".\"loop\"", "c", "f", "\"pg_catalog\".\"record_send\"", "t",
	  "f", "", "20010" },
	{ "20011", "onlysend", "\"public\".\"onlysend\"", "b", "f", "\"public\".\"s\"", "f", "f",
	  "", "" },
	{ "20012", "moods", "\"public\".\"moods\"", "m", "f", "\"pg_catalog\".\"multirange_send\"",
	  "t", "f", "", "20001" },
	{ "20013", "flag", "\"public\".\"flag\"", "d", "f", "\"pg_catalog\".\"boolsend\"", "t", "f",
	  "", "16" },
};

static PGresult *make_result(void)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[QY_N] = { { 0 } };
	char name[] = "c";

	assert_non_null(res);
	for (int i = 0; i < QY_N; i++)
		columns[i].name = name;
	assert_true(PQsetResultAttrs(res, QY_N, columns));
	for (int i = 0; i < (int)ARRAY_LEN(rows); i++)
		for (int k = 0; k < QY_N; k++) {
			char value[64];
			strcpy(value, rows[i][k]);
			int len = *value ? (int)strlen(value) : -1;
			assert_true(PQsetvalue(res, i, k, len < 0 ? NULL : value, len));
		}
	return res;
}

static int set_up(void **state)
{
	struct err e = ERR_INIT;
	struct coltypes *types;

	assert_int_equal(coltypes_new(&types, make_result(), &e), 0);
	*state = types;
	return 0;
}

static int tear_down(void **state)
{
	coltypes_free(*state);
	return 0;
}

static struct column column_of(void **state, uint32_t oid)
{
	struct column c = { .name = "c", .type_oid = oid };
	struct err e = ERR_INIT;

	assert_int_equal(coltypes_column(*state, &c, &e), 0);
	assert_string_equal(c.digest.name, "c");
	assert_true(c.binary == !c.not_binary_why);
	assert_true((c.digest.send_fn != NULL) == (c.digest.mode == DIGEST_SEND));
	return c;
}

static void assert_text(const struct column *c)
{
	assert_int_equal(c->digest.mode, DIGEST_TEXT);
	assert_int_equal(c->digest.type_oid, DIGEST_OID_TEXT);
}

static void test_built_in_types_send_themselves(void **state)
{
	static const uint32_t oids[] = { 16, 23, 1007, 3904 };

	for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
		struct column c = column_of(state, oids[i]);
		assert_true(c.binary);
		assert_int_equal(c.digest.mode, DIGEST_SELF);
		assert_int_equal(c.digest.type_oid, oids[i]);
		assert_null(c.digest.base_type);
	}
}

static void test_enums_and_extension_types_use_their_send_function(void **state)
{
	struct column mood = column_of(state, 20001), vector = column_of(state, 20003);

	assert_int_equal(mood.digest.mode, DIGEST_SEND);
	assert_int_equal(mood.digest.type_oid, DIGEST_OID_BYTEA);
	assert_string_equal(mood.digest.send_fn, "\"pg_catalog\".\"enum_send\"");
	assert_string_equal(vector.digest.send_fn, "\"x y\".\"vector_send\"");
	assert_string_equal(vector.extension, "vector");
	assert_true(vector.is_vector && vector.is_vector_like && vector.binary);
}

static void test_a_users_type_named_vector_is_not_pgvectors(void **state)
{
	struct column c = column_of(state, 20009);

	assert_false(c.is_vector);
	assert_false(c.is_vector_like);
	assert_null(c.extension);
}

static void test_domains_are_looked_through(void **state)
{
	struct column flag = column_of(state, 20013), outer = column_of(state, 20004);

	assert_int_equal(flag.digest.mode, DIGEST_SELF);
	assert_int_equal(flag.digest.type_oid, 16);
	assert_string_equal(flag.digest.base_type, "\"pg_catalog\".\"bool\"");
	assert_int_equal(outer.digest.mode, DIGEST_SEND);
	assert_string_equal(outer.digest.base_type, "\"x y\".\"vector\"");
	assert_true(outer.is_vector);
}

static void test_what_holds_numbers_of_user_types_is_binary_but_digested_as_text(void **state)
{
	static const uint32_t oids[] = { 20002, 20006, 20012 };

	for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
		struct column c = column_of(state, oids[i]);
		assert_true(c.binary);
		assert_text(&c);
	}
	assert_string_equal(column_of(state, 20006).extension, "vector");
}

static void test_numbers_of_this_database_never_go_in_binary(void **state)
{
	static const uint32_t oids[] = { 2205, 2210, 20008, 20007 };

	for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
		struct column c = column_of(state, oids[i]);
		assert_false(c.binary);
		assert_text(&c);
		assert_non_null(strstr(c.not_binary_why, "regclass"));
	}
}

static void test_types_without_both_functions_never_go_in_binary(void **state)
{
	static const uint32_t oids[] = { 1033, 20011 };

	for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
		struct column c = column_of(state, oids[i]);
		assert_false(c.binary);
		assert_text(&c);
	}
}

static void test_a_type_within_itself_is_an_error_not_a_hang(void **state)
{
	struct column c = { .name = "c", .type_oid = 20010 };
	struct err e = ERR_INIT;

	assert_int_equal(coltypes_column(*state, &c, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
}

static void test_an_unknown_type_is_an_error(void **state)
{
	struct column c = { .name = "c", .type_oid = 99 };
	struct err e = ERR_INIT;

	assert_int_equal(coltypes_column(*state, &c, &e), -1);
	assert_non_null(strstr(e.text, "99"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_built_in_types_send_themselves),
		TEST(test_enums_and_extension_types_use_their_send_function),
		TEST(test_a_users_type_named_vector_is_not_pgvectors),
		TEST(test_domains_are_looked_through),
		TEST(test_what_holds_numbers_of_user_types_is_binary_but_digested_as_text),
		TEST(test_numbers_of_this_database_never_go_in_binary),
		TEST(test_types_without_both_functions_never_go_in_binary),
		TEST(test_a_type_within_itself_is_an_error_not_a_hang),
		TEST(test_an_unknown_type_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
