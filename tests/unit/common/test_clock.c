#include "unit.h"

#include "common/clock.h"

#include <time.h>

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static void time_only_moves_forward(void **state)
{
	uint64_t before = clock_us(), before_ms = clock_ms();

	(void)state;
	usleep(2000);
	assert_true(clock_us() >= before + 2000);
	assert_true(clock_ms() >= before_ms + 1);
}

static void never_stays_never(void **state)
{
	(void)state;
	assert_true(clock_deadline(CLOCK_NEVER) == CLOCK_NEVER);
	assert_true(clock_deadline(CLOCK_NEVER - 1) == CLOCK_NEVER);
	assert_int_equal(clock_left(CLOCK_NEVER), -1);
}

static void what_is_left_shrinks_to_nothing(void **state)
{
	uint64_t deadline = clock_deadline(1000);
	int left = clock_left(deadline);

	(void)state;
	assert_in_range(left, 1, 1000);
	assert_int_equal(clock_left(clock_deadline(0)), 0);
	assert_int_equal(clock_left(0), 0);
	assert_int_equal(clock_left(clock_deadline((uint64_t)INT_MAX * 4)), INT_MAX);
}

static void people_get_utc_with_milliseconds(void **state)
{
	char buf[CLOCK_ISO_LEN];
	int year, month, day, hour, minute, second, ms, end = 0;

	(void)state;
	clock_iso(buf);
	assert_int_equal(sscanf(buf, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
				&minute, &second, &ms, &end),
			 7);
	assert_int_equal(strlen(buf), 24);
	assert_int_equal(end, 24);
	assert_in_range(year, 2020, 9999);
}

static void backoff_doubles_up_to_its_cap_less_a_random_half(void **state)
{
	static const uint64_t whole[] = { 100, 100, 200, 400, 800, 1000, 1000 };

	(void)state;
	for (unsigned attempt = 0; attempt < ARRAY_LEN(whole); attempt++) {
		for (int i = 0; i < 200; i++)
			assert_in_range(clock_backoff(attempt, 100, 1000), whole[attempt] / 2,
					whole[attempt]);
	}
}

static void backoff_differs_from_client_to_client(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint64_t wait = clock_backoff(1, 1000000, 1000000);

		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	assert_true(most > least);
}

static void backoff_survives_extreme_numbers(void **state)
{
	(void)state;
	assert_int_equal(clock_backoff(5, 0, 1000), 0);
	assert_int_equal(clock_backoff(1, 5000, 0), 0);
	assert_true(clock_backoff(UINT_MAX, 1, UINT64_MAX - 1) >= UINT64_MAX / 2 - 1);
	assert_in_range(clock_backoff(1, 5000, 1000), 500, 1000);
}

static void *sleep_a_while(void *arg)
{
	struct timespec t = { .tv_nsec = 1000000L * *(const int *)arg };

	nanosleep(&t, NULL);
	return NULL;
}

static void a_join_waits_as_long_as_it_is_told(void **state)
{
	static const int quick = 1, slow = 400;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, sleep_a_while, (void *)(uintptr_t)&quick), 0);
	assert_true(clock_join(thread, 60000));
	assert_int_equal(pthread_create(&thread, NULL, sleep_a_while, (void *)(uintptr_t)&slow), 0);
	assert_false(clock_join(thread, 1));
	assert_true(clock_join(thread, 60000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_only_moves_forward),
		cmocka_unit_test(never_stays_never),
		cmocka_unit_test(what_is_left_shrinks_to_nothing),
		cmocka_unit_test(people_get_utc_with_milliseconds),
		cmocka_unit_test(backoff_doubles_up_to_its_cap_less_a_random_half),
		cmocka_unit_test(backoff_differs_from_client_to_client),
		cmocka_unit_test(backoff_survives_extreme_numbers),
		cmocka_unit_test(a_join_waits_as_long_as_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
