#include "transfer/engine.h"

#include "common/clock.h"
#include "transfer/spill.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MIN_CHUNK ((uint64_t)64 << 10)
#define IDLE_BYTES ((uint64_t)40 << 20)
#define DRAIN_MS ((uint64_t)10000)

struct thread {
	pthread_t id;
	struct engine *g;
	int (*body)(struct engine *g, int no, struct err *e);
	int no;
	bool started;
};

struct progress_line *engine_line(struct engine *g, int table, int route)
{
	return &g->progress->lines[g->line_of[table] + route];
}

void engine_fail(struct engine *g, const struct err *e)
{
	pthread_mutex_lock(&g->mu);
	/* That somebody was told to stop is no cause; a cause that comes later still counts. */
	if (!g->failed || (g->first.kind == ERR_STOPPED && e->kind != ERR_STOPPED))
		g->first = *e;
	g->failed = true;
	pthread_mutex_unlock(&g->mu);
}

/*
 * Readers stop at their row, senders after their chunk, and what is sealed still reaches the spill; a
 * thread that hangs on a silent server is woken later, see join_all().
 */
static void end_stages(struct engine *g)
{
	stop_ask(g->stop, STOP_DRAIN);
	outbox_abort(g->outbox);
	budget_abort(g->budget);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	struct err e = ERR_INIT;

	if (t->body(t->g, t->no, &e) < 0) {
		engine_fail(t->g, &e);
		end_stages(t->g);
	}
	return NULL;
}

/* A small chunk does not keep a large buffer from the next one. */
static void fit(struct chunk *c)
{
	char *small = malloc(c->len > 0 ? c->len : 1);

	if (!small)
		return;
	memcpy(small, c->data, c->len);
	shelf_give(c->shelf, c->data);
	c->shelf = NULL;
	c->data = small;
	c->cap = c->len;
}

int engine_pass_on(struct engine *g, struct chunk *c, struct err *e)
{
	if (c->data && c->shelf && c->len < c->cap / 2)
		fit(c);
	if (budget_take(g->budget, c->len, e) < 0) {
		chunk_free(c);
		return -1;
	}
	c->budget = g->budget;
	c->charged = c->len;
	if (queue_push(g->to_worker[c->route % g->settings->workers], c, c->len) != QUEUE_OK) {
		chunk_free(c);
		return stop_err(e);
	}
	return 0;
}

/* --- set up --- */

/* They stand beside --memory, so they get little: see the promise in docs/internals/copy.md. */
static int idle_buffers(uint64_t chunk)
{
	uint64_t n = IDLE_BYTES / chunk;

	return n < 2 ? 2 : n > 64 ? 64 : (int)n;
}

/* Open chunks of a reader: a run that was planned with more workers keeps its routes. */
static int most_routes(const struct engine *g)
{
	int most = g->settings->workers + 1;

	for (int i = 0; i < g->plan->n_tables; i++)
		if (g->plan->tables[i].n_routes > most)
			most = g->plan->tables[i].n_routes;
	return most;
}

/*
 * Half of the memory at least is for sealed chunks (the budget); open chunks and read-back take the
 * rest.
 */
static int size_memory(struct engine *g, struct err *e)
{
	const struct run_settings *s = g->settings;
	uint64_t holders = (uint64_t)(s->jobs * most_routes(g) + s->senders);
	uint64_t limit = s->memory / (2 * holders);

	if (limit > s->chunk_size)
		limit = s->chunk_size;
	if (limit > s->memory / (4 * (uint64_t)s->workers))
		limit = s->memory / (4 * (uint64_t)s->workers);
	g->chunk_limit = limit > MIN_CHUNK ? limit : MIN_CHUNK;
	if (holders * g->chunk_limit > s->memory / 4 * 3) {
		err_set(e, ERR_USAGE, "%" PRIu64 " bytes of memory are too little for %d jobs, %d workers and %d "
				      "senders", s->memory, s->jobs, s->workers, s->senders);
		return err_hint(e, "give --memory at least %" PRIu64 "M, or fewer --jobs, --workers or --senders",
				(holders * MIN_CHUNK / 3 * 4 >> 20) + 1);
	}
	g->keep_limit = (s->memory - holders * g->chunk_limit) / 2;
	if (shelf_new(&g->shelf, g->chunk_limit, idle_buffers(g->chunk_limit), e) < 0)
		return -1;
	return budget_new(&g->budget, s->memory - holders * g->chunk_limit, e);
}

static void free_chunk_item(void *item)
{
	chunk_free(item);
}

static int make_queues(struct engine *g, struct err *e)
{
	int n = g->settings->workers;

	g->to_worker = calloc((size_t)n, sizeof(struct queue *));
	if (!g->to_worker)
		return err_nomem(e);
	for (int i = 0; i < n; i++)
		if (queue_new(&g->to_worker[i], UINT64_MAX / 2, free_chunk_item, e) < 0)
			return -1;
	return outbox_new(&g->outbox, e);
}

/* The ranges in which something is left to read, in the order of the plan. */
static int list_ranges(struct engine *g, struct err *e)
{
	size_t total = 0;

	for (int i = 0; i < g->plan->n_tables; i++)
		total += (size_t)g->plan->tables[i].n_ranges;
	g->ranges = calloc(total + 1, sizeof(*g->ranges));
	if (!g->ranges)
		return err_nomem(e);
	for (int i = 0; i < g->plan->n_tables; i++) {
		const struct plan_table *t = &g->plan->tables[i];

		for (int k = 0; k < t->n_ranges && !t->already_there; k++) {
			bool missing = false;

			for (int r = 0; r < t->n_routes && !missing; r++) {
				AUTO(free) struct registry_gap *gaps = NULL;
				int n = 0;

				if (registry_gaps(g->known, t, k, r, &gaps, &n, e) < 0)
					return -1;
				missing = n > 0;
			}
			if (missing)
				g->ranges[g->n_ranges++] = (struct engine_range){ i, k };
		}
	}
	return 0;
}

static void name_line(struct progress_line *line, const struct plan_table *t, int route)
{
	static const struct plan_route none = { 0 };
	const struct plan_route *r = t->n_routes > 0 ? &t->routes[route] : &none;
	AUTO_TEXT struct text name = TEXT_INIT;

	text_add(&name, strcmp(t->schema, "public") == 0 ? t->name : t->qname);
	if (t->collection_column && r->remainder)
		text_add(&name, ": others");
	else if (t->collection_column && r->n_collections > 0)
		text_addf(&name, ": %s", t->collections[r->collections[0]].name);
	if (r->n_collections > 1)
		text_addf(&name, " +%d", r->n_collections - 1);
	memcpy(line->name, text_str(&name),
	       name.len < sizeof(line->name) ? name.len + 1 : sizeof(line->name) - 1);
	line->rows_total = r->rows;
	line->bytes_total = t->rows > 0 ? (uint64_t)((double)t->bytes * (double)r->rows / (double)t->rows)
					: 0;
}

/* A table whose chosen collections have no rows gets its route when a later snapshot has some. */
static int lines_of(const struct plan_table *t)
{
	return t->n_routes > 0 ? t->n_routes : 1;
}

/* One line a route; made once, also when the engine runs again. */
static int make_lines(struct engine *g, struct err *e)
{
	struct progress *p = g->progress;
	int n = 0;

	g->line_of = calloc((size_t)g->plan->n_tables + 1, sizeof(int));
	if (!g->line_of)
		return err_nomem(e);
	for (int i = 0; i < g->plan->n_tables; i++) {
		g->line_of[i] = n;
		n += lines_of(&g->plan->tables[i]);
	}
	if (p->lines)
		return p->n_lines == n ? 0 : err_set(e, ERR_INTERNAL, "the plan changed its lines");
	p->lines = calloc((size_t)n + 1, sizeof(*p->lines));
	if (!p->lines)
		return err_nomem(e);
	for (int i = 0; i < g->plan->n_tables; i++) {
		const struct plan_table *t = &g->plan->tables[i];

		for (int r = 0; r < lines_of(t); r++)
			name_line(&p->lines[g->line_of[i] + r], t, r);
		atomic_fetch_add(&p->rows_total, t->rows);
		atomic_fetch_add(&p->bytes_total, t->bytes);
	}
	/* What the display may look at from here on. */
	__atomic_store_n(&p->n_lines, n, __ATOMIC_RELEASE);
	return 0;
}

/* A limit is for what is still needed: what was loaded since its file was written makes room. */
static void make_room(struct engine *g, struct registry_entry *entry)
{
	struct err ignored = ERR_INIT;

	if (g->settings->spill_limit == 0 || spill_remove(g->spill_dir, &entry->chunk, &ignored) < 0)
		return;
	atomic_fetch_sub(&g->progress->spill_bytes, entry->chunk.file_bytes);
	atomic_fetch_sub(&g->progress->spill_files, 1);
	entry->on_disk = false;
	entry->chunk.file_bytes = 0;
}

/* What earlier processes captured: sent first if it is not loaded. */
static int queue_known(void *ctx, struct registry_entry *entry, struct err *e)
{
	struct engine *g = ctx;
	struct chunk *c;

	if (entry->loaded && entry->on_disk)
		make_room(g, entry);
	if (entry->loaded || !entry->on_disk)
		return 0;
	if (chunk_copy(&c, &entry->chunk, e) < 0)
		return -1;
	outbox_put(g->outbox, c);
	return 0;
}

/* --- run --- */

static int start(struct thread *t, int n, struct engine *g,
		 int (*body)(struct engine *g, int no, struct err *e), struct err *e)
{
	for (int i = 0; i < n; i++) {
		t[i] = (struct thread){ .g = g, .body = body, .no = i };
		if (pthread_create(&t[i].id, NULL, thread_main, &t[i]) != 0)
			return err_set(e, ERR_INTERNAL, "cannot start a thread");
		t[i].started = true;
	}
	return 0;
}

/* Once the end was asked for, a thread has DRAIN_MS; then every wait of it returns. */
static void join(struct engine *g, struct thread *t, int n)
{
	for (int i = 0; i < n; i++) {
		while (t[i].started) {
			if (clock_join(t[i].id, 100))
				break;
			if (stop_level(g->stop) == STOP_NO)
				continue;
			if (g->drain_until == 0) {
				g->drain_until = clock_deadline(DRAIN_MS);
				end_stages(g);
			}
			if (clock_left(g->drain_until) == 0)
				stop_ask(g->stop, STOP_NOW);
		}
	}
}

static bool has_failed(struct engine *g)
{
	bool failed;

	pthread_mutex_lock(&g->mu);
	failed = g->failed;
	pthread_mutex_unlock(&g->mu);
	return failed;
}

/* In flow order: a stage's queue is closed when its last producer was joined. */
static int run_threads(struct engine *g, struct thread *t, int readers, struct err *e)
{
	int workers = g->settings->workers, senders = g->settings->senders;
	struct thread *w = t + readers, *s = w + workers;
	int rc = start(s, senders, g, sender_main, e);

	if (rc == 0)
		rc = start(w, workers, g, worker_main, e);
	if (rc == 0)
		rc = start(t, readers, g, reader_main, e);
	if (rc < 0) {
		engine_fail(g, e);
		end_stages(g);
	}
	join(g, t, readers);
	for (int i = 0; i < workers; i++)
		queue_close(g->to_worker[i]);
	join(g, w, workers);
	if (g->captured && !has_failed(g))
		g->captured(g->ctx);
	outbox_close(g->outbox);
	join(g, s, senders);
	return rc;
}

static int run_all(struct engine *g, struct err *e)
{
	int readers = g->n_ranges < g->settings->jobs ? g->n_ranges : g->settings->jobs;
	size_t n = (size_t)(readers + g->settings->workers + g->settings->senders);
	AUTO(free) struct thread *t = calloc(n + 1, sizeof(*t));

	if (!t)
		return err_nomem(e);
	if (g->n_ranges > 0 && !g->source) {
		err_set(e, ERR_RESUME, "the capture is not complete, and there is no source to read on from");
		return err_hint(e, "name the source with --source and resume");
	}
	if (run_threads(g, t, readers, e) < 0 || g->failed) {
		*e = g->first;
		return -1;
	}
	return 0;
}

static void engine_done(struct engine *g)
{
	for (int i = 0; g->to_worker && i < g->settings->workers; i++)
		queue_free(g->to_worker[i]);
	free(g->to_worker);
	outbox_free(g->outbox);
	shelf_free(g->shelf); /* after all chunks */
	budget_free(g->budget);
	free(g->line_of);
	free(g->ranges);
	pthread_mutex_destroy(&g->mu);
	pthread_mutex_destroy(&g->large);
}

int engine_run(struct engine *g, struct err *e)
{
	int rc = -1;

	pthread_mutex_init(&g->mu, NULL);
	pthread_mutex_init(&g->large, NULL);
	if (size_memory(g, e) == 0 && make_queues(g, e) == 0 && list_ranges(g, e) == 0 &&
	    make_lines(g, e) == 0 && registry_each(g->known, -1, queue_known, g, e) == 0)
		rc = run_all(g, e);
	engine_done(g);
	return rc;
}
