/*
 * archive_rules - what an entry of the archive means to us: part of which table, carried or not,
 * and which words of it are changed. Private to schema/archive.c.
 */
#ifndef SCHEMA_ARCHIVE_RULES_H
#define SCHEMA_ARCHIVE_RULES_H

#include "schema/archive.h"

/* Sets parent, table and left_out of an entry, rewrites its sql, adds notes to the archive. */
int archive_rules_apply(struct archive *a, struct archive_entry *entry, struct err *e) MUST_CHECK;

#endif
