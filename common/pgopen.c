#include "common/pgpriv.h"

#include "common/clock.h"
#include "common/conn.h"
#include "common/connroots.h"
#include "common/pgerr.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SOURCE_MIN  14
#define TARGET_MIN  15
#define VERSION_MAX 18

/*
 * Everything that changes what values look like, what is seen, or how long we may take. By SET and
 * not by startup parameters, because Neon's proxy drops those.
 */
static const char session_sql[] = "SET client_encoding TO 'UTF8';"
				  "SELECT pg_catalog.set_config('search_path', '', false);"
				  "SET row_security TO off;"
				  "SET datestyle TO 'ISO, YMD';"
				  "SET intervalstyle TO 'postgres';"
				  "SET timezone TO 'UTC';"
				  "SET bytea_output TO 'hex';"
				  "SET extra_float_digits TO 1;"
				  "SET lc_monetary TO 'C';"
				  "SET xmloption TO content;"
				  "SET statement_timeout TO 0;"
				  "SET lock_timeout TO 0;"
				  "SET idle_in_transaction_session_timeout TO 0;"
				  "SET idle_session_timeout TO 0;"
				  "SET default_transaction_read_only TO off;"
				  "SET default_transaction_deferrable TO off;"
				  "SET default_transaction_isolation TO 'read committed';"
				  "SET synchronous_commit TO on;"
				  "SET synchronize_seqscans TO off;"
				  "SET standard_conforming_strings TO on;"
				  "SET jit TO off;";

const char pg_begin_pooled[] = "BEGIN READ WRITE; SET LOCAL client_encoding TO 'UTF8'; "
			       "SET LOCAL search_path TO ''; SET LOCAL row_security TO off; "
			       "SET LOCAL datestyle TO 'ISO, YMD'; "
			       "SET LOCAL intervalstyle TO 'postgres'; "
			       "SET LOCAL timezone TO 'UTC'; SET LOCAL lc_monetary TO 'C'; "
			       "SET LOCAL xmloption TO content; SET LOCAL statement_timeout TO 0; "
			       "SET LOCAL idle_in_transaction_session_timeout TO 0; "
			       "SET LOCAL synchronous_commit TO on; ";

/* --- cancelling --- */

/* Shared by the session and the threads that cancel it; the last one frees it. */
struct pg_canceller {
	pthread_mutex_t lock;
	int refs;
#ifdef LIBPQ_HAS_ASYNC_CANCEL
	PGcancelConn *handle;
#else
	PGcancel *handle;
#endif
};

static void canceller_release(struct pg_canceller *c)
{
	pthread_mutex_lock(&c->lock);
	int left = --c->refs;
	pthread_mutex_unlock(&c->lock);
	if (left)
		return;
#ifdef LIBPQ_HAS_ASYNC_CANCEL
	PQcancelFinish(c->handle);
#else
	PQfreeCancel(c->handle);
#endif
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct pg_canceller *pg_canceller_new(PGconn *conn)
{
	struct pg_canceller *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
#ifdef LIBPQ_HAS_ASYNC_CANCEL
	c->handle = PQcancelCreate(conn);
#else
	c->handle = PQgetCancel(conn);
#endif
	if (!c->handle) {
		free(c);
		return NULL;
	}
	pthread_mutex_init(&c->lock, NULL);
	c->refs = 1;
	return c;
}

void pg_canceller_free(struct pg_canceller *c)
{
	if (c)
		canceller_release(c);
}

#ifdef LIBPQ_HAS_ASYNC_CANCEL

void pg_canceller_ask(struct pg_canceller *c, uint64_t wait_ms)
{
	uint64_t deadline = clock_deadline(wait_ms);
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	/* One request at a time: the handle is a connection. */
	pthread_mutex_lock(&c->lock);
	PQcancelReset(c->handle);
	if (PQcancelStart(c->handle)) {
		while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
			struct pollfd fd = { .fd = PQcancelSocket(c->handle) };
			fd.events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
			int n = poll(&fd, 1, clock_left(deadline));
			if (n == 0 || (n < 0 && errno != EINTR))
				break;
			if (n > 0)
				status = PQcancelPoll(c->handle);
		}
	}
	PQcancelReset(c->handle);
	pthread_mutex_unlock(&c->lock);
}

#else

static void *cancel_thread(void *arg)
{
	struct pg_canceller *c = arg;
	char text[256];

	(void)PQcancel(c->handle, text, sizeof(text));
	canceller_release(c);
	return NULL;
}

/* PQcancel() waits without a limit, so a thread of its own does it and is left alone if late. */
void pg_canceller_ask(struct pg_canceller *c, uint64_t wait_ms)
{
	pthread_t thread;

	pthread_mutex_lock(&c->lock);
	c->refs++;
	pthread_mutex_unlock(&c->lock);
	if (pthread_create(&thread, NULL, cancel_thread, c)) {
		canceller_release(c);
		return;
	}
	if (!clock_join(thread, wait_ms))
		pthread_detach(thread);
}

#endif

/* --- closing --- */

void pg_drop(struct pg *pg)
{
	/* Non-blocking since pg_open(), so the farewell message is sent only if there is room. */
	PQfinish(pg->conn);
	pg->conn = NULL;
	pg->copy = PG_COPY_NONE;
}

void pg_close(struct pg *pg)
{
	if (!pg)
		return;
	pg_drop(pg);
	pg_canceller_free(pg->canceller);
	free(pg);
}

/* --- opening --- */

static void on_notice(void *arg, const PGresult *res)
{
	struct pg *pg = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	pg->notices++;
	if (pg->notice_fn)
		pg->notice_fn(pg->notice_ctx, severity ? severity : "NOTICE", state ? state : "",
			      message ? message : "");
}

/* The user's connect_timeout as libpq understands it: seconds, at least 2, none when 0. */
static uint64_t connect_timeout(const struct conn *conn)
{
	const char *const *keys, *const *values;
	long seconds = 0;

	conn_params(conn, &keys, &values);
	for (; *keys; keys++, values++)
		if (strcmp(*keys, "connect_timeout") == 0)
			seconds = strtol(*values, NULL, 10);
	if (seconds <= 0 || seconds > 100000)
		return CLOCK_NEVER;
	return (uint64_t)(seconds < 2 ? 2 : seconds) * 1000;
}

/* Identifies the address being tried: libpq makes a new socket for each. */
struct attempt {
	int socket;
	char address[64];
	uint64_t deadline;
};

static bool attempt_is_new(struct attempt *a, const PGconn *conn)
{
	const char *address = PQhostaddr(conn);
	int socket = PQsocket(conn);

	if (!address)
		address = "";
	if (socket == a->socket && strncmp(address, a->address, sizeof(a->address) - 1) == 0)
		return false;
	a->socket = socket;
	strncpy(a->address, address, sizeof(a->address) - 1);
	return true;
}

/*
 * One wait of a connect. libpq leaves the timeout to us, but has no call for "next address,
 * please": shutting the socket down makes it see a failure and go on by itself.
 */
static int wait_connect(struct pg *pg, struct attempt *a, short events, bool *ret_late,
			struct err *e)
{
	struct err waited;

	*ret_late = false;
	if (pg_wait(pg, events, a->deadline, &waited) == 0)
		return 0;
	if (waited.kind == ERR_STOPPED || clock_left(a->deadline) != 0) {
		*e = waited;
		return -1;
	}
	*ret_late = true;
	shutdown(a->socket, SHUT_RDWR);
	a->deadline = clock_deadline(1000);
	return 0;
}

static int connect_late(const struct pg *pg, uint64_t timeout, struct err *e)
{
	err_set(e, ERR_NETWORK, "%s: no answer within %llu s to the connect",
		pg_role_name(pg->role), (unsigned long long)timeout / 1000);
	e->next = ERR_RETRY;
	return err_hint(e, "check host, port and firewall");
}

/* Polls libpq to the end of the connect, address by address. */
static int poll_connect(struct pg *pg, uint64_t timeout, struct err *e)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	struct attempt attempt = { .socket = -1 };
	bool late = false;

	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
		short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		if (attempt_is_new(&attempt, pg->conn))
			attempt.deadline = clock_deadline(timeout);
		if (wait_connect(pg, &attempt, events, &late, e))
			return -1;
		status = PQconnectPoll(pg->conn);
	}
	if (status == PGRES_POLLING_OK)
		return 0;
	return late ? connect_late(pg, timeout, e) : pgerr_set(e, pg->role, pg->conn, NULL, NULL);
}

static int connect_to(struct pg *pg, const struct conn *conn, struct err *e)
{
	AUTO(free) const char **keys = NULL, **values = NULL;

	if (connroots_params(conn, &keys, &values, e))
		return -1;
	pg->started = clock_ms();
	pg->conn = PQconnectStartParams(keys, values, 0);
	if (!pg->conn)
		return err_nomem(e);
	if (PQstatus(pg->conn) == CONNECTION_BAD)
		return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
	PQsetNoticeReceiver(pg->conn, on_notice, pg);
	/* Only so does the text of a failed connect tell its SQLSTATE (see pgerr.c). */
	PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	if (poll_connect(pg, connect_timeout(conn), e))
		return -1;
	PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
	PQsetnonblocking(pg->conn, 1);
	return 0;
}

static int check_version(const struct pg *pg, struct err *e)
{
	int major = pg->version / 10000;
	int oldest = pg->role == PG_SOURCE ? SOURCE_MIN : TARGET_MIN;

	if (major >= oldest && major <= VERSION_MAX)
		return 0;
	const char *full = PQparameterStatus(pg->conn, "server_version");
	err_set(e, ERR_REFUSED, "%s: PostgreSQL %s is not supported, only %d to %d",
		pg_role_name(pg->role), full ? full : "of an unknown version", oldest, VERSION_MAX);
	return err_hint(e, major < oldest ? "upgrade that server first"
					  : "use a newer version of this program");
}

static int set_session_up(struct pg *pg, const char *name, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO_TEXT struct text app = TEXT_INIT;

	text_addf(&app, "neonferry%s%s", name ? " " : "", name ? name : "");
	text_add(&sql, session_sql);
	if (pg->version >= 170000)
		text_add(&sql, "SET transaction_timeout TO 0;");
	text_add(&sql, "SET application_name TO ");
	text_add_literal(&sql, text_str(&app));
	if (text_check(&app, e) || text_check(&sql, e))
		return -1;
	return pg_exec(pg, text_str(&sql), e) ? err_note(e, "setting the session up") : 0;
}

int pg_renew(struct pg *pg, const char *name, struct err *e)
{
	return pg_exec(pg, "RESET ALL", e) || set_session_up(pg, name, e) ? -1 : 0;
}

int pg_open(struct pg **ret, const struct conn *conn, const char *name, struct stop *stop,
	    struct err *e)
{
	AUTO(pg) struct pg *pg = calloc(1, sizeof(*pg));

	if (!pg)
		return err_nomem(e);
	pg->role = conn_role(conn);
	pg->stop = stop;
	pg->timeout = pg->deadline = CLOCK_NEVER;
	if (connect_to(pg, conn, e))
		return -1;
	pg->version = PQserverVersion(pg->conn);
	pg->backend_pid = PQbackendPID(pg->conn);
	pg->canceller = pg_canceller_new(pg->conn);
	if (check_version(pg, e) || (!conn_is_pooled(conn) && set_session_up(pg, name, e)))
		return -1;
	*ret = GIVE(&pg);
	return 0;
}
