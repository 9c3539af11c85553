/*
 * model_rows - what happens to rows that the shape of no table shows.
 *
 * Adds to the judgements: rows that statements delete, overwrite or truncate, tables whose file is
 * written anew though nothing of their shape changed, sequences that go back. As changes of the
 * attributes "rows" (to: UPDATE, DELETE, TRUNCATE, UNSEEN), "rewritten" and "value".
 */
#ifndef SCHEMA_MODEL_ROWS_H
#define SCHEMA_MODEL_ROWS_H

#include "schema/model_judge.h"
#include "schema/scratch.h"

/* ignore: as of model_compare(). notes and models must outlive *all. */
int model_judge_rows(struct model_judgements *all, const struct scratch_notes *notes,
		     const struct model *before, const struct model *after,
		     const char *const *ignore, struct err *e) MUST_CHECK;

#endif
