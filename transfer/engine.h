/*
 * engine - the copy itself: readers, collection workers, senders, and how they end.
 *
 *   reader --chunk--> [queue] --> worker --spill--> [outbox] --> sender --> target
 *
 * A reader takes one range after the other and routes each row to the open chunk of its route. A
 * sealed chunk goes to the worker of its route, which puts it on disk, and from there to whichever
 * sender is free.
 *
 * MEMORY	Open chunks are at most jobs * routes * chunk_limit; a sender that reads a chunk back
 *		holds one chunk_limit, and only one at a time reads back a row that is larger; sealed
 *		chunks in memory are charged to the budget. The three are sized to stay within --memory
 *		together.
 * THREADS	jobs + workers + senders, started and joined by engine_run(). The first error wins; the
 *		others end as ERR_STOPPED.
 * END		On an error or STOP_DRAIN readers stop after the row they are at, sealed chunks reach the
 *		spill, chunks in flight have 10 s to finish; then, or on STOP_NOW, every wait returns.
 */
#ifndef TRANSFER_ENGINE_H
#define TRANSFER_ENGINE_H

#include "common/event.h"
#include "transfer/outbox.h"
#include "transfer/plan.h"
#include "transfer/progress.h"
#include "transfer/registry.h"

#include <pthread.h>

struct engine {
	/* given */
	const struct run_settings *settings;
	const struct plan *plan;
	const char *run, *spill_dir;
	int64_t generation;
	const struct conn *source, *target; /* source NULL: load from the spill only */
	struct stop *stop; /* the engine's own: an error asks it to end the threads */
	struct events *events;
	struct progress *progress;
	struct registry *known;
	/* Called in engine_run()'s thread when readers and workers are done; may be NULL. */
	void (*captured)(void *ctx);
	/* Called in a sender's thread after each chunk that arrived, with its table; may be NULL. */
	void (*loaded)(void *ctx, int table);
	void *ctx; /* of both */
	/* the engine's own */
	struct budget *budget;
	struct shelf *shelf; /* buffers of chunk_limit bytes */
	struct outbox *outbox;
	struct queue **to_worker;
	uint64_t chunk_limit, keep_limit;
	int *line_of; /* progress line of route 0 of each table */
	struct engine_range *ranges;
	int n_ranges;
	_Atomic int next_range;
	pthread_mutex_t
		large; /* held by the one sender that reads back a row larger than a chunk */
	_Atomic bool disk_was_full; /* or the spill limit was reached */
	pthread_mutex_t mu; /* first, failed */
	struct err first;
	bool failed;
	uint64_t drain_until; /* main thread only */
	_Atomic bool snapshot_lost; /* readers could not import it any more */
};

struct engine_range {
	int table, range;
};

/*
 * Reads what is missing and sends what is not loaded. After 0 there may be gaps again, where a spill
 * file turned out damaged: look at the registry and run again. On -1: snapshot_lost says that a new
 * snapshot is needed; everything that was captured is on disk or loaded.
 */
int engine_run(struct engine *g, struct err *e) MUST_CHECK;

/* The first error of a thread; the others are told to end. */
void engine_fail(struct engine *g, const struct err *e);
struct progress_line *engine_line(struct engine *g, int table, int route);

/* Thread bodies; each returns 0, or -1 with *e. */
int reader_main(struct engine *g, int no, struct err *e) MUST_CHECK;
int worker_main(struct engine *g, int no, struct err *e) MUST_CHECK;
int sender_main(struct engine *g, int no, struct err *e) MUST_CHECK;

/* A sealed chunk for its worker; waits for room in the budget. Takes the chunk over in any case. */
int engine_pass_on(struct engine *g, struct chunk *c, struct err *e) MUST_CHECK;

#endif
