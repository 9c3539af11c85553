/* Names of tables as people write them: folded, quoted, with stars. */
#include "schema/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool matches(const char *text, const char *schema, const char *name)
{
	struct err e = ERR_INIT;
	struct pattern p;

	assert_int_equal(pattern_parse(&p, text, &e), 0);
	bool ret = pattern_matches(&p, schema, name);
	pattern_done(&p);
	return ret;
}

static void test_a_plain_name_matches_in_any_schema(void **state)
{
	(void)state;
	assert_true(matches("users", "public", "users"));
	assert_true(matches("users", "other", "users"));
	assert_false(matches("users", "public", "users2"));
	assert_false(matches("users", "public", "user"));
	assert_false(matches("other.users", "public", "users"));
}

static void test_letters_are_folded_outside_quotes_only(void **state)
{
	(void)state;
	assert_true(matches("Public.USERS", "public", "users"));
	assert_true(matches("\"Users\"", "public", "Users"));
	assert_false(matches("\"Users\"", "public", "users"));
	assert_true(matches("a\"B\"C", "public", "aBc"));
	assert_true(matches("TÄBLE", "public", "tÄble"));
}

static void test_quotes_hold_dots_stars_and_quotes(void **state)
{
	(void)state;
	assert_true(matches("\"a.b\".\"c\"\"d\"", "a.b", "c\"d"));
	assert_true(matches("\"*\"", "public", "*"));
	assert_false(matches("\"*\"", "public", "x"));
}

static void test_a_star_stands_for_any_characters(void **state)
{
	(void)state;
	assert_true(matches("*", "public", "x"));
	assert_true(matches("a*", "public", "a"));
	assert_true(matches("a*c*e", "public", "abcde"));
	assert_true(matches("*.log_*_old", "x", "log__old"));
	assert_true(matches("*aab", "public", "aaaab"));
	assert_false(matches("a*c*e", "public", "abcd"));
	assert_false(matches("*b", "public", "abc"));
}

static void test_many_stars_do_not_take_forever(void **state)
{
	(void)state;
	char name[64];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_false(matches("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "public", name));
}

static void test_what_is_no_name_is_refused(void **state)
{
	static const char *const wrong[] = { "", ".", "a.", ".b", "a.b.c", "\"a", "a.\"b", "\"\"" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct err e = ERR_INIT;
		struct pattern p;
		assert_int_equal(pattern_parse(&p, wrong[i], &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_string_not_equal(e.hint, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_name_matches_in_any_schema),
		cmocka_unit_test(test_letters_are_folded_outside_quotes_only),
		cmocka_unit_test(test_quotes_hold_dots_stars_and_quotes),
		cmocka_unit_test(test_a_star_stands_for_any_characters),
		cmocka_unit_test(test_many_stars_do_not_take_forever),
		cmocka_unit_test(test_what_is_no_name_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
