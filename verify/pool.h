/*
 * pool - many independent queries on both ends at once, each tried again where the end was away.
 *
 * Each end has its own threads, at most `jobs`, each with its own session; heavy tasks go first.
 * A task that fails keeps its error and the others go on: what was not done is known by name.
 *
 * THREADS	run() is called in a thread of the pool; two tasks share nothing unless the caller
 *		lets them. progress is called one at a time.
 */
#ifndef VERIFY_POOL_H
#define VERIFY_POOL_H

#include "common/conn.h"

struct pool_task {
	enum pg_role role;
	int64_t weight; /* bytes to read, about */
	void *arg;
	int (*run)(struct pg *pg, void *arg, struct err *e); /* from scratch at each attempt */
	/* out */
	bool failed;
	struct err err; /* where failed */
	uint64_t ms;
};

struct pool {
	const struct conn *conns[2]; /* by enum pg_role; NULL: no task of that end */
	const char *snapshot;        /* of the source, exported by a session that stays; or NULL */
	int jobs;
	uint64_t patience_ms; /* how long an end that is away is waited for */
	struct stop *stop;    /* may be NULL */
	void (*progress)(void *ctx, int done, int total); /* may be NULL */
	void *progress_ctx;
};

/* Runs all tasks. -1 only when stopped, or out of memory; single failures are in the tasks. */
int pool_run(const struct pool *p, struct pool_task *tasks, int n, struct err *e) MUST_CHECK;

#endif
