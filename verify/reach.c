#include "verify/reach.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int reach_read(struct actions *ret, struct pg *target, uint32_t table, struct err *e)
{
	char oid[16];

	snprintf(oid, sizeof(oid), "%" PRIu32, table);
	/* A key of a partitioned table stands there once for each partition, too. */
	return actions_read(ret, target, oid, "c.conparentid = 0", e);
}

void reach_allow_cascade(struct actions *r, uint32_t child)
{
	for (int i = 0; i < r->n; i++)
		if (r->keys[i].child_oid == child && r->keys[i].on_update &&
		    !strcmp(r->keys[i].on_update, "CASCADE"))
			r->keys[i].on_update = NULL;
}

/*
 * The old rows by their places, each fetched alone (OFFSET 0 keeps the planner from reading the
 * table for them); then the rows that refer to one of them, but for those that are written
 * themselves.
 */
static void add_reached(struct text *sql, const struct action_key *k, const char *from,
			const char *places, const char *columns)
{
	text_addf(sql,
		  "WITH nf_v%s AS (VALUES %s), nf_old AS MATERIALIZED (SELECT o.* FROM nf_v"
		  " CROSS JOIN LATERAL (SELECT %s FROM %s AS x WHERE x.ctid = nf_v.p"
		  " AND x.tableoid = nf_v.t OFFSET 0) AS o%s)",
		  columns, places, k->columns, k->parent, from);
	text_addf(sql,
		  " SELECT pg_catalog.count(*) FROM %s AS nf_ref"
		  " WHERE EXISTS (SELECT FROM nf_old WHERE %s)"
		  " AND NOT EXISTS (SELECT FROM nf_v WHERE nf_v.t = nf_ref.tableoid"
		  " AND nf_v.p = nf_ref.ctid)",
		  k->child, k->match);
}

static int refuse_reached(const struct action_key *k, struct pg *target, const struct text *sql,
			  const char *what, const char *action, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	if (text_check(sql, e) || pg_query(target, text_str(sql), &res, e))
		return err_note(e, "counting the rows of %s that refer to it", k->child_name);
	if (!strcmp(PQgetvalue(res, 0, 0), "0"))
		return 0;
	(void)err_set(
		e, ERR_DATA,
		"%s it would %s %s rows of %s (constraint %s, ON %s %s): repair or empty that "
		"table first, or write these rows by hand",
		!strcmp(what, "DELETE") ? "deleting" : "updating",
		!strcmp(what, "DELETE") && !strcmp(action, "CASCADE") ? "delete" : "change",
		PQgetvalue(res, 0, 0), k->child_name, k->name, what, action);
	return -1;
}

int reach_check_delete(const struct actions *r, struct pg *target, const char *places,
		       struct err *e)
{
	for (int i = 0; i < r->n; i++) {
		const struct action_key *k = &r->keys[i];
		AUTO_TEXT struct text sql = TEXT_INIT;

		if (!k->on_delete)
			continue;
		add_reached(&sql, k, "", places, "(t, p)");
		if (refuse_reached(k, target, &sql, "DELETE", k->on_delete, e))
			return -1;
	}
	return 0;
}

int reach_check_update(const struct actions *r, struct pg *target, const char *beside,
		       const char *places, struct err *e)
{
	for (int i = 0; i < r->n; i++) {
		const struct action_key *k = &r->keys[i];
		AUTO_TEXT struct text changed = TEXT_INIT;
		AUTO_TEXT struct text sql = TEXT_INIT;

		if (!k->on_update)
			continue;
		/* By bytes, as the server does: 1.0 for 1.00 is handed on, too. */
		if (!k->is_generated)
			text_addf(&changed,
				  " JOIN LATERAL (SELECT %s FROM %s AS y WHERE y.ctid = nf_v.q"
				  " OFFSET 0) AS n ON pg_catalog.record_image_ne(ROW(%s), ROW(%s))",
				  k->columns, beside, k->was, k->is);
		if (text_check(&changed, e))
			return -1;
		add_reached(&sql, k, text_str(&changed), places, "(t, p, q)");
		if (refuse_reached(k, target, &sql, "UPDATE", k->on_update, e))
			return -1;
	}
	return 0;
}
