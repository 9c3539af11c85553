#include "tests/unit/common/unit.h"

#include "verify/finding.h"
#include "verify/judge.h"
#include "verify/report.h"
#include "verify/rowdetail.h"
#include "verify/searchfn.h"

#include <stdlib.h>
#include <string.h>

static char sentence[512];

static enum verify_verdict verdict_of(json_t *checks)
{
	enum verify_verdict v = judge_verdict(checks, sentence, sizeof(sentence));

	json_decref(checks);
	return v;
}

static json_t *some(int pass, int warning, int unknown, int fail)
{
	json_t *checks = json_array();

	for (int i = 0; i < pass; i++)
		finding_add(checks, "digest", "t", FINDING_PASS, "same");
	for (int i = 0; i < warning; i++)
		finding_add(checks, "schema", "w", FINDING_WARNING, "odd");
	for (int i = 0; i < unknown; i++)
		finding_add(checks, "counts", "u", FINDING_UNKNOWN, "not seen");
	for (int i = 0; i < fail; i++)
		finding_add(checks, "digest", "f", FINDING_FAIL, "differs");
	return checks;
}

/* P-120 */
static void the_worst_finding_is_the_verdict(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(some(3, 0, 0, 0)), VERIFY_PASS);
	assert_int_equal(verdict_of(some(3, 1, 0, 0)), VERIFY_PASS_WITH_EXCEPTIONS);
	assert_int_equal(verdict_of(some(3, 1, 1, 0)), VERIFY_INCONCLUSIVE);
	assert_int_equal(verdict_of(some(3, 1, 1, 1)), VERIFY_FAIL);
	assert_string_equal(sentence, "1 of 6 checks failed; f: differs");
}

static void nothing_looked_at_is_not_green(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(json_array()), VERIFY_INCONCLUSIVE);
	assert_int_equal(verify_exit_status(VERIFY_INCONCLUSIVE), 8);
	assert_int_equal(verify_exit_status(VERIFY_FAIL), 7);
	assert_int_equal(verify_exit_status(VERIFY_PASS_WITH_EXCEPTIONS), 0);
}

static void a_waiver_counts_until_its_day(void **state)
{
	json_t *checks = some(1, 0, 0, 1);
	json_t *waivers = json_pack("[{s:s, s:s, s:s}]", "group", "digest", "object", "f*",
				    "expires", "2026-06-30");

	(void)state;
	judge_waive(checks, waivers, "2026-07-01");
	assert_int_equal(judge_verdict(checks, sentence, sizeof(sentence)), VERIFY_FAIL);
	judge_waive(checks, waivers, "2026-06-30");
	assert_int_equal(finding_count(checks, "digest", FINDING_FAIL), 0);
	assert_int_equal(verdict_of(checks), VERIFY_PASS_WITH_EXCEPTIONS);
	json_decref(waivers);
}

static void a_waiver_without_object_waives_nothing(void **state)
{
	json_t *checks = some(1, 0, 0, 1), *waivers = json_pack("[{s:s}]", "group", "digest");

	(void)state;
	judge_waive(checks, waivers, "2026-01-01");
	assert_int_equal(verdict_of(checks), VERIFY_FAIL);
	json_decref(waivers);
}

static void a_table_whose_name_has_a_dot_is_no_part_of_another(void **state)
{
	struct pair two[] = { { .name = (char[]){ "public.items" } },
			      { .name = (char[]){ "public.items.old" } } };
	const struct pairs all = { .n = 2, .pair = two };
	json_t *checks = json_array();

	(void)state;
	finding_add(checks, "digest", "public.items", FINDING_FAIL, "the contents differ");
	finding_add(checks, "digest", "public.items, collection c1", FINDING_FAIL,
		    "other contents");
	finding_add(checks, "digest", "public.items.v in c1", FINDING_FAIL, "fewer");
	finding_add(checks, "digest", "public.items.old", FINDING_FAIL, "the contents differ");
	finding_add(checks, "digest", "public.items.old.v in c1", FINDING_FAIL, "fewer");
	judge_soften(checks, &all, "digest", "public.items", FINDING_WARNING, "seen equal later");
	assert_int_equal(finding_count(checks, "digest", FINDING_WARNING), 3);
	assert_int_equal(finding_count(checks, "digest", FINDING_FAIL), 2);
	judge_soften(checks, &all, "digest", "public.items.old", FINDING_WARNING, "so was this");
	assert_int_equal(finding_count(checks, "digest", FINDING_FAIL), 0);
	json_decref(checks);
}

static void vectors_are_read_from_text(void **state)
{
	float *v = NULL;

	(void)state;
	assert_int_equal(rowdetail_parse_vector("[1,-0,3.5e-3]", &v), 3);
	assert_true(v[0] >= 1 && v[2] > 0.003f && v[2] < 0.004f);
	free(v);
	assert_int_equal(rowdetail_parse_vector("{1:2}/3", &v), -1);
	assert_int_equal(rowdetail_parse_vector("[1,,2]", &v), -1);
	assert_int_equal(rowdetail_parse_vector("[1", &v), -1);
}

static bool agree(const char *a, const char *b)
{
	json_t *x = json_loads(a, 0, NULL), *y = json_loads(b, 0, NULL);
	bool same;

	assert_non_null(x);
	assert_non_null(y);
	same = searchfn_agree(x, y);
	json_decref(x);
	json_decref(y);
	return same;
}

/* P-003: the answers of the search functions on both ends. */
static void answers_agree_up_to_ties_and_rounding(void **state)
{
	(void)state;
	assert_true(agree("[{\"id\":1,\"score\":0.5}]", "[{\"id\":1,\"score\":0.5000001}]"));
	assert_true(agree("[{\"id\":1,\"score\":0.5},{\"id\":2,\"score\":0.5}]",
			  "[{\"id\":2,\"score\":0.5},{\"id\":1,\"score\":0.5}]"));
	assert_false(agree("[{\"id\":1,\"score\":0.5}]", "[{\"id\":1,\"score\":0.51}]"));
	assert_false(agree("[{\"id\":1,\"score\":0.5},{\"id\":2,\"score\":0.4}]",
			   "[{\"id\":2,\"score\":0.5},{\"id\":1,\"score\":0.4}]"));
	assert_false(agree("[{\"id\":1,\"score\":0.5}]", "[]"));
	assert_false(agree(
		"[{\"id\":1,\"t\":\"a\",\"score\":0.5},{\"id\":2,\"t\":\"b\",\"score\":0.1}]",
		"[{\"id\":1,\"t\":\"z\",\"score\":0.5},{\"id\":2,\"t\":\"b\",\"score\":0.1}]"));
}

static json_t *hostile_document(void)
{
	json_t *checks = json_array();

	finding_add(checks, "digest", "<script>alert(1)</script>", FINDING_FAIL,
		    "\"quoted\" & |piped|\nsecond line \x01");
	return json_pack("{s:s, s:s, s:o, s:[{s:s, s:[i, i], s:s}]}", "verdict", "FAIL", "sentence",
			 "<b>no</b>", "checks", checks, "tables", "name", "a<b>", "rows", 1, 2,
			 "verdict", "different");
}

static void names_cannot_break_out_of_a_report(void **state)
{
	AUTO_TEXT struct text html = TEXT_INIT;
	AUTO_TEXT struct text junit = TEXT_INIT;
	AUTO_TEXT struct text markdown = TEXT_INIT;
	json_t *doc = hostile_document();

	(void)state;
	report_html(&html, doc);
	report_junit(&junit, doc);
	report_markdown(&markdown, doc);
	assert_null(strstr(text_str(&html), "<script"));
	assert_null(strstr(text_str(&html), "<b>no</b>"));
	assert_null(strstr(text_str(&html), "http"));
	assert_null(strstr(text_str(&junit), "<script"));
	assert_null(strchr(text_str(&junit), '\x01'));
	assert_null(strstr(text_str(&markdown), "& |piped"));
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worst_finding_is_the_verdict),
		cmocka_unit_test(nothing_looked_at_is_not_green),
		cmocka_unit_test(a_waiver_counts_until_its_day),
		cmocka_unit_test(a_waiver_without_object_waives_nothing),
		cmocka_unit_test(a_table_whose_name_has_a_dot_is_no_part_of_another),
		cmocka_unit_test(vectors_are_read_from_text),
		cmocka_unit_test(answers_agree_up_to_ties_and_rounding),
		cmocka_unit_test(names_cannot_break_out_of_a_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
