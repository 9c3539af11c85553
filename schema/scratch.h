/*
 * scratch - an empty database to try migrations in, and to read the result from.
 *
 * Made beside the target by its role and dropped at the end; one that a killed process left behind
 * is dropped by the next after an hour. Or the database that the user names: it must be empty, and
 * is emptied at the end.
 *
 * INVARIANT	No row of the target is ever in it; its sequences stand where the target's do.
 *		Nothing done in it reaches beyond it: statements about roles, databases and the server are left
 *		out and named.
 * OWNER	scratch_close() ends it, however far it came.
 */
#ifndef SCHEMA_SCRATCH_H
#define SCHEMA_SCRATCH_H

#include "common/conn.h"
#include "common/event.h"
#include "schema/migration.h"
#include "schema/model.h"

struct scratch;

struct scratch_options {
	const char *uri;       /* the user's database, or NULL: one is made */
	int vector_dimensions; /* as of migration_session_options */
	struct events *events; /* may be NULL */
	struct stop *stop;     /* may be NULL */
};

/*
 * ERR_REFUSED with a hint about --scratch: the role may not create a database; the given one is not
 * empty, or is the target itself.
 */
int scratch_open(struct scratch **ret, const struct conn *target, const struct scratch_options *o,
		 struct err *e) MUST_CHECK;
void scratch_close(struct scratch *s);
struct pg *scratch_pg(struct scratch *s); /* borrowed */

/*
 * The target's schema without rows, by pg_dump, and where its sequences stand, asked of pg, a
 * session with the target; from then on what is tried is watched (scratch_notes.rows).
 */
int scratch_copy_schema(struct scratch *s, const struct conn *target, struct pg *pg,
			struct err *e) MUST_CHECK;

/* What trying a migration told besides the catalog. */
struct scratch_notes {
	json_t *locks;	 /* [{migration, relation, mode}]: strongest of each, on what was there before */
	json_t *skipped; /* [{migration, line, statement}]: reach beyond the database, not tried */
	/*
	 * What was done to rows of tables that were there before: [{migration, relation (its OID),
	 * op (INSERT, UPDATE, DELETE, TRUNCATE, UNSEEN), statement}], in place [{relation, op,
	 * rows}].
	 */
	json_t *rows;
	bool computes; /* ALTER ... TYPE ... USING an expression that is no cast was among it */
	bool counted;  /* in place: TRUNCATE is not told from other rewriting */
};

int scratch_notes_init(struct scratch_notes *n, struct err *e) MUST_CHECK;
void scratch_notes_done(struct scratch_notes *n);

/* Runs one migration, statement by statement; errors name file and line. notes may be NULL. */
int scratch_try(struct scratch *s, const struct migration *m, struct scratch_notes *notes,
		struct err *e) MUST_CHECK;

/*
 * The same in any session that is in a transaction (--in-place): statements that cannot run in one
 * are noted as skipped.
 */
int scratch_try_in(struct pg *pg, const struct migration *m, struct scratch_notes *notes, struct err *e)
	MUST_CHECK;

AUTO_DEFINE(scratch, struct scratch *, scratch_close);

#endif
