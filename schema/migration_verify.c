#include "schema/migration_verify.h"

#include "schema/model_judge.h"
#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

int migration_build(struct scratch *s, const struct migration_plan *p, bool applied_only, struct err *e)
{
	for (int i = 0; i < p->n; i++) {
		const struct migration_item *item = &p->items[i];
		if (!item->migration || (applied_only && !item->row))
			continue;
		if (scratch_try(s, item->migration, NULL, e))
			return err_note(e, "building what the database should be");
	}
	return 0;
}

/* Without what only the other side has. */
static void drop_extras(struct model_changes *c)
{
	int n = 0;

	for (int i = 0; i < c->n; i++)
		if (c->list[i].before)
			c->list[n++] = c->list[i];
	c->n = n;
}

static const char *const all_kinds[] = {
	"schema",        "extension", "type",   "table",      "view",    "materialized view",
	"foreign table", "sequence",  "column", "constraint", "index",   "function",
	"trigger",       "rule",      "policy", "statistics", "setting", NULL
};

int migration_differences(json_t **ret, struct pg *expected, struct pg *actual, const char *ignore,
			  bool extras, bool settings, struct err *e)
{
	AUTO(model) struct model *a = NULL;
	AUTO(model) struct model *b = NULL;
	AUTO_MODEL_CHANGES struct model_changes c = { 0 };
	const char *const ignored[] = { ignore, NULL };

	if (model_read(&a, expected, e) || model_read(&b, actual, e) ||
	    model_compare(&c, a, b, ignored, settings ? all_kinds : NULL, e))
		return -1;
	if (!extras)
		drop_extras(&c);
	*ret = model_changes_json(&c);
	return *ret ? 0 : err_nomem(e);
}

/* --- seed rows --- */

/* The column's values are given by whoever writes, not made by the database. */
static bool is_given(const struct model *m, const char *table, const char *column)
{
	AUTO_TEXT struct text name = TEXT_INIT;

	text_addf(&name, "%s.%s", table, column);
	const struct model_object *o = model_find(m, "column", text_str(&name));
	return o && !model_value(o, "default") && !model_value(o, "identity") && !model_value(o, "generated");
}

static bool all_given(const struct model *m, const struct model_object *constraint)
{
	AUTO(free) char *columns = strdup(model_value(constraint, "_columns"));
	char *save = NULL;

	/* a quoted name with ", " in it is taken for two that are not there: no key, and so said */
	for (char *c = columns ? strtok_r(columns, ",", &save) : NULL; c; c = strtok_r(NULL, ",", &save))
		if (!is_given(m, constraint->table, c + strspn(c, " ")))
			return false;
	return columns != NULL;
}

/* The columns of a key that tells the table's seed rows apart, or NULL. */
static const char *key_of(const struct model *m, const char *table)
{
	for (int i = 0; i < m->n; i++) {
		const struct model_object *o = &m->list[i];
		if (strcmp(o->kind, "constraint") != 0 || strcmp(o->table, table) != 0)
			continue;
		const char *type = model_value(o, "_type");
		if (type && strchr("pu", type[0]) && model_value(o, "_columns") && all_given(m, o))
			return model_value(o, "_columns");
	}
	return NULL;
}

/* How many of the rows (keys as text) the actual database has not. */
static int count_missing(struct pg *actual, const char *table, const char *key, const PGresult *rows,
			 int64_t *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *n = NULL;

	text_add(&sql, "SELECT pg_catalog.count(*) FROM (VALUES ");
	for (int i = 0; i < PQntuples(rows); i++) {
		text_add(&sql, i ? ", (" : "(");
		text_add_literal(&sql, query_text(rows, i, 0));
		text_add(&sql, ")");
	}
	text_addf(&sql, ") v(k) WHERE v.k NOT IN (SELECT ROW(%s)::pg_catalog.text FROM %s)", key, table);
	if (text_check(&sql, e) || pg_value(actual, text_str(&sql), &n, e))
		return -1;
	*ret = n ? strtoll(n, NULL, 10) : 0;
	return 0;
}

static int any_missing(struct pg *actual, const char *table, int64_t *ret, struct err *e)
{
	AUTO(free) char *any = NULL;

	if (pg_valuef(actual, &any, e, "SELECT EXISTS (SELECT FROM %s)", table))
		return -1;
	*ret = any && any[0] == 't' ? 0 : 1;
	return 0;
}

static int look_at_table(json_t *list, const struct model *m, const char *table, struct pg *expected,
			 struct pg *actual, struct err *e)
{
	AUTO(pgresult) PGresult *rows = NULL;
	const char *key = key_of(m, table);
	int64_t missing = 0;

	if (pg_queryf(expected, &rows, e, "SELECT ROW(%s)::pg_catalog.text FROM %s LIMIT 10000",
		      key ? key : "", table))
		return -1;
	if (PQntuples(rows) == 0)
		return 0;
	if (key ? count_missing(actual, table, key, rows, &missing, e)
		: any_missing(actual, table, &missing, e)) {
		if (strcmp(e->sqlstate, "42P01") != 0 && strcmp(e->sqlstate, "42703") != 0)
			return err_note(e, "looking for the rows of %s", table);
		*e = ERR_INIT; /* the table or column is not there: the compare says so */
		missing = PQntuples(rows);
	}
	json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:I}", "table", table, "by",
					      key ? key : "any row", "rows", PQntuples(rows), "missing",
					      (json_int_t)missing));
	return 0;
}

int migration_seeds(json_t **ret, struct pg *expected, struct pg *actual, const char *ignore,
		    struct err *e)
{
	AUTO(model) struct model *m = NULL;
	json_t *list = json_array();

	if (!list)
		return err_nomem(e);
	int failed = model_read(&m, expected, e);
	for (int i = 0; !failed && i < m->n; i++) {
		const struct model_object *o = &m->list[i];
		if (strcmp(o->kind, "table") == 0 && (!ignore || strcmp(o->name, ignore) != 0))
			failed = look_at_table(list, m, o->name, expected, actual, e);
	}
	if (failed)
		json_decref(list);
	else
		*ret = list;
	return failed;
}

/* --- grants --- */

static const char grants_sql[] =
	"SELECT 'schema ' || n.nspname, 'USAGE' FROM pg_catalog.pg_namespace n"
	" WHERE " QUERY_USER_SCHEMA " AND NOT pg_catalog.has_schema_privilege($1::pg_catalog.name,"
	" n.oid, 'USAGE') UNION ALL SELECT c.oid::pg_catalog.regclass::pg_catalog.text,"
	" pg_catalog.string_agg(p, ', ' ORDER BY p) FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) v(p)"
	" WHERE c.relkind IN ('r', 'p') AND " QUERY_USER_SCHEMA " AND c.relname <>"
	" 'schema_migrations' AND NOT pg_catalog.has_table_privilege($1::pg_catalog.name, c.oid, p)"
	" GROUP BY c.oid UNION ALL SELECT c.oid::pg_catalog.regclass::pg_catalog.text, 'USAGE'"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind = 'S' AND " QUERY_USER_SCHEMA " AND CASE WHEN c.relkind = 'S'"
	" THEN NOT pg_catalog.has_sequence_privilege($1::pg_catalog.name, c.oid, 'USAGE')"
	" END ORDER BY 1";

int migration_grants(json_t **ret, struct pg *pg, const char *role, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	json_t *list = json_array();

	if (!list)
		return err_nomem(e);
	if (pg_query_params(pg, grants_sql, 1, &role, &res, e)) {
		json_decref(list);
		return err_note(e, "looking at what %s may do", role);
	}
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "object", query_text(res, i, 0), "lacks",
						      query_text(res, i, 1)));
	*ret = list;
	return 0;
}
