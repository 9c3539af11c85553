/*
 * reproof - after the snapshot was lost: is what was captured part of a new one?
 *
 * A new plan is made under the new snapshot. It keeps the earlier plan's tables, ranges and routes, so
 * that chunks keep their meaning, adds ranges for pages beyond the old end, and counts anew. Then the
 * digest "as read" of every captured or loaded chunk is computed again in the source, by its exact
 * predicate, and nothing is moved:
 *
 *   equal      the chunk is part of the new snapshot as it stands
 *   different  it is read again; if it was loaded, its rows are withdrawn from the target first, by the
 *              transaction that inserted them, with its ledger row, the count checked
 *
 *   grown      only rows behind its last one are new: loaded, it stands with an earlier end, and only
 *              those are read
 *
 * A table that was rewritten (another relfilenode) has no chunk that could be looked up: all of it is
 * withdrawn and read again. The run is then one snapshot again, the later one, and says so.
 */
#ifndef TRANSFER_REPROOF_H
#define TRANSFER_REPROOF_H

#include "common/event.h"
#include "transfer/plan.h"
#include "transfer/registry.h"

struct reproof {
	struct pg *source, *target; /* source: in a transaction with the new snapshot */
	const char *run, *spill_dir;
	int64_t generation;
	const struct run_settings *settings;
	struct events *events;
	struct stop *stop;
	struct progress *progress;
	/* Called before rows are withdrawn, and where some are new; may be NULL. */
	int (*change)(void *ctx, struct err *e);
	void *ctx;
	/* what was found */
	int kept, grown, reread, withdrawn; /* kept counts those that only grew, too */
	uint64_t kept_rows, withdrawn_rows;
};

/*
 * The next plan after `old`, under the new snapshot. A table that is gone, altered, or new since the
 * run began: ERR_RESUME naming it.
 */
int reproof_plan(struct reproof *rp, const struct plan *old, const struct catalog *source,
		 struct plan **ret, struct err *e) MUST_CHECK;

/*
 * Proves every known chunk under `p` (the new plan); forgets what must be read again. With
 * --no-recapture a difference or anything new is ERR_RESUME, the tables named, nothing changed.
 */
int reproof_chunks(struct reproof *rp, const struct plan *old, const struct plan *p,
		   struct registry *known, struct err *e) MUST_CHECK;

#endif
