/*
 * migration_plan - folder and history side by side: what is applied, pending, changed, missing.
 */
#ifndef SCHEMA_MIGRATION_PLAN_H
#define SCHEMA_MIGRATION_PLAN_H

#include "schema/history.h"

#include <jansson.h>

enum migration_state {
	MIGRATION_APPLIED,
	MIGRATION_CHANGED,   /* applied, but the file is another one now */
	MIGRATION_UNCHECKED, /* applied, no checksum was kept */
	MIGRATION_PENDING,
	MIGRATION_OUT_OF_ORDER, /* pending, and a later one is applied */
	MIGRATION_UNFINISHED,   /* begun outside of one transaction */
	MIGRATION_HALF_UNDONE,  /* applied; its down script stopped on the way */
	MIGRATION_MISSING,      /* applied; its file is gone */
};

struct migration_item {
	enum migration_state state;
	const char *version, *description;    /* borrowed */
	const struct migration *migration;    /* NULL: missing */
	const struct history_row *row;	      /* NULL: not applied */
	const struct history_progress *begun; /* or NULL */
	bool down_begun; /* its down script stopped on the way */
};

struct migration_plan {
	int n;
	struct migration_item *items; /* by version */
	int counts[MIGRATION_MISSING + 1];
};

/* Both must outlive *ret. */
int migration_plan_make(struct migration_plan *ret, const struct migration_folder *f,
			const struct history *h, struct err *e) MUST_CHECK;
void migration_plan_done(struct migration_plan *p);

/* ERR_USAGE where neither the folder nor the history has it, with the versions that there are. */
int migration_plan_check_version(const struct migration_plan *p, const char *version,
				 struct err *e) MUST_CHECK;

bool migration_is_pending(const struct migration_item *i);
int migration_plan_pending(const struct migration_plan *p); /* how many */
const char *migration_state_name(enum migration_state state); /* "out of order" */

/* {history, migrations: [...], unfinished, others, gaps, ignored}. New reference, or NULL. */
json_t *migration_plan_json(const struct migration_plan *p, const struct migration_folder *f,
			    const struct history *h);

#define AUTO_MIGRATION_PLAN __attribute__((cleanup(migration_plan_done)))

#endif
