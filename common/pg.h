/*
 * pg - a session with a PostgreSQL server: the only place that talks to libpq, with conn.h.
 *
 * Non-blocking throughout. Every wait is in pg_wait(): the socket, the stop descriptor, a
 * deadline. After connecting, the session is set up by SET (never by startup parameters, which
 * Neon's proxy drops): UTF8, empty search_path, row_security off, fixed styles and time zone, no
 * timeouts of the server's.
 *
 * INVARIANT	Errors carry the role name ("source" or "target"), SQLSTATE, the server's message,
 *		detail and where it was; classified by pgerr.h. Never a connection string.
 * OWNER	A session belongs to the thread that uses it; others may only call pg_cancel().
 * END		pg_close() never waits for the server.
 */
#ifndef COMMON_PG_H
#define COMMON_PG_H

#include "common/err.h"
#include "common/stop.h"
#include "common/text.h"

#include <libpq-fe.h>
#include <stdint.h>

struct pg;
struct conn; /* common/conn.h: where and as whom */

enum pg_role { PG_SOURCE, PG_TARGET };

/* Called for each NOTICE or WARNING of the server, in the session's thread. */
typedef void pg_notice_fn(void *ctx, const char *severity, const char *sqlstate,
			  const char *message);

/*
 * Connects and sets the session up. name is shown as application_name ("neonferry <name>").
 * stop may be NULL. May wait up to the connect timeout (30 s for each address).
 * One attempt: retrying is the caller's, by e->next. Looking up the host name is libpq's and the
 * system's: it ends neither by stop nor by the timeout.
 */
int pg_open(struct pg **ret, const struct conn *conn, const char *name, struct stop *stop,
	    struct err *e) MUST_CHECK;
/*
 * Through a transaction pooler (conn_is_pooled()) nothing is set up: a SET would stay in the
 * server's session for whoever comes next. A transaction there is begun by these statements
 * instead.
 */
extern const char pg_begin_pooled[];
void pg_close(struct pg *pg);
/* An idle session set up anew, as pg_open() leaves it, under that name. Not through a pooler. */
int pg_renew(struct pg *pg, const char *name, struct err *e) MUST_CHECK;

PGconn *pg_conn(struct pg *pg); /* borrowed */
enum pg_role pg_role(const struct pg *pg);
const char *pg_role_name(enum pg_role role); /* "source" or "target" */
int pg_version(const struct pg *pg);         /* 150020 */
int pg_backend_pid(const struct pg *pg);
/* True through a Unix socket or a loopback address: a tunnel's end looks the same. */
bool pg_is_local(const struct pg *pg);
/* True when the connection is usable: not lost, not in mid COPY. */
bool pg_is_alive(const struct pg *pg);
void pg_on_notice(struct pg *pg, pg_notice_fn *fn, void *ctx);
/*
 * Deadline for each following statement, in ms from its start; CLOCK_NEVER (default): none. Passed:
 * ERR_NETWORK, "no answer within N s", ERR_RETRY_ASK. The session is then in mid statement:
 * pg_rollback() or pg_close().
 */
void pg_set_timeout(struct pg *pg, uint64_t ms);

/* Runs one or more statements; rows are thrown away. Every result is read to the end. */
int pg_exec(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;
int pg_execf(struct pg *pg, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_CHECK;

/*
 * Has the server parse one statement without running it: its syntax, and for SELECT, INSERT,
 * UPDATE, DELETE also the names in it.
 */
int pg_parse(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;

/* One statement that returns rows (text format). *ret is freed by PQclear(). */
int pg_query(struct pg *pg, const char *sql, PGresult **ret, struct err *e) MUST_CHECK;
int pg_queryf(struct pg *pg, PGresult **ret, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(4, 5) MUST_CHECK;
/* With parameters as text; NULL is NULL. */
int pg_query_params(struct pg *pg, const char *sql, int n, const char *const *values,
		    PGresult **ret, struct err *e) MUST_CHECK;

/* One row, one column, malloc'ed; *ret is NULL for SQL NULL or no row. */
int pg_value(struct pg *pg, const char *sql, char **ret, struct err *e) MUST_CHECK;
int pg_valuef(struct pg *pg, char **ret, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(4, 5) MUST_CHECK;

/* BEGIN/COMMIT/ROLLBACK; pg_commit() checks that the tag says COMMIT. */
int pg_begin(struct pg *pg, const char *modes, struct err *e) MUST_CHECK;
int pg_commit(struct pg *pg, struct err *e) MUST_CHECK;
/*
 * Also ends an unfinished COPY IN. Where the server is still at work (after a deadline, in mid COPY
 * OUT) it is asked to cancel and the connection is closed; then, and where ROLLBACK fails,
 * pg_is_alive() is false and every later call fails with ERR_NETWORK, ERR_RETRY: open a new one.
 */
void pg_rollback(struct pg *pg);

/* --- COPY OUT: start, rows one by one, end --- */

int pg_copy_out(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;
/*
 * Next CopyData message. Returns 1 with *ret (free with PQfreemem) and *ret_len; 0 at the end (all
 * results read, *ret NULL); -1 on error. Waits for the socket, the stop descriptor.
 */
int pg_copy_row(struct pg *pg, char **ret, int *ret_len, struct err *e) MUST_CHECK;

/* --- COPY IN inside a prepared sequence of statements --- */

/*
 * Sends `sql` (which may hold several statements, one of them COPY ... FROM STDIN) and reads
 * results up to COPY IN. A failing statement before it is the error.
 */
int pg_copy_in(struct pg *pg, const char *sql, struct err *e) MUST_CHECK;
/*
 * Sends len bytes in messages of about 64 KB, cut anywhere; honours back-pressure: libpq's buffer
 * never holds more than one message. An error of the server ends the sending within about a second.
 */
int pg_copy_put(struct pg *pg, const void *data, size_t len, struct err *e) MUST_CHECK;
/*
 * Ends the COPY and reads every remaining result. *ret_rows is n of "COPY n"; *ret_tag (may be
 * NULL) gets the command tag of the last statement, at most 31 bytes and NUL.
 */
int pg_copy_end(struct pg *pg, uint64_t *ret_rows, char ret_tag[32], struct err *e) MUST_CHECK;

/* Asks the server to cancel what pg runs; from any thread; waits at most some seconds. */
void pg_cancel(struct pg *pg);

/* poll() on the session's socket (events as poll's), stop, deadline. 0, or -1. */
int pg_wait(struct pg *pg, short events, uint64_t deadline, struct err *e) MUST_CHECK;

UNUSED static inline void auto_pgresult(PGresult **r)
{
	PQclear(*r);
}
UNUSED static inline void auto_pg(struct pg **pg)
{
	pg_close(*pg);
}

#endif
