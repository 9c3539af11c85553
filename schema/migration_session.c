#include "schema/migration_session.h"

#include "common/clock.h"
#include "schema/query.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* "nf", "mi": the advisory lock of the one runner of a database. */
#define LOCK_KEYS "28262, 28009"
#define LOOK_MS	  250

struct migration_session {
	struct migration_session_options o;
	struct pg *pg, *watch;
	pthread_t helper;
	bool has_helper;
	pthread_mutex_t lock; /* leaf: what is below */
	pthread_cond_t wake;
	bool running, closing;
	json_t *blockers;     /* as last seen */
};

struct pg *migration_session_pg(struct migration_session *s)
{
	return s->pg;
}

struct events *migration_session_events(struct migration_session *s)
{
	return s->o.events;
}

struct stop *migration_session_stop(struct migration_session *s)
{
	return s->o.stop;
}

/* --- the helper --- */

static const char blockers_sql[] =
	"SELECT a.pid, a.usename, a.application_name, a.state, pg_catalog.floor(coalesce(extract(epoch"
	" FROM pg_catalog.clock_timestamp() - a.xact_start), 0))::pg_catalog.int8,"
	" pg_catalog.left(a.query, 200) FROM pg_catalog.pg_stat_activity a"
	" WHERE a.pid = ANY (pg_catalog.pg_blocking_pids(%d)) ORDER BY a.pid";

static json_t *read_blockers(struct migration_session *s)
{
	AUTO(pgresult) PGresult *res = NULL;
	json_t *list = json_array();
	struct err ignored = ERR_INIT;

	if (!list || pg_queryf(s->watch, &res, &ignored, blockers_sql, pg_backend_pid(s->pg)))
		return list;
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(list, json_pack("{s:i, s:s?, s:s?, s:s?, s:I, s:s?}", "pid",
			(int)query_int(res, i, 0), "user", query_text(res, i, 1), "application",
			query_text(res, i, 2), "state", query_text(res, i, 3), "seconds",
			(json_int_t)query_int(res, i, 4), "query", query_text(res, i, 5)));
	return list;
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s && *s ? s : "-";
}

/* "process 42 (app, idle in transaction for 300 s: UPDATE ...)" */
static void describe(struct text *t, const json_t *blockers)
{
	size_t i;
	json_t *b;

	json_array_foreach(blockers, i, b)
		text_addf(t, "%sprocess %lld (user %s, %s for %lld s: %.80s)", i ? ", " : "",
			  (long long)json_integer_value(json_object_get(b, "pid")), text_of(b, "user"),
			  text_of(b, "state"), (long long)json_integer_value(json_object_get(b, "seconds")),
			  text_of(b, "query"));
}

/* pid of the first blocker, or 0 */
static json_int_t first_pid(const json_t *blockers)
{
	return json_integer_value(json_object_get(json_array_get(blockers, 0), "pid"));
}

static void look(struct migration_session *s)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	json_t *now = read_blockers(s);
	bool waits = json_array_size(now) > 0;

	pthread_mutex_lock(&s->lock);
	bool changed = waits && first_pid(now) != first_pid(s->blockers);
	if (waits) {
		json_decref(s->blockers);
		s->blockers = json_incref(now);
	}
	pthread_mutex_unlock(&s->lock);
	if (changed) {
		describe(&t, now);
		event_emit(s->o.events, EVENT_WARNING, "schema.waiting", json_incref(now),
			   "waiting for a lock that %s holds", text_str(&t));
	}
	json_decref(now);
}

static void wait_ms(struct migration_session *s, long ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += ms * 1000000;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&s->wake, &s->lock, &at);
}

static void *help(void *arg)
{
	struct migration_session *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->closing) {
		wait_ms(s, LOOK_MS);
		bool running = s->running && !s->closing;
		pthread_mutex_unlock(&s->lock);
		if (running)
			look(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int start_helper(struct migration_session *s, struct err *e)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	int failed = pthread_create(&s->helper, NULL, help, s);
	if (failed)
		return err_sys(e, ERR_INTERNAL, failed, "cannot start a thread");
	s->has_helper = true;
	return 0;
}

static void stop_helper(struct migration_session *s)
{
	if (!s->has_helper)
		return;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->helper, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
}

static void set_running(struct migration_session *s, bool running)
{
	pthread_mutex_lock(&s->lock);
	s->running = running;
	if (running) {
		json_decref(s->blockers);
		s->blockers = NULL;
	}
	pthread_mutex_unlock(&s->lock);
}

json_t *migration_session_blockers(struct migration_session *s)
{
	pthread_mutex_lock(&s->lock);
	json_t *list = s->blockers ? json_incref(s->blockers) : json_array();
	pthread_mutex_unlock(&s->lock);
	return list;
}

/* --- opening --- */

static int check_two_backends(struct migration_session *s, struct err *e)
{
	AUTO(free) char *a = NULL;
	AUTO(free) char *b = NULL;

	if (pg_value(s->pg, "SELECT pg_catalog.pg_backend_pid()", &a, e) ||
	    pg_value(s->watch, "SELECT pg_catalog.pg_backend_pid()", &b, e))
		return -1;
	if (!a || !b || strcmp(a, b) != 0)
		return 0;
	err_set(e, ERR_REFUSED, "two sessions are one and the same server process: a pooler is in between");
	return err_hint(e, "Use the direct address (DATABASE_URL_UNPOOLED): locks mean nothing "
			   "behind a pooler.");
}

/* Another runner has the lock: who is it? */
static int other_runner(struct migration_session *s, struct err *e)
{
	AUTO(free) char *who = NULL;
	struct err ignored = ERR_INIT;

	if (pg_value(s->watch, "SELECT pg_catalog.format('process %s (user %s, from %s, since %s)', a.pid,"
			       " a.usename, coalesce(a.client_addr::pg_catalog.text, 'this machine'),"
			       " pg_catalog.date_trunc('second', a.backend_start)) FROM pg_catalog.pg_locks l"
			       " JOIN pg_catalog.pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory'"
			       " AND l.classid = 28262 AND l.objid = 28009 AND l.granted AND l.database ="
			       " (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname ="
			       " pg_catalog.current_database()) LIMIT 1", &who, &ignored))
		who = NULL;
	err_set(e, ERR_REFUSED, "another runner is at work in this database: %s", who ? who : "unknown");
	return err_hint(e, "Wait for it. A runner that was killed lets go when the server sees that its "
			   "connection is gone.");
}

static int take_lock(struct migration_session *s, struct err *e)
{
	uint64_t deadline = clock_deadline(s->o.lock_timeout_ms);

	for (unsigned n = 1;; n++) {
		AUTO(free) char *got = NULL;
		if (pg_value(s->pg, "SELECT pg_catalog.pg_try_advisory_lock(" LOCK_KEYS ")", &got, e))
			return -1;
		if (got && strcmp(got, "t") == 0)
			return 0;
		if (clock_left(deadline) == 0)
			return other_runner(s, e);
		if (s->o.stop && stop_sleep(s->o.stop, n < 5 ? 100 : 500, e))
			return -1;
	}
}

int migration_session_open(struct migration_session **ret, const struct conn *target,
			   const struct migration_session_options *o, struct err *e)
{
	AUTO(migration_session) struct migration_session *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->o = *o;
	if (pg_open(&s->pg, target, "schema", o->stop, e) ||
	    pg_open(&s->watch, target, "schema watch", o->stop, e) || check_two_backends(s, e) ||
	    take_lock(s, e) || start_helper(s, e))
		return -1;
	*ret = GIVE(&s);
	return 0;
}

void migration_session_close(struct migration_session *s)
{
	if (!s)
		return;
	stop_helper(s);
	pg_close(s->pg);
	pg_close(s->watch);
	json_decref(s->blockers);
	free(s);
}

/* --- running --- */

int migration_session_prepare(struct migration_session *s, bool lock_timeout, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_addf(&t, "RESET ALL; SET client_encoding TO 'UTF8'; SET statement_timeout TO 0;"
		      " SET idle_in_transaction_session_timeout TO 0; SET lock_timeout TO %llu;",
		  lock_timeout ? (unsigned long long)s->o.lock_timeout_ms : 0ULL);
	if (pg_version(s->pg) >= 140000)
		text_add(&t, "SET idle_session_timeout TO 0;");
	if (s->o.vector_dimensions)
		text_addf(&t, "SET neonferry.vector_dimensions TO %d;", s->o.vector_dimensions);
	return text_check(&t, e) ? -1 : pg_exec(s->pg, text_str(&t), e);
}

int migration_session_restore(struct migration_session *s, struct err *e)
{
	return pg_exec(s->pg, "SELECT pg_catalog.set_config('search_path', '', false);"
			      "SET row_security TO off; SET lock_timeout TO 0;"
			      "SET datestyle TO 'ISO, YMD'; SET timezone TO 'UTC';"
			      "SET default_transaction_isolation TO 'read committed';"
			      "SET default_transaction_read_only TO off; SET synchronous_commit TO on", e);
}

static int64_t rows_of(PGresult *res)
{
	const char *n = PQcmdTuples(res);

	return n && *n ? strtoll(n, NULL, 10) : -1;
}

int migration_session_exec(struct migration_session *s, const char *sql, int64_t *rows, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	set_running(s, true);
	int failed = pg_query(s->pg, sql, &res, e);
	set_running(s, false);
	if (!failed && rows)
		*rows = rows_of(res);
	if (failed && e->kind == ERR_DATA)
		e->hint[0] = '\0'; /* meant for loading rows */
	if (failed && strcmp(e->sqlstate, "55P03") == 0) {
		e->hint[0] = '\0';
		AUTO_TEXT struct text t = TEXT_INIT;
		json_t *blockers = migration_session_blockers(s);
		describe(&t, blockers);
		if (t.len)
			err_note(e, "waiting for a lock that %s holds", text_str(&t));
		err_hint(e, "`neonferry schema apply --locks` shows the locks; --end-idle ends "
			    "transactions that sit idle; --lock-timeout waits longer.");
		json_decref(blockers);
	}
	return failed;
}
