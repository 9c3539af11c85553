/*
 * planpriv - what the files of a plan share; nobody else includes it.
 */
#ifndef TRANSFER_PLANPRIV_H
#define TRANSFER_PLANPRIV_H

#include "transfer/plan.h"

/* Frees what a table owns, not the struct. */
void plan_table_done(struct plan_table *t);

/* Fills columns, binary and not_binary_why from the catalog. */
int plan_copy_columns(struct plan_table *p, const struct table *t, struct err *e) MUST_CHECK;

/* The collection as text, as it is routed and compared: "column"::text COLLATE "C". */
void plan_collection_expr(const struct plan_table *t, struct text *sql);

/*
 * The independent count of every wanted collection of p, by a plain scan in pg's snapshot: fills
 * collections (sorted, NULL last, routes not set) and rows.
 */
int plan_count_collections(struct plan_table *p, struct pg *pg, const struct run_settings *s,
			   struct err *e) MUST_CHECK;

#endif
