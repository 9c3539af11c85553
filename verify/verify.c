#include "verify/verify.h"

#include "common/clock.h"
#include "common/event.h"
#include "verify/databases.h"
#include "verify/document.h"
#include "verify/finding.h"
#include "verify/judge.h"
#include "verify/parity.h"
#include "verify/presence.h"
#include "verify/queries.h"
#include "verify/resources.h"
#include "verify/rowdiff.h"
#include "verify/search.h"
#include "verify/smoke.h"
#include "verify/totals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_MAX_ROWS 100
#define DEFAULT_MARGIN   0.01

/* Everything a run of the verifier holds. */
struct run {
	const struct verify_settings *settings;
	struct databases ends;
	struct pairs pairs;
	struct pool pool;
	struct content *content;
	json_t *doc, *checks, *tables, *queries;
	const char *phase;
};

static void progress(void *ctx, int done, int total)
{
	const struct run *r = ctx;

	if (r->settings->progress)
		r->settings->progress(r->settings->progress_ctx, r->phase, done, total);
}

static void begin(struct run *r, const char *phase)
{
	r->phase = phase;
	event_emit(r->settings->events, EVENT_INFO, "verify.phase", NULL, "verifying: %s", phase);
	progress(r, 0, 1);
}

static bool asked(const struct run *r, unsigned level)
{
	return (r->settings->levels & level) != 0;
}

static bool is_filtered(const struct run *r)
{
	const struct catalog_filter *f = &r->settings->filter;

	return f->n_tables > 0 || f->n_excluded > 0;
}

/* --- schema --- */

/* A failed end is a finding, so that the rest is still looked at; only a stop ends the run. */
static int tolerate(struct run *r, const char *group, const char *object, struct err *failed,
		    struct err *e)
{
	if (failed->kind == ERR_STOPPED) {
		*e = *failed;
		return -1;
	}
	finding_add(r->checks, group, object, FINDING_UNKNOWN, "could not be looked at: %s",
		    failed->text);
	return databases_mend(&r->ends, r->settings->stop, e);
}

static int check_schema(struct run *r, struct err *e)
{
	const struct catalog *catalogs[2] = { r->ends.catalog[0], r->ends.catalog[1] };
	json_t *objects = json_array();
	/* A source that goes on writing is ahead of what its snapshot held: no fault of the target. */
	struct pg *sequences[2] = { r->settings->proven ? NULL : r->ends.plain[PG_SOURCE],
				    r->ends.plain[PG_TARGET] };
	struct err failed = ERR_INIT;

	begin(r, "schema");
	json_object_set_new(r->doc, "objects", objects);
	parity_tables(&r->pairs, r->ends.plain[PG_SOURCE] != NULL, r->checks);
	if (parity_check(r->ends.plain, &r->pairs, is_filtered(r), r->checks, objects, &failed) &&
	    tolerate(r, "schema", "definitions", &failed, e))
		return -1;
	failed = ERR_INIT;
	if (!is_filtered(r) && parity_sequences(sequences, catalogs, r->checks, &failed) &&
	    tolerate(r, "schema", "sequences", &failed, e))
		return -1;
	return 0;
}

/* --- counts and digests --- */

static const struct proof_table *expected_of(const struct run *r, const struct pair *p)
{
	const struct table *t = p->end[PG_TARGET];

	for (int i = 0; t && i < r->settings->n_expected; i++)
		if (!strcmp(r->settings->expected[i].schema, t->schema) &&
		    !strcmp(r->settings->expected[i].name, t->name))
			return &r->settings->expected[i];
	return NULL;
}

/*
 * What a proof has just found in the target is not read again. A table that was not among the
 * moved ones, such as a materialized view, is not judged.
 */
static int read_proven(struct run *r, struct content_want *want, struct err *e)
{
	AUTO(free) bool *skip = malloc((size_t)r->pairs.n + 1);

	if (!skip)
		return err_nomem(e);
	memset(skip, true, (size_t)r->pairs.n + 1);
	want->skip = skip;
	if (content_read(&r->content, &r->pairs, &r->pool, want, e))
		return -1;
	for (int i = 0; i < r->pairs.n; i++) {
		const struct proof_table *t = expected_of(r, &r->pairs.pair[i]);

		if (t && content_prove(&r->content[i], t, e))
			return -1;
		skip[i] = !t;
	}
	return content_queries(&r->pairs, want, r->queries, e);
}

static int read_content(struct run *r, struct err *e)
{
	AUTO(free) bool *expected = calloc((size_t)r->pairs.n + 1, sizeof(*expected));
	bool source = r->ends.plain[PG_SOURCE] != NULL;
	struct content_want want = {
		.counts = { source && asked(r, VERIFY_COUNTS | VERIFY_DIGEST), true },
		.digests = { source && asked(r, VERIFY_DIGEST), asked(r, VERIFY_DIGEST) },
		.collections = r->settings->collections,
		.n_collections = r->settings->n_collections,
	};

	begin(r, asked(r, VERIFY_DIGEST) ? "digest" : "counts");
	if (!expected)
		return err_nomem(e);
	for (int i = 0; i < r->pairs.n; i++)
		expected[i] = expected_of(r, &r->pairs.pair[i]) != NULL;
	want.expected = expected;
	if (!r->settings->proven)
		return content_read(&r->content, &r->pairs, &r->pool, &want, e) ||
				       content_queries(&r->pairs, &want, r->queries, e)
			       ? -1
			       : 0;
	return read_proven(r, &want, e);
}

static int open_diff_file(struct run *r, FILE **ret, struct err *e)
{
	const char *path = r->settings->diff_file;

	if (*ret || !path)
		return 0;
	*ret = fopen(path, "we");
	if (!*ret)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", path);
	(void)fchmod(fileno(*ret), 0600);
	return 0;
}

static json_t *rowdiff_json(const struct rowdiff *d)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:i, s:i, s:O}", "missing",
			 (json_int_t)d->missing, "extra", (json_int_t)d->extra, "changed",
			 (json_int_t)d->changed, "equivalent", (json_int_t)d->equivalent, "doubled",
			 (json_int_t)d->doubled, "keyed", d->keyed, "buckets", d->buckets,
			 "buckets_different", d->buckets_different, "rows", d->rows);
}

static void add_words(struct text *t, uint64_t n, const char *word)
{
	if (n > 0)
		text_addf(t, "%s%llu %s", t->len > 0 ? ", " : "", (unsigned long long)n, word);
}

static void rowdiff_finding(struct run *r, const struct pair *p, const struct rowdiff *d)
{
	AUTO_TEXT struct text words = TEXT_INIT;
	uint64_t all = d->missing + d->extra + d->changed + d->doubled;

	if (all == 0) {
		finding_add(r->checks, "rows", p->name, FINDING_WARNING,
			    "the contents differed at first, and are equal now: a transient "
			    "difference");
		return;
	}
	add_words(&words, d->missing, "missing");
	add_words(&words, d->extra, "extra");
	add_words(&words, d->changed, "changed");
	if (d->equivalent > 0)
		text_addf(&words, " (%llu of them equal for SQL)",
			  (unsigned long long)d->equivalent);
	add_words(&words, d->doubled, "doubled");
	finding_add(r->checks, "rows", p->name, FINDING_FAIL, "%s", text_str(&words));
}

/* Digests differ; "equivalent" only where every row that does was looked at and is. */
static void refine_verdict(json_t *row, const struct rowdiff *d)
{
	if (d->changed > 0 && d->equivalent == d->changed &&
	    d->missing + d->extra + d->doubled == 0)
		json_object_set_new(row, "verdict", json_string("equivalent"));
}

static int find_rows(struct run *r, const struct content *c, json_t *row, FILE *all, struct err *e)
{
	int max = r->settings->max_rows > 0 ? r->settings->max_rows : DEFAULT_MAX_ROWS;
	struct rowdiff_settings settings = { .max_rows = max,
					     .all = all,
					     .include_values = r->settings->include_values,
					     .rows = c->end[PG_TARGET].tally.rows,
					     .collections = r->settings->collections,
					     .n_collections = r->settings->n_collections };
	struct pg *pg[2] = { r->ends.snapshot_session, r->ends.plain[PG_TARGET] };
	struct rowdiff found = { .rows = NULL };
	struct err failed = ERR_INIT;

	if (rowdiff_run(&found, pg, c->pair, &settings, &failed))
		return tolerate(r, "rows", c->pair->name, &failed, e);
	json_object_set_new(row, "differences", rowdiff_json(&found));
	rowdiff_finding(r, c->pair, &found);
	refine_verdict(row, &found);
	rowdiff_free(&found);
	return 0;
}

static bool is_judged(const struct run *r, const struct pair *p, const struct proof_table *expected)
{
	if (r->settings->proven)
		return expected != NULL;
	return r->settings->n_collections == 0 || p->collection_column;
}

static int judge_contents(struct run *r, struct err *e)
{
	FILE *all = NULL;
	int rc = 0;

	for (int i = 0; i < r->pairs.n && rc == 0; i++) {
		const struct pair *p = &r->pairs.pair[i];
		struct judge_input in = { .content = &r->content[i],
					  .expected = expected_of(r, p),
					  .has_source = r->ends.plain[PG_SOURCE] != NULL,
					  .levels = r->settings->levels };
		bool different = false;
		json_t *row;

		if (!is_judged(r, p, in.expected))
			continue;
		row = judge_table(&in, r->checks, &different);
		json_array_append_new(r->tables, row);
		if (different && pair_comparable(p) && r->ends.snapshot_session) {
			begin(r, "rows");
			rc = open_diff_file(r, &all, e);
			if (rc == 0)
				rc = find_rows(r, &r->content[i], row, all, e);
		}
	}
	if (all && fclose(all) != 0 && rc == 0)
		rc = err_sys(e, ERR_DISK, errno, "cannot write %s", r->settings->diff_file);
	return rc;
}

static int check_totals(struct run *r, struct err *e)
{
	const struct catalog *s = r->ends.catalog[PG_SOURCE], *t = r->ends.catalog[PG_TARGET];
	struct totals_want want = { .collections = r->settings->collections,
				    .n_collections = r->settings->n_collections,
				    .include_values = r->settings->include_values,
				    .same_encoding = !s || !strcmp(s->encoding, t->encoding) };
	json_t *totals = json_array();

	begin(r, "totals");
	json_object_set_new(r->doc, "totals", totals);
	return totals_check(&r->pairs, r->content, &r->pool, &want, r->checks, totals, r->queries,
			    e);
}

static int check_contents(struct run *r, struct err *e)
{
	if (read_content(r, e) || judge_contents(r, e))
		return -1;
	if (asked(r, VERIFY_TOTALS) && check_totals(r, e))
		return -1;
	json_object_set_new(r->doc, "fingerprint",
			    json_pack("{s:o, s:o}", "source",
				      judge_fingerprint(r->tables, PG_SOURCE), "target",
				      judge_fingerprint(r->tables, PG_TARGET)));
	return 0;
}

/* --- the other levels --- */

static int check_presence(struct run *r, struct err *e)
{
	const struct catalog *catalogs[2] = { r->ends.catalog[0], r->ends.catalog[1] };
	struct presence_list list = { .n = 0 };
	json_t *collections = json_array();
	int rc;

	begin(r, "presence");
	json_object_set_new(r->doc, "embeddings", collections);
	if (presence_read(&list, &r->pairs, catalogs, &r->pool, r->settings->collections,
			  r->settings->n_collections, e))
		return -1;
	presence_judge(&list, r->checks, collections);
	rc = presence_queries(&list, catalogs, r->settings->collections, r->settings->n_collections,
			      r->queries, e);
	presence_free(&list);
	if (rc)
		return -1;
	return 0;
}

static int check_search(struct run *r, struct err *e)
{
	const struct verify_settings *s = r->settings;
	struct search_settings settings = { .sample = s->sample > 0 ? s->sample : SEARCH_SAMPLE,
					    .seed = s->seed,
					    .margin = s->margin > 0 ? s->margin : DEFAULT_MARGIN,
					    .max_latency_ratio = s->max_latency_ratio,
					    .stop = s->stop,
					    .events = s->events,
					    .progress = progress,
					    .progress_ctx = r,
					    .queries = r->queries };
	json_t *out = json_array(), *functions = json_array();
	struct err failed = ERR_INIT;

	begin(r, "search");
	json_object_set_new(r->doc, "search", out);
	json_object_set_new(r->doc, "functions", functions);
	if (search_run(r->ends.plain, &r->pairs, &settings, r->checks, out, functions, &failed))
		return tolerate(r, "search", "searches", &failed, e);
	return 0;
}

static int check_smoke(struct run *r, struct err *e)
{
	const struct extension *x = catalog_extension(r->ends.catalog[PG_TARGET], "vector");
	json_t *out = json_array();
	struct err failed = ERR_INIT;

	begin(r, "smoke");
	json_object_set_new(r->doc, "smoke", out);
	if (smoke_run(r->ends.plain[PG_TARGET], &r->pairs, x ? x->schema : NULL, r->settings->seed,
		      r->checks, out, &failed))
		return tolerate(r, "smoke", "documents", &failed, e);
	return 0;
}

static int check_all(struct run *r, struct err *e)
{
	if (asked(r, VERIFY_SCHEMA) && check_schema(r, e))
		return -1;
	if (asked(r, VERIFY_COUNTS | VERIFY_DIGEST) && check_contents(r, e))
		return -1;
	if (asked(r, VERIFY_PRESENCE) && check_presence(r, e))
		return -1;
	if (asked(r, VERIFY_SEARCH) && check_search(r, e))
		return -1;
	if (asked(r, VERIFY_SMOKE) && check_smoke(r, e))
		return -1;
	json_object_set_new(r->doc, "resources",
			    resources_read(r->ends.plain, &r->pairs,
					   json_object_get(r->doc, "embeddings"), r->pool.jobs));
	return 0;
}

/* --- the document --- */

static int new_document(struct run *r, struct err *e)
{
	char now[CLOCK_ISO_LEN];

	clock_iso(now);
	r->checks = json_array();
	r->tables = json_array();
	r->queries = json_array();
	r->doc = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o}", "schema",
			   VERIFY_SCHEMA_VERSION, "verdict", "", "sentence", "", "started", now,
			   "tool", document_tool(r->settings), "operator", document_operator(),
			   "command", r->settings->command ? r->settings->command : "", "settings",
			   document_settings(r->settings));
	if (!r->doc || !r->checks || !r->tables || !r->queries)
		return err_nomem(e);
	json_object_set(r->doc, "checks", r->checks);
	json_object_set(r->doc, "tables", r->tables);
	json_object_set(r->doc, "queries", r->queries);
	if (r->settings->run)
		json_object_set_new(r->doc, "run", json_string(r->settings->run));
	return 0;
}

static struct verify_result *finish(struct run *r, struct err *e)
{
	struct verify_result *result = calloc(1, sizeof(*result));
	char now[CLOCK_ISO_LEN], today[11];

	if (!result) {
		(void)err_nomem(e);
		return NULL;
	}
	clock_iso(now);
	snprintf(today, sizeof(today), "%.10s", now);
	judge_waive(r->checks, r->settings->waivers, today);
	result->verdict = judge_verdict(r->checks, result->sentence, sizeof(result->sentence));
	json_object_set_new(r->doc, "verdict", json_string(verify_verdict_name(result->verdict)));
	json_object_set_new(r->doc, "sentence", finding_string(result->sentence));
	json_object_set_new(r->doc, "exit_status",
			    json_integer(verify_exit_status(result->verdict)));
	json_object_set_new(r->doc, "ended", json_string(now));
	json_object_set_new(r->doc, "coverage", document_coverage(r->tables));
	json_object_set_new(r->doc, "exceptions", document_exceptions(r->checks));
	result->doc = json_incref(r->doc);
	return result;
}

/* --- the run --- */

static int prepare(struct run *r, const struct conn *source, const struct conn *target,
		   struct err *e)
{
	const struct verify_settings *s = r->settings;
	struct pair_division division = { s->division, s->n_division, "collection_name" };
	const struct catalog *catalogs[2];

	if (databases_open(&r->ends, source, target, &s->filter, s->stop, e) || new_document(r, e))
		return -1;
	if (s->patience_ms > 0)
		r->ends.patience_ms = s->patience_ms;
	json_object_set_new(r->doc, "source", databases_identity(&r->ends, PG_SOURCE));
	json_object_set_new(r->doc, "target", databases_identity(&r->ends, PG_TARGET));
	catalogs[0] = r->ends.catalog[0];
	catalogs[1] = r->ends.catalog[1];
	if (pairs_make(&r->pairs, catalogs, r->ends.plain, &division, is_filtered(r), e))
		return -1;
	for (int i = 0; i < r->pairs.n; i++) {
		const struct proof_table *t = expected_of(r, &r->pairs.pair[i]);

		r->pairs.pair[i].text_mode = t && t->text_mode;
	}
	r->pool = (struct pool){ .conns = { source, target },
				 .snapshot = r->ends.snapshot,
				 .jobs = s->jobs > 0 ? s->jobs : 1,
				 .patience_ms = r->ends.patience_ms,
				 .stop = s->stop,
				 .progress = progress,
				 .progress_ctx = r };
	return 0;
}

static void run_done(struct run *r)
{
	content_free(r->content, r->pairs.n);
	pairs_free(&r->pairs);
	databases_close(&r->ends);
	json_decref(r->checks);
	json_decref(r->tables);
	json_decref(r->queries);
	json_decref(r->doc);
}

int verify_run(const struct conn *source, const struct conn *target,
	       const struct verify_settings *settings, struct verify_result **ret, struct err *e)
{
	struct run r = { .settings = settings, .phase = "" };
	struct verify_result *result = NULL;

	if (prepare(&r, source, target, e) == 0 && check_all(&r, e) == 0)
		result = finish(&r, e);
	run_done(&r);
	if (!result)
		return -1;
	*ret = result;
	return 0;
}

void verify_result_free(struct verify_result *r)
{
	if (!r)
		return;
	json_decref(r->doc);
	free(r);
}

/* --- words --- */

const char *verify_verdict_name(enum verify_verdict v)
{
	static const char *const names[] = { "PASS", "PASS WITH EXCEPTIONS", "FAIL",
					     "INCONCLUSIVE" };

	return names[v];
}

int verify_exit_status(enum verify_verdict v)
{
	return v == VERIFY_FAIL ? 7 : v == VERIFY_INCONCLUSIVE ? 8 : 0;
}

unsigned verify_level(const char *word)
{
	static const struct {
		const char *word;
		unsigned levels;
	} all[] = {
		{ "schema", VERIFY_SCHEMA },
		{ "counts", VERIFY_SCHEMA | VERIFY_COUNTS },
		{ "presence", VERIFY_SCHEMA | VERIFY_COUNTS | VERIFY_PRESENCE },
		{ "digest", VERIFY_ALL & ~(unsigned)VERIFY_SEARCH },
		{ "search", VERIFY_ALL },
		{ "all", VERIFY_ALL },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strcmp(all[i].word, word))
			return all[i].levels;
	return 0;
}
