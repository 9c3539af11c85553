/* runcapture - how a capture begins, or goes on; the files that make it complete. */
#include "transfer/runpriv.h"

#include "common/file.h"
#include "schema/halfvec.h"
#include "schema/uncarried.h"
#include "transfer/blobfile.h"
#include "transfer/existing.h"
#include "transfer/statistics.h"
#include "transfer/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Then somebody must act: the one who waits for an exclusive lock waits for us. */
#define DUMP_TRIES 12

int run_read_catalog(struct run *r, struct pg *pg, bool filtered, struct catalog **ret, struct err *e)
{
	struct catalog_filter f = { .tables = r->settings.tables, .n_tables = r->settings.n_tables,
				    .excluded = r->settings.excluded,
				    .n_excluded = r->settings.n_excluded };

	if (catalog_read(ret, pg, filtered ? &f : NULL, e) < 0)
		return -1;
	return filtered ? halfvec_mark(*ret, r->settings.halfvec, r->settings.n_halfvec, e) : 0;
}

int run_read_target_catalog(struct run *r, struct err *e)
{
	catalog_free(r->target_catalog);
	r->target_catalog = NULL;
	return run_read_catalog(r, r->target_pg, false, &r->target_catalog, e);
}

/* --- files of the capture --- */

int run_save_sequences(struct run *r, struct err *e)
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

/* What the tables of the plan take in the source, and their names in the target to look there later. */
static int save_statistics(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "statistics.json");
	AUTO(free) const char **names = calloc((size_t)r->plan->n_tables + 1, sizeof(*names));
	json_t *j = NULL, *table;
	size_t i;
	int rc;

	if (!path || !names)
		return err_nomem(e);
	for (int k = 0; k < r->plan->n_tables; k++)
		names[k] = r->plan->tables[k].qname;
	if (statistics_read(r->source_pg, names, r->plan->n_tables, &j, e) < 0)
		return -1;
	json_array_foreach(json_object_get(j, "tables"), i, table)
		json_object_set_new(table, "target", json_string(r->plan->tables[i].target_qname));
	rc = file_write_json(path, j, e);
	json_decref(j);
	return rc;
}

/* Views that hold nothing in the source ("schema.name"): they are not filled in the target either. */
static int list_unfilled(struct pg *source, json_t **ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	json_t *names;

	if (pg_query(source, "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN "
			     "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' "
			     "AND NOT c.relispopulated", &res, e) < 0)
		return -1;
	names = json_array();
	for (int i = 0; names && i < PQntuples(res); i++)
		json_array_append_new(names, json_string(PQgetvalue(res, i, 0)));
	*ret = names;
	return names ? 0 : err_nomem(e);
}

static void mark_unfilled(struct archive *a, const json_t *names)
{
	const json_t *name;
	size_t k;

	for (int i = 0; i < a->n_entries; i++) {
		struct archive_entry *entry = &a->entries[i];
		AUTO_TEXT struct text full = TEXT_INIT;

		if (strcmp(entry->type, "MATERIALIZED VIEW") != 0)
			continue;
		text_addf(&full, "%s.%s", entry->schema, entry->tag);
		json_array_foreach(names, k, name) {
			const char *s = json_string_value(name);

			entry->unfilled |= s && strcmp(s, text_str(&full)) == 0;
		}
	}
}

/* The programs that read the archive must not be older than the one that wrote it. */
static int save_version(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "schema.json");
	json_t *unfilled = NULL, *uncarried = NULL, *j;
	int rc;

	if (!path)
		return err_nomem(e);
	if (list_unfilled(r->source_pg, &unfilled, e) < 0)
		return -1;
	if (uncarried_list(r->source_pg, &uncarried, e) < 0) {
		json_decref(unfilled);
		return -1;
	}
	j = json_pack("{s:i, s:o, s:o, s:o}", "source_version", pg_version(r->source_pg),
		      "unfilled", unfilled, "uncarried", uncarried, "halfvec",
		      halfvec_list(r->source_catalog));
	if (!j)
		return err_nomem(e);
	rc = file_write_json(path, j, e);
	json_decref(j);
	return rc;
}

static int note_uncarried(struct archive *a, const json_t *list, struct err *e)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *what = json_string_value(json_object_get(item, "what"));
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *why = json_string_value(json_object_get(item, "why"));

		if (what && name && why && archive_add_note(a, what, name, why, e) < 0)
			return -1;
	}
	return 0;
}

/* The tables are there, or will be: without it they would stay without indexes and constraints. */
static int lost_archive(const char *path, const char *dir, struct err *e)
{
	err_set(e, ERR_RESUME, "the run's schema is gone: there is no %s", path);
	return err_hint(e, "put the file back, or neonferry abort %s, then start again", dir);
}

static int read_archive(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "schema.dump");
	AUTO(free) char *facts = rundir_file(&r->dir, "schema.json");
	json_t *j = NULL;
	int version, rc;

	if (!path || !facts)
		return err_nomem(e);
	if (r->archive)
		return 0;
	if (!file_exists(path))
		return r->settings.schema ? lost_archive(path, r->dir.path, e) : 0;
	if (file_read_json(facts, &j, e) < 0)
		return -1;
	version = (int)json_integer_value(json_object_get(j, "source_version"));
	rc = archive_read(&r->archive, path, version, &r->stop, e);
	if (rc == 0)
		mark_unfilled(r->archive, json_object_get(j, "unfilled"));
	if (rc == 0)
		rc = halfvec_archive(r->archive, json_object_get(j, "halfvec"), e);
	if (rc == 0)
		rc = note_uncarried(r->archive, json_object_get(j, "uncarried"), e);
	json_decref(j);
	return rc;
}

/*
 * The holder has all locks that pg_dump needs, but somebody who waits for an exclusive one stands
 * between the two, and waits for the holder: that ends only when one of them gives up.
 */
static int tell_locked(void *ctx, int tries, struct err *e)
{
	struct run *r = ctx;
	AUTO_TEXT struct text who = TEXT_INIT;

	view_blockers(r->source_pg, 0, &who);
	if (tries < DUMP_TRIES) {
		event_emit(r->events, EVENT_NOTICE, "schema.wait", NULL,
			   "pg_dump waits for a table lock in the source%s", text_str(&who));
		return 0;
	}
	err_set(e, ERR_SOURCE, "source: pg_dump waited %d s for a table lock%s",
		tries * ARCHIVE_LOCK_WAIT_S, text_str(&who));
	return err_hint(e, "end or cancel that process's statement in the source, then resume");
}

static int dump_schema(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "schema.dump");
	struct archive_options o = {
		.snapshot = r->holder.snapshot[0] ? r->holder.snapshot : NULL,
		.tables = r->settings.tables, .n_tables = r->settings.n_tables,
		.excluded = r->settings.excluded, .n_excluded = r->settings.n_excluded,
		.locked = tell_locked, .ctx = r,
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

static const char *const complete_files[] = { "schema.dump", "sequences.json", BLOBFILE_INDEX };

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

void run_unmark_complete(struct run *r)
{
	AUTO(free) char *path = rundir_file(&r->dir, "complete");

	if (path)
		(void)unlink(path);
}

/* --- beginning --- */

int run_check_existing(struct run *r, struct err *e)
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
	if (run_take_snapshot(r, e) < 0)
		return -1;
	if (plan_make(&r->plan, 1, r->source_pg, r->holder.snapshot, r->source_catalog,
		      &r->settings, e) < 0 ||
	    run_measure_losses(r, true, e) < 0 || run_renew_target(r, e) < 0 ||
	    run_read_target_catalog(r, e) < 0 ||
	    plan_match_target(r->plan, r->source_catalog, r->target_catalog, &r->settings,
			      r->settings.schema, e) < 0)
		return -1;
	return run_check_existing(r, e);
}

static int build_schema(struct run *r, struct err *e)
{
	struct ddl d = run_ddl(r);

	run_phase(r, PHASE_SCHEMA);
	if (r->archive && ddl_pre_data(&d, r->archive, e) < 0)
		return -1;
	return run_read_target_catalog(r, e);
}

/*
 * An archive of an earlier try belongs to an earlier snapshot. Once objects of it were made, it stays:
 * the ledger counts them by its entries, and what does not fit is refused by name.
 */
static int drop_old_archive(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, "schema.dump");
	bool made = false;

	if (!path)
		return err_nomem(e);
	if (!file_exists(path))
		return 0;
	if (run_has_objects(r, &made, e) < 0)
		return -1;
	if (!made)
		(void)unlink(path);
	return 0;
}

void run_source_id(const struct run *r, char *buf, size_t size)
{
	const char *system = r->source_catalog->system_identifier;

	(void)snprintf(buf, size, "%s/%s", system ? system : "", r->source_catalog->database);
}

static int begin_first(struct run *r, struct err *e)
{
	struct plan *p;

	if (plan_first(r, e) < 0 || drop_old_archive(r, e) < 0 || dump_schema(r, e) < 0 ||
	    run_save_sequences(r, e) < 0 || save_statistics(r, e) < 0 || run_capture_blobs(r, e) < 0 ||
	    run_check_blobs(r, e) < 0)
		return -1;
	p = GIVE(&r->plan); /* the ledger may not know the run yet: there is no plan on disk */
	if (run_renew_target(r, e) < 0 || run_enter_ledger(r, e) < 0) {
		plan_free(p);
		return -1;
	}
	r->plan = p;
	if (build_schema(r, e) < 0 ||
	    plan_match_target(p, r->source_catalog, r->target_catalog, &r->settings, false, e) < 0)
		return -1;
	(void)snprintf(p->snapshot, sizeof(p->snapshot), "%s", r->holder.snapshot);
	(void)snprintf(p->lsn, sizeof(p->lsn), "%s", r->holder.lsn);
	run_source_id(r, p->source_id, sizeof(p->source_id));
	return plan_save(p, r->dir.path, e);
}

static int begin_schema_only(struct run *r, struct err *e)
{
	if (r->settings.n_halfvec > 0 && !r->source_catalog &&
	    run_read_catalog(r, r->source_pg, true, &r->source_catalog, e) < 0)
		return -1;
	if (dump_schema(r, e) < 0 || run_enter_ledger(r, e) < 0)
		return -1;
	return build_schema(r, e);
}

/* What the spill lacks although the capture was complete, as a list of tables. */
static int name_missing(struct run *r, struct text *names, struct err *e)
{
	for (int i = 0; i < r->plan->n_tables; i++) {
		bool complete = true;

		if (registry_is_complete(r->known, r->plan, i, &complete, e) < 0)
			return -1;
		if (!complete)
			text_addf(names, "%s%s", names->len ? ", " : "", r->plan->tables[i].qname);
	}
	return 0;
}

/* The capture was complete, but files of it are gone or damaged: they are read again, if that is possible. */
static int go_back_to_source(struct run *r, const char *names, struct err *e)
{
	event_emit(r->events, EVENT_WARNING, "spill.missing", NULL,
		   "the spill lacks rows of %s: they are read again from the source", names);
	if (run_open_source(r, e) == 0)
		return 0;
	if (e->kind != ERR_STOPPED)
		e->kind = ERR_RESUME;
	return err_note(e, "reading again what the spill lacks of %s", names);
}

/* 1: everything is on disk or loaded, 0: the source is needed (and its session open where it was given). */
static int stands_alone(struct run *r, struct err *e)
{
	AUTO_TEXT struct text names = TEXT_INIT;

	if (!run_capture_is_complete(r))
		return 0;
	if (name_missing(r, &names, e) < 0)
		return -1;
	if (names.len > 0)
		return go_back_to_source(r, text_str(&names), e);
	event_emit(r->events, EVENT_INFO, "resume.spill", NULL,
		   "the capture is complete: going on from the spill");
	return 1;
}

static int begin_again(struct run *r, struct err *e)
{
	int alone;

	if (plan_load(&r->plan, r->dir.path, 0, e) < 0) {
		if (e->kind == ERR_DISK)
			e->kind = ERR_RESUME;
		return -1;
	}
	if (read_archive(r, e) < 0 || run_enter_ledger(r, e) < 0 ||
	    run_read_target_catalog(r, e) < 0 || run_read_known(r, e) < 0)
		return -1;
	alone = stands_alone(r, e);
	if (alone != 0)
		return alone < 0 ? -1 : 0;
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
