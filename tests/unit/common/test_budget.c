#include "unit.h"

#include "common/budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static struct budget *make(uint64_t bytes)
{
	struct budget *b = NULL;

	assert_ok(budget_new(&b, bytes, E));
	return b;
}

static void what_fits_is_given_at_once(void **state)
{
	struct budget *b = make(100);

	(void)state;
	assert_int_equal(budget_size(b), 100);
	assert_ok(budget_take(b, 60, E));
	assert_true(budget_try_take(b, 40));
	assert_int_equal(budget_used(b), 100);
	assert_false(budget_try_take(b, 1));
	assert_true(budget_try_take(b, 0));
	budget_give(b, 60);
	assert_int_equal(budget_used(b), 40);
	assert_false(budget_try_take(b, 61));
	assert_true(budget_try_take(b, 60));
	budget_free(b);
	budget_free(NULL);
}

static void more_than_the_whole_is_admitted_alone(void **state)
{
	struct budget *b = make(100);

	(void)state;
	assert_true(budget_try_take(b, 1));
	assert_false(budget_try_take(b, 101));
	budget_give(b, 1);
	assert_true(budget_try_take(b, UINT64_MAX));
	assert_false(budget_try_take(b, 1));
	budget_give(b, UINT64_MAX);
	assert_int_equal(budget_used(b), 0);
	budget_free(b);
}

struct waiter {
	struct budget *b;
	uint64_t bytes;
	int result;
	struct err e;
	atomic_bool done;
	pthread_t thread;
};

static void *wait_take(void *arg)
{
	struct waiter *w = arg;

	w->result = budget_take(w->b, w->bytes, &w->e);
	w->done = true;
	return NULL;
}

static void start(struct waiter *w, struct budget *b, uint64_t bytes)
{
	*w = (struct waiter){ .b = b, .bytes = bytes };
	assert_int_equal(pthread_create(&w->thread, NULL, wait_take, w), 0);
}

static void assert_waits(struct waiter *w)
{
	usleep(20000);
	assert_false(w->done);
}

static void a_taker_waits_until_enough_is_given(void **state)
{
	struct budget *b = make(100);
	struct waiter w;

	(void)state;
	assert_ok(budget_take(b, 80, E));
	start(&w, b, 50);
	assert_waits(&w);
	budget_give(b, 10);
	assert_waits(&w);
	budget_give(b, 20);
	pthread_join(w.thread, NULL);
	assert_int_equal(w.result, 0);
	assert_int_equal(budget_used(b), 100);
	budget_free(b);
}

static void a_huge_taker_does_not_hold_up_a_small_one(void **state)
{
	struct budget *b = make(100);
	struct waiter huge, small;

	(void)state;
	assert_ok(budget_take(b, 100, E));
	start(&huge, b, 1000);
	assert_waits(&huge);
	start(&small, b, 10);
	assert_waits(&small);
	budget_give(b, 10);
	pthread_join(small.thread, NULL);
	assert_int_equal(small.result, 0);
	assert_false(huge.done);
	budget_give(b, 100);
	pthread_join(huge.thread, NULL);
	assert_int_equal(huge.result, 0);
	assert_int_equal(budget_used(b), 1000);
	budget_free(b);
}

static void an_abort_wakes_all_waiters_and_refuses_later_ones(void **state)
{
	struct budget *b = make(10);
	struct waiter w[3];
	struct err e = ERR_INIT;

	(void)state;
	assert_true(budget_try_take(b, 10));
	for (int i = 0; i < 3; i++)
		start(&w[i], b, 5);
	assert_waits(&w[0]);
	budget_abort(b);
	budget_abort(b);
	for (int i = 0; i < 3; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].result, -1);
		assert_int_equal(w[i].e.kind, ERR_STOPPED);
	}
	budget_give(b, 10);
	assert_int_equal(budget_used(b), 0);
	assert_false(budget_try_take(b, 1));
	assert_int_equal(budget_take(b, 1, &e), -1);
	budget_free(b);
}

enum { THREADS = 6, TURNS = 4000, SIZE = 100 };

struct crowd {
	struct budget *b;
	atomic_uint_fast64_t held, most;
};

static void *take_and_give(void *arg)
{
	struct crowd *c = arg;

	for (uint64_t i = 0; i < TURNS; i++) {
		uint64_t bytes = i % 60 + 1, now, most;
		struct err e;

		if (i % 3 == 0 && !budget_try_take(c->b, bytes))
			continue;
		if (i % 3 != 0 && budget_take(c->b, bytes, &e))
			return NULL;
		now = atomic_fetch_add(&c->held, bytes) + bytes;
		most = atomic_load(&c->most);
		while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
			;
		atomic_fetch_sub(&c->held, bytes);
		budget_give(c->b, bytes);
	}
	return NULL;
}

static void many_threads_never_hold_more_than_the_budget(void **state)
{
	struct crowd c = { .b = make(SIZE) };
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, take_and_give, &c);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(c.most, 1, SIZE);
	assert_int_equal(budget_used(c.b), 0);
	budget_free(c.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_given_at_once),
		cmocka_unit_test(more_than_the_whole_is_admitted_alone),
		cmocka_unit_test(a_taker_waits_until_enough_is_given),
		cmocka_unit_test(a_huge_taker_does_not_hold_up_a_small_one),
		cmocka_unit_test(an_abort_wakes_all_waiters_and_refuses_later_ones),
		cmocka_unit_test(many_threads_never_hold_more_than_the_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
