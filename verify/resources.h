/*
 * resources - how much room tables and indexes take on both ends, and how many connections there
 * are.
 */
#ifndef VERIFY_RESOURCES_H
#define VERIFY_RESOURCES_H

#include "verify/pair.h"

#include <jansson.h>

/*
 * {tables: [{table, heap: [s, t], indexes: [s, t], as_vector, as_halfvec}], connections: {source:
 * [used, limit], target: ...}} for tables with a vector column. embeddings: the report's, for the
 * numbers of vectors and dimensions. New reference; JSON null where nothing could be read.
 */
json_t *resources_read(struct pg *const pg[2], const struct pairs *pairs, const json_t *embeddings);

#endif
