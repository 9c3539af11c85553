/*
 * parity - is the target the same database in everything but its rows?
 *
 * Definitions by the model of the catalog (definitions.h), and what the model does not hold: search
 * settings as they are in force, large objects, and sequences (at or past the source's value and
 * their column's maximum).
 */
#ifndef VERIFY_PARITY_H
#define VERIFY_PARITY_H

#include "verify/definitions.h"

#include <jansson.h>

/*
 * Adds findings to checks and, to `objects`, one object a kind: {kind, source: n, target: n,
 * different: n}. pg[PG_SOURCE] may be NULL: then only the state of the target is judged.
 * What cannot be read is a finding, not an error.
 */
int parity_check(struct pg *const pg[2], const struct pairs *pairs, struct parity_want want,
		 json_t *checks, json_t *objects, struct err *e) MUST_CHECK;

/* Tables and whether their rows can be compared, from the catalogs alone. */
void parity_tables(const struct pairs *pairs, bool has_source, json_t *checks);

/* Sequences of both ends (catalogs[PG_SOURCE] may be NULL). */
int parity_sequences(struct pg *const pg[2], const struct catalog *const catalogs[2],
		     json_t *checks, struct err *e) MUST_CHECK;

#endif
