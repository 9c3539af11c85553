/*
 * schema_export - the schema as SQL text, the same bytes for the same schema.
 *
 * By pg_dump, which sorts; what changes from call to call (its random \restrict word) is left out, and
 * the schema neonferry.
 */
#ifndef SCHEMA_SCHEMA_EXPORT_H
#define SCHEMA_SCHEMA_EXPORT_H

#include "common/conn.h"
#include "common/text.h"

/* version: of the database's server. stop may be NULL. */
int schema_export(struct text *ret, const struct conn *c, int version, struct stop *stop, struct err *e)
	MUST_CHECK;

#endif
