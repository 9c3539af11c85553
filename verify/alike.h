/*
 * alike - do two definitions say the same, though the servers print them differently?
 *
 * An extension may live in another schema in the target (ext.vector for public.vector), and a
 * table's vectors may be halfvec there by choice. Nothing else is overlooked.
 */
#ifndef VERIFY_ALIKE_H
#define VERIFY_ALIKE_H

#include "schema/model.h"

/* Schemas of extensions that differ. Borrows nothing. Free with alike_done(). */
struct alike {
	int n;
	struct alike_schema {
		char *end[2]; /* as SQL writes it, with the dot: `ext.`; "" for pg_catalog */
	} * schema;
};

int alike_make(struct alike *ret, const struct model *source, const struct model *target,
	       struct err *e) MUST_CHECK;
void alike_done(struct alike *a);

/* converted: vector and halfvec are the same, too. NULL is like NULL only. */
bool alike_text(const struct alike *a, const char *source, const char *target, bool converted);
/* What indexes of a table index whose vectors may be halfvec in the target. */
bool alike_operand(const char *source, const char *target);

#endif
