/*
 * orders - what a batch of a repair has to insert, update and delete, decided from what is there.
 */
#ifndef VERIFY_ORDERS_H
#define VERIFY_ORDERS_H

#include "common/text.h"
#include "verify/rewrite.h"

/* The columns of both answers that a batch is decided from. */
enum orders_column { ORDERS_ID, ORDERS_DIGEST, ORDERS_PLACE, ORDERS_TABLE };

struct orders {
	struct text insert; /* rows of VALUES: place beside the table, copies */
	struct text update; /* table, place, place beside */
	struct text delete; /* table, place */
	uint64_t inserts, updates, deletes;
};

/*
 * beside: the source's rows that lie beside the table; places: the rows of the table, locked. Fills
 * results[0..n-1]; only rows that are what was compared are in the orders. Free with orders_done().
 */
int orders_decide(struct orders *ret, const struct rewrite *w, const PGresult *beside,
		  const PGresult *places, struct flagged_row *rows, int n,
		  struct rewrite_row *results, struct err *e) MUST_CHECK;
void orders_done(struct orders *o);

#endif
