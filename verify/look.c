#include "verify/look.h"

#include "verify/content.h"

#include <string.h>

/* Equal bytes are found by "=" for these; an operator of an extension is not in the search path. */
static bool key_is_indexed(const struct pair *p)
{
	for (int i = 0; i < p->key.n; i++)
		for (int role = 0; role < 2; role++)
			if (p->key.end[role][i].mode != DIGEST_SELF)
				return false;
	return p->key.n > 0;
}

int look_batch(const struct pair *p)
{
	return key_is_indexed(p) ? LOOK_BATCH : LOOK_BATCH_SCAN;
}

/* --- SQL --- */

void look_digest(struct text *sql, const struct pair *p, enum pg_role role, const char *alias)
{
	text_add(sql, "pg_catalog.encode(pg_catalog.substr(");
	digest_sql_hash(sql, p->stored.end[role], p->stored.n, alias);
	text_add(sql, ", 1, 16), 'hex')");
}

void look_id(struct text *sql, const struct pair *p, enum pg_role role, const char *alias)
{
	if (p->key.n == 0) {
		look_digest(sql, p, role, alias);
		return;
	}
	text_add(sql, "pg_catalog.encode(");
	pair_key_bytes(sql, p, role, alias);
	text_add(sql, ", 'hex')");
}

static bool is_wanted(const bool *want, int i)
{
	return !want || want[i];
}

static void add_key_values(struct text *sql, const struct flagged_row *row)
{
	const json_t *part;
	size_t i;

	json_array_foreach(row->key, i, part)
	{
		text_add(sql, i > 0 ? ", " : "(");
		text_add_literal(sql, json_string_value(part));
	}
	text_add(sql, ")");
}

/* (a, b) IN (SELECT v.k0::integer, v.k1::date FROM (VALUES (..), ..) AS v) */
static bool where_key(struct text *sql, const struct pair *p, enum pg_role role,
		      const struct flagged_row *rows, const bool *want, int n)
{
	bool any = false;

	text_add(sql, "(");
	for (int i = 0; i < p->key.n; i++) {
		text_add(sql, i > 0 ? ", " : "");
		text_add_qname(sql, "nf_src", p->key.end[role][i].name);
	}
	text_add(sql, ") IN (SELECT ");
	for (int i = 0; i < p->key.n; i++)
		text_addf(sql, "%snf_v.k%d::%s", i > 0 ? ", " : "", i,
			  p->key.column[role][i]->type);
	text_add(sql, " FROM (VALUES ");
	for (int i = 0; i < n; i++) {
		if (!is_wanted(want, i))
			continue;
		text_add(sql, any ? ", " : "");
		add_key_values(sql, &rows[i]);
		any = true;
	}
	text_add(sql, ") AS nf_v(");
	for (int i = 0; i < p->key.n; i++)
		text_addf(sql, "%sk%d", i > 0 ? ", " : "", i);
	text_add(sql, "))");
	return any;
}

static bool where_id(struct text *sql, const struct pair *p, enum pg_role role,
		     const struct flagged_row *rows, const bool *want, int n)
{
	bool any = false;

	look_id(sql, p, role, "nf_src");
	text_add(sql, " IN (");
	for (int i = 0; i < n; i++) {
		if (!is_wanted(want, i))
			continue;
		text_addf(sql, "%s'%s'", any ? ", " : "", rows[i].id);
		any = true;
	}
	text_add(sql, ")");
	return any;
}

static bool any_lossy(const struct flagged_row *rows, int n)
{
	for (int i = 0; i < n; i++)
		if (rows[i].lossy)
			return true;
	return false;
}

bool look_from(struct text *sql, const struct pair *p, enum pg_role role,
	       const struct flagged_row *rows, const bool *want, int n)
{
	text_add(sql, " FROM ");
	pair_from(sql, p, role);
	text_add(sql, " AS nf_src WHERE ");
	return key_is_indexed(p) && !any_lossy(rows, n) ? where_key(sql, p, role, rows, want, n)
							: where_id(sql, p, role, rows, want, n);
}

static int again_sql(struct text *sql, const struct pair *p, enum pg_role role,
		     const struct look_filter *filter, const struct flagged_row *rows, int n,
		     struct err *e)
{
	AUTO_TEXT struct text where = TEXT_INIT;

	text_add(sql, "SELECT k, s, pg_catalog.count(*) FROM (SELECT ");
	look_id(sql, p, role, "nf_src");
	text_add(sql, " AS k, ");
	look_digest(sql, p, role, "nf_src");
	text_add(sql, " AS s");
	(void)look_from(sql, p, role, rows, NULL, n);
	content_filter(&where, p->collection_column, filter->collections, filter->n);
	if (where.len > 0)
		text_addf(sql, " AND %s", text_str(&where));
	text_add(sql, " OFFSET 0) q GROUP BY k, s");
	return text_check(&where, e) ? -1 : text_check(sql, e);
}

/* --- answers --- */

struct flagged_row *look_find(struct flagged_row *rows, int n, const char *id)
{
	int from = 0, to = n;

	while (from < to) {
		int middle = from + (to - from) / 2;
		int order = strcmp(rows[middle].id, id);

		if (order == 0)
			return &rows[middle];
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

int look_again(struct pg *pg, const struct pair *p, enum pg_role role,
	       const struct look_filter *filter, struct flagged_row *rows, int n, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (n == 0)
		return 0;
	if (again_sql(&sql, p, role, filter, rows, n, e) || pg_query(pg, text_str(&sql), &res, e))
		return err_note(e, "looking at differing rows of %s again", p->name);
	for (int i = 0; i < n; i++)
		for (int c = 0; c < rows[i].n_copies; c++)
			rows[i].copies[c].n[role] = 0;
	for (int i = 0; i < PQntuples(res); i++) {
		struct flagged_row *row = look_find(rows, n, PQgetvalue(res, i, 0));
		uint64_t count = strtoull(PQgetvalue(res, i, 2), NULL, 10);

		if (row && flagged_count(row, PQgetvalue(res, i, 1), (int)role, count, e))
			return -1;
	}
	return 0;
}
