#include "schema/ddl_builder.h"

#include "common/clock.h"

#include <stdatomic.h>
#include <string.h>

/* How long statements in flight may go on after STOP_DRAIN. */
#define DRAIN_MS 10000
/* How often the watching thread looks whether a stop was asked. */
#define WATCH_MS 20
/* More than this brings B-trees little. */
#define SORT_MEMORY_MAX ((int64_t)1 << 30)

struct builder_thread {
	struct ddl_builder *b;
	bool vectors;
	pthread_t id;
};

struct ddl_builder {
	const struct ddl *d;
	struct ddl_build *queue;
	struct ddl_server server;
	void (*on_failure)(void *ctx);
	void *ctx;
	struct stop stop; /* wakes all threads of the group */
	atomic_int working;
	int n_threads;
	struct builder_thread *threads;
	pthread_t watcher;
	bool watched;
	pthread_mutex_t lock;
	bool failed;
	struct err first; /* under lock */
};

/* --- one hand --- */

struct hand_work {
	struct ddl_builder *b;
	const struct ddl_build_hand *hand;
	int attempt;
};

/* Sorts of several sessions at once, each with some workers, share what an index build may have. */
static int64_t sort_memory(const struct ddl_builder *b)
{
	const struct ddl_server *server = &b->server;
	int64_t share = ddl_memory_grant(server, DDL_MEMORY_MAX) / (b->d->jobs > 0 ? b->d->jobs : 1);

	if (share > SORT_MEMORY_MAX)
		share = SORT_MEMORY_MAX;
	return share < server->work_mem ? server->work_mem : share;
}

static int set_up_sort(const struct ddl_builder *b, struct ddl_session *s, bool full, struct err *e)
{
	if (!full)
		return pg_exec(s->pg, "RESET maintenance_work_mem; SET max_parallel_maintenance_workers = 0",
			       e);
	return pg_execf(s->pg, e,
			"SET maintenance_work_mem = '%lldkB'; RESET max_parallel_maintenance_workers",
			(long long)sort_memory(b) >> 10);
}

static int items_of(const struct hand_work *w, struct ddl_items *items, struct err *e)
{
	struct ddl_post *p = w->hand->post;

	for (int i = 0; i < w->hand->n; i++) {
		int entry = w->hand->entries[i];
		if (p->state.outcome[entry] == DDL_PENDING &&
		    ddl_state_add(items, p->d, p->archive, entry, ddl_post_section(p), DDL_APPLIED,
				  NULL, NULL, e) < 0)
			return -1;
	}
	return 0;
}

/* Each in a transaction of its own: what has been built stays built. */
static int build_large(const struct hand_work *w, struct ddl_session *s, struct ddl_items *items,
		       struct err *e)
{
	struct ddl_post *p = w->hand->post;
	int rc = 0;

	for (int i = 0; rc == 0 && i < items->n; i++) {
		struct ddl_items one = { .n = 1, .list = &items->list[i] };
		uint64_t began = clock_ms();
		bool full = ddl_build_sort_begin(w->b->queue);

		rc = set_up_sort(w->b, s, full, e);
		if (rc == 0)
			rc = ddl_batch_run(s, &one, p->phase, ddl_post_judge, p, e);
		ddl_build_sort_end(w->b->queue, full);
		if (rc < 0)
			break;
		p->state.outcome[one.list->number] = DDL_APPLIED;
		ddl_post_tell_built(p, one.list->number, clock_ms() - began);
	}
	return rc;
}

static int build_small(const struct hand_work *w, struct ddl_session *s, struct ddl_items *items,
		       struct err *e)
{
	struct ddl_post *p = w->hand->post;
	uint64_t began = clock_ms();

	if (ddl_batch_run(s, items, p->phase, ddl_post_judge, p, e) < 0)
		return -1;
	for (int i = 0; i < items->n; i++) {
		p->state.outcome[items->list[i].number] = DDL_APPLIED;
		ddl_post_tell_built(p, items->list[i].number, clock_ms() - began);
	}
	return 0;
}

static int index_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct hand_work *w = ctx;
	struct ddl_items items = { 0 };
	int rc = 0;

	if (w->attempt++ > 0)
		rc = ddl_post_refresh(w->hand->post, s->pg, w->hand->entries, w->hand->n, e);
	if (rc == 0)
		rc = items_of(w, &items, e);
	if (rc == 0)
		rc = w->hand->small ? build_small(w, s, &items, e) : build_large(w, s, &items, e);
	ddl_items_done(&items);
	return rc;
}

static int add_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct hand_work *w = ctx;
	struct ddl_post *p = w->hand->post;

	if (w->attempt++ > 0 && ddl_post_refresh(p, s->pg, w->hand->entries, w->hand->n, e) < 0)
		return -1;
	if (ddl_foreign_add(p, s, w->hand->entries, w->hand->n, e) < 0)
		return -1;
	/* What was found present by the judge is not ours to validate. */
	return ddl_post_refresh(p, s->pg, w->hand->entries, w->hand->n, e);
}

static int validate_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct hand_work *w = ctx;

	return ddl_foreign_validate(w->hand->post, s, w->hand->entries[0], e);
}

static int do_hand(struct ddl_builder *b, struct ddl_session *s, const struct ddl_build_hand *hand,
		   struct err *e)
{
	struct hand_work w = { .b = b, .hand = hand };

	switch (hand->kind) {
	case DDL_BUILD_INDEX:
		return ddl_session_do(s, index_work, &w, e);
	case DDL_BUILD_ADD:
		return ddl_session_do(s, add_work, &w, e);
	case DDL_BUILD_VALIDATE:
		return ddl_session_do(s, validate_work, &w, e);
	case DDL_BUILD_VECTOR:
	default:
		return ddl_vector_build(hand->post, s, hand->entries[0], e);
	}
}

/* --- the threads --- */

static void note_failure(struct ddl_builder *b, const struct err *e)
{
	pthread_mutex_lock(&b->lock);
	/* "Stopped" is what the others report after the first has failed. */
	if (!b->failed || (b->first.kind == ERR_STOPPED && e->kind != ERR_STOPPED))
		b->first = *e;
	b->failed = true;
	pthread_mutex_unlock(&b->lock);
	stop_ask(&b->stop, STOP_NOW);
	ddl_build_end(b->queue);
	if (b->on_failure)
		b->on_failure(b->ctx);
}

static void *work(void *arg)
{
	struct builder_thread *t = arg;
	struct ddl_builder *b = t->b;
	struct ddl_session s;
	struct ddl_build_hand hand;
	struct err e = ERR_INIT;
	int next;

	ddl_session_init(&s, b->d, &b->stop, t->vectors ? "vector" : "index",
			 t->vectors ? ddl_vector_settings : ddl_post_settings);
	while (stop_level(&b->stop) == STOP_NO &&
	       (next = ddl_build_next(b->queue, t->vectors, &hand)) >= 0) {
		if (next == 0) { /* nothing for some seconds: no connection is kept for that */
			ddl_session_done(&s);
			continue;
		}
		int rc = do_hand(b, &s, &hand, &e);
		if (rc < 0)
			note_failure(b, &e);
		ddl_build_done(b->queue, &hand);
		if (rc < 0)
			break;
	}
	ddl_session_done(&s);
	atomic_fetch_sub(&b->working, 1);
	return NULL;
}

/* Passes the run's stop on to the group until all threads have ended. */
static void *watch(void *arg)
{
	struct ddl_builder *b = arg;
	uint64_t deadline = CLOCK_NEVER;

	while (atomic_load(&b->working) > 0) {
		struct timespec nap = { .tv_nsec = WATCH_MS * 1000000L };
		enum stop_level level = b->d->stop ? stop_level(b->d->stop) : STOP_NO;

		if (level != STOP_NO && deadline == CLOCK_NEVER)
			deadline = clock_deadline(DRAIN_MS);
		if (level != STOP_NO && clock_left(deadline) == 0)
			level = STOP_NOW;
		if (level != STOP_NO) {
			stop_ask(&b->stop, level);
			ddl_build_end(b->queue);
		}
		nanosleep(&nap, NULL);
	}
	return NULL;
}

static int start_threads(struct ddl_builder *b, struct err *e)
{
	int n = (b->d->jobs > 0 ? b->d->jobs : 1) + ddl_build_has_vectors(b->queue);

	b->threads = calloc((size_t)n, sizeof(*b->threads));
	if (!b->threads)
		return err_nomem(e);
	for (; b->n_threads < n; b->n_threads++) {
		struct builder_thread *t = &b->threads[b->n_threads];

		*t = (struct builder_thread){ .b = b,
					      .vectors = b->n_threads == 0 &&
							 ddl_build_has_vectors(b->queue) };
		atomic_fetch_add(&b->working, 1);
		if (pthread_create(&t->id, NULL, work, t) != 0) {
			atomic_fetch_sub(&b->working, 1);
			break;
		}
	}
	if (b->n_threads < n && b->n_threads < 2)
		return err_set(e, ERR_INTERNAL, "cannot start a thread");
	b->watched = pthread_create(&b->watcher, NULL, watch, b) == 0;
	return b->watched ? 0 : err_set(e, ERR_INTERNAL, "cannot start a thread");
}

int ddl_builder_start(struct ddl_builder **ret, const struct ddl *d, struct ddl_build *queue,
		      const struct ddl_server *server, void (*on_failure)(void *ctx), void *ctx,
		      struct err *e)
{
	struct ddl_builder *b = calloc(1, sizeof(*b));
	struct err ignored = ERR_INIT;

	if (!b || stop_init(&b->stop, e) < 0) {
		free(b);
		ddl_build_free(queue);
		return e->kind == ERR_NONE ? err_nomem(e) : -1;
	}
	b->d = d;
	b->queue = queue;
	b->server = *server;
	b->on_failure = on_failure;
	b->ctx = ctx;
	pthread_mutex_init(&b->lock, NULL);
	ddl_spare_drop(d->spare);
	if (start_threads(b, e) < 0) {
		if (ddl_builder_end(b, true, &ignored) < 0)
			err_note(e, "%s", ignored.text);
		return -1;
	}
	*ret = b;
	return 0;
}

int ddl_builder_end(struct ddl_builder *b, bool stop, struct err *e)
{
	int rc = 0;

	if (!b)
		return 0;
	if (stop) {
		stop_ask(&b->stop, STOP_NOW);
		ddl_build_end(b->queue);
	}
	for (int i = 0; i < b->n_threads; i++)
		pthread_join(b->threads[i].id, NULL);
	if (b->watched)
		pthread_join(b->watcher, NULL);
	if (b->failed && (!stop || b->first.kind != ERR_STOPPED)) {
		*e = b->first;
		rc = -1;
	} else if (!stop && b->d->stop && stop_level(b->d->stop) != STOP_NO) {
		rc = stop_err(e);
	}
	pthread_mutex_destroy(&b->lock);
	stop_done(&b->stop);
	ddl_build_free(b->queue);
	free(b->threads);
	free(b);
	return rc;
}
