/*
 * migration_run - one migration, forwards or back, with its history row.
 *
 * As one piece: one transaction that also writes the history row. Stepwise (a statement that cannot
 * run in a transaction, or a directive): each statement by itself, the number done kept in
 * neonferry.schema_progress, so that the next call goes on behind the last one. A batch: one
 * statement again and again, each round a transaction, until one changes no row.
 */
#ifndef SCHEMA_MIGRATION_RUN_H
#define SCHEMA_MIGRATION_RUN_H

#include "schema/history.h"
#include "schema/migration_session.h"

/* Applies m. force: a stepwise one whose file changed since it was begun starts anew. */
int migration_run_up(struct migration_session *s, const struct history *h, const struct migration *m,
		     bool force, int64_t *ret_ms, struct err *e) MUST_CHECK;

/* Runs m's down script and removes the history row. force: as above, of the down script. */
int migration_run_down(struct migration_session *s, const struct history *h,
		       const struct migration *m, bool force, struct err *e) MUST_CHECK;

#endif
