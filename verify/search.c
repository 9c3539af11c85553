#include "verify/search.h"

#include "common/clock.h"
#include "verify/finding.h"
#include "verify/latency.h"
#include "verify/queries.h"
#include "verify/queryset.h"
#include "verify/recall.h"
#include "verify/searchfn.h"

#include <math.h>
#include <string.h>

/* Exact scans in the server stop here, however many queries are still to come. */
#define EXACT_MS 60000
/* halfvec keeps 11 bits: what a rounded component may move a distance, with room. */
#define HALF_TOLERANCE 1e-3

static const char *const metric_words[] = { "L2 distance", "inner product", "cosine distance",
					    "L1 distance" };

/* --- the tolerance --- */

/* A scale for the tolerance: the largest distance, or product of lengths, among the true answers.
 */
static double scale_of(const struct annindex *x, const struct queryset *q)
{
	double scale = 0;

	for (int i = 0; i < q->n; i++) {
		const struct knn_list *l = queryset_truth(q, i);

		for (int h = 0; h < l->n; h++)
			scale = fmax(scale, fabs(l->hits[h].distance));
		if (x->metric == KNN_IP) {
			const float *v = q->vectors + (size_t)i * (size_t)q->dims;

			scale = fmax(scale, fabs(knn_distance(KNN_IP, v, v, q->dims)));
		}
	}
	return scale;
}

static double tolerance_of(const struct annindex *x, const struct queryset *q)
{
	double scale = scale_of(x, q);

	if (x->pair->converted)
		return HALF_TOLERANCE * (x->metric == KNN_COSINE ? 1 : fmax(scale, 1e-30));
	return knn_tolerance(x->metric, q->dims, scale);
}

/* --- exact neighbours of both servers --- */

struct exact {
	int queries, same, ties;
	double largest;
	const char *why; /* of the first that is not the same */
	const char *key;
};

static int exact_end(struct exact *ret, struct pg *pg, const struct annindex *x,
		     const struct queryset *q, enum pg_role role, uint64_t *bytes, struct err *e)
{
	uint64_t until = clock_deadline(EXACT_MS);
	struct exact found = { .queries = 0 };

	if (pg_exec(pg, "SET enable_indexscan = off; SET enable_bitmapscan = off", e))
		return -1;
	for (int i = 0; i < q->n && i < SEARCH_EXACT && clock_ms() < until; i++) {
		struct knn_list list = { .n = 0 };
		struct knn_agreement a;

		if (queryset_search(q, pg, x, role, i, 1, SEARCH_K, &list, NULL, bytes, e))
			return -1;
		a = knn_agrees(queryset_truth(q, i), &list, SEARCH_K, q->tolerance);
		found.queries++;
		found.same += a.same;
		found.ties += a.same && a.ties;
		found.largest = fmax(found.largest, a.largest);
		if (!a.same && !found.why) {
			found.why = a.why;
			found.key = q->keys[i];
		}
		knn_list_done(&list);
	}
	*ret = found;
	return recall_reset(pg, e);
}

static json_t *exact_json(const struct exact *x)
{
	return json_pack("{s:i, s:i, s:i, s:f}", "queries", x->queries, "same", x->same, "ties",
			 x->ties, "largest", x->largest);
}

static int check_exact(struct pg *const pg[2], const struct annindex *x, const struct queryset *q,
		       json_t *checks, json_t *out, uint64_t *bytes, struct err *e)
{
	json_t *exact = json_object();

	json_object_set_new(out, "exact", exact);
	for (int role = 0; role < 2; role++) {
		struct exact found;

		if (!pg[role])
			continue;
		if (exact_end(&found, pg[role], x, q, (enum pg_role)role,
			      role == PG_TARGET ? bytes : NULL, e))
			return -1;
		json_object_set_new(exact, role ? "target" : "source", exact_json(&found));
		if (found.same == found.queries)
			finding_add(checks, "search", x->label, FINDING_PASS,
				    "%d of %d exact searches in the %s give the true neighbours",
				    found.same, found.queries, role ? "target" : "source");
		else
			finding_add(
				checks, "search", x->label, FINDING_FAIL,
				"%d of %d exact searches in the %s give the true neighbours; for "
				"%s: %s",
				found.same, found.queries, role ? "target" : "source", found.key,
				found.why);
	}
	return 0;
}

/* --- one index --- */

static json_t *index_json(const struct annindex *x, const struct queryset *q,
			  const struct search_settings *s)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:s, s:f}", "index",
			 x->label, "table", x->pair->name, "operand", x->end[PG_TARGET].operand,
			 "method", x->method, "metric", metric_words[x->metric], "k", SEARCH_K,
			 "dims", q->dims, "queries", q->n, "seed", (json_int_t)s->seed, "rows",
			 (json_int_t)q->rows, "truth",
			 q->truth ? "computed from the source's vectors in double"
				  : "exact scans of the target",
			 "tolerance", q->tolerance);
}

static int draw(struct queryset *q, struct pg *const pg[2], const struct annindex *x,
		const struct search_settings *s, struct err *e)
{
	struct pg *source = pg[PG_SOURCE];
	int want = source || s->sample < SEARCH_SAMPLE_ALONE ? s->sample : SEARCH_SAMPLE_ALONE;

	if (queryset_draw(q, source ? source : pg[PG_TARGET], x, want, s->seed, e))
		return -1;
	if (q->n > 0 && (source ? queryset_compute(q, source, x, SEARCH_K, e)
				: queryset_ask(q, pg[PG_TARGET], x, SEARCH_K, e)))
		return -1;
	queryset_drop_lonely(q);
	q->tolerance = q->n > 0 ? tolerance_of(x, q) : 0;
	return 0;
}

/* Keys and distances only: 20 bytes of framing, the key, a number; four or five settings. */
static void announce(const struct annindex *x, const struct queryset *q,
		     const struct search_settings *s)
{
	size_t key = q->n > 0 ? strlen(q->keys[0]) : 0;
	unsigned long long bytes = (unsigned long long)q->n * (SEARCH_K + 1) * (key + 40) * 5;

	event_emit(s->events, EVENT_INFO, "verify.search",
		   json_pack("{s:s, s:I}", "index", x->label, "egress", (json_int_t)bytes),
		   "searching through %s: %d queries, about %llu kB from the target", x->label,
		   q->n, bytes / 1000);
}

static int measure(struct pg *const pg[2], const struct annindex *x, const struct queryset *q,
		   const struct search_settings *s, json_t *checks, json_t *out, struct err *e)
{
	struct recall_settings recall = { .k = SEARCH_K, .margin = s->margin, .stop = s->stop };
	struct latency_settings latency = { .k = SEARCH_K,
					    .queries = SEARCH_LATENCY,
					    .max_ratio = s->max_latency_ratio,
					    .seed = s->seed,
					    .stop = s->stop };
	uint64_t bytes = 0;

	announce(x, q, s);
	if ((q->truth && check_exact(pg, x, q, checks, out, &bytes, e)) ||
	    recall_measure(pg, x, q, &recall, checks, out, &bytes, e))
		return -1;
	for (int role = 0; role < 2; role++)
		if (pg[role] && recall_reset(pg[role], e))
			return -1;
	json_object_set_new(out, "egress", json_integer((json_int_t)bytes));
	return latency_measure(pg, x, q, &latency, checks, out, e);
}

static int note_queries(struct pg *const pg[2], const struct annindex *x, json_t *queries,
			struct err *e)
{
	for (int role = 0; queries && role < 2; role++) {
		AUTO_TEXT struct text sql = TEXT_INIT;

		if (!pg[role])
			continue;
		queryset_search_sql(&sql, x, (enum pg_role)role, SEARCH_K + 1);
		if (text_check(&sql, e))
			return -1;
		queries_add(queries, "search", x->label, (enum pg_role)role, text_str(&sql));
	}
	return 0;
}

static int check_index(struct pg *const pg[2], const struct annindex *x,
		       const struct search_settings *s, json_t *checks, json_t *list, struct err *e)
{
	struct queryset q = { .n = 0 };
	struct pg *ends[2] = { x->pair->end[PG_SOURCE] ? pg[PG_SOURCE] : NULL, pg[PG_TARGET] };
	json_t *out;
	int rc = draw(&q, ends, x, s, e);

	if (rc == 0 && q.n == 0) {
		finding_add(checks, "search", x->label, FINDING_INFO,
			    "no vectors to search through %s", x->label);
	} else if (rc == 0) {
		out = index_json(x, &q, s);
		json_array_append_new(list, out);
		rc = note_queries(ends, x, s->queries, e);
		if (rc == 0)
			rc = measure(ends, x, &q, s, checks, out, e);
	}
	queryset_done(&q);
	return rc;
}

/* --- all of them --- */

/* What fails on one index is a finding; what ends the sessions ends the search. */
static int check_or_note(struct pg *const pg[2], const struct annindex *x,
			 const struct search_settings *s, json_t *checks, json_t *out,
			 struct err *e)
{
	struct err failed = ERR_INIT, ignored = ERR_INIT;

	if (check_index(pg, x, s, checks, out, &failed) == 0)
		return 0;
	if (failed.kind == ERR_STOPPED || failed.next != ERR_GIVE_UP ||
	    !pg_is_alive(pg[PG_TARGET]) || (pg[PG_SOURCE] && !pg_is_alive(pg[PG_SOURCE]))) {
		*e = failed;
		return -1;
	}
	finding_add(checks, "search", x->label, FINDING_UNKNOWN, "%s", failed.text);
	for (int role = 0; role < 2; role++)
		if (pg[role] && recall_reset(pg[role], &ignored))
			return -1;
	return 0;
}

/* A limit that was asked for and that nothing was held against is no pass. */
static void tell_unjudged(const struct search_settings *s, bool source, json_t *checks)
{
	static const enum finding_verdict judged[] = { FINDING_PASS, FINDING_FAIL,
						       FINDING_UNKNOWN };

	if (s->max_latency_ratio <= 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(judged); i++)
		if (finding_count(checks, "latency", judged[i]) > 0)
			return;
	finding_add(checks, "latency", "searches", FINDING_UNKNOWN,
		    "--max-latency-ratio was not judged: %s",
		    source ? "no search was timed on both ends" : "there is no source");
}

int search_run(struct pg *const pg[2], const struct pairs *pairs,
	       const struct search_settings *settings, json_t *checks, json_t *out,
	       json_t *functions, struct err *e)
{
	struct annindex_list list;
	int rc = 0;

	if (annindex_read(&list, pg, pairs, checks, e))
		return -1;
	for (int i = 0; i < list.n && rc == 0; i++) {
		if (settings->progress)
			settings->progress(settings->progress_ctx, i, list.n + 1);
		rc = check_or_note(pg, &list.items[i], settings, checks, out, e);
	}
	annindex_free(&list);
	if (rc == 0)
		tell_unjudged(settings, pg[PG_SOURCE] != NULL, checks);
	if (rc == 0 && pg[PG_SOURCE])
		rc = searchfn_compare(pg, pairs, settings->seed, checks, functions, e);
	return rc;
}
