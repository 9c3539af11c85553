#include "verify/content.h"

#include "verify/queries.h"

#include <stdio.h>
#include <string.h>

enum what { COUNT, STORED, GENERATED, N_WHAT };

struct job {
	struct content *content;
	const struct content_want *want;
	enum pg_role role;
	enum what what;
};

void content_filter(struct text *t, const char *column, const char *const *names, int n)
{
	if (!column || n == 0)
		return;
	text_add(t, "(");
	text_add_qname(t, "nf_src", column);
	text_add(t, ")::pg_catalog.text COLLATE pg_catalog.\"C\" IN (");
	for (int i = 0; i < n; i++) {
		text_add(t, i > 0 ? ", " : "");
		text_add_literal(t, names[i]);
	}
	text_add(t, ")");
}

static const char *field(const PGresult *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

/* --- SQL --- */

static void count_sql(struct text *sql, const struct job *j, const char *where)
{
	const struct pair *p = j->content->pair;

	text_add(sql, "SELECT ");
	if (p->collection_column) {
		text_add(sql, "(");
		text_add_qname(sql, "nf_src", p->collection_column);
		text_add(sql, ")::pg_catalog.text COLLATE pg_catalog.\"C\", ");
	}
	text_add(sql, "pg_catalog.count(*) FROM ");
	pair_from(sql, p, j->role);
	text_add(sql, " AS nf_src");
	if (*where)
		text_addf(sql, " WHERE %s", where);
	if (p->collection_column)
		text_add(sql, " GROUP BY 1");
}

/* A stream in text format was hashed as text, column by column: so is what it is compared with. */
static struct digest_column as_digested(const struct pair *p, const struct digest_column *c)
{
	struct digest_column as_text = { .name = c->name,
					 .mode = DIGEST_TEXT,
					 .type_oid = DIGEST_OID_TEXT };

	return p->text_mode ? as_text : *c;
}

static int job_sql(struct text *sql, const struct job *j, struct err *e)
{
	const struct pair *p = j->content->pair;
	const struct pair_columns *c = j->what == GENERATED ? &p->generated : &p->stored;
	AUTO(free) struct digest_column *columns = calloc((size_t)c->n + 1, sizeof(*columns));
	AUTO_TEXT struct text from = TEXT_INIT;
	AUTO_TEXT struct text where = TEXT_INIT;

	if (!columns)
		return err_nomem(e);
	for (int i = 0; i < c->n; i++)
		columns[i] = as_digested(p, &c->end[j->role][i]);
	content_filter(&where, p->collection_column, j->want->collections, j->want->n_collections);
	pair_from(&from, p, j->role);
	if (text_check(&where, e) || text_check(&from, e))
		return -1;
	if (j->what == COUNT)
		count_sql(sql, j, text_str(&where));
	else
		digest_sql_tally(sql, columns, c->n, text_str(&from),
				 where.len > 0 ? text_str(&where) : NULL,
				 j->what == STORED ? p->collection_column : NULL);
	return text_check(sql, e);
}

/* --- answers --- */

static int by_name(const void *a, const void *b)
{
	const char *x = ((const struct proof_collection *)a)->name;
	const char *y = ((const struct proof_collection *)b)->name;

	return x && y ? strcmp(x, y) : (x != NULL) - (y != NULL);
}

/* One row of an answer: [collection,] count [, sum, sum]. */
static int read_tally(struct tally *ret, const PGresult *res, int row, int first, struct err *e)
{
	bool sums = PQnfields(res) > first + 1;

	return tally_parse(ret, field(res, row, first), sums ? field(res, row, first + 1) : "",
			   sums ? field(res, row, first + 2) : "", e);
}

static int fill_groups(struct proof_collection *c, struct tally *ret_sum, const PGresult *res,
		       struct err *e)
{
	for (int i = 0; i < PQntuples(res); i++) {
		if (field(res, i, 0) && !(c[i].name = strdup(field(res, i, 0))))
			return err_nomem(e);
		if (read_tally(&c[i].target, res, i, 1, e))
			return -1;
		tally_add(ret_sum, &c[i].target);
	}
	return 0;
}

static int read_groups(struct content_end *end, struct tally *ret, const PGresult *res,
		       struct err *e)
{
	int n = PQntuples(res);
	struct proof_collection *c = calloc((size_t)n + 1, sizeof(*c));
	struct tally sum = TALLY_INIT;

	if (!c)
		return err_nomem(e);
	if (fill_groups(c, &sum, res, e)) {
		proof_collections_free(c, n);
		return -1;
	}
	qsort(c, (size_t)n, sizeof(*c), by_name);
	proof_collections_free(end->collections, end->n_collections);
	end->collections = c;
	end->n_collections = n;
	*ret = sum;
	return 0;
}

static int take_answer(const struct job *j, const PGresult *res, struct tally *ret, struct err *e)
{
	struct content_end *end = &j->content->end[j->role];
	bool divided = j->content->pair->collection_column && j->what != GENERATED;

	if (divided)
		return read_groups(end, ret, res, e);
	*ret = TALLY_INIT;
	for (int i = 0; i < PQntuples(res); i++) {
		struct tally row;
		int first = j->what == COUNT && j->content->pair->collection_column ? 1 : 0;

		if (read_tally(&row, res, i, first, e))
			return -1;
		tally_add(ret, &row);
	}
	return 0;
}

static int run_job(struct pg *pg, void *arg, struct err *e)
{
	const struct job *j = arg;
	struct content_end *end = &j->content->end[j->role];
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct tally tally;

	if (job_sql(&sql, j, e) || pg_query(pg, text_str(&sql), &res, e) ||
	    take_answer(j, res, &tally, e))
		return -1;
	if (j->what == COUNT) {
		end->count = tally.rows;
		end->has_count = true;
	} else if (j->what == STORED) {
		end->tally = tally;
		end->has_tally = true;
	} else {
		end->generated = tally;
		end->has_generated = true;
	}
	return 0;
}

/* --- all of them --- */

static bool wanted(const struct content_want *want, const struct pair *p, enum pg_role role,
		   enum what what, int i)
{
	if ((want->skip && want->skip[i]) ||
	    (role == PG_SOURCE && want->expected && want->expected[i]))
		return false;
	if (!p->end[role] || p->end[role]->kind == 'f')
		return false;
	if (want->n_collections > 0 && !p->collection_column)
		return false;
	if (what == COUNT)
		return want->counts[role];
	return want->digests[role] && !p->why[0] && (what == STORED || p->generated.n > 0);
}

static int add_jobs(struct job *jobs, struct pool_task *tasks, struct content *c,
		    const struct content_want *want, enum what what, int n, int i)
{
	for (int role = 0; role < 2; role++) {
		if (!wanted(want, c->pair, (enum pg_role)role, what, i))
			continue;
		jobs[n] = (struct job){ c, want, (enum pg_role)role, what };
		tasks[n] = (struct pool_task){ .role = (enum pg_role)role,
					       .weight = c->pair->end[role]->bytes,
					       .arg = &jobs[n],
					       .run = run_job };
		n++;
	}
	return n;
}

static void keep_failures(const struct pool_task *tasks, int n)
{
	for (int i = 0; i < n; i++) {
		const struct job *j = tasks[i].arg;
		struct content_end *end = &j->content->end[j->role];

		end->ms += tasks[i].ms;
		if (tasks[i].failed && !end->why[0])
			snprintf(end->why, sizeof(end->why), "%.255s", tasks[i].err.text);
	}
}

/* Jobs of one table's end share struct content_end, so each kind is a round of its own. */
static int run_rounds(struct content *all, int n, const struct pool *pool,
		      const struct content_want *want, struct job *jobs, struct pool_task *tasks,
		      struct err *e)
{
	for (int what = 0; what < N_WHAT; what++) {
		int n_tasks = 0, rc;

		for (int i = 0; i < n; i++)
			n_tasks = add_jobs(jobs, tasks, &all[i], want, (enum what)what, n_tasks,
					   i);
		rc = pool_run(pool, tasks, n_tasks, e);
		keep_failures(tasks, n_tasks);
		if (rc)
			return -1;
	}
	return 0;
}

int content_read(struct content **ret, const struct pairs *pairs, const struct pool *pool,
		 const struct content_want *want, struct err *e)
{
	struct content *all = calloc((size_t)pairs->n + 1, sizeof(*all));
	AUTO(free) struct job *jobs = calloc(2 * (size_t)pairs->n + 1, sizeof(*jobs));
	AUTO(free) struct pool_task *tasks = calloc(2 * (size_t)pairs->n + 1, sizeof(*tasks));

	if (!all || !jobs || !tasks) {
		free(all);
		return err_nomem(e);
	}
	for (int i = 0; i < pairs->n; i++) {
		all[i].pair = &pairs->pair[i];
		all[i].end[0].n_collections = all[i].end[1].n_collections = -1;
	}
	if (run_rounds(all, pairs->n, pool, want, jobs, tasks, e)) {
		content_free(all, pairs->n);
		return -1;
	}
	*ret = all;
	return 0;
}

int content_prove(struct content *c, const struct proof_table *t, struct err *e)
{
	struct content_end *end = &c->end[PG_TARGET];

	end->count = t->target.rows;
	end->tally = t->target;
	end->has_count = end->has_tally = true;
	end->ms = t->ms;
	if (!t->collection_column || t->n_collections == 0)
		return 0;
	end->collections = calloc((size_t)t->n_collections + 1, sizeof(*end->collections));
	if (!end->collections)
		return err_nomem(e);
	end->n_collections = t->n_collections;
	for (int i = 0; i < t->n_collections; i++) {
		end->collections[i].target = t->collections[i].target;
		if (t->collections[i].name &&
		    !(end->collections[i].name = strdup(t->collections[i].name)))
			return err_nomem(e);
	}
	qsort(end->collections, (size_t)end->n_collections, sizeof(*end->collections), by_name);
	return 0;
}

int content_queries(const struct pairs *pairs, const struct content_want *want, json_t *queries,
		    struct err *e)
{
	static const char *const words[] = { "count", "digest", "digest of generated columns" };

	for (int i = 0; i < pairs->n; i++)
		for (int what = 0; what < N_WHAT; what++)
			for (int role = 0; role < 2; role++) {
				AUTO_TEXT struct text sql = TEXT_INIT;
				struct content content = { .pair = &pairs->pair[i] };
				struct job j = { &content, want, (enum pg_role)role,
						 (enum what)what };

				if (!wanted(want, content.pair, j.role, j.what, i))
					continue;
				if (job_sql(&sql, &j, e))
					return -1;
				queries_add(queries, words[what], content.pair->name, j.role,
					    text_str(&sql));
			}
	return 0;
}

void content_free(struct content *c, int n)
{
	for (int i = 0; c && i < n; i++)
		for (int role = 0; role < 2; role++)
			proof_collections_free(c[i].end[role].collections,
					       c[i].end[role].n_collections);
	free(c);
}
