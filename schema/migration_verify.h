/*
 * migration_verify - a database beside what it should be: the migrations, or another database.
 */
#ifndef SCHEMA_MIGRATION_VERIFY_H
#define SCHEMA_MIGRATION_VERIFY_H

#include "schema/migration_plan.h"
#include "schema/scratch.h"

/*
 * Applies the migrations to an empty scratch database: all of the folder, or those that the history
 * names. Errors name file and line.
 */
int migration_build(struct scratch *s, const struct migration_plan *p, bool applied_only, struct err *e)
	MUST_CHECK;

/*
 * Differences from `expected` to `actual` as of model_changes_json(): "removed" is what is missing,
 * "added" what is there besides (left out unless extras). ignore: a table, or NULL. settings: look at
 * settings by role and database, too. New reference.
 */
int migration_differences(json_t **ret, struct pg *expected, struct pg *actual, const char *ignore,
			  bool extras, bool settings, struct err *e) MUST_CHECK;

/*
 * Rows that the migrations put into `expected` and that `actual` has not, by primary key or unique
 * constraint (of values that were given, not made); where there is none: whether there is any row.
 * [{table, rows, missing}] of all such tables. New reference.
 */
int migration_seeds(json_t **ret, struct pg *expected, struct pg *actual, const char *ignore,
		    struct err *e) MUST_CHECK;

/* What the role lacks to use schemas, tables and sequences: [{object, lacks}]. New reference. */
int migration_grants(json_t **ret, struct pg *pg, const char *role, struct err *e) MUST_CHECK;

#endif
