/*
 * withdraw - rows that chunks brought are taken out of the target again, and those chunks out of
 * the ledger.
 *
 * What a chunk brought is told by the transaction that inserted it. A row that somebody updated
 * since has another one: the numbers that went show whether all of them were still what was
 * loaded, and the caller, whose transaction it is, commits only then. Rows that would go with them
 * are refused first (cascade), but for those that are removed themselves: one statement takes them
 * all, of all relations given, before a foreign key acts, so that each is counted where it stands.
 */
#ifndef TRANSFER_WITHDRAW_H
#define TRANSFER_WITHDRAW_H

#include "common/pg.h"

struct withdraw {
	const char *const
		*relations; /* SQL names of the tables, as the ledger has them; borrowed */
	int n_relations;
	const char *chunks; /* SQL: which rows of neonferry.chunk; those of other relations stay */
	const char *doing;  /* for the refusal's message: "removing rows from" */
	const char *hint;
};

/* In the caller's transaction. ret[i]: how many rows of relation i went. ERR_REFUSED as cascade_check(). */
int withdraw_rows(struct pg *target, const struct withdraw *w, uint64_t *ret,
		  struct err *e) MUST_CHECK;

#endif
