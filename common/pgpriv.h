/*
 * pgpriv - the inside of a session, for pg.c, pgopen.c and pgcopy.c only.
 */
#ifndef COMMON_PGPRIV_H
#define COMMON_PGPRIV_H

#include "common/pg.h"

enum pg_copy_state { PG_COPY_NONE, PG_COPY_IN, PG_COPY_OUT };

struct pg_canceller;

struct pg {
	PGconn *conn; /* NULL after pg_drop() */
	enum pg_role role;
	struct stop *stop; /* may be NULL */
	uint64_t timeout;  /* ms for each statement, or CLOCK_NEVER */
	uint64_t started;  /* when the running statement was sent */
	uint64_t deadline; /* of the running statement */
	enum pg_copy_state copy;
	uint64_t suspect; /* COPY IN: when unexplained bytes came from the server; 0: none did */
	uint64_t notices; /* how many came so far */
	pg_notice_fn *notice_fn;
	void *notice_ctx;
	int version, backend_pid; /* as at connect: also valid after pg_drop() */
	struct pg_canceller *canceller;
};

/* Closes the connection, keeps the struct: every later call fails with ERR_NETWORK. */
void pg_drop(struct pg *pg);

/* Sends a statement (sql may hold several) to its last byte and starts its deadline. */
int pg_send(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;

/* Sends what libpq has buffered. Takes in what the server says meanwhile. */
int pg_flush(struct pg *pg, struct err *e) MUST_CHECK;

/* The next result; *ret is NULL at the end of the statement. -1: stopped or no answer in time. */
int pg_next(struct pg *pg, PGresult **ret, struct err *e) MUST_CHECK;

/* True for a result that is an error; *e is then set, unless *failed says that it already was. */
bool pg_failed(struct pg *pg, const PGresult *res, bool *failed, struct err *e);

/* Reads all results that are left. -1 with the first error among them. */
int pg_drain(struct pg *pg, struct err *e) MUST_CHECK;

/* Ends an unfinished COPY so that the session can be used again; closes it where that fails. */
void pg_copy_abandon(struct pg *pg);

/* A handle for cancelling that other threads may use while the session runs. May be NULL. */
struct pg_canceller *pg_canceller_new(PGconn *conn);
void pg_canceller_free(struct pg_canceller *c);
/* Sends the request; returns when the server has taken it, or after wait_ms. */
void pg_canceller_ask(struct pg_canceller *c, uint64_t wait_ms);

#endif
