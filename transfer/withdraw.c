#include "transfer/withdraw.h"

#include "transfer/cascade.h"

#include <stdlib.h>

/* SQL: the transactions that brought the chunks of one relation, of a list of chunks. */
static void add_xids(struct text *sql, const char *from, const char *relation)
{
	text_addf(sql, "ANY (ARRAY(SELECT xid::pg_catalog.xid FROM %s AND relation = ", from);
	text_add_literal(sql, relation);
	text_add(sql, "))");
}

/* SQL: true of a row nf_ref that is removed itself. */
static void add_removed(const struct withdraw *w, const char *from, struct text *sql)
{
	for (int i = 0; i < w->n_relations; i++) {
		text_addf(sql, "%s(nf_ref.tableoid IN (SELECT pg_catalog.to_regclass(",
			  i ? " OR " : "");
		text_add_literal(sql, w->relations[i]);
		text_add(sql, ") UNION SELECT relid FROM "
			      "pg_catalog.pg_partition_tree(pg_catalog.to_regclass(");
		text_add_literal(sql, w->relations[i]);
		text_add(sql, "))) AND nf_ref.xmin = ");
		add_xids(sql, from, w->relations[i]);
		text_add(sql, ")");
	}
}

static int check_cascades(struct pg *target, const struct withdraw *w, struct err *e)
{
	AUTO_TEXT struct text from = TEXT_INIT, removed = TEXT_INIT;

	text_addf(&from, "neonferry.chunk WHERE (%s)", w->chunks);
	add_removed(w, text_str(&from), &removed);
	if (text_check(&from, e) < 0 || text_check(&removed, e) < 0)
		return -1;
	for (int i = 0; i < w->n_relations; i++) {
		AUTO_TEXT struct text rows = TEXT_INIT;
		struct cascade c = { .relation = w->relations[i],
				     .doing = w->doing,
				     .removed = text_str(&removed),
				     .lock = true,
				     .hint = w->hint };

		text_addf(&rows, "FROM %s WHERE xmin = ", w->relations[i]);
		add_xids(&rows, text_str(&from), w->relations[i]);
		c.rows = text_str(&rows);
		if (text_check(&rows, e) < 0 || cascade_check(target, &c, e) < 0)
			return -1;
	}
	return 0;
}

/* Foreign keys act when the whole statement is done: then every row of it has gone and was counted. */
static int remove_rows(struct pg *target, const struct withdraw *w, uint64_t *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	text_addf(&sql, "WITH gone AS (DELETE FROM neonferry.chunk WHERE (%s) AND relation IN (",
		  w->chunks);
	for (int i = 0; i < w->n_relations; i++) {
		text_add(&sql, i ? ", " : "");
		text_add_literal(&sql, w->relations[i]);
	}
	text_add(&sql, ") RETURNING relation, xid)");
	for (int i = 0; i < w->n_relations; i++) {
		text_addf(&sql, ", rows%d AS (DELETE FROM %s WHERE xmin = ", i, w->relations[i]);
		add_xids(&sql, "gone WHERE true", w->relations[i]);
		text_add(&sql, " RETURNING 1)");
	}
	for (int i = 0; i < w->n_relations; i++)
		text_addf(&sql, "%s (SELECT pg_catalog.count(*) FROM rows%d)", i ? "," : " SELECT",
			  i);
	if (text_check(&sql, e) < 0 || pg_query(target, text_str(&sql), &res, e) < 0)
		return -1;
	for (int i = 0; i < w->n_relations; i++)
		ret[i] = strtoull(PQgetvalue(res, 0, i), NULL, 10);
	return 0;
}

int withdraw_rows(struct pg *target, const struct withdraw *w, uint64_t *ret, struct err *e)
{
	return check_cascades(target, w, e) < 0 ? -1 : remove_rows(target, w, ret, e);
}
