#include "unit.h"

#include <errno.h>

static void the_cause_comes_first_and_contexts_follow(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&e, ERR_TARGET, "relation %s is missing", "t"), -1);
	assert_int_equal(err_note(&e, "loading chunk %d", 7), -1);
	assert_int_equal(err_note(&e, "copying"), -1);
	assert_string_equal(e.text, "relation t is missing; while loading chunk 7; while copying");
	assert_int_equal(e.len, strlen(e.text));
	assert_int_equal(e.kind, ERR_TARGET);
	assert_int_equal(e.next, ERR_GIVE_UP);
}

static void setting_again_forgets_everything_of_the_old_error(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_sys(&e, ERR_DISK, EACCES, "a");
	err_hint(&e, "old hint");
	e.next = ERR_RETRY;
	strcpy(e.sqlstate, "23505");
	err_set(&e, ERR_USAGE, "b");
	assert_string_equal(e.text, "b");
	assert_string_equal(e.hint, "");
	assert_string_equal(e.sqlstate, "");
	assert_int_equal(e.sys_errno, 0);
	assert_int_equal(e.next, ERR_GIVE_UP);
}

static void an_error_may_quote_itself(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_DATA, "inner");
	err_set(&e, ERR_TARGET, "outer (%s)", e.text);
	assert_string_equal(e.text, "outer (inner)");
	err_note(&e, "[%s]", e.text);
	assert_string_equal(e.text, "outer (inner); while [outer (inner)]");
	err_hint(&e, "see %s", e.text);
	assert_string_equal(e.hint, "see outer (inner); while [outer (inner)]");
}

static void a_system_error_is_named_and_kept(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_sys(&e, ERR_USAGE, ENOENT, "cannot open %s", "x"), -1);
	assert_string_equal(e.text, "cannot open x: No such file or directory");
	assert_int_equal(e.sys_errno, ENOENT);
	assert_int_equal(e.kind, ERR_USAGE);
}

static void a_full_disk_is_a_disk_error_with_a_hint(void **state)
{
	const int full[] = { ENOSPC, EDQUOT };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(full); i++) {
		struct err e = ERR_INIT;

		err_sys(&e, ERR_INTERNAL, full[i], "cannot write");
		assert_int_equal(e.kind, ERR_DISK);
		assert_has(e.hint, "space");
	}
}

static void the_first_hint_stays(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	err_set(&e, ERR_USAGE, "x");
	assert_int_equal(err_hint(&e, "do %s", "this"), -1);
	assert_int_equal(err_hint(&e, "do that"), -1);
	assert_string_equal(e.hint, "do this");
}

static void long_texts_are_cut_with_three_dots(void **state)
{
	char big[5000];
	struct err e = ERR_INIT;

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	err_set(&e, ERR_DATA, "%s", big);
	err_hint(&e, "%s", big);
	assert_int_equal(e.len, sizeof(e.text) - 1);
	assert_int_equal(strlen(e.text), e.len);
	assert_string_equal(e.text + e.len - 4, "x...");
	assert_int_equal(strlen(e.hint), sizeof(e.hint) - 1);
	for (int i = 0; i < 3; i++)
		err_note(&e, "%s", big);
	assert_int_equal(strlen(e.text), e.len);
	assert_true(e.len < sizeof(e.text));
	assert_string_equal(e.text + e.len - 4, "x...");
}

static void a_cut_never_splits_a_character(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		char big[4096] = "";
		struct err e = ERR_INIT;
		size_t last;

		memset(big, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(big) - 1; i += 3)
			memcpy(big + i, "\xE2\x82\xAC", 3);
		err_set(&e, ERR_DATA, "%s", big);
		last = e.len - 3;
		assert_string_equal(e.text + last, "...");
		assert_memory_equal(e.text + last - 3, "\xE2\x82\xAC", 3);
	}
}

static void out_of_memory_is_internal(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_nomem(&e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_has(e.text, "out of memory");
}

static void every_kind_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = ERR_NONE; i <= ERR_STOPPED; i++) {
		assert_string_not_equal(err_kind_name((enum err_kind)i), "unknown");
		for (int j = ERR_NONE; j < i; j++)
			assert_string_not_equal(err_kind_name((enum err_kind)i),
						err_kind_name((enum err_kind)j));
	}
	assert_string_equal(err_kind_name((enum err_kind)99), "unknown");
}

static void release(char *s)
{
	free(s);
}
AUTO_DEFINE(words, char *, release);

static char *make_words(void)
{
	AUTO(words) char *w = strdup("words");

	return GIVE(&w);
}

static void a_given_pointer_outlives_its_scope(void **state)
{
	AUTO(free) char *w = make_words();

	(void)state;
	assert_string_equal(w, "words");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cause_comes_first_and_contexts_follow),
		cmocka_unit_test(setting_again_forgets_everything_of_the_old_error),
		cmocka_unit_test(an_error_may_quote_itself),
		cmocka_unit_test(a_system_error_is_named_and_kept),
		cmocka_unit_test(a_full_disk_is_a_disk_error_with_a_hint),
		cmocka_unit_test(the_first_hint_stays),
		cmocka_unit_test(long_texts_are_cut_with_three_dots),
		cmocka_unit_test(a_cut_never_splits_a_character),
		cmocka_unit_test(out_of_memory_is_internal),
		cmocka_unit_test(every_kind_has_a_name_of_its_own),
		cmocka_unit_test(a_given_pointer_outlives_its_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
