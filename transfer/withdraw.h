/*
 * withdraw - rows that chunks brought are taken out of the target again, and those chunks out of
 * the ledger.
 *
 * What a chunk brought is told by the transaction that inserted it. A row that somebody updated
 * since has another one: the number that went shows whether all of them were still what was
 * loaded, and the caller, whose transaction it is, commits only then. Rows of other tables that
 * would go with them are refused first (cascade).
 */
#ifndef TRANSFER_WITHDRAW_H
#define TRANSFER_WITHDRAW_H

#include "common/pg.h"

struct withdraw {
	const char *relation; /* SQL name of the table */
	const char *chunks;   /* SQL: which rows of neonferry.chunk */
	const char *doing;    /* for the refusal's message: "removing rows from" */
	const char *hint;
};

/* In the caller's transaction. *ret is the number of rows that went. ERR_REFUSED as cascade_check(). */
int withdraw_rows(struct pg *target, const struct withdraw *w, uint64_t *ret,
		  struct err *e) MUST_CHECK;

#endif
