#include "verify/repair.h"

#include "common/clock.h"
#include "common/stop.h"
#include "verify/finding.h"
#include "verify/rowdiff.h"
#include "verify/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One table while it is repaired. */
struct table_work {
	const struct repair_item *item;
	struct rewrite w;
	struct flagged open; /* rows still to be written */
	int rank;            /* tables that it refers to have a lower one */
	bool refused;        /* the table as a whole: no right, a lock that is held */
	const char *why_not;
	char why[256], why_kept[256]; /* of the first row not written, the first not deleted */
	uint64_t inserted, updated, deleted, left, n[REWRITE_N];
	json_t *rows;
};

struct repair {
	struct databases *ends;
	const struct repair_settings *settings;
	struct table_work *tables;
	int n;
	FILE *file;
	bool written; /* anything, in all */
	bool moved;   /* anything, in this pass */
};

/* A pass writes what the source has, or deletes what it has not. */
enum pass { PASS_WRITE, PASS_DELETE };

/* --- order --- */

static struct table_work *by_oid(const struct repair *r, uint32_t oid)
{
	for (int i = 0; i < r->n; i++)
		if (r->tables[i].item->p->end[PG_TARGET]->oid == oid)
			return &r->tables[i];
	return NULL;
}

static int rank_tables(const struct repair *r, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	if (pg_query(r->ends->plain[PG_TARGET],
		     "SELECT conrelid, confrelid FROM pg_catalog.pg_constraint"
		     " WHERE contype = 'f' AND conrelid <> confrelid",
		     &res, e))
		return err_note(e, "reading the foreign keys of the target");
	/* As many rounds as there are tables settle all that is no circle. */
	for (int round = 0; round < r->n; round++)
		for (int i = 0; i < PQntuples(res); i++) {
			struct table_work *from =
				by_oid(r, (uint32_t)strtoul(PQgetvalue(res, i, 0), NULL, 10));
			const struct table_work *to =
				by_oid(r, (uint32_t)strtoul(PQgetvalue(res, i, 1), NULL, 10));

			if (from && to && from->rank <= to->rank && to->rank < r->n)
				from->rank = to->rank + 1;
		}
	return 0;
}

static int by_rank(const void *a, const void *b)
{
	const struct table_work *x = a, *y = b;

	return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank)
				  : strcmp(x->item->p->name, y->item->p->name);
}

/* --- the plan --- */

static json_t *plan_of(const struct repair *r, const struct table_work *t)
{
	const struct flagged_sums *s = &t->item->sums;
	uint64_t other = s->extra + s->doubled - s->surplus;
	bool all = r->settings->asked->delete_extra;
	json_t *plan = json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "table", t->item->p->name, "insert",
		(json_int_t)s->missing, "update", (json_int_t)s->changed, "take_out",
		(json_int_t)s->surplus, "delete", (json_int_t)(all ? other : 0), "leave",
		(json_int_t)(all ? 0 : other), "triggers_fire", t->w.triggers_fire);

	if (t->why_not)
		json_object_set_new(plan, "why_not", json_string(t->why_not));
	return plan;
}

static json_t *make_plan(const struct repair *r)
{
	json_t *plan = json_array();

	for (int i = 0; i < r->n; i++)
		json_array_append_new(plan, plan_of(r, &r->tables[i]));
	return plan;
}

static bool has_work(const struct repair *r)
{
	for (int i = 0; i < r->n; i++) {
		const struct flagged_sums *s = &r->tables[i].item->sums;
		uint64_t work = s->missing + s->changed + s->surplus;

		if (r->settings->asked->delete_extra)
			work += s->extra + s->doubled - s->surplus;
		if (work > 0 && !r->tables[i].why_not)
			return true;
	}
	return false;
}

/* --- what came of a row --- */

static const char *const outcome_words[REWRITE_N] = { "repaired", "stale", "source moved",
						      "refused" };

static json_t *row_json(const struct table_work *t, const struct flagged_row *row,
			const struct rewrite_row *result)
{
	json_t *line = rowdiff_row(t->item->p, row, outcome_words[result->outcome], 1);
	const struct {
		const char *word;
		uint64_t n;
	} done[] = { { "inserted", result->inserted },
		     { "updated", result->updated },
		     { "deleted", result->deleted },
		     { "left", result->left } };

	for (size_t i = 0; i < ARRAY_LEN(done); i++)
		if (done[i].n > 0)
			json_object_set_new(line, done[i].word,
					    json_integer((json_int_t)done[i].n));
	if (row->note)
		json_object_set_new(line, "why", finding_string(row->note));
	return line;
}

static void note_row(struct repair *r, struct table_work *t, const struct flagged_row *row,
		     const struct rewrite_row *result)
{
	json_t *line = row_json(t, row, result);
	uint64_t done = result->inserted + result->updated + result->deleted;

	t->inserted += result->inserted;
	t->updated += result->updated;
	t->deleted += result->deleted;
	t->left += result->left;
	t->n[result->outcome]++;
	r->written |= done > 0;
	r->moved |= done > 0;
	if (r->file) {
		json_dumpf(line, r->file, JSON_COMPACT);
		fputc('\n', r->file);
	}
	if (json_array_size(t->rows) < (size_t)r->settings->max_rows)
		json_array_append_new(t->rows, line);
	else
		json_decref(line);
}

/* --- batches --- */

/* Rows that this or that refuses can be told apart by trying them alone; a table cannot. */
static bool is_of_a_row(const struct err *e)
{
	return e->next == ERR_GIVE_UP &&
	       (e->kind == ERR_DATA || !strncmp(e->sqlstate, "44", 2) ||
		!strncmp(e->sqlstate, "P0", 2) || !strcmp(e->sqlstate, "428C9"));
}

/* A batch, from its beginning again where an end went away. */
static int try_batch(struct repair *r, struct table_work *t, struct flagged_row *rows, int n,
		     struct rewrite_row *results, struct err *e)
{
	uint64_t deadline = clock_ms() + r->ends->patience_ms;
	unsigned attempt = 1;

	for (;;) {
		struct pg *pg[2] = { r->ends->snapshot_session, r->ends->plain[PG_TARGET] };
		struct err lost = ERR_INIT;

		*e = ERR_INIT;
		if (rewrite_batch(&t->w, pg, rows, n, results, e) == 0)
			return 0;
		if (databases_mend(r->ends, r->settings->stop, &lost)) {
			*e = lost;
			return -1;
		}
		if (!session_again(e, &attempt, deadline, r->settings->stop))
			return -1;
	}
}

static int put_aside(struct flagged *aside, struct flagged_row *row, const struct err *why,
		     struct err *e)
{
	free(row->note);
	row->note = strdup(why->text);
	return row->note ? flagged_add(aside, row, e) : err_nomem(e);
}

/* Halves a batch that is refused until the row is alone that is to blame. */
static int write_rows(struct repair *r, struct table_work *t, struct flagged_row *rows, int n,
		      struct flagged *aside, struct err *e)
{
	AUTO(free) struct rewrite_row *results = calloc((size_t)n + 1, sizeof(*results));
	int at = 0, step = n;

	if (!results)
		return err_nomem(e);
	while (at < n && !t->refused) {
		int size = step < n - at ? step : n - at;
		struct err failed = ERR_INIT;

		if (r->settings->stop && stop_level(r->settings->stop) != STOP_NO)
			return stop_err(e);
		if (try_batch(r, t, rows + at, size, results, &failed) == 0) {
			for (int i = 0; i < size; i++)
				note_row(r, t, &rows[at + i], &results[i]);
			at += size;
			step *= 2;
		} else if (failed.kind == ERR_STOPPED || failed.next != ERR_GIVE_UP) {
			*e = failed;
			return -1;
		} else if (!is_of_a_row(&failed)) {
			t->refused = true;
			snprintf(t->why, sizeof(t->why), "%.255s", failed.text);
		} else if (size > 1) {
			step = size / 2;
		} else if (put_aside(aside, &rows[at], &failed, e)) {
			return -1;
		} else {
			at++;
		}
	}
	return 0;
}

static bool belongs(const struct flagged_row *row, enum pass pass)
{
	struct flagged_sums s = { 0 };

	flagged_sum(&s, row);
	return (pass == PASS_DELETE) == (s.extra > 0);
}

/* Rows of the other pass stay in the list. */
static int write_batch(struct repair *r, struct table_work *t, enum pass pass,
		       struct flagged_row *rows, int n, struct flagged *rest, struct err *e)
{
	int mine = 0;

	for (int i = 0; i < n; i++) {
		struct flagged_row row = rows[i];

		if (!belongs(&row, pass)) {
			if (flagged_add(rest, &row, e))
				return -1;
			continue;
		}
		/* swapped, not copied: each is still freed once, and the order stays */
		rows[i] = rows[mine];
		rows[mine++] = row;
	}
	return mine > 0 ? write_rows(r, t, rows, mine, rest, e) : 0;
}

static int run_list(struct repair *r, struct table_work *t, enum pass pass, struct flagged *rest,
		    struct err *e)
{
	int max = look_batch(t->item->p), n = 0, rc = 0;
	struct flagged_row *rows = calloc((size_t)max, sizeof(*rows));

	if (!rows)
		return err_nomem(e);
	flagged_rewind(&t->open);
	while (rc == 0 && !t->refused) {
		rc = flagged_next(&t->open, rows, max, &n, e);
		if (rc || n == 0)
			break;
		rc = write_batch(r, t, pass, rows, n, rest, e);
		flagged_rows_done(rows, n);
	}
	free(rows);
	return rc;
}

static int run_table(struct repair *r, struct table_work *t, enum pass pass, struct err *e)
{
	struct flagged rest = flagged_list(t->open.store);

	if (t->why_not || t->refused || t->open.n == 0)
		return 0;
	event_emit(r->settings->events, EVENT_INFO, "verify.repair", NULL, "repairing %s%s",
		   t->item->p->name, pass == PASS_DELETE ? ": rows that the source lacks" : "");
	if (run_list(r, t, pass, &rest, e))
		return -1;
	if (!t->refused)
		t->open = rest;
	return 0;
}

static int run_pass(struct repair *r, enum pass pass, struct err *e)
{
	for (int i = 0; i < r->n; i++)
		if (run_table(r, &r->tables[pass == PASS_WRITE ? i : r->n - 1 - i], pass, e))
			return -1;
	return 0;
}

static int run_passes(struct repair *r, struct err *e)
{
	do {
		r->moved = false;
		if (run_pass(r, PASS_WRITE, e) || run_pass(r, PASS_DELETE, e))
			return -1;
	} while (r->moved);
	return 0;
}

/* --- the end --- */

/*
 * The first of either pass: that a key is taken is told by the row to be inserted, why its holder
 * stays by the row to be deleted.
 */
static void note_why(struct table_work *t, const struct flagged_row *row)
{
	char *why = belongs(row, PASS_DELETE) ? t->why_kept : t->why;

	if (!why[0])
		snprintf(why, sizeof(t->why), "%.255s", row->note ? row->note : "");
}

/* What is still in the lists was refused in the last pass. */
static int note_refused(struct repair *r, struct table_work *t, struct err *e)
{
	struct rewrite_row result = { .outcome = REWRITE_FAILED };
	struct flagged_row row;
	int n = 0;

	flagged_rewind(&t->open);
	while (!t->why_not && !t->refused) {
		if (flagged_next(&t->open, &row, 1, &n, e))
			return -1;
		if (n == 0)
			break;
		note_why(t, &row);
		note_row(r, t, &row, &result);
		flagged_rows_done(&row, 1);
	}
	return 0;
}

static void add_findings(const struct table_work *t, json_t *checks)
{
	const char *name = t->item->p->name;
	uint64_t stale = t->n[REWRITE_STALE] + t->n[REWRITE_SOURCE_MOVED];

	if (t->inserted + t->updated + t->deleted > 0)
		finding_add(checks, "repair", name, FINDING_INFO,
			    "%llu rows inserted, %llu written over, %llu deleted",
			    (unsigned long long)t->inserted, (unsigned long long)t->updated,
			    (unsigned long long)t->deleted);
	if (t->left > 0)
		finding_add(checks, "repair", name, FINDING_WARNING,
			    "%llu rows that the source does not have were left; --delete-extra "
			    "deletes them",
			    (unsigned long long)t->left);
	if (stale > 0)
		finding_add(checks, "repair", name, FINDING_WARNING,
			    "%llu rows were left alone: they were written after they were compared",
			    (unsigned long long)stale);
	if (t->n[REWRITE_FAILED] > 0)
		finding_add(checks, "repair", name, FINDING_FAIL,
			    "%llu rows were refused; the first: %s%s%s",
			    (unsigned long long)t->n[REWRITE_FAILED], t->why,
			    t->why[0] && t->why_kept[0] ? "; the first to be deleted: " : "",
			    t->why_kept);
	if (t->why_not || t->refused)
		finding_add(checks, "repair", name, FINDING_FAIL, "was not repaired: %s",
			    t->why_not ? t->why_not : t->why);
}

static json_t *table_json(const struct repair *r, const struct table_work *t)
{
	json_t *out = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "table",
				t->item->p->name, "plan", plan_of(r, t), "inserted",
				(json_int_t)t->inserted, "updated", (json_int_t)t->updated,
				"deleted", (json_int_t)t->deleted, "left", (json_int_t)t->left,
				"stale", (json_int_t)t->n[REWRITE_STALE], "source_moved",
				(json_int_t)t->n[REWRITE_SOURCE_MOVED], "refused",
				(json_int_t)t->n[REWRITE_FAILED], "rows", t->rows);

	if (t->why_not || t->refused)
		json_object_set_new(out, "why_not",
				    finding_string(t->why_not ? t->why_not : t->why));
	return out;
}

static int finish(struct repair *r, json_t *checks, json_t *out, struct err *e)
{
	json_t *tables = json_array();

	json_object_set_new(out, "tables", tables);
	for (int i = 0; i < r->n; i++) {
		if (note_refused(r, &r->tables[i], e))
			return -1;
		add_findings(&r->tables[i], checks);
		json_array_append_new(tables, table_json(r, &r->tables[i]));
	}
	return 0;
}

/* --- all of it --- */

/* What ON UPDATE CASCADE does to a table that is repaired as well is compared again. */
static void allow_cascades(struct repair *r)
{
	for (int i = 0; i < r->n; i++)
		for (int j = 0; j < r->n; j++)
			if (!r->tables[j].why_not)
				reach_allow_cascade(&r->tables[i].w.reach,
						    r->tables[j].item->p->end[PG_TARGET]->oid);
}

static int prepare(struct repair *r, struct repair_item *items, struct err *e)
{
	const struct catalog *catalogs[2] = { r->ends->catalog[0], r->ends->catalog[1] };

	for (int i = 0; i < r->n; i++) {
		struct table_work *t = &r->tables[i];

		t->item = &items[i];
		t->open = items[i].list;
		t->why_not = rewrite_why_not(items[i].p);
		t->rows = json_array();
		if (rewrite_prepare(&t->w, items[i].p, catalogs, r->ends->plain[PG_TARGET],
				    r->settings->asked->delete_extra, e))
			return -1;
	}
	allow_cascades(r);
	if (rank_tables(r, e))
		return -1;
	qsort(r->tables, (size_t)r->n, sizeof(*r->tables), by_rank);
	return 0;
}

/* What an earlier repair did must not lie beside the report of this one. */
static int remove_file(const struct repair *r, struct err *e)
{
	const char *path = r->settings->asked->file;

	if (path && unlink(path) != 0 && errno != ENOENT)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", path);
	return 0;
}

static int open_file(struct repair *r, struct err *e)
{
	const char *path = r->settings->asked->file;

	if (!path)
		return 0;
	r->file = fopen(path, "we");
	if (!r->file)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", path);
	(void)fchmod(fileno(r->file), 0600);
	return 0;
}

static int close_file(struct repair *r, struct err *e)
{
	FILE *file = r->file;

	r->file = NULL;
	if (file && fclose(file) != 0)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", r->settings->asked->file);
	return 0;
}

static bool confirm(const struct repair *r)
{
	const struct verify_repair *asked = r->settings->asked;
	json_t *plan = make_plan(r);
	bool yes = !asked->confirm || asked->confirm(asked->confirm_ctx, plan, has_work(r));

	json_decref(plan);
	return yes && has_work(r);
}

static int run(struct repair *r, struct repair_item *items, json_t *checks, json_t *out,
	       struct err *e)
{
	bool confirmed;

	if (prepare(r, items, e) || remove_file(r, e))
		return -1;
	confirmed = confirm(r);
	json_object_set_new(out, "confirmed", json_boolean(confirmed));
	json_object_set_new(out, "delete_extra", json_boolean(r->settings->asked->delete_extra));
	if (!confirmed) {
		json_object_set_new(out, "plan", make_plan(r));
		return 0;
	}
	if (open_file(r, e) || run_passes(r, e) || finish(r, checks, out, e))
		return -1;
	return close_file(r, e);
}

int repair_run(struct databases *ends, struct repair_item *items, int n,
	       const struct repair_settings *settings, json_t *checks, json_t *out,
	       bool *ret_written, struct err *e)
{
	struct repair r = { .ends = ends, .settings = settings, .n = n };
	struct err ignored = ERR_INIT;
	int rc;

	r.tables = calloc((size_t)n + 1, sizeof(*r.tables));
	if (!r.tables)
		return err_nomem(e);
	rc = run(&r, items, checks, out, e);
	*ret_written = r.written;
	if (rc && r.written)
		(void)err_hint(e, "what was written stays, in whole transactions; the same command "
				  "goes on from there");
	if (r.file)
		(void)close_file(&r, &ignored);
	for (int i = 0; i < n; i++) {
		rewrite_done(&r.tables[i].w);
		json_decref(r.tables[i].rows);
	}
	free(r.tables);
	return rc;
}
