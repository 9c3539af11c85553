#include "tests/unit/common/unit.h"

#include "cli/exit.h"

/* P-120 */
static void every_kind_of_error_has_its_status(void **state)
{
	static const struct {
		enum err_kind kind;
		enum err_next next;
		enum exit_status before, after; /* before and after something was written */
	} cases[] = {
		{ ERR_INTERNAL, ERR_GIVE_UP, EXIT_INTERNAL, EXIT_INTERNAL },
		{ ERR_USAGE, ERR_GIVE_UP, EXIT_USAGE, EXIT_USAGE },
		{ ERR_NETWORK, ERR_RETRY, EXIT_REFUSED, EXIT_STOPPED },
		{ ERR_NETWORK, ERR_RETRY_ASK, EXIT_REFUSED, EXIT_STOPPED },
		{ ERR_NETWORK, ERR_GIVE_UP, EXIT_REFUSED, EXIT_ACT },
		{ ERR_SOURCE, ERR_GIVE_UP, EXIT_REFUSED, EXIT_ACT },
		{ ERR_TARGET, ERR_GIVE_UP, EXIT_REFUSED, EXIT_ACT },
		{ ERR_TARGET, ERR_RETRY, EXIT_REFUSED, EXIT_STOPPED },
		{ ERR_QUOTA, ERR_GIVE_UP, EXIT_REFUSED, EXIT_ACT },
		{ ERR_QUOTA, ERR_RETRY, EXIT_REFUSED, EXIT_STOPPED },
		{ ERR_DATA, ERR_GIVE_UP, EXIT_REFUSED, EXIT_ACT },
		{ ERR_DISK, ERR_GIVE_UP, EXIT_REFUSED, EXIT_ACT },
		{ ERR_DISK, ERR_RETRY, EXIT_REFUSED, EXIT_ACT },
		{ ERR_REFUSED, ERR_GIVE_UP, EXIT_REFUSED, EXIT_ACT },
		{ ERR_RESUME, ERR_GIVE_UP, EXIT_RESUME, EXIT_RESUME },
		{ ERR_STOPPED, ERR_GIVE_UP, EXIT_STOPPED, EXIT_STOPPED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { .kind = cases[i].kind, .next = cases[i].next };

		assert_int_equal(exit_of_error(&e, false), cases[i].before);
		assert_int_equal(exit_of_error(&e, true), cases[i].after);
	}
}

static void a_difference_weighs_more_than_a_doubt(void **state)
{
	(void)state;
	assert_int_equal(exit_of_proof(0, 0), EXIT_DONE);
	assert_int_equal(exit_of_proof(1, 0), EXIT_DIFFERENT);
	assert_int_equal(exit_of_proof(0, 1), EXIT_UNPROVEN);
	assert_int_equal(exit_of_proof(1, 5), EXIT_DIFFERENT);
}

static void the_numbers_are_those_of_the_contract(void **state)
{
	(void)state;
	assert_int_equal(EXIT_REFUSED, 3);
	assert_int_equal(EXIT_STOPPED, 4);
	assert_int_equal(EXIT_ACT, 5);
	assert_int_equal(EXIT_RESUME, 6);
	assert_int_equal(EXIT_DIFFERENT, 7);
	assert_int_equal(EXIT_UNPROVEN, 8);
	for (int i = 0; i < EXIT_N; i++) {
		assert_non_null(exit_table[i].means);
		assert_non_null(exit_table[i].next);
	}
}

static void what_to_do_next_names_a_folder_that_must_be_named(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	exit_add_next(&t, EXIT_STOPPED, NULL);
	assert_string_equal(text_str(&t), "`neonferry resume` finishes the run.");
	text_clear(&t);
	exit_add_next(&t, EXIT_STOPPED, "/a/r");
	assert_string_equal(text_str(&t), "`neonferry resume /a/r` finishes the run.");
	text_clear(&t);
	exit_add_next(&t, EXIT_DONE, "/a/r");
	assert_string_equal(text_str(&t), exit_table[EXIT_DONE].next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_error_has_its_status),
		cmocka_unit_test(a_difference_weighs_more_than_a_doubt),
		cmocka_unit_test(what_to_do_next_names_a_folder_that_must_be_named),
		cmocka_unit_test(the_numbers_are_those_of_the_contract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
