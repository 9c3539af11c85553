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
#include "transfer/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_AT_ONCE 200
#define GIVE_UP_MS ((uint64_t)10 * 60 * 1000)

/* What a reader knows of one route of its range. */
struct lane {
	struct registry_gap *gaps; /* still to be read */
	int n_gaps, gap;
	uint64_t at;		   /* where the next chunk of this lane begins */
	struct chunk *open;
};

struct reader {
	struct engine *g;
	struct pg *pg;
	struct digest_ctx *digest;
	/* of the table at hand */
	const struct plan_table *t;
	int range;
	struct digest_column *columns; /* in the digest's order */
	int *stream_field;	       /* of each of those: its number in the stream, ctid being 0 */
	int n_fields, collection_field;
	struct copyrow_field *fields, *ordered;
	struct lane *lanes;
	struct tally *by_collection;
	char *scratch;
	size_t scratch_cap;
	uint64_t last; /* position of the row before */
	bool begun;    /* the binary header was seen */
	int ranges_begun; /* in this transaction */
};

static struct lane *lane_of(struct reader *r, int route)
{
	return &r->lanes[route];
}

/* --- sealing --- */

static int take_parts(struct reader *r, struct chunk *c, const struct plan_route *route, struct err *e)
{
	const struct plan_table *t = r->t;

	if (t->n_collections == 0)
		return 0;
	c->parts = calloc((size_t)t->n_collections, sizeof(*c->parts));
	if (!c->parts)
		return err_nomem(e);
	for (int i = 0; i < t->n_collections; i++) {
		struct tally *sum = &r->by_collection[i];

		if (&t->routes[t->collections[i].route] != route || sum->rows == 0)
			continue;
		if (t->collections[i].name) {
			c->parts[c->n_parts].collection = strdup(t->collections[i].name);
			if (!c->parts[c->n_parts].collection)
				return err_nomem(e);
		}
		c->parts[c->n_parts++].tally = *sum;
		*sum = TALLY_INIT;
	}
	return 0;
}

static int open_chunk(struct reader *r, int route, struct err *e)
{
	struct lane *lane = lane_of(r, route);

	if (chunk_new(&lane->open, e) < 0)
		return -1;
	lane->open->plan = r->g->plan->no;
	lane->open->table = r->t->no;
	lane->open->range = r->range;
	lane->open->route = route;
	lane->open->from = lane->at;
	lane->open->binary = r->t->binary;
	return 0;
}

static int seal(struct reader *r, int route, uint64_t to, struct err *e)
{
	struct lane *lane = lane_of(r, route);
	struct chunk *c = GIVE(&lane->open);

	c->to = to;
	c->raw_bytes = c->len;
	c->sent = c->read;
	lane->at = to;
	if (take_parts(r, c, &r->t->routes[route], e) < 0) {
		chunk_free(c);
		return -1;
	}
	return engine_pass_on(r->g, c, e);
}

/* Ends the gap at hand: what lies between is a chunk, be it an empty one. */
static int close_gap(struct reader *r, int route, struct err *e)
{
	struct lane *lane = lane_of(r, route);

	if (!lane->open && open_chunk(r, route, e) < 0)
		return -1;
	if (seal(r, route, lane->gaps[lane->gap].to, e) < 0)
		return -1;
	lane->gap++;
	if (lane->gap < lane->n_gaps)
		lane->at = lane->gaps[lane->gap].from;
	return 0;
}

static int close_all(struct reader *r, struct err *e)
{
	for (int i = 0; i < r->t->n_routes; i++)
		while (r->lanes[i].gap < r->lanes[i].n_gaps)
			if (close_gap(r, i, e) < 0)
				return -1;
	return 0;
}

/* --- appending --- */

/* A chunk of its usual size comes from the shelf; one row that is larger has memory of its own. */
static int get_buffer(struct engine *g, struct chunk *c, size_t len, struct err *e)
{
	bool usual = len <= shelf_size(g->shelf);

	c->data = usual ? shelf_take(g->shelf) : malloc(len);
	if (!c->data)
		return err_nomem(e);
	c->shelf = usual ? g->shelf : NULL;
	c->cap = usual ? shelf_size(g->shelf) : len;
	return 0;
}

/* Room for a row of len bytes at the end of the lane's open chunk; seals the one before if full. */
static int make_room(struct reader *r, int route, uint64_t position, size_t len, struct err *e)
{
	struct lane *lane = lane_of(r, route);
	struct chunk *c = lane->open;

	if (c && c->read.rows > 0 && c->len + len > r->g->chunk_limit &&
	    seal(r, route, position, e) < 0)
		return -1;
	if (!lane->open && open_chunk(r, route, e) < 0)
		return -1;
	c = lane->open;
	/* The row fits what is there: else the chunk was sealed, and this is its first row. */
	return c->data ? 0 : get_buffer(r->g, c, len, e);
}

/* 1: the row is wanted by this lane; 0: a known chunk has it. */
static int is_wanted(struct reader *r, int route, uint64_t position, struct err *e)
{
	struct lane *lane = lane_of(r, route);

	while (lane->gap < lane->n_gaps && position >= lane->gaps[lane->gap].to)
		if (close_gap(r, route, e) < 0)
			return -1;
	return lane->gap < lane->n_gaps && position >= lane->gaps[lane->gap].from;
}

static int too_large(struct reader *r, uint64_t position, size_t len, struct err *e)
{
	err_set(e, ERR_DATA, "source: the row at (%u,%u) of %s has %zu bytes and cannot fit the memory limit "
			     "of %" PRIu64, (unsigned)chunk_block(position),
		(unsigned)chunk_offset(position), r->t->qname, len, r->g->settings->memory);
	return err_hint(e, "raise --memory above the size of the largest row and resume");
}

static void count_row(struct reader *r, struct chunk *c, int route, int collection, size_t len)
{
	struct progress_line *line = engine_line(r->g, r->t->no, route);
	int64_t word[2];

	for (int i = 0; i < r->t->n_columns; i++)
		r->ordered[i] = r->fields[r->stream_field[i]];
	digest_row(r->digest, r->columns, r->ordered, r->t->n_columns, word);
	tally_row(&c->read, word);
	if (collection >= 0)
		tally_row(&r->by_collection[collection], word);
	atomic_fetch_add_explicit(&line->rows_read, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&line->bytes_read, len, memory_order_relaxed);
}

/* Which route a row takes; *ret_collection is -1 where the table is not divided. */
static int route_of(struct reader *r, int *ret_collection, struct err *e)
{
	const struct plan_table *t = r->t;
	const struct copyrow_field *f;
	int at;

	*ret_collection = -1;
	if (!t->collection_column)
		return 0;
	f = &r->fields[r->collection_field];
	at = plan_find_collection(t, f->data, f->data ? (size_t)f->len : 0);
	if (at < 0)
		return err_set(e, ERR_INTERNAL, "a row of %s has a collection that its snapshot's own count "
						"did not show", t->qname);
	*ret_collection = at;
	return t->collections[at].route;
}

/* --- one row, binary or text --- */

static int check_order(struct reader *r, uint64_t position, struct err *e)
{
	if (position > r->last || r->last == 0) {
		r->last = position;
		return 0;
	}
	return err_set(e, ERR_INTERNAL, "rows of %s came out of order: (%u,%u) after (%u,%u)", r->t->qname,
		       (unsigned)chunk_block(position), (unsigned)chunk_offset(position),
		       (unsigned)chunk_block(r->last), (unsigned)chunk_offset(r->last));
}

/* Appends body (after `count`, where binary) of the row whose fields are set. */
static int take_row(struct reader *r, uint64_t position, const char *body, size_t body_len,
		    struct err *e)
{
	size_t head = r->t->binary ? 2 : 0, tail = r->t->binary ? 0 : 1;
	size_t len = head + body_len + tail;
	int collection, route, wanted;
	struct chunk *c;

	if (check_order(r, position, e) < 0)
		return -1;
	route = route_of(r, &collection, e);
	if (route < 0)
		return -1;
	wanted = is_wanted(r, route, position, e);
	if (wanted <= 0)
		return wanted;
	if (len > r->g->settings->memory)
		return too_large(r, position, len, e);
	if (make_room(r, route, position, len, e) < 0)
		return -1;
	c = lane_of(r, route)->open;
	if (head) {
		c->data[c->len] = (char)(r->t->n_columns >> 8);
		c->data[c->len + 1] = (char)(r->t->n_columns & 0xff);
	}
	memcpy(c->data + c->len + head, body, body_len);
	if (tail)
		c->data[c->len + body_len] = '\n';
	c->len += len;
	count_row(r, c, route, collection, len);
	return 0;
}

static uint64_t read_ctid(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint64_t)u[0] << 40 | (uint64_t)u[1] << 32 | (uint64_t)u[2] << 24 |
	       (uint64_t)u[3] << 16 | (uint64_t)u[4] << 8 | (uint64_t)u[5];
}

/* Returns 1 for a row, 0 for the trailer. */
static int binary_row(struct reader *r, const char *data, size_t len, struct err *e)
{
	size_t used = 0;
	int n = copyrow_binary(data, len, r->fields, r->n_fields, &used, e);
	const struct copyrow_field *last = &r->fields[r->t->n_columns];
	const char *body, *end;

	if (n == COPYROW_END)
		return 0;
	if (n < 0)
		return err_note(e, "reading a row of %s", r->t->qname);
	if (n != r->n_fields || r->fields[0].len != 6)
		return err_set(e, ERR_INTERNAL, "a row of %s has %d fields instead of %d", r->t->qname, n,
			       r->n_fields);
	body = r->fields[0].data + 6;
	/* Where the last field that is sent ends: the next one's length word begins there. */
	end = data + used;
	for (int i = r->n_fields - 1; i > r->t->n_columns; i--)
		end -= 4 + (r->fields[i].len > 0 ? r->fields[i].len : 0);
	(void)last;
	return take_row(r, read_ctid(r->fields[0].data), body, (size_t)(end - body), e) < 0 ? -1 : 1;
}

static int parse_tid_text(const struct copyrow_field *f, uint64_t *ret)
{
	char buf[32];
	unsigned block, offset;

	if (f->len <= 0 || f->len >= (int)sizeof(buf))
		return -1;
	memcpy(buf, f->data, (size_t)f->len);
	buf[f->len] = '\0';
	if (sscanf(buf, "(%u,%u)", &block, &offset) != 2 || offset > UINT16_MAX)
		return -1;
	*ret = chunk_position(block, (uint16_t)offset);
	return 0;
}

/* Between the first tab and, where an extra column was asked for, the last one. */
static int text_row(struct reader *r, const char *data, size_t len, struct err *e)
{
	const char *first, *end;
	uint64_t position = 0;
	int n;

	if (len > 0 && data[len - 1] == '\n')
		len--;
	if (r->scratch_cap < len + 1) {
		char *grown = realloc(r->scratch, len + 1);

		if (!grown)
			return err_nomem(e);
		r->scratch = grown;
		r->scratch_cap = len + 1;
	}
	n = copyrow_text(data, len, r->scratch, r->fields, r->n_fields, e);
	if (n == COPYROW_END)
		return 0;
	if (n < 0)
		return err_note(e, "reading a row of %s", r->t->qname);
	if (n != r->n_fields || parse_tid_text(&r->fields[0], &position) < 0)
		return err_set(e, ERR_INTERNAL, "a row of %s has %d fields instead of %d", r->t->qname, n,
			       r->n_fields);
	first = memchr(data, '\t', len);
	end = data + len;
	for (int i = r->n_fields - 1; i > r->t->n_columns; i--)
		end = memrchr(data, '\t', (size_t)(end - data));
	if (!first || !end || end < first)
		return err_set(e, ERR_INTERNAL, "a row of %s has no columns", r->t->qname);
	return take_row(r, position, first + 1, (size_t)(end - first - 1), e) < 0 ? -1 : 1;
}

/* One CopyData message: the file header may stand before the first row. */
static int take_message(struct reader *r, const char *data, size_t len, struct err *e)
{
	size_t skip = 0;

	if (!r->t->binary)
		return text_row(r, data, len, e);
	if (!r->begun) {
		if (copyrow_skip_header(data, len, &skip, e) < 0)
			return -1;
		r->begun = true;
		if (skip == len)
			return 1;
	}
	return binary_row(r, data + skip, len - skip, e);
}

static int copy_rows(struct reader *r, struct err *e)
{
	char *data;
	int len, rc;

	r->begun = false;
	r->last = 0;
	while ((rc = pg_copy_row(r->pg, &data, &len, e)) > 0) {
		rc = take_message(r, data, (size_t)len, e);
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

/* Imports the snapshot; only ever a TID range scan, in one process: rows must come in ctid order. */
static int begin_reading(struct reader *r, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
		       "SET TRANSACTION SNAPSHOT ");
	text_add_literal(&sql, r->g->plan->snapshot);
	text_add(&sql, "; SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; "
		       "SET LOCAL enable_bitmapscan = off; "
		       "SET LOCAL max_parallel_workers_per_gather = 0");
	r->ranges_begun = 0;
	if (pg_exec(r->pg, text_str(&sql), e) == 0)
		return 0;
	if (e->next == ERR_GIVE_UP) {
		atomic_store(&r->g->snapshot_lost, true);
		err_note(e, "the snapshot is gone: its holder ended or the source restarted");
	}
	return -1;
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

static int read_once(struct reader *r, int no, uint64_t from, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (open_session(r, no, e) < 0)
		return -1;
	plan_copy_out(r->t, &r->t->ranges[r->range], from, &sql);
	if (text_check(&sql, e) < 0 || pg_copy_out(r->pg, text_str(&sql), e) < 0 ||
	    copy_rows(r, e) < 0)
		return -1;
	return close_all(r, e);
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
		event_emit(r->g->events, EVENT_NOTICE, "source.lost", NULL,
			   "the source connection was lost (%s); reading %s again from block %u", tried.text,
			   r->t->qname, (unsigned)chunk_block(from));
		atomic_fetch_add(&r->g->progress->retries, 1);
		if (stop_sleep(r->g->stop, clock_backoff(attempt, 500, 30000), e) < 0)
			return -1;
	}
}

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
		rc = read_range(r, no, from, e);
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
