/* The list of differing rows on disk, and how the rows under one key differ. */
#include "tests/unit/common/unit.h"

#include "verify/flagged.h"

#include <stdlib.h>
#include <string.h>

struct counts {
	const char *digest;
	uint64_t n[2];
};

static struct flagged_row row_of(const char *id, const struct counts *c, int n)
{
	struct flagged_row row = { .id = strdup(id), .shown = -1 };
	struct err e = ERR_INIT;

	for (int i = 0; i < n; i++)
		for (int role = 0; role < 2; role++)
			assert_int_equal(flagged_count(&row, c[i].digest, role, c[i].n[role], &e),
					 0);
	return row;
}

static struct flagged_sums sums_of(const struct counts *c, int n)
{
	struct flagged_row row = row_of("00", c, n);
	struct flagged_sums sums = { 0 };

	flagged_sum(&sums, &row);
	flagged_rows_done(&row, 1);
	return sums;
}

static void check(struct flagged_sums s, uint64_t missing, uint64_t extra, uint64_t changed,
		  uint64_t doubled, uint64_t surplus)
{
	assert_int_equal(s.missing, missing);
	assert_int_equal(s.extra, extra);
	assert_int_equal(s.changed, changed);
	assert_int_equal(s.doubled, doubled);
	assert_int_equal(s.surplus, surplus);
}

static void rows_under_one_key_are_sorted_into_classes(void **state)
{
	(void)state;
	check(sums_of((struct counts[]){ { "a", { 1, 1 } } }, 1), 0, 0, 0, 0, 0);
	check(sums_of((struct counts[]){ { "a", { 1, 0 } } }, 1), 1, 0, 0, 0, 0);
	check(sums_of((struct counts[]){ { "a", { 0, 2 } } }, 1), 0, 2, 0, 0, 0);
	check(sums_of((struct counts[]){ { "a", { 1, 0 } }, { "b", { 0, 1 } } }, 2), 0, 0, 1, 0, 0);
	/* twice the same row: one of them may go without loss */
	check(sums_of((struct counts[]){ { "a", { 1, 2 } } }, 1), 0, 0, 0, 1, 1);
	/* other contents under the source's key: it may not */
	check(sums_of((struct counts[]){ { "a", { 1, 1 } }, { "b", { 0, 1 } } }, 2), 0, 0, 0, 1, 0);
	/* what changed takes the place of the other contents first */
	check(sums_of((struct counts[]){ { "a", { 1, 2 } }, { "b", { 0, 1 } }, { "c", { 1, 0 } } },
		      3),
	      0, 0, 1, 1, 1);
	check(sums_of((struct counts[]){ { "a", { 5, 2 } } }, 1), 3, 0, 0, 0, 0);
}

static void fill(struct flagged *list, int from, int to)
{
	struct err e = ERR_INIT;

	for (int i = from; i < to; i++) {
		char id[16];
		struct flagged_row row;

		(void)snprintf(id, sizeof(id), "%08x", (unsigned)i);
		row = row_of(id, (struct counts[]){ { "a", { 1, 0 } }, { "b", { 0, 1 } } }, 2);
		row.key = json_pack("[s, s]", "it's \"\n", id);
		row.note = i % 2 ? strdup("why") : NULL;
		row.shown = i;
		row.state = FLAGGED_MOVING;
		assert_int_equal(flagged_add(list, &row, &e), 0);
		flagged_rows_done(&row, 1);
	}
}

static void check_row(const struct flagged_row *row, int i)
{
	char id[16];

	(void)snprintf(id, sizeof(id), "%08x", (unsigned)i);
	assert_string_equal(row->id, id);
	assert_string_equal(json_string_value(json_array_get(row->key, 0)), "it's \"\n");
	assert_string_equal(json_string_value(json_array_get(row->key, 1)), id);
	assert_int_equal(row->shown, i);
	assert_int_equal(row->state, FLAGGED_MOVING);
	assert_int_equal(row->n_copies, 2);
	assert_int_equal(row->copies[0].n[0], 1);
	assert_int_equal(row->copies[1].n[1], 1);
	if (i % 2)
		assert_string_equal(row->note, "why");
	else
		assert_null(row->note);
}

/* As a repair does it: what is put aside goes to a new list while the old one is read. */
static void lists_are_read_in_order_while_another_is_written(void **state)
{
	struct flagged_store *store;
	struct flagged first, second, aside;
	struct flagged_row rows[7];
	struct err e = ERR_INIT;
	int n, seen = 0;

	(void)state;
	assert_int_equal(flagged_open(&store, &e), 0);
	first = flagged_list(store);
	fill(&first, 0, 100);
	second = flagged_list(store);
	fill(&second, 100, 105);
	aside = flagged_list(store);
	for (flagged_rewind(&first);; flagged_rows_done(rows, n)) {
		assert_int_equal(flagged_next(&first, rows, 7, &n, &e), 0);
		if (n == 0)
			break;
		for (int i = 0; i < n; i++) {
			check_row(&rows[i], seen++);
			if (i == 3)
				assert_int_equal(flagged_add(&aside, &rows[i], &e), 0);
		}
	}
	assert_int_equal(seen, 100);
	assert_int_equal(aside.n, 14);
	for (int i = 0; i < 14; i++) {
		assert_int_equal(flagged_next(&aside, rows, 1, &n, &e), 0);
		assert_int_equal(n, 1);
		check_row(&rows[0], 7 * i + 3);
		flagged_rows_done(rows, n);
	}
	assert_int_equal(flagged_next(&second, rows, 7, &n, &e), 0);
	assert_int_equal(n, 5);
	check_row(&rows[4], 104);
	flagged_rows_done(rows, n);
	flagged_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_under_one_key_are_sorted_into_classes),
		cmocka_unit_test(lists_are_read_in_order_while_another_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
