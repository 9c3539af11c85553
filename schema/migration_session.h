/*
 * migration_session - the one runner of a database: its session, its lock, and a second session
 * that looks on and names who is in the way.
 *
 * One runner at a time: an advisory lock of the first session. Two sessions must be two server
 * processes; a pooler in between is so found out and refused (the lock would mean nothing there).
 *
 * THREADS	One thread runs; a helper thread asks the second session who blocks the first one.
 * OWNER	migration_session_close() ends all.
 */
#ifndef SCHEMA_MIGRATION_SESSION_H
#define SCHEMA_MIGRATION_SESSION_H

#include "common/conn.h"
#include "common/event.h"

struct migration_session;

struct migration_session_options {
	uint64_t lock_timeout_ms; /* for every lock, also the runners' own */
	int vector_dimensions;	  /* neonferry.vector_dimensions, or 0: not set */
	struct events *events;	  /* may be NULL */
	struct stop *stop;	  /* may be NULL */
};

/* Connects twice and takes the lock. ERR_REFUSED: a pooler; another runner (named) has the lock. */
int migration_session_open(struct migration_session **ret, const struct conn *target,
			   const struct migration_session_options *o, struct err *e) MUST_CHECK;
void migration_session_close(struct migration_session *s);

struct pg *migration_session_pg(struct migration_session *s); /* borrowed: runs migrations */
struct events *migration_session_events(struct migration_session *s);
struct stop *migration_session_stop(struct migration_session *s);

/*
 * Before a script: every setting as a new session of the role would have it (its search_path,
 * too), no time limits, the lock timeout (0: none).
 */
int migration_session_prepare(struct migration_session *s, bool lock_timeout, struct err *e)
	MUST_CHECK;
/* After it: the settings of our own statements. Also where the script has failed. */
int migration_session_restore(struct migration_session *s, struct err *e) MUST_CHECK;

/*
 * Runs sql (one or more statements) while the helper looks on. A lock that was not given in time:
 * the error names who holds it. rows (may be NULL): of the last command, -1 where it tells none.
 */
int migration_session_exec(struct migration_session *s, const char *sql, int64_t *rows, struct err *e)
	MUST_CHECK;

/*
 * Who was in the way when a lock timed out: an array of {pid, user, application, state, seconds,
 * query}; empty where nobody was. New reference.
 */
json_t *migration_session_blockers(struct migration_session *s);

/* Sessions of this database that hold locks on its tables, the oldest transaction first; as above. */
int migration_locks_read(struct pg *pg, json_t **ret, struct err *e) MUST_CHECK;

/*
 * Ends those of the blockers that are idle in a transaction and still hold it. *ret_ended: how many.
 */
int migration_locks_end_idle(struct pg *pg, const json_t *blockers, int *ret_ended, struct err *e)
	MUST_CHECK;

AUTO_DEFINE(migration_session, struct migration_session *, migration_session_close);

#endif
