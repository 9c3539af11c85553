/*
 * statistics - what a server holds before a move, and afterwards: sizes, indexes, extensions.
 *
 * Beside the counts of the plan, for people: nothing depends on it. Read from the catalogs, in one
 * query.
 */
#ifndef TRANSFER_STATISTICS_H
#define TRANSFER_STATISTICS_H

#include "common/pg.h"

#include <jansson.h>

/*
 * {version, database_bytes, extensions: {name: version}, tables: [{table, bytes, index_bytes,
 * indexes: [names]}]}. tables: n names, quoted, in the order of the answer; one that does not exist
 * has null for all. bytes are those of heap and TOAST. New reference.
 */
int statistics_read(struct pg *pg, const char *const *tables, int n, json_t **ret,
		    struct err *e) MUST_CHECK;

#endif
