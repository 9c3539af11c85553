#include "verify/tables.h"

#include "common/event.h"
#include "verify/expected.h"
#include "verify/finding.h"
#include "verify/judge.h"
#include "verify/recheck.h"
#include "verify/repair.h"
#include "verify/rowdiff.h"
#include "verify/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_MAX_ROWS 100
#define DEFAULT_ROUNDS   5

/* A table whose digests differ, and which of its rows do. */
struct suspect {
	const struct pair *p; /* of the pairs, or &own */
	struct pair own;      /* with the generated columns among those compared */
	bool generated;
	json_t *row; /* the table's object of the report, borrowed */
	struct rowdiff found;
	struct recheck seen; /* its list; after the rounds, what came of them */
};

struct comparison_work {
	struct verification *v;
	FILE *all;                /* differences.ndjson, or NULL */
	struct suspect *suspects; /* at most two a table */
	int n;
};

/* --- counts and digests --- */

/*
 * What a proof has just found in the target is not read again. A table that was not among the
 * moved ones, such as a materialized view, is not judged.
 */
static int read_proven(struct verification *v, struct content_want *want, struct err *e)
{
	AUTO(free) bool *skip = malloc((size_t)v->pairs.n + 1);

	if (!skip)
		return err_nomem(e);
	memset(skip, true, (size_t)v->pairs.n + 1);
	want->skip = skip;
	if (content_read(&v->content, &v->pairs, &v->pool, want, e))
		return -1;
	for (int i = 0; i < v->pairs.n; i++) {
		const struct proof_table *t = expected_of(v, &v->pairs.pair[i]);

		if (t && content_prove(&v->content[i], t, e))
			return -1;
		skip[i] = !t;
	}
	return content_queries(&v->pairs, want, v->queries, e);
}

static int read_content(struct verification *v, struct err *e)
{
	AUTO(free) bool *expected = calloc((size_t)v->pairs.n + 1, sizeof(*expected));
	bool source = v->ends.plain[PG_SOURCE] != NULL;
	struct content_want want = {
		.counts = { source && verification_asked(v, VERIFY_COUNTS | VERIFY_DIGEST), true },
		.digests = { source && verification_asked(v, VERIFY_DIGEST),
			     verification_asked(v, VERIFY_DIGEST) },
		.collections = v->settings->collections,
		.n_collections = v->settings->n_collections,
	};

	verification_begin(v, verification_asked(v, VERIFY_DIGEST) ? "digest" : "counts");
	v->pool.snapshot = v->ends.snapshot;
	content_free(v->content, v->pairs.n);
	v->content = NULL;
	if (!expected)
		return err_nomem(e);
	for (int i = 0; i < v->pairs.n; i++)
		expected[i] = expected_of(v, &v->pairs.pair[i]) != NULL;
	want.expected = expected;
	if (v->settings->proven)
		return read_proven(v, &want, e);
	if (content_read(&v->content, &v->pairs, &v->pool, &want, e))
		return -1;
	return content_queries(&v->pairs, &want, v->queries, e);
}

/* --- which rows --- */

static int open_diff_file(struct comparison_work *w, struct err *e)
{
	const char *path = w->v->settings->diff_file;

	if (w->all || !path)
		return 0;
	w->all = fopen(path, "we");
	if (!w->all)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", path);
	(void)fchmod(fileno(w->all), 0600);
	return 0;
}

static bool keeps_rows(const struct verification *v)
{
	return v->settings->live || v->settings->repair;
}

static int scan_rows(struct comparison_work *w, struct suspect *s, uint64_t rows, struct err *e)
{
	const struct verify_settings *asked = w->v->settings;
	struct pg *pg[2] = { w->v->ends.snapshot_session, w->v->ends.plain[PG_TARGET] };
	struct rowdiff_settings settings = {
		.max_rows = asked->max_rows > 0 ? asked->max_rows : DEFAULT_MAX_ROWS,
		.all = asked->live ? NULL : w->all, /* there with what became of each */
		.list = keeps_rows(w->v) ? &s->seen.list : NULL,
		.include_values = asked->include_values,
		.rows = rows,
		.collections = asked->collections,
		.n_collections = asked->n_collections,
	};

	struct err second = ERR_INIT;
	int rc = 0;

	if (keeps_rows(w->v))
		s->seen.list = flagged_list(w->v->store);
	for (int role = 0; role < 2 && !rc; role++)
		rc = session_for_scans(pg[role], e);
	if (!rc)
		rc = rowdiff_run(&s->found, pg, s->p, &settings, e);
	for (int role = 0; role < 2; role++)
		if (session_as_application(pg[role], rc ? &second : e))
			rc = -1;
	return rc;
}

/* Which rows of one table differ, in what COPY carries or with the generated columns. */
static int find_rows(struct comparison_work *w, const struct content *c, json_t *row,
		     bool generated, struct err *e)
{
	struct suspect *s = &w->suspects[w->n];
	struct err failed = ERR_INIT;

	*s = (struct suspect){ .p = c->pair, .row = row, .generated = generated };
	if (open_diff_file(w, e) || (generated && pair_with_generated(&s->own, c->pair, e)))
		return -1;
	if (generated)
		s->p = &s->own;
	if (scan_rows(w, s, c->end[PG_TARGET].tally.rows, &failed)) {
		pair_with_generated_done(&s->own);
		return verification_tolerate(w->v, "rows", c->pair->name, &failed, e);
	}
	s->seen.p = s->p;
	s->seen.rows = s->found.rows;
	s->seen.silent = generated && w->n > 0 && s[-1].row == row;
	w->n++;
	return 0;
}

static int judge_table_rows(struct comparison_work *w, const struct content *c, json_t *row,
			    struct err *e)
{
	const struct content_end *s = &c->end[PG_SOURCE], *t = &c->end[PG_TARGET];
	bool generated =
		s->has_generated && t->has_generated && !tally_equal(&s->generated, &t->generated);
	bool stored = !tally_equal(&s->tally, &t->tally) || !generated;

	if (!pair_comparable(c->pair) || !w->v->ends.snapshot_session)
		return 0;
	verification_begin(w->v, "rows");
	if (stored && find_rows(w, c, row, false, e))
		return -1;
	/* Rows that differ anyway have other generated values, unless they are equal in a moment.
	 */
	return generated && (!stored || w->v->settings->live) ? find_rows(w, c, row, true, e) : 0;
}

/* Counted at another moment than digested: the digest counts, too. */
static void settle_counts(const struct verification *v, const struct content *c, json_t *row)
{
	const struct content_end *s = &c->end[PG_SOURCE], *t = &c->end[PG_TARGET];

	if (!s->has_tally || !t->has_tally || !s->has_count || !t->has_count ||
	    s->count == t->count)
		return;
	judge_soften(v->checks, &v->pairs, "counts", c->pair->name, FINDING_WARNING,
		     "its digest, read at another moment, is the same");
	json_object_set_new(row, "verdict", json_string("settled"));
}

static bool is_judged(const struct verification *v, const struct pair *p,
		      const struct proof_table *expected)
{
	if (v->settings->proven)
		return expected != NULL;
	return v->settings->n_collections == 0 || p->collection_column;
}

static int judge_contents(struct comparison_work *w, struct err *e)
{
	struct verification *v = w->v;

	for (int i = 0; i < v->pairs.n; i++) {
		const struct pair *p = &v->pairs.pair[i];
		struct judge_input in = { .content = &v->content[i],
					  .expected = expected_of(v, p),
					  .has_source = v->ends.plain[PG_SOURCE] != NULL,
					  .levels = v->settings->levels };
		bool different = false;
		json_t *row;

		if (!is_judged(v, p, in.expected))
			continue;
		expected_tell_untold(v, p);
		row = judge_table(&in, v->checks, &different);
		json_array_append_new(v->tables, row);
		if (v->settings->live && !different)
			settle_counts(v, &v->content[i], row);
		if (different && judge_table_rows(w, &v->content[i], row, e))
			return -1;
	}
	return 0;
}

/* --- what became of them --- */

static void add_words(struct text *t, uint64_t n, const char *word)
{
	if (n > 0)
		text_addf(t, "%s%llu %s", t->len > 0 ? ", " : "", (unsigned long long)n, word);
}

static void add_sums(struct text *t, uint64_t missing, uint64_t extra, uint64_t changed,
		     uint64_t equivalent, uint64_t doubled)
{
	add_words(t, missing, "missing");
	add_words(t, extra, "extra");
	add_words(t, changed, "changed");
	if (equivalent > 0)
		text_addf(t, " (%llu of them equal for SQL)", (unsigned long long)equivalent);
	add_words(t, doubled, "doubled");
}

static void tell_found(const struct verification *v, const struct suspect *s)
{
	const struct rowdiff *d = &s->found;
	AUTO_TEXT struct text words = TEXT_INIT;

	if (d->missing + d->extra + d->changed + d->doubled == 0) {
		finding_add(v->checks, "rows", s->p->name, FINDING_WARNING,
			    "the contents differed at first, and are equal now: a transient "
			    "difference; --against snapshot is for a source that is written to");
		return;
	}
	add_sums(&words, d->missing, d->extra, d->changed, d->equivalent, d->doubled);
	finding_add(v->checks, "rows", s->p->name, FINDING_FAIL, "%s%s", text_str(&words),
		    s->generated ? " (in generated columns)" : "");
}

/* Digests differ; "equivalent" only where every row that does was looked at and is. */
static void refine_verdict(json_t *row, const struct rowdiff *d)
{
	if (d->changed > 0 && d->equivalent == d->changed &&
	    d->missing + d->extra + d->doubled == 0)
		json_object_set_new(row, "verdict", json_string("equivalent"));
}

static void tell_seen(const struct verification *v, const struct suspect *s)
{
	const struct flagged_sums *sums = &s->seen.sums;
	const char *name = s->p->name;
	AUTO_TEXT struct text words = TEXT_INIT;

	add_sums(&words, sums->missing, sums->extra, sums->changed, 0, sums->doubled);
	if (s->seen.lasting > 0)
		finding_add(v->checks, "rows", name, FINDING_FAIL, "lasting differences: %s%s",
			    text_str(&words), s->generated ? " (in generated columns)" : "");
	if (s->seen.moving > 0)
		finding_add(v->checks, "rows", name, FINDING_UNKNOWN,
			    "%llu rows differed at every look and were written in between: they "
			    "never came to rest",
			    (unsigned long long)s->seen.moving);
	if (s->seen.lasting + s->seen.moving == 0)
		finding_add(v->checks, "rows", name, FINDING_WARNING,
			    "transient differences only: the digests differed at first; %llu rows "
			    "did when they were looked for, and each was seen equal later",
			    (unsigned long long)s->seen.transient);
}

/* Numbers and digests are of the first look: rows that came to be equal since explain them. */
static void settle(const struct verification *v, const struct suspect *s)
{
	bool moving = s->seen.moving > 0;
	const char *why = moving ? "rows are written meanwhile"
				 : "every row that differed was seen equal later";

	if (s->seen.lasting > 0) {
		json_object_set_new(s->row, "verdict", json_string("different"));
		return;
	}
	json_object_set_new(s->row, "verdict", json_string(moving ? "moving" : "settled"));
	judge_soften(v->checks, &v->pairs, "counts", s->p->name,
		     moving ? FINDING_UNKNOWN : FINDING_WARNING, why);
	judge_soften(v->checks, &v->pairs, "digest", s->p->name,
		     moving ? FINDING_UNKNOWN : FINDING_WARNING, why);
}

static json_t *differences_json(const struct verification *v, const struct suspect *s)
{
	const struct rowdiff *d = &s->found;
	json_t *out = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:b, s:i, s:i, s:O}", "missing", (json_int_t)d->missing,
		"extra", (json_int_t)d->extra, "changed", (json_int_t)d->changed, "equivalent",
		(json_int_t)d->equivalent, "doubled", (json_int_t)d->doubled, "keyed", d->keyed,
		"buckets", d->buckets, "buckets_different", d->buckets_different, "rows", d->rows);

	if (s->generated)
		json_object_set_new(out, "generated", json_true());
	if (v->settings->live) {
		json_object_set_new(out, "transient", json_integer((json_int_t)s->seen.transient));
		json_object_set_new(out, "moving", json_integer((json_int_t)s->seen.moving));
		json_object_set_new(out, "lasting", json_integer((json_int_t)s->seen.lasting));
	}
	return out;
}

/* Where the stored columns of a row differ, or did, its generated ones are no news. */
static bool is_explained(const struct comparison_work *w, int i)
{
	const struct suspect *s = &w->suspects[i], *before = s->seen.silent ? s - 1 : s;

	return s->seen.silent && (before->seen.lasting + before->seen.moving > 0 ||
				  s->seen.lasting + s->seen.moving == 0);
}

static void tell_all(struct comparison_work *w)
{
	for (int i = 0; i < w->n; i++) {
		struct suspect *s = &w->suspects[i];

		if (is_explained(w, i))
			continue;
		json_object_set_new(s->row, "differences", differences_json(w->v, s));
		if (w->v->settings->live) {
			tell_seen(w->v, s);
			settle(w->v, s);
		} else {
			tell_found(w->v, s);
			refine_verdict(s->row, &s->found);
		}
	}
}

static int recheck_all(struct comparison_work *w, struct err *e)
{
	const struct verify_settings *asked = w->v->settings;
	struct recheck_settings settings = {
		.rounds = asked->rounds > 0 ? asked->rounds : DEFAULT_ROUNDS,
		.wait_ms = asked->round_wait_ms,
		.filter = { asked->collections, asked->n_collections },
		.all = w->all,
		.stop = asked->stop,
		.events = asked->events,
	};
	AUTO(free) struct recheck *seen = calloc((size_t)w->n + 1, sizeof(*seen));
	int rc;

	if (!seen)
		return err_nomem(e);
	for (int i = 0; i < w->n; i++)
		seen[i] = w->suspects[i].seen;
	rc = recheck_run(seen, w->n, &w->v->ends, &settings, e);
	for (int i = 0; i < w->n; i++)
		w->suspects[i].seen = seen[i];
	return rc;
}

static void work_done(struct comparison_work *w)
{
	for (int i = 0; i < w->n; i++) {
		rowdiff_free(&w->suspects[i].found);
		if (w->suspects[i].generated)
			pair_with_generated_done(&w->suspects[i].own);
	}
	free(w->suspects);
	w->suspects = NULL;
}

/* Differences of an earlier look must not lie beside the report of this one. */
static int begin_work(struct comparison_work *w, struct err *e)
{
	const char *path = w->v->settings->diff_file;

	w->suspects = calloc(2 * (size_t)w->v->pairs.n + 1, sizeof(*w->suspects));
	if (!w->suspects)
		return err_nomem(e);
	if (path && unlink(path) != 0 && errno != ENOENT)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", path);
	return keeps_rows(w->v) && !w->v->store ? flagged_open(&w->v->store, e) : 0;
}

static int compare(struct comparison_work *w, struct err *e)
{
	int rc = begin_work(w, e);

	if (rc == 0)
		rc = read_content(w->v, e);
	if (rc == 0)
		rc = judge_contents(w, e);
	if (rc == 0 && w->v->settings->live)
		rc = recheck_all(w, e);
	if (rc == 0)
		tell_all(w);
	if (w->all && fclose(w->all) != 0 && rc == 0)
		rc = err_sys(e, ERR_DISK, errno, "cannot write %s", w->v->settings->diff_file);
	w->all = NULL;
	return rc;
}

/* --- repair --- */

static struct flagged_sums sums_of(const struct verification *v, const struct suspect *s)
{
	const struct rowdiff *d = &s->found;

	return v->settings->live ? s->seen.sums
				 : (struct flagged_sums){ .missing = d->missing,
							  .extra = d->extra,
							  .changed = d->changed,
							  .doubled = d->doubled,
							  .surplus = d->surplus };
}

/* Generated columns are the target's own work: nothing can be written there. */
static int make_items(const struct comparison_work *w, struct repair_item *items)
{
	int n = 0;

	for (int i = 0; i < w->n; i++) {
		const struct suspect *s = &w->suspects[i];

		if (!s->generated && s->seen.list.n > 0)
			items[n++] = (struct repair_item){ .p = s->p,
							   .list = s->seen.list,
							   .sums = sums_of(w->v, s) };
	}
	return n;
}

static int repair(struct comparison_work *w, json_t *out, bool *ret_written, struct err *e)
{
	const struct verify_settings *asked = w->v->settings;
	struct repair_settings settings = {
		.asked = asked->repair,
		.max_rows = asked->max_rows > 0 ? asked->max_rows : DEFAULT_MAX_ROWS,
		.stop = asked->stop,
		.events = asked->events,
	};
	AUTO(free) struct repair_item *items = calloc((size_t)w->n + 1, sizeof(*items));
	int n;

	if (!items)
		return err_nomem(e);
	n = make_items(w, items);
	verification_begin(w->v, "repair");
	return repair_run(&w->v->ends, items, n, &settings, w->v->checks, out, ret_written, e);
}

/* Takes the findings from `from` on out of the list. */
static json_t *cut_findings(json_t *checks, size_t from)
{
	json_t *cut = json_array();

	while (json_array_size(checks) > from) {
		if (strcmp(json_string_value(
				   json_object_get(json_array_get(checks, from), "verdict")),
			   "pass") != 0)
			json_array_append(cut, json_array_get(checks, from));
		json_array_remove(checks, from);
	}
	return cut;
}

/* What was found before moves into "repair"; what is found now, in a new snapshot, counts. */
static int compare_anew(struct comparison_work *w, json_t *out, json_t *repaired, size_t from,
			struct err *e)
{
	work_done(w);
	*w = (struct comparison_work){ .v = w->v };
	json_object_set_new(out, "before", cut_findings(w->v->checks, from));
	json_array_clear(w->v->tables);
	json_array_clear(w->v->queries);
	if (databases_renew(&w->v->ends, w->v->settings->stop, e))
		return -1;
	json_object_set_new(w->v->doc, "source", databases_identity(&w->v->ends, PG_SOURCE));
	if (compare(w, e))
		return -1;
	json_array_extend(w->v->checks, repaired);
	return 0;
}

static int compare_and_repair(struct comparison_work *w, struct err *e)
{
	struct verification *v = w->v;
	json_t *checks = v->checks, *out = json_object(), *repaired;
	size_t from = json_array_size(checks);
	bool written = false;
	int rc = compare(w, e);

	json_object_set_new(v->doc, "repair", out);
	if (rc)
		return -1;
	repaired = json_array();
	v->checks = repaired;
	rc = repair(w, out, &written, e);
	v->checks = checks;
	if (rc == 0 && written)
		rc = compare_anew(w, out, repaired, from, e);
	else if (rc == 0)
		json_array_extend(checks, repaired);
	json_decref(repaired);
	return rc;
}

/* --- all of it --- */

int tables_check(struct verification *v, struct err *e)
{
	struct comparison_work w = { .v = v };
	int rc = v->settings->repair ? compare_and_repair(&w, e) : compare(&w, e);

	work_done(&w);
	if (rc)
		return -1;
	json_object_set_new(v->doc, "fingerprint",
			    json_pack("{s:o, s:o}", "source",
				      judge_fingerprint(v->tables, PG_SOURCE), "target",
				      judge_fingerprint(v->tables, PG_TARGET)));
	return 0;
}

/* Only where rows were compared: counts alone tell nothing of what differs. */
static void soften(const struct verification *v, const char *group, const json_t *table)
{
	const char *name = json_string_value(json_object_get(table, "name"));
	const char *verdict = json_string_value(json_object_get(table, "verdict"));
	bool moving = verdict && !strcmp(verdict, "moving");

	if (moving || (verdict && (!strcmp(verdict, "identical") ||
				   !strcmp(verdict, "equivalent") || !strcmp(verdict, "settled"))))
		judge_soften(v->checks, &v->pairs, group, name,
			     moving ? FINDING_UNKNOWN : FINDING_WARNING,
			     "the numbers are of two moments, and rows are written meanwhile");
}

void tables_soften(const struct verification *v, const char *group)
{
	const json_t *table;
	size_t i;

	json_array_foreach(v->settings->live ? v->tables : NULL, i, table) soften(v, group, table);
}
