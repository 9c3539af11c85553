/*
 * smoke - what an application does first: add a document, find it by its vector, delete it.
 *
 * In one transaction of the target that is always rolled back; only sequences keep the step that a
 * default took. Columns that must have a value get that of an existing row, the vector is new.
 */
#ifndef VERIFY_SMOKE_H
#define VERIFY_SMOKE_H

#include "verify/pair.h"

#include <jansson.h>

/*
 * Tries every table with a vector column (of `pairs`, in the target) that takes such a row. Adds a
 * finding a table and, to `out`, {table, column, added_ms, found_ms, deleted_ms, place}. schema is
 * the extension's. -1 only for a lost connection.
 */
int smoke_run(struct pg *target, const struct pairs *pairs, const char *schema, uint64_t seed,
	      json_t *checks, json_t *out, struct err *e) MUST_CHECK;

#endif
