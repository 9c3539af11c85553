/*
 * progress - how far a run is, for whoever shows it.
 *
 * Plain counters, written with relaxed atomics by the threads of the run, read at any time by the
 * display. Totals are known from the plan; zero while unknown.
 *
 * THREADS	any.
 */
#ifndef TRANSFER_PROGRESS_H
#define TRANSFER_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

enum phase {
	PHASE_CONNECT, PHASE_SCHEMA, PHASE_PLAN, PHASE_COPY, PHASE_INDEX, PHASE_FINISH, PHASE_PROOF,
	PHASE_DONE,
};

/* One line of the display: a table, or one collection route of a divided table. */
struct progress_line {
	char name[128];
	uint64_t rows_total, bytes_total;	 /* estimates from the plan */
	_Atomic uint64_t rows_read, bytes_read;	 /* captured */
	_Atomic uint64_t rows_loaded, bytes_loaded; /* committed in the target, resumed ones too */
};

struct progress {
	_Atomic int phase; /* enum phase */
	uint64_t started_ms;
	int n_lines;
	struct progress_line *lines; /* fixed after the plan; set before n_lines is published */
	_Atomic uint64_t rows_total, bytes_total, rows_read, bytes_read, rows_loaded, bytes_loaded;
	_Atomic uint64_t bytes_sent;	   /* COPY bytes put on the wire in this process */
	_Atomic uint64_t spill_bytes;	   /* in files now; --spill-limit bounds it */
	_Atomic uint64_t spill_files;
	_Atomic uint64_t memory_used;	   /* of the budget */
	_Atomic uint64_t chunks_loaded, chunks_total_known;
	_Atomic uint64_t retries;
	_Atomic int waiting;		   /* threads that wait for a server to come back */
	/* objects in the schema, index and proof phases; beside the copy, indexes */
	_Atomic int step_done, step_total;
};

#endif
