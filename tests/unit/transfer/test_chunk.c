#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <limits.h>

#include "transfer/chunk.h"

static void a_position_is_block_and_offset_in_order(void **state)
{
	(void)state;
	assert_true(chunk_position(7, 65535) < chunk_position(8, 0));
	assert_int_equal(chunk_block(chunk_position(UINT32_MAX, 291)), UINT32_MAX);
	assert_int_equal(chunk_offset(chunk_position(UINT32_MAX, 291)), 291);
}

static void an_id_is_unique_and_a_safe_file_name(void **state)
{
	AUTO(chunk) struct chunk *c = NULL;
	struct err e = ERR_INIT;
	char id[CHUNK_ID_LEN];

	(void)state;
	assert_int_equal(chunk_new(&c, &e), 0);
	c->plan = 1;
	c->table = 22;
	c->range = 3;
	c->route = 4;
	c->from = chunk_position(5, 6);
	chunk_id(c, id);
	assert_string_equal(id, "1.22.3.4.5.6");
	c->plan = c->table = c->range = c->route = INT_MIN;
	c->from = UINT64_MAX;
	chunk_id(c, id);
	assert_in_range(strlen(id), 1, CHUNK_ID_LEN - 1);
	assert_int_equal(strspn(id, "-.0123456789"), strlen(id));
}

static void its_bytes_go_back_to_the_budget_once(void **state)
{
	struct budget *b;
	struct chunk *c;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(budget_new(&b, 1000, &e), 0);
	assert_int_equal(chunk_new(&c, &e), 0);
	assert_int_equal(budget_take(b, 600, &e), 0);
	c->budget = b;
	c->charged = 600;
	c->data = malloc(600);
	c->cap = 600;
	c->len = 500;
	chunk_drop_data(c);
	assert_int_equal(budget_used(b), 0);
	assert_null(c->data);
	assert_int_equal(c->raw_bytes, 500);
	chunk_drop_data(c);
	assert_int_equal(c->raw_bytes, 500);
	c->n_parts = 1;
	c->parts = calloc(1, sizeof(*c->parts));
	c->parts[0].collection = strdup("a");
	chunk_free(c);
	assert_int_equal(budget_used(b), 0);
	chunk_free(NULL);
	budget_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_position_is_block_and_offset_in_order),
		cmocka_unit_test(an_id_is_unique_and_a_safe_file_name),
		cmocka_unit_test(its_bytes_go_back_to_the_budget_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
