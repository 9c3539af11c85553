/*
 * run - one transfer, from the first connection to the last index; resumable at every moment.
 *
 *   run_create() or run_load()     the folder, the identity, the lock
 *   run_transfer()                 schema, snapshot, capture, load, indexes, sequences
 *   run_vacuum()                   statistics and visibility of what was loaded
 *   run_results()                  what was sent, table by table, for the proof (verify/ judges)
 *   run_finish()                   marks it done or stopped, releases holder and lock
 *
 * All that a resume needs is in the run folder and in the target's ledger. Passwords are in neither.
 *
 * FOLDER	run.json identity and settings; plan.N.json; schema.dump; spill/; sequences.json;
 *		holder.json; complete; events.jsonl; summary.json; run.lock
 * OWNER	run_free(). One run, one process: a second one on the same folder is refused.
 * THREADS	The public functions from one thread, but run_vacuum() may have one of its own while the others
 *		judge the run; run_stop() from any, also a signal handler.
 */
#ifndef TRANSFER_RUN_H
#define TRANSFER_RUN_H

#include "common/conn.h"
#include "common/event.h"
#include "common/tally.h"
#include "transfer/progress.h"
#include "transfer/seal.h"

enum run_spill { RUN_SPILL_ALWAYS, RUN_SPILL_OVERFLOW, RUN_SPILL_NONE };
enum run_existing { RUN_EXISTING_REFUSE, RUN_EXISTING_TRUNCATE, RUN_EXISTING_APPEND };
enum run_format { RUN_FORMAT_AUTO, RUN_FORMAT_BINARY, RUN_FORMAT_TEXT };

/* Borrowed strings; filled by cli/. Zero means: the default. */
struct run_settings {
	int jobs;	       /* sessions that read the source */
	int workers;	       /* collection workers */
	int senders;	       /* sessions that write the target */
	uint64_t chunk_size;   /* bytes */
	uint64_t memory;       /* bytes */
	enum run_spill spill;
	uint64_t spill_limit;  /* bytes, 0: none */
	const struct seal_key *spill_key; /* borrowed; NULL: what lies in the run folder is readable */
	uint64_t snapshot_ttl_ms;
	enum run_existing existing;
	enum run_format format;
	bool schema, data;     /* which halves are wanted; both normally */
	bool post;	       /* indexes, constraints, sequences, vacuum after the data */
	bool keep_indexes, no_recapture, allow_unlogged;
	const struct conn *pooler; /* the target's, where rows go through it; NULL: directly */
	const char *const *tables; int n_tables;	   /* --table */
	const char *const *excluded; int n_excluded;	   /* --exclude-table */
	const char *const *collections; int n_collections; /* --collection: only these */
	const char *const *collection_columns; int n_collection_columns; /* "table=column" */
	const char *const *halfvec;
	int n_halfvec; /* --halfvec: "table.column" that becomes halfvec */
};

/* Proven or not: what the stream was, for one table (a partitioned tree is one entry, its root). */
struct run_collection_result {
	char *name; /* NULL: rows without a collection */
	struct tally stream;
	uint64_t counted;
};

struct run_table_result {
	char *schema, *name, *collection_column;
	bool already_there; /* digest was equal before the run: skipped */
	bool only_collections; /* --collection: only the listed ones were moved and are proven */
	bool binary;
	char *not_binary_why;
	const char **columns; /* those that were sent; the target may have more */
	int n_columns;
	struct tally stream, before;
	uint64_t counted;
	uint64_t bytes; /* as sent */
	int n_collections;
	struct run_collection_result *collections;
};

struct run_results {
	int n_tables;
	struct run_table_result *tables;
	json_t *left_out; /* array of {what, name, why}: never silent */
	json_t *facts;    /* versions, snapshot, LSNs, timings per phase, retries, ... */
	int64_t large_objects_unproven;
};

struct run;

/*
 * A new run in dir (made if missing; a folder that holds a run of other databases is ERR_USAGE; one
 * that holds this run is loaded: `run` again goes on). dir NULL: ./neonferry-runs/<name>.
 */
int run_create(struct run **ret, const char *dir, const struct conn *source,
	       const struct conn *target, const struct run_settings *s, struct events *events,
	       struct err *e) MUST_CHECK;

/*
 * An existing run by folder or name. source may be NULL where the capture is complete. The key is
 * looked at by run_transfer(): without the right one the run is refused before anything is touched.
 */
int run_load(struct run **ret, const char *dir, const struct conn *source, const struct conn *target,
	     const struct run_settings *s, struct events *events, struct err *e) MUST_CHECK;
void run_free(struct run *r);

const char *run_name(const struct run *r);
const char *run_dir(const struct run *r);
const char *run_spill_mode(const struct run *r); /* "always": what it was begun with, and keeps */
struct progress *run_progress(struct run *r);

int run_transfer(struct run *r, struct err *e) MUST_CHECK;
/* After run_transfer(), of a run with indexes and rows; else nothing. Done again by a resume. */
int run_vacuum(struct run *r, struct err *e) MUST_CHECK;
/* True once the run changed anything in the target: an error before is "refused", after "stopped". */
bool run_has_written(const struct run *r);
int run_results(struct run *r, struct run_results **ret, struct err *e) MUST_CHECK;
void run_results_free(struct run_results *res);
/*
 * Once all is proven nothing is read from the spill any more; a resume does without it, for every chunk is
 * in the ledger. Removing gigabytes takes its time: any thread, beside the report.
 */
int run_drop_spill(struct run *r, struct err *e) MUST_CHECK;
/* proven: the verdict of verify/, kept in ledger and folder. */
int run_finish(struct run *r, bool proven, const json_t *summary, struct err *e) MUST_CHECK;

void run_stop(struct run *r, enum stop_level level);

/* --- looking at a run without taking it (status, plan) --- */

/* State of a run folder as JSON: phase, holder, plan, chunks, spill, last events. No server needed. */
int run_status(const char *dir, json_t **ret, struct err *e) MUST_CHECK;

/* What would be done: tables, collections, formats with reasons, sizes, refusals. Writes nothing. */
int run_plan_only(const struct conn *source, const struct conn *target,
		  const struct run_settings *s, struct stop *stop, json_t **ret, struct err *e)
	MUST_CHECK;

/*
 * What abort would remove (array of {type, name, rows}); then removing it. *ret_written, also of
 * run_forget(): set to true once something may have been changed.
 */
int run_abort_list(const char *dir, const struct conn *target, json_t **ret, struct err *e)
	MUST_CHECK;
int run_abort(const char *dir, const struct conn *target, bool keep_data, bool *ret_written,
	      struct err *e) MUST_CHECK;
/*
 * Ledger rows and folder of a finished run. ERR_REFUSED: it is not finished, and the ledger alone
 * knows what it has set aside.
 */
int run_forget(const char *dir, const struct conn *target, bool *ret_written,
	       struct err *e) MUST_CHECK;

#endif
