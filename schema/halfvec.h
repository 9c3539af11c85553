/*
 * halfvec - columns of vector that become halfvec on the way: half the bytes, 11 bits a number.
 *
 * The source's own cast converts, in the COPY that reads and in every digest: the bits are those of
 * pgvector, and what is proven is what was converted. Nothing here touches a row.
 *
 *   halfvec_mark()      after the source's catalog was read: such columns get the cast
 *   halfvec_list()      what was marked, to be kept with the archive
 *   halfvec_archive()   the archive's tables and indexes say halfvec
 *   halfvec_loss()      what the conversion would cost each vector, and which it cannot take
 *
 * OWNER	Strings of marked columns belong to the catalog.
 */
#ifndef SCHEMA_HALFVEC_H
#define SCHEMA_HALFVEC_H

#include "schema/archive.h"
#include "schema/catalog.h"

/* The first number that is out of range is 65520; pgvector rounds what is below it to 65504. */
#define HALFVEC_MOST "65504"

/*
 * Marks the columns that are named as [schema.]table.column (pattern.h; a partitioned table stands
 * for its partitions): their digest gets the cast. ERR_USAGE: not such a name, no such column, not
 * a column of vector. ERR_REFUSED: the source's pgvector has no halfvec (before 0.7.0).
 */
int halfvec_mark(struct catalog *source, const char *const *columns, int n,
		 struct err *e) MUST_CHECK;

/*
 * From the send function of vector ("schema"."vector_send"): the cast, as digest_column has it, and
 * halfvec's send function. malloc'ed.
 */
int halfvec_functions(const char *vector_send, char **ret_cast, char **ret_send,
		      struct err *e) MUST_CHECK;

/* The schema of pgvector as it stands quoted in such a cast; malloc'ed, NULL when memory ends. */
char *halfvec_schema(const char *cast);

/* source may be NULL: an empty list. JSON array of {schema, table, column, in}: in is the schema of
 * pgvector, quoted. */
json_t *halfvec_list(const struct catalog *source);

/*
 * Tables and indexes of the archive as they are with the columns of such a list. An operator class
 * of vector directly behind such a column becomes that of halfvec; expressions stay as they are.
 */
int halfvec_archive(struct archive *a, const json_t *list, struct err *e) MUST_CHECK;

/*
 * One scan of a table in the source, in the session's transaction: for each marked column an object
 * {table, column, vectors, out_of_range, one_out_of_range (a ctid, or null), zeroed,
 * max_relative_error, mean_relative_error, max_cosine_distance} is added to ret_losses. The
 * relative error of a vector is the length of what it loses by its own length; zeroed ones lose all
 * of it.
 */
int halfvec_loss(struct pg *source, const struct table *t, json_t *ret_losses,
		 struct err *e) MUST_CHECK;

#endif
