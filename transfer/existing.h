/*
 * existing - what the target's tables hold before the first chunk, and what is done about it.
 *
 * Decided once for each table and kept in neonferry.relation, in the transaction that acts on it:
 *
 *   empty      nothing there
 *   already    the same rows as in the source, by digest: skipped
 *   emptied    --on-existing truncate: emptied by this run (with --collection: only those rows)
 *   appended   --on-existing append: the digest of what was there is kept for the proof
 *
 * TRUNCATE where nothing else references the table and the role may, else DELETE, which is refused
 * where a foreign key would take rows of tables along that the run does not empty. Rows that were
 * there before are never touched again by a resume or an abort.
 */
#ifndef TRANSFER_EXISTING_H
#define TRANSFER_EXISTING_H

#include "common/event.h"
#include "transfer/plan.h"

struct existing {
	struct pg *target, *source; /* source: in a transaction with the plan's snapshot */
	const struct catalog *catalog; /* of the target */
	const char *run;
	int64_t generation; /* 0: only look (existing_check) */
	const struct run_settings *settings;
	struct events *events;
};

/*
 * Refuses (ERR_REFUSED, naming table, rows and the options) where a table holds other rows and
 * --on-existing is refuse. Marks tables whose digest is equal: already_there. Changes nothing in the
 * target.
 */
int existing_check(const struct existing *x, struct plan *p, struct err *e) MUST_CHECK;

/* Under a later snapshot: ERR_RESUME where a table that was already there is not equal any more. */
int existing_recheck(const struct existing *x, const struct plan *p, struct err *e) MUST_CHECK;

/*
 * Acts, and writes neonferry.relation. Tables that the ledger knows already are left alone, but
 * their already_there is restored from it.
 */
int existing_prepare(const struct existing *x, struct plan *p, const json_t *ledger_relations,
		     struct err *e) MUST_CHECK;

#endif
