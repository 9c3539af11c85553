/*
 * expected - what a stream is expected to have carried of each table (settings->expected), and
 * what is told where it cannot be compared.
 */
#ifndef VERIFY_EXPECTED_H
#define VERIFY_EXPECTED_H

#include "verify/verification.h"

/* What is expected of this table, or NULL. */
const struct proof_table *expected_of(const struct verification *v, const struct pair *p);

/* Where there is no source to ask, and the stream does not tell it: that is unknown. */
void expected_tell_untold(const struct verification *v, const struct pair *p);

/*
 * A table that was moved, and that neither end has any more, is in no pair: it fails, and is listed
 * among the tables as missing. Tables that were not asked for are left out.
 */
int expected_check_missing(const struct verification *v, struct err *e) MUST_CHECK;

#endif
