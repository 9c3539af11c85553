/* run - making, finding and ending a run; the order of its phases. */
#include "transfer/runpriv.h"

#include "common/clock.h"
#include "common/file.h"
#include "transfer/existing.h"
#include "transfer/spill.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often the run goes on by itself after a server was away, without having loaded anything since. */
#define GO_ON_ATTEMPTS 6

/* --- making and finding --- */

static int new_run(struct run **ret, const struct conn *source, const struct conn *target,
		   const struct run_settings *s, struct events *events, struct err *e)
{
	struct run *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(e);
	r->dir.lock_fd = -1;
	r->source = source;
	r->target = target;
	r->settings = *s;
	r->events = events;
	run_fill_defaults(&r->settings);
	r->facts = json_object();
	r->progress.started_ms = clock_ms();
	r->watched = &r->stop;
	ddl_spare_init(&r->spare);
	if (!r->facts || stop_init(&r->stop, e) < 0) {
		json_decref(r->facts);
		free(r);
		return e->kind == ERR_NONE ? err_nomem(e) : -1;
	}
	*ret = r;
	return 0;
}

int run_new_for_plan(struct run **ret, const struct conn *source, const struct conn *target,
		     const struct run_settings *s, struct err *e)
{
	return new_run(ret, source, target, s, NULL, e);
}

void run_free(struct run *r)
{
	if (!r)
		return;
	ddl_spare_drop(&r->spare);
	pthread_mutex_destroy(&r->spare.lock);
	pg_close(r->target_pg);
	pg_close(r->source_pg);
	catalog_free(r->source_catalog);
	catalog_free(r->target_catalog);
	archive_free(r->archive);
	plan_free(r->plan);
	registry_free(r->known);
	free(r->progress.lines);
	json_decref(r->facts);
	for (int i = 0; i < r->rounds; i++)
		stop_done(&r->engine_stops[i]);
	stop_done(&r->stop);
	if (r->owns_lists) {
		free((void *)(uintptr_t)r->settings.tables);
		free((void *)(uintptr_t)r->settings.excluded);
		free((void *)(uintptr_t)r->settings.collections);
		free((void *)(uintptr_t)r->settings.collection_columns);
		free((void *)(uintptr_t)r->settings.halfvec);
	}
	rundir_done(&r->dir);
	free(r);
}

static int log_to_folder(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "events.jsonl");

	if (!path)
		return err_nomem(e);
	return r->events ? events_log_to(r->events, path, e) : 0;
}

/*
 * The folder's run must be between these two databases: by user, host, port and database, for the
 * other settings may come from elsewhere this time.
 */
static int check_end(const struct run *r, const struct conn *now, const char *key, struct err *e)
{
	const char *then = json_string_value(json_object_get(r->dir.identity, key));
	AUTO(conn) struct conn *c = NULL;
	struct err ignored = ERR_INIT;

	if (!now || (then && conn_parse(&c, conn_role(now), then, &ignored) == 0 &&
		     strcmp(conn_label(c), conn_label(now)) == 0))
		return 0;
	err_set(e, ERR_USAGE,
		"the run folder %s holds a run between other databases: its %s is %s, not %s",
		r->dir.path, key, c ? conn_label(c) : "unknown", conn_label(now));
	return err_hint(e, "name a new folder with --run-dir, or the databases of that run");
}

static int check_ends(const struct run *r, struct err *e)
{
	return check_end(r, r->source, "source", e) < 0 ? -1 : check_end(r, r->target, "target", e);
}

int run_load(struct run **ret, const char *dir, const struct conn *source, const struct conn *target,
	     const struct run_settings *s, struct events *events, struct err *e)
{
	struct run *r = NULL;

	if (new_run(&r, source, target, s, events, e) < 0)
		return -1;
	if (rundir_open(&r->dir, dir, e) < 0 || run_take_identity(r, e) < 0 || check_ends(r, e) < 0 ||
	    rundir_lock(&r->dir, e) < 0 || log_to_folder(r, e) < 0) {
		run_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

/*
 * The same folder again goes on with the run in it. As long as nothing was planned (a refusal, say),
 * the settings given now count; after that they must be those it was begun with.
 */
static int join_run(struct run **ret, const char *dir, const struct conn *source,
		    const struct conn *target, const struct run_settings *s, struct events *events,
		    struct err *e)
{
	struct run_settings filled = *s;
	struct run *r = NULL;
	json_t *wanted;
	int rc;

	if (run_load(&r, dir, source, target, s, events, e) < 0)
		return -1;
	run_fill_defaults(&filled);
	wanted = run_identity_json(source, target, &filled);
	if (!wanted)
		rc = err_nomem(e);
	else if (plan_newest(r->dir.path) == 0)
		rc = rundir_renew(&r->dir, wanted, e);
	else
		rc = run_refuse_other_settings(r, wanted, e);
	json_decref(wanted);
	run_free(r);
	return rc < 0 ? -1 : run_load(ret, dir, source, target, s, events, e);
}

int run_create(struct run **ret, const char *dir, const struct conn *source,
	       const struct conn *target, const struct run_settings *s, struct events *events,
	       struct err *e)
{
	struct run *r = NULL;
	json_t *identity;
	int rc;

	if (dir && rundir_is_run(dir))
		return join_run(ret, dir, source, target, s, events, e);
	if (new_run(&r, source, target, s, events, e) < 0)
		return -1;
	identity = run_identity_json(source, target, &r->settings);
	rc = identity ? rundir_create(&r->dir, dir, identity, e) : err_nomem(e);
	json_decref(identity);
	if (rc < 0 || run_take_identity(r, e) < 0 || log_to_folder(r, e) < 0) {
		run_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

const char *run_name(const struct run *r)
{
	return r->dir.name;
}

const char *run_dir(const struct run *r)
{
	return r->dir.path;
}

const char *run_spill_mode(const struct run *r)
{
	const char *mode = json_string_value(json_object_get(r->dir.identity, "spill"));

	return mode ? mode : "always";
}

struct progress *run_progress(struct run *r)
{
	return &r->progress;
}

bool run_has_written(const struct run *r)
{
	return r->written;
}

/* From a signal handler too: the stops of all rounds stay valid until run_free(). */
void run_stop(struct run *r, enum stop_level level)
{
	int n = atomic_load(&r->rounds);

	stop_ask(&r->stop, level);
	for (int i = 0; i < n; i++)
		stop_ask(&r->engine_stops[i], level);
}

/* --- the phases --- */

/* The source is released as soon as everything is on disk (or in the target): not after the load. */
static void release_source(void *ctx)
{
	struct run *r = ctx;
	struct err e = ERR_INIT;
	bool complete = false;

	if (registry_is_complete(r->known, r->plan, -1, &complete, &e) < 0 || !complete ||
	    (!run_capture_is_complete(r) && !run_found_is_whole(r)))
		return;
	/* A sender may have put a damaged file aside just before it would have been looked at. */
	if (registry_is_complete(r->known, r->plan, -1, &complete, &e) < 0 || !complete)
		return;
	if (run_mark_complete(r, &e) == 0)
		holder_release(r->dir.path);
	else
		event_emit(r->events, EVENT_WARNING, "capture.unmarked", NULL, "%s", e.text);
}

static void table_loaded(void *ctx, int table)
{
	run_index_loaded(ctx, table);
}

/* One pass of the engine over what is left; *ret_lost: the snapshot cannot be imported any more. */
static int copy_once(struct run *r, bool *ret_lost, struct err *e)
{
	int n = atomic_load(&r->rounds);
	struct engine g = {
		.settings = &r->settings, .plan = r->plan, .run = r->dir.name, .spill_dir = r->dir.spill,
		.generation = r->generation, .source = r->source, .target = r->target,
		.stop = &r->engine_stops[n], .events = r->events, .progress = &r->progress,
		.known = r->known, .captured = release_source, .loaded = table_loaded, .ctx = r,
	};
	int rc;

	if (n + 1 >= RUN_MAX_ROUNDS)
		return err_set(e, ERR_SOURCE, "the copy was interrupted %d times; giving up", n);
	if (stop_init(&r->engine_stops[n], e) < 0)
		return -1;
	atomic_store(&r->rounds, n + 1);
	if (stop_level(&r->stop) != STOP_NO)
		return stop_err(e);
	if (run_index_start(r, e) < 0)
		return -1;
	rc = engine_run(&g, e);
	*ret_lost = rc < 0 && atomic_load(&g.snapshot_lost) && stop_level(&r->stop) == STOP_NO;
	return rc;
}

/* *ret_complete is false where a lost snapshot or a damaged spill file left something to read. */
static int copy_round(struct run *r, bool *ret_complete, struct err *e)
{
	bool lost = false;

	*ret_complete = false;
	if (copy_once(r, &lost, e) == 0) {
		if (registry_is_complete(r->known, r->plan, -1, ret_complete, e) < 0)
			return -1;
		if (!*ret_complete)
			event_emit(r->events, EVENT_NOTICE, "copy.again", NULL,
				   "some rows must be read again");
		return 0;
	}
	if (!lost)
		return -1;
	event_emit(r->events, EVENT_WARNING, "snapshot.lost", NULL, "the snapshot was lost: %s", e->text);
	*e = ERR_INIT;
	return 0;
}

static int each_table(struct run *r, const char ***ret, int *ret_n, struct err *e)
{
	const char **names = calloc(r->plan ? (size_t)r->plan->n_tables + 1 : 1, sizeof(*names));
	int n = 0;

	if (!names)
		return err_nomem(e);
	for (int i = 0; r->plan && i < r->plan->n_tables; i++)
		if (!r->plan->tables[i].already_there)
			names[n++] = r->plan->tables[i].target_qname;
	*ret = names;
	*ret_n = n;
	return 0;
}

static int set_sequences(struct run *r, const struct ddl *d, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "sequences.json");
	json_t *values = NULL;
	int rc;

	if (!path)
		return err_nomem(e);
	if (file_read_json(path, &values, e) < 0)
		return err_note(e, "reading the sequence values");
	rc = ddl_set_sequences(d, values, e);
	json_decref(values);
	return rc;
}

static int post_phases(struct run *r, struct err *e)
{
	struct ddl d = run_ddl(r);

	if (!r->settings.data)
		run_phase(r, PHASE_INDEX);
	if (r->archive && ddl_post_data(&d, r->archive, e) < 0)
		return -1;
	if (ddl_restore_aside(&d, e) < 0)
		return -1;
	run_phase(r, PHASE_FINISH);
	if (!r->settings.data)
		return 0;
	if (set_sequences(r, &d, e) < 0)
		return -1;
	return r->archive ? ddl_refresh_views(&d, r->archive, e) : 0;
}

int run_vacuum(struct run *r, struct err *e)
{
	struct ddl d = run_ddl(r);
	AUTO(free) const char **names = NULL;
	int n = 0;

	if (!r->settings.post || !r->settings.data)
		return 0;
	if (each_table(r, &names, &n, e) < 0)
		return -1;
	return ddl_vacuum(&d, names, n, e);
}

/* `copy` has no later phases, but what it set aside for the load must come back. */
static int restore_aside(struct run *r, struct err *e)
{
	struct ddl d = run_ddl(r);

	return r->settings.data && !r->settings.keep_indexes ? ddl_restore_aside(&d, e) : 0;
}

static int set_aside(struct run *r, struct err *e)
{
	struct ddl d = run_ddl(r);
	AUTO(free) const char **names = NULL;
	int n = 0;

	if (r->settings.keep_indexes)
		return 0;
	if (each_table(r, &names, &n, e) < 0)
		return -1;
	return ddl_set_aside(&d, names, n, e);
}

static int prepare_existing(struct run *r, struct err *e)
{
	struct existing x = { .target = r->target_pg, .source = r->source_pg,
			      .catalog = r->target_catalog, .run = r->dir.name,
			      .generation = r->generation, .settings = &r->settings,
			      .events = r->events };
	json_t *relations = NULL;
	int rc;

	if (ledger_rows(r->target_pg, r->dir.name, "relation", &relations, e) < 0)
		return -1;
	rc = existing_prepare(&x, r->plan, relations, e);
	json_decref(relations);
	return rc;
}

/* The control session may have been lost while the copy went on for hours. */
int run_renew_target(struct run *r, struct err *e)
{
	if (r->target_pg && pg_is_alive(r->target_pg)) {
		struct err tried = ERR_INIT;

		if (pg_exec(r->target_pg, "SELECT 1", &tried) == 0)
			return 0;
	}
	pg_close(r->target_pg);
	r->target_pg = NULL;
	return run_open_target(r, e);
}

/* Without a plan on disk nothing of a snapshot is worth keeping: the next try takes a new one. */
static int begin(struct run *r, struct err *e)
{
	if (run_open_target(r, e) == 0 && run_begin_capture(r, e) == 0)
		return 0;
	if (plan_newest(r->dir.path) == 0)
		holder_release(r->dir.path);
	return -1;
}

/* All that a new process would not have: what goes on by itself is a resume, and nothing else. */
static void forget(struct run *r)
{
	struct progress *p = &r->progress;

	pg_close(GIVE(&r->target_pg));
	pg_close(GIVE(&r->source_pg));
	catalog_free(GIVE(&r->source_catalog));
	catalog_free(GIVE(&r->target_catalog));
	archive_free(GIVE(&r->archive));
	plan_free(GIVE(&r->plan));
	registry_free(GIVE(&r->known));
	atomic_store(&p->rows_loaded, 0);
	atomic_store(&p->bytes_loaded, 0);
	atomic_store(&p->chunks_loaded, 0);
	atomic_store(&p->spill_bytes, 0);
	atomic_store(&p->spill_files, 0);
}

static int note_unloaded(void *ctx, struct registry_entry *entry, struct err *e)
{
	bool *all = ctx;

	(void)e;
	*all &= entry->loaded;
	return 0;
}

/* Indexes that were set aside may be on their way back already, once everything is loaded. */
static int set_aside_for_load(struct run *r, struct err *e)
{
	bool complete = false, all = true;

	if (registry_is_complete(r->known, r->plan, -1, &complete, e) < 0 ||
	    registry_each(r->known, -1, note_unloaded, &all, e) < 0)
		return -1;
	return complete && all ? 0 : set_aside(r, e);
}

static int prepare_copy(struct run *r, struct err *e)
{
	if (run_read_known(r, e) < 0 || set_aside_for_load(r, e) < 0 || prepare_existing(r, e) < 0)
		return -1;
	/* Reading sessions have the snapshot on their own; this one must not outlive its use. */
	pg_close(GIVE(&r->source_pg));
	return 0;
}

static int copy_phase(struct run *r, struct err *e)
{
	for (;;) {
		bool complete = false;

		if (prepare_copy(r, e) < 0)
			return -1;
		ddl_spare_drop(&r->spare); /* for hours, maybe */
		run_phase(r, PHASE_COPY);
		if (copy_round(r, &complete, e) < 0)
			return -1;
		if (complete)
			break;
		if (run_index_end(r, false, e) < 0)
			return -1;
		forget(r);
		if (begin(r, e) < 0)
			return -1;
	}
	if (run_mark_complete(r, e) < 0 || run_load_blobs(r, e) < 0)
		return -1;
	holder_release(r->dir.path);
	return 0;
}

/* What was begun beside the copy goes on; the ledger's row is free when its transactions have ended. */
static int finish_early(struct run *r, struct err *e)
{
	if (r->settings.post)
		run_phase(r, PHASE_INDEX);
	if (run_index_end(r, true, e) < 0 || run_renew_target(r, e) < 0)
		return -1;
	return ledger_set_state(r->target_pg, r->dir.name, r->generation, "loaded", e);
}

/* The cause, where the copy ended because an index could not be built, or the other way round. */
static int copy_data(struct run *r, struct err *e)
{
	struct err index = ERR_INIT;

	if (copy_phase(r, e) == 0)
		return finish_early(r, e);
	if (run_index_end(r, false, &index) < 0 && e->kind == ERR_STOPPED &&
	    stop_level(&r->stop) == STOP_NO)
		*e = index;
	return -1;
}

static int transfer_once(struct run *r, struct err *e)
{
	run_phase(r, PHASE_CONNECT);
	if (begin(r, e) < 0)
		return -1;
	if (r->settings.data && copy_data(r, e) < 0)
		return -1;
	if (!r->settings.data)
		holder_release(r->dir.path);
	if (r->settings.post ? post_phases(r, e) < 0 : restore_aside(r, e) < 0)
		return -1;
	if (run_renew_target(r, e) < 0)
		return -1;
	run_phase(r, PHASE_PROOF);
	return 0;
}

/*
 * A server that went away comes back, also a target that fell asleep while the source was planned; what
 * cannot be helped by waiting is not tried again. The source is opened last: both ends were reached once.
 */
static bool may_go_on(struct run *r, const struct err *e, unsigned attempt)
{
	bool away = e->kind == ERR_NETWORK || e->kind == ERR_SOURCE || e->kind == ERR_TARGET;

	return (r->written || r->had_source) && away && e->next != ERR_GIVE_UP && attempt < GO_ON_ATTEMPTS &&
	       stop_level(&r->stop) == STOP_NO;
}

int run_transfer(struct run *r, struct err *e)
{
	uint64_t loaded = 0;

	if (run_check_key(r, e) < 0)
		return -1;
	for (unsigned attempt = 1;; attempt++) {
		struct err tried = ERR_INIT;

		if (transfer_once(r, &tried) == 0)
			return 0;
		if (atomic_load(&r->progress.chunks_loaded) > loaded)
			attempt = 1;
		loaded = atomic_load(&r->progress.chunks_loaded);
		if (!may_go_on(r, &tried, attempt)) {
			*e = tried;
			return -1;
		}
		event_emit(r->events, EVENT_WARNING, "run.again", NULL, "interrupted, going on by itself: %s",
			   tried.text);
		atomic_fetch_add(&r->progress.retries, 1);
		forget(r);
		if (stop_sleep(&r->stop, clock_backoff(attempt, 1000, 30000), e) < 0)
			return -1;
	}
}

int run_drop_spill(struct run *r, struct err *e)
{
	return file_remove_tree(r->dir.spill, e);
}

int run_finish(struct run *r, bool proven, const json_t *summary, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "summary.json");

	if (!path)
		return err_nomem(e);
	if (summary && file_write_json(path, summary, e) < 0)
		return -1;
	if (!proven)
		return 0;
	if (run_renew_target(r, e) < 0 ||
	    ledger_set_state(r->target_pg, r->dir.name, r->generation, "done", e) < 0)
		return -1;
	run_phase(r, PHASE_DONE);
	return 0;
}
