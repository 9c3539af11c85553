#include "verify/recall.h"

#include "common/stop.h"
#include "verify/finding.h"
#include "verify/stats.h"

#include <stdio.h>
#include <string.h>

#define BATCH      50
#define WORST      5
#define EXAMPLES   3
#define LOW_RECALL 0.9
#define SIGN_LEVEL 0.01 /* of the sign test, docs/verify.md */

/* --- the plan --- */

static void find_scan(const json_t *node, const char *index, struct recall_plan *plan)
{
	const char *type = json_string_value(json_object_get(node, "Node Type"));
	const char *name = json_string_value(json_object_get(node, "Index Name"));
	const json_t *child;
	size_t i;

	if (name && index && !strcmp(name, index))
		plan->uses_index = true;
	if (name)
		snprintf(plan->node, sizeof(plan->node), "%.40s using %.100s", type ? type : "",
			 name);
	else if (type && strstr(type, "Scan") && strcmp(type, "Function Scan") != 0)
		snprintf(plan->node, sizeof(plan->node), "%.100s", type);
	json_array_foreach(json_object_get(node, "Plans"), i, child) find_scan(child, index, plan);
}

/* A partitioned index shows the names of its parts: any index of its method will do there. */
static void find_any_ann(const json_t *node, struct recall_plan *plan)
{
	const json_t *child;
	size_t i;

	if (json_object_get(node, "Index Name") && json_object_get(node, "Order By"))
		plan->uses_index = true;
	json_array_foreach(json_object_get(node, "Plans"), i, child) find_any_ann(child, plan);
}

static int explain(struct recall_plan *plan, struct pg *pg, const struct annindex *x,
		   const struct queryset *q, enum pg_role role, int k, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO_TEXT struct text array = TEXT_INIT;
	json_t *json;

	plan->uses_index = false;
	text_add(&sql, "EXPLAIN (FORMAT JSON) ");
	queryset_search_sql(&sql, x, role, k + 1);
	queryset_array(&array, q, 0, 1);
	if (text_check(&sql, e) || text_check(&array, e) ||
	    pg_query_params(pg, text_str(&sql), 1, (const char *const[]){ text_str(&array) }, &res,
			    e))
		return err_note(e, "looking at the plan of a search through %s", x->label);
	json = json_loads(PQgetvalue(res, 0, 0), 0, NULL);
	find_scan(json_object_get(json_array_get(json, 0), "Plan"), x->end[role].name, plan);
	if (x->pair->end[role]->kind == 'p')
		find_any_ann(json_object_get(json_array_get(json, 0), "Plan"), plan);
	json_decref(json);
	return 0;
}

int recall_plan(struct recall_plan *ret, struct pg *pg, const struct annindex *x,
		const struct queryset *q, enum pg_role role, int k, struct err *e)
{
	struct recall_plan plan = { .uses_index = false };

	if (explain(&plan, pg, x, q, role, k, e))
		return -1;
	plan.by_choice = plan.uses_index;
	/* A small table is quicker without, and so may a large one be at another ef_search. */
	if (pg_exec(pg,
		    "SET enable_seqscan = off; SET enable_sort = off;"
		    "SET max_parallel_workers_per_gather = 0",
		    e) ||
	    explain(&plan, pg, x, q, role, k, e))
		return -1;
	*ret = plan;
	return 0;
}

int recall_reset(struct pg *pg, struct err *e)
{
	return pg_exec(pg,
		       "RESET enable_seqscan; RESET enable_sort; RESET enable_indexscan;"
		       "RESET enable_bitmapscan; RESET max_parallel_workers_per_gather;"
		       "RESET hnsw.ef_search; RESET ivfflat.probes",
		       e);
}

/* --- measuring --- */

/* The answers of one end at one setting. */
struct answers {
	double *recall; /* per query */
	bool *found;    /* the own row */
	struct knn_list *lists;
};

static void answers_done(struct answers *a, int n)
{
	for (int i = 0; a->lists && i < n; i++)
		knn_list_done(&a->lists[i]);
	free(a->lists);
	free(a->recall);
	free(a->found);
	*a = (struct answers){ .recall = NULL };
}

static int run_queries(struct answers *ret, struct pg *pg, const struct annindex *x,
		       const struct queryset *q, enum pg_role role, const struct recall_settings *s,
		       uint64_t *bytes_in, struct err *e)
{
	struct answers a = { .recall = calloc((size_t)q->n + 1, sizeof(double)),
			     .found = calloc((size_t)q->n + 1, sizeof(bool)),
			     .lists = calloc((size_t)q->n + 1, sizeof(struct knn_list)) };
	int rc = a.recall && a.found && a.lists ? 0 : err_nomem(e);

	for (int first = 0; rc == 0 && first < q->n; first += BATCH) {
		int n = q->n - first < BATCH ? q->n - first : BATCH;

		if (s->stop && stop_level(s->stop) != STOP_NO)
			rc = stop_err(e);
		else
			rc = queryset_search(q, pg, x, role, first, n, s->k, a.lists + first,
					     a.found + first, bytes_in, e);
	}
	for (int i = 0; rc == 0 && i < q->n; i++)
		a.recall[i] = knn_recall(queryset_truth(q, i), &a.lists[i], s->k, q->tolerance);
	if (rc) {
		answers_done(&a, q->n);
		return -1;
	}
	*ret = a;
	return 0;
}

static json_t *stats_json(const double *recall, int n)
{
	struct stats s = stats_of(recall, n);
	int zero = 0, low = 0;

	for (int i = 0; i < n; i++) {
		zero += recall[i] <= 0;
		low += recall[i] < LOW_RECALL;
	}
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:i, s:i}", "mean", s.mean, "half95", s.half95,
			 "p5", s.p5, "median", s.median, "min", s.min, "zero", zero, "below90",
			 low);
}

static json_t *paired_json(const struct stats_paired *p)
{
	static const char *const words[] = { "holds", "fails", "open" };

	return json_pack("{s:f, s:f, s:f, s:s}", "mean", p->mean, "lower95", p->lower95, "upper95",
			 p->upper95, "answer", words[p->answer]);
}

static json_t *plan_json(const struct recall_plan *p)
{
	return json_pack("{s:b, s:b, s:s}", "uses_index", p->uses_index, "by_choice", p->by_choice,
			 "node", p->node);
}

/* --- what is told of the answers at each end's own settings --- */

static bool is_found(const struct queryset *q, const struct answers *a, int i)
{
	return a->found[i] || (a->lists[i].n > 0 && a->lists[i].hits[0].distance <= q->tolerance);
}

static json_t *self_json(const struct queryset *q, const struct answers *a, int *ret_found)
{
	*ret_found = 0;
	for (int i = 0; i < q->n; i++)
		*ret_found += is_found(q, a, i);
	return json_pack("[i, i]", *ret_found, q->n);
}

static json_t *hits_json(const struct knn_list *l, int k)
{
	json_t *hits = json_array();

	for (int i = 0; i < l->n && i < k; i++)
		json_array_append_new(hits, json_pack("[o, f]", finding_string(l->hits[i].key),
						      l->hits[i].distance));
	return hits;
}

/* Worst first: by the target's recall, then by how far it is below the source's. */
static void sort_worst(int *order, int n, const struct answers a[2])
{
	for (int i = 1; i < n; i++)
		for (int j = i; j > 0; j--) {
			int x = order[j], y = order[j - 1];

			if (a[PG_TARGET].recall[x] >= a[PG_TARGET].recall[y])
				break;
			order[j] = y;
			order[j - 1] = x;
		}
}

static json_t *query_json(const struct queryset *q, const struct answers a[2], int i, int k,
			  bool full)
{
	json_t *row =
		json_pack("{s:o, s:o, s:f}", "key", finding_string(q->keys[i]), "source",
			  a[PG_SOURCE].recall ? json_real(a[PG_SOURCE].recall[i]) : json_null(),
			  "target", a[PG_TARGET].recall[i]);

	if (full) {
		json_object_set_new(row, "exact", hits_json(queryset_truth(q, i), k));
		json_object_set_new(row, "target_hits", hits_json(&a[PG_TARGET].lists[i], k));
		if (a[PG_SOURCE].lists)
			json_object_set_new(row, "source_hits",
					    hits_json(&a[PG_SOURCE].lists[i], k));
	}
	return row;
}

static int tell_queries(const struct queryset *q, const struct answers a[2], int k, json_t *out,
			struct err *e)
{
	AUTO(free) int *order = calloc((size_t)q->n + 1, sizeof(*order));
	json_t *worst = json_array(), *examples = json_array();

	json_object_set_new(out, "worst", worst);
	json_object_set_new(out, "examples", examples);
	if (!order)
		return err_nomem(e);
	for (int i = 0; i < q->n; i++)
		order[i] = i;
	sort_worst(order, q->n, a);
	for (int i = 0; i < q->n && i < WORST; i++)
		json_array_append_new(worst, query_json(q, a, order[i], k, false));
	/* The best, the middle and the worst, side by side. */
	for (int i = 0; i < EXAMPLES && i < q->n; i++)
		json_array_append_new(
			examples,
			query_json(q, a, order[(q->n - 1) * (EXAMPLES - 1 - i) / (EXAMPLES - 1)], k,
				   true));
	return 0;
}

/* How many queries fail in some way on each end, and how many on that end alone. */
struct failing {
	int all[2], alone[2];
};

static void count_failing(struct failing *f, bool source, bool target)
{
	f->all[PG_SOURCE] += source;
	f->all[PG_TARGET] += target;
	f->alone[PG_SOURCE] += source && !target;
	f->alone[PG_TARGET] += target && !source;
}

static struct failing zero_recalls(const struct answers a[2], int n)
{
	struct failing f = { { 0 }, { 0 } };

	for (int i = 0; i < n; i++)
		count_failing(&f, a[PG_SOURCE].recall[i] <= 0, a[PG_TARGET].recall[i] <= 0);
	return f;
}

/* Searches that gave fewer rows than there are; a source without searches has none. */
static struct failing few_answers(const struct queryset *q, const struct answers a[2], int k)
{
	struct failing f = { { 0 }, { 0 } };

	for (int i = 0; i < q->n; i++) {
		int exact = queryset_truth(q, i)->n, want = exact < k ? exact : k;

		count_failing(&f, a[PG_SOURCE].lists && a[PG_SOURCE].lists[i].n < want,
			      a[PG_TARGET].lists[i].n < want);
	}
	return f;
}

/*
 * No two builds of an index are the same, and which rows a build leaves out of reach is chance:
 * some more than on the other end is an exception, more than chance explains is a failure.
 */
static enum finding_verdict many_more(const struct failing *f)
{
	return stats_sign(f->alone[PG_TARGET], f->alone[PG_SOURCE]) < SIGN_LEVEL ? FINDING_FAIL
										 : FINDING_WARNING;
}

/* Open: measured within the margin is an exception, measured below it is not known. */
static enum finding_verdict paired_verdict(const struct stats_paired *p, double margin)
{
	if (p->answer == STATS_OPEN)
		return p->mean >= -margin ? FINDING_WARNING : FINDING_UNKNOWN;
	return p->answer == STATS_HOLDS ? FINDING_PASS : FINDING_FAIL;
}

static void judge_paired(const struct annindex *x, const struct queryset *q,
			 const struct answers a[2], double margin, json_t *checks)
{
	struct stats_paired p = stats_paired(a[0].recall, a[1].recall, q->n, margin);
	double s = stats_of(a[0].recall, q->n).mean, t = stats_of(a[1].recall, q->n).mean;
	struct failing zero = zero_recalls(a, q->n);

	finding_add(checks, "search", x->label, paired_verdict(&p, margin),
		    "recall %.4f in the source, %.4f in the target; the difference is %+.4f, with "
		    "95 %% confidence above %+.4f (%s %.3f lower; %d queries)",
		    s, t, p.mean, p.lower95,
		    p.answer == STATS_HOLDS   ? "not"
		    : p.answer == STATS_FAILS ? "more than"
					      : "too few queries to exclude",
		    margin, q->n);
	if (zero.all[PG_TARGET] > zero.all[PG_SOURCE])
		finding_add(
			checks, "search", x->label, many_more(&zero),
			"%d queries find none of their neighbours in the target, %d in the source",
			zero.all[PG_TARGET], zero.all[PG_SOURCE]);
}

static int judge_own(const struct annindex *x, const struct queryset *q, const struct answers a[2],
		     const struct recall_settings *s, json_t *checks, json_t *out, struct err *e)
{
	json_t *self = json_object();
	struct failing few = few_answers(q, a, s->k);
	int found[2] = { 0, 0 };

	for (int role = 0; role < 2; role++)
		json_object_set_new(self, role ? "target" : "source",
				    a[role].recall ? self_json(q, &a[role], &found[role])
						   : json_null());
	json_object_set_new(out, "self", self);
	if (a[PG_SOURCE].recall)
		judge_paired(x, q, a, s->margin, checks);
	else
		finding_add(checks, "search", x->label, FINDING_INFO, "recall %.4f in the target",
			    stats_of(a[1].recall, q->n).mean);
	if (x->metric != KNN_IP && a[PG_SOURCE].recall && found[1] + 2 + q->n / 50 < found[0])
		finding_add(checks, "search", x->label, FINDING_FAIL,
			    "%d of %d rows find themselves in the source, %d in the target",
			    found[0], q->n, found[1]);
	if (few.all[PG_TARGET] > few.all[PG_SOURCE])
		finding_add(checks, "search", x->label, many_more(&few),
			    "%d searches in the target gave fewer than %d rows: the index does not "
			    "reach them",
			    few.all[PG_TARGET], s->k);
	return tell_queries(q, a, s->k, out, e);
}

/* --- the settings it is measured at --- */

struct point {
	const char *word; /* SET to this; NULL: each end's own */
};

static const struct point hnsw_points[] = { { NULL },
					    { "hnsw.ef_search = 20" },
					    { "hnsw.ef_search = 40" },
					    { "hnsw.ef_search = 100" },
					    { "hnsw.ef_search = 200" } };
static const struct point ivfflat_points[] = {
	{ NULL }, { "ivfflat.probes = 1" }, { "ivfflat.probes = 5" }, { "ivfflat.probes = 20" }
};

static int set_point(struct pg *pg, const struct point *p, struct err *e)
{
	if (p->word)
		return pg_execf(pg, e, "SET %s", p->word);
	return pg_exec(pg, "RESET hnsw.ef_search; RESET ivfflat.probes", e);
}

/* Costs depend on the setting, so the plan is looked at again; 1: it goes through the index. */
static int plan_at_point(struct pg *pg, const struct annindex *x, const struct queryset *q,
			 enum pg_role role, int k, const struct point *p, json_t *checks,
			 struct err *e)
{
	struct recall_plan plan = { .uses_index = false };

	if (set_point(pg, p, e) || explain(&plan, pg, x, q, role, k, e))
		return -1;
	if (!plan.uses_index)
		finding_add(checks, "search", x->label, FINDING_UNKNOWN,
			    "with %s the %s searches by %s, not through the index: no recall there",
			    p->word ? p->word : "its own settings", pg_role_name(role), plan.node);
	return plan.uses_index;
}

static json_t *point_json(const struct point *p, const struct queryset *q,
			  const struct answers a[2], double margin)
{
	json_t *row = json_pack("{s:s, s:o}", "setting", p->word ? p->word : "own", "target",
				stats_json(a[1].recall, q->n));

	json_object_set_new(row, "source",
			    a[0].recall ? stats_json(a[0].recall, q->n) : json_null());
	if (a[0].recall) {
		struct stats_paired paired = stats_paired(a[0].recall, a[1].recall, q->n, margin);

		json_object_set_new(row, "paired", paired_json(&paired));
	}
	return row;
}

static int measure_point(struct pg *const pg[2], const bool use[2], const struct annindex *x,
			 const struct queryset *q, const struct recall_settings *s,
			 const struct point *p, json_t *checks, json_t *out, uint64_t *bytes_in,
			 struct err *e)
{
	struct answers a[2] = { { .recall = NULL }, { .recall = NULL } };
	int rc = 0;

	for (int role = 0; role < 2; role++) {
		int through = use[role] ? plan_at_point(pg[role], x, q, (enum pg_role)role, s->k, p,
							checks, e)
					: 1;

		if (through <= 0)
			return through;
	}
	for (int role = 0; role < 2 && rc == 0; role++) {
		uint64_t *bytes = role == PG_TARGET ? bytes_in : NULL;

		if (use[role])
			rc = run_queries(&a[role], pg[role], x, q, (enum pg_role)role, s, bytes, e);
	}
	if (rc == 0)
		json_array_append_new(json_object_get(out, "recall"),
				      point_json(p, q, a, s->margin));
	if (rc == 0 && !p->word)
		rc = judge_own(x, q, a, s, checks, out, e);
	answers_done(&a[0], q->n);
	answers_done(&a[1], q->n);
	return rc;
}

static void judge_plans(const struct annindex *x, const struct recall_plan plan[2], bool has_source,
			json_t *checks)
{
	const struct recall_plan *t = &plan[PG_TARGET], *s = &plan[PG_SOURCE];

	if (!t->uses_index)
		finding_add(checks, "search", x->label,
			    has_source && !s->uses_index ? FINDING_UNKNOWN : FINDING_FAIL,
			    "the target searches by %s, not through the index: its recall was not "
			    "measured",
			    t->node);
	else if (has_source && !s->uses_index)
		finding_add(checks, "search", x->label, FINDING_INFO,
			    "the source searches by %s: only the target's recall was measured",
			    s->node);
	if (has_source && t->uses_index && s->by_choice && !t->by_choice)
		finding_add(checks, "search", x->label, FINDING_WARNING,
			    "the target's planner does not choose the index, the source's does");
}

int recall_measure(struct pg *const pg[2], const struct annindex *x, const struct queryset *q,
		   const struct recall_settings *settings, json_t *checks, json_t *out,
		   uint64_t *bytes_in, struct err *e)
{
	bool hnsw = !strcmp(x->method, "hnsw");
	const struct point *points = hnsw ? hnsw_points : ivfflat_points;
	size_t n = hnsw ? ARRAY_LEN(hnsw_points) : ARRAY_LEN(ivfflat_points);
	struct recall_plan plan[2] = { { .node = "" }, { .node = "" } };
	json_t *plans = json_object();
	bool use[2];

	json_object_set_new(out, "plans", plans);
	json_object_set_new(out, "recall", json_array());
	for (int role = 0; role < 2; role++) {
		if (pg[role] &&
		    recall_plan(&plan[role], pg[role], x, q, (enum pg_role)role, settings->k, e))
			return -1;
		if (pg[role])
			json_object_set_new(plans, role ? "target" : "source",
					    plan_json(&plan[role]));
		use[role] = pg[role] && plan[role].uses_index;
	}
	judge_plans(x, plan, pg[PG_SOURCE] != NULL, checks);
	for (size_t i = 0; use[PG_TARGET] && i < n; i++)
		if (measure_point(pg, use, x, q, settings, &points[i], checks, out, bytes_in, e))
			return -1;
	return 0;
}
