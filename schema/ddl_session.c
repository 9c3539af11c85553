#include "schema/ddl_session.h"

#include "common/clock.h"

#include <stdatomic.h>
#include <string.h>

#define BACKOFF_MS     1000
#define BACKOFF_CAP_MS 30000
/* How long statements in flight may go on after STOP_DRAIN. */
#define DRAIN_MS 10000
/* How often the watching thread looks whether a stop was asked. */
#define WATCH_MS 20

/* --- phase --- */

void ddl_phase_begin(struct ddl_phase *phase, const struct ddl *d, const char *name, int total)
{
	*phase = (struct ddl_phase){ .d = d, .name = name, .total = total };
	pthread_mutex_init(&phase->lock, NULL);
}

void ddl_phase_step(struct ddl_phase *phase, int n, const char *now)
{
	const struct ddl *d = phase->d;

	pthread_mutex_lock(&phase->lock);
	phase->done += n;
	if (d->progress)
		d->progress(d->progress_ctx, phase->name, phase->done, phase->total, now);
	pthread_mutex_unlock(&phase->lock);
}

void ddl_phase_end(struct ddl_phase *phase)
{
	pthread_mutex_destroy(&phase->lock);
}

/* --- a spare connection --- */

void ddl_spare_init(struct ddl_spare *spare)
{
	*spare = (struct ddl_spare){ .pg = NULL };
	pthread_mutex_init(&spare->lock, NULL);
}

static struct pg *spare_exchange(struct ddl_spare *spare, struct pg *pg)
{
	pthread_mutex_lock(&spare->lock);
	struct pg *before = spare->pg;
	spare->pg = pg;
	pthread_mutex_unlock(&spare->lock);
	return before;
}

void ddl_spare_drop(struct ddl_spare *spare)
{
	if (spare)
		pg_close(spare_exchange(spare, NULL));
}

/* --- session --- */

void ddl_session_init(struct ddl_session *s, const struct ddl *d, struct stop *stop,
		      const char *what, const char *settings)
{
	*s = (struct ddl_session){ .d = d, .stop = stop, .settings = settings };
	snprintf(s->name, sizeof s->name, "%s %s", d->run, what);
	/* Those of a group are stopped by another stop, and shown under another name. */
	s->lends = d->spare && stop == d->stop && strcmp(what, "ddl") == 0;
	s->seen = clock_ms();
}

static void drop_connection(struct ddl_session *s)
{
	pg_close(s->pg);
	s->pg = NULL;
}

void ddl_session_done(struct ddl_session *s)
{
	if (s->lends && s->pg && pg_is_alive(s->pg) &&
	    PQtransactionStatus(pg_conn(s->pg)) == PQTRANS_IDLE) {
		pg_on_notice(s->pg, NULL, NULL);
		s->pg = spare_exchange(s->d->spare, s->pg);
	}
	drop_connection(s);
}

void ddl_session_progress(struct ddl_session *s)
{
	s->failures = 0;
	s->seen = clock_ms();
}

int ddl_session_check(const struct ddl_session *s, struct err *e)
{
	return s->stop && stop_level(s->stop) != STOP_NO ? stop_err(e) : 0;
}

static void notice(void *ctx, const char *severity, const char *sqlstate, const char *message)
{
	struct ddl_session *s = ctx;

	(void)sqlstate;
	if (s->on_notice)
		s->on_notice(s->notice_ctx, message);
	else
		event_emit(s->d->events,
			   strcmp(severity, "WARNING") == 0 ? EVENT_WARNING : EVENT_INFO,
			   "schema.notice", NULL, "the target says: %s", message);
}

/* False: there is none, or it was lost while nobody used it. */
static bool take_spare(struct ddl_session *s)
{
	struct err lost = ERR_INIT;

	s->pg = s->lends ? spare_exchange(s->d->spare, NULL) : NULL;
	if (s->pg && pg_renew(s->pg, s->name, &lost) == 0)
		return true;
	drop_connection(s);
	return false;
}

static int connect_once(struct ddl_session *s, struct err *e)
{
	drop_connection(s);
	if (!take_spare(s) && pg_open(&s->pg, s->d->target, s->name, s->stop, e) < 0)
		return -1;
	s->seen = clock_ms();
	pg_on_notice(s->pg, notice, s);
	return s->settings ? pg_exec(s->pg, s->settings, e) : 0;
}

/* After a failed attempt: true when another one may follow, then it has waited. */
static bool may_retry(struct ddl_session *s, struct err *e)
{
	struct err why = ERR_INIT;

	if (e->next == ERR_GIVE_UP)
		return false;
	if (++s->failures > DDL_ATTEMPTS || clock_ms() - s->seen > DDL_GIVE_UP_MS) {
		err_note(e, "trying for %llu s, %u times",
			 (unsigned long long)(clock_ms() - s->seen) / 1000, s->failures);
		err_hint(e, "resume the run when the target answers again");
		return false;
	}
	uint64_t wait = clock_backoff(s->failures, BACKOFF_MS, BACKOFF_CAP_MS);
	event_emit(s->d->events, EVENT_NOTICE, "target.retry",
		   json_pack("{s:i, s:s}", "attempt", (int)s->failures, "sqlstate", e->sqlstate),
		   "the target did not answer as it should, again in %.1f s: %s",
		   (double)wait / 1000, e->text);
	if (s->stop && stop_sleep(s->stop, wait, &why) < 0) {
		*e = why;
		return false;
	}
	return true;
}

int ddl_session_do(struct ddl_session *s, ddl_work *work, void *ctx, struct err *e)
{
	for (;;) {
		struct err now = ERR_INIT;

		if (ddl_session_check(s, e) < 0)
			return -1;
		if ((s->pg && pg_is_alive(s->pg)) || connect_once(s, &now) == 0) {
			if (work(s, ctx, &now) == 0)
				return 0;
			/* A stopped statement would go on in the server. */
			if (now.kind == ERR_STOPPED && s->pg && !pg_is_alive(s->pg))
				pg_cancel(s->pg);
		}
		if (now.next != ERR_GIVE_UP || now.kind == ERR_STOPPED)
			drop_connection(s);
		if (!may_retry(s, &now)) {
			*e = now;
			return -1;
		}
	}
}

/* --- several sessions --- */

struct parallel {
	const struct ddl *d;
	const char *what, *settings;
	ddl_task *task;
	void *ctx;
	int n;
	atomic_int next;    /* first task nobody took */
	atomic_int working; /* threads that have not ended */
	struct stop stop;   /* wakes all threads of the group */
	pthread_mutex_t lock;
	bool failed;
	struct err first; /* under lock */
};

static void note_failure(struct parallel *p, const struct err *e)
{
	pthread_mutex_lock(&p->lock);
	/* "Stopped" is what the others report after the first has failed. */
	if (!p->failed || (p->first.kind == ERR_STOPPED && e->kind != ERR_STOPPED))
		p->first = *e;
	p->failed = true;
	pthread_mutex_unlock(&p->lock);
	stop_ask(&p->stop, STOP_NOW);
}

static void *worker(void *arg)
{
	struct parallel *p = arg;
	struct ddl_session s;
	struct err e = ERR_INIT;
	int i;

	ddl_session_init(&s, p->d, &p->stop, p->what, p->settings);
	while (stop_level(&p->stop) == STOP_NO && (i = atomic_fetch_add(&p->next, 1)) < p->n) {
		if (p->task(&s, i, p->ctx, &e) < 0) {
			note_failure(p, &e);
			break;
		}
	}
	ddl_session_done(&s);
	atomic_fetch_sub(&p->working, 1);
	return NULL;
}

/* Passes the run's stop on to the group until all threads have ended. */
static void watch(struct parallel *p)
{
	uint64_t deadline = CLOCK_NEVER;

	while (atomic_load(&p->working) > 0) {
		struct timespec nap = { .tv_nsec = WATCH_MS * 1000000L };
		enum stop_level level = p->d->stop ? stop_level(p->d->stop) : STOP_NO;

		if (level != STOP_NO && deadline == CLOCK_NEVER)
			deadline = clock_deadline(DRAIN_MS);
		if (level != STOP_NO && clock_left(deadline) == 0)
			level = STOP_NOW;
		if (level != STOP_NO)
			stop_ask(&p->stop, level);
		nanosleep(&nap, NULL);
	}
}

static int run_workers(struct parallel *p, int jobs, struct err *e)
{
	AUTO(free) pthread_t *threads = calloc((size_t)jobs, sizeof *threads);
	int started = 0;

	if (!threads)
		return err_nomem(e);
	atomic_store(&p->working, 0);
	for (; started < jobs; started++) {
		atomic_fetch_add(&p->working, 1);
		if (pthread_create(&threads[started], NULL, worker, p) != 0) {
			atomic_fetch_sub(&p->working, 1);
			break;
		}
	}
	if (started == 0)
		return err_set(e, ERR_INTERNAL, "cannot start a thread");
	watch(p);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (p->failed) {
		*e = p->first;
		return -1;
	}
	return p->d->stop && stop_level(p->d->stop) != STOP_NO ? stop_err(e) : 0;
}

int ddl_parallel(const struct ddl *d, const char *what, const char *settings, int jobs, int n,
		 ddl_task *task, void *ctx, struct err *e)
{
	struct parallel p = {
		.d = d, .what = what, .settings = settings, .task = task, .ctx = ctx, .n = n
	};

	if (n == 0)
		return 0;
	if (stop_init(&p.stop, e) < 0)
		return -1;
	ddl_spare_drop(d->spare);
	pthread_mutex_init(&p.lock, NULL);
	int rc = run_workers(&p, jobs < 1 ? 1 : jobs > n ? n : jobs, e);
	pthread_mutex_destroy(&p.lock);
	stop_done(&p.stop);
	return rc;
}
