/*
 * presence - which rows have an embedding, and what their embeddings look like, per collection.
 *
 * For each column of pgvector's types: rows with and without a value, dimensions, zero and
 * non-finite vectors, quantiles of the norm, vectors that occur more than once. One query a column
 * and end; only the numbers cross the network.
 */
#ifndef VERIFY_PRESENCE_H
#define VERIFY_PRESENCE_H

#include "verify/pair.h"
#include "verify/pool.h"

#include <jansson.h>

/* Quantiles of the norm: 0, 0.01, ..., 1; every fifth is in the report, and bars made of all. */
#define PRESENCE_QUANTILES 101
#define PRESENCE_SHOWN     5
#define PRESENCE_BARS      24

struct presence {
	char *collection; /* NULL: rows without one */
	uint64_t rows, with, zero, not_finite, unit, distinct;
	int min_dims, max_dims;          /* 0: not known for this type, or no vector */
	double norm[PRESENCE_QUANTILES]; /* where with > 0 */
};

/* One vector column of one pair; both ends' groups are sorted by collection, NULL first. */
struct presence_column {
	const struct pair *pair;
	const struct column *column[2]; /* by enum pg_role; NULL: not read on that end */
	int n[2];
	struct presence *groups[2];
	char why[2][256]; /* why an end was not read, or "" */
};

struct presence_list {
	int n;
	struct presence_column *columns;
};

/*
 * All vector columns of the pairs. catalogs tell where the extension lives. collections: only
 * these, if any. Failures are in `why`. Free with presence_free().
 */
int presence_read(struct presence_list *ret, const struct pairs *pairs,
		  const struct catalog *const catalogs[2], const struct pool *pool,
		  const char *const *collections, int n_collections, struct err *e) MUST_CHECK;
void presence_free(struct presence_list *p);

/* The SQL that presence_read() sends, into queries (queries.h). */
int presence_queries(const struct presence_list *list, const struct catalog *const catalogs[2],
		     const char *const *collections, int n_collections, json_t *queries,
		     struct err *e) MUST_CHECK;

/*
 * Compares both ends group by group and adds findings to checks, and to `collections` one object a
 * group: {table, column, collection, source: {...}, target: {...}}. Norms are not compared where
 * the source's vectors are converted.
 */
void presence_judge(const struct presence_list *p, json_t *checks, json_t *collections);

#endif
