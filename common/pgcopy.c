#include "common/pgpriv.h"

#include "common/clock.h"
#include "common/pgerr.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Measured best: smaller ones cost the server time for each, larger ones it buffers whole. */
#define MESSAGE_BYTES 65536
/* How long bytes from the server may stay unexplained during COPY IN before they are an error. */
#define SUSPECT_MS 1000

/* Reads on to the result that starts a COPY. Any other end of the statement is an error. */
static int await_copy(struct pg *pg, ExecStatusType wanted, struct err *e)
{
	PGresult *res;
	bool failed = false;

	for (;;) {
		struct err ignored;
		if (pg_next(pg, &res, failed ? &ignored : e))
			return -1;
		if (!res)
			break;
		bool found = !failed && PQresultStatus(res) == wanted;
		if (!found)
			pg_failed(pg, res, &failed, e);
		PQclear(res);
		if (found)
			return 0;
	}
	return failed ? -1
		      : err_set(e, ERR_INTERNAL, "%s: the statement is not the COPY expected",
				pg_role_name(pg->role));
}

/* --- COPY OUT --- */

int pg_copy_out(struct pg *pg, const char *sql, struct err *e)
{
	if (pg_send(pg, sql, e) || await_copy(pg, PGRES_COPY_OUT, e))
		return -1;
	pg->copy = PG_COPY_OUT;
	return 0;
}

/* Takes in what has come; waits when that is nothing. */
static int refill(struct pg *pg, bool wait, struct err *e)
{
	if (pg->stop && stop_level(pg->stop) >= STOP_NOW)
		return stop_err(e);
	if (wait && pg_wait(pg, POLLIN, CLOCK_NEVER, e))
		return -1;
	if (!PQconsumeInput(pg->conn)) {
		pg->copy = PG_COPY_NONE;
		/* The server's last words are better than "connection closed". */
		if (pg_drain(pg, e) == 0)
			return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
		return -1;
	}
	return 0;
}

int pg_copy_row(struct pg *pg, char **ret, int *ret_len, struct err *e)
{
	char *row = NULL;
	int n;

	if (pg->copy != PG_COPY_OUT)
		return err_set(e, ERR_INTERNAL, "%s: no COPY is running", pg_role_name(pg->role));
	/* The first try does without poll(): a busy server has the next bytes there already. */
	for (bool wait = false; (n = PQgetCopyData(pg->conn, &row, 1)) == 0; wait = true)
		if (refill(pg, wait, e))
			return -1;
	if (n > 0) {
		*ret = row;
		*ret_len = n;
		return 1;
	}
	pg->copy = PG_COPY_NONE;
	if (n == -2)
		return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
	if (pg_drain(pg, e))
		return -1;
	*ret = NULL;
	*ret_len = 0;
	return 0;
}

/* --- COPY IN --- */

int pg_copy_in(struct pg *pg, const char *sql, struct err *e)
{
	if (pg_send(pg, sql, e) || await_copy(pg, PGRES_COPY_IN, e))
		return -1;
	pg->copy = PG_COPY_IN;
	return 0;
}

/* Queues the end of the data; `why` (may be NULL) makes the server roll the statement back. */
static int queue_end(struct pg *pg, const char *why, struct err *e)
{
	int n;

	while ((n = PQputCopyEnd(pg->conn, why)) == 0)
		if (pg_wait(pg, POLLOUT, CLOCK_NEVER, e))
			return -1;
	pg->copy = PG_COPY_NONE;
	/* Where it failed the results tell why. */
	return n < 0 ? 0 : pg_flush(pg, e);
}

/* Sending is of no more use: fetches what the server has to say. Always returns -1. */
static int fetch_error(struct pg *pg, struct err *e)
{
	if (queue_end(pg, "stopped after an answer of the server", e) || pg_drain(pg, e))
		return -1;
	return pgerr_set(e, pg->role, pg->conn, NULL, NULL);
}

/*
 * Bytes came from the server in mid COPY IN: a notice, or the error that ends it. libpq does not
 * show an error before the end of the data, so what is no notice after a while is taken for one.
 * The while is there because a notice may come in two pieces. True: stop sending.
 */
static bool server_objects(struct pg *pg, bool readable)
{
	uint64_t notices = pg->notices;

	if (readable) {
		if (!PQconsumeInput(pg->conn))
			return true;
		PQfreemem(PQnotifies(pg->conn)); /* makes libpq look at what it took in */
		if (pg->notices != notices)
			pg->suspect = 0;
		else if (!pg->suspect)
			pg->suspect = clock_ms();
	}
	return pg->suspect && clock_ms() - pg->suspect >= SUSPECT_MS;
}

static bool is_readable(const struct pg *pg)
{
	struct pollfd fd = { .fd = PQsocket(pg->conn), .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

/* Sends one message to its last byte, so that libpq's buffer never holds more than one. */
static int put_message(struct pg *pg, const char *data, int len, struct err *e)
{
	int n;

	while ((n = PQputCopyData(pg->conn, data, len)) == 0)
		if (pg_wait(pg, POLLOUT, CLOCK_NEVER, e))
			return -1;
	if (n < 0)
		return fetch_error(pg, e);
	while ((n = PQflush(pg->conn)) == 1) {
		uint64_t deadline = pg->suspect ? pg->suspect + SUSPECT_MS : CLOCK_NEVER;
		struct err waited;
		if (pg_wait(pg, POLLIN | POLLOUT, deadline, &waited) &&
		    (!pg->suspect || waited.kind != ERR_NETWORK || pg->deadline <= clock_ms())) {
			*e = waited;
			return -1;
		}
		if (server_objects(pg, is_readable(pg)))
			return fetch_error(pg, e);
	}
	return n < 0 || server_objects(pg, is_readable(pg)) ? fetch_error(pg, e) : 0;
}

int pg_copy_put(struct pg *pg, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	if (pg->copy != PG_COPY_IN)
		return err_set(e, ERR_INTERNAL, "%s: no COPY is running", pg_role_name(pg->role));
	while (len > 0) {
		size_t n = len < MESSAGE_BYTES ? len : MESSAGE_BYTES;
		if (pg->stop && stop_level(pg->stop) >= STOP_NOW)
			return stop_err(e);
		if (put_message(pg, p, (int)n, e))
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

int pg_copy_end(struct pg *pg, uint64_t *ret_rows, char ret_tag[32], struct err *e)
{
	PGresult *res;
	bool failed = false, counted = false;
	uint64_t rows = 0;
	char tag[32] = "";

	if (pg->copy != PG_COPY_IN)
		return err_set(e, ERR_INTERNAL, "%s: no COPY is running", pg_role_name(pg->role));
	if (queue_end(pg, NULL, e))
		return -1;
	for (;;) {
		struct err ignored;
		if (pg_next(pg, &res, failed ? &ignored : e))
			return -1;
		if (!res)
			break;
		if (!pg_failed(pg, res, &failed, e)) {
			strncpy(tag, PQcmdStatus(res), sizeof(tag) - 1);
			if (!counted && strncmp(tag, "COPY ", 5) == 0) {
				rows = strtoull(tag + 5, NULL, 10);
				counted = true;
			}
		}
		PQclear(res);
	}
	if (failed)
		return -1;
	if (!counted)
		return err_set(e, ERR_INTERNAL, "%s: the COPY ended without a row count",
			       pg_role_name(pg->role));
	*ret_rows = rows;
	if (ret_tag)
		memcpy(ret_tag, tag, sizeof(tag));
	return 0;
}

void pg_copy_abandon(struct pg *pg)
{
	struct err ignored;

	if (pg->copy == PG_COPY_IN) {
		pg->started = clock_ms();
		pg->deadline = clock_deadline(pg->timeout);
		if (queue_end(pg, "abandoned by the client", &ignored) == 0)
			(void)!pg_drain(pg, &ignored);
	}
	pg->copy = PG_COPY_NONE;
}
