/* readerrow - rows of a reader: place, digest, route, bytes; chunks are sealed as they fill. */
#include "transfer/readerpriv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int reader_close_all(struct reader *r, struct err *e)
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

/*
 * 1: the row is wanted by this lane; 0: a known chunk has it, or one that was sealed before the
 * connection was lost: reading began again where the lane that is farthest behind stands.
 */
static int is_wanted(struct reader *r, int route, uint64_t position, struct err *e)
{
	struct lane *lane = lane_of(r, route);

	while (lane->gap < lane->n_gaps && position >= lane->gaps[lane->gap].to)
		if (close_gap(r, route, e) < 0)
			return -1;
	return lane->gap < lane->n_gaps && position >= lane->at;
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
int reader_take_message(struct reader *r, const char *data, size_t len, struct err *e)
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
