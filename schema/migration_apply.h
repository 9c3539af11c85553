/*
 * migration_apply - every pending migration in order; and back, newest first.
 *
 * After each migration the history is read back and the catalog is asked for indexes and constraints
 * that are not valid and were before: the first that is not as it should be ends the call.
 */
#ifndef SCHEMA_MIGRATION_APPLY_H
#define SCHEMA_MIGRATION_APPLY_H

#include "schema/migration_plan.h"
#include "schema/migration_session.h"

struct migration_apply_options {
	const char *history_table; /* or NULL */
	bool force;		   /* a changed file of an applied migration is recorded, not refused */
	const char *to;		   /* the last version to apply, or NULL */
};

/*
 * Reads the history under the lock, refuses (ERR_REFUSED) a changed file unless force, then applies.
 * *ret: [{version, description, ms}] of what was applied, also when -1 is returned: the caller's.
 */
int migration_apply(struct migration_session *s, const struct migration_folder *f,
		    const struct migration_apply_options *o, json_t **ret, struct err *e) MUST_CHECK;

/* ERR_REFUSED naming the files that changed since they were applied. */
int migration_refuse_changed(const struct migration_plan *p, struct err *e) MUST_CHECK;

/*
 * What would be undone to get back to `version` ("0": everything): the applied ones above it, newest
 * first, as migration_plan_json()'s items. ERR_REFUSED: one has no down script or no file; ERR_USAGE:
 * no such version was applied.
 */
int migration_rollback_list(const struct migration_plan *p, const char *version, json_t **ret,
			    struct err *e) MUST_CHECK;
/*
 * The same, done. force: a down script that stopped half way and was changed since runs from its
 * beginning. *ret as of migration_apply().
 */
int migration_rollback(struct migration_session *s, const struct migration_folder *f,
		       const char *history_table, const char *version, bool force, json_t **ret,
		       struct err *e) MUST_CHECK;

#endif
