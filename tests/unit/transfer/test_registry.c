/* When a table is known to be in the target. */
#include "transfer/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct plan_range ranges[] = { { 0, 4 }, { 4, 9 } };
static const struct plan_table table = { .no = 1, .n_routes = 2, .n_ranges = 2, .ranges = ranges };

static void add(struct registry *r, int range, int route, uint32_t from, uint32_t to, bool loaded)
{
	struct err e = ERR_INIT;
	struct chunk c = { .table = 1, .range = range, .route = route, .from = chunk_position(from, 0),
			   .to = chunk_position(to, 0) };

	assert_int_equal(registry_add(r, &c, true, loaded, &e), 0);
}

static void test_loaded_when_every_position_of_every_route_is(void **state)
{
	AUTO(registry) struct registry *r = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(registry_new(&r, 2, &e), 0);
	assert_false(registry_is_loaded(r, &table));
	add(r, 0, 0, 0, 4, true);
	add(r, 0, 1, 0, 4, true);
	add(r, 1, 0, 4, 9, true);
	assert_false(registry_is_loaded(r, &table)); /* a route of a range is missing */
	add(r, 1, 1, 4, 6, true);
	assert_false(registry_is_loaded(r, &table)); /* its end is */
	add(r, 1, 1, 6, 9, false);
	assert_false(registry_is_loaded(r, &table)); /* it is on disk only */
	add(r, 1, 1, 6, 9, true);
	assert_true(registry_is_loaded(r, &table));
	add(r, 1, 1, 6, 9, true); /* known already: nothing changes */
	assert_true(registry_is_loaded(r, &table));
}

static void test_what_is_removed_is_missing(void **state)
{
	AUTO(registry) struct registry *r = NULL;
	struct err e = ERR_INIT;
	struct plan_table one = { .no = 1, .n_routes = 1, .n_ranges = 1, .ranges = ranges };
	struct chunk c = { .table = 1, .from = 0, .to = chunk_position(4, 0) };

	(void)state;
	assert_int_equal(registry_new(&r, 2, &e), 0);
	add(r, 0, 0, 0, 4, true);
	assert_true(registry_is_loaded(r, &one));
	registry_remove(r, &c);
	assert_false(registry_is_loaded(r, &one));
	one.already_there = true;
	assert_true(registry_is_loaded(r, &one));
}

static void test_a_table_without_pages_is_loaded(void **state)
{
	AUTO(registry) struct registry *r = NULL;
	struct err e = ERR_INIT;
	const struct plan_table none = { .no = 0, .n_routes = 1 };

	(void)state;
	assert_int_equal(registry_new(&r, 1, &e), 0);
	assert_true(registry_is_loaded(r, &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loaded_when_every_position_of_every_route_is),
		cmocka_unit_test(test_what_is_removed_is_missing),
		cmocka_unit_test(test_a_table_without_pages_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
