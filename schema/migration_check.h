/*
 * migration_check - what the pending migrations would change, before they change it.
 *
 * They run in a scratch database that has the target's schema (or, in place, in a transaction of the
 * target that is rolled back); the catalog before and after is compared as a model and judged; what it
 * would do to the rows is asked of the target by read-only queries.
 */
#ifndef SCHEMA_MIGRATION_CHECK_H
#define SCHEMA_MIGRATION_CHECK_H

#include "schema/migration_plan.h"
#include "schema/scratch.h"

struct migration_check_options {
	struct scratch_options scratch;
	const char *history_table; /* or NULL */
	const char *to;		   /* the last version, or NULL */
	bool in_place;
};

struct migration_check {
	json_t *changes; /* as of model_judgements_json() */
	json_t *locks, *skipped; /* as of scratch_notes */
	int n_half;              /* applied ones whose down script stopped on the way */
	int n_pending, safe, review, destructive;
};

/*
 * p: plan of the folder and the target's history. Nothing pending: everything is empty. ERR_REFUSED
 * where no scratch database can be had. A migration that fails there is the error, file and line named.
 */
int migration_check_run(struct migration_check *ret, const struct conn *target,
			const struct migration_plan *p, const char *history_label,
			const struct migration_check_options *o, struct err *e) MUST_CHECK;
void migration_check_done(struct migration_check *c);

#define AUTO_MIGRATION_CHECK __attribute__((cleanup(migration_check_done)))

#endif
