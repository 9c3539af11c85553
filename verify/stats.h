/*
 * stats - the arithmetic of samples: means with intervals, quantiles, a bootstrapped ratio.
 *
 * The unit of a search sample is the query: its k hits succeed or fail together, so an interval
 * over single hits would be several times too narrow. docs/verify.md has the formulas.
 */
#ifndef VERIFY_STATS_H
#define VERIFY_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct stats {
	int n;
	double mean, sd; /* sample standard deviation; 0 for n < 2 */
	double min, p5, median, p95, max;
	double half95; /* half width of the two-sided 95 % interval of the mean (Student's t) */
};

/* Of n values, n >= 0. All zero for none. values stay as they are. */
struct stats stats_of(const double *values, int n);

/* Linear between order statistics; sorted ascending, n >= 1, 0 <= q <= 1. */
double stats_quantile(const double *sorted, int n, double q);

/* Student's t for one-sided 95 % (two_sided: 97.5 %) with df degrees of freedom. */
double stats_t(int df, bool two_sided);

/*
 * Paired non-inferiority of b against a: is the mean of b - a above -margin?
 * lower95, upper95 are one-sided 95 % bounds of that mean.
 */
enum stats_answer { STATS_HOLDS, STATS_FAILS, STATS_OPEN };
struct stats_paired {
	int n;
	double mean, lower95, upper95;
	enum stats_answer answer; /* OPEN: the sample is too small to tell */
};
struct stats_paired stats_paired(const double *a, const double *b, int n, double margin);

/*
 * median(b) / median(a) of paired values with a 95 % interval by 1,000 resamplings of the pairs;
 * the same seed gives the same interval. All zero where n is 0 or a median is 0.
 */
struct stats_ratio {
	double ratio, low95, high95;
};
struct stats_ratio stats_ratio(const double *a, const double *b, int n, uint64_t seed);

/*
 * Exact one-sided sign test of paired yes-or-no answers, from the pairs that differ: the
 * probability of `more` or more on that side of more + less if neither side were likelier.
 */
double stats_sign(int more, int less);

/* Exact lower 95 % bound of a proportion when all n trials succeeded: 0.05^(1/n). */
double stats_all_pass_bound(int n);

#endif
