/*
 * ddl_session - a session of the schema phases that outlives its connection. Private to
 * schema/ddl*.
 *
 * Work is given as a function that first asks ledger and catalog what is left to do, then does it.
 * When the target goes away in the middle, the session waits, connects again and calls the function
 * again: nothing else needs to know.
 *
 * THREADS	A session belongs to one thread. The phase is shared; its counters are under its
 *		mutex.
 * LIMIT	Gives up when nobody answered for DDL_GIVE_UP_MS, or after DDL_ATTEMPTS failures
 *		without any progress between them.
 */
#ifndef SCHEMA_DDL_SESSION_H
#define SCHEMA_DDL_SESSION_H

#include "schema/ddl.h"

#include <pthread.h>

#define DDL_GIVE_UP_MS (10 * 60 * 1000)
#define DDL_ATTEMPTS   40

/* What is shown of a phase: how many of its items are done, whoever does them. */
struct ddl_phase {
	const struct ddl *d;
	const char *name;
	int done, total;
	pthread_mutex_t lock;
};

void ddl_phase_begin(struct ddl_phase *phase, const struct ddl *d, const char *name, int total);
/* Counts n items as done and reports; now may be NULL. */
void ddl_phase_step(struct ddl_phase *phase, int n, const char *now);
void ddl_phase_end(struct ddl_phase *phase);

struct ddl_session {
	const struct ddl *d;
	struct stop *stop;    /* the run's, or that of a group of threads */
	char name[64];        /* "<run> ddl" */
	const char *settings; /* SET statements after each connect; borrowed */
	struct pg *pg;        /* NULL while not connected */
	bool lends;           /* takes the spare connection, and leaves its own */
	uint64_t seen;        /* when somebody answered last */
	unsigned failures;    /* since the last progress */
	void (*on_notice)(void *ctx, const char *message); /* may be NULL: an event */
	void *notice_ctx;
};

/* what: one word for application_name. settings may be NULL. Does not connect yet. */
void ddl_session_init(struct ddl_session *s, const struct ddl *d, struct stop *stop,
		      const char *what, const char *settings);
void ddl_session_done(struct ddl_session *s);

typedef int ddl_work(struct ddl_session *s, void *ctx, struct err *e);

/*
 * Calls work with a live connection in s->pg, again and again while it fails with an error that
 * allows it (e->next). Returns work's last answer.
 */
int ddl_session_do(struct ddl_session *s, ddl_work *work, void *ctx, struct err *e) MUST_CHECK;

/* Something was committed: failures count from zero again. */
void ddl_session_progress(struct ddl_session *s);

/* ERR_STOPPED once STOP_DRAIN was asked: call it between transactions. */
int ddl_session_check(const struct ddl_session *s, struct err *e) MUST_CHECK;

/*
 * Runs task(0..n-1) on up to `jobs` threads, each with a session of its own. The first error ends
 * the others (their statements are cancelled). STOP_DRAIN starts no new task and, after some
 * seconds, ends what runs.
 */
typedef int ddl_task(struct ddl_session *s, int i, void *ctx, struct err *e);
int ddl_parallel(const struct ddl *d, const char *what, const char *settings, int jobs, int n,
		 ddl_task *task, void *ctx, struct err *e) MUST_CHECK;

#endif
