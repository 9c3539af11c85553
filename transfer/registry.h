/*
 * registry - the chunks of a run that are known: on disk, in the target, or both.
 *
 * Filled from the spill folder and the ledger at a resume, and by the running copy. It answers what
 * is still to be read (the gaps of a range and route), what is still to be sent, and what the stream
 * was as a whole.
 *
 * INVARIANT	Chunks of one range and route never overlap; registry_add() refuses one that does.
 * OWNER	The registry owns its chunks; their data is NULL.
 * THREADS	any; one leaf mutex.
 */
#ifndef TRANSFER_REGISTRY_H
#define TRANSFER_REGISTRY_H

#include "transfer/chunk.h"
#include "transfer/plan.h"

struct registry;

struct registry_gap {
	uint64_t from, to; /* positions */
};

int registry_new(struct registry **ret, int n_tables, struct err *e) MUST_CHECK;
void registry_free(struct registry *r);

/*
 * Adds what `c` describes (copied without data), or marks a known one: on_disk and loaded are or-ed.
 * Same place but other rows or digest: ERR_DATA ("same chunk id with another digest").
 */
int registry_add(struct registry *r, const struct chunk *c, bool on_disk, bool loaded,
		 struct err *e) MUST_CHECK;
/* A file of an earlier process: on disk, but nobody has read its bytes yet. */
int registry_add_found(struct registry *r, const struct chunk *c, struct err *e) MUST_CHECK;
/*
 * Copies of the chunks that depend on such a file (found, not loaded, not yet seen to be whole);
 * malloc'ed array of malloc'ed chunks. registry_mark_whole() takes one from the list.
 */
int registry_list_found(struct registry *r, struct chunk ***ret, int *ret_n, struct err *e) MUST_CHECK;
void registry_mark_whole(struct registry *r, const struct chunk *c);
/* Forgets it unless it was loaded in the meantime: true when forgotten. */
bool registry_drop_found(struct registry *r, const struct chunk *c);
/* Forgets a chunk (its file was damaged, its rows withdrawn). */
void registry_remove(struct registry *r, const struct chunk *c);
/* A loaded chunk's file was removed. */
void registry_file_gone(struct registry *r, const struct chunk *c);

/* What no known chunk covers of a range and route, in order. malloc'ed. */
int registry_gaps(struct registry *r, const struct plan_table *t, int range, int route,
		  struct registry_gap **ret, int *ret_n, struct err *e) MUST_CHECK;
/* True when nothing is left to read of a table of the plan (of all: table -1). */
int registry_is_complete(struct registry *r, const struct plan *p, int table, bool *ret,
			 struct err *e) MUST_CHECK;

/*
 * True when every row of a table of the plan is known to be in the target: nothing is left to read,
 * nothing to send. Cheap enough to ask after each chunk.
 */
bool registry_is_loaded(struct registry *r, const struct plan_table *t);

/*
 * Calls fn for every chunk of a table (or of all: table -1), in order of table, range, route, from.
 * No lock is held meanwhile; the registry must not change.
 */
struct registry_entry {
	struct chunk chunk;
	bool on_disk, loaded;
	bool found; /* on disk before this process: its bytes were not checked yet */
};
int registry_each(struct registry *r, int table,
		  int (*fn)(void *ctx, struct registry_entry *entry, struct err *e), void *ctx,
		  struct err *e) MUST_CHECK;

UNUSED static inline void auto_registry(struct registry **r)
{
	registry_free(*r);
}

#endif
