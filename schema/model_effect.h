/*
 * model_effect - what a change would do to the rows that are there, asked by read-only queries.
 *
 * Adds to each judgement's `why` ("12 rows hold NULL: it would fail", "writes 1.2 GB anew") and
 * raises its severity where rows would be lost or make the change fail. Every query has a time limit;
 * what could not be found out in it is said to be unknown.
 */
#ifndef SCHEMA_MODEL_EFFECT_H
#define SCHEMA_MODEL_EFFECT_H

#include "schema/model_judge.h"

/* pg: a session with the target, in no transaction. Locks nothing against readers or writers. */
int model_effects(struct model_judgements *j, struct pg *pg, struct err *e) MUST_CHECK;

#endif
