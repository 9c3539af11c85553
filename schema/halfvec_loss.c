/* halfvec_loss - what a conversion would cost, measured by the source itself on every row. */
#include "schema/halfvec.h"

#include <stdlib.h>

/*
 * h is NULL where a component has no halfvec. A vector shorter than the largest number cannot have
 * such a component; only of the others each is looked at. OFFSET 0 keeps both steps from being done
 * twice.
 */
static void add_query(const struct table *t, const struct column *c, const char *in,
		      struct text *sql)
{
	text_add(sql,
		 "SELECT pg_catalog.count(e), pg_catalog.count(e) - pg_catalog.count(h), "
		 "pg_catalog.min(at::pg_catalog.text) FILTER (WHERE e IS NOT NULL AND h IS NULL), "
		 "pg_catalog.count(*) FILTER (WHERE n > 0 AND m = 0), pg_catalog.max(d / n), "
		 "pg_catalog.avg(d / n), pg_catalog.max(c) FILTER (WHERE c <> 'NaN') "
		 "FROM (SELECT at, e, h, NULLIF(n, 0) AS n");
	text_addf(sql,
		  ", %s.l2_norm(h) AS m, %s.l2_distance(e, h::%s.vector) AS d, "
		  "%s.cosine_distance(e, h::%s.vector) AS c "
		  "FROM (SELECT at, e, n, CASE WHEN n < " HALFVEC_MOST
		  " OR NOT EXISTS (SELECT FROM pg_catalog.unnest(e::pg_catalog.float4[]) AS x "
		  "WHERE pg_catalog.abs(x) >= 65520) THEN e::%s.halfvec END AS h "
		  "FROM (SELECT ctid AS at, ",
		  in, in, in, in, in, in);
	text_add_ident(sql, c->name);
	text_addf(sql, " AS e, %s.vector_norm(", in);
	text_add_ident(sql, c->name);
	text_addf(sql, ") AS n FROM ONLY %s OFFSET 0) AS a OFFSET 0) AS b OFFSET 0) AS nf",
		  t->qname);
}

static json_t *number(const PGresult *res, int field)
{
	return PQgetisnull(res, 0, field) ? json_null()
					  : json_real(strtod(PQgetvalue(res, 0, field), NULL));
}

static json_t *count(const PGresult *res, int field)
{
	return json_integer(strtoll(PQgetvalue(res, 0, field), NULL, 10));
}

static int measure(struct pg *source, const struct table *t, const struct column *c, const char *in,
		   json_t *ret_losses, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text name = TEXT_INIT;
	json_t *at;

	text_addf(&name, "%s.%s", t->schema, t->name);
	add_query(t, c, in, &sql);
	if (text_check(&sql, e) < 0 || pg_query(source, text_str(&sql), &res, e) < 0)
		return err_note(e, "measuring what %s of %s loses as halfvec", c->name, t->qname);
	at = PQgetisnull(res, 0, 2) ? json_null() : json_string(PQgetvalue(res, 0, 2));
	return json_array_append_new(ret_losses,
				     json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
					       "table", text_str(&name), "column", c->name,
					       "vectors", count(res, 0), "out_of_range",
					       count(res, 1), "one_out_of_range", at, "zeroed",
					       count(res, 3), "max_relative_error", number(res, 4),
					       "mean_relative_error", number(res, 5),
					       "max_cosine_distance", number(res, 6)))
		       ? err_nomem(e)
		       : 0;
}

int halfvec_loss(struct pg *source, const struct table *t, json_t *ret_losses, struct err *e)
{
	for (int i = 0; i < t->n_columns; i++) {
		const struct column *c = &t->columns[i];
		AUTO(free) char *in = NULL;

		if (!c->digest.cast_fmt)
			continue;
		in = halfvec_schema(c->digest.cast_fmt);
		if (!in)
			return err_nomem(e);
		if (measure(source, t, c, in, ret_losses, e) < 0)
			return -1;
	}
	return 0;
}
