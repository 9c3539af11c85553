/*
 * searchfn - the search functions of the shipped migrations, called on both ends with the same
 * arguments, answers compared.
 *
 * Indexes are switched off for it, so that the answer is the function's and not an index's. Answers
 * agree where every value is equal, numbers within a tolerance, and rows may only change places
 * where their scores are equal.
 */
#ifndef VERIFY_SEARCHFN_H
#define VERIFY_SEARCHFN_H

#include "verify/pair.h"

#include <jansson.h>

/*
 * Functions that the source does not have are left out. Adds findings and, to `out`,
 * {function, calls, same, rows}.
 */
int searchfn_compare(struct pg *const pg[2], const struct pairs *pairs, uint64_t seed,
		     json_t *checks, json_t *out, struct err *e) MUST_CHECK;

/* Whether two answers (arrays of row objects) agree. Exposed for its test. */
bool searchfn_agree(const json_t *a, const json_t *b);

#endif
