/*
 * session - a server session of the verifier: connected with patience, set up for whole scans.
 *
 * Parallel workers are made cheap (the planner would refuse them for a query that returns one row a
 * row hashed) for tables of 512 kB and more, about 8,000 rows whose vectors are stored beside them;
 * below that, starting them costs more than they save. JIT is off. How many workers there may be is
 * left to the server's own setting.
 */
#ifndef VERIFY_SESSION_H
#define VERIFY_SESSION_H

#include "common/conn.h"

/* How long a server that is away (suspend, restart, resize) is waited for. */
#define SESSION_PATIENCE_MS (10ull * 60 * 1000)
/* The same before anything was done: an address that is wrong should be told soon. */
#define SESSION_FIRST_MS 20000ull

/*
 * Connects; attempts that may succeed later (e->next) are repeated until `deadline` (clock_ms()
 * time). name is shown as application name. stop may be NULL.
 */
int session_open(struct pg **ret, const struct conn *conn, const char *name, struct stop *stop,
		 uint64_t deadline, struct err *e) MUST_CHECK;

/*
 * Plans as applications get them: session_open() makes parallel scans cheap for the sake of digests,
 * and a search would then start processes for each of its queries.
 */
int session_as_application(struct pg *pg, struct err *e) MUST_CHECK;

/*
 * After a failed statement: true when it is worth another attempt before `deadline`; sleeps the
 * backoff of that attempt (*attempt counts from 1 and is raised). false: *e says why not, still.
 */
bool session_again(const struct err *e, unsigned *attempt, uint64_t deadline,
		   struct stop *stop) MUST_CHECK;

#endif
