#include "verify/knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANES 4
#define BLOCK 4 /* queries that share one pass over a row */

/* Four floats at once; the compiler maps it to the machine. */
typedef float lanes __attribute__((vector_size(4 * LANES)));

struct knn {
	enum knn_metric metric;
	int k, dims, stride, n;
	float *queries; /* n rows of stride floats, padded with zeros */
	float *row;     /* the row at hand, padded */
	double *norm2;  /* of each query */
	char **keys;
	struct knn_list *lists;
};

int knn_new(struct knn **ret, enum knn_metric metric, int k, int dims, const float *queries,
	    const char *const *keys, int n, struct err *e)
{
	struct knn *s = calloc(1, sizeof(*s));
	int padded = (n + BLOCK - 1) / BLOCK * BLOCK;

	if (!s)
		return err_nomem(e);
	s->metric = metric;
	s->k = k;
	s->dims = dims;
	s->n = n;
	s->stride = (dims + LANES - 1) / LANES * LANES;
	s->queries = aligned_alloc(64, ((size_t)padded * (size_t)s->stride * 4 + 64) / 64 * 64);
	s->row = aligned_alloc(64, ((size_t)s->stride * 4 + 64) / 64 * 64);
	s->norm2 = calloc((size_t)n + 1, sizeof(*s->norm2));
	s->keys = calloc((size_t)n + 1, sizeof(*s->keys));
	s->lists = calloc((size_t)n + 1, sizeof(*s->lists));
	if (!s->queries || !s->row || !s->norm2 || !s->keys || !s->lists) {
		knn_free(s);
		return err_nomem(e);
	}
	memset(s->queries, 0, (size_t)padded * (size_t)s->stride * 4);
	memset(s->row, 0, (size_t)s->stride * 4);
	for (int i = 0; i < n; i++) {
		const float *q = queries + (size_t)i * (size_t)dims;

		memcpy(s->queries + (size_t)i * (size_t)s->stride, q, (size_t)dims * 4);
		for (int j = 0; j < dims; j++)
			s->norm2[i] += (double)q[j] * (double)q[j];
		s->lists[i].hits = calloc((size_t)k + 1, sizeof(struct knn_hit));
		s->keys[i] = keys && keys[i] ? strdup(keys[i]) : NULL;
		if (!s->lists[i].hits || (keys && keys[i] && !s->keys[i])) {
			knn_free(s);
			return err_nomem(e);
		}
	}
	*ret = s;
	return 0;
}

void knn_list_done(struct knn_list *l)
{
	for (int i = 0; i < l->n; i++)
		free(l->hits[i].key);
	free(l->hits);
	*l = (struct knn_list){ .n = 0 };
}

void knn_free(struct knn *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n; i++) {
		if (s->lists)
			knn_list_done(&s->lists[i]);
		if (s->keys)
			free(s->keys[i]);
	}
	free(s->lists);
	free(s->keys);
	free(s->norm2);
	free(s->row);
	free(s->queries);
	free(s);
}

static double distance_l1(const float *a, const float *b, int dims)
{
	double sum = 0;

	for (int i = 0; i < dims; i++)
		sum += fabs((double)a[i] - (double)b[i]);
	return sum;
}

static double distance_l2(const float *a, const float *b, int dims)
{
	double sum = 0;

	for (int i = 0; i < dims; i++) {
		double d = (double)a[i] - (double)b[i];

		sum += d * d;
	}
	return sqrt(sum);
}

double knn_distance(enum knn_metric metric, const float *a, const float *b, int dims)
{
	double dot = 0, aa = 0, bb = 0;

	if (metric == KNN_L1)
		return distance_l1(a, b, dims);
	if (metric == KNN_L2)
		return distance_l2(a, b, dims);
	for (int i = 0; i < dims; i++) {
		dot += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	if (metric == KNN_IP)
		return -dot;
	return aa > 0 && bb > 0 ? 1 - dot / sqrt(aa * bb) : NAN;
}

/* The products of one row with four neighbouring queries. */
static void dot_block(const float *row, const float *queries, int stride, float ret[BLOCK])
{
	const lanes *r = (const lanes *)(const void *)row;
	const lanes *q[BLOCK];
	lanes sum[BLOCK] = { { 0 } };

	for (int b = 0; b < BLOCK; b++)
		q[b] = (const lanes *)(const void *)(queries + (size_t)b * (size_t)stride);
	for (int i = 0; i < stride / LANES; i++)
		for (int b = 0; b < BLOCK; b++)
			sum[b] += r[i] * q[b][i];
	for (int b = 0; b < BLOCK; b++) {
		ret[b] = 0;
		for (int l = 0; l < LANES; l++)
			ret[b] += sum[b][l];
	}
}

/* At most what the true distance can be, seen the float product: never above it. */
static double lower_bound(const struct knn *s, int i, double dot, double row2)
{
	double size = sqrt(s->norm2[i] * row2);
	double slack = 2e-7 * sqrt(s->dims) * size + 1e-30;

	switch (s->metric) {
	case KNN_IP:
		return -dot - slack;
	case KNN_COSINE:
		return size > 0 ? 1 - (dot + slack) / size : INFINITY;
	case KNN_L2:
		return sqrt(fmax(0, s->norm2[i] + row2 - 2 * (dot + slack)));
	case KNN_L1:
		break;
	}
	return -INFINITY;
}

static int insert(struct knn *s, int i, const char *key, size_t key_len, double d, struct err *e)
{
	struct knn_list *l = &s->lists[i];
	char *copy;
	int at;

	if (isnan(d) || (l->n == s->k && d >= l->hits[l->n - 1].distance))
		return 0;
	if (s->keys[i] && strlen(s->keys[i]) == key_len && !memcmp(s->keys[i], key, key_len))
		return 0;
	copy = strndup(key, key_len);
	if (!copy)
		return err_nomem(e);
	if (l->n == s->k)
		free(l->hits[--l->n].key);
	for (at = l->n; at > 0 && l->hits[at - 1].distance > d; at--)
		l->hits[at] = l->hits[at - 1];
	l->hits[at] = (struct knn_hit){ copy, d };
	l->n++;
	return 0;
}

static bool may_enter(const struct knn *s, int i, double bound)
{
	const struct knn_list *l = &s->lists[i];

	return l->n < s->k || bound < l->hits[l->n - 1].distance;
}

int knn_add(struct knn *s, const char *key, size_t key_len, const float *v, struct err *e)
{
	double row2 = 0;

	memcpy(s->row, v, (size_t)s->dims * 4);
	for (int j = 0; j < s->dims; j++)
		row2 += (double)v[j] * (double)v[j];
	for (int first = 0; first < s->n; first += BLOCK) {
		const float *queries = s->queries + (size_t)first * (size_t)s->stride;
		float dot[BLOCK];

		dot_block(s->row, queries, s->stride, dot);
		for (int b = 0; b < BLOCK && first + b < s->n; b++) {
			int i = first + b;

			if (may_enter(s, i, lower_bound(s, i, (double)dot[b], row2)) &&
			    insert(s, i, key, key_len,
				   knn_distance(s->metric, queries + (size_t)b * (size_t)s->stride,
						s->row, s->dims),
				   e))
				return -1;
		}
	}
	return 0;
}

const struct knn_list *knn_result(const struct knn *s, int i)
{
	return &s->lists[i];
}

double knn_tolerance(enum knn_metric metric, int dims, double scale)
{
	double relative = 4 * sqrt(dims) / (1 << 24);

	return metric == KNN_COSINE ? relative : relative * fabs(scale);
}

static const struct knn_hit *find(const struct knn_list *l, const char *key)
{
	for (int i = 0; i < l->n; i++)
		if (!strcmp(l->hits[i].key, key))
			return &l->hits[i];
	return NULL;
}

/* The k-th exact distance, or that of the last where there are fewer. */
static double last_distance(const struct knn_list *exact, int k)
{
	int n = exact->n < k ? exact->n : k;

	return n > 0 ? exact->hits[n - 1].distance : INFINITY;
}

struct knn_agreement knn_agrees(const struct knn_list *exact, const struct knn_list *answer, int k,
				double tolerance)
{
	struct knn_agreement a = { .same = true };
	double last = last_distance(exact, k);

	if ((exact->n < k ? exact->n : k) != (answer->n < k ? answer->n : k))
		return (struct knn_agreement){ .why = "another number of rows" };
	for (int i = 0; i < answer->n && i < k; i++) {
		const struct knn_hit *hit = &answer->hits[i], *ours = find(exact, hit->key);

		if (ours)
			a.largest = fmax(a.largest, fabs(ours->distance - hit->distance));
		else
			a.ties = true;
		if ((ours ? ours->distance : hit->distance) > last + tolerance) {
			a.same = false;
			a.why = "a row that is not among the nearest";
		}
	}
	for (int i = 0; i < exact->n && i < k; i++)
		if (exact->hits[i].distance < last - tolerance &&
		    !find(answer, exact->hits[i].key)) {
			a.same = false;
			a.why = "one of the nearest rows is not there";
		}
	if (a.same && a.largest > tolerance) {
		a.same = false;
		a.why = "distances of the same rows are not the same";
	}
	return a;
}

double knn_recall(const struct knn_list *exact, const struct knn_list *answer, int k,
		  double tolerance)
{
	double last = last_distance(exact, k);
	int of = exact->n < k ? exact->n : k, hits = 0;

	if (of == 0)
		return -1;
	for (int i = 0; i < answer->n && i < k; i++) {
		const struct knn_hit *ours = find(exact, answer->hits[i].key);

		hits += ours || answer->hits[i].distance <= last + tolerance;
	}
	return (double)(hits < of ? hits : of) / of;
}
