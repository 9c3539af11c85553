#include "verify/presence.h"

#include "verify/content.h"
#include "verify/finding.h"
#include "verify/queries.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Vectors this near to length 1 count as normalised; halfvec has 11 bits. */
#define UNIT_SLACK "0.001"

struct job {
	struct presence_column *column;
	enum pg_role role;
	const char *schema; /* of the extension on that end */
	const char *const *collections;
	int n_collections;
};

enum { GROUP, ROWS, WITH, ZERO, NOT_FINITE, UNIT, DISTINCT, MIN_DIMS, MAX_DIMS, NORMS };

/* --- SQL --- */

/* sparsevec has no function for its dimensions; the others have. */
static void add_dims(struct text *sql, const struct job *j, const struct column *c)
{
	if (strstr(c->type, "sparsevec")) {
		text_add(sql, "NULL::pg_catalog.int4");
		return;
	}
	text_add_qname(sql, j->schema, "vector_dims");
	text_add(sql, "(");
	text_add_qname(sql, "nf_src", c->name);
	text_add(sql, ")");
}

static void add_inner(struct text *sql, const struct job *j, const struct column *c)
{
	const struct pair *p = j->column->pair;

	text_add(sql, " FROM (SELECT ");
	if (p->collection_column) {
		text_add(sql, "(");
		text_add_qname(sql, "nf_src", p->collection_column);
		text_add(sql, ")::pg_catalog.text COLLATE pg_catalog.\"C\"");
	} else {
		text_add(sql, "NULL::pg_catalog.text");
	}
	text_add(sql, " AS g, ");
	text_add_qname(sql, j->schema, c->is_vector ? "vector_norm" : "l2_norm");
	text_add(sql, "(");
	text_add_qname(sql, "nf_src", c->name);
	text_add(sql, ") AS norm, ");
	add_dims(sql, j, c);
	text_addf(sql, " AS dims, pg_catalog.sha256(%s(", c->digest.send_fn);
	text_add_qname(sql, "nf_src", c->name);
	text_add(sql, ")) AS hash FROM ");
	pair_from(sql, p, j->role);
	text_add(sql, " AS nf_src");
}

static int presence_sql(struct text *sql, const struct job *j, struct err *e)
{
	const struct column *c = j->column->column[j->role];
	AUTO_TEXT struct text where = TEXT_INIT;

	content_filter(&where, j->column->pair->collection_column, j->collections,
		       j->n_collections);
	text_add(sql, "SELECT g, count(*), count(norm), count(*) FILTER (WHERE norm = 0),"
		      " count(*) FILTER (WHERE norm IN ('NaN', 'Infinity')),"
		      " count(*) FILTER (WHERE norm BETWEEN 1 - " UNIT_SLACK " AND 1 + " UNIT_SLACK
		      "), count(DISTINCT hash), min(dims), max(dims)"
		      ", percentile_cont(ARRAY[");
	for (int i = 0; i < PRESENCE_QUANTILES; i++)
		text_addf(sql, "%s%.2f", i > 0 ? ", " : "", (double)i / (PRESENCE_QUANTILES - 1));
	text_add(sql, "]::float8[]) WITHIN GROUP (ORDER BY norm)");
	add_inner(sql, j, c);
	if (where.len > 0)
		text_addf(sql, " WHERE %s", text_str(&where));
	text_add(sql, " OFFSET 0) q GROUP BY g");
	return text_check(&where, e) ? -1 : text_check(sql, e);
}

/* --- answers --- */

static uint64_t number(const PGresult *res, int row, int column)
{
	return strtoull(PQgetvalue(res, row, column), NULL, 10);
}

/* "{0.1,0.2}" */
static void read_norms(struct presence *g, const char *array)
{
	for (int i = 0; i < PRESENCE_QUANTILES && *array; i++) {
		char *end;

		g->norm[i] = strtod(array + 1, &end);
		array = end;
	}
}

static int read_group(struct presence *g, const PGresult *res, int row, struct err *e)
{
	if (!PQgetisnull(res, row, GROUP)) {
		g->collection = strdup(PQgetvalue(res, row, GROUP));
		if (!g->collection)
			return err_nomem(e);
	}
	g->rows = number(res, row, ROWS);
	g->with = number(res, row, WITH);
	g->zero = number(res, row, ZERO);
	g->not_finite = number(res, row, NOT_FINITE);
	g->unit = number(res, row, UNIT);
	g->distinct = number(res, row, DISTINCT);
	g->min_dims = (int)number(res, row, MIN_DIMS);
	g->max_dims = (int)number(res, row, MAX_DIMS);
	read_norms(g, PQgetvalue(res, row, NORMS));
	return 0;
}

static int compare_names(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int by_collection(const void *a, const void *b)
{
	return compare_names(((const struct presence *)a)->collection,
			     ((const struct presence *)b)->collection);
}

static void groups_free(struct presence *groups, int n)
{
	for (int i = 0; groups && i < n; i++)
		free(groups[i].collection);
	free(groups);
}

static int run_job(struct pg *pg, void *arg, struct err *e)
{
	const struct job *j = arg;
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct presence *groups;
	int n;

	if (presence_sql(&sql, j, e) || pg_query(pg, text_str(&sql), &res, e))
		return -1;
	n = PQntuples(res);
	groups = calloc((size_t)n + 1, sizeof(*groups));
	if (!groups)
		return err_nomem(e);
	for (int i = 0; i < n; i++)
		if (read_group(&groups[i], res, i, e)) {
			groups_free(groups, n);
			return -1;
		}
	qsort(groups, (size_t)n, sizeof(*groups), by_collection);
	j->column->groups[j->role] = groups;
	j->column->n[j->role] = n;
	return 0;
}

/* --- all columns --- */

static const struct column *vector_column(const struct pair *p, enum pg_role role, const char *name)
{
	const struct column *c = p->end[role] ? table_column(p->end[role], name) : NULL;

	return c && c->is_vector_like && !c->generated ? c : NULL;
}

static int list_columns(struct presence_list *list, const struct pairs *pairs, int n_collections)
{
	int max = 0;

	for (int i = 0; i < pairs->n; i++)
		max += pairs->pair[i].stored.n + 1;
	list->columns = calloc((size_t)max + 1, sizeof(*list->columns));
	for (int i = 0; list->columns && i < pairs->n; i++) {
		const struct pair *p = &pairs->pair[i];

		if (!p->end[PG_TARGET] || (n_collections > 0 && !p->collection_column))
			continue;
		for (int c = 0; c < p->end[PG_TARGET]->n_columns; c++) {
			const char *name = p->end[PG_TARGET]->columns[c].name;
			const struct column *t = vector_column(p, PG_TARGET, name);

			if (t)
				list->columns[list->n++] = (struct presence_column){
					.pair = p,
					.column = { vector_column(p, PG_SOURCE, name), t }
				};
		}
	}
	return list->columns ? 0 : -1;
}

static int run_jobs(struct presence_list *list, struct job *jobs, struct pool_task *tasks, int n,
		    const struct pool *pool, struct err *e)
{
	int rc = pool_run(pool, tasks, n, e);

	for (int i = 0; i < n; i++)
		if (tasks[i].failed)
			snprintf(jobs[i].column->why[jobs[i].role], sizeof(list->columns->why[0]),
				 "%.255s", tasks[i].err.text);
	return rc;
}

int presence_read(struct presence_list *ret, const struct pairs *pairs,
		  const struct catalog *const catalogs[2], const struct pool *pool,
		  const char *const *collections, int n_collections, struct err *e)
{
	struct presence_list list = { .n = 0 };
	AUTO(free) struct job *jobs = NULL;
	AUTO(free) struct pool_task *tasks = NULL;
	int n = 0;

	if (list_columns(&list, pairs, n_collections))
		return err_nomem(e);
	jobs = calloc(2 * (size_t)list.n + 1, sizeof(*jobs));
	tasks = calloc(2 * (size_t)list.n + 1, sizeof(*tasks));
	for (int i = 0; jobs && tasks && i < list.n; i++)
		for (int role = 0; role < 2; role++) {
			struct presence_column *c = &list.columns[i];
			const struct extension *x = NULL;

			if (c->column[role] && catalogs[role])
				x = catalog_extension(catalogs[role], "vector");
			if (!x || !pool->conns[role])
				continue;
			jobs[n] = (struct job){ c, (enum pg_role)role, x->schema, collections,
						n_collections };
			tasks[n] = (struct pool_task){ .role = (enum pg_role)role,
						       .weight = c->pair->end[role]->bytes,
						       .arg = &jobs[n],
						       .run = run_job };
			n++;
		}
	if (!jobs || !tasks || run_jobs(&list, jobs, tasks, n, pool, e)) {
		presence_free(&list);
		return jobs && tasks ? -1 : err_nomem(e);
	}
	*ret = list;
	return 0;
}

int presence_queries(const struct presence_list *list, const struct catalog *const catalogs[2],
		     const char *const *collections, int n_collections, json_t *queries,
		     struct err *e)
{
	for (int i = 0; i < list->n; i++)
		for (int role = 0; role < 2; role++) {
			struct presence_column *c = &list->columns[i];
			const struct extension *x = NULL;
			AUTO_TEXT struct text sql = TEXT_INIT;
			AUTO_TEXT struct text name = TEXT_INIT;

			if (c->column[role] && catalogs[role])
				x = catalog_extension(catalogs[role], "vector");
			if (!x)
				continue;
			struct job j = { c, (enum pg_role)role, x->schema, collections,
					 n_collections };

			text_addf(&name, "%s.%s", c->pair->name, c->column[role]->name);
			if (presence_sql(&sql, &j, e) || text_check(&name, e))
				return -1;
			queries_add(queries, "embeddings", text_str(&name), (enum pg_role)role,
				    text_str(&sql));
		}
	return 0;
}

void presence_free(struct presence_list *p)
{
	for (int i = 0; i < p->n; i++)
		for (int role = 0; role < 2; role++)
			groups_free(p->columns[i].groups[role], p->columns[i].n[role]);
	free(p->columns);
	*p = (struct presence_list){ .n = 0 };
}

/* --- the histogram of the norms --- */

/* The share of vectors up to v, linear between the quantiles. */
static double share_below(const double *q, double v)
{
	int i = 0;

	while (i < PRESENCE_QUANTILES && q[i] < v)
		i++;
	if (i == 0)
		return 0;
	if (i == PRESENCE_QUANTILES)
		return 1;
	return (i - 1 + (v - q[i - 1]) / (q[i] - q[i - 1])) / (PRESENCE_QUANTILES - 1);
}

/* {low, high, shares}: bars of one width. NULL where there is nothing to draw. */
static json_t *histogram_json(const struct presence *g)
{
	double low = g->norm[0], high = g->norm[PRESENCE_QUANTILES - 1], before = 0;
	json_t *shares;

	if (g->with == 0 || !isfinite(low) || !isfinite(high))
		return json_null();
	shares = json_array();
	for (int i = 1; i <= PRESENCE_BARS; i++) {
		double edge = low + (high - low) * i / PRESENCE_BARS;
		double below = i == PRESENCE_BARS ? 1 : share_below(g->norm, edge);

		json_array_append_new(shares, json_real(below - before));
		before = below;
	}
	return json_pack("{s:f, s:f, s:o}", "low", low, "high", high, "shares", shares);
}

/* --- judging --- */

static json_t *group_json(const struct presence *g)
{
	json_t *value, *norms = json_array();

	if (!g) {
		json_decref(norms);
		return json_null();
	}
	for (int i = 0; g->with > 0 && i < PRESENCE_QUANTILES; i += PRESENCE_SHOWN)
		json_array_append_new(norms,
				      isfinite(g->norm[i]) ? json_real(g->norm[i]) : json_null());
	value = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:o}", "rows",
			  (json_int_t)g->rows, "with", (json_int_t)g->with, "without",
			  (json_int_t)(g->rows - g->with), "zero", (json_int_t)g->zero,
			  "not_finite", (json_int_t)g->not_finite, "unit", (json_int_t)g->unit,
			  "duplicates", (json_int_t)(g->with - g->distinct), "min_dims",
			  g->min_dims, "max_dims", g->max_dims, "norm_quantiles", norms);
	json_object_set_new(value, "norm_histogram", histogram_json(g));
	return value;
}

/* What is different, in words, or NULL. Norms are left to the digest: they follow the vectors. */
static const char *difference(const struct presence *s, const struct presence *t, bool converted,
			      char *buf, size_t size)
{
	if (s->rows != t->rows)
		snprintf(buf, size, "%llu rows in the source, %llu in the target",
			 (unsigned long long)s->rows, (unsigned long long)t->rows);
	else if (s->with != t->with)
		snprintf(buf, size, "%llu embeddings in the source, %llu in the target",
			 (unsigned long long)s->with, (unsigned long long)t->with);
	else if (s->min_dims != t->min_dims || s->max_dims != t->max_dims)
		snprintf(buf, size, "%d to %d dimensions in the source, %d to %d in the target",
			 s->min_dims, s->max_dims, t->min_dims, t->max_dims);
	else if (!converted && s->zero != t->zero)
		snprintf(buf, size, "%llu zero vectors in the source, %llu in the target",
			 (unsigned long long)s->zero, (unsigned long long)t->zero);
	else if (!converted && s->distinct != t->distinct)
		snprintf(buf, size, "%llu different vectors in the source, %llu in the target",
			 (unsigned long long)s->distinct, (unsigned long long)t->distinct);
	else
		return NULL;
	return buf;
}

static void judge_group(const struct presence_column *c, const struct presence *s,
			const struct presence *t, json_t *checks, json_t *out, int *differences)
{
	const char *name = s ? s->collection : t->collection;
	const struct column *column = c->column[PG_TARGET];
	char buf[256], object[256];
	const char *what;
	bool converted = c->column[PG_SOURCE] &&
			 c->column[PG_SOURCE]->is_vector != c->column[PG_TARGET]->is_vector;

	json_array_append_new(out,
			      json_pack("{s:s, s:s, s:s, s:o, s:b, s:o, s:o}", "table",
					c->pair->name, "column", column->name, "type", column->type,
					"collection", name ? finding_string(name) : json_null(),
					"divided", c->pair->collection_column != NULL, "source",
					group_json(s), "target", group_json(t)));
	if (!c->column[PG_SOURCE] || !c->groups[PG_SOURCE])
		return;
	snprintf(object, sizeof(object), "%.100s.%.60s%s%.80s", c->pair->name, column->name,
		 name ? " in " : "", name ? name : "");
	if (!s || !t)
		what = s ? "the collection is not in the target"
			 : "the collection is not in the source";
	else
		what = difference(s, t, converted, buf, sizeof(buf));
	if (!what)
		return;
	(*differences)++;
	finding_add(checks, "presence", object, FINDING_FAIL, "%s", what);
}

/* Walks the two sorted lists side by side. */
static int judge_groups(const struct presence_column *c, json_t *checks, json_t *out)
{
	int i = 0, j = 0, differences = 0;

	while (i < c->n[0] || j < c->n[1]) {
		const struct presence *s = i < c->n[0] ? &c->groups[0][i] : NULL;
		const struct presence *t = j < c->n[1] ? &c->groups[1][j] : NULL;
		int order = !s ? 1 : !t ? -1 : compare_names(s->collection, t->collection);

		judge_group(c, order <= 0 ? s : NULL, order >= 0 ? t : NULL, checks, out,
			    &differences);
		i += order <= 0;
		j += order >= 0;
	}
	return differences;
}

static void judge_column(const struct presence_column *c, json_t *checks, json_t *out)
{
	uint64_t rows = 0, with = 0, bad = 0;
	char object[256];
	int differences;

	snprintf(object, sizeof(object), "%.100s.%.60s", c->pair->name, c->column[PG_TARGET]->name);
	for (int role = 0; role < 2; role++)
		if (c->why[role][0]) {
			finding_add(checks, "presence", object, FINDING_UNKNOWN,
				    "embeddings of the %s could not be counted: %s",
				    pg_role_name((enum pg_role)role), c->why[role]);
			return;
		}
	differences = judge_groups(c, checks, out);
	for (int i = 0; i < c->n[PG_TARGET]; i++) {
		rows += c->groups[PG_TARGET][i].rows;
		with += c->groups[PG_TARGET][i].with;
		bad += c->groups[PG_TARGET][i].not_finite;
	}
	if (bad > 0)
		finding_add(checks, "presence", object, FINDING_FAIL,
			    "%llu vectors in the target are not finite", (unsigned long long)bad);
	if (differences == 0)
		finding_add(checks, "presence", object,
			    c->column[PG_SOURCE] ? FINDING_PASS : FINDING_INFO,
			    "%llu of %llu rows have an embedding%s", (unsigned long long)with,
			    (unsigned long long)rows,
			    c->column[PG_SOURCE] ? ", as in the source" : "");
}

void presence_judge(const struct presence_list *p, json_t *checks, json_t *collections)
{
	for (int i = 0; i < p->n; i++)
		judge_column(&p->columns[i], checks, collections);
}
