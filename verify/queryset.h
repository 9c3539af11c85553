/*
 * queryset - the query vectors of one index: a seeded sample of its rows, and their exact
 * neighbours.
 *
 * The sample is drawn by a hash of seed and key, so it is the same wherever it is drawn, an equal
 * number from each collection. A query's own row is left out of its neighbours: a row finds itself,
 * and recall could otherwise never fall below 1/k.
 */
#ifndef VERIFY_QUERYSET_H
#define VERIFY_QUERYSET_H

#include "verify/annindex.h"

struct queryset {
	int n, dims;
	char **keys;
	char **texts;           /* pgvector's text form */
	float *vectors;         /* n * dims */
	int *place;             /* of each query's neighbours in truth or asked */
	int n_drawn;            /* entries of asked */
	struct knn *truth;      /* computed here; or NULL, and */
	struct knn_list *asked; /* asked of the target by exact scans */
	double tolerance;       /* for distances of this set */
	uint64_t rows;          /* vectors the truth was taken from; 0 where asked */
};

/*
 * Draws at most `want` queries from pg (the source, or the target where it is alone), restricted to
 * `collections` if any. n is 0 where the index holds nothing. Free with queryset_done().
 */
int queryset_draw(struct queryset *ret, struct pg *pg, const struct annindex *x, int want,
		  uint64_t seed, struct err *e) MUST_CHECK;

/* Exact neighbours by one pass over the rows of the source, computed here. */
int queryset_compute(struct queryset *q, struct pg *source, const struct annindex *x, int k,
		     struct err *e) MUST_CHECK;

/* Exact neighbours by one exact scan of the target a query: for where there is no source. */
int queryset_ask(struct queryset *q, struct pg *target, const struct annindex *x, int k,
		 struct err *e) MUST_CHECK;

/*
 * A query that has no neighbour, as in an index over one vector, cannot be missed: it counts as not
 * drawn. After queryset_compute() or queryset_ask().
 */
void queryset_drop_lonely(struct queryset *q);

const struct knn_list *queryset_truth(const struct queryset *q, int i);
void queryset_done(struct queryset *q);

/*
 * Runs the searches of queries [first, first + n) in one statement and appends k + 1 rows each,
 * without the own row, to lists (k + 1 kept). ret_found[i] (may be NULL): the own row, or one as
 * near as nothing, was among them. bytes_in (may be NULL) counts what came over the network.
 */
int queryset_search(const struct queryset *q, struct pg *pg, const struct annindex *x,
		    enum pg_role role, int first, int n, int k, struct knn_list *lists,
		    bool *ret_found, uint64_t *bytes_in, struct err *e) MUST_CHECK;

/* The text of that statement, for EXPLAIN. */
void queryset_search_sql(struct text *sql, const struct annindex *x, enum pg_role role, int k);

/* An array literal of the query vectors [first, first + n). */
void queryset_array(struct text *t, const struct queryset *q, int first, int n);

#endif
