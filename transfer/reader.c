/*
 * reader - from COPY OUT of one range to sealed chunks.
 *
 * Per row: where it stands (ctid), its digest, its collection; then its bytes are appended to the open
 * chunk of its route. Rows that a known chunk covers already are passed over, so a range can be read
 * again after an interruption without anything being taken twice.
 *
 * INVARIANT	Rows come in ctid order (checked): a chunk's predicate is what was read between two
 *		positions. At the end of a range every position of every route is in exactly one chunk.
 */
#include "common/clock.h"
#include "transfer/readerpriv.h"
#include "transfer/view.h"

#include <stdlib.h>
#include <string.h>

#define RANGES_AT_ONCE 200
#define GIVE_UP_MS ((uint64_t)10 * 60 * 1000)

static int copy_rows(struct reader *r, struct err *e)
{
	char *data;
	int len, rc;

	r->begun = false;
	r->last = 0;
	while ((rc = pg_copy_row(r->pg, &data, &len, e)) > 0) {
		rc = reader_take_message(r, data, (size_t)len, e);
		PQfreemem(data);
		if (rc < 0)
			return -1;
		if (stop_level(r->g->stop) != STOP_NO)
			return stop_err(e);
	}
	return rc;
}

/* --- one range --- */

static void lanes_done(struct reader *r)
{
	for (int i = 0; r->lanes && i < r->t->n_routes; i++) {
		chunk_free(r->lanes[i].open);
		free(r->lanes[i].gaps);
	}
	free(r->lanes);
	r->lanes = NULL;
	free(r->by_collection);
	r->by_collection = NULL;
}

/* The gaps of every route; *ret_from is where reading must begin, UINT64_MAX if nothing is left. */
static int lanes_begin(struct reader *r, uint64_t *ret_from, struct err *e)
{
	const struct plan_table *t = r->t;

	r->lanes = calloc((size_t)t->n_routes + 1, sizeof(*r->lanes));
	r->by_collection = calloc((size_t)t->n_collections + 1, sizeof(*r->by_collection));
	if (!r->lanes || !r->by_collection)
		return err_nomem(e);
	*ret_from = UINT64_MAX;
	for (int i = 0; i < t->n_routes; i++) {
		struct lane *lane = &r->lanes[i];

		if (registry_gaps(r->g->known, t, r->range, i, &lane->gaps, &lane->n_gaps, e) < 0)
			return -1;
		if (lane->n_gaps == 0)
			continue;
		lane->at = lane->gaps[0].from;
		if (lane->at < *ret_from)
			*ret_from = lane->at;
	}
	return 0;
}

/*
 * Chunks that were sealed but are still on their way to the registry would be read again after a lost
 * connection: what the lanes know is newer, so a range goes on from them.
 */
static uint64_t lanes_restart(struct reader *r)
{
	uint64_t from = UINT64_MAX;

	memset(r->by_collection, 0, (size_t)r->t->n_collections * sizeof(*r->by_collection));
	for (int i = 0; i < r->t->n_routes; i++) {
		struct lane *lane = &r->lanes[i];

		chunk_free(lane->open);
		lane->open = NULL;
		if (lane->gap < lane->n_gaps && lane->at < from)
			from = lane->at;
	}
	return from;
}

static void forget_open_rows(struct reader *r)
{
	for (int i = 0; i < r->t->n_routes; i++) {
		const struct chunk *c = r->lanes[i].open;
		struct progress_line *line = engine_line(r->g, r->t->no, i);

		if (!c)
			continue;
		atomic_fetch_sub_explicit(&line->rows_read, c->read.rows, memory_order_relaxed);
		atomic_fetch_sub_explicit(&line->bytes_read, c->len, memory_order_relaxed);
	}
}

static int prepare_table(struct reader *r, struct err *e)
{
	const struct plan_table *t = r->t;
	struct digest_column *all = plan_digest_columns(t);
	AUTO(free) struct digest_column *owned = all;
	size_t n = (size_t)t->n_columns + 1;
	AUTO(free) int *order = calloc(n, sizeof(int));
	int extra = t->n_columns + 1;

	free(r->columns);
	free(r->stream_field);
	free(r->fields);
	free(r->ordered);
	r->columns = calloc(n, sizeof(*r->columns));
	r->stream_field = calloc(n, sizeof(int));
	r->fields = calloc(2 * n + 2, sizeof(*r->fields));
	r->ordered = calloc(n, sizeof(*r->ordered));
	if (!all || !order || !r->columns || !r->stream_field || !r->fields || !r->ordered)
		return err_nomem(e);
	digest_order(all, t->n_columns, order);
	for (int i = 0; i < t->n_columns; i++) {
		r->columns[i] = all[order[i]];
		r->stream_field[i] = order[i] + 1;
	}
	for (int c = 0; c < t->n_columns; c++) {
		if (!t->binary || all[c].mode != DIGEST_TEXT)
			continue;
		for (int i = 0; i < t->n_columns; i++)
			if (order[i] == c)
				r->stream_field[i] = extra;
		extra++;
	}
	r->collection_field = 0;
	for (int c = 0; t->collection_column && c < t->n_columns; c++)
		if (strcmp(t->columns[c].name, t->collection_column) == 0)
			r->collection_field = c + 1;
	if (t->collection_column && !t->collection_is_text)
		r->collection_field = extra++;
	r->n_fields = extra;
	return 0;
}

static int begin_reading(struct reader *r, struct err *e)
{
	bool lost = false;
	int rc = view_begin(r->pg, r->g->plan->snapshot, &lost, e);

	r->ranges_begun = 0;
	r->pinned = NULL;
	if (lost)
		atomic_store(&r->g->snapshot_lost, true);
	return rc;
}

static int open_session(struct reader *r, int no, struct err *e)
{
	AUTO_TEXT struct text name = TEXT_INIT;

	/* Each table read stays locked until the transaction ends: begin it anew now and then. */
	if (r->pg && pg_is_alive(r->pg))
		return ++r->ranges_begun < RANGES_AT_ONCE ? 0 : begin_reading(r, e);
	pg_close(r->pg);
	r->pg = NULL;
	text_addf(&name, "%s reader %d", r->g->run, no);
	if (pg_open(&r->pg, r->g->source, text_str(&name), r->g->stop, e) < 0)
		return -1;
	return begin_reading(r, e);
}

static int pin_table(struct reader *r, struct err *e)
{
	bool lost = false;

	if (r->pinned == r->t)
		return 0;
	if (view_pin(r->pg, r->t, &lost, e) < 0) {
		if (lost)
			atomic_store(&r->g->snapshot_lost, true);
		return -1;
	}
	r->pinned = r->t;
	return 0;
}

static int read_once(struct reader *r, int no, uint64_t from, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (open_session(r, no, e) < 0 || pin_table(r, e) < 0)
		return -1;
	plan_copy_out(r->t, &r->t->ranges[r->range], from, &sql);
	if (text_check(&sql, e) < 0 || pg_copy_out(r->pg, text_str(&sql), e) < 0 ||
	    copy_rows(r, e) < 0)
		return -1;
	return reader_close_all(r, e);
}

static void tell_trouble(struct reader *r, const struct err *e, uint64_t from)
{
	unsigned block = (unsigned)chunk_block(from);

	if (strcmp(e->sqlstate, "55P03") == 0)
		event_emit(r->g->events, EVENT_NOTICE, "source.lock", NULL, "%s", e->text);
	else
		event_emit(r->g->events, EVENT_NOTICE, "source.lost", NULL,
			   "the source connection was lost (%s); reading %s again from block %u", e->text,
			   r->t->qname, block);
	atomic_fetch_add(&r->g->progress->retries, 1);
}

/* Goes on after a lost connection as long as the snapshot can be imported again. */
static int read_range(struct reader *r, int no, uint64_t from, struct err *e)
{
	uint64_t first_failure = 0;

	for (unsigned attempt = 1;; attempt++) {
		struct err tried = ERR_INIT;
		uint64_t before = from;

		if (read_once(r, no, from, &tried) == 0)
			return 0;
		pg_close(r->pg);
		r->pg = NULL;
		*e = tried;
		forget_open_rows(r);
		from = lanes_restart(r);
		if (from != before)
			first_failure = 0, attempt = 1;
		if (first_failure == 0)
			first_failure = clock_ms();
		if (tried.next == ERR_GIVE_UP || clock_ms() - first_failure > GIVE_UP_MS)
			return err_note(e, "reading %s", r->t->qname);
		if (from ==
		    UINT64_MAX) { /* all that was missing was taken before the connection broke */
			*e = ERR_INIT;
			return 0;
		}
		tell_trouble(r, &tried, from);
		if (stop_sleep(r->g->stop, clock_backoff(attempt, 500, 30000), e) < 0)
			return -1;
	}
}

#ifdef NEONFERRY_FAULTS
/* Builds for tests only: a reader that loses the last range of a table, which they must notice. */
static bool is_to_be_lost(const struct engine *g, const struct engine_range *range)
{
	const char *name = getenv("NEONFERRY_TEST_SKIP_RANGE");
	const struct plan_table *t = &g->plan->tables[range->table];

	return name && strcmp(name, t->name) == 0 && range->range == t->n_ranges - 1;
}
#else
static bool is_to_be_lost(UNUSED const struct engine *g, UNUSED const struct engine_range *range)
{
	return false;
}
#endif

static int next_range(struct reader *r, int no, const struct engine_range *range, struct err *e)
{
	const struct plan_table *t = &r->g->plan->tables[range->table];
	uint64_t from;
	int rc;

	if (t != r->t) {
		r->t = t;
		if (prepare_table(r, e) < 0)
			return -1;
	}
	r->range = range->range;
	rc = lanes_begin(r, &from, e);
	if (rc == 0 && from != UINT64_MAX)
		rc = is_to_be_lost(r->g, range) ? reader_close_all(r, e) : read_range(r, no, from, e);
	lanes_done(r);
	return rc;
}

static void reader_done(struct reader *r)
{
	pg_close(r->pg);
	digest_free(r->digest);
	free(r->columns);
	free(r->stream_field);
	free(r->fields);
	free(r->ordered);
	free(r->scratch);
}

int reader_main(struct engine *g, int no, struct err *e)
{
	struct reader r = { .g = g };
	int rc = digest_new(&r.digest, e);

	while (rc == 0) {
		int i = atomic_fetch_add(&g->next_range, 1);

		if (i >= g->n_ranges)
			break;
		if (stop_level(g->stop) != STOP_NO)
			rc = stop_err(e);
		else
			rc = next_range(&r, no, &g->ranges[i], e);
	}
	reader_done(&r);
	return rc;
}
