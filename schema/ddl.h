/*
 * ddl - the schema phases of a run: pre-data before the load, the rest after it.
 *
 * Applied by our own sessions in transactions of at most DDL_BATCH entries, each with its ledger
 * rows, so that a kill between two entries resumes after the last. What exists in the target is
 * left as it is ("present"); what cannot or must not be carried is "left out", with its reason.
 * Tables that were there before the run keep their own indexes, constraints and triggers.
 *
 * THREADS	ddl_early_start(), ddl_post_data() and ddl_vacuum() start their own sessions and
 * threads; the others run in the caller's.
 */
#ifndef SCHEMA_DDL_H
#define SCHEMA_DDL_H

#include "common/event.h"
#include "schema/archive.h"
#include "schema/ledger.h"

#include <pthread.h>

#define DDL_BATCH 200

/*
 * A connection between two steps of one thread after another: to connect takes a server far away
 * longer than most steps. Any thread; closed before several sessions begin. NULL-safe.
 */
struct ddl_spare {
	pthread_mutex_t lock;
	struct pg *pg;
};

void ddl_spare_init(struct ddl_spare *spare);
void ddl_spare_drop(struct ddl_spare *spare); /* closes it; a new one may be kept afterwards */

struct ddl {
	const struct conn *target;
	const char *run;
	int64_t generation;
	struct stop *stop;
	struct events *events;   /* may be NULL */
	int jobs;                /* sessions of the post-data phase, at least 1 */
	struct ddl_spare *spare; /* may be NULL */
	/* For display; may be NULL. done of total; what is being built now. */
	void (*progress)(void *ctx, const char *phase, int done, int total, const char *now);
	void *progress_ctx;
};

/* Extensions, schemas, types, functions, tables, sequences, defaults, views. */
int ddl_pre_data(const struct ddl *d, const struct archive *a, struct err *e) MUST_CHECK;

/*
 * Foreign keys and non-unique indexes of the named tables (qualified, quoted) that were there
 * before the run are set aside, and user triggers disabled: definition and mark in one transaction
 * with the change. Idempotent. What cannot be dropped stays, with the reason in an event. Indexes
 * and foreign keys of partitioned tables go only if the list has the root or all leaves. What it
 * has set aside once is not set aside again, also where it was restored since.
 */
int ddl_set_aside(const struct ddl *d, const char *const *tables, int n, struct err *e) MUST_CHECK;

/*
 * Indexes, constraints and foreign keys that can be had while other tables are still loaded, of the
 * archive (may be NULL) and of what was set aside: a table's indexes from ddl_early_loaded() on, a
 * foreign key when both its tables are. One session for B-trees and the like, without workers;
 * vector indexes one at a time with all workers. The ledger gets a row an object, as later.
 *
 * on_failure is called (from a thread) when one cannot be built; ddl_early_end() has the error
 * then. loaded: everything is, wait until all is built; else: cancel, and the error is that of
 * before, if there was one. It frees; x may be NULL.
 */
struct ddl_early;
int ddl_early_start(struct ddl_early **ret, const struct ddl *d, const struct archive *a,
		    void (*on_failure)(void *ctx), void *ctx, struct err *e) MUST_CHECK;
/* qname: the target's table, as "schema"."name", once all its rows are committed. Any thread. */
void ddl_early_loaded(struct ddl_early *x, const char *qname, uint64_t bytes);
int ddl_early_end(struct ddl_early *x, bool loaded, struct err *e) MUST_CHECK;

/*
 * Foreign keys that the run has added or restored are dropped again, as if they had never been:
 * before rows are withdrawn, or loaded into tables that were complete.
 */
int ddl_take_back_foreign(const struct ddl *d, const struct archive *a, struct err *e) MUST_CHECK;

/*
 * Indexes and constraints (several sessions, one table at a time each; HNSW alone with memory and
 * workers) and foreign keys NOT VALID + VALIDATE, as far as ddl_early has not made them, then all
 * other post-data in order; then what was set aside. Retries what the target's absence interrupted.
 */
int ddl_post_data(const struct ddl *d, const struct archive *a, struct err *e) MUST_CHECK;
int ddl_restore_aside(const struct ddl *d, struct err *e) MUST_CHECK;

/*
 * REFRESH MATERIALIZED VIEW, in dependency order, of those the archive carried, each once a run.
 * One that the role may not refresh is reported by an event.
 */
int ddl_refresh_views(const struct ddl *d, const struct archive *a, struct err *e) MUST_CHECK;
/* VACUUM (ANALYZE) of the named tables; partition roots, also those above them, get ANALYZE. */
int ddl_vacuum(const struct ddl *d, const char *const *tables, int n, struct err *e) MUST_CHECK;

/*
 * Sequence values: read in the source (after the snapshot) into JSON, an array of {schema, name,
 * last_value, is_called}; set in the target from it. A sequence of the target that is already
 * further (it was in use before the run) is left; one that is not there is skipped; both with an
 * event.
 */
int ddl_read_sequences(struct pg *source, json_t **ret, struct err *e) MUST_CHECK;
int ddl_set_sequences(const struct ddl *d, const json_t *values, struct err *e) MUST_CHECK;

/*
 * What `abort` would remove: objects the run created, newest first, as JSON array of
 * {type, name, sql}; ddl_drop_created() runs it in transactions of at most DDL_BATCH objects with
 * the ledger rows, so it can be called again. Never CASCADE: where something else depends on an
 * object, it stays and the error says what hinders.
 */
int ddl_list_created(struct pg *target, const char *run, json_t **ret, struct err *e) MUST_CHECK;
int ddl_drop_created(struct pg *target, const char *run, struct err *e) MUST_CHECK;

#endif
