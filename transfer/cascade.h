/*
 * cascade - other rows that would go, or change, with rows that are removed here.
 *
 * A DELETE reaches them by foreign keys ON DELETE CASCADE, SET NULL or SET DEFAULT, and says
 * nothing. Whoever removes rows from the target looks here first: what a run did not bring, it does
 * not touch.
 */
#ifndef TRANSFER_CASCADE_H
#define TRANSFER_CASCADE_H

#include "common/pg.h"

struct cascade {
	const char *relation; /* SQL name of the table */
	const char *rows;     /* SQL: "FROM ONLY t WHERE ...", those that are removed */
	const char
		*removed; /* SQL: true of a row nf_ref that is removed with them; NULL: none is */
	const char *doing;    /* for the message: "emptying" */
	const char *hint;
	/* Tables whose rows may be reached, for they are removed as well: SQL names, borrowed. */
	const char *const *spared;
	int n_spared;
	bool lock; /* in a transaction: nobody writes to the tables that refer until its end */
};

/* ERR_REFUSED naming the constraint and the table where rows would be reached. */
int cascade_check(struct pg *target, const struct cascade *c, struct err *e) MUST_CHECK;

#endif
