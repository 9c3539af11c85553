/*
 * reach - rows of other tables that a repair would change by writing to this one.
 *
 * A foreign key with ON DELETE CASCADE, SET NULL or SET DEFAULT (ON UPDATE likewise) makes the
 * server write to the referencing table, whether that table was asked for or not. A repair must
 * not: what it would reach is counted first, in the transaction that writes, and the writing is
 * refused.
 *
 * INVARIANT	The count holds until the transaction ends: the referenced rows are locked FOR
 *		UPDATE by then, and no row can come to refer to a row that is.
 */
#ifndef VERIFY_REACH_H
#define VERIFY_REACH_H

#include "schema/action.h"

/* The foreign keys that refer to a table of the target, or to a partition of it, and act. */
int reach_read(struct actions *ret, struct pg *target, uint32_t table, struct err *e) MUST_CHECK;

/*
 * The referencing table `child` is repaired, too: what ON UPDATE CASCADE does to its rows is what
 * the source has there, and is compared again afterwards.
 */
void reach_allow_cascade(struct actions *r, uint32_t child);

/*
 * Fails (ERR_DATA) where deleting the rows at `places`, VALUES (table, place), would reach rows
 * that are not among them.
 */
int reach_check_delete(const struct actions *r, struct pg *target, const char *places,
		       struct err *e) MUST_CHECK;
/* As that for an update; places: VALUES (table, place, place in `beside`, the new rows). */
int reach_check_update(const struct actions *r, struct pg *target, const char *beside,
		       const char *places, struct err *e) MUST_CHECK;

#endif
