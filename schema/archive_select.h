/*
 * archive_select - only some tables of an archive, with all that they need. Private to
 * schema/archive*.
 *
 * pg_dump --table leaves out the schemas, types and functions that a table needs; so the archive is
 * always whole and what is not wanted goes here, by the dependencies that it records.
 */
#ifndef SCHEMA_ARCHIVE_SELECT_H
#define SCHEMA_ARCHIVE_SELECT_H

#include "schema/archive.h"

/*
 * Removes the entries that are not wanted, after archive_finish(). Patterns as in pattern.h; a name
 * stands for the partitions below the table, too. What is wanted but needs something that was
 * removed (a foreign key, a view) stays as left out.
 */
int archive_select(struct archive *a, const char *const *tables, int n_tables,
		   const char *const *excluded, int n_excluded, struct err *e) MUST_CHECK;

#endif
