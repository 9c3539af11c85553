/* Which change of a column's type keeps every value as it is. */
#include "schema/model_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the catalog says of the column "e" of that type: the name of the type beneath it. */
static PGresult *facts_of(const char *type)
{
	static char names[][8] = { "kind", "name", "table", "_type" };
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc attributes[ARRAY_LEN(names)] = { 0 };
	AUTO(free) char *copy = strdup(type);

	assert_non_null(res);
	assert_non_null(copy);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		attributes[i].name = names[i];
	assert_true(PQsetResultAttrs(res, ARRAY_LEN(names), attributes));
	assert_true(PQsetvalue(res, 0, 3, copy, (int)strlen(copy)));
	return res;
}

static enum model_severity judge(const char *from, const char *to)
{
	AUTO(pgresult) PGresult *a = facts_of(from);
	AUTO(pgresult) PGresult *b = facts_of(to);
	AUTO_MODEL_JUDGEMENTS struct model_judgements j = { 0 };
	const struct model_object before = { "column", "public.t.e", "public.t", a, 0 };
	const struct model_object after = { "column", "public.t.e", "public.t", b, 0 };
	struct model_change change = { &before, &after, "type", from, to };
	const struct model_changes changes = { 1, &change };
	const struct model none = { 0 };
	struct err e = ERR_INIT;

	assert_int_equal(model_judge(&j, &changes, &none, &none, &e), 0);
	return j.list[0].severity;
}

static void test_a_longer_type_takes_every_value(void **state)
{
	(void)state;
	assert_int_equal(judge("character varying(10)", "character varying(20)"), MODEL_SAFE);
	assert_int_equal(judge("character varying(10)[]", "character varying(20)[]"), MODEL_SAFE);
	assert_int_equal(judge("timestamp(3) with time zone", "timestamp(6) with time zone"),
			 MODEL_SAFE);
	assert_int_equal(judge("timestamp(3) with time zone", "timestamp with time zone"),
			 MODEL_SAFE);
	assert_int_equal(judge("bit varying(8)", "bit varying(16)"), MODEL_SAFE);
	assert_int_equal(judge("character varying(20)", "character varying(10)"),
			 MODEL_DESTRUCTIVE);
	assert_int_equal(judge("timestamp(6) with time zone", "timestamp(3) with time zone"),
			 MODEL_DESTRUCTIVE);
}

static void test_other_dimensions_are_other_vectors(void **state)
{
	(void)state;
	assert_int_equal(judge("vector(3)", "vector(4)"), MODEL_DESTRUCTIVE);
	assert_int_equal(judge("halfvec(3)", "halfvec(4)"), MODEL_DESTRUCTIVE);
	assert_int_equal(judge("sparsevec(3)", "sparsevec(4)"), MODEL_DESTRUCTIVE);
	assert_int_equal(judge("bit(3)", "bit(4)"), MODEL_DESTRUCTIVE);
	assert_int_equal(judge("halfvec(3)", "halfvec"), MODEL_SAFE);
}

static void test_what_stands_behind_the_number_belongs_to_the_type(void **state)
{
	(void)state;
	assert_int_equal(judge("timestamp(3) without time zone", "timestamp(3) with time zone"),
			 MODEL_DESTRUCTIVE);
	assert_int_equal(judge("character varying(10)", "character varying(20)[]"),
			 MODEL_DESTRUCTIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_longer_type_takes_every_value),
		cmocka_unit_test(test_other_dimensions_are_other_vectors),
		cmocka_unit_test(test_what_stands_behind_the_number_belongs_to_the_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
