#include "tests/unit/common/unit.h"

#include "verify/alike.h"

static char public_dot[] = "public.", ext_dot[] = "ext.";
static struct alike_schema moved = { .end = { public_dot, ext_dot } };
static const struct alike elsewhere = { .n = 1, .schema = &moved };
static const struct alike nowhere = { .n = 0 };

static void only_the_same_is_alike(void **state)
{
	(void)state;
	assert_true(alike_text(&nowhere, "a", "a", false));
	assert_false(alike_text(&nowhere, "a", "ab", false));
	assert_false(alike_text(&nowhere, "ab", "a", false));
	assert_true(alike_text(&nowhere, NULL, NULL, false));
	assert_false(alike_text(&nowhere, NULL, "", false));
	assert_false(alike_text(&nowhere, "", NULL, false));
}

static void an_extensions_schema_is_overlooked_and_no_other(void **state)
{
	(void)state;
	assert_true(alike_text(&elsewhere, "f(public.vector, public.items)",
			       "f(ext.vector, public.items)", false));
	assert_true(
		alike_text(&elsewhere, "a OPERATOR(public.<=>) b", "a OPERATOR(ext.<=>) b", false));
	assert_false(alike_text(&elsewhere, "public.vector", "other.vector", false));
	assert_false(alike_text(&elsewhere, "ext.vector", "public.vector", false));
	assert_false(alike_text(&elsewhere, "my_public.vector", "my_ext.vector", false));
	assert_false(alike_text(&nowhere, "public.vector", "ext.vector", false));
}

static char nothing[] = "";

static void pg_catalog_is_never_printed(void **state)
{
	struct alike_schema to = { .end = { public_dot, nothing } };
	struct alike_schema from = { .end = { nothing, public_dot } };
	const struct alike into = { .n = 1, .schema = &to }, out_of = { .n = 1, .schema = &from };
	static const char *const same[][2] = {
		{ "public.citext", "citext" },
		{ "f(public.items, 'a'::public.citext)", "f(public.items, 'a'::citext)" },
		{ "CHECK ((a OPERATOR(public.<>) 'x'::public.citext))",
		  "CHECK ((a <> 'x'::citext))" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_true(alike_text(&into, same[i][0], same[i][1], false));
		assert_true(alike_text(&out_of, same[i][1], same[i][0], false));
		assert_false(alike_text(&into, same[i][1], same[i][0], false));
		assert_false(alike_text(&nowhere, same[i][0], same[i][1], false));
	}
	assert_false(alike_text(&into, "other.citext", "citext", false));
	assert_false(alike_text(&into, "a OPERATOR(public.<>) b", "a = b", false));
}

static void halfvec_is_vector_where_it_was_converted(void **state)
{
	(void)state;
	assert_true(
		alike_text(&nowhere, "hnsw (e vector_l2_ops)", "hnsw (e halfvec_l2_ops)", true));
	assert_true(alike_text(&elsewhere, "e::public.halfvec(3)", "e::ext.vector(3)", true));
	assert_false(
		alike_text(&nowhere, "hnsw (e vector_l2_ops)", "hnsw (e halfvec_l2_ops)", false));
	assert_false(
		alike_text(&nowhere, "hnsw (e vector_l2_ops)", "hnsw (e halfvec_ip_ops)", true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_same_is_alike),
		cmocka_unit_test(an_extensions_schema_is_overlooked_and_no_other),
		cmocka_unit_test(pg_catalog_is_never_printed),
		cmocka_unit_test(halfvec_is_vector_where_it_was_converted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
