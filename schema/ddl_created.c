/* What the run has made in the target, and taking it away again. */
#include "schema/ddl_state.h"

#include <string.h>

/* One object: what DROP says of it. */
struct created {
	int entry;
	char *type, *name, *sql; /* sql is NULL where there is no statement for it */
	bool dropped;
};

struct created_list {
	struct created *list;
	int n;
};

static void created_done(struct created_list *all)
{
	for (int i = 0; i < all->n; i++) {
		free(all->list[i].type);
		free(all->list[i].name);
		free(all->list[i].sql);
	}
	free(all->list);
	*all = (struct created_list){ 0 };
}

/* How an object of a type is named in DROP. Types that are not here go with what they belong to. */
enum naming { BY_NAME, BY_QNAME, BY_SIGNATURE, BY_TAG };

static const struct {
	const char *type;
	const char *drop; /* NULL: as the type */
	enum naming naming;
} droppable[] = {
	{ "SCHEMA", NULL, BY_NAME },
	{ "EXTENSION", NULL, BY_NAME },
	{ "SERVER", NULL, BY_NAME },
	{ "FOREIGN DATA WRAPPER", NULL, BY_NAME },
	{ "ACCESS METHOD", NULL, BY_NAME },
	{ "PROCEDURAL LANGUAGE", "LANGUAGE", BY_NAME },
	{ "TABLE", NULL, BY_QNAME },
	{ "FOREIGN TABLE", NULL, BY_QNAME },
	{ "VIEW", NULL, BY_QNAME },
	{ "MATERIALIZED VIEW", NULL, BY_QNAME },
	{ "SEQUENCE", NULL, BY_QNAME },
	{ "TYPE", NULL, BY_QNAME },
	{ "SHELL TYPE", "TYPE", BY_QNAME },
	{ "DOMAIN", NULL, BY_QNAME },
	{ "COLLATION", NULL, BY_QNAME },
	{ "CONVERSION", NULL, BY_QNAME },
	{ "TEXT SEARCH PARSER", NULL, BY_QNAME },
	{ "TEXT SEARCH TEMPLATE", NULL, BY_QNAME },
	{ "TEXT SEARCH DICTIONARY", NULL, BY_QNAME },
	{ "TEXT SEARCH CONFIGURATION", NULL, BY_QNAME },
	{ "FUNCTION", NULL, BY_SIGNATURE },
	{ "PROCEDURE", NULL, BY_SIGNATURE },
	{ "AGGREGATE", NULL, BY_SIGNATURE },
	{ "CAST", NULL, BY_TAG },
};

/* "name(types)": the types are SQL already, the name is not. */
static void add_signature(struct text *t, const char *schema, const char *tag)
{
	const char *paren = strchr(tag, '(');
	AUTO(free) char *name = paren ? strndup(tag, (size_t)(paren - tag)) : NULL;

	text_add_qname(t, schema, name ? name : tag);
	if (paren)
		text_add(t, paren);
}

/* False where the type needs no DROP of its own. */
static bool add_drop(struct text *t, const char *type, const char *schema, const char *tag)
{
	for (size_t i = 0; i < ARRAY_LEN(droppable); i++) {
		if (strcmp(droppable[i].type, type) != 0)
			continue;
		text_addf(t, "DROP %s IF EXISTS ", droppable[i].drop ? droppable[i].drop : type);
		switch (droppable[i].naming) {
		case BY_NAME:
			text_add_ident(t, tag);
			break;
		case BY_QNAME:
			text_add_qname(t, schema, tag);
			break;
		case BY_SIGNATURE:
			add_signature(t, schema, tag);
			break;
		case BY_TAG: /* "CAST (a AS b)" */
			text_add(t, tag + strcspn(tag, "("));
			break;
		}
		return true;
	}
	return false;
}

/* An operator's name says too little: the ledger has what DROP needs. */
static bool add_drop_operator(struct text *t, const PGresult *res, int row)
{
	if (PQgetisnull(res, row, 4))
		return false;
	text_addf(t, "DROP %s IF EXISTS %s", PQgetvalue(res, row, 2), PQgetvalue(res, row, 4));
	return true;
}

static int add_created(struct created_list *all, const PGresult *res, int row, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO_TEXT struct text name = TEXT_INIT;
	const char *type = PQgetvalue(res, row, 2);
	const char *schema = PQgetisnull(res, row, 3) ? NULL : PQgetvalue(res, row, 3);
	const char *tag = PQgetvalue(res, row, 1);

	if (!add_drop_operator(&sql, res, row) && !add_drop(&sql, type, schema ? schema : "", tag))
		return 0;
	if (schema)
		text_addf(&name, "%s.", schema);
	text_add(&name, tag);
	struct created *c = &all->list[all->n++];
	*c = (struct created){ .entry = atoi(PQgetvalue(res, row, 0)), .type = strdup(type) };
	c->name = text_take(&name, e);
	c->sql = c->name ? text_take(&sql, e) : NULL;
	if (!c->type || !c->sql)
		return err_nomem(e);
	return 0;
}

static int load_created(struct pg *pg, const char *run, struct created_list *ret, struct err *e)
{
	struct created_list all = { 0 };
	PGresult *res = NULL;

	if (pg_query_params(pg,
			    "SELECT entry, tag, detail ->> 'type', detail ->> 'schema',"
			    " detail ->> 'operator' FROM neonferry.object WHERE run = $1"
			    " AND section = 'pre-data' AND outcome = 'applied' ORDER BY seq DESC",
			    1, &run, &res, e) < 0)
		return err_note(e, "reading the ledger");
	all.list = calloc((size_t)PQntuples(res) + 1, sizeof *all.list);
	int rc = all.list ? 0 : err_nomem(e);
	for (int i = 0; rc == 0 && i < PQntuples(res); i++)
		rc = add_created(&all, res, i, e);
	PQclear(res);
	if (rc < 0)
		created_done(&all);
	else
		*ret = all;
	return rc;
}

int ddl_list_created(struct pg *target, const char *run, json_t **ret, struct err *e)
{
	struct created_list all;

	if (load_created(target, run, &all, e) < 0)
		return -1;
	json_t *list = json_array();
	int bad = !list;
	for (int i = 0; i < all.n && !bad; i++)
		bad = json_array_append_new(
			      list, json_pack("{s:s, s:s, s:s}", "type", all.list[i].type, "name",
					      all.list[i].name, "sql", all.list[i].sql)) < 0;
	created_done(&all);
	if (bad) {
		json_decref(list);
		return err_nomem(e);
	}
	*ret = list;
	return 0;
}

/* --- dropping --- */

struct dropping {
	struct pg *pg;
	const char *run;
	struct created_list all;
	struct err last; /* why something could not be dropped yet */
};

/*
 * Drops list[from..to) that is still there, with its ledger rows, in one transaction. Returns how
 * many, 0 with d->last when something depends on one of them, -1.
 */
static int drop_some(struct dropping *d, int from, int to, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct err why = ERR_INIT;
	int n = 0;

	text_add(&sql, "BEGIN; SET LOCAL client_min_messages = warning;\n");
	for (int i = from; i < to; i++) {
		const struct created *c = &d->all.list[i];
		if (c->dropped)
			continue;
		text_addf(&sql, "%s;\nDELETE FROM neonferry.object WHERE run = ", c->sql);
		text_add_literal(&sql, d->run);
		text_addf(&sql, " AND section = 'pre-data' AND entry = %d;\n", c->entry);
		n++;
	}
	text_add(&sql, "COMMIT;");
	if (n == 0)
		return 0;
	if (text_check(&sql, e) < 0)
		return -1;
	if (pg_exec(d->pg, text_str(&sql), &why) == 0) {
		for (int i = from; i < to; i++)
			d->all.list[i].dropped = true;
		return n;
	}
	pg_rollback(d->pg);
	/* Something depends on one of them; or their locks are too many for one transaction. */
	if (strcmp(why.sqlstate, "2BP01") == 0 || (strcmp(why.sqlstate, "53200") == 0 && n > 1)) {
		d->last = why;
		return 0;
	}
	*e = why;
	return err_note(e, "dropping %s %s", d->all.list[from].type, d->all.list[from].name);
}

/* Foreign keys between the tables go first: then no table hinders another. */
static int drop_foreign_keys(struct dropping *d, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	PGresult *found = NULL;

	if (pg_query_params(
		    d->pg,
		    "SELECT pg_catalog.format('ALTER TABLE %I.%I DROP CONSTRAINT IF EXISTS"
		    " %I;', n.nspname, c.relname, con.conname)"
		    " FROM neonferry.object o JOIN pg_catalog.pg_namespace n ON n.nspname ="
		    " o.detail ->> 'schema' JOIN pg_catalog.pg_class c ON c.relnamespace ="
		    " n.oid AND c.relname = o.tag JOIN pg_catalog.pg_constraint con ON"
		    " con.conrelid = c.oid WHERE o.run = $1 AND o.section = 'pre-data' AND"
		    " o.outcome = 'applied' AND o.detail ->> 'type' = 'TABLE' AND con.contype"
		    " = 'f' AND con.conparentid = 0",
		    1, &d->run, &found, e) < 0)
		return err_note(e, "looking for foreign keys");
	res = found;
	for (int i = 0; i < PQntuples(res);) {
		AUTO_TEXT struct text sql = TEXT_INIT;
		for (int n = 0; n < DDL_BATCH && i < PQntuples(res); n++, i++)
			text_addf(&sql, "%s\n", PQgetvalue(res, i, 0));
		if (text_check(&sql, e) < 0 || pg_exec(d->pg, text_str(&sql), e) < 0)
			return err_note(e, "dropping foreign keys");
	}
	return 0;
}

/* A range at once, or its halves: few round trips where little hinders. */
static int drop_range(struct dropping *d, int from, int to, struct err *e)
{
	int n = drop_some(d, from, to, e);

	if (n != 0 || to - from <= 1)
		return n;
	int mid = from + (to - from) / 2;
	int a = drop_range(d, from, mid, e);
	int b = a < 0 ? -1 : drop_range(d, mid, to, e);
	return b < 0 ? -1 : a + b;
}

static int count_left(const struct created_list *all, int *ret_first)
{
	int n = 0;

	for (int i = all->n; i-- > 0;) {
		if (!all->list[i].dropped) {
			*ret_first = i;
			n++;
		}
	}
	return n;
}

/* Newest first, again and again: what depends on what is the server's to say. */
static int drop_all(struct dropping *d, struct err *e)
{
	int left, first = 0, gone = 1;

	while ((left = count_left(&d->all, &first)) > 0 && gone > 0) {
		gone = 0;
		for (int from = 0; from < d->all.n; from += DDL_BATCH) {
			int to = from + DDL_BATCH < d->all.n ? from + DDL_BATCH : d->all.n;
			int n = drop_range(d, from, to, e);
			if (n < 0)
				return -1;
			gone += n;
		}
	}
	if (left == 0)
		return 0;
	*e = d->last;
	err_note(e, "removing what the run made: %s %s and %d more are still there",
		 d->all.list[first].type, d->all.list[first].name, left - 1);
	return err_hint(e, "drop what depends on them, then abort again");
}

int ddl_drop_created(struct pg *target, const char *run, struct err *e)
{
	struct dropping d = { .pg = target, .run = run };
	PGresult *res = NULL;

	if (load_created(target, run, &d.all, e) < 0)
		return -1;
	int rc = drop_foreign_keys(&d, e);
	if (rc == 0)
		rc = drop_all(&d, e);
	created_done(&d.all);
	/* Indexes, comments and the like went with their tables. */
	if (rc == 0)
		rc = pg_query_params(target, "DELETE FROM neonferry.object WHERE run = $1", 1, &run,
				     &res, e);
	PQclear(res);
	return rc;
}
