/* Memory for index builds: what a graph needs, never more than the server can give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/ddl_memory.h"

#define GB ((int64_t)1 << 30)
#define MB ((int64_t)1 << 20)

static void need_is_what_was_measured(void **state)
{
	(void)state;
	struct ddl_vector_index index = {
		.is_hnsw = true, .kind = DDL_VECTOR, .dimensions = 1536, .m = 16, .rows = 1000000
	};
	int64_t vector = ddl_memory_need(&index);

	/* 6,944 bytes a row with m = 16, and a reserve of 5 percent */
	assert_in_range(vector, 6944LL * 1000000, 6944LL * 1070000);
	index.kind = DDL_HALFVEC;
	assert_in_range(ddl_memory_need(&index), 3856LL * 1000000, 3856LL * 1080000);
	index.m = 32;
	assert_in_range(ddl_memory_need(&index), (3856LL + 512) * 1000000,
			(3856LL + 512) * 1080000);
}

static void grant_is_the_need_within_bounds(void **state)
{
	(void)state;
	struct ddl_server server = { .memory = 4 * GB, .work_mem = 64 * MB };

	assert_int_equal(ddl_memory_grant(&server, 1 * GB), 1 * GB);
	assert_int_equal(ddl_memory_grant(&server, 100 * GB), 4 * GB / 100 * DDL_MEMORY_SHARE);
	assert_int_equal(ddl_memory_grant(&server, 1 * MB), DDL_MEMORY_MIN);
	server.memory = 256 * GB;
	assert_int_equal(ddl_memory_grant(&server, 100 * GB), DDL_MEMORY_MAX);
	/* what the server gives every session is never cut */
	server.memory = 1 * GB;
	server.work_mem = 2 * GB;
	assert_int_equal(ddl_memory_grant(&server, 100 * GB), 2 * GB);
}

static void workers_follow_the_processors_where_they_are_known(void **state)
{
	(void)state;
	struct ddl_server server = { .max_workers = 8, .own_workers = 2 };

	assert_int_equal(ddl_memory_workers(&server), 2);
	server.cpus = 2;
	assert_int_equal(ddl_memory_workers(&server), 1);
	server.cpus = 16;
	server.max_workers = 4;
	assert_int_equal(ddl_memory_workers(&server), 4);
	server.max_workers = 0;
	assert_int_equal(ddl_memory_workers(&server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(need_is_what_was_measured),
		cmocka_unit_test(grant_is_the_need_within_bounds),
		cmocka_unit_test(workers_follow_the_processors_where_they_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
