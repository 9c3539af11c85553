#include "unit.h"

#include "common/tally.h"

static struct tally of(const char *rows, const char *sum0, const char *sum1)
{
	struct tally t = TALLY_INIT;

	assert_ok(tally_parse(&t, rows, sum0, sum1, E));
	return t;
}

static void assert_text(const struct tally *t, int i, const char *expected)
{
	char buf[TALLY_TEXT];

	tally_text(t, i, buf);
	assert_string_equal(buf, expected);
}

static void numbers_survive_text_and_back(void **state)
{
	static const char *const numbers[] = {
		"0",
		"1",
		"-1",
		"9223372036854775807",
		"-9223372036854775808",
		"18446744073709551616",
		"-498020295591798550695",
		"170141183460469231731687303715884105727",
		"-170141183460469231731687303715884105727",
		"-170141183460469231731687303715884105728",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct tally t = of("18446744073709551615", numbers[i], numbers[i]);

		assert_true(t.rows == UINT64_MAX);
		assert_text(&t, 0, numbers[i]);
		assert_text(&t, 1, numbers[i]);
	}
}

static void the_sums_of_no_rows_are_null_and_count_as_zero(void **state)
{
	struct tally null = of("0", NULL, NULL), empty = of("0", "", "");
	struct tally zero = TALLY_INIT;

	(void)state;
	assert_true(tally_equal(&null, &zero));
	assert_true(tally_equal(&empty, &zero));
}

static void what_is_not_a_number_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"-",
		"+1",
		" 1",
		"1 ",
		"1.5",
		"NaN",
		"1e3",
		"--1",
		"170141183460469231731687303715884105728",
		"-170141183460469231731687303715884105729",
		"999999999999999999999999999999999999999999",
	};
	static const char *const bad_rows[] = { "-1", "", "x", "1x", " 1", "18446744073709551616" };
	struct tally t = of("3", "4", "5"), before = t;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(tally_parse(&t, "1", bad[i], "1", &e), -1);
		assert_int_equal(tally_parse(&t, "1", "1", bad[i], &e), -1);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++)
		assert_int_equal(tally_parse(&t, bad_rows[i], "1", "1", &e), -1);
	assert_int_equal(tally_parse(&t, NULL, "1", "1", &e), -1);
	assert_true(tally_equal(&t, &before));
}

static void sums_pass_64_bits_exactly(void **state)
{
	const int64_t most[2] = { INT64_MAX, INT64_MIN };
	struct tally t = TALLY_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		tally_row(&t, most);
	assert_true(t.rows == 1000);
	assert_text(&t, 0, "9223372036854775807000");
	assert_text(&t, 1, "-9223372036854775808000");
}

static void chunks_add_up_to_the_table_in_any_order(void **state)
{
	struct tally whole = TALLY_INIT, odd = TALLY_INIT, even = TALLY_INIT, sum = TALLY_INIT;

	(void)state;
	for (int64_t i = 0; i < 999; i++) {
		const int64_t word[2] = { (int64_t)((uint64_t)i * 0x9E3779B97F4A7C15u), -i * i };

		tally_row(&whole, word);
		tally_row(i % 2 ? &odd : &even, word);
	}
	tally_add(&sum, &odd);
	tally_add(&sum, &even);
	assert_true(tally_equal(&sum, &whole));
	tally_subtract(&sum, &even);
	assert_true(tally_equal(&sum, &odd));
}

static void a_row_read_twice_does_not_vanish(void **state)
{
	const int64_t word[2] = { 7, -7 };
	struct tally once = TALLY_INIT, thrice = TALLY_INIT, other = TALLY_INIT;

	(void)state;
	tally_row(&once, word);
	for (int i = 0; i < 3; i++)
		tally_row(&thrice, word);
	assert_false(tally_equal(&once, &thrice));
	other = once;
	other.sum[1]++;
	assert_false(tally_equal(&once, &other));
	other = once;
	other.sum[0]++;
	assert_false(tally_equal(&once, &other));
	other = once;
	other.rows++;
	assert_false(tally_equal(&once, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_survive_text_and_back),
		cmocka_unit_test(the_sums_of_no_rows_are_null_and_count_as_zero),
		cmocka_unit_test(what_is_not_a_number_is_refused_and_changes_nothing),
		cmocka_unit_test(sums_pass_64_bits_exactly),
		cmocka_unit_test(chunks_add_up_to_the_table_in_any_order),
		cmocka_unit_test(a_row_read_twice_does_not_vanish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
