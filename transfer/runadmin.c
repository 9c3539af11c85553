/* runadmin - looking at a run, and taking it away: status, plan, abort, forget. */
#include "transfer/blob.h"
#include "transfer/runpriv.h"

#include "common/file.h"
#include "transfer/spill.h"
#include "transfer/withdraw.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- status: from the folder alone, without disturbing whoever works on it --- */

static bool is_locked(const struct rundir *d)
{
	AUTO(free) char *path = rundir_file(d, "run.lock");
	struct err ignored = ERR_INIT;
	int fd = -1;

	if (!path || !file_exists(path))
		return false;
	if (file_lock(path, &fd, &ignored) == 1)
		return true;
	if (fd >= 0)
		close(fd);
	return false;
}

static void count_damaged(void *ctx, const char *file, const struct err *why)
{
	json_array_append_new(ctx, json_pack("{s:s, s:s}", "file", file, "why", why->text));
}

/* Without the key nothing but the files is to be seen. */
static json_t *sealed_json(const struct rundir *d)
{
	uint64_t bytes = 0;
	int n = 0;

	spill_count_files(d->spill, &n, &bytes);
	return json_pack("{s:i, s:I, s:b}", "chunks", n, "bytes", (json_int_t)bytes, "encrypted", 1);
}

static json_t *spill_json(const struct rundir *d)
{
	struct err ignored = ERR_INIT;
	struct chunk **list = NULL;
	json_t *damaged;
	uint64_t bytes = 0, rows = 0;
	int n = 0;

	if (json_object_get(d->identity, "spill_key"))
		return sealed_json(d);
	damaged = json_array();
	if (spill_scan(d->spill, d->name, NULL, &list, &n, count_damaged, damaged, &ignored) < 0)
		n = 0;
	for (int i = 0; i < n; i++) {
		bytes += list[i]->file_bytes;
		rows += list[i]->read.rows;
		chunk_free(list[i]);
	}
	free(list);
	return json_pack("{s:i, s:I, s:I, s:o}", "chunks", n, "rows", (json_int_t)rows, "bytes",
			 (json_int_t)bytes, "damaged", damaged);
}

static json_t *plan_summary(const struct plan *p)
{
	uint64_t rows = 0, bytes = 0;

	for (int i = 0; i < p->n_tables; i++) {
		rows += p->tables[i].rows;
		bytes += p->tables[i].bytes;
	}
	return json_pack("{s:i, s:i, s:I, s:I, s:s}", "no", p->no, "tables", p->n_tables, "rows",
			 (json_int_t)rows, "bytes", (json_int_t)bytes, "snapshot", p->snapshot);
}

static bool file_in(const struct rundir *d, const char *name)
{
	AUTO(free) char *path = rundir_file(d, name);

	return path && file_exists(path);
}

int run_status(const char *dir, json_t **ret, struct err *e)
{
	struct rundir d = { .lock_fd = -1 };
	AUTO(plan) struct plan *p = NULL;
	json_t *j;

	if (rundir_open(&d, dir, e) < 0) {
		rundir_done(&d);
		return -1;
	}
	if (plan_newest(d.path) > 0 && plan_load(&p, d.path, 0, e) < 0) {
		rundir_done(&d);
		return -1;
	}
	j = json_pack("{s:s, s:s, s:O, s:b, s:b, s:b, s:b, s:o, s:o}", "run", d.name, "folder", d.path,
		      "identity", d.identity, "working", is_locked(&d), "holder", holder_lives(d.path),
		      "capture_complete", file_in(&d, "complete"), "finished", file_in(&d, "summary.json"),
		      "plan", p ? plan_summary(p) : json_null(), "spill", spill_json(&d));
	rundir_done(&d);
	if (!j)
		return err_nomem(e);
	*ret = j;
	return 0;
}

/* --- plan --- */

static int plan_only(struct run *r, json_t **ret, struct err *e)
{
	if (run_open_source(r, e) < 0 ||
	    pg_begin(r->source_pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e) < 0 ||
	    run_read_catalog(r, r->source_pg, true, &r->source_catalog, e) < 0 ||
	    plan_make(&r->plan, 1, r->source_pg, NULL, r->source_catalog, &r->settings, e) < 0 ||
	    run_measure_losses(r, false, e) < 0)
		return -1;
	if (r->target) {
		if (run_open_target(r, e) < 0 ||
		    run_read_catalog(r, r->target_pg, false, &r->target_catalog, e) < 0 ||
		    plan_match_target(r->plan, r->source_catalog, r->target_catalog, &r->settings,
				      r->settings.schema, e) < 0)
			return -1;
	}
	*ret = plan_json(r->plan);
	return *ret ? 0 : err_nomem(e);
}

int run_plan_only(const struct conn *source, const struct conn *target,
		  const struct run_settings *s, struct stop *stop, json_t **ret, struct err *e)
{
	struct run *r = NULL;
	int rc;

	(void)stop;
	if (run_new_for_plan(&r, source, target, s, e) < 0)
		return -1;
	rc = plan_only(r, ret, e);
	run_free(r);
	return rc;
}

/* --- abort --- */

/* Rows of the run's chunks by relation: what abort will delete. */
static int list_rows(struct pg *target, const char *run, json_t *list, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SELECT relation, pg_catalog.sum(rows), pg_catalog.count(*) FROM neonferry.chunk "
		       "WHERE run = ");
	text_add_literal(&sql, run);
	text_add(&sql, " GROUP BY 1 ORDER BY 1");
	if (pg_query(target, text_str(&sql), &res, e) < 0)
		return err_note(e, "reading the ledger of run %s", run);
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "type", "rows", "name",
						      PQgetvalue(res, i, 0), "rows",
						      (json_int_t)strtoll(PQgetvalue(res, i, 1), NULL, 10)));
	return 0;
}

static int has_ledger(struct pg *target, const char *run, bool *ret, struct err *e)
{
	AUTO(free) char *there = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (pg_value(target, "SELECT pg_catalog.to_regclass('neonferry.run')", &there, e) < 0)
		return -1;
	*ret = there != NULL;
	if (!there)
		return 0;
	free(GIVE(&there));
	text_add(&sql, "SELECT 1 FROM neonferry.run WHERE run = ");
	text_add_literal(&sql, run);
	if (pg_value(target, text_str(&sql), &there, e) < 0)
		return -1;
	*ret = there != NULL;
	return 0;
}

static int open_for(const char *dir, const struct conn *target, struct rundir *d, struct pg **ret,
		    struct err *e)
{
	AUTO_TEXT struct text name = TEXT_INIT;

	if (rundir_open(d, dir, e) < 0)
		return -1;
	text_addf(&name, "%s abort", d->name);
	return pg_open(ret, target, text_str(&name), NULL, e);
}

static int list_blobs(struct pg *pg, const char *run, json_t *list, struct err *e)
{
	int64_t n = 0;

	if (blob_count_created(pg, run, &n, e) < 0)
		return -1;
	if (n > 0)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "type", "large objects", "name", "", "rows",
						      (json_int_t)n));
	return 0;
}

static int list_abort(struct pg *pg, const char *run, json_t **ret, struct err *e)
{
	json_t *list = json_array(), *objects = NULL;
	bool known = false;
	int rc = list ? has_ledger(pg, run, &known, e) : err_nomem(e);

	if (rc == 0 && known) {
		rc = ddl_list_created(pg, run, &objects, e);
		if (rc == 0)
			rc = list_rows(pg, run, list, e);
		if (rc == 0)
			rc = list_blobs(pg, run, list, e);
		if (rc == 0)
			json_array_extend(list, objects);
		json_decref(objects);
	}
	if (rc < 0)
		json_decref(list);
	else
		*ret = list;
	return rc;
}

int run_abort_list(const char *dir, const struct conn *target, json_t **ret, struct err *e)
{
	struct rundir d = { .lock_fd = -1 };
	AUTO(pg) struct pg *pg = NULL;
	int rc = open_for(dir, target, &d, &pg, e);

	if (rc == 0)
		rc = list_abort(pg, d.name, ret, e);
	rundir_done(&d);
	return rc;
}

static bool exists(struct pg *pg, const char *relation)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *there = NULL;
	struct err ignored = ERR_INIT;

	text_add(&sql, "SELECT pg_catalog.to_regclass(");
	text_add_literal(&sql, relation);
	text_add(&sql, ")");
	return pg_value(pg, text_str(&sql), &there, &ignored) == 0 && there;
}

/* Chunks of this relation are still in the ledger: its rows were not removed yet. */
static bool is_listed(struct pg *pg, const char *run, const char *relation)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *there = NULL;
	struct err ignored = ERR_INIT;

	text_add(&sql, "SELECT 1 FROM neonferry.chunk WHERE run = ");
	text_add_literal(&sql, run);
	text_add(&sql, " AND relation = ");
	text_add_literal(&sql, relation);
	text_add(&sql, " LIMIT 1");
	return pg_value(pg, text_str(&sql), &there, &ignored) == 0 && there;
}

/* One relation's rows of this run, all of them still as they were loaded. */
static int delete_rows(struct pg *pg, const char *run, const char *relation, uint64_t rows,
		       struct err *e)
{
	AUTO_TEXT struct text chunks = TEXT_INIT;
	struct withdraw w = {
		.relation = relation,
		.doing = "removing the run's rows from",
		.hint = "remove those rows yourself, drop the constraint, or keep the run's rows "
			"with --keep-data",
	};
	uint64_t gone = 0;

	text_add(&chunks, "run = ");
	text_add_literal(&chunks, run);
	text_add(&chunks, " AND relation = ");
	text_add_literal(&chunks, relation);
	w.chunks = text_str(&chunks);
	if (text_check(&chunks, e) < 0 || pg_begin(pg, "", e) < 0 ||
	    withdraw_rows(pg, &w, &gone, e) < 0)
		return -1;
	if (gone != rows) {
		err_set(e, ERR_TARGET, "target: the run loaded %" PRIu64 " rows into %s, but only %" PRIu64
				       " of them are unchanged", rows, relation, gone);
		return err_hint(e, "somebody worked on them since: keep them with --keep-data, or remove them "
				   "yourself");
	}
	return pg_commit(pg, e);
}

/* One pass; *ret_left counts the tables whose rows other tables still refer to. */
static int abort_rows_once(struct pg *pg, const char *run, const json_t *list, int *ret_left,
			   struct err *e)
{
	const json_t *item;
	size_t i;

	*ret_left = 0;
	json_array_foreach(list, i, item) {
		const char *type = json_string_value(json_object_get(item, "type"));
		const char *name = json_string_value(json_object_get(item, "name"));
		uint64_t rows = (uint64_t)json_integer_value(json_object_get(item, "rows"));

		if (!type || strcmp(type, "rows") != 0 || !exists(pg, name))
			continue;
		*e = ERR_INIT;
		if (!is_listed(pg, run, name) || delete_rows(pg, run, name, rows, e) == 0)
			continue;
		pg_rollback(pg);
		err_note(e, "removing the rows of run %s from %s", run, name);
		if (strcmp(e->sqlstate, "23503") != 0 && e->kind != ERR_REFUSED)
			return -1;
		(*ret_left)++;
	}
	return 0;
}

/* Rows that are referred to go after those that refer to them: again, until a pass helps no more. */
static int abort_rows(struct pg *pg, const char *run, const json_t *list, struct err *e)
{
	int left = INT_MAX, before;

	do {
		before = left;
		if (abort_rows_once(pg, run, list, &left, e) < 0)
			return -1;
	} while (left > 0 && left < before);
	if (left > 0)
		return -1;
	*e = ERR_INIT;
	return 0;
}

static int abort_run(struct run *r, bool keep_data, struct err *e)
{
	struct ddl d;
	json_t *list = NULL;
	bool known = false;
	int rc;

	if (run_open_target(r, e) < 0 || has_ledger(r->target_pg, r->dir.name, &known, e) < 0)
		return -1;
	holder_release(r->dir.path);
	if (!known)
		return 0;
	if (ledger_take_over(r->target_pg, r->dir.name, &r->generation, e) < 0 ||
	    list_abort(r->target_pg, r->dir.name, &list, e) < 0)
		return -1;
	/* First what only rows of the ledger know, since dropping what was created ends with those. */
	rc = keep_data ? 0 : blob_drop_created(r->target_pg, r->dir.name, e);
	/* What the run created goes as a whole; rows only from tables that were there before. */
	if (rc == 0 && !keep_data)
		rc = ddl_drop_created(r->target_pg, r->dir.name, e);
	if (rc == 0 && !keep_data)
		rc = abort_rows(r->target_pg, r->dir.name, list, e);
	json_decref(list);
	d = run_ddl(r);
	if (rc == 0)
		rc = ddl_restore_aside(&d, e);
	if (rc == 0)
		rc = ledger_forget(r->target_pg, r->dir.name, e);
	return rc;
}

int run_abort(const char *dir, const struct conn *target, bool keep_data, struct err *e)
{
	struct run_settings s = { .schema = true, .data = true, .post = true };
	AUTO(free) char *path = NULL;
	struct run *r = NULL;
	int rc;

	if (run_load(&r, dir, NULL, target, &s, NULL, e) < 0)
		return -1;
	rc = abort_run(r, keep_data, e);
	path = strdup(run_dir(r));
	run_free(r);
	if (rc == 0 && path)
		rc = file_remove_tree(path, e);
	return rc;
}

int run_forget(const char *dir, const struct conn *target, struct err *e)
{
	struct run_settings s = { .schema = true, .data = true, .post = true };
	AUTO(free) char *path = NULL;
	struct run *r = NULL;
	bool known = false;
	int rc;

	if (run_load(&r, dir, NULL, target, &s, NULL, e) < 0)
		return -1;
	holder_release(r->dir.path);
	rc = run_open_target(r, e);
	if (rc == 0)
		rc = has_ledger(r->target_pg, r->dir.name, &known, e);
	if (rc == 0 && known)
		rc = ledger_forget(r->target_pg, r->dir.name, e);
	path = strdup(run_dir(r));
	run_free(r);
	if (rc == 0 && path)
		rc = file_remove_tree(path, e);
	return rc;
}
