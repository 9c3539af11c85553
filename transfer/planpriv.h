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

/* Once a table with a collection column has become one of text: finds collection_is_text anew. */
void plan_route_by_text(struct plan_table *p, const struct table *t);

/*
 * Makes those tables text that a sample shows to be much shorter so; the reason is in not_binary_why.
 * Before anything is counted. An earlier plan's choice is kept by the later ones (reproof.h).
 */
int plan_choose_formats(struct plan *p, struct pg *pg, const char *snapshot,
			const struct catalog *source, const struct run_settings *s,
			struct err *e) MUST_CHECK;

/* Ends pg's transaction, and with it its locks, and begins one with the same snapshot (or a new one). */
int plan_renew(struct pg *pg, const char *snapshot, struct err *e) MUST_CHECK;

/* The collection as text, as it is routed and compared: "column"::text COLLATE "C". */
void plan_collection_expr(const struct plan_table *t, struct text *sql);

/*
 * The independent count of every wanted collection of p, by a plain scan in pg's snapshot: fills
 * collections (sorted, NULL last, routes not set) and rows.
 */
int plan_count_collections(struct plan_table *p, struct pg *pg, const struct run_settings *s,
			   struct err *e) MUST_CHECK;

#endif
