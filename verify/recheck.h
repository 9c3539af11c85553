/*
 * recheck - where rows are written meanwhile: differing rows looked at again until they are told
 * apart.
 *
 * Each round waits, takes a new snapshot of the source, and looks at the flagged rows on both ends,
 * and at no others. A row that is equal in one round is a transient difference and is done with.
 * One that differs in all of them is lasting where neither end has written it between the last two
 * looks, else moving: nothing can be said of a row that never came to rest.
 */
#ifndef VERIFY_RECHECK_H
#define VERIFY_RECHECK_H

#include "common/event.h"
#include "verify/databases.h"
#include "verify/look.h"

struct recheck_settings {
	int rounds; /* at least 1 */
	uint64_t wait_ms;
	struct look_filter filter;
	FILE *all; /* every row with its state as a line of JSON, or NULL */
	struct stop *stop;
	struct events *events;
};

/* One table. */
struct recheck {
	const struct pair *p;
	struct flagged list; /* in: the rows that differ; out: those that still do, at rest */
	bool silent;  /* in: its rows are in the file already, of another comparison of the table */
	json_t *rows; /* the rows of the report: get "state" */
	uint64_t transient, moving, lasting; /* out: rows (of one key each) */
	struct flagged_sums sums;            /* out: of the lasting ones */
};

/*
 * The n tables together: a round is one wait and one snapshot for all. Afterwards the lists are of
 * the last snapshot, which ends->snapshot_session then stands in. The lists share one store.
 */
int recheck_run(struct recheck *tables, int n, struct databases *ends,
		const struct recheck_settings *settings, struct err *e) MUST_CHECK;

#endif
