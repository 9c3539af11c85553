/*
 * coltype - the type rules: how a column of each type travels and is digested.
 *
 * Domains count as their base type. Then, for the base type:
 *
 *   built-in (OID below 10000, the same number in every server)	binary, DIGEST_SELF
 *   enum; base type of an extension or a user			binary, DIGEST_SEND
 *   array, range, multirange of those that are not built-in,
 *   composite: their bytes may hold OIDs of this database	binary, DIGEST_TEXT
 *   reg* (an OID of this database is the value itself), a type
 *   without send or receive function, anything made of those	not binary, DIGEST_TEXT
 *
 * A server accepts foreign OIDs of user types inside arrays and composites (14 and later), so
 * these travel in binary; but they cannot be compared as bytes between two servers.
 *
 * THREADS	Filled once, by the thread that reads the catalog; then read-only.
 */
#ifndef SCHEMA_COLTYPE_H
#define SCHEMA_COLTYPE_H

#include "schema/catalog.h"

struct coltypes;

/* From the rows of query_types. Takes res over, also on failure. */
int coltypes_new(struct coltypes **ret, PGresult *res, struct err *e) MUST_CHECK;
void coltypes_free(struct coltypes *types);

/*
 * Fills binary, not_binary_why, extension, is_vector, is_vector_like and digest of a column whose
 * name and type_oid are set. The strings belong to `types`. ERR_INTERNAL: the type is not known.
 */
int coltypes_column(struct coltypes *types, struct column *column, struct err *e) MUST_CHECK;

#endif
