/*
 * scratch_rows - what a migration does to rows, seen although there are none.
 *
 * In a scratch database: a trigger a statement on every table that is there before the try. It
 * fires for a statement that finds no row, too, and for what functions, DO blocks, views and
 * TRUNCATE ... CASCADE do. In place: the server's own counters of the transaction. Private to
 * schema/scratch* and schema/migration_check.c.
 */
#ifndef SCHEMA_SCRATCH_ROWS_H
#define SCHEMA_SCRATCH_ROWS_H

#include "schema/scratch.h"

/* Makes the triggers, in the schema neonferry of the scratch database. */
int scratch_rows_watch(struct pg *pg, struct err *e) MUST_CHECK;
/* After a statement that turns triggers on or off: ours are on again. */
struct migration_statement;
int scratch_rows_watch_again(struct pg *pg, const struct migration_statement *st,
			     struct err *e) MUST_CHECK;
/* What m did since the last call goes into notes->rows. */
int scratch_rows_take(struct pg *pg, const struct migration *m, struct scratch_notes *notes,
		      struct err *e) MUST_CHECK;
/* The same by the counters of the transaction that pg is in: of all that was tried in it. */
int scratch_rows_count(struct pg *pg, struct scratch_notes *notes, struct err *e) MUST_CHECK;

/* True for ALTER ... TYPE ... USING with more than a cast of the column itself. */
bool scratch_rows_computes(const struct migration_statement *st);

#endif
