/*
 * resources - how much room tables and indexes take on both ends, and how many connections there
 * are.
 */
#ifndef VERIFY_RESOURCES_H
#define VERIFY_RESOURCES_H

#include "verify/pair.h"

#include <jansson.h>

/*
 * {tables: [{table, heap: [s, t], indexes: [s, t], as_vector, as_halfvec}] for tables with a vector
 * column, vector_indexes: [{table, index, method, type, rows, dims, bytes: [s, t], as_vector,
 * as_halfvec}], connections: {source: [used, limit], target: ...}, sessions: {source: {limit,
 * reserved, used, active, idle, idle_in_transaction, neonferry, slots, slots_limit}, target: ...},
 * jobs}. embeddings: the report's, for the numbers of vectors and dimensions, or NULL. jobs:
 * sessions an end that the verification itself may open. New reference; null where nothing could
 * be read.
 */
json_t *resources_read(struct pg *const pg[2], const struct pairs *pairs, const json_t *embeddings,
		       int jobs);

#endif
