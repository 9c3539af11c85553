/*
 * scratch_try - runs a migration to see what it does. Private to schema/scratch*.
 */
#ifndef SCHEMA_SCRATCH_TRY_H
#define SCHEMA_SCRATCH_TRY_H

#include "schema/scratch.h"

/* In a scratch database: the whole file, in a transaction where it would have one. */
int scratch_try_apart(struct pg *pg, const struct migration *m, int vector_dimensions,
		      struct scratch_notes *notes, struct err *e) MUST_CHECK;

#endif
