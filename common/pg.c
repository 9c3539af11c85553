#include "common/pgpriv.h"

#include "common/clock.h"
#include "common/pgerr.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* A rollback that the server does not answer within this time ends with the connection closed. */
#define ROLLBACK_MS        30000
#define CANCEL_MS          5000
#define ROLLBACK_CANCEL_MS 2000

/* --- facts --- */

PGconn *pg_conn(struct pg *pg)
{
	return pg->conn;
}

enum pg_role pg_role(const struct pg *pg)
{
	return pg->role;
}

const char *pg_role_name(enum pg_role role)
{
	return role == PG_SOURCE ? "source" : "target";
}

int pg_version(const struct pg *pg)
{
	return pg->version;
}

int pg_backend_pid(const struct pg *pg)
{
	return pg->backend_pid;
}

bool pg_is_local(const struct pg *pg)
{
	const char *address = PQhostaddr(pg->conn), *host = PQhost(pg->conn);

	if (address && *address)
		return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
	return host && (*host == '/' || *host == '@');
}

bool pg_is_alive(const struct pg *pg)
{
	PGTransactionStatusType status = PQtransactionStatus(pg->conn);

	return PQstatus(pg->conn) == CONNECTION_OK && pg->copy == PG_COPY_NONE &&
	       status != PQTRANS_ACTIVE && status != PQTRANS_UNKNOWN;
}

void pg_on_notice(struct pg *pg, pg_notice_fn *fn, void *ctx)
{
	pg->notice_fn = fn;
	pg->notice_ctx = ctx;
}

void pg_set_timeout(struct pg *pg, uint64_t ms)
{
	pg->timeout = ms;
}

void pg_cancel(struct pg *pg)
{
	if (pg && pg->canceller)
		pg_canceller_ask(pg->canceller, CANCEL_MS);
}

/* --- waiting --- */

static int no_answer(const struct pg *pg, struct err *e)
{
	uint64_t seconds = (clock_ms() - pg->started + 500) / 1000;

	err_set(e, ERR_NETWORK, "%s: no answer within %llu s", pg_role_name(pg->role),
		(unsigned long long)seconds);
	e->next = ERR_RETRY_ASK;
	return -1;
}

int pg_wait(struct pg *pg, short events, uint64_t deadline, struct err *e)
{
	struct pollfd fds[2] = {
		{ .fd = PQsocket(pg->conn), .events = events },
		{ .fd = pg->stop ? pg->stop->fd : -1, .events = POLLIN },
	};

	if (pg->deadline < deadline)
		deadline = pg->deadline;
	for (;;) {
		if (pg->stop && stop_level(pg->stop) >= STOP_NOW)
			return stop_err(e);
		if (fds[0].fd < 0)
			return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
		int n = poll(fds, 2, clock_left(deadline));
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_INTERNAL, errno, "cannot wait for the %s",
				       pg_role_name(pg->role));
		if (n > 0 && fds[0].revents)
			return 0;
		if (n == 0 && clock_left(deadline) == 0)
			return no_answer(pg, e);
	}
}

/* --- one statement: send, results --- */

static int check_usable(struct pg *pg, struct err *e)
{
	if (pg_is_alive(pg))
		return 0;
	if (PQstatus(pg->conn) != CONNECTION_OK)
		err_set(e, ERR_NETWORK, "%s: the connection is closed", pg_role_name(pg->role));
	else
		err_set(e, ERR_NETWORK,
			"%s: the connection is still busy with an earlier statement",
			pg_role_name(pg->role));
	e->next = ERR_RETRY;
	return -1;
}

static void start_clock(struct pg *pg)
{
	pg->started = clock_ms();
	pg->deadline = clock_deadline(pg->timeout);
	pg->suspect = 0;
}

int pg_flush(struct pg *pg, struct err *e)
{
	while (PQflush(pg->conn) == 1) {
		if (pg_wait(pg, POLLIN | POLLOUT, CLOCK_NEVER, e))
			return -1;
		/* Both sides would wait for ever if neither of them read. */
		if (!PQconsumeInput(pg->conn))
			break;
	}
	/* What broke is told by the results: they may hold the server's last words. */
	return 0;
}

int pg_send(struct pg *pg, const char *sql, struct err *e)
{
	if (check_usable(pg, e))
		return -1;
	start_clock(pg);
	if (!PQsendQuery(pg->conn, sql))
		return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
	return pg_flush(pg, e);
}

int pg_next(struct pg *pg, PGresult **ret, struct err *e)
{
	while (PQisBusy(pg->conn)) {
		/* On a lost connection PQgetResult() returns at once, with the reason. */
		if (PQsocket(pg->conn) < 0)
			break;
		if (pg_wait(pg, POLLIN, CLOCK_NEVER, e))
			return -1;
		if (!PQconsumeInput(pg->conn))
			break;
	}
	*ret = PQgetResult(pg->conn);
	return 0;
}

bool pg_failed(struct pg *pg, const PGresult *res, bool *failed, struct err *e)
{
	switch (PQresultStatus(res)) {
	case PGRES_EMPTY_QUERY:
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		return false;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		if (!*failed)
			err_set(e, ERR_INTERNAL, "%s: a COPY where none was expected",
				pg_role_name(pg->role));
		pg_drop(pg);
		break;
	default:
		if (!*failed)
			pgerr_set(e, pg->role, pg->conn, res, NULL);
	}
	*failed = true;
	return true;
}

/* Reads all results; keeps the first with rows (else the last) where ret is not NULL. */
static int read_results(struct pg *pg, PGresult **ret, struct err *e)
{
	PGresult *res, *kept = NULL;
	bool failed = false;

	for (;;) {
		struct err ignored, *first = failed ? &ignored : e;
		if (pg_next(pg, &res, first)) {
			PQclear(kept);
			return -1;
		}
		if (!res)
			break;
		if (pg_failed(pg, res, &failed, e) || !ret ||
		    PQresultStatus(kept) == PGRES_TUPLES_OK) {
			PQclear(res);
			continue;
		}
		PQclear(kept);
		kept = res;
	}
	if (failed) {
		PQclear(kept);
		return -1;
	}
	if (ret)
		*ret = kept;
	return 0;
}

int pg_drain(struct pg *pg, struct err *e)
{
	return read_results(pg, NULL, e);
}

int pg_exec(struct pg *pg, const char *sql, struct err *e)
{
	return pg_send(pg, sql, e) ? -1 : pg_drain(pg, e);
}

int pg_execf(struct pg *pg, struct err *e, const char *fmt, ...)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_addv(&sql, fmt, ap);
	va_end(ap);
	if (text_check(&sql, e))
		return -1;
	return pg_exec(pg, text_str(&sql), e);
}

int pg_parse(struct pg *pg, const char *sql, struct err *e)
{
	if (check_usable(pg, e))
		return -1;
	start_clock(pg);
	if (!PQsendPrepare(pg->conn, "", sql, 0, NULL))
		return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
	return pg_flush(pg, e) ? -1 : pg_drain(pg, e);
}

int pg_query(struct pg *pg, const char *sql, PGresult **ret, struct err *e)
{
	return pg_send(pg, sql, e) ? -1 : read_results(pg, ret, e);
}

int pg_queryf(struct pg *pg, PGresult **ret, struct err *e, const char *fmt, ...)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_addv(&sql, fmt, ap);
	va_end(ap);
	if (text_check(&sql, e))
		return -1;
	return pg_query(pg, text_str(&sql), ret, e);
}

int pg_query_params(struct pg *pg, const char *sql, int n, const char *const *values,
		    PGresult **ret, struct err *e)
{
	if (check_usable(pg, e))
		return -1;
	start_clock(pg);
	if (!PQsendQueryParams(pg->conn, sql, n, NULL, values, NULL, NULL, 0))
		return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
	return pg_flush(pg, e) ? -1 : read_results(pg, ret, e);
}

int pg_value(struct pg *pg, const char *sql, char **ret, struct err *e)
{
	PGresult *res;
	char *value = NULL;

	if (pg_query(pg, sql, &res, e))
		return -1;
	if (PQntuples(res) > 0 && PQnfields(res) > 0 && !PQgetisnull(res, 0, 0)) {
		value = strdup(PQgetvalue(res, 0, 0));
		if (!value) {
			PQclear(res);
			return err_nomem(e);
		}
	}
	PQclear(res);
	*ret = value;
	return 0;
}

int pg_valuef(struct pg *pg, char **ret, struct err *e, const char *fmt, ...)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_addv(&sql, fmt, ap);
	va_end(ap);
	if (text_check(&sql, e))
		return -1;
	return pg_value(pg, text_str(&sql), ret, e);
}

/* --- transactions --- */

int pg_begin(struct pg *pg, const char *modes, struct err *e)
{
	return pg_execf(pg, e, "BEGIN %s", modes ? modes : "");
}

int pg_commit(struct pg *pg, struct err *e)
{
	PGresult *res;

	if (pg_query(pg, "COMMIT", &res, e))
		return -1;
	bool done = strcmp(PQcmdStatus(res), "COMMIT") == 0;
	PQclear(res);
	if (done)
		return 0;
	return err_set(e, pg->role == PG_SOURCE ? ERR_SOURCE : ERR_TARGET,
		       "%s: the server rolled the transaction back instead of committing it",
		       pg_role_name(pg->role));
}

void pg_rollback(struct pg *pg)
{
	struct err ignored;
	uint64_t timeout = pg->timeout;

	pg->timeout = ROLLBACK_MS;
	pg_copy_abandon(pg);
	if (PQtransactionStatus(pg->conn) == PQTRANS_ACTIVE) {
		/* Its answer will not be read: do not leave the work running, with its locks. */
		if (pg->canceller)
			pg_canceller_ask(pg->canceller, ROLLBACK_CANCEL_MS);
		pg_drop(pg);
	} else if (PQtransactionStatus(pg->conn) != PQTRANS_IDLE) {
		if (pg_exec(pg, "ROLLBACK", &ignored) ||
		    PQtransactionStatus(pg->conn) != PQTRANS_IDLE)
			pg_drop(pg);
	}
	pg->timeout = timeout;
}
