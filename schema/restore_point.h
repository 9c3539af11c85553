/*
 * restore_point - where the target can be set back to: its position in the log, and on Neon a branch.
 *
 * The document: {lsn, at, target, project, branch, backup_branch, backup_branch_id, go_back}; what is
 * not known is left out. A restore on Neon sets every database of the branch back, and removes
 * replication slots.
 */
#ifndef SCHEMA_RESTORE_POINT_H
#define SCHEMA_RESTORE_POINT_H

#include "common/conn.h"
#include "common/pg.h"

#include <jansson.h>

/* The file of a run's folder that keeps the document. */
#define RESTORE_POINT_FILE "restore-point.json"

/* Asks the server; writes nothing. A standby has no position of its own: ERR_REFUSED. */
int restore_point_read(json_t **ret, struct pg *pg, const struct conn *target,
		       struct err *e) MUST_CHECK;

/*
 * True where a branch can be made: the target is on Neon (or NEON_PROJECT_ID says which project), and
 * NEON_API_KEY is set.
 */
bool restore_point_may_branch(const json_t *point);

/*
 * Makes a branch without compute through the program neonctl, which reads NEON_API_KEY itself, and
 * adds it to the document. ERR_USAGE: there is no neonctl. ERR_TARGET: what it said.
 */
int restore_point_branch(json_t *point, struct stop *stop, struct err *e) MUST_CHECK;

#endif
