/*
 * view - a session in the source that sees the run's snapshot, and tables that stay as it sees them.
 *
 * A snapshot alone does not keep a table: once the holder and its locks are gone, another session may
 * TRUNCATE or rewrite it, and the old snapshot then reads too few rows without an error. So a table is
 * pinned before it is read: locked in this session's own transaction, and its file compared with the
 * plan's.
 *
 * WAITS	A lock that is not given is waited for in short turns: who stands in the way is in the
 *		error, and the session can be closed between two of them. (Somebody who waits for an
 *		exclusive lock stands in front of us although the holder's lock is of the same kind.)
 */
#ifndef TRANSFER_VIEW_H
#define TRANSFER_VIEW_H

#include "transfer/plan.h"

/*
 * Ends the session's transaction, if any, and begins one with that snapshot, set for reading in ctid
 * order. *ret_lost: it cannot be imported any more.
 */
int view_begin(struct pg *pg, const char *snapshot, bool *ret_lost, struct err *e) MUST_CHECK;

/*
 * Adds ": process 17 (psql) holds public.t, ..." for those whose exclusive lock, held or waited for,
 * is on that relation (0: on any of the database).
 */
void view_blockers(struct pg *pg, uint32_t relation, struct text *ret);

/*
 * Locks the table until the end of the transaction. *ret_lost: it is not the planned one any more.
 * Not given within some seconds: ERR_SOURCE with ERR_RETRY, who is in the way, SQLSTATE 55P03; the
 * transaction is over then.
 */
int view_pin(struct pg *pg, const struct plan_table *t, bool *ret_lost, struct err *e) MUST_CHECK;

#endif
