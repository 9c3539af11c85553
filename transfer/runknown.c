/* runknown - the chunks that a run has already: in the spill folder, in the target's ledger. */
#include "transfer/runpriv.h"

#include "common/file.h"
#include "transfer/spill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number(const json_t *row, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(row, key));
}

static int read_parts(struct chunk *c, const json_t *parts, struct err *e)
{
	const json_t *part;
	size_t i;

	if (json_array_size(parts) == 0)
		return 0;
	c->parts = calloc(json_array_size(parts), sizeof(*c->parts));
	if (!c->parts)
		return err_nomem(e);
	json_array_foreach(parts, i, part) {
		const char *name = json_string_value(json_array_get(part, 0));
		char rows[32];

		(void)snprintf(rows, sizeof(rows), "%" JSON_INTEGER_FORMAT,
			       json_integer_value(json_array_get(part, 1)));
		c->parts[i].collection = name ? strdup(name) : NULL;
		c->n_parts++;
		if (tally_parse(&c->parts[i].tally, rows, json_string_value(json_array_get(part, 2)),
				json_string_value(json_array_get(part, 3)), e) < 0)
			return -1;
	}
	return 0;
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s ? s : "";
}

/* What a header or the ledger says of a chunk indexes the plan: it must be of this plan. */
static bool is_of_plan(const struct run *r, const struct chunk *c)
{
	const struct plan_table *t =
		c->table >= 0 && c->table < r->plan->n_tables ? &r->plan->tables[c->table] : NULL;
	const struct plan_range *range =
		t && c->range >= 0 && c->range < t->n_ranges ? &t->ranges[c->range] : NULL;

	return range && c->route >= 0 && c->route < t->n_routes && c->to > c->from &&
	       c->from >= chunk_position(range->from_block, 0) &&
	       c->to <= chunk_position(range->to_block, 0);
}

static int foreign_chunk(const struct run *r, const struct chunk *c, struct err *e)
{
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	err_set(e, ERR_RESUME, "the ledger of run %s has a chunk that its plan does not have: %s",
		r->dir.name, id);
	return err_hint(e, "the run folder and the target's ledger are not of the same run: "
			   "neonferry abort, then start again");
}

static int read_ledger_chunk(struct run *r, const json_t *row, struct err *e)
{
	AUTO(chunk) struct chunk *c = NULL;
	char rows[32];

	if (chunk_new(&c, e) < 0)
		return -1;
	c->plan = (int)number(row, "plan");
	c->table = (int)number(row, "tbl");
	c->range = (int)number(row, "rng");
	c->route = (int)number(row, "route");
	c->from = number(row, "pos_from");
	c->to = number(row, "pos_to");
	c->raw_bytes = number(row, "bytes");
	(void)snprintf(rows, sizeof(rows), "%" PRIu64, number(row, "rows"));
	if (tally_parse(&c->read, rows, text_of(row, "read0"), text_of(row, "read1"), e) < 0 ||
	    tally_parse(&c->sent, rows, text_of(row, "sent0"), text_of(row, "sent1"), e) < 0 ||
	    read_parts(c, json_object_get(row, "parts"), e) < 0)
		return err_note(e, "reading the ledger of run %s", r->dir.name);
	if (!is_of_plan(r, c))
		return foreign_chunk(r, c, e);
	return registry_add(r->known, c, false, true, e);
}

static int read_ledger_chunks(struct run *r, struct err *e)
{
	json_t *rows = NULL;
	const json_t *row;
	size_t i;
	int rc = 0;

	if (ledger_rows(r->target_pg, r->dir.name, "chunk", &rows, e) < 0)
		return -1;
	json_array_foreach(rows, i, row) {
		rc = read_ledger_chunk(r, row, e);
		if (rc < 0)
			break;
	}
	json_decref(rows);
	return rc;
}

static void note_damaged(void *ctx, const char *file, const struct err *why)
{
	struct run *r = ctx;

	event_emit(r->events, EVENT_WARNING, "spill.damaged", NULL,
		   "the spill file %s is not used: %s; its rows will be read again", file, why->text);
}

/* Takes the chunk over: a file of another plan is no chunk of this run. */
static void put_aside(struct run *r, struct chunk *c)
{
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	event_emit(r->events, EVENT_WARNING, "spill.damaged", NULL,
		   "the spill file of chunk %s is not used: the run's plan has no such chunk", id);
	spill_put_aside(r->dir.spill, c);
	chunk_free(c);
}

/* A chunk of the spill is known unless the ledger has other chunks in its place (a later capture). */
static int read_spill(struct run *r, struct err *e)
{
	struct chunk **list = NULL;
	int n = 0, rc = 0;

	if (file_mkdir(r->dir.spill, e) < 0 ||
	    spill_scan(r->dir.spill, r->dir.name, r->settings.spill_key, &list, &n, note_damaged, r, e) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		if (rc == 0 && !is_of_plan(r, list[i])) {
			put_aside(r, list[i]);
			continue;
		}
		if (rc == 0)
			rc = registry_add_found(r->known, list[i], e);
		atomic_fetch_add(&r->progress.spill_bytes, list[i]->file_bytes);
		atomic_fetch_add(&r->progress.spill_files, 1);
		chunk_free(list[i]);
	}
	free(list);
	return rc;
}

static int count_known(void *ctx, struct registry_entry *entry, struct err *e)
{
	struct run *r = ctx;

	(void)e;
	if (entry->loaded) {
		atomic_fetch_add(&r->progress.rows_loaded, entry->chunk.read.rows);
		atomic_fetch_add(&r->progress.bytes_loaded, entry->chunk.raw_bytes);
		atomic_fetch_add(&r->progress.chunks_loaded, 1);
	}
	return 0;
}

int run_read_known(struct run *r, struct err *e)
{
	if (r->known)
		return 0;
	if (registry_new(&r->known, r->plan->n_tables, e) < 0 || read_spill(r, e) < 0 ||
	    read_ledger_chunks(r, e) < 0)
		return -1;
	return registry_each(r->known, -1, count_known, r, e);
}

/* Reads one file of an earlier process through; 0 where it must not be relied on. */
static int is_whole(struct run *r, struct chunk *c)
{
	struct err why = ERR_INIT;

	if (c->raw_bytes == 0 || spill_read_data(r->dir.spill, r->dir.name, r->settings.spill_key, c, &why) == 0) {
		registry_mark_whole(r->known, c);
		return 1;
	}
	if (!spill_is_damage(&why))
		return 0;
	if (!registry_drop_found(r->known, c))
		return 1; /* loaded in the meantime */
	spill_put_aside(r->dir.spill, c);
	atomic_fetch_sub(&r->progress.spill_bytes, c->file_bytes);
	event_emit(r->events, EVENT_WARNING, "spill.damaged", NULL,
		   "a spill file of %s is not used: %s; its rows will be read again",
		   r->plan->tables[c->table].qname, why.text);
	return 0;
}

/*
 * What this process did not write itself is read through before the source is let go: as long as the
 * snapshot lives, a damaged file costs its own rows only. The senders go on meanwhile.
 */
bool run_found_is_whole(struct run *r)
{
	struct err ignored = ERR_INIT;
	struct chunk **list = NULL;
	bool whole = true;
	int n = 0;

	if (registry_list_found(r->known, &list, &n, &ignored) < 0)
		return false;
	for (int i = 0; i < n; i++) {
		if (whole && stop_level(&r->stop) == STOP_NO)
			whole = is_whole(r, list[i]);
		chunk_free(list[i]);
	}
	free(list);
	return whole && stop_level(&r->stop) == STOP_NO;
}
