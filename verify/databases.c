#include "verify/databases.h"

#include "common/clock.h"
#include "verify/finding.h"
#include "verify/session.h"

#include <pthread.h>

/* Whether a statement would work: connected, and not in a transaction that has failed. */
static bool is_usable(struct pg *pg)
{
	return pg && pg_is_alive(pg) && PQtransactionStatus(pg_conn(pg)) != PQTRANS_INERROR &&
	       PQtransactionStatus(pg_conn(pg)) != PQTRANS_UNKNOWN;
}

static int open_plain(struct databases *ends, enum pg_role role, struct stop *stop, struct err *e)
{
	if (!ends->conn[role] || is_usable(ends->plain[role]))
		return 0;
	pg_close(ends->plain[role]);
	ends->plain[role] = NULL;
	return session_open(&ends->plain[role], ends->conn[role], "verify", stop,
			    clock_ms() + ends->patience_ms, e);
}

static int begin_snapshot(struct databases *ends, struct err *e)
{
	if (pg_begin(ends->snapshot_session, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e) ||
	    pg_value(ends->snapshot_session, "SELECT pg_export_snapshot()", &ends->snapshot, e))
		return err_note(e, "taking a snapshot of the source to verify against");
	return 0;
}

static int open_snapshot(struct databases *ends, struct stop *stop, struct err *e)
{
	if (!ends->conn[PG_SOURCE])
		return 0;
	if (is_usable(ends->snapshot_session))
		return ends->snapshot ? 0 : begin_snapshot(ends, e);
	pg_close(ends->snapshot_session);
	ends->snapshot_session = NULL;
	free(ends->snapshot);
	ends->snapshot = NULL;
	if (session_open(&ends->snapshot_session, ends->conn[PG_SOURCE], "verify snapshot", stop,
			 clock_ms() + ends->patience_ms, e))
		return err_note(e, "taking a snapshot of the source to verify against");
	return begin_snapshot(ends, e);
}

static int mend_end(struct databases *ends, enum pg_role role, struct stop *stop, struct err *e)
{
	if (open_plain(ends, role, stop, e))
		return -1;
	return role == PG_SOURCE ? open_snapshot(ends, stop, e) : 0;
}

int databases_mend(struct databases *ends, struct stop *stop, struct err *e)
{
	return mend_end(ends, PG_SOURCE, stop, e) || mend_end(ends, PG_TARGET, stop, e) ? -1 : 0;
}

int databases_renew(struct databases *ends, struct stop *stop, struct err *e)
{
	if (is_usable(ends->snapshot_session))
		pg_rollback(ends->snapshot_session);
	free(ends->snapshot);
	ends->snapshot = NULL;
	return databases_mend(ends, stop, e);
}

static int read_catalog(struct databases *ends, enum pg_role role,
			const struct catalog_filter *filter, struct stop *stop, struct err *e)
{
	uint64_t deadline = clock_ms() + SESSION_PATIENCE_MS;
	unsigned attempt = 1;
	struct err failed;

	for (;;) {
		struct pg *pg = role == PG_SOURCE ? ends->snapshot_session : ends->plain[role];

		failed = ERR_INIT;
		if (catalog_read(&ends->catalog[role], pg, filter, &failed) == 0)
			return 0;
		if (!session_again(&failed, &attempt, deadline, stop)) {
			*e = failed;
			return err_note(e, "reading the %s's catalog", pg_role_name(role));
		}
		if (mend_end(ends, role, stop, e))
			return -1;
	}
}

/* One end, in a thread of its own: a server far away takes its time to connect. */
struct opening {
	struct databases *ends;
	enum pg_role role;
	const struct catalog_filter *filter;
	struct stop *stop;
	int failed;
	struct err err;
};

static void *open_end(void *arg)
{
	struct opening *o = arg;

	o->failed = mend_end(o->ends, o->role, o->stop, &o->err) ||
		    read_catalog(o->ends, o->role, o->filter, o->stop, &o->err);
	return NULL;
}

/* Each touches what is of its own end alone. The source's error is the one that is told. */
static int open_ends(struct databases *ends, const struct catalog_filter *filter, struct stop *stop,
		     struct err *e)
{
	struct opening source = {
		.ends = ends, .role = PG_SOURCE, .filter = filter, .stop = stop, .err = ERR_INIT
	};
	struct opening target = { .ends = ends, .role = PG_TARGET, .stop = stop, .err = ERR_INIT };
	pthread_t thread;

	if (!ends->conn[PG_SOURCE]) {
		target.filter = filter;
		open_end(&target);
	} else if (pthread_create(&thread, NULL, open_end, &target) == 0) {
		open_end(&source);
		pthread_join(thread, NULL);
	} else {
		open_end(&source);
		if (!source.failed)
			open_end(&target);
	}
	if (!source.failed && !target.failed)
		return 0;
	*e = source.failed ? source.err : target.err;
	return -1;
}

int databases_open(struct databases *ret, const struct conn *source, const struct conn *target,
		   const struct catalog_filter *filter, struct stop *stop, struct err *e)
{
	struct databases ends = { .conn = { source, target }, .patience_ms = SESSION_FIRST_MS };

	if (open_ends(&ends, filter, stop, e)) {
		databases_close(&ends);
		return -1;
	}
	ends.patience_ms = SESSION_PATIENCE_MS;
	*ret = ends;
	return 0;
}

void databases_close(struct databases *ends)
{
	for (int role = 0; role < 2; role++) {
		pg_close(ends->plain[role]);
		if (ends->catalog[role])
			catalog_free(ends->catalog[role]);
	}
	pg_close(ends->snapshot_session);
	free(ends->snapshot);
	*ends = (struct databases){ .snapshot = NULL };
}

static json_t *value(struct pg *pg, const char *sql)
{
	AUTO(free) char *text = NULL;
	struct err ignored = ERR_INIT;

	return pg_value(pg, sql, &text, &ignored) || !text ? json_null() : finding_string(text);
}

/* What may not be readable everywhere is null there. */
static void add_surroundings(json_t *identity, struct pg *pg)
{
	static const char *const facts[][2] = {
		{ "role", "SELECT current_user" },
		{ "collation_version",
		  "SELECT pg_catalog.to_jsonb(d) ->> 'datcollversion' FROM pg_catalog.pg_database d"
		  " WHERE datname = current_database()" },
		{ "tls", "SELECT version || ', ' || cipher FROM pg_catalog.pg_stat_ssl"
			 " WHERE pid = pg_backend_pid() AND ssl" },
		{ "shared_buffers", "SHOW shared_buffers" },
		{ "effective_cache_size", "SHOW effective_cache_size" },
		{ "max_connections", "SHOW max_connections" },
		{ "server_started",
		  "SELECT pg_catalog.to_char(pg_postmaster_start_time() AT TIME ZONE"
		  " 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')" },
	};

	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		json_object_set_new(identity, facts[i][0], value(pg, facts[i][1]));
}

json_t *databases_identity(const struct databases *ends, enum pg_role role)
{
	const struct catalog *c = ends->catalog[role];
	const struct extension *vector = c ? catalog_extension(c, "vector") : NULL;
	struct pg *pg = ends->plain[role];

	if (!c || !pg)
		return json_null();
	json_t *identity = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "label",
		finding_string(conn_label(ends->conn[role])), "database",
		finding_string(c->database), "server_version", value(pg, "SHOW server_version"),
		"encoding", finding_string(c->encoding), "collate", finding_string(c->collate),
		"system_identifier",
		c->system_identifier ? finding_string(c->system_identifier) : json_null(),
		"pgvector", vector ? finding_string(vector->version) : json_null(), "lsn",
		value(pg, "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
			  " ELSE pg_current_wal_flush_lsn() END"),
		"bytes", value(pg, "SELECT pg_database_size(current_database())"));
	add_surroundings(identity, pg);
	if (role == PG_SOURCE)
		json_object_set_new(identity, "snapshot", finding_string(ends->snapshot));
	json_object_set_new(identity, "isolation",
			    json_string(role == PG_SOURCE ? "repeatable read, one exported snapshot"
							  : "read committed"));
	return identity;
}
