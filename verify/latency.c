#include "verify/latency.h"

#include "common/clock.h"
#include "common/stop.h"
#include "verify/finding.h"
#include "verify/stats.h"

#define WARM_UP 5 /* queries that are not counted */

struct measured {
	double *ms[2], *rtt[2];
	int n;
};

static int ask_once(struct pg *pg, const char *sql, const char *vector, double *ret_ms,
		    struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	uint64_t start = clock_us();

	if (pg_query_params(pg, sql, vector ? 1 : 0, &vector, &res, e))
		return -1;
	*ret_ms = (double)(clock_us() - start) / 1e3;
	return 0;
}

static int ask_both(struct pg *const pg[2], const struct text sql[2], const char *vector,
		    struct measured *m, int at, struct err *e)
{
	for (int role = 0; role < 2; role++) {
		double ms, rtt;

		if (!pg[role])
			continue;
		if (ask_once(pg[role], text_str(&sql[role]), vector, &ms, e) ||
		    ask_once(pg[role], "SELECT 1", NULL, &rtt, e))
			return -1;
		if (at < 0)
			continue;
		m->ms[role][at] = ms;
		m->rtt[role][at] = rtt;
	}
	return 0;
}

static void search_sql(struct text *sql, const struct annindex *x, enum pg_role role, int k)
{
	AUTO_TEXT struct text vector = TEXT_INIT;

	text_addf(&vector, "$1::%s", x->end[role].type);
	annindex_add_search(sql, x, role, text_str(&vector), k);
	sql->failed |= vector.failed;
}

static int ask_all(struct pg *const pg[2], const struct annindex *x, const struct queryset *q,
		   const struct latency_settings *s, struct measured *m, struct err *e)
{
	struct text sql[2] = { TEXT_INIT, TEXT_INIT };
	int rc = 0;

	for (int role = 0; role < 2; role++) {
		if (pg[role])
			search_sql(&sql[role], x, (enum pg_role)role, s->k);
		if (rc == 0)
			rc = text_check(&sql[role], e);
	}
	for (int i = -WARM_UP; i < m->n && rc == 0; i++) {
		const char *vector = q->texts[i < 0 ? (-i) % q->n : i % q->n];

		if (s->stop && stop_level(s->stop) != STOP_NO)
			rc = stop_err(e);
		else
			rc = ask_both(pg, sql, vector, m, i, e);
	}
	text_done(&sql[0]);
	text_done(&sql[1]);
	return rc;
}

static json_t *end_json(const struct measured *m, int role)
{
	struct stats ms = stats_of(m->ms[role], m->n), rtt = stats_of(m->rtt[role], m->n);
	json_t *all = json_array();

	for (int i = 0; i < m->n; i++)
		json_array_append_new(all, json_real(m->ms[role][i]));
	return json_pack("{s:f, s:f, s:f, s:o}", "p50", ms.median, "p95", ms.p95, "rtt", rtt.median,
			 "ms", all);
}

static void judge(const struct measured *m, const struct annindex *x, bool has_source,
		  const struct latency_settings *s, json_t *checks, json_t *latency)
{
	double t = stats_of(m->ms[PG_TARGET], m->n).median, base;
	struct stats_ratio r;
	char limit[64] = "";
	bool judged = s->max_ratio > 0;

	if (!has_source) {
		finding_add(checks, "latency", x->label, FINDING_INFO,
			    "the median search takes %.2f ms in the target", t);
		return;
	}
	base = stats_of(m->ms[PG_SOURCE], m->n).median;
	r = stats_ratio(m->ms[PG_SOURCE], m->ms[PG_TARGET], m->n, s->seed);
	json_object_set_new(latency, "ratio",
			    json_pack("{s:f, s:f, s:f}", "median", r.ratio, "low95", r.low95,
				      "high95", r.high95));
	if (judged)
		snprintf(limit, sizeof(limit), "; the limit is %.4g times (--max-latency-ratio)",
			 s->max_ratio);
	finding_add(
		checks, "latency", x->label,
		!judged                   ? FINDING_INFO
		: r.ratio <= s->max_ratio ? FINDING_PASS
					  : FINDING_FAIL,
		"the median search takes %.2f ms in the source, %.2f ms in the target: %.2f times "
		"(95 %% interval %.2f to %.2f), of it %.2f ms round trip%s",
		base, t, r.ratio, r.low95, r.high95, stats_of(m->rtt[PG_TARGET], m->n).median,
		limit);
}

int latency_measure(struct pg *const pg[2], const struct annindex *x, const struct queryset *q,
		    const struct latency_settings *settings, json_t *checks, json_t *out,
		    struct err *e)
{
	struct measured m = { .n = settings->queries };
	double *room = calloc(4 * (size_t)m.n + 1, sizeof(*room));
	json_t *latency;
	int rc = room ? 0 : err_nomem(e);

	for (int role = 0; role < 2 && rc == 0; role++) {
		m.ms[role] = room + (size_t)role * (size_t)m.n;
		m.rtt[role] = room + (size_t)(2 + role) * (size_t)m.n;
	}
	if (rc == 0)
		rc = ask_all(pg, x, q, settings, &m, e);
	if (rc == 0) {
		latency = json_pack("{s:i}", "queries", m.n);
		for (int role = 0; role < 2; role++)
			json_object_set_new(latency, role ? "target" : "source",
					    pg[role] ? end_json(&m, role) : json_null());
		judge(&m, x, pg[PG_SOURCE] != NULL, settings, checks, latency);
		json_object_set_new(out, "latency", latency);
	}
	free(room);
	return rc ? err_note(e, "measuring searches through %s", x->label) : 0;
}
