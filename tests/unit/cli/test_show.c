#include "tests/unit/common/unit.h"

#include "cli/show.h"

static void shown(const char *json, const char *expected)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);

	assert_non_null(value);
	show_value(&t, value, 0);
	assert_string_equal(text_str(&t), expected);
	json_decref(value);
}

static void objects_become_lines_and_empty_ones_nothing(void **state)
{
	(void)state;
	shown("{\"run\": \"r\", \"rows\": 12345, \"spill_bytes\": 2048, \"took_ms\": 1500, "
	      "\"none\": null, "
	      "\"empty\": [], \"yes\": true, \"list\": [1, 2]}",
	      "run                    r\n"
	      "rows                   12,345\n"
	      "spill_bytes            2.0 kB\n"
	      "took_ms                1.5 s\n"
	      "yes                    yes\n"
	      "list                   1, 2\n");
}

static void arrays_of_objects_become_tables(void **state)
{
	(void)state;
	shown("{\"tables\": [{\"name\": \"users\", \"rows\": 7}, {\"name\": \"a\", \"rows\": "
	      "1000}]}",
	      "tables:\n"
	      "  name    rows\n"
	      "  users      7\n"
	      "  a      1,000\n");
}

static void what_steers_a_terminal_is_not_shown(void **state)
{
	(void)state;
	shown("{\"name\": \"a\\u001b[2Jb\\u009bc\"}", "name                   a?[2Jb?c\n");
}

static void long_tables_are_counted_at_the_end(void **state)
{
	static const char *const keys[] = { "n", NULL };
	AUTO_TEXT struct text t = TEXT_INIT;
	json_t *rows = json_pack("[{s:i}, {s:i}, {s:i}]", "n", 1, "n", 2, "n", 3);

	(void)state;
	show_table(&t, rows, keys, 1, 2);
	assert_string_equal(text_str(&t), " n\n 1\n 2\n ... and 1 more\n");
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_become_lines_and_empty_ones_nothing),
		cmocka_unit_test(arrays_of_objects_become_tables),
		cmocka_unit_test(what_steers_a_terminal_is_not_shown),
		cmocka_unit_test(long_tables_are_counted_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
