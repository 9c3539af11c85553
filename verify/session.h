/*
 * session - a server session of the verifier: connected with patience. JIT is off.
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
 * For whole scans of tables. Parallel workers are made cheap (the planner would refuse them for a query
 * that returns one row a row hashed) for tables of 512 kB and more, about 8,000 rows whose vectors are
 * stored beside them; below that, starting them costs more than they save, and so it does for a search
 * or a look into the catalog. How many workers there may be is left to the server's own setting.
 */
int session_for_scans(struct pg *pg, struct err *e) MUST_CHECK;
/* As it was before that: plans as applications get them. */
int session_as_application(struct pg *pg, struct err *e) MUST_CHECK;

/*
 * After a failed statement: true when it is worth another attempt before `deadline`; sleeps the
 * backoff of that attempt (*attempt counts from 1 and is raised). false: *e says why not, still.
 */
bool session_again(const struct err *e, unsigned *attempt, uint64_t deadline,
		   struct stop *stop) MUST_CHECK;

#endif
