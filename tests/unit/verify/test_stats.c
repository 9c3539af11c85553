#include "tests/unit/common/unit.h"

#include "verify/stats.h"

#include <math.h>
#include <stdlib.h>

static void assert_near(double a, double b, double slack)
{
	if (!(fabs(a - b) <= slack))
		fail_msg("%.9g is not within %.3g of %.9g", a, slack, b);
}

static void quantiles_are_linear_between_order_statistics(void **state)
{
	const double v[] = { 1, 2, 3, 4 };

	(void)state;
	assert_near(stats_quantile(v, 4, 0), 1, 0);
	assert_near(stats_quantile(v, 4, 0.5), 2.5, 1e-12);
	assert_near(stats_quantile(v, 4, 1), 4, 0);
	assert_near(stats_quantile(v, 1, 0.3), 1, 0);
}

static void students_t_is_that_of_the_tables(void **state)
{
	(void)state;
	assert_near(stats_t(1, true), 12.7062, 1e-3);
	assert_near(stats_t(2, false), 2.9200, 1e-3);
	assert_near(stats_t(5, true), 2.5706, 5e-3);
	assert_near(stats_t(10, true), 2.2281, 1e-3);
	assert_near(stats_t(10, false), 1.8125, 1e-3);
	assert_near(stats_t(599, false), 1.6474, 1e-3);
	assert_true(isinf(stats_t(0, true)));
}

static void an_interval_takes_the_query_as_the_unit(void **state)
{
	double v[100];
	struct stats s;

	(void)state;
	for (int i = 0; i < 100; i++)
		v[i] = i < 8 ? 0 : 1; /* eight queries find nothing, all others everything */
	s = stats_of(v, 100);
	assert_near(s.mean, 0.92, 1e-12);
	assert_near(s.sd, 0.27266, 1e-4);
	assert_near(s.half95, 1.9842 * 0.027266, 1e-4); /* three times that of 1,000 single hits */
	assert_near(s.p5, 0, 0);
	assert_near(s.min, 0, 0);
	assert_near(s.median, 1, 0);
}

static void nothing_gives_zeros(void **state)
{
	struct stats s = stats_of(NULL, 0);

	(void)state;
	assert_int_equal(s.n, 0);
	assert_near(s.mean + s.sd + s.max + s.half95, 0, 0);
	assert_near(stats_ratio(NULL, NULL, 0, 1).ratio, 0, 0);
}

static void equal_recalls_hold(void **state)
{
	double a[50];
	struct stats_paired p;

	(void)state;
	for (int i = 0; i < 50; i++)
		a[i] = i % 3 / 3.0;
	p = stats_paired(a, a, 50, 0.01);
	assert_int_equal(p.answer, STATS_HOLDS);
	assert_near(p.mean, 0, 0);
}

static void a_clear_loss_fails_and_a_small_sample_is_open(void **state)
{
	double a[400], b[400];

	(void)state;
	for (int i = 0; i < 400; i++) {
		a[i] = 1;
		b[i] = i % 10 == 0 ? 0.5 : 1; /* 0.05 lower in the mean */
	}
	assert_int_equal(stats_paired(a, b, 400, 0.01).answer, STATS_FAILS);
	assert_int_equal(stats_paired(b, a, 400, 0.01).answer, STATS_HOLDS);
	assert_int_equal(stats_paired(a, b, 12, 0.01).answer, STATS_OPEN);
	assert_int_equal(stats_paired(a, b, 1, 0.01).answer, STATS_OPEN);
}

static void a_ratio_holds_the_truth_and_repeats_with_its_seed(void **state)
{
	double a[60], b[60];
	struct stats_ratio r, again;

	(void)state;
	for (int i = 0; i < 60; i++) {
		a[i] = 1 + i % 7 * 0.1;
		b[i] = a[i] * 2;
	}
	r = stats_ratio(a, b, 60, 42);
	again = stats_ratio(a, b, 60, 42);
	assert_near(r.ratio, 2, 1e-9);
	assert_true(r.low95 <= 2 && r.high95 >= 2);
	assert_near(r.low95, again.low95, 0);
	assert_near(r.high95, again.high95, 0);
}

static void the_bound_of_all_passed_is_exact(void **state)
{
	(void)state;
	assert_near(stats_all_pass_bound(59), 0.95, 5e-4);
	assert_near(stats_all_pass_bound(299), 0.99, 1e-4);
	assert_near(stats_all_pass_bound(0), 0, 0);
}

static void the_sign_test_is_the_tail_of_a_fair_coin(void **state)
{
	(void)state;
	assert_near(stats_sign(3, 0), 0.125, 1e-12);
	assert_near(stats_sign(7, 0), 0.0078125, 1e-12);
	assert_near(stats_sign(8, 2), 56.0 / 1024, 1e-12);
	assert_near(stats_sign(0, 5), 1, 1e-12);
	assert_near(stats_sign(0, 0), 1, 1e-12);
	assert_near(stats_sign(600, 400), 1.3642e-10, 1e-13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_linear_between_order_statistics),
		cmocka_unit_test(students_t_is_that_of_the_tables),
		cmocka_unit_test(an_interval_takes_the_query_as_the_unit),
		cmocka_unit_test(nothing_gives_zeros),
		cmocka_unit_test(equal_recalls_hold),
		cmocka_unit_test(a_clear_loss_fails_and_a_small_sample_is_open),
		cmocka_unit_test(a_ratio_holds_the_truth_and_repeats_with_its_seed),
		cmocka_unit_test(the_bound_of_all_passed_is_exact),
		cmocka_unit_test(the_sign_test_is_the_tail_of_a_fair_coin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
