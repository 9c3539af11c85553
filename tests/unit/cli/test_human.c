#include "tests/unit/common/unit.h"

#include "cli/human.h"

static void sizes_are_read_with_any_known_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },           { "512", 512 },
		{ "512b", 512 },      { "64k", 65536 },
		{ "64kB", 65536 },    { "64KiB", 65536 },
		{ "16M", 16777216 },  { "16 MB", 16777216 },
		{ "2g", 2147483648 }, { "1T", 1099511627776 },
	};
	static const char *const bad[] = { "",
					   "M",
					   "-1",
					   "+1",
					   " 1",
					   "1.5G",
					   "1Q",
					   "1MM",
					   "1Mx",
					   "0x1",
					   "99999999999999999999",
					   "99999999999T" };
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(human_parse_bytes(good[i].text, &n));
		assert_int_equal(n, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (human_parse_bytes(bad[i], &n))
			fail_msg("\"%s\" was taken as %llu", bad[i], (unsigned long long)n);
}

static void times_need_a_unit(void **state)
{
	uint64_t ms;

	(void)state;
	assert_true(human_parse_duration("500ms", &ms));
	assert_int_equal(ms, 500);
	assert_true(human_parse_duration("1h30m", &ms));
	assert_int_equal(ms, 5400000);
	assert_true(human_parse_duration("7d", &ms));
	assert_int_equal(ms, 604800000);
	assert_false(human_parse_duration("90", &ms));
	assert_false(human_parse_duration("", &ms));
	assert_false(human_parse_duration("m", &ms));
	assert_false(human_parse_duration("1y", &ms));
	assert_false(human_parse_duration("1h30", &ms));
	assert_false(human_parse_duration("99999999999999d", &ms));
}

static void what_is_shown_exactly_reads_back(void **state)
{
	static const uint64_t values[] = { 0,     1,     1000,    1024,
					   65536, 65537, 3 << 20, UINT64_C(1) << 40 };
	char buf[HUMAN_LEN];
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		assert_true(human_parse_bytes(human_exact_bytes(buf, values[i]), &n));
		assert_int_equal(n, values[i]);
		assert_true(human_parse_duration(human_exact_duration(buf, values[i]), &n));
		assert_int_equal(n, values[i]);
	}
	assert_string_equal(human_exact_bytes(buf, 16 << 20), "16M");
	assert_string_equal(human_exact_duration(buf, 60000), "1m");
}

static void numbers_are_short_and_never_round_up_into_the_next_unit(void **state)
{
	char buf[HUMAN_LEN];

	(void)state;
	assert_string_equal(human_bytes(buf, 0), "0 B");
	assert_string_equal(human_bytes(buf, 1023), "1023 B");
	assert_string_equal(human_bytes(buf, 1024), "1.0 kB");
	assert_string_equal(human_bytes(buf, 1048575), "1.0 MB");
	assert_string_equal(human_bytes(buf, UINT64_MAX), "16.0 EB");
	assert_string_equal(human_count(buf, 0), "0");
	assert_string_equal(human_count(buf, 999), "999");
	assert_string_equal(human_count(buf, 1000), "1,000");
	assert_string_equal(human_count(buf, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(human_duration(buf, 0), "0.0 s");
	assert_string_equal(human_duration(buf, 12345), "12.3 s");
	assert_string_equal(human_duration(buf, 59949), "59.9 s");
	assert_string_equal(human_duration(buf, 59950), "1 min 00 s");
	assert_string_equal(human_duration(buf, 7620000), "2 h 07 min");
	assert_string_equal(human_duration(buf, UINT64_C(100) * 3600000), "4 d 4 h");
	assert_string_equal(human_clock(buf, 42999), "0:42");
	assert_string_equal(human_clock(buf, 3753000), "1:02:33");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_with_any_known_unit),
		cmocka_unit_test(times_need_a_unit),
		cmocka_unit_test(what_is_shown_exactly_reads_back),
		cmocka_unit_test(numbers_are_short_and_never_round_up_into_the_next_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
