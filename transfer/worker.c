/*
 * worker - a collection worker: puts the chunks of its routes on disk, and hands them to the senders.
 *
 * With --spill always every chunk is on disk before it is sent, so the capture is complete on its own.
 * With overflow only what the senders cannot take at once. When the disk is full (or --spill-limit is
 * reached) a chunk stays in memory until it is loaded: the capture then waits for the senders through
 * the budget, and nothing is lost.
 */
#include "transfer/engine.h"
#include "transfer/spill.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdlib.h>

static bool wants_disk(struct engine *g, const struct chunk *c)
{
	uint64_t bytes, chunks;

	if (g->settings->spill == RUN_SPILL_NONE)
		return false;
	if (g->settings->spill == RUN_SPILL_ALWAYS)
		return true;
	outbox_stats(g->outbox, &bytes, &chunks);
	return bytes + c->raw_bytes > g->keep_limit;
}

static int vector_fields(const struct plan_table *t, int **ret, struct err *e)
{
	int n = 0;

	*ret = calloc((size_t)t->n_columns + 1, sizeof(int));
	if (!*ret)
		return err_nomem(e);
	for (int i = 0; t->binary && i < t->n_columns; i++)
		if (t->columns[i].vector)
			(*ret)[n++] = i;
	return n;
}

static void say_full(struct engine *g, const char *why)
{
	if (!atomic_exchange(&g->disk_was_full, true))
		event_emit(g->events, EVENT_WARNING, "spill.full", NULL,
			   "%s: the capture now waits for the senders; nothing is lost", why);
}

/* Room for the chunk's file is taken before it is written: the limit holds at every moment. */
static bool take_room(struct engine *g, uint64_t bytes)
{
	uint64_t limit = g->settings->spill_limit, now = atomic_load(&g->progress->spill_bytes);
	AUTO_TEXT struct text why = TEXT_INIT;

	do {
		if (limit > 0 && (now > limit || bytes > limit - now)) {
			text_addf(&why, "the spill holds %" PRIu64 " bytes and may hold %" PRIu64, now, limit);
			say_full(g, text_str(&why));
			return false;
		}
	} while (!atomic_compare_exchange_weak(&g->progress->spill_bytes, &now, now + bytes));
	return true;
}

/* Returns 1 when the chunk is on disk, 0 when it must stay in memory, -1. */
static int put_on_disk(struct engine *g, struct spill_writer *w, struct chunk *c, struct err *e)
{
	AUTO(free) int *fields = NULL;
	AUTO_TEXT struct text why = TEXT_INIT;
	struct err tried = ERR_INIT;
	uint64_t room = spill_most_bytes(c);
	int n = vector_fields(&g->plan->tables[c->table], &fields, e);

	if (n < 0)
		return -1;
	if (!take_room(g, room))
		return 0;
	if (spill_write(w, c, fields, n, &tried) == 0) {
		atomic_fetch_add(&g->progress->spill_bytes, c->file_bytes - room);
		atomic_fetch_add(&g->progress->spill_files, 1);
		return registry_add(g->known, c, true, false, e) < 0 ? -1 : 1;
	}
	atomic_fetch_sub(&g->progress->spill_bytes, room);
	if (tried.kind != ERR_DISK || tried.next != ERR_RETRY) {
		*e = tried;
		return err_note(e, "writing the spill");
	}
	text_addf(&why, "the spill disk is full (%s)", tried.text);
	say_full(g, text_str(&why));
	return 0;
}

static int handle(struct engine *g, struct spill_writer *w, struct chunk *c, struct err *e)
{
	uint64_t bytes, chunks;
	int on_disk = wants_disk(g, c) ? put_on_disk(g, w, c, e) : 0;

	if (on_disk < 0) {
		chunk_free(c);
		return -1;
	}
	outbox_stats(g->outbox, &bytes, &chunks);
	if (on_disk && bytes + c->len > g->keep_limit)
		chunk_drop_data(c);
	outbox_put(g->outbox, c);
	return 0;
}

int worker_main(struct engine *g, int no, struct err *e)
{
	struct spill_writer *w = NULL;
	int rc = 0;

	if (g->settings->spill != RUN_SPILL_NONE)
		rc = spill_writer_new(&w, g->spill_dir, g->run, g->settings->spill_key, 1, e);
	while (rc == 0) {
		void *item;
		enum queue_result r = queue_pop(g->to_worker[no], &item);

		if (r == QUEUE_END)
			break;
		rc = r == QUEUE_STOPPED ? stop_err(e) : handle(g, w, item, e);
	}
	spill_writer_free(w);
	return rc;
}
