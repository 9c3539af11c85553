/*
 * runpriv - what the files of a run share; nobody else includes it.
 */
#ifndef TRANSFER_RUNPRIV_H
#define TRANSFER_RUNPRIV_H

#include "schema/ddl.h"
#include "transfer/engine.h"
#include "transfer/holder.h"
#include "transfer/rundir.h"

#define RUN_MAX_ROUNDS 20

struct run {
	struct rundir dir;
	const struct conn *source, *target; /* borrowed */
	struct run_settings settings;
	struct events *events;
	struct progress progress;
	struct stop stop;
	struct stop
		*watched; /* by sessions and waits: &stop, or the caller's where nothing is moved */
	struct stop
		engine_stops[RUN_MAX_ROUNDS]; /* one a round; kept until the end, see run_stop() */
	_Atomic int rounds;
	/* while it works */
	struct pg *target_pg, *source_pg;
	struct catalog *source_catalog, *target_catalog;
	struct archive *archive;
	struct plan *plan;
	struct registry *known;
	struct holder_info holder;
	int64_t generation;
	struct ddl_spare spare;
	struct run_index *index; /* what is built while tables are loaded, or NULL */
	bool owns_lists;         /* the lists of the settings are ours, not the caller's */
	bool is_new, written, had_source;
	json_t *facts;
};

/* --- runsettings.c --- */
void run_fill_defaults(struct run_settings *s);
/* Who the run is and what it keeps; no password. New reference, NULL without memory. */
json_t *run_identity_json(const struct conn *source, const struct conn *target,
			  const struct run_settings *s);
/* The folder's settings into r->settings; lists borrow from the identity. */
int run_take_identity(struct run *r, struct err *e) MUST_CHECK;
/* ERR_RESUME where the key given now is not the one that the run was begun with. */
int run_check_key(const struct run *r, struct err *e) MUST_CHECK;
/* ERR_USAGE where `wanted` (an identity) differs in what a run must keep. */
int run_refuse_other_settings(const struct run *r, const json_t *wanted, struct err *e) MUST_CHECK;

/* A run without folder or lock, for looking only. */
int run_new_for_plan(struct run **ret, const struct conn *source, const struct conn *target,
		     const struct run_settings *s, struct err *e) MUST_CHECK;

/* --- runsteps.c: connecting, the ledger, the schema --- */
int run_open_target(struct run *r, struct err *e) MUST_CHECK;
int run_open_source(struct run *r, struct err *e) MUST_CHECK;
int run_refuse_same_database(struct run *r, struct err *e) MUST_CHECK;
int run_enter_ledger(struct run *r, struct err *e) MUST_CHECK;
/* The control session again where it was lost in the meantime. */
int run_renew_target(struct run *r, struct err *e) MUST_CHECK;
struct ddl run_ddl(struct run *r);
void run_fact(struct run *r, const char *key, json_t *value);
void run_phase(struct run *r, enum phase phase);

/* True once the ledger has schema entries of this run. */
int run_has_objects(struct run *r, bool *ret, struct err *e) MUST_CHECK;

/* --- runknown.c --- */
/* Known chunks from the spill folder and the ledger. */
int run_read_known(struct run *r, struct err *e) MUST_CHECK;

/* False where a file of an earlier process turned out damaged: its chunk is not known any more. */
bool run_found_is_whole(struct run *r);

/* --- runsnapshot.c --- */
/* A new holder; source_pg in a transaction with its snapshot, source_catalog as it shows it. */
int run_take_snapshot(struct run *r, struct err *e) MUST_CHECK;
/* The snapshot again: the living holder's, or a new one with every chunk proven. */
int run_find_snapshot(struct run *r, struct err *e) MUST_CHECK;

/* --- runcapture.c --- */
/*
 * The source's transaction with the run's snapshot; plan, archive and sequences on disk. Where
 * there is a plan already: the run is taken over in the ledger, and goes on with what it has.
 */
int run_begin_capture(struct run *r, struct err *e) MUST_CHECK;
/* What columns that become halfvec lose, into the plan; refuses: one that cannot is ERR_REFUSED. */
int run_measure_losses(struct run *r, bool refuses, struct err *e) MUST_CHECK;
int run_read_target_catalog(struct run *r, struct err *e) MUST_CHECK;
/* Rows that the target holds already, and what other runs left there: existing_check(). Writes nothing. */
int run_check_existing(struct run *r, struct err *e) MUST_CHECK;
int run_save_sequences(struct run *r, struct err *e) MUST_CHECK;
/* Which database the source is: what is copied must be of one. Size as of plan.source_id. */
void run_source_id(const struct run *r, char *buf, size_t size);
void run_unmark_complete(struct run *r);
bool run_capture_is_complete(struct run *r);
int run_mark_complete(struct run *r, struct err *e) MUST_CHECK;
int run_read_catalog(struct run *r, struct pg *pg, bool filtered, struct catalog **ret,
		     struct err *e) MUST_CHECK;

/* --- runindex.c: indexes and foreign keys while other tables are loaded --- */
/* Before the copy. Where an index cannot be built, the copy's present round is asked to end. */
int run_index_start(struct run *r, struct err *e) MUST_CHECK;
/* A chunk of a table of the plan arrived. Any thread. */
void run_index_loaded(struct run *r, int table);
/* loaded: waits for the rest of them; else cancels, with the error of before if there was one. */
int run_index_end(struct run *r, bool loaded, struct err *e) MUST_CHECK;

/* --- runblobs.c: large objects; nothing is done where only some tables are moved --- */
/* Into the run folder, from the source's transaction. */
int run_capture_blobs(struct run *r, struct err *e) MUST_CHECK;
/* Again, where the folder's list of them is gone and the source's transaction has the run's snapshot. */
int run_renew_blobs(struct run *r, struct err *e) MUST_CHECK;
int run_check_blobs(struct run *r, struct err *e) MUST_CHECK;
int run_load_blobs(struct run *r, struct err *e) MUST_CHECK;
/* *ret_unproven: how many are not in the target as they were captured. */
int run_prove_blobs(struct run *r, int64_t *ret_unproven, struct err *e) MUST_CHECK;

#endif
