#include "tests/unit/common/unit.h"

#include "cli/summary.h"

#include <jansson.h>
#include <string.h>

/* Rows are proven or not; what the report says of the rest may only make it worse. */
static void the_report_of_a_run_weighs_in_its_status(void **state)
{
	static const struct {
		enum exit_status rows;
		const char *verdict, *definitions;
		enum exit_status end;
		const char *means; /* a piece of it; NULL: as the rows alone say */
	} cases[] = {
		{ EXIT_DONE, "PASS", "compared", EXIT_DONE, NULL },
		{ EXIT_DONE, "PASS WITH EXCEPTIONS", "compared", EXIT_DONE, NULL },
		{ EXIT_DONE, "FAIL", "compared", EXIT_DIFFERENT, "but definitions differ" },
		{ EXIT_DONE, "FAIL", "not compared", EXIT_DIFFERENT, "but definitions differ" },
		{ EXIT_DONE, "FAIL", "not asked for", EXIT_DONE, "not asked for, differ" },
		{ EXIT_DONE, "INCONCLUSIVE", "compared", EXIT_UNPROVEN, "could not be compared" },
		{ EXIT_DONE, "INCONCLUSIVE", "not compared", EXIT_DONE, NULL },
		{ EXIT_DONE, "INCONCLUSIVE", "not asked for", EXIT_DONE, NULL },
		{ EXIT_DIFFERENT, "FAIL", "compared", EXIT_DIFFERENT, NULL },
		{ EXIT_UNPROVEN, "FAIL", "compared", EXIT_DIFFERENT, "and definitions differ" },
		{ EXIT_UNPROVEN, "FAIL", "not asked for", EXIT_UNPROVEN, NULL },
		{ EXIT_UNPROVEN, "INCONCLUSIVE", "compared", EXIT_UNPROVEN, NULL },
		{ EXIT_DONE, NULL, NULL, EXIT_DONE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *d = json_pack("{s:i, s:s, s:s, s:s, s:{s:s?, s:s?}}", "exit_status",
				      (int)cases[i].rows, "means", "rows", "next", "Nothing.",
				      "folder", "/r", "report", "verdict", cases[i].verdict,
				      "definitions", cases[i].definitions);
		assert_int_equal(summary_weigh_report(d), cases[i].end);
		assert_int_equal(json_integer_value(json_object_get(d, "exit_status")),
				 cases[i].end);
		const char *means = json_string_value(json_object_get(d, "means"));
		bool nothing = cases[i].end == EXIT_DONE || !cases[i].means;
		assert_int_equal(
			strcmp(json_string_value(json_object_get(d, "next")), "Nothing.") == 0,
			nothing);
		if (cases[i].means)
			assert_non_null(strstr(means, cases[i].means));
		else
			assert_string_equal(means, "rows");
		json_decref(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_report_of_a_run_weighs_in_its_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
