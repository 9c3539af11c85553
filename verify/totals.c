#include "verify/totals.h"

#include "verify/finding.h"
#include "verify/queries.h"

#include <stdio.h>
#include <string.h>

#define MAX_COLUMNS 300 /* a query: a server gives 1,664 fields at most */

enum kind { NUMBER, TIME, BOOLEAN, BYTES, OTHER };
static const char *const kind_words[] = { "number", "time", "boolean", "bytes", "other" };

/* The fields of a column, in the answer and in the report. */
enum field { FILLED, SUM, LEAST, GREATEST, DISTINCT, N_FIELDS };
static const char *const field_words[] = { "filled", "sum", "min", "max", "distinct" };

struct total {
	const struct column *column; /* of the target */
	enum kind kind;
	bool distinct;
	char *value[2][N_FIELDS]; /* by enum pg_role; NULL: none */
};

struct totals {
	const struct pair *pair;
	int n;
	struct total *columns;
	uint64_t rows[2];
	bool has[2];
	char why[2][256];
};

struct job {
	struct totals *totals;
	const struct totals_want *want;
	enum pg_role role;
};

/* --- columns --- */

static enum kind kind_of(const struct column *c)
{
	if (c->digest.mode != DIGEST_SELF)
		return OTHER;
	switch (c->digest.type_oid) {
	case 16:
		return BOOLEAN;
	case 20: /* int8, int2, int4, float4, float8, numeric */
	case 21:
	case 23:
	case 700:
	case 701:
	case 1700:
		return NUMBER;
	case 1082: /* date, time, timestamp, timestamptz */
	case 1083:
	case 1114:
	case 1184:
		return TIME;
	case 17: /* bytea, text, varchar */
	case 25:
	case 1043:
		return BYTES;
	default:
		return OTHER;
	}
}

static bool is_countable(const struct total *t, const struct pair *p)
{
	return t->kind == NUMBER || t->kind == TIME ||
	       (p->collection_column && !strcmp(p->collection_column, t->column->name));
}

static int list_columns(struct totals *t, const struct content *content,
			const struct totals_want *want, struct err *e)
{
	const struct table *source = t->pair->end[PG_SOURCE], *target = t->pair->end[PG_TARGET];
	bool small = true;

	t->columns = calloc((size_t)target->n_columns + 1, sizeof(*t->columns));
	if (!t->columns)
		return err_nomem(e);
	for (int role = 0; role < 2; role++)
		small &= content->end[role].count <= TOTALS_DISTINCT_ROWS;
	small &= content->end[PG_TARGET].has_count;
	for (int i = 0; i < target->n_columns; i++) {
		const struct column *c = &target->columns[i];
		const struct column *s = source ? table_column(source, c->name) : NULL;
		struct total *total = &t->columns[t->n];

		if (source && (!s || kind_of(s) != kind_of(c)))
			continue;
		*total = (struct total){ .column = c, .kind = kind_of(c) };
		if (total->kind == BYTES && !want->same_encoding && c->digest.type_oid != 17)
			total->kind = OTHER;
		total->distinct = small && is_countable(total, t->pair);
		t->n++;
	}
	return 0;
}

static void totals_free(struct totals *all, int n)
{
	for (int i = 0; all && i < n; i++) {
		for (int c = 0; c < all[i].n; c++)
			for (int f = 0; f < 2 * N_FIELDS; f++)
				free(all[i].columns[c].value[f / N_FIELDS][f % N_FIELDS]);
		free(all[i].columns);
	}
	free(all);
}

/* --- SQL --- */

static void add_extremes(struct text *sql, const char *c, enum kind kind)
{
	const char *before = kind == NUMBER ? "pg_catalog.trim_scale(" : "";
	const char *after = kind == NUMBER ? "::pg_catalog.numeric)" : "::pg_catalog.text";

	text_addf(sql, ", %spg_catalog.min(%s)%s, %spg_catalog.max(%s)%s", before, c, after, before,
		  c, after);
}

static void add_fields(struct text *sql, const struct total *t)
{
	AUTO_TEXT struct text column = TEXT_INIT;
	const char *c;

	text_add_qname(&column, "nf_src", t->column->name);
	c = text_str(&column);
	sql->failed |= column.failed;
	text_addf(sql, ", pg_catalog.count(%s)", c);
	switch (t->kind) {
	case NUMBER:
		text_addf(sql, ", pg_catalog.trim_scale(pg_catalog.sum(%s::pg_catalog.numeric))",
			  c);
		add_extremes(sql, c, t->kind);
		break;
	case TIME:
		text_addf(sql, ", pg_catalog.trim_scale(pg_catalog.sum(extract(epoch FROM %s)))",
			  c);
		add_extremes(sql, c, t->kind);
		break;
	case BOOLEAN:
		text_addf(sql, ", pg_catalog.count(*) FILTER (WHERE %s), NULL, NULL", c);
		break;
	case BYTES:
		text_addf(sql, ", pg_catalog.sum(pg_catalog.octet_length(%s)), NULL, NULL", c);
		break;
	case OTHER:
		text_add(sql, ", NULL, NULL, NULL");
		break;
	}
	if (t->distinct)
		text_addf(sql, ", pg_catalog.count(DISTINCT %s%s)", c,
			  t->kind == NUMBER || t->kind == TIME
				  ? ""
				  : "::pg_catalog.text COLLATE pg_catalog.\"C\"");
	else
		text_add(sql, ", NULL");
}

static int totals_sql(struct text *sql, const struct job *j, int first, int last, struct err *e)
{
	const struct pair *p = j->totals->pair;
	AUTO_TEXT struct text where = TEXT_INIT;

	text_add(sql, "SELECT pg_catalog.count(*)");
	for (int i = first; i < last; i++)
		add_fields(sql, &j->totals->columns[i]);
	text_add(sql, " FROM ");
	pair_from(sql, p, j->role);
	text_add(sql, " AS nf_src");
	content_filter(&where, p->collection_column, j->want->collections, j->want->n_collections);
	if (where.len > 0)
		text_addf(sql, " WHERE %s", text_str(&where));
	return text_check(&where, e) ? -1 : text_check(sql, e);
}

/* --- reading --- */

static int take_column(struct total *t, enum pg_role role, const PGresult *res, int at,
		       struct err *e)
{
	for (int f = 0; f < N_FIELDS; f++) {
		free(t->value[role][f]);
		t->value[role][f] = NULL;
		if (PQgetisnull(res, 0, at + f))
			continue;
		t->value[role][f] = strdup(PQgetvalue(res, 0, at + f));
		if (!t->value[role][f])
			return err_nomem(e);
	}
	return 0;
}

static int read_columns(struct pg *pg, const struct job *j, int first, int last, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (totals_sql(&sql, j, first, last, e) || pg_query(pg, text_str(&sql), &res, e))
		return -1;
	j->totals->rows[j->role] = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	for (int i = first; i < last; i++)
		if (take_column(&j->totals->columns[i], j->role, res, 1 + (i - first) * N_FIELDS,
				e))
			return -1;
	return 0;
}

static int last_of(const struct totals *t, int first)
{
	return first + MAX_COLUMNS < t->n ? first + MAX_COLUMNS : t->n;
}

static int run_job(struct pg *pg, void *arg, struct err *e)
{
	const struct job *j = arg;
	int first = 0;

	do {
		if (read_columns(pg, j, first, last_of(j->totals, first), e))
			return -1;
		first += MAX_COLUMNS;
	} while (first < j->totals->n);
	j->totals->has[j->role] = true;
	return 0;
}

static int note_queries(const struct job *jobs, int n, json_t *queries, struct err *e)
{
	for (int i = 0; i < n; i++)
		for (int first = 0; first < jobs[i].totals->n; first += MAX_COLUMNS) {
			AUTO_TEXT struct text sql = TEXT_INIT;

			if (totals_sql(&sql, &jobs[i], first, last_of(jobs[i].totals, first), e))
				return -1;
			queries_add(queries, "totals", jobs[i].totals->pair->name, jobs[i].role,
				    text_str(&sql));
		}
	return 0;
}

static int read_all(struct totals *all, int n, const struct pool *pool,
		    const struct totals_want *want, json_t *queries, struct err *e)
{
	AUTO(free) struct job *jobs = calloc(2 * (size_t)n + 1, sizeof(*jobs));
	AUTO(free) struct pool_task *tasks = calloc(2 * (size_t)n + 1, sizeof(*tasks));
	int n_jobs = 0;

	if (!jobs || !tasks)
		return err_nomem(e);
	for (int i = 0; i < n; i++)
		for (int role = 0; role < 2; role++) {
			const struct table *t = all[i].pair->end[role];

			if (!t || !pool->conns[role])
				continue;
			jobs[n_jobs] = (struct job){ &all[i], want, (enum pg_role)role };
			tasks[n_jobs] = (struct pool_task){ .role = (enum pg_role)role,
							    .weight = t->bytes,
							    .arg = &jobs[n_jobs],
							    .run = run_job };
			n_jobs++;
		}
	if (note_queries(jobs, n_jobs, queries, e) || pool_run(pool, tasks, n_jobs, e))
		return -1;
	for (int i = 0; i < n_jobs; i++)
		if (tasks[i].failed)
			snprintf(jobs[i].totals->why[jobs[i].role], sizeof(all->why[0]), "%.255s",
				 tasks[i].err.text);
	return 0;
}

/* --- judging --- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static uint64_t filled(const struct totals *t, const struct total *c, int role)
{
	return t->has[role] ? strtoull(c->value[role][FILLED], NULL, 10) : 0;
}

static uint64_t nulls(const struct totals *t, const struct total *c, int role)
{
	return t->rows[role] - filled(t, c, role);
}

/* Compared only where both ends were read. */
static bool field_differs(const struct totals *t, const struct total *c, enum field f)
{
	if (!t->has[PG_SOURCE] || !t->has[PG_TARGET])
		return false;
	if (f == FILLED) /* with a row more the values are more, too: what is told is NULLs */
		return nulls(t, c, PG_SOURCE) != nulls(t, c, PG_TARGET);
	return !same_text(c->value[PG_SOURCE][f], c->value[PG_TARGET][f]);
}

static json_t *nulls_json(const struct totals *t, const struct total *c, int role)
{
	return t->has[role] ? json_integer((json_int_t)nulls(t, c, role)) : json_null();
}

static json_t *value_json(const char *value)
{
	return value ? finding_string(value) : json_null();
}

/* Whether the values behind the totals could be guessed from them. */
static bool is_few(const struct totals *t, const struct total *c)
{
	for (int role = 0; role < 2; role++)
		if (t->has[role] && filled(t, c, role) < TOTALS_FEW)
			return true;
	return false;
}

static json_t *column_json(const struct totals *t, const struct total *c, bool show, bool same)
{
	json_t *row =
		json_pack("{s:o, s:o, s:s, s:[o, o]}", "column", finding_string(c->column->name),
			  "type", finding_string(c->column->type), "kind", kind_words[c->kind],
			  "nulls", nulls_json(t, c, 0), nulls_json(t, c, 1));
	bool hidden = !show && c->kind != OTHER && is_few(t, c);

	for (int f = SUM; f < N_FIELDS; f++) {
		bool any = c->value[0][f] || c->value[1][f];

		if (any && (f == DISTINCT || !hidden))
			json_object_set_new(row, field_words[f],
					    json_pack("[o, o]", value_json(c->value[0][f]),
						      value_json(c->value[1][f])));
	}
	if (hidden)
		json_object_set_new(row, "hidden", json_true());
	if (t->has[PG_SOURCE] && t->has[PG_TARGET])
		json_object_set_new(row, "same", json_boolean(same));
	return row;
}

/* "amount (sum, max)" */
static void add_words(struct text *words, const struct totals *t, const struct total *c)
{
	bool any = false;

	for (int f = 0; f < N_FIELDS; f++) {
		if (!field_differs(t, c, (enum field)f))
			continue;
		if (!any)
			text_addf(words, "%s%s (", words->len > 0 ? "; " : "", c->column->name);
		text_addf(words, "%s%s", any ? ", " : "", f == FILLED ? "NULLs" : field_words[f]);
		any = true;
	}
	text_add(words, any ? ")" : "");
}

static void judge(const struct totals *t, const struct text *words, json_t *checks)
{
	const char *why = t->why[0][0] ? t->why[0] : t->why[1];

	if (why[0])
		finding_add(checks, "totals", t->pair->name, FINDING_UNKNOWN,
			    "the totals of the %s could not be read: %s",
			    t->why[0][0] ? "source" : "target", why);
	else if (!t->has[PG_SOURCE])
		return;
	else if (words->len > 0 || t->rows[0] != t->rows[1])
		finding_add(checks, "totals", t->pair->name, FINDING_FAIL,
			    "control totals differ: %.300s",
			    words->len > 0 ? text_str(words) : "the number of rows");
	else
		finding_add(checks, "totals", t->pair->name, FINDING_PASS,
			    "control totals of all %d columns agree", t->n);
}

static int tell(const struct totals *t, bool show, json_t *checks, json_t *out, struct err *e)
{
	json_t *columns = json_array();
	AUTO_TEXT struct text words = TEXT_INIT;

	for (int i = 0; i < t->n && (t->has[0] || t->has[1]); i++) {
		size_t before = words.len;

		add_words(&words, t, &t->columns[i]);
		json_array_append_new(columns,
				      column_json(t, &t->columns[i], show, words.len == before));
	}
	json_array_append_new(
		out, json_pack("{s:s, s:[o, o], s:o}", "table", t->pair->name, "rows",
			       t->has[0] ? json_integer((json_int_t)t->rows[0]) : json_null(),
			       t->has[1] ? json_integer((json_int_t)t->rows[1]) : json_null(),
			       "columns", columns));
	if (text_check(&words, e))
		return -1;
	judge(t, &words, checks);
	return 0;
}

/* A table that only one end has is a finding of the schema. */
static bool is_wanted(const struct pair *p, const struct pool *pool, const struct totals_want *want)
{
	if (!p->end[PG_TARGET] || (pool->conns[PG_SOURCE] && !p->end[PG_SOURCE]))
		return false;
	return want->n_collections == 0 || p->collection_column;
}

int totals_check(const struct pairs *pairs, const struct content *content, const struct pool *pool,
		 const struct totals_want *want, json_t *checks, json_t *out, json_t *queries,
		 struct err *e)
{
	struct totals *all = calloc((size_t)pairs->n + 1, sizeof(*all));
	int n = 0, rc = 0;

	if (!all)
		return err_nomem(e);
	for (int i = 0; i < pairs->n && rc == 0; i++) {
		if (!is_wanted(&pairs->pair[i], pool, want))
			continue;
		all[n].pair = &pairs->pair[i];
		rc = list_columns(&all[n++], &content[i], want, e);
	}
	if (rc == 0)
		rc = read_all(all, n, pool, want, queries, e);
	for (int i = 0; i < n && rc == 0; i++)
		rc = tell(&all[i], want->include_values, checks, out, e);
	totals_free(all, n);
	return rc;
}
