#include "transfer/cascade.h"

#include "common/text.h"

#include <string.h>

/* Foreign keys that act on a DELETE: name, table, what they do, how rows meet. */
static const char foreign_sql[] =
	"SELECT con.conname, pg_catalog.format('%I.%I', n.nspname, r.relname), CASE "
	"con.confdeltype WHEN 'c' THEN "
	"'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END, (SELECT "
	"pg_catalog.string_agg(pg_catalog.format("
	"'nf_to.%I OPERATOR(%I.%s) nf_by.%I', ta.attname, opn.nspname, op.oprname, ba.attname), ' "
	"AND ') FROM "
	"ROWS FROM (pg_catalog.unnest(con.conkey), pg_catalog.unnest(con.confkey), "
	"pg_catalog.unnest(con.conpfeqop)) AS k (by_no, to_no, op) JOIN "
	"pg_catalog.pg_attribute ta ON ta.attrelid = con.confrelid AND ta.attnum = k.to_no JOIN "
	"pg_catalog.pg_attribute ba ON ba.attrelid = con.conrelid AND ba.attnum = k.by_no JOIN "
	"pg_catalog.pg_operator op ON op.oid = k.op JOIN pg_catalog.pg_namespace opn ON opn.oid = "
	"op.oprnamespace) "
	"FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class r ON r.oid = con.conrelid JOIN "
	"pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE con.contype = 'f' AND "
	"con.confdeltype IN ('c', 'n', "
	"'d') AND con.confrelid IN (SELECT of.oid UNION SELECT relid FROM "
	"pg_catalog.pg_partition_tree(of.oid)) ";

enum { NAME, TABLE, ACTION, MEET };

/* A table counts as spared with any part of its partition tree. */
static void add_query(const struct cascade *c, struct text *sql)
{
	text_add(sql, "WITH of AS (SELECT pg_catalog.to_regclass(");
	text_add_literal(sql, c->relation);
	text_add(sql, ")::pg_catalog.oid AS oid), spared AS (SELECT "
		      "pg_catalog.to_regclass(t)::pg_catalog.oid AS oid FROM "
		      "pg_catalog.unnest(ARRAY[");
	for (int i = 0; i < c->n_spared; i++) {
		text_add(sql, i ? ", " : "");
		text_add_literal(sql, c->spared[i]);
	}
	text_add(sql, "]::text[]) AS t) SELECT f.* FROM of, LATERAL (");
	text_add(sql, foreign_sql);
	text_add(sql, "AND NOT EXISTS (SELECT FROM spared WHERE spared.oid = con.conrelid OR "
		      "spared.oid IN (SELECT relid "
		      "FROM pg_catalog.pg_partition_tree(con.conrelid)) OR con.conrelid IN (SELECT "
		      "relid FROM "
		      "pg_catalog.pg_partition_tree(spared.oid)))) AS f ORDER BY 2, 1");
}

static int refuse(const struct cascade *c, const PGresult *res, int row, struct err *e)
{
	err_set(e, ERR_REFUSED,
		"target: %s %s would reach rows of %s, by its foreign key %s (ON DELETE %s)",
		c->doing, c->relation, PQgetvalue(res, row, TABLE), PQgetvalue(res, row, NAME),
		PQgetvalue(res, row, ACTION));
	return err_hint(e, "%s", c->hint);
}

static int check_key(struct pg *target, const struct cascade *c, const PGresult *res, int row,
		     struct err *e)
{
	AUTO(pgresult) PGresult *met = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	const char *table = PQgetvalue(res, row, TABLE);

	if (c->lock && pg_execf(target, e, "LOCK TABLE %s IN SHARE MODE", table) < 0)
		return err_note(e, "looking for rows of %s that refer to %s", table, c->relation);
	text_addf(&sql, "SELECT EXISTS (SELECT FROM (SELECT * %s) AS nf_to JOIN %s AS nf_by ON %s",
		  c->rows, table, PQgetvalue(res, row, MEET));
	if (c->removed)
		text_addf(&sql, " WHERE NOT (%s)", c->removed);
	text_add(&sql, ")");
	if (text_check(&sql, e) < 0 || pg_query(target, text_str(&sql), &met, e) < 0)
		return err_note(e, "looking for rows of %s that refer to %s", table, c->relation);
	return strcmp(PQgetvalue(met, 0, 0), "t") == 0 ? refuse(c, res, row, e) : 0;
}

int cascade_check(struct pg *target, const struct cascade *c, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	add_query(c, &sql);
	if (text_check(&sql, e) < 0 || pg_query(target, text_str(&sql), &res, e) < 0)
		return err_note(e, "looking for foreign keys to %s", c->relation);
	for (int i = 0; i < PQntuples(res); i++)
		if (check_key(target, c, res, i, e) < 0)
			return -1;
	return 0;
}
