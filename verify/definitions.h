/*
 * definitions - are the objects of both databases the same, by the catalog's model?
 *
 * schema/model reads either end and compares them; here it is said what a difference means for a
 * target: a fault, an exception or nothing. Beside that, the target's own state: indexes that are
 * not valid, constraints that are not validated, triggers that are disabled.
 */
#ifndef VERIFY_DEFINITIONS_H
#define VERIFY_DEFINITIONS_H

#include "verify/pair.h"

#include <jansson.h>

struct parity_want {
	bool only_tables; /* objects of other tables, and of none, are not looked at */
	/*
	 * A run moved rows: it took versions of extensions and, in the tables that it moved (pair.h),
	 * types of columns and columns of the target's own as they are there, and has proven its rows
	 * with them. Those are exceptions.
	 */
	bool moved;
};

/* As parity_check(), for the kinds that the model knows. */
int definitions_check(struct pg *const pg[2], const struct pairs *pairs, struct parity_want want,
		      json_t *checks, json_t *objects, struct err *e) MUST_CHECK;

#endif
