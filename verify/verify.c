#include "verify/verify.h"

#include "common/clock.h"
#include "verify/collections.h"
#include "verify/databases.h"
#include "verify/document.h"
#include "verify/expected.h"
#include "verify/finding.h"
#include "verify/judge.h"
#include "verify/parity.h"
#include "verify/presence.h"
#include "verify/resources.h"
#include "verify/search.h"
#include "verify/session.h"
#include "verify/smoke.h"
#include "verify/tables.h"
#include "verify/totals.h"
#include "verify/verification.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_MARGIN 0.01

static bool is_filtered(const struct verification *r)
{
	const struct catalog_filter *f = &r->settings->filter;

	return f->n_tables > 0 || f->n_excluded > 0;
}

/* --- schema --- */

static int check_schema(struct verification *r, struct err *e)
{
	const struct catalog *catalogs[2] = { r->ends.catalog[0], r->ends.catalog[1] };
	json_t *objects = json_array();
	/* A source that goes on writing is ahead of what its snapshot held: no fault of the target.
	 */
	struct pg *sequences[2] = { r->settings->proven ? NULL : r->ends.plain[PG_SOURCE],
				    r->ends.plain[PG_TARGET] };
	struct parity_want want = { .only_tables = is_filtered(r),
				    .moved = r->settings->expected != NULL };
	struct err failed = ERR_INIT;

	verification_begin(r, "schema");
	json_object_set_new(r->doc, "objects", objects);
	parity_tables(&r->pairs, r->ends.plain[PG_SOURCE] != NULL, r->checks);
	if (parity_check(r->ends.plain, &r->pairs, want, r->checks, objects, &failed) &&
	    verification_tolerate(r, "schema", "definitions", &failed, e))
		return -1;
	failed = ERR_INIT;
	if (!is_filtered(r) && parity_sequences(sequences, catalogs, r->checks, &failed) &&
	    verification_tolerate(r, "schema", "sequences", &failed, e))
		return -1;
	return 0;
}

/* --- the other levels --- */

static int check_totals(struct verification *r, struct err *e)
{
	const struct catalog *s = r->ends.catalog[PG_SOURCE], *t = r->ends.catalog[PG_TARGET];
	struct totals_want want = { .collections = r->settings->collections,
				    .n_collections = r->settings->n_collections,
				    .include_values = r->settings->include_values,
				    .same_encoding = !s || !strcmp(s->encoding, t->encoding) };
	json_t *totals = json_array();

	verification_begin(r, "totals");
	json_object_set_new(r->doc, "totals", totals);
	r->pool.snapshot = r->ends.snapshot; /* rows looked at again have a newer one */
	if (totals_check(&r->pairs, r->content, &r->pool, &want, r->checks, totals, r->queries, e))
		return -1;
	tables_soften(r, "totals");
	return 0;
}

static int check_contents(struct verification *r, struct err *e)
{
	if (tables_check(r, e) || collections_check_found(r, e))
		return -1;
	return verification_asked(r, VERIFY_TOTALS) ? check_totals(r, e) : 0;
}

static int check_presence(struct verification *r, struct err *e)
{
	const struct catalog *catalogs[2] = { r->ends.catalog[0], r->ends.catalog[1] };
	struct presence_list list = { .n = 0 };
	json_t *collections = json_array();
	int rc;

	verification_begin(r, "presence");
	json_object_set_new(r->doc, "embeddings", collections);
	r->pool.snapshot = r->ends.snapshot;
	if (presence_read(&list, &r->pairs, catalogs, &r->pool, r->settings->collections,
			  r->settings->n_collections, e))
		return -1;
	presence_judge(&list, r->checks, collections);
	tables_soften(r, "presence");
	rc = presence_queries(&list, catalogs, r->settings->collections, r->settings->n_collections,
			      r->queries, e);
	presence_free(&list);
	return rc;
}

static int check_search(struct verification *r, struct err *e)
{
	const struct verify_settings *s = r->settings;
	struct search_settings settings = { .sample = s->sample > 0 ? s->sample : SEARCH_SAMPLE,
					    .seed = s->seed,
					    .margin = s->margin > 0 ? s->margin : DEFAULT_MARGIN,
					    .max_latency_ratio = s->max_latency_ratio,
					    .stop = s->stop,
					    .events = s->events,
					    .progress = verification_progress,
					    .progress_ctx = r,
					    .queries = r->queries };
	json_t *out = json_array(), *functions = json_array();
	struct err failed = ERR_INIT;

	verification_begin(r, "search");
	json_object_set_new(r->doc, "search", out);
	json_object_set_new(r->doc, "functions", functions);
	if (search_run(r->ends.plain, &r->pairs, &settings, r->checks, out, functions, &failed))
		return verification_tolerate(r, "search", "searches", &failed, e);
	return 0;
}

static int check_smoke(struct verification *r, struct err *e)
{
	const struct extension *x = catalog_extension(r->ends.catalog[PG_TARGET], "vector");
	json_t *out = json_array();
	struct err failed = ERR_INIT;

	verification_begin(r, "smoke");
	json_object_set_new(r->doc, "smoke", out);
	if (smoke_run(r->ends.plain[PG_TARGET], &r->pairs, x ? x->schema : NULL, r->settings->seed,
		      r->checks, out, &failed))
		return verification_tolerate(r, "smoke", "documents", &failed, e);
	return 0;
}

static int check_all(struct verification *r, struct err *e)
{
	bool schema = verification_asked(r, VERIFY_SCHEMA), repair = r->settings->repair != NULL;

	if (expected_check_missing(r, e))
		return -1;
	if (schema && !repair && check_schema(r, e))
		return -1;
	if (verification_asked(r, VERIFY_COUNTS | VERIFY_DIGEST) && check_contents(r, e))
		return -1;
	/* Sequences are compared with the largest values of their columns: of those that are left.
	 */
	if (schema && repair && check_schema(r, e))
		return -1;
	if (verification_asked(r, VERIFY_PRESENCE) && check_presence(r, e))
		return -1;
	if (verification_asked(r, VERIFY_SEARCH) && check_search(r, e))
		return -1;
	if (verification_asked(r, VERIFY_SMOKE) && check_smoke(r, e))
		return -1;
	json_object_set_new(r->doc, "resources",
			    resources_read(r->ends.plain, &r->pairs,
					   json_object_get(r->doc, "embeddings"), r->pool.jobs));
	return 0;
}

/* --- the document --- */

static int new_document(struct verification *r, struct err *e)
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

static struct verify_result *finish(struct verification *r, struct err *e)
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

static struct pair_division division_of(const struct verify_settings *s)
{
	return (struct pair_division){ s->division, s->n_division, "collection_name" };
}

/* With patience: what it asks is little, but a server may go away at any moment. */
static int pair_tables(struct verification *r, struct err *e)
{
	const struct verify_settings *s = r->settings;
	const struct pair_division division = division_of(s);
	const struct catalog *catalogs[2] = { r->ends.catalog[0], r->ends.catalog[1] };
	uint64_t deadline = clock_ms() + r->ends.patience_ms;
	unsigned attempt = 1;

	for (;;) {
		struct err failed = ERR_INIT;

		if (pairs_make(&r->pairs, catalogs, r->ends.plain, &division, is_filtered(r),
			       &failed) == 0) {
			for (int i = 0; i < r->pairs.n; i++)
				r->pairs.pair[i].moved = expected_of(r, &r->pairs.pair[i]) != NULL;
			return 0;
		}
		if (!session_again(&failed, &attempt, deadline, s->stop)) {
			*e = failed;
			return -1;
		}
		if (databases_mend(&r->ends, s->stop, e))
			return -1;
	}
}

/* What names nothing that is there is a mistake: else it would be looked for in vain, and pass. */
static int check_names(const struct verification *r, struct err *e)
{
	const struct pair_division division = division_of(r->settings);

	if (r->settings->proven) /* the run that was proven has taken them */
		return 0;
	return pairs_check_division(&r->pairs, &division, e) || collections_check_asked(r, e) ? -1
											      : 0;
}

static int prepare(struct verification *r, const struct conn *source, const struct conn *target,
		   struct err *e)
{
	const struct verify_settings *s = r->settings;

	if (databases_open(&r->ends, source, target, &s->filter, s->stop, e) || new_document(r, e))
		return -1;
	if (s->patience_ms > 0)
		r->ends.patience_ms = s->patience_ms;
	if (pair_tables(r, e) || check_names(r, e))
		return -1;
	json_object_set_new(r->doc, "source", databases_identity(&r->ends, PG_SOURCE));
	json_object_set_new(r->doc, "target", databases_identity(&r->ends, PG_TARGET));
	for (int i = 0; i < r->pairs.n; i++) {
		const struct proof_table *t = expected_of(r, &r->pairs.pair[i]);

		r->pairs.pair[i].text_mode = t && t->text_mode;
	}
	r->pool = (struct pool){ .conns = { source, target },
				 .snapshot = r->ends.snapshot,
				 .jobs = s->jobs > 0 ? s->jobs : 1,
				 .patience_ms = r->ends.patience_ms,
				 .stop = s->stop,
				 .progress = verification_progress,
				 .progress_ctx = r };
	return 0;
}

static void run_done(struct verification *r)
{
	flagged_close(r->store);
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
	struct verification r = { .settings = settings, .phase = "" };
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
