/* The forms of the report: from the same document, complete, and safe to open. */
#include "tests/unit/common/unit.h"

#include "verify/checklist.h"
#include "verify/document.h"
#include "verify/finding.h"
#include "verify/judge.h"
#include "verify/panel.h"
#include "verify/queries.h"
#include "verify/report.h"

#include <string.h>

static json_t *parse(const char *text)
{
	json_t *doc = json_loads(text, 0, NULL);

	assert_non_null(doc);
	return doc;
}

static void a_document_without_parts_is_rendered(void **state)
{
	json_t *doc = json_object();
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	report_html(&t, doc);
	report_junit(&t, doc);
	report_markdown(&t, doc);
	assert_false(t.failed);
	assert_non_null(strstr(text_str(&t), "</html>"));
	json_decref(doc);
}

static void names_cannot_become_markup(void **state)
{
	json_t *doc = parse(
		"{\"run\":\"<script>\",\"source\":{\"label\":\"<script>\",\"snapshot\":\"<script>\"},"
		"\"operator\":{\"user\":\"<script>\",\"host\":\"<script>\"},\"command\":\"<script>\","
		"\"settings\":{\"tables\":[\"<script>\"]},\"coverage\":{\"skipped\":[\"<script>\"]},"
		"\"exceptions\":[{\"id\":\"E-1\",\"object\":\"<script>\",\"description\":\"<script>\","
		"\"by\":\"<script>\",\"reason\":\"<script>\"}],"
		"\"totals\":[{\"table\":\"<script>\",\"columns\":[{\"column\":\"<script>\",\"kind\":"
		"\"number\",\"min\":[\"<script>\",\"<script>\"]}]}],"
		"\"embeddings\":[{\"table\":\"<script>\",\"column\":\"<script>\",\"collection\":\"<script>\","
		"\"divided\":true,\"target\":{\"with\":1,\"norm_histogram\":{\"low\":1,\"high\":1,"
		"\"shares\":[0,1]}}}],"
		"\"resources\":{\"vector_indexes\":[{\"index\":\"<script>\",\"type\":\"<script>\"}]},"
		"\"transfer\":{\"summary\":{\"left_out\":[{\"what\":\"<script>\",\"name\":\"<script>\","
		"\"why\":\"<script>\"}]},\"run\":{\"steps\":[{\"time\":\"<script>\",\"text\":\"<script>\"}]}},"
		"\"queries\":[{\"check\":\"<script>\",\"object\":\"<script>\",\"end\":\"both\",\"sql\":"
		"\"<script>\"}],\"artifacts\":[{\"path\":\"<script>\",\"sha256\":\"<script>\"}]}");
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	report_html(&t, doc);
	assert_null(strstr(text_str(&t), "<script"));
	assert_non_null(strstr(text_str(&t), "&lt;script&gt;"));
	json_decref(doc);
}

static void a_histogram_of_one_length_is_drawn(void **state)
{
	json_t *doc = parse("{\"embeddings\":[{\"table\":\"t\",\"column\":\"c\",\"source\":{\"with\":3,"
			    "\"norm_histogram\":{\"low\":1,\"high\":1,\"shares\":[0,0,1]}},\"target\":"
			    "{\"with\":3,\"norm_histogram\":{\"low\":1,\"high\":1,\"shares\":[0,0,1]}}}]}");
	AUTO_TEXT struct text t = TEXT_INIT;
	const char *drawn, *not_a_number;

	(void)state;
	report_html(&t, doc);
	drawn = strstr(text_str(&t), "<polygon");
	assert_non_null(drawn);
	not_a_number = strstr(drawn, "nan"); /* "provenance" stands further down */
	assert_true(!not_a_number || not_a_number > strstr(drawn, "</svg>"));
	json_decref(doc);
}

static void the_register_says_what_is_open_and_who_accepted(void **state)
{
	json_t *checks = parse(
		"[{\"group\":\"digest\",\"object\":\"a\",\"verdict\":\"pass\",\"sentence\":\"s\",\"at\":\"t\"},"
		"{\"group\":\"counts\",\"object\":\"b\",\"verdict\":\"warning\",\"sentence\":\"s\",\"at\":"
		"\"t\",\"was\":\"unknown\",\"waived\":{\"by\":\"Kim\",\"reason\":\"r\"}},"
		"{\"group\":\"search\",\"object\":\"c\",\"verdict\":\"warning\",\"sentence\":\"s\",\"at\":\"t\"},"
		"{\"group\":\"rows\",\"object\":\"d\",\"verdict\":\"fail\",\"sentence\":\"s\",\"at\":\"t\"}]");
	static const char *const expected[][3] = { { "E-1", "difference", "open" },
						   { "E-2", "not verified", "accepted" },
						   { "E-3", "minor", "noted" } };
	json_t *list = document_exceptions(checks);

	(void)state;
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *x = json_array_get(list, i);

		assert_string_equal(panel_string(x, "id"), expected[i][0]);
		assert_string_equal(panel_string(x, "classification"), expected[i][1]);
		assert_string_equal(panel_string(x, "disposition"), expected[i][2]);
	}
	assert_string_equal(panel_string(json_array_get(list, 1), "by"), "Kim");
	json_decref(list);
	json_decref(checks);
}

static const json_t *item(const json_t *list, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row) if (!strcmp(panel_string(row, "item"), name)) return row;
	fail_msg("no line \"%s\"", name);
	return NULL;
}

/* P-008, P-113, P-120 */
static void a_checklist_line_is_yes_only_with_evidence(void **state)
{
	json_t *doc = json_object(), *checks = json_array(), *list;

	(void)state;
	json_object_set_new(doc, "checks", checks);
	list = checklist_make(doc);
	for (size_t i = 0; i < json_array_size(list); i++)
		assert_string_equal(panel_string(json_array_get(list, i), "done"), "open");
	json_decref(list);
	finding_add(checks, "counts", "t", FINDING_PASS, "3 rows on both ends");
	finding_add(checks, "digest", "t", FINDING_PASS, "3 rows are the same");
	finding_add(checks, "digest", "u", FINDING_FAIL, "the contents differ");
	finding_add(checks, "smoke", "t", FINDING_UNKNOWN, "could not be tried");
	list = checklist_make(doc);
	assert_string_equal(panel_string(item(list, "record counts match"), "done"), "yes");
	assert_string_equal(panel_string(item(list, "record counts match"), "at"),
			    panel_string(json_array_get(checks, 0), "at"));
	assert_string_equal(panel_string(item(list, "all data migrated and verified"), "done"), "no");
	assert_string_equal(panel_string(item(list, "all data migrated and verified"), "evidence"),
			    "the contents differ");
	assert_string_equal(panel_string(item(list, "create, read and delete work"), "done"), "open");
	json_decref(list);
	json_decref(doc);
}

static void what_was_not_judged_or_was_waived_is_no_yes(void **state)
{
	json_t *waivers = parse("[{\"group\":\"digest\",\"object\":\"*\"}]");
	json_t *doc = json_object(), *checks = json_array(), *list;

	(void)state;
	json_object_set_new(doc, "checks", checks);
	finding_add(checks, "smoke", "t", FINDING_INFO, "t does not take a made-up row");
	finding_add(checks, "digest", "t", FINDING_PASS, "3 rows are the same");
	finding_add(checks, "digest", "u", FINDING_FAIL, "the contents differ");
	finding_add(checks, "presence", "t", FINDING_PASS, "3 embeddings");
	finding_add(checks, "presence", "u", FINDING_FAIL, "2 embeddings, 1 in the target");
	judge_waive(checks, waivers, "2026-01-01");
	judge_soften(checks, &(struct pairs){ .n = 0 }, "presence", "u", FINDING_WARNING,
		     "rows are written");
	list = checklist_make(doc);
	assert_string_equal(panel_string(item(list, "create, read and delete work"), "done"),
			    "open");
	assert_string_equal(panel_string(item(list, "all data migrated and verified"), "done"),
			    "no");
	assert_string_equal(
		panel_string(item(list, "every row that had an embedding has one"), "done"),
		"open");
	json_decref(list);
	json_decref(doc);
	json_decref(waivers);
}

static void only_rows_with_two_digests_are_compared_by_content(void **state)
{
	json_t *tables = parse("[{\"name\":\"a\",\"rows\":[3,3],\"verdict\":\"identical\","
			       "\"digest\":{\"source\":[\"1\",\"2\"],"
			       "\"target\":[\"1\",\"2\"]}},"
			       "{\"name\":\"b\",\"rows\":[null,5],\"verdict\":\"only in target\"},"
			       "{\"name\":\"c\",\"rows\":[6,7],\"verdict\":\"different\"},"
			       "{\"name\":\"d\",\"rows\":[9,9],\"verdict\":\"unknown\",\"digest\":{"
			       "\"source\":null,"
			       "\"target\":[\"1\",\"2\"]}},"
			       "{\"name\":\"e\",\"rows\":[1,null],\"verdict\":\"missing\"}]");
	json_t *coverage = document_coverage(tables);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(coverage, "rows")), 24);
	assert_int_equal(json_integer_value(json_object_get(coverage, "rows_content_checked")), 3);
	assert_int_equal(json_array_size(json_object_get(coverage, "skipped")), 4);
	json_decref(coverage);
	json_decref(tables);
}

/* P-008, P-113: the backup and the restore point. */
static void what_was_made_before_the_run_is_evidence(void **state)
{
	json_t *doc = parse("{\"transfer\":{\"summary\":{\"facts\":{\"backup\":{\"file\":\"b.dump\","
			    "\"sha256\":\"ab12\",\"began\":\"t1\"},\"restore_point\":{\"lsn\":\"0/5\","
			    "\"at\":\"t2\"}}}}}");
	json_t *list = checklist_make(doc);
	const json_t *backup = item(list, "backup of the source created");
	const json_t *point = item(list, "a way back exists: branch or restore point of the target");

	(void)state;
	assert_string_equal(panel_string(backup, "done"), "yes");
	assert_string_equal(panel_string(backup, "evidence"), "b.dump, read again, SHA-256 ab12");
	assert_string_equal(panel_string(backup, "at"), "t1");
	assert_string_equal(panel_string(point, "done"), "yes");
	assert_non_null(strstr(panel_string(point, "evidence"), "LSN 0/5"));
	assert_string_equal(panel_string(point, "at"), "t2");
	json_decref(list);
	json_decref(doc);
}

static void the_same_sql_of_both_ends_stands_once(void **state)
{
	json_t *list = json_array();
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	queries_add(list, "count", "a\nb", PG_SOURCE, "SELECT 1");
	queries_add(list, "count", "a\nb", PG_TARGET, "SELECT 1");
	queries_add(list, "count", "c", PG_SOURCE, "SELECT 'x\ny'");
	queries_add(list, "count", "c", PG_TARGET, "SELECT 3");
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(panel_string(json_array_get(list, 0), "end"), "both");
	queries_file(&t, list);
	assert_non_null(strstr(text_str(&t), "-- count, a b (both)\nSELECT 1;\n"));
	assert_non_null(strstr(text_str(&t), "SELECT 'x\ny';\n"));
	json_decref(list);
}

static void long_numbers_are_grouped_and_words_are_not(void **state)
{
	static const char *const cases[][2] = { { "1234567.25", "1,234,567.25" }, { "-1000", "-1,000" },
						{ "999", "999" },		  { "NaN", "NaN" },
						{ "-Infinity", "-Infinity" },	  { "0.001", "0.001" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_TEXT struct text t = TEXT_INIT;

		panel_digits(&t, cases[i][0]);
		assert_string_equal(text_str(&t), cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_without_parts_is_rendered),
		cmocka_unit_test(names_cannot_become_markup),
		cmocka_unit_test(a_histogram_of_one_length_is_drawn),
		cmocka_unit_test(the_register_says_what_is_open_and_who_accepted),
		cmocka_unit_test(a_checklist_line_is_yes_only_with_evidence),
		cmocka_unit_test(what_was_not_judged_or_was_waived_is_no_yes),
		cmocka_unit_test(only_rows_with_two_digests_are_compared_by_content),
		cmocka_unit_test(what_was_made_before_the_run_is_evidence),
		cmocka_unit_test(the_same_sql_of_both_ends_stands_once),
		cmocka_unit_test(long_numbers_are_grouped_and_words_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
