#include "verify/pool.h"

#include "common/clock.h"
#include "verify/session.h"

#include <pthread.h>

#define MAX_JOBS 32

struct work {
	const struct pool *pool;
	struct pool_task **order; /* heaviest first */
	int n;
	pthread_mutex_t lock; /* leaf: next, done, the progress call */
	int next[2], done;
};

struct worker {
	struct work *work;
	enum pg_role role;
	pthread_t thread;
	bool started;
};

static bool stopped(const struct pool *p)
{
	return p->stop && stop_level(p->stop) != STOP_NO;
}

static struct pool_task *take(struct work *w, enum pg_role role)
{
	struct pool_task *task = NULL;

	pthread_mutex_lock(&w->lock);
	while (!task && w->next[role] < w->n && !stopped(w->pool)) {
		task = w->order[w->next[role]++];
		if (task->role != role)
			task = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	return task;
}

/* The source is read in the snapshot that the whole verification shares. */
static int open_session(struct pg **ret, const struct pool *p, enum pg_role role, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;

	if (session_open(&pg, p->conns[role], "verify", p->stop, clock_ms(), e) ||
	    session_for_scans(pg, e))
		return -1;
	if (role == PG_SOURCE && p->snapshot &&
	    (pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e) ||
	     pg_execf(pg, e, "SET TRANSACTION SNAPSHOT '%s'", p->snapshot)))
		return -1;
	*ret = GIVE(&pg);
	return 0;
}

static void drop_session(struct pg **pg)
{
	pg_close(*pg);
	*pg = NULL;
}

/* A failed statement ends the transaction of the snapshot, so the session goes with it. */
static int run_once(const struct pool *p, struct pool_task *t, struct pg **pg, struct err *e)
{
	if (*pg && !pg_is_alive(*pg))
		drop_session(pg);
	if (!*pg && open_session(pg, p, t->role, e))
		return -1;
	if (t->run(*pg, t->arg, e) == 0)
		return 0;
	drop_session(pg);
	return -1;
}

static void run_task(const struct pool *p, struct pool_task *t, struct pg **pg)
{
	uint64_t start = clock_ms();
	unsigned attempt = 1;
	struct err e;

	for (;;) {
		e = ERR_INIT;
		t->failed = run_once(p, t, pg, &e) != 0;
		if (!t->failed || !session_again(&e, &attempt, start + p->patience_ms, p->stop))
			break;
	}
	t->err = e;
	t->ms = clock_ms() - start;
}

static void *run_worker(void *arg)
{
	struct worker *worker = arg;
	struct work *w = worker->work;
	AUTO(pg) struct pg *pg = NULL;
	struct pool_task *t;

	while ((t = take(w, worker->role))) {
		run_task(w->pool, t, &pg);
		pthread_mutex_lock(&w->lock);
		w->done++;
		if (w->pool->progress)
			w->pool->progress(w->pool->progress_ctx, w->done, w->n);
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

static int heavier_first(const void *a, const void *b)
{
	int64_t x = (*(struct pool_task *const *)a)->weight;
	int64_t y = (*(struct pool_task *const *)b)->weight;

	return (x < y) - (x > y);
}

static int count_role(const struct work *w, enum pg_role role)
{
	int n = 0;

	for (int i = 0; i < w->n; i++)
		n += w->order[i]->role == role;
	return n;
}

/* Without a second thread the caller does the work itself, so that it is done in any case. */
static void run_workers(struct work *w)
{
	struct worker workers[2 * MAX_JOBS];
	int n = 0;

	for (int role = 0; role < 2; role++) {
		int jobs = w->pool->jobs < MAX_JOBS ? w->pool->jobs : MAX_JOBS;
		int tasks = count_role(w, (enum pg_role)role);

		for (int i = 0; i < jobs && i < tasks; i++)
			workers[n++] = (struct worker){ .work = w, .role = (enum pg_role)role };
	}
	for (int i = 0; i < n; i++)
		workers[i].started =
			pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0;
	for (int i = 0; i < n; i++) {
		if (workers[i].started)
			pthread_join(workers[i].thread, NULL);
		else
			run_worker(&workers[i]);
	}
}

int pool_run(const struct pool *p, struct pool_task *tasks, int n, struct err *e)
{
	struct work w = { .pool = p, .n = n };

	w.order = calloc((size_t)n + 1, sizeof(struct pool_task *));
	if (!w.order)
		return err_nomem(e);
	for (int i = 0; i < n; i++) {
		w.order[i] = &tasks[i];
		tasks[i].failed = true;
		(void)err_set(&tasks[i].err, ERR_STOPPED, "stopped before this was looked at");
	}
	qsort(w.order, (size_t)n, sizeof(struct pool_task *), heavier_first);
	pthread_mutex_init(&w.lock, NULL);
	run_workers(&w);
	pthread_mutex_destroy(&w.lock);
	free(w.order);
	return stopped(p) ? stop_err(e) : 0;
}
