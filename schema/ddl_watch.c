#include "schema/ddl_watch.h"

#include "common/clock.h"

#include <string.h>

#define FIRST_MS 3000
#define EVERY_MS 2000
#define RARELY_MS 30000

struct ddl_watch {
	struct ddl_phase *phase;
	const char *label;
	int backend_pid;
	int64_t rows;
	uint64_t started;
	struct stop stop;
	pthread_t thread;
};

/* "INDEX app.posts_hnsw: 45 %, 3 min left" */
static void report(struct ddl_watch *w, double part)
{
	char line[256];
	uint64_t spent = clock_ms() - w->started;

	if (part > 1)
		part = 1;
	if (part < 0.02) {
		snprintf(line, sizeof line, "%s", w->label);
	} else if (part > 0.995) {
		/* The graph is complete and is written out now. */
		snprintf(line, sizeof line, "%s: writing", w->label);
	} else {
		double left = (double)spent / 1000 * (1 - part) / part;
		snprintf(line, sizeof line, "%s: %.0f %%, %.0f %s left", w->label, part * 100,
			 left < 90 ? left : left / 60, left < 90 ? "s" : "min");
	}
	ddl_phase_step(w->phase, 0, line);
	if (part < 0.02)
		return;
	event_emit(w->phase->d->events, EVENT_INFO, "index.progress",
		   json_pack("{s:s, s:f, s:I}", "index", w->label, "part", part, "ms",
			     (json_int_t)spent),
		   "building %s", line);
}

/* Parallel builds count tuples, serial ones also blocks of the table. */
static int look(struct ddl_watch *w, struct pg *pg)
{
	AUTO(pgresult) PGresult *res = NULL;
	struct err ignored = ERR_INIT;
	double part = 0, blocks = 0;

	if (pg_queryf(pg, &res, &ignored,
		      "SELECT tuples_done, blocks_done, blocks_total FROM"
		      " pg_catalog.pg_stat_progress_create_index WHERE pid = %d",
		      w->backend_pid) < 0)
		return -1;
	if (PQntuples(res) == 0)
		return 0;
	if (w->rows > 0)
		part = strtod(PQgetvalue(res, 0, 0), NULL) / (double)w->rows;
	if (strtod(PQgetvalue(res, 0, 2), NULL) > 0)
		blocks = strtod(PQgetvalue(res, 0, 1), NULL) / strtod(PQgetvalue(res, 0, 2), NULL);
	report(w, blocks > part ? blocks : part);
	return 0;
}

/* A build of hours is told of less often. */
static uint64_t pause_ms(const struct ddl_watch *w)
{
	uint64_t part = (clock_ms() - w->started) / 30;

	return part < EVERY_MS ? EVERY_MS : part > RARELY_MS ? RARELY_MS : part;
}

static void *watch(void *arg)
{
	struct ddl_watch *w = arg;
	const struct ddl *d = w->phase->d;
	AUTO(pg) struct pg *pg = NULL;
	struct err ignored = ERR_INIT;
	char name[64];

	snprintf(name, sizeof name, "%s watch", d->run);
	if (stop_sleep(&w->stop, FIRST_MS, &ignored) < 0 ||
	    pg_open(&pg, d->target, name, &w->stop, &ignored) < 0)
		return NULL;
	while (look(w, pg) == 0 && stop_sleep(&w->stop, pause_ms(w), &ignored) == 0)
		;
	return NULL;
}

struct ddl_watch *ddl_watch_start(struct ddl_phase *phase, const char *label, int backend_pid,
				  int64_t rows)
{
	struct err ignored = ERR_INIT;
	struct ddl_watch *w = phase->d->progress ? calloc(1, sizeof *w) : NULL;

	if (!w)
		return NULL;
	*w = (struct ddl_watch){ .phase = phase,
				 .label = label,
				 .backend_pid = backend_pid,
				 .rows = rows,
				 .started = clock_ms() };
	if (stop_init(&w->stop, &ignored) < 0) {
		free(w);
		return NULL;
	}
	if (pthread_create(&w->thread, NULL, watch, w) != 0) {
		stop_done(&w->stop);
		free(w);
		return NULL;
	}
	return w;
}

void ddl_watch_end(struct ddl_watch *w)
{
	if (!w)
		return;
	stop_ask(&w->stop, STOP_NOW);
	pthread_join(w->thread, NULL);
	stop_done(&w->stop);
	free(w);
}
