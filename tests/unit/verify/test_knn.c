#include "tests/unit/common/unit.h"

#include "verify/knn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIMS    19 /* not a multiple of anything */
#define ROWS    500
#define QUERIES 13
#define K       10

static float rows[ROWS][DIMS];

static float pseudo(uint64_t *x)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return (float)(*x >> 40) / (float)(1 << 24) - 0.5f;
}

static int make_rows(void **state)
{
	uint64_t x = 7;

	(void)state;
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < DIMS; j++)
			rows[i][j] = pseudo(&x);
	memcpy(rows[20], rows[21], sizeof(rows[20])); /* twins */
	memset(rows[99], 0, sizeof(rows[99]));
	return 0;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The plain way: all distances, sorted. */
static int plain(enum knn_metric metric, int query, double ret[ROWS])
{
	int n = 0;

	for (int i = 0; i < ROWS; i++) {
		double d = knn_distance(metric, rows[query], rows[i], DIMS);

		if (i != query && !isnan(d))
			ret[n++] = d;
	}
	qsort(ret, (size_t)n, sizeof(*ret), ascending);
	return n;
}

static struct knn *fill(enum knn_metric metric)
{
	const char *keys[QUERIES];
	char names[QUERIES][8];
	struct err e = ERR_INIT;
	struct knn *s;

	for (int i = 0; i < QUERIES; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i + 15);
		keys[i] = names[i];
	}
	assert_int_equal(knn_new(&s, metric, K, DIMS, rows[15], keys, QUERIES, &e), 0);
	for (int i = 0; i < ROWS; i++) {
		char key[8];
		int len = snprintf(key, sizeof(key), "%d", i);

		assert_int_equal(knn_add(s, key, (size_t)len, rows[i], &e), 0);
	}
	return s;
}

static void check_metric(enum knn_metric metric)
{
	struct knn *s = fill(metric);

	for (int q = 0; q < QUERIES; q++) {
		const struct knn_list *l = knn_result(s, q);
		double all[ROWS];

		plain(metric, q + 15, all);
		assert_int_equal(l->n, K);
		for (int i = 0; i < K; i++) {
			if (fabs(l->hits[i].distance - all[i]) > 0)
				fail_msg("query %d, place %d: %.17g, not %.17g", q, i,
					 l->hits[i].distance, all[i]);
			assert_int_not_equal(atoi(l->hits[i].key), q + 15);
		}
	}
	knn_free(s);
}

static void neighbours_are_those_of_the_plain_way(void **state)
{
	(void)state;
	check_metric(KNN_L2);
	check_metric(KNN_IP);
	check_metric(KNN_COSINE);
	check_metric(KNN_L1);
}

static void twins_find_each_other(void **state)
{
	struct knn *s = fill(KNN_COSINE);

	(void)state;
	assert_string_equal(knn_result(s, 5)->hits[0].key, "21"); /* query 5 is row 20 */
	assert_true(knn_result(s, 5)->hits[0].distance < 1e-12);
	knn_free(s);
}

static struct knn_list list(struct knn_hit *hits, int n)
{
	return (struct knn_list){ .n = n, .hits = hits };
}

static char a[] = "a", b[] = "b", c[] = "c", d[] = "d", x[] = "x";
static struct knn_hit exact_hits[] = { { a, 0.1 }, { b, 0.2 }, { c, 0.2 } };

static void members_of_a_tie_may_change_places(void **state)
{
	struct knn_hit other[] = { { a, 0.1 }, { c, 0.2 }, { d, 0.2 } };
	struct knn_list exact = list(exact_hits, 3), answer = list(other, 3);
	struct knn_agreement r = knn_agrees(&exact, &answer, 3, 1e-6);

	(void)state;
	assert_true(r.same);
	assert_true(r.ties);
	assert_true(knn_recall(&exact, &answer, 3, 1e-6) >= 1);
}

static void a_nearer_row_that_is_missing_is_a_difference(void **state)
{
	struct knn_hit other[] = { { b, 0.2 }, { c, 0.2 }, { d, 0.2 } };
	struct knn_list exact = list(exact_hits, 3), answer = list(other, 3);
	struct knn_agreement r = knn_agrees(&exact, &answer, 3, 1e-6);

	(void)state;
	assert_false(r.same);
	assert_string_equal(r.why, "one of the nearest rows is not there");
}

static void a_farther_row_is_a_difference_and_no_hit(void **state)
{
	struct knn_hit other[] = { { a, 0.1 }, { b, 0.2 }, { x, 0.3 } };
	struct knn_list exact = list(exact_hits, 3), answer = list(other, 3);
	struct knn_agreement r = knn_agrees(&exact, &answer, 3, 1e-6);

	(void)state;
	assert_false(r.same);
	assert_true(fabs(knn_recall(&exact, &answer, 3, 1e-6) - 2.0 / 3) < 1e-12);
}

static void other_distances_of_the_same_rows_are_a_difference(void **state)
{
	struct knn_hit other[] = { { a, 0.1 }, { b, 0.21 }, { c, 0.2 } };
	struct knn_list exact = list(exact_hits, 3), answer = list(other, 3);

	(void)state;
	assert_false(knn_agrees(&exact, &answer, 3, 1e-6).same);
	assert_true(knn_agrees(&exact, &answer, 3, 0.1).same);
}

static void too_few_rows_are_a_difference(void **state)
{
	struct knn_list exact = list(exact_hits, 3), answer = list(exact_hits, 2);
	struct knn_list none = list(NULL, 0);

	(void)state;
	assert_false(knn_agrees(&exact, &answer, 3, 1e-6).same);
	assert_true(knn_recall(&none, &answer, 3, 1e-6) < 0);
	assert_true(knn_recall(&exact, &none, 3, 1e-6) <= 0);
}

static void the_tolerance_grows_with_dimensions_and_scale(void **state)
{
	(void)state;
	assert_true(fabs(knn_tolerance(KNN_COSINE, 1536, 5) - 9.3441e-6) < 1e-9);
	assert_true(fabs(knn_tolerance(KNN_L2, 1536, 10) - 9.3441e-5) < 1e-8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_are_those_of_the_plain_way),
		cmocka_unit_test(twins_find_each_other),
		cmocka_unit_test(members_of_a_tie_may_change_places),
		cmocka_unit_test(a_nearer_row_that_is_missing_is_a_difference),
		cmocka_unit_test(a_farther_row_is_a_difference_and_no_hit),
		cmocka_unit_test(other_distances_of_the_same_rows_are_a_difference),
		cmocka_unit_test(too_few_rows_are_a_difference),
		cmocka_unit_test(the_tolerance_grows_with_dimensions_and_scale),
	};

	return cmocka_run_group_tests(tests, make_rows, NULL);
}
