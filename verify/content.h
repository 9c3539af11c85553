/*
 * content - counts and digests of all tables of both ends, in one pass of independent queries.
 *
 * Per table and end: count(*) by a plain scan (the independent count), the tally of the stored
 * columns divided by collection, and the tally of the generated columns on their own. Only counts
 * and sums cross the network.
 */
#ifndef VERIFY_CONTENT_H
#define VERIFY_CONTENT_H

#include "verify/pair.h"
#include "verify/pool.h"
#include "verify/proof.h"

#include <jansson.h>

/* One end of one table. */
struct content_end {
	bool has_count, has_tally, has_generated;
	uint64_t count;
	struct tally tally, generated;
	int n_collections; /* -1: not divided */
	struct proof_collection
		*collections; /* tally.rows even where only counted; sorted by name */
	uint64_t ms;
	char why[256]; /* why something was not read, or "" */
};

struct content {
	const struct pair *pair;
	struct content_end end[2]; /* by enum pg_role */
};

struct content_want {
	bool counts[2], digests[2];     /* by enum pg_role */
	const char *const *collections; /* only rows of these, if any; else all */
	int n_collections;
	const bool *skip; /* by pair: known already, not read; NULL: none */
	const bool *expected; /* by pair: the source's is known already; NULL: none */
};

/* ret[i] belongs to pairs->pair[i]; free with content_free(). Failures are in the ends' `why`. */
int content_read(struct content **ret, const struct pairs *pairs, const struct pool *pool,
		 const struct content_want *want, struct err *e) MUST_CHECK;
void content_free(struct content *c, int n);

/*
 * Takes over what a proof found in the target (proof.h): its tallies, and the number of rows that
 * they are of. c was made by content_read() and holds nothing of the target yet.
 */
int content_prove(struct content *c, const struct proof_table *t, struct err *e) MUST_CHECK;

/* The SQL that content_read() sends for this `want`, into queries (queries.h). */
int content_queries(const struct pairs *pairs, const struct content_want *want, json_t *queries,
		    struct err *e) MUST_CHECK;

/* The WHERE of a collection filter: (col)::text COLLATE "C" IN (...). Empty where there is none. */
void content_filter(struct text *t, const char *column, const char *const *names, int n);

#endif
