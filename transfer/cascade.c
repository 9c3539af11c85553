#include "transfer/cascade.h"

#include "common/text.h"
#include "schema/action.h"

#include <string.h>

/* SQL: true of a constraint c of a table whose rows may not be reached. */
static void add_which(const struct cascade *c, struct text *sql)
{
	text_add(sql, "NOT EXISTS (SELECT FROM (SELECT pg_catalog.to_regclass(t)::pg_catalog.oid"
		      " FROM pg_catalog.unnest(ARRAY[");
	for (int i = 0; i < c->n_spared; i++) {
		text_add(sql, i ? ", " : "");
		text_add_literal(sql, c->spared[i]);
	}
	/* A table counts as spared with any part of its partition tree. */
	text_add(sql, "]::pg_catalog.text[]) AS t) AS spared(oid) WHERE spared.oid = c.conrelid"
		      " OR spared.oid IN (SELECT relid FROM"
		      " pg_catalog.pg_partition_tree(c.conrelid))"
		      " OR c.conrelid IN (SELECT relid FROM"
		      " pg_catalog.pg_partition_tree(spared.oid)))");
}

static int refuse(const struct cascade *c, const struct action_key *k, struct err *e)
{
	err_set(e, ERR_REFUSED,
		"target: %s %s would reach rows of %s, by its foreign key %s (ON DELETE %s)",
		c->doing, c->relation, k->child_name, k->name, k->on_delete);
	return err_hint(e, "%s", c->hint);
}

static int look(struct pg *target, const struct cascade *c, const struct action_key *k,
		PGresult **ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (c->lock && pg_execf(target, e, "LOCK TABLE %s IN SHARE MODE", k->child) < 0)
		return -1;
	text_addf(&sql,
		  "SELECT EXISTS (SELECT FROM (SELECT %s %s) AS nf_old JOIN %s AS nf_ref ON %s",
		  k->columns, c->rows, k->child, k->match);
	if (c->removed)
		text_addf(&sql, " WHERE NOT (%s)", c->removed);
	text_add(&sql, ")");
	return text_check(&sql, e) < 0 ? -1 : pg_query(target, text_str(&sql), ret, e);
}

static int check_key(struct pg *target, const struct cascade *c, const struct action_key *k,
		     struct err *e)
{
	AUTO(pgresult) PGresult *met = NULL;

	if (look(target, c, k, &met, e) < 0)
		return err_note(e, "looking for rows of %s that refer to %s", k->child_name,
				c->relation);
	return strcmp(PQgetvalue(met, 0, 0), "t") == 0 ? refuse(c, k, e) : 0;
}

int cascade_check(struct pg *target, const struct cascade *c, struct err *e)
{
	AUTO_TEXT struct text table = TEXT_INIT, which = TEXT_INIT;
	struct actions a;
	int rc = 0;

	text_add(&table, "pg_catalog.to_regclass(");
	text_add_literal(&table, c->relation);
	text_add(&table, ")");
	add_which(c, &which);
	if (text_check(&table, e) < 0 || text_check(&which, e) < 0 ||
	    actions_read(&a, target, text_str(&table), text_str(&which), e) < 0)
		return err_note(e, "looking for foreign keys to %s", c->relation);
	for (int i = 0; rc == 0 && i < a.n; i++)
		if (a.keys[i].on_delete)
			rc = check_key(target, c, &a.keys[i], e);
	actions_done(&a);
	return rc;
}
