/*
 * proof - does the target hold exactly the rows that were sent?
 *
 * Compares expected tallies (from the stream, or computed in a source) with the target's own, by
 * one aggregate query a table in the target; only sums cross the network. Knows nothing of
 * transfer/: it can judge any two databases.
 *
 * A table passes when, for the table and each of its collections:
 *   rows of the stream = independent count in the source = rows in the target, and
 *   digest of the stream = digest in the target
 * (with append: target before + stream = target after; then the collections share the table's
 * verdict, because what was there before is not divided). The independent count is asked for:
 * without it a range never read would be missing on both sides.
 *
 * Columns that only the target has are not looked at, nor rows of collections that were not asked
 * for.
 */
#ifndef VERIFY_PROOF_H
#define VERIFY_PROOF_H

#include "common/conn.h"
#include "common/event.h"
#include "common/tally.h"
#include "schema/catalog.h"

enum proof_verdict { PROOF_SAME, PROOF_DIFFERENT, PROOF_UNPROVEN };

struct proof_collection {
	char *name;                 /* NULL: the rows without a collection */
	struct tally stream;        /* expected */
	uint64_t counted;           /* independent count in the source */
	struct tally target;        /* found (out) */
	enum proof_verdict verdict; /* out */
};

struct proof_table {
	char *schema, *name;     /* in the target; a partitioned root is proven as a whole */
	char *collection_column; /* or NULL */
	struct tally stream;     /* expected */
	struct tally before;     /* in the target before the run (append), else zero */
	bool has_count;
	uint64_t counted; /* independent count in the source */
	bool text_mode;   /* every column digested as text (table travelled as text) */
	bool untold;      /* rows were there before, and no tally of them: nothing is expected */
	/* The columns that were sent (borrowed); the target may have more. NULL: all. */
	const char *const *columns;
	int n_columns;
	/* Only the rows of the collections below were sent: others are not looked at. */
	bool only_collections;
	int n_collections;
	struct proof_collection *collections;
	/* out */
	struct tally target;
	enum proof_verdict verdict;
	char why[256]; /* one sentence where not PROOF_SAME */
	uint64_t ms;
};

/*
 * Proves all tables with `jobs` sessions. Fills the out fields; a table whose query failed is
 * PROOF_UNPROVEN with the reason, and the others go on. Returns -1 only when nothing could be done
 * (no connection at all, stopped). progress may be NULL.
 */
int proof_run(const struct conn *target, struct proof_table *tables, int n, int jobs,
	      struct stop *stop, struct events *events,
	      void (*progress)(void *ctx, int done, int total), void *ctx,
	      struct err *e) MUST_CHECK;

/*
 * The tally of one table (or root) and of its collections in one database, by the catalog's column
 * rules: what proof_run() uses for the target and `verify` for a source. text_mode as above. The
 * collections (malloc'ed, proof_collections_free()) come in no order, each tally in its `target`;
 * NULL and 0 where collection_column is NULL.
 */
int proof_tally(struct pg *pg, const struct table *t, const char *collection_column, bool text_mode,
		struct tally *ret, struct proof_collection **ret_collections, int *ret_n,
		struct err *e) MUST_CHECK;

void proof_collections_free(struct proof_collection *c, int n);

#endif
