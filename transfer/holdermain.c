/*
 * holdermain - the holder process: locks, exports, and waits.
 *
 * It answers on standard output with JSON lines: {"note": ..} while it waits for a lock,
 * {"snapshot": ..} once, or {"error": ..}; then it closes all three and lives on alone.
 */
#include "transfer/holder.h"

#include "common/clock.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_BATCH 500
#define LOCK_TRY "5s"
#define LOOK_MS 2000 /* how often a holder looks whether its folder is still there */

struct task {
	json_t *json;
	const char *dir, *run;
	const json_t *relations;
	uint64_t ttl_ms;
};

static void say(json_t *j)
{
	char *line = json_dumps(j, JSON_COMPACT);

	if (line) {
		printf("%s\n", line);
		fflush(stdout);
	}
	free(line);
	json_decref(j);
}

static void say_error(const struct err *e)
{
	say(json_pack("{s:s, s:s, s:i, s:i, s:s}", "error", e->text, "hint", e->hint, "kind",
		      (int)e->kind, "next", (int)e->next, "sqlstate", e->sqlstate));
}

static int read_task(struct task *t, struct err *e)
{
	json_error_t why;

	t->json = json_loadf(stdin, 0, &why);
	t->dir = json_string_value(json_object_get(t->json, "dir"));
	t->run = json_string_value(json_object_get(t->json, "run"));
	t->relations = json_object_get(t->json, "relations");
	t->ttl_ms = (uint64_t)json_integer_value(json_object_get(t->json, "ttl_ms"));
	if (!t->dir || !t->run || !json_is_array(t->relations))
		return err_set(e, ERR_USAGE, "__hold is for neonferry itself: it got no task");
	return 0;
}

static const char *relation_name(const struct task *t, size_t i)
{
	return json_string_value(json_array_get(json_array_get(t->relations, i), 0));
}

static json_int_t relation_number(const struct task *t, size_t i, size_t which)
{
	return json_integer_value(json_array_get(json_array_get(t->relations, i), which));
}

/* The lock table holds max_locks_per_transaction locks for each process there may be. */
static int check_room(struct pg *pg, size_t n, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	long locks, sessions;

	if (pg_query(pg, "SELECT current_setting('max_locks_per_transaction'), "
			 "current_setting('max_connections')::int + "
			 "current_setting('autovacuum_max_workers')::int + 1 + "
			 "current_setting('max_worker_processes')::int + "
			 "current_setting('max_wal_senders')::int + "
			 "current_setting('max_prepared_transactions')::int", &res, e) < 0)
		return -1;
	locks = strtol(PQgetvalue(res, 0, 0), NULL, 10);
	sessions = strtol(PQgetvalue(res, 0, 1), NULL, 10);
	if ((long)n <= locks * sessions)
		return 0;
	err_set(e, ERR_REFUSED, "source: %zu tables cannot be locked at once: the lock table has room for "
				"%ld", n, locks * sessions);
	return err_hint(e, "set max_locks_per_transaction to at least %ld in the source's postgresql.conf "
			   "and restart it", (long)n / (sessions > 0 ? sessions : 1) + 64);
}

/* Who stands in the way: sessions with an exclusive lock on a table, as a sentence. */
static void say_blocked(struct pg *pg)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err ignored = ERR_INIT;

	text_add(&t, "waiting for a table lock in the source");
	if (pg_query(pg, "SELECT l.pid, l.relation::pg_catalog.regclass, coalesce(a.application_name, '') "
			 "FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid) "
			 "WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.locktype = 'relation' "
			 "AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = "
			 "pg_catalog.current_database()) AND l.pid <> pg_catalog.pg_backend_pid() LIMIT 3",
		     &res, &ignored) == 0)
		for (int i = 0; i < PQntuples(res); i++)
			text_addf(&t, "%s process %s (%s) holds %s", i ? "," : ":",
				  PQgetvalue(res, i, 0), PQgetvalue(res, i, 2), PQgetvalue(res, i, 1));
	say(json_pack("{s:s}", "note", text_str(&t)));
}

static int lock_batch(struct pg *pg, const struct task *t, size_t from, size_t to, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "LOCK TABLE ");
	for (size_t i = from; i < to; i++)
		text_addf(&sql, "%sONLY %s", i > from ? ", " : "", relation_name(t, i));
	text_add(&sql, " IN ACCESS SHARE MODE");
	if (text_check(&sql, e) < 0)
		return -1;
	return pg_exec(pg, text_str(&sql), e);
}

static int lock_all(struct pg *pg, const struct task *t, struct err *e)
{
	size_t n = json_array_size(t->relations);

	if (pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e) < 0 ||
	    pg_exec(pg, "SET LOCAL lock_timeout = '" LOCK_TRY "'", e) < 0)
		return -1;
	for (size_t i = 0; i < n; i += LOCK_BATCH)
		if (lock_batch(pg, t, i, i + LOCK_BATCH < n ? i + LOCK_BATCH : n, e) < 0)
			return -1;
	return 0;
}

/* A vanished table or schema: the list is out of date. */
static bool is_gone(const struct err *e)
{
	return strcmp(e->sqlstate, "42P01") == 0 || strcmp(e->sqlstate, "3F000") == 0;
}

static int explain_lock_error(size_t n, struct err *e)
{
	if (is_gone(e))
		e->next = ERR_RETRY;
	if (strcmp(e->sqlstate, "53200") == 0) {
		e->kind = ERR_REFUSED;
		e->hint[0] = '\0';
		return err_hint(e, "%zu tables must be locked at once: raise max_locks_per_transaction in "
				   "the source and restart it", n);
	}
	return -1;
}

/* Waits until every lock is ours, telling who is in the way; never forever without a word. */
static int take_locks(struct pg *pg, const struct task *t, int signals, struct err *e)
{
	for (;;) {
		/* Nobody reads what we say any more: the copier is gone, and has no snapshot to come back to. */
		struct pollfd p[2] = { { .fd = signals, .events = POLLIN }, { .fd = STDOUT_FILENO } };
		struct err tried = ERR_INIT;

		if (lock_all(pg, t, &tried) == 0)
			return 0;
		pg_rollback(pg);
		if (strcmp(tried.sqlstate, "55P03") != 0) {
			*e = tried;
			return explain_lock_error(json_array_size(t->relations), e);
		}
		say_blocked(pg);
		if (poll(p, 2, 200) > 0)
			return stop_err(e);
	}
}

/* With all locks held nobody can rewrite a table any more: what is listed now stays. */
static int check_unchanged(struct pg *pg, const struct task *t, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	size_t n = json_array_size(t->relations);

	text_add(&sql, "SELECT count(*) FROM (VALUES (0::oid, 0::oid)");
	for (size_t i = 0; i < n; i++)
		text_addf(&sql, ",(%lld,%lld)", (long long)relation_number(t, i, 1),
			  (long long)relation_number(t, i, 2));
	text_add(&sql, ") v(o, f) JOIN pg_catalog.pg_class c ON c.oid = v.o "
		       "AND coalesce(pg_catalog.pg_relation_filenode(c.oid), 0) = v.f");
	if (text_check(&sql, e) < 0 || pg_query(pg, text_str(&sql), &res, e) < 0)
		return -1;
	if (strtoull(PQgetvalue(res, 0, 0), NULL, 10) == n)
		return 0;
	err_set(e, ERR_SOURCE, "source: a table was dropped or rewritten while the snapshot was taken");
	e->next = ERR_RETRY;
	return -1;
}

static int export_snapshot(struct pg *pg, const struct task *t, json_t **ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO(free) char *path = file_path(t->dir, "holder.json");
	json_t *info;

	if (!path)
		return err_nomem(e);
	if (pg_query(pg, "SELECT pg_catalog.pg_export_snapshot(), CASE WHEN pg_catalog.pg_is_in_recovery() "
			 "THEN '' ELSE pg_catalog.pg_current_wal_lsn()::text END, "
			 "pg_catalog.pg_backend_pid()", &res, e) < 0)
		return -1;
	info = json_pack("{s:s, s:s, s:i, s:I, s:s}", "snapshot", PQgetvalue(res, 0, 0), "lsn",
			 PQgetvalue(res, 0, 1), "backend_pid", atoi(PQgetvalue(res, 0, 2)), "pid",
			 (json_int_t)getpid(), "run", t->run);
	if (!info)
		return err_nomem(e);
	if (file_write_json(path, info, e) < 0) {
		json_decref(info);
		return -1;
	}
	*ret = info;
	return 0;
}

static int open_source(struct pg **ret, const struct task *t, struct err *e)
{
	AUTO(conn) struct conn *c = NULL;
	AUTO_TEXT struct text name = TEXT_INIT;

	text_addf(&name, "%s holder", t->run);
	if (conn_parse(&c, PG_SOURCE, "", e) < 0)
		return -1;
	return pg_open(ret, c, text_str(&name), NULL, e);
}

static int take_snapshot(struct pg **ret, const struct task *t, int signals, struct err *e)
{
	json_t *info = NULL;
	size_t n = json_array_size(t->relations);

	if (open_source(ret, t, e) < 0 || check_room(*ret, n, e) < 0 ||
	    take_locks(*ret, t, signals, e) < 0 || check_unchanged(*ret, t, e) < 0 ||
	    export_snapshot(*ret, t, &info, e) < 0)
		return -1;
	say(info);
	return 0;
}

/* Alone from here on: no terminal, no pipes, so that nothing of the copier's end reaches us. */
static void let_go_of_pipes(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2; fd++)
		(void)!dup2(null, fd);
	if (null > 2)
		close(null);
}

/* A run folder that was removed, or made anew, has no use for this snapshot any more. */
static bool folder_is_ours(const char *path, int lock_fd)
{
	struct stat there, ours;

	return stat(path, &there) == 0 && fstat(lock_fd, &ours) == 0 && there.st_ino == ours.st_ino &&
	       there.st_dev == ours.st_dev;
}

static uint64_t time_to_live(const struct task *t)
{
#ifdef NEONFERRY_FAULTS
	const char *ms = getenv("NEONFERRY_TEST_TTL_MS"); /* builds for tests only */

	if (ms)
		return strtoull(ms, NULL, 10);
#endif
	return t->ttl_ms;
}

static void hold(struct pg *pg, int signals, int lock_fd, const struct task *t)
{
	AUTO(free) char *path = file_path(t->dir, "holder.lock");
	uint64_t deadline = clock_deadline(time_to_live(t));

	while (path && clock_left(deadline) != 0 && folder_is_ours(path, lock_fd)) {
		struct pollfd p[2] = { { .fd = signals, .events = POLLIN },
				       { .fd = PQsocket(pg_conn(pg)), .events = POLLIN } };
		int left = clock_left(deadline);
		int n = poll(p, 2, left > LOOK_MS ? LOOK_MS : left);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && p[0].revents)
			return;
		if (n > 0 && p[1].revents &&
		    (!PQconsumeInput(pg_conn(pg)) || PQstatus(pg_conn(pg)) != CONNECTION_OK))
			return;
	}
}

static int signal_fd(void)
{
	sigset_t deaf, end;

	sigemptyset(&deaf);
	sigaddset(&deaf, SIGINT);
	sigaddset(&deaf, SIGHUP);
	sigaddset(&deaf, SIGPIPE);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_SETMASK, &deaf, NULL);
	sigprocmask(SIG_BLOCK, &end, NULL);
	return signalfd(-1, &end, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int lock_folder(const struct task *t, int *ret_fd, struct err *e)
{
	AUTO(free) char *path = file_path(t->dir, "holder.lock");
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (!path)
		return err_nomem(e);
	/* A record lock, for it tells whose it is; the descriptor stays open: it is the sign of life. */
	*ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot open %s", path);
	if (fcntl(*ret_fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno == EACCES || errno == EAGAIN) {
		err_set(e, ERR_RESUME, "another snapshot holder of this run lives");
		e->next = ERR_RETRY; /* of a copier that died just now */
		return -1;
	}
	return err_sys(e, ERR_DISK, errno, "cannot lock %s", path);
}

int holder_main(void)
{
	int signals = signal_fd();
	struct task t = { 0 };
	struct pg *pg = NULL;
	struct err e = ERR_INIT;
	int rc, lock_fd = -1;

	umask(077);
	rc = read_task(&t, &e);
	if (rc == 0)
		rc = lock_folder(&t, &lock_fd, &e);
	if (rc == 0)
		rc = take_snapshot(&pg, &t, signals, &e);
	if (rc == 0) {
		let_go_of_pipes();
		hold(pg, signals, lock_fd, &t);
	} else {
		say_error(&e);
	}
	pg_close(pg);
	json_decref(t.json);
	return rc == 0 ? 0 : 1;
}
