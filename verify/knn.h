/*
 * knn - exact nearest neighbours, computed here in double from a stream of vectors, and what it
 * means that an answer of a server agrees with them.
 *
 * One pass over the rows serves any number of queries: every row is compared with every query by a
 * float product, and only where that comes near the k-th best is the distance computed in double.
 *
 * LIMIT	Memory is queries * (dimensions * 4 bytes + k keys), whatever the number of rows.
 * THREADS	One thread a struct knn.
 */
#ifndef VERIFY_KNN_H
#define VERIFY_KNN_H

#include "common/err.h"

#include <stdint.h>

enum knn_metric { KNN_L2, KNN_IP, KNN_COSINE, KNN_L1 };

struct knn_hit {
	char *key;
	double distance; /* as the operator gives it: <->, <#> (negative), <=>, <+> */
};

/* The k nearest, ascending; n < k where there are not so many rows. */
struct knn_list {
	int n;
	struct knn_hit *hits;
};

struct knn;

/* queries: n * dims floats, copied; keys[i]: the query's own row, left out (NULL: none). */
int knn_new(struct knn **ret, enum knn_metric metric, int k, int dims, const float *queries,
	    const char *const *keys, int n, struct err *e) MUST_CHECK;
void knn_free(struct knn *s);

/* One row. v has dims floats. */
int knn_add(struct knn *s, const char *key, size_t key_len, const float *v,
	    struct err *e) MUST_CHECK;

/* Of query i, valid while s lives. */
const struct knn_list *knn_result(const struct knn *s, int i);

/* Distance in double. */
double knn_distance(enum knn_metric metric, const float *a, const float *b, int dims);

/*
 * How far two correct servers may be apart: 4 * sqrt(dims) * 2^-24 * scale. scale: 1 for cosine,
 * the distance for L2 and L1, |q| * |x| for the inner product (the caller's estimate).
 */
double knn_tolerance(enum knn_metric metric, int dims, double scale);

/*
 * Tie-aware agreement of an answer with the exact one. Every answer must be as near as the k-th
 * exact one, every exact one that is clearly nearer must be there, and the numbers must be equal.
 */
struct knn_agreement {
	bool same;
	bool ties;       /* members differ inside the tie band only */
	double largest;  /* deviation of a server's distance from ours, where both are known */
	const char *why; /* static words, where not same */
};
struct knn_agreement knn_agrees(const struct knn_list *exact, const struct knn_list *answer, int k,
				double tolerance);

/* Share of the k exact neighbours the answer has, ties counted as hits; -1 for an empty truth. */
double knn_recall(const struct knn_list *exact, const struct knn_list *answer, int k,
		  double tolerance);

void knn_list_done(struct knn_list *l);

#endif
