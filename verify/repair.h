/*
 * repair - writes the source's rows over the rows of the target that differ, and only over those.
 *
 * First it is told what would be done (the plan); then, where that is confirmed, the tables are
 * rewritten: rows that are to be written first, tables that others refer to before those others;
 * then rows that are to be deleted, the other way round; then what was refused (a key that another
 * row held, a row that was not there yet) is tried again, as long as something moves.
 *
 * Interrupted, it leaves whole transactions; compared and repaired again, it goes on.
 */
#ifndef VERIFY_REPAIR_H
#define VERIFY_REPAIR_H

#include "common/event.h"
#include "verify/databases.h"
#include "verify/rewrite.h"
#include "verify/verify.h"

/* A table with rows that differ. */
struct repair_item {
	const struct pair *p;
	struct flagged list;
	struct flagged_sums sums; /* of the list */
};

struct repair_settings {
	const struct verify_repair *asked;
	int max_rows; /* described in the report, a table */
	struct stop *stop;
	struct events *events;
};

/*
 * Adds findings to checks and fills out, the report's object "repair": {confirmed, delete_extra,
 * tables: [{table, plan, inserted, updated, deleted, left, stale, source_moved, failed, rows}]}.
 * *ret_written: whether anything was written, so that the contents must be compared again. What the
 * server refuses is in the findings; -1 only where an end is lost, or stopped.
 */
int repair_run(struct databases *ends, struct repair_item *items, int n,
	       const struct repair_settings *settings, json_t *checks, json_t *out,
	       bool *ret_written, struct err *e) MUST_CHECK;

#endif
