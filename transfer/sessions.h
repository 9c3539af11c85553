/*
 * sessions - how many more sessions a server lets this role open now.
 *
 * The least of what the server, the role and the database allow. Others come and go meanwhile, so
 * it is a guess for the moment; who gets none in spite of it waits, as the error table says
 * (53300).
 */
#ifndef TRANSFER_SESSIONS_H
#define TRANSFER_SESSIONS_H

#include "common/pg.h"

/* May be 0 or less. A failure of the query is its error; the session can be used on. */
int sessions_free(struct pg *pg, int *ret, struct err *e) MUST_CHECK;

/*
 * How many of `wanted` threads of a kind may have a session each, where two kinds work at the same
 * time (senders, and builders of indexes) and one is left to others. At least 1.
 */
int sessions_share(int left, int wanted);

#endif
