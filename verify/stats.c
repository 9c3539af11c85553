#include "verify/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESAMPLES 1000

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double stats_quantile(const double *sorted, int n, double q)
{
	double at = q * (n - 1);
	int i = (int)at;

	return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/* Cornish-Fisher expansion of Student's t around the normal quantile; exact enough from 3 on. */
double stats_t(int df, bool two_sided)
{
	double z = two_sided ? 1.959964 : 1.644854, z3 = z * z * z, z5 = z3 * z * z,
	       z7 = z5 * z * z, v = df;

	if (df < 1)
		return INFINITY;
	if (df == 1)
		return two_sided ? 12.7062 : 6.3138;
	if (df == 2)
		return two_sided ? 4.3027 : 2.9200;
	return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v) +
	       (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v * v * v);
}

static void mean_and_sd(const double *values, int n, double *ret_mean, double *ret_sd)
{
	double sum = 0, squares = 0;

	for (int i = 0; i < n; i++)
		sum += values[i];
	*ret_mean = n > 0 ? sum / n : 0;
	for (int i = 0; i < n; i++)
		squares += (values[i] - *ret_mean) * (values[i] - *ret_mean);
	*ret_sd = n > 1 ? sqrt(squares / (n - 1)) : 0;
}

struct stats stats_of(const double *values, int n)
{
	struct stats s = { .n = n };
	double *sorted = n > 0 ? malloc((size_t)n * sizeof(*sorted)) : NULL;

	mean_and_sd(values, n, &s.mean, &s.sd);
	s.half95 = n > 1 ? stats_t(n - 1, true) * s.sd / sqrt(n) : 0;
	if (!sorted)
		return s;
	memcpy(sorted, values, (size_t)n * sizeof(*sorted));
	qsort(sorted, (size_t)n, sizeof(*sorted), ascending);
	s.min = sorted[0];
	s.p5 = stats_quantile(sorted, n, 0.05);
	s.median = stats_quantile(sorted, n, 0.5);
	s.p95 = stats_quantile(sorted, n, 0.95);
	s.max = sorted[n - 1];
	free(sorted);
	return s;
}

struct stats_paired stats_paired(const double *a, const double *b, int n, double margin)
{
	struct stats_paired p = { .n = n, .answer = STATS_OPEN };
	double *d = n > 0 ? malloc((size_t)n * sizeof(*d)) : NULL;
	double sd, half;

	if (!d)
		return p;
	for (int i = 0; i < n; i++)
		d[i] = b[i] - a[i];
	mean_and_sd(d, n, &p.mean, &sd);
	free(d);
	half = n > 1 ? stats_t(n - 1, false) * sd / sqrt(n) : INFINITY;
	p.lower95 = p.mean - half;
	p.upper95 = p.mean + half;
	if (p.lower95 > -margin)
		p.answer = STATS_HOLDS;
	else if (p.upper95 < -margin)
		p.answer = STATS_FAILS;
	return p;
}

/* xorshift64*: small, seeded, the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

static double ratio_of_medians(double *a, double *b, int n)
{
	double middle;

	qsort(a, (size_t)n, sizeof(*a), ascending);
	qsort(b, (size_t)n, sizeof(*b), ascending);
	middle = stats_quantile(a, n, 0.5);
	return middle > 0 ? stats_quantile(b, n, 0.5) / middle : 0;
}

static double resample(const double *a, const double *b, int n, double *x, double *y,
		       uint64_t *state)
{
	for (int i = 0; i < n; i++) {
		int pick = (int)(next_random(state) % (uint64_t)n);

		x[i] = a[pick];
		y[i] = b[pick];
	}
	return ratio_of_medians(x, y, n);
}

struct stats_ratio stats_ratio(const double *a, const double *b, int n, uint64_t seed)
{
	struct stats_ratio r = { 0 };
	double ratios[RESAMPLES];
	double *x = n > 0 ? malloc(2 * (size_t)n * sizeof(*x)) : NULL;
	uint64_t state = seed * 2 + 88172645463325253u;

	if (!x)
		return r;
	memcpy(x, a, (size_t)n * sizeof(*x));
	memcpy(x + n, b, (size_t)n * sizeof(*x));
	r.ratio = ratio_of_medians(x, x + n, n);
	for (int i = 0; i < RESAMPLES; i++)
		ratios[i] = resample(a, b, n, x, x + n, &state);
	qsort(ratios, RESAMPLES, sizeof(*ratios), ascending);
	r.low95 = stats_quantile(ratios, RESAMPLES, 0.025);
	r.high95 = stats_quantile(ratios, RESAMPLES, 0.975);
	free(x);
	return r;
}

/* The upper tail of a binomial with p = 1/2, by logarithms so that no count overflows. */
double stats_sign(int more, int less)
{
	int n = more + less;
	double tail = 0;

	for (int k = more; k <= n; k++)
		tail += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) - n * log(2.0));
	return tail < 1 ? tail : 1;
}

double stats_all_pass_bound(int n)
{
	return n > 0 ? pow(0.05, 1.0 / n) : 0;
}
