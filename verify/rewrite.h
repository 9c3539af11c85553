/*
 * rewrite - rows of the source written over the differing rows of one table, a batch a transaction.
 *
 * In one transaction of the target: the source's rows go by COPY into a temporary table and are
 * digested there, so that what is written is what was compared; the rows in place are locked and
 * digested, and a row that is not what was compared is left alone; then surplus rows are deleted,
 * changed ones updated where they stand, missing ones inserted. Triggers and rules of the user are
 * off meanwhile, as far as the role owns the table; foreign keys are not, so what would reach rows
 * of other tables by them is refused (reach.h).
 *
 * INVARIANT	A batch is written whole or not at all.
 */
#ifndef VERIFY_REWRITE_H
#define VERIFY_REWRITE_H

#include "verify/look.h"
#include "verify/reach.h"

struct rewrite {
	const struct pair *p;
	bool binary;       /* format of COPY */
	bool delete_extra; /* rows whose contents the source does not have may be deleted */
	bool replace;      /* an identity column cannot be updated: changed rows are put anew */
	char *triggers_off, *triggers_on; /* SQL, perhaps empty */
	bool triggers_fire;               /* there are some, and they cannot be switched off */
	struct actions reach;
};

enum rewrite_outcome {
	REWRITE_DONE,         /* as in the source, or as near as was asked for */
	REWRITE_STALE,        /* not what was compared any more: left alone */
	REWRITE_SOURCE_MOVED, /* the source's row is another one by now: left alone */
	REWRITE_FAILED,       /* the server refused it; the row's note says why */
	REWRITE_N,
};

struct rewrite_row {
	enum rewrite_outcome outcome;
	uint64_t inserted, updated, deleted;
	uint64_t left; /* rows that only delete_extra would have deleted */
};

/* Why the rows of p cannot be written at all, or NULL. */
const char *rewrite_why_not(const struct pair *p);

/* Free with rewrite_done(). catalogs by enum pg_role. */
int rewrite_prepare(struct rewrite *ret, const struct pair *p,
		    const struct catalog *const catalogs[2], struct pg *target, bool delete_extra,
		    struct err *e) MUST_CHECK;
void rewrite_done(struct rewrite *w);

/*
 * One transaction. pg: the source's session, in its snapshot, and the target's. Rows are in the
 * order of their ids. -1: nothing was written (or, where e->next says so, it is not known), and the
 * target's session is out of the transaction.
 */
int rewrite_batch(const struct rewrite *w, struct pg *const pg[2], struct flagged_row *rows, int n,
		  struct rewrite_row *results, struct err *e) MUST_CHECK;

#endif
