/* runcapture - snapshot, plan, what is known already, and the proof after a lost snapshot. */
#include "transfer/runpriv.h"

#include "common/clock.h"
#include "common/file.h"
#include "transfer/existing.h"
#include "transfer/reproof.h"
#include "transfer/spill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_ATTEMPTS 5

int run_read_catalog(struct run *r, struct pg *pg, bool filtered, struct catalog **ret, struct err *e)
{
	struct catalog_filter f = { .tables = r->settings.tables, .n_tables = r->settings.n_tables,
				    .excluded = r->settings.excluded,
				    .n_excluded = r->settings.n_excluded };

	return catalog_read(ret, pg, filtered ? &f : NULL, e);
}

static int read_target_catalog(struct run *r, struct err *e)
{
	catalog_free(r->target_catalog);
	r->target_catalog = NULL;
	return run_read_catalog(r, r->target_pg, false, &r->target_catalog, e);
}

/* --- the snapshot --- */

static bool is_locked(const struct table *t)
{
	return t->kind == 'r' || t->kind == 'p';
}

static int list_relations(const struct catalog *c, struct holder_relation **ret, int *ret_n,
			  struct err *e)
{
	struct holder_relation *list = calloc((size_t)c->n_tables + 1, sizeof(*list));
	int n = 0;

	if (!list)
		return err_nomem(e);
	for (int i = 0; i < c->n_tables; i++)
		if (is_locked(&c->tables[i]))
			list[n++] = (struct holder_relation){ c->tables[i].qname, c->tables[i].oid,
							      c->tables[i].relfilenode };
	*ret = list;
	*ret_n = n;
	return 0;
}

static void note_holder(void *ctx, const char *sentence)
{
	struct run *r = ctx;

	event_emit(r->events, EVENT_NOTICE, "snapshot.wait", NULL, "%s", sentence);
}

/* A table made between listing and locking would be in the snapshot but not locked. */
static int check_same_tables(const struct catalog *before, const struct catalog *after, struct err *e)
{
	int known = 0;

	for (int i = 0; i < after->n_tables; i++) {
		const struct table *t = &after->tables[i];
		const struct table *old = catalog_table_by_oid(before, t->oid);

		if (!is_locked(t))
			continue;
		if (!old || old->relfilenode != t->relfilenode)
			known = -1;
		if (known < 0)
			break;
	}
	if (known == 0)
		return 0;
	err_set(e, ERR_SOURCE, "source: tables were created or rewritten while the snapshot was taken");
	e->next = ERR_RETRY;
	return -1;
}

static int import_snapshot(struct run *r, const char *snapshot, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SET TRANSACTION SNAPSHOT ");
	text_add_literal(&sql, snapshot);
	if (pg_begin(r->source_pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e) < 0)
		return -1;
	return pg_exec(r->source_pg, text_str(&sql), e);
}

static int take_snapshot_once(struct run *r, struct err *e)
{
	AUTO(catalog) struct catalog *before = NULL;
	AUTO(free) struct holder_relation *relations = NULL;
	int n = 0;

	if (run_open_source(r, e) < 0 || run_read_catalog(r, r->source_pg, true, &before, e) < 0 ||
	    list_relations(before, &relations, &n, e) < 0)
		return -1;
	if (holder_start(r->dir.path, r->source, r->dir.name, relations, n, r->settings.snapshot_ttl_ms,
			 &r->stop, note_holder, r, &r->holder, e) < 0)
		return -1;
	catalog_free(r->source_catalog);
	r->source_catalog = NULL;
	if (import_snapshot(r, r->holder.snapshot, e) < 0 ||
	    run_read_catalog(r, r->source_pg, true, &r->source_catalog, e) < 0)
		return -1;
	return check_same_tables(before, r->source_catalog, e);
}

/* Leaves source_pg in a transaction with the new snapshot, and source_catalog as it shows it. */
static int take_snapshot(struct run *r, struct err *e)
{
	for (int attempt = 1;; attempt++) {
		struct err tried = ERR_INIT;

		if (take_snapshot_once(r, &tried) == 0)
			return 0;
		pg_close(r->source_pg);
		r->source_pg = NULL;
		holder_release(r->dir.path);
		if (tried.next == ERR_GIVE_UP || attempt == LIST_ATTEMPTS) {
			*e = tried;
			return -1;
		}
		if (stop_sleep(&r->stop, clock_backoff((unsigned)attempt, 200, 5000), e) < 0)
			return -1;
	}
}

/* --- files of the capture --- */

static int save_sequences(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "sequences.json");
	json_t *values = NULL;
	int rc;

	if (!path)
		return err_nomem(e);
	if (ddl_read_sequences(r->source_pg, &values, e) < 0)
		return -1;
	rc = file_write_json(path, values, e);
	json_decref(values);
	return rc;
}

/* The programs that read the archive must not be older than the one that wrote it. */
static int save_version(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "schema.json");
	json_t *j = json_pack("{s:i}", "source_version", pg_version(r->source_pg));
	int rc;

	if (!path || !j) {
		json_decref(j);
		return err_nomem(e);
	}
	rc = file_write_json(path, j, e);
	json_decref(j);
	return rc;
}

static int read_archive(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "schema.dump");
	AUTO(free) char *facts = rundir_file(&r->dir, "schema.json");
	json_t *j = NULL;
	int version;

	if (!path || !facts)
		return err_nomem(e);
	if (r->archive || !file_exists(path))
		return 0;
	if (file_read_json(facts, &j, e) < 0)
		return -1;
	version = (int)json_integer_value(json_object_get(j, "source_version"));
	json_decref(j);
	return archive_read(&r->archive, path, version, &r->stop, e);
}

static int dump_schema(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "schema.dump");
	struct archive_options o = {
		.snapshot = r->holder.snapshot[0] ? r->holder.snapshot : NULL,
		.tables = r->settings.tables, .n_tables = r->settings.n_tables,
		.excluded = r->settings.excluded, .n_excluded = r->settings.n_excluded,
	};

	if (!path)
		return err_nomem(e);
	if (!r->settings.schema)
		return 0;
	if (!file_exists(path) &&
	    (save_version(r, e) < 0 ||
	     archive_dump(r->source, pg_version(r->source_pg), &o, path, &r->stop, e) < 0))
		return err_note(e, "capturing the schema");
	return read_archive(r, e);
}

static const char *const complete_files[] = { "schema.dump", "sequences.json" };

static int sum_files(struct run *r, json_t **ret, struct err *e)
{
	json_t *sums = json_object();
	char hex[65], plan[32];

	if (!sums)
		return err_nomem(e);
	(void)snprintf(plan, sizeof(plan), "plan.%d.json", r->plan->no);
	for (size_t i = 0; i <= ARRAY_LEN(complete_files); i++) {
		const char *name = i < ARRAY_LEN(complete_files) ? complete_files[i] : plan;
		AUTO(free) char *path = rundir_file(&r->dir, name);

		if (!path || (file_exists(path) && file_sha256(path, hex, e) < 0)) {
			json_decref(sums);
			return path ? -1 : err_nomem(e);
		}
		if (file_exists(path))
			json_object_set_new(sums, name, json_string(hex));
	}
	*ret = sums;
	return 0;
}

/* Written last: from here on the source is not needed. */
int run_mark_complete(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "complete");
	json_t *sums = NULL;
	json_t *j;
	int rc;

	if (!path)
		return err_nomem(e);
	if (file_exists(path))
		return 0;
	if (sum_files(r, &sums, e) < 0)
		return -1;
	j = json_pack("{s:i, s:o}", "plan", r->plan->no, "sha256", sums);
	rc = file_write_json(path, j, e);
	json_decref(j);
	if (rc == 0)
		event_emit(r->events, EVENT_INFO, "capture.complete", NULL,
			   "the capture is complete: the source is not needed any more");
	return rc;
}

/* With the plan loaded: the marker is there and its files are those it was written for. */
bool run_capture_is_complete(struct run *r)
{
	AUTO(free) char *path = rundir_file(&r->dir, "complete");
	struct err ignored = ERR_INIT;
	json_t *j = NULL, *sums = NULL;
	bool complete;

	if (!path || !r->plan || !file_exists(path) || file_read_json(path, &j, &ignored) < 0)
		return false;
	complete = sum_files(r, &sums, &ignored) == 0 &&
		   json_integer_value(json_object_get(j, "plan")) == r->plan->no &&
		   json_equal(sums, json_object_get(j, "sha256"));
	json_decref(sums);
	json_decref(j);
	return complete;
}

static void unmark_complete(struct run *r)
{
	AUTO(free) char *path = rundir_file(&r->dir, "complete");

	if (path)
		(void)unlink(path);
}

/* --- what is known --- */

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

/* A chunk of the spill is known unless the ledger has other chunks in its place (a later capture). */
static int read_spill(struct run *r, struct err *e)
{
	struct chunk **list = NULL;
	int n = 0, rc = 0;

	if (file_mkdir(r->dir.spill, e) < 0 ||
	    spill_scan(r->dir.spill, r->dir.name, &list, &n, note_damaged, r, e) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		if (rc == 0)
			rc = registry_add(r->known, list[i], true, false, e);
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

/* --- a lost snapshot --- */

static int adopt_plan(struct run *r, struct plan *p, struct err *e)
{
	(void)snprintf(p->snapshot, sizeof(p->snapshot), "%s", r->holder.snapshot);
	(void)snprintf(p->lsn, sizeof(p->lsn), "%s", r->holder.lsn);
	if (plan_save(p, r->dir.path, e) < 0)
		return -1;
	plan_free(r->plan);
	r->plan = p;
	return 0;
}

static void tell_reproof(struct run *r, const struct reproof *rp)
{
	event_emit(r->events, EVENT_NOTICE, "reproof.done",
		   json_pack("{s:i, s:i, s:i}", "kept", rp->kept, "reread", rp->reread, "withdrawn",
			     rp->withdrawn),
		   "proven again under a new snapshot: %d chunks stand as they are, %d must be read again, %d "
		   "of those were withdrawn from the target; the run is now the source as of this new "
		   "snapshot", rp->kept, rp->reread, rp->withdrawn);
	run_fact(r, "snapshots", json_integer(r->plan->no));
}

static int prove_again(struct run *r, struct err *e)
{
	struct reproof rp = { .source = r->source_pg, .target = r->target_pg, .run = r->dir.name,
			      .spill_dir = r->dir.spill, .generation = r->generation,
			      .settings = &r->settings, .events = r->events, .stop = &r->stop,
			      .progress = &r->progress };
	AUTO(plan) struct plan *next = NULL;

	if (reproof_plan(&rp, r->plan, r->source_catalog, &next, e) < 0 ||
	    plan_match_target(next, r->source_catalog, r->target_catalog, &r->settings, false, e) < 0 ||
	    reproof_chunks(&rp, r->plan, next, r->known, e) < 0 || save_sequences(r, e) < 0)
		return -1;
	if (adopt_plan(r, next, e) < 0)
		return -1;
	next = NULL;
	tell_reproof(r, &rp);
	return 0;
}

static int recapture(struct run *r, struct err *e)
{
	event_emit(r->events, EVENT_NOTICE, "snapshot.again", NULL,
		   "the snapshot's holder is gone: taking a new snapshot and proving what was captured");
	run_phase(r, PHASE_PLAN);
	holder_release(r->dir.path);
	if (take_snapshot(r, e) < 0)
		return -1;
	unmark_complete(r);
	return prove_again(r, e);
}

int run_find_snapshot(struct run *r, struct err *e)
{
	int found;

	if (!r->target_pg || !pg_is_alive(r->target_pg)) {
		pg_close(r->target_pg);
		r->target_pg = NULL;
		if (run_open_target(r, e) < 0)
			return -1;
	}
	if (run_open_source(r, e) < 0)
		return -1;
	found = holder_find(r->dir.path, r->source_pg, &r->holder, e);
	if (found < 0)
		return -1;
	if (found && strcmp(r->holder.snapshot, r->plan->snapshot) == 0)
		return import_snapshot(r, r->holder.snapshot, e);
	return recapture(r, e);
}

/* --- beginning --- */

static int check_existing(struct run *r, struct err *e)
{
	struct existing x = { .target = r->target_pg, .source = r->source_pg,
			      .catalog = r->target_catalog, .run = r->dir.name,
			      .settings = &r->settings, .events = r->events };

	return existing_check(&x, r->plan, e);
}

/* Everything that can be refused is refused before the first write into the target. */
static int plan_first(struct run *r, struct err *e)
{
	run_phase(r, PHASE_PLAN);
	if (take_snapshot(r, e) < 0)
		return -1;
	if (plan_make(&r->plan, 1, r->source_pg, r->holder.snapshot, r->source_catalog, &r->settings, e) < 0 ||
	    read_target_catalog(r, e) < 0 ||
	    plan_match_target(r->plan, r->source_catalog, r->target_catalog, &r->settings,
			      r->settings.schema, e) < 0)
		return -1;
	return check_existing(r, e);
}

static int build_schema(struct run *r, struct err *e)
{
	struct ddl d = run_ddl(r);

	run_phase(r, PHASE_SCHEMA);
	if (r->archive && ddl_pre_data(&d, r->archive, e) < 0)
		return -1;
	return read_target_catalog(r, e);
}

static int begin_first(struct run *r, struct err *e)
{
	struct plan *p;

	if (plan_first(r, e) < 0 || dump_schema(r, e) < 0 || save_sequences(r, e) < 0)
		return -1;
	p = GIVE(&r->plan); /* the ledger may not know the run yet: there is no plan on disk */
	if (run_enter_ledger(r, e) < 0) {
		plan_free(p);
		return -1;
	}
	r->plan = p;
	if (build_schema(r, e) < 0 ||
	    plan_match_target(p, r->source_catalog, r->target_catalog, &r->settings, false, e) < 0)
		return -1;
	(void)snprintf(p->snapshot, sizeof(p->snapshot), "%s", r->holder.snapshot);
	(void)snprintf(p->lsn, sizeof(p->lsn), "%s", r->holder.lsn);
	return plan_save(p, r->dir.path, e);
}

static int begin_schema_only(struct run *r, struct err *e)
{
	if (dump_schema(r, e) < 0 || run_enter_ledger(r, e) < 0)
		return -1;
	return build_schema(r, e);
}

static int begin_again(struct run *r, struct err *e)
{
	if (plan_load(&r->plan, r->dir.path, 0, e) < 0 || read_archive(r, e) < 0 ||
	    run_enter_ledger(r, e) < 0 || read_target_catalog(r, e) < 0 || run_read_known(r, e) < 0)
		return -1;
	if (run_capture_is_complete(r)) {
		event_emit(r->events, EVENT_INFO, "resume.spill", NULL,
			   "the capture is complete: going on from the spill");
		return 0;
	}
	if (run_open_source(r, e) < 0 || run_refuse_same_database(r, e) < 0)
		return -1;
	return run_find_snapshot(r, e);
}

int run_begin_capture(struct run *r, struct err *e)
{
	if (plan_newest(r->dir.path) > 0)
		return begin_again(r, e);
	if (run_open_source(r, e) < 0 || run_refuse_same_database(r, e) < 0)
		return -1;
	holder_release(r->dir.path);
	return r->settings.data ? begin_first(r, e) : begin_schema_only(r, e);
}
