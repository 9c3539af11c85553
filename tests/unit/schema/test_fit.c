/* What two catalogs, made by hand, are said to differ in; and which tables may go in binary. */
#include "schema/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* One end: a database of one table with one column of an extension's type. */
struct end {
	struct column column;
	struct table table;
	struct extension extension;
	struct catalog catalog;
};

static void make_end(struct end *end, const char *type, const char *schema, const char *version)
{
	*end = (struct end){
		.column = { .name = "e",
			    .type = type,
			    .typmod = -1,
			    .binary = true,
			    .extension = "thing",
			    .digest = { .name = "e",
					.mode = DIGEST_SEND,
					.type_oid = DIGEST_OID_BYTEA } },
		.table = { .schema = "s",
			   .name = "t",
			   .qname = "\"s\".\"t\"",
			   .kind = 'r',
			   .persistence = 'p',
			   .n_columns = 1,
			   .can_select = true,
			   .can_insert = true },
		.extension = { .name = "thing", .version = version, .schema = schema },
		.catalog = { .database = "d",
			     .encoding = "UTF8",
			     .n_tables = 1,
			     .n_extensions = 1 },
	};
	end->table.columns = &end->column;
	end->catalog.tables = &end->table;
	end->catalog.extensions = &end->extension;
}

static struct comparison compare(const struct end *a, const struct end *b)
{
	const struct fit_options options = { 0 };
	struct comparison c = COMPARISON_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(fit_databases(&c, &a->catalog, &b->catalog, &e), 0);
	assert_int_equal(fit_extensions(&c, &a->catalog, &b->catalog, &options, &e), 0);
	assert_int_equal(fit_tables(&c, &a->catalog, &a->table, &b->catalog, &b->table, &options, &e), 0);
	return c;
}

static bool is_binary(const struct end *a, const struct end *b)
{
	AUTO_TEXT struct text why = TEXT_INIT;
	bool binary = fit_is_binary(&a->catalog, &a->table, &b->catalog, &b->table, &why);
	assert_true(binary == (why.len == 0));
	return binary;
}

static void test_the_schema_of_an_extension_does_not_matter(void **state)
{
	struct end a, b;

	(void)state;
	make_end(&a, "public.thing", "public", "1.0");
	make_end(&b, "\"My.Ext\".thing", "My.Ext", "1.0");
	struct comparison c = compare(&a, &b);
	assert_int_equal(c.n, 0);
	assert_true(is_binary(&a, &b));
	comparison_done(&c);
}

static void test_a_users_type_in_another_schema_is_another_type(void **state)
{
	struct end a, b;

	(void)state;
	make_end(&a, "one.thing", "public", "1.0");
	make_end(&b, "two.thing", "public", "1.0");
	struct comparison c = compare(&a, &b);
	assert_int_equal(c.n_errors, 1);
	assert_string_equal(c.list[0].object, "column s.t.e");
	assert_false(is_binary(&a, &b));
	comparison_done(&c);
}

static void test_a_planned_conversion_is_no_difference(void **state)
{
	struct end a, b;

	(void)state;
	make_end(&a, "public.vector(3)", "public", "1.0");
	make_end(&b, "public.halfvec(3)", "public", "1.0");
	a.column.digest.cast_fmt = "(%s)::public.halfvec";
	struct comparison c = compare(&a, &b);
	assert_int_equal(c.n, 0);
	assert_true(is_binary(&a, &b));
	comparison_done(&c);
}

static void test_versions_are_compared_as_numbers(void **state)
{
	static const struct {
		const char *source, *target;
		int warnings;
	} cases[] = {
		{ "1.9", "1.10", 0 }, { "1.10", "1.9", 1 },    { "1.2.3", "1.2.1", 0 },
		{ "2.0", "1.9", 1 },  { "1.0", "unknown", 1 }, { "1.0", "1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct end a, b;
		make_end(&a, "public.thing", "public", cases[i].source);
		make_end(&b, "public.thing", "public", cases[i].target);
		struct comparison c = compare(&a, &b);
		assert_int_equal(c.n_warnings, cases[i].warnings);
		assert_int_equal(c.n_errors, 0);
		comparison_done(&c);
	}
}

static void test_another_version_of_an_unknown_extension_goes_as_text(void **state)
{
	struct end a, b;

	(void)state;
	make_end(&a, "public.thing", "public", "1.0");
	make_end(&b, "public.thing", "public", "1.1");
	assert_false(is_binary(&a, &b));
	a.extension.name = b.extension.name = a.column.extension = b.column.extension = "vector";
	assert_true(is_binary(&a, &b));
}

static void test_an_extension_the_target_does_not_offer(void **state)
{
	struct end a, b;

	(void)state;
	make_end(&a, "public.thing", "public", "1.0");
	make_end(&b, "public.thing", "public", "1.0");
	b.catalog.n_extensions = 0;
	struct comparison c = compare(&a, &b);
	assert_int_equal(c.list[0].severity, DIFFERENCE_ERROR);
	assert_string_equal(c.list[0].object, "extension thing");
	comparison_done(&c);

	a.column.extension = NULL; /* no column needs it */
	b.column.extension = NULL;
	c = compare(&a, &b);
	assert_int_equal(c.list[0].severity, DIFFERENCE_WARNING);
	assert_int_equal(c.n_errors, 0);
	comparison_done(&c);
}

static void test_encodings(void **state)
{
	struct end a, b;

	(void)state;
	make_end(&a, "public.thing", "public", "1.0");
	make_end(&b, "public.thing", "public", "1.0");
	a.catalog.encoding = "SQL_ASCII";
	struct comparison c = compare(&a, &b);
	assert_int_equal(c.n_warnings, 1);
	comparison_done(&c);
	b.catalog.encoding = "LATIN1";
	c = compare(&a, &b);
	assert_int_equal(c.n_errors, 1);
	comparison_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_schema_of_an_extension_does_not_matter),
		cmocka_unit_test(test_a_users_type_in_another_schema_is_another_type),
		cmocka_unit_test(test_a_planned_conversion_is_no_difference),
		cmocka_unit_test(test_versions_are_compared_as_numbers),
		cmocka_unit_test(test_another_version_of_an_unknown_extension_goes_as_text),
		cmocka_unit_test(test_an_extension_the_target_does_not_offer),
		cmocka_unit_test(test_encodings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
