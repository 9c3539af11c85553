/*
 * queries - the SQL of the checks, as it was sent, for the report's part "Reproduce".
 *
 * An array of {check, object, end, sql}; end is "source", "target" or "both" where the same text
 * went to both. The servers must be set up as queries_session says.
 */
#ifndef VERIFY_QUERIES_H
#define VERIFY_QUERIES_H

#include "common/pg.h"

#include <jansson.h>

void queries_add(json_t *list, const char *check, const char *object, enum pg_role role,
		 const char *sql);

/* What a session must be set to, so that psql gives the same numbers; ends in a newline. */
const char *queries_session(void);

/* All of them as a file for psql, each under a comment that names its check. */
void queries_file(struct text *t, const json_t *list);

#endif
