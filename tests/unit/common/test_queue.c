#include "unit.h"

#include "common/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int freed;

static void count_free(void *item)
{
	(void)item;
	atomic_fetch_add(&freed, 1);
}

static struct queue *make(uint64_t max_bytes)
{
	struct queue *q = NULL;

	freed = 0;
	assert_ok(queue_new(&q, max_bytes, count_free, E));
	return q;
}

static void *item(uintptr_t n)
{
	return (void *)n; // NOLINT(performance-no-int-to-ptr): the numbers are never followed
}

static uintptr_t pop(struct queue *q)
{
	void *got = NULL;

	assert_int_equal(queue_pop(q, &got), QUEUE_OK);
	return (uintptr_t)got;
}

static void assert_holds(struct queue *q, uint64_t bytes, uint64_t items)
{
	uint64_t b = 99, n = 99;

	queue_stats(q, &b, &n);
	assert_int_equal(b, bytes);
	assert_int_equal(n, items);
}

static void items_leave_in_the_order_they_came(void **state)
{
	struct queue *q = make(1 << 20);

	(void)state;
	for (uintptr_t round = 0; round < 3; round++) {
		for (uintptr_t i = 0; i < 100; i++)
			assert_int_equal(queue_push(q, item(i), 1), QUEUE_OK);
		/* Half is left each time, so that the ring wraps and grows while wrapped. */
		for (uintptr_t i = 0; i < 50; i++)
			(void)pop(q);
	}
	for (uintptr_t i = 0; i < 150; i++)
		assert_int_equal(pop(q), i % 100 < 100 ? (i + 50) % 100 : 0);
	assert_holds(q, 0, 0);
	queue_free(q);
}

static void the_limit_counts_bytes(void **state)
{
	struct queue *q = make(100);

	(void)state;
	assert_true(queue_try_push(q, item(1), 60));
	assert_false(queue_try_push(q, item(2), 41));
	assert_true(queue_try_push(q, item(2), 40));
	assert_false(queue_try_push(q, item(3), 1));
	assert_true(queue_try_push(q, item(3), 0));
	assert_holds(q, 100, 3);
	assert_int_equal(pop(q), 1);
	assert_holds(q, 40, 2);
	queue_free(q);
	assert_int_equal(freed, 2);
}

static void an_empty_queue_takes_any_item(void **state)
{
	struct queue *q = make(100);

	(void)state;
	assert_int_equal(queue_push(q, item(1), UINT64_MAX), QUEUE_OK);
	assert_false(queue_try_push(q, item(2), 1));
	assert_int_equal(pop(q), 1);
	assert_true(queue_try_push(q, item(2), 1));
	queue_free(q);
}

static void after_close_what_is_held_still_comes_out(void **state)
{
	struct queue *q = make(100);
	void *got = item(9);

	(void)state;
	assert_int_equal(queue_push(q, item(1), 1), QUEUE_OK);
	queue_close(q);
	queue_close(q);
	assert_int_equal(queue_push(q, item(2), 1), QUEUE_END);
	assert_false(queue_try_push(q, item(2), 1));
	assert_int_equal(pop(q), 1);
	assert_int_equal(queue_pop(q, &got), QUEUE_END);
	assert_int_equal(queue_pop(q, &got), QUEUE_END);
	assert_ptr_equal(got, item(9));
	queue_free(q);
	assert_int_equal(freed, 0);
}

static void after_abort_nothing_moves_and_free_frees(void **state)
{
	struct queue *q = make(100);
	void *got = item(9);

	(void)state;
	assert_int_equal(queue_push(q, item(1), 1), QUEUE_OK);
	assert_int_equal(queue_push(q, item(2), 1), QUEUE_OK);
	queue_abort(q);
	queue_abort(q);
	queue_close(q); /* does not bring it back to closed */
	assert_int_equal(queue_push(q, item(3), 1), QUEUE_STOPPED);
	assert_false(queue_try_push(q, item(3), 1));
	assert_int_equal(queue_pop(q, &got), QUEUE_STOPPED);
	assert_ptr_equal(got, item(9));
	queue_free(q);
	assert_int_equal(freed, 2);
}

static void freeing_nothing_is_fine(void **state)
{
	(void)state;
	queue_free(NULL);
}

struct waiter {
	struct queue *q;
	enum queue_result result;
	uint64_t bytes;
	atomic_bool done;
	pthread_t thread;
};

static void *wait_push(void *arg)
{
	struct waiter *w = arg;

	w->result = queue_push(w->q, item(7), w->bytes);
	w->done = true;
	return NULL;
}

static void *wait_pop(void *arg)
{
	struct waiter *w = arg;
	void *got;

	w->result = queue_pop(w->q, &got);
	w->done = true;
	return NULL;
}

static void start(struct waiter *w, struct queue *q, void *(*fn)(void *), uint64_t bytes)
{
	w->q = q;
	w->bytes = bytes;
	w->done = false;
	assert_int_equal(pthread_create(&w->thread, NULL, fn, w), 0);
}

static void assert_waits(struct waiter *w)
{
	usleep(20000);
	assert_false(w->done);
}

static enum queue_result join(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	return w->result;
}

static void a_push_waits_for_room(void **state)
{
	struct queue *q = make(10);
	struct waiter w;

	(void)state;
	assert_int_equal(queue_push(q, item(1), 10), QUEUE_OK);
	start(&w, q, wait_push, 5);
	assert_waits(&w);
	assert_int_equal(pop(q), 1);
	assert_int_equal(join(&w), QUEUE_OK);
	assert_int_equal(pop(q), 7);
	queue_free(q);
}

/* With a single wake-up the large push could be woken, find no room, and leave the small asleep. */
static void a_small_push_is_not_held_up_by_a_large_one(void **state)
{
	struct queue *q = make(10);
	struct waiter large, small;

	(void)state;
	assert_int_equal(queue_push(q, item(1), 2), QUEUE_OK);
	assert_int_equal(queue_push(q, item(2), 8), QUEUE_OK);
	start(&large, q, wait_push, 10);
	assert_waits(&large);
	start(&small, q, wait_push, 2);
	assert_waits(&small);
	assert_int_equal(pop(q), 1);
	assert_int_equal(join(&small), QUEUE_OK);
	assert_false(large.done);
	queue_abort(q);
	assert_int_equal(join(&large), QUEUE_STOPPED);
	queue_free(q);
}

static void a_pop_waits_for_an_item(void **state)
{
	struct queue *q = make(10);
	struct waiter w;

	(void)state;
	start(&w, q, wait_pop, 0);
	assert_waits(&w);
	assert_int_equal(queue_push(q, item(1), 1), QUEUE_OK);
	assert_int_equal(join(&w), QUEUE_OK);
	queue_free(q);
}

static void close_and_abort_wake_everybody(void **state)
{
	(void)state;
	for (int aborting = 0; aborting < 2; aborting++) {
		struct queue *full = make(1), *empty = make(1);
		const enum queue_result expected = aborting ? QUEUE_STOPPED : QUEUE_END;
		void (*end)(struct queue *) = aborting ? queue_abort : queue_close;
		struct waiter w[4];

		assert_int_equal(queue_push(full, item(1), 1), QUEUE_OK);
		for (int i = 0; i < 2; i++) {
			start(&w[i], full, wait_push, 1);
			start(&w[2 + i], empty, wait_pop, 0);
		}
		assert_waits(&w[0]);
		end(full);
		end(empty);
		for (int i = 0; i < 4; i++)
			assert_int_equal(join(&w[i]), expected);
		queue_free(full);
		queue_free(empty);
	}
}

/* Many producers and consumers: every item arrives once, each producer's in order where one reads.
 */

enum { PRODUCERS = 4, CONSUMERS = 3, ITEMS = 5000 };

struct party {
	struct queue *q;
	uintptr_t id;
	uint64_t n, sum;
	uintptr_t last[PRODUCERS];
	bool in_order;
	pthread_t thread;
};

static void *produce(void *arg)
{
	struct party *p = arg;

	for (uintptr_t i = 1; i <= ITEMS; i++) {
		if (queue_push(p->q, item(i * PRODUCERS + p->id), i % 7) != QUEUE_OK)
			break;
	}
	return NULL;
}

static void *consume(void *arg)
{
	struct party *p = arg;
	void *got;

	p->in_order = true;
	while (queue_pop(p->q, &got) == QUEUE_OK) {
		uintptr_t n = (uintptr_t)got, from = n % PRODUCERS;

		p->in_order &= n / PRODUCERS > p->last[from];
		p->last[from] = n / PRODUCERS;
		p->sum += n;
		p->n++;
	}
	return NULL;
}

static void run_parties(int consumers, struct party *readers)
{
	struct party writers[PRODUCERS] = { 0 };
	struct queue *q = make(20);

	for (int i = 0; i < consumers; i++) {
		readers[i].q = q;
		pthread_create(&readers[i].thread, NULL, consume, &readers[i]);
	}
	for (uintptr_t i = 0; i < PRODUCERS; i++) {
		writers[i].q = q;
		writers[i].id = i;
		pthread_create(&writers[i].thread, NULL, produce, &writers[i]);
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(writers[i].thread, NULL);
	queue_close(q);
	for (int i = 0; i < consumers; i++)
		pthread_join(readers[i].thread, NULL);
	assert_holds(q, 0, 0);
	queue_free(q);
}

static void every_item_arrives_once(void **state)
{
	struct party readers[CONSUMERS] = { 0 };
	uint64_t n = 0, sum = 0, expected = 0;

	(void)state;
	run_parties(CONSUMERS, readers);
	for (int i = 0; i < CONSUMERS; i++) {
		n += readers[i].n;
		sum += readers[i].sum;
		assert_true(readers[i].in_order); /* each took a part of the order */
	}
	for (uint64_t i = 1; i <= ITEMS; i++)
		expected += i * PRODUCERS * PRODUCERS + 0 + 1 + 2 + 3;
	assert_int_equal(n, PRODUCERS * ITEMS);
	assert_int_equal(sum, expected);
}

static void one_consumer_sees_each_producer_in_order(void **state)
{
	struct party reader = { 0 };

	(void)state;
	run_parties(1, &reader);
	assert_int_equal(reader.n, PRODUCERS * ITEMS);
	assert_true(reader.in_order);
}

static void an_abort_in_full_flow_ends_all_threads_and_frees_the_rest(void **state)
{
	struct party readers[CONSUMERS] = { 0 }, writers[PRODUCERS] = { 0 };
	struct queue *q = make(1 << 16);
	uint64_t held_bytes, held;

	(void)state;
	for (uintptr_t i = 0; i < PRODUCERS; i++) {
		writers[i].q = q;
		writers[i].id = i;
		pthread_create(&writers[i].thread, NULL, produce, &writers[i]);
	}
	for (int i = 0; i < CONSUMERS; i++) {
		readers[i].q = q;
		pthread_create(&readers[i].thread, NULL, consume, &readers[i]);
	}
	usleep(1000);
	queue_abort(q);
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(writers[i].thread, NULL);
	for (int i = 0; i < CONSUMERS; i++)
		pthread_join(readers[i].thread, NULL);
	queue_stats(q, &held_bytes, &held);
	queue_free(q);
	assert_int_equal(freed, held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_leave_in_the_order_they_came),
		cmocka_unit_test(the_limit_counts_bytes),
		cmocka_unit_test(an_empty_queue_takes_any_item),
		cmocka_unit_test(after_close_what_is_held_still_comes_out),
		cmocka_unit_test(after_abort_nothing_moves_and_free_frees),
		cmocka_unit_test(freeing_nothing_is_fine),
		cmocka_unit_test(a_push_waits_for_room),
		cmocka_unit_test(a_small_push_is_not_held_up_by_a_large_one),
		cmocka_unit_test(a_pop_waits_for_an_item),
		cmocka_unit_test(close_and_abort_wake_everybody),
		cmocka_unit_test(every_item_arrives_once),
		cmocka_unit_test(one_consumer_sees_each_producer_in_order),
		cmocka_unit_test(an_abort_in_full_flow_ends_all_threads_and_frees_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
