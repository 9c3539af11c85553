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
				      r->settings.schema, e) < 0 ||
		    run_check_existing(r, e) < 0)
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

	if (run_new_for_plan(&r, source, target, s, e) < 0)
		return -1;
	r->watched = stop;
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

/*
 * 1 while chunks of this relation are in the ledger and it is there: its rows were not removed yet. 0
 * where nothing is left of it, which no failure to ask may be taken for.
 */
static int is_left(struct pg *pg, const char *run, const char *relation, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *there = NULL;

	text_add(&sql, "SELECT 1 FROM neonferry.chunk WHERE run = ");
	text_add_literal(&sql, run);
	text_add(&sql, " AND relation = ");
	text_add_literal(&sql, relation);
	text_add(&sql, " AND pg_catalog.to_regclass(relation) IS NOT NULL LIMIT 1");
	if (text_check(&sql, e) < 0 || pg_value(pg, text_str(&sql), &there, e) < 0)
		return err_note(e, "reading the ledger of run %s", run);
	return there != NULL;
}

/* Relations of the list that still hold rows of the run, and how many; malloc'ed. */
struct left {
	const char **names;
	uint64_t *rows;
	int n;
};

static void auto_left(struct left *l)
{
	free(l->names);
	free(l->rows);
}

static int list_left(struct pg *pg, const char *run, const json_t *list, struct left *ret,
		     struct err *e)
{
	const json_t *item;
	size_t i;

	ret->names = calloc(json_array_size(list) + 1, sizeof(*ret->names));
	ret->rows = calloc(json_array_size(list) + 1, sizeof(*ret->rows));
	if (!ret->names || !ret->rows)
		return err_nomem(e);
	json_array_foreach(list, i, item)
	{
		const char *type = json_string_value(json_object_get(item, "type"));
		const char *name = json_string_value(json_object_get(item, "name"));
		int left = type && strcmp(type, "rows") == 0 ? is_left(pg, run, name, e) : 0;

		if (left < 0)
			return -1;
		if (left == 0)
			continue;
		ret->names[ret->n] = name;
		ret->rows[ret->n++] = (uint64_t)json_integer_value(json_object_get(item, "rows"));
	}
	return 0;
}

static int check_gone(const struct left *l, int first, int n, const uint64_t *gone, struct err *e)
{
	for (int i = 0; i < n; i++) {
		if (gone[i] == l->rows[first + i])
			continue;
		err_set(e, ERR_TARGET,
			"target: the run loaded %" PRIu64 " rows into %s, but only %" PRIu64
			" of them are unchanged",
			l->rows[first + i], l->names[first + i], gone[i]);
		return err_hint(
			e,
			"somebody worked on them since: keep them with --keep-data, or remove them "
			"yourself");
	}
	return 0;
}

/* The run's rows in n relations, all of them still as they were loaded, in one transaction. */
static int delete_rows(struct pg *pg, const char *run, const struct left *l, int first, int n,
		       struct err *e)
{
	AUTO_TEXT struct text chunks = TEXT_INIT;
	AUTO(free) uint64_t *gone = calloc((size_t)n + 1, sizeof(*gone));
	struct withdraw w = {
		.relations = l->names + first,
		.n_relations = n,
		.doing = "removing the run's rows from",
		.hint = "remove those rows yourself, drop the constraint, or keep the run's rows "
			"with --keep-data",
	};

	if (!gone)
		return err_nomem(e);
	text_add(&chunks, "run = ");
	text_add_literal(&chunks, run);
	w.chunks = text_str(&chunks);
	if (text_check(&chunks, e) == 0 && pg_begin(pg, "", e) == 0 &&
	    withdraw_rows(pg, &w, gone, e) == 0 && check_gone(l, first, n, gone, e) == 0 &&
	    pg_commit(pg, e) == 0)
		return 0;
	pg_rollback(pg);
	return err_note(e, "removing the rows of run %s from %s%s", run, l->names[first],
			n > 1 ? " and tables that refer to it" : "");
}

/* One relation after another; those whose rows others still refer to are left for the next pass. */
static int abort_each(struct pg *pg, const char *run, const struct left *l, struct err *e)
{
	for (int i = 0; i < l->n; i++) {
		struct err tried = ERR_INIT;

		if (delete_rows(pg, run, l, i, 1, &tried) == 0 ||
		    strcmp(tried.sqlstate, "23503") == 0 || tried.kind == ERR_REFUSED)
			continue;
		*e = tried;
		return -1;
	}
	return 0;
}

/*
 * Rows that are referred to go after those that refer to them: again, until a pass helps no more.
 * What is left then refers to one another, and goes at once, or says why it cannot.
 */
static int abort_rows(struct pg *pg, const char *run, const json_t *list, struct err *e)
{
	for (int before = INT_MAX;;) {
		AUTO(left) struct left l = { 0 };

		if (list_left(pg, run, list, &l, e) < 0)
			return -1;
		if (l.n == 0)
			return 0;
		if (l.n == before)
			return delete_rows(pg, run, &l, 0, l.n, e);
		before = l.n;
		if (abort_each(pg, run, &l, e) < 0)
			return -1;
	}
}

static int abort_run(struct run *r, bool keep_data, bool *ret_written, struct err *e)
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
	*ret_written = true;
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

static int forget_run(struct run *r, UNUSED bool keep_data, bool *ret_written, struct err *e)
{
	bool known = false;

	if (run_open_target(r, e) < 0 || has_ledger(r->target_pg, r->dir.name, &known, e) < 0)
		return -1;
	if (known && !file_in(&r->dir, "summary.json")) {
		err_set(e, ERR_REFUSED,
			"the run %s is not finished: only its records know which indexes "
			"and foreign keys it has taken away",
			r->dir.name);
		return err_hint(
			e,
			"neonferry resume %s finishes it; neonferry abort %s takes it back, or "
			"with --keep-data leaves the rows; both give back what was taken away",
			r->dir.path, r->dir.path);
	}
	*ret_written = true;
	holder_release(r->dir.path);
	return known ? ledger_forget(r->target_pg, r->dir.name, e) : 0;
}

/* By one of the two above; then the folder goes, too. */
static int take_away(const char *dir, const struct conn *target, bool keep_data, bool *ret_written,
		     int (*from)(struct run *r, bool keep_data, bool *ret_written, struct err *e),
		     struct err *e)
{
	struct run_settings s = { .schema = true, .data = true, .post = true };
	AUTO(free) char *path = NULL;
	struct run *r = NULL;
	int rc;

	if (run_load(&r, dir, NULL, target, &s, NULL, e) < 0)
		return -1;
	rc = from(r, keep_data, ret_written, e);
	path = strdup(run_dir(r));
	run_free(r);
	if (rc == 0 && path)
		rc = file_remove_tree(path, e);
	return rc;
}

int run_abort(const char *dir, const struct conn *target, bool keep_data, bool *ret_written,
	      struct err *e)
{
	return take_away(dir, target, keep_data, ret_written, abort_run, e);
}

int run_forget(const char *dir, const struct conn *target, bool *ret_written, struct err *e)
{
	return take_away(dir, target, false, ret_written, forget_run, e);
}
