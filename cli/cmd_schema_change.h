/*
 * cmd_schema_change - apply and rollback: what both do around the change.
 */
#ifndef CLI_CMD_SCHEMA_CHANGE_H
#define CLI_CMD_SCHEMA_CHANGE_H

#include "cli/cmd_schema.h"
#include "schema/migration_session.h"

/*
 * Opens the runner's session and calls `change`; after a lock timeout with --end-idle asks, ends the
 * idle transactions in the way and calls it once more.
 */
int schema_change(struct schema_job *job, int (*change)(struct schema_job *, struct migration_session *,
							struct err *), struct err *e) MUST_CHECK;

/* --force, or FORCE_MIGRATION=true, which scripts of old set. */
bool schema_is_forced(const struct opts *o);

#endif
