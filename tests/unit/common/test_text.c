#include "unit.h"

#include "common/text.h"

static void an_untouched_text_is_an_empty_string(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	AUTO(free) char *taken = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_string_equal(text_str(&t), "");
	taken = text_take(&t, &e);
	assert_string_equal(taken, "");
}

static void additions_follow_each_other(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	text_add(&t, "SELECT ");
	text_addn(&t, "1234", 2);
	text_addn(&t, NULL, 0);
	text_addf(&t, ", %d, '%s'", 3, "x");
	assert_string_equal(text_str(&t), "SELECT 12, 3, 'x'");
	assert_int_equal(t.len, strlen(text_str(&t)));
}

static void a_text_grows_without_losing_anything(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		text_addf(&t, "%04d ", i);
	assert_int_equal(t.len, 50000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(atoi(text_str(&t) + (size_t)i * 5), i);
	assert_ok(text_check(&t, E));
}

static void there_is_always_room_for_the_nul(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	for (size_t len = 1; len < 1100; len++) {
		text_add(&t, "x");
		assert_int_equal(strlen(text_str(&t)), len);
		assert_true(t.len < t.cap);
	}
}

static void clearing_keeps_the_storage_and_forgets_the_rest(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	const char *data;

	(void)state;
	text_add(&t, "abc");
	data = t.data;
	t.failed = true;
	text_clear(&t);
	assert_string_equal(text_str(&t), "");
	text_add(&t, "d");
	assert_string_equal(text_str(&t), "d");
	assert_ptr_equal(t.data, data);
}

static void a_taken_text_is_empty_and_usable_again(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	AUTO(free) char *taken = NULL;
	struct err e = ERR_INIT;

	(void)state;
	text_add(&t, "abc");
	taken = text_take(&t, &e);
	assert_string_equal(taken, "abc");
	assert_string_equal(text_str(&t), "");
	text_add(&t, "d");
	assert_string_equal(text_str(&t), "d");
}

static void a_failed_text_says_so_and_adds_nothing_more(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err e = ERR_INIT;

	(void)state;
	text_add(&t, "abc");
	text_addn(&t, "x", TEXT_MAX);
	text_add(&t, "def");
	assert_string_equal(text_str(&t), "abc");
	assert_int_equal(text_check(&t, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_null(text_take(&t, &e));
}

static void identifiers_are_always_quoted(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	text_add_ident(&t, "plain");
	text_add(&t, " ");
	text_add_ident(&t, "a\"b\"\"");
	text_add(&t, " ");
	text_add_qname(&t, "My Schema", "täble\\");
	assert_string_equal(text_str(&t), "\"plain\" \"a\"\"b\"\"\"\"\" \"My Schema\".\"täble\\\"");
}

static void literals_double_quotes_and_escape_backslashes(void **state)
{
	static const char *const cases[][2] = {
		{ "", "''" },
		{ "it's", "'it''s'" },
		{ "'", "''''" },
		{ "a\\b", "E'a\\\\b'" },
		{ "\\'; drop", "E'\\\\''; drop'" },
		{ NULL, "NULL" },
		{ "NULL", "'NULL'" },
		{ "line\nbreak", "'line\nbreak'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_TEXT struct text t = TEXT_INIT;

		text_add_literal(&t, cases[i][0]);
		assert_string_equal(text_str(&t), cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_untouched_text_is_an_empty_string),
		cmocka_unit_test(additions_follow_each_other),
		cmocka_unit_test(a_text_grows_without_losing_anything),
		cmocka_unit_test(there_is_always_room_for_the_nul),
		cmocka_unit_test(clearing_keeps_the_storage_and_forgets_the_rest),
		cmocka_unit_test(a_taken_text_is_empty_and_usable_again),
		cmocka_unit_test(a_failed_text_says_so_and_adds_nothing_more),
		cmocka_unit_test(identifiers_are_always_quoted),
		cmocka_unit_test(literals_double_quotes_and_escape_backslashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
