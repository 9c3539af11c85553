#include "schema/model_effect.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_S 30

/*
 * One number from the target. -1: unknown, which `why` then says (too slow, no right, an expression
 * over what is not there yet).
 */
static int64_t ask(struct pg *pg, struct model_judgement *j, const struct text *sql)
{
	AUTO(free) char *value = NULL;
	struct err e = ERR_INIT;

	if (!pg_is_alive(pg) || text_check(sql, &e) || pg_exec(pg, "SAVEPOINT probe", &e))
		return -1;
	if (pg_value(pg, text_str(sql), &value, &e)) {
		(void)!pg_exec(pg, "ROLLBACK TO probe", &e);
		text_addf(&j->why, "%show many rows that concerns is not known%s", j->why.len ? "; " : "",
			  strcmp(e.sqlstate, "57014") == 0 ? " (the count took too long)" : "");
		return -1;
	}
	return value ? strtoll(value, NULL, 10) : 0;
}

PRINTF_LIKE(2, 3)
static void add_why(struct model_judgement *j, const char *fmt, ...)
{
	va_list ap;

	if (j->why.len)
		text_add(&j->why, "; ");
	va_start(ap, fmt);
	text_addv(&j->why, fmt, ap);
	va_end(ap);
}

static void raise(struct model_judgement *j, enum model_severity severity)
{
	if (j->severity < severity)
		j->severity = severity;
}

/* n rows make the change fail: with none nothing is left to look at but the reading of all rows. */
static void judge_violations(struct model_judgement *j, int64_t n, const char *what)
{
	if (n > 0) {
		raise(j, MODEL_DESTRUCTIVE);
		add_why(j, "%lld %s: it would fail", (long long)n, what);
	} else if (n == 0) {
		add_why(j, "no row is against it");
	}
}

/* The table as the target knows it: a renamed one has another name there. */
static const char *table_of(const struct model_judgement *j)
{
	const struct model_object *o = j->change.before ? j->change.before : j->change.after;

	return o->table ? o->table : o->name;
}

/* --- one probe a sort of change --- */

static void size_of(struct pg *pg, struct model_judgement *j, const char *what)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SELECT pg_catalog.pg_table_size(pg_catalog.to_regclass(");
	text_add_literal(&sql, table_of(j));
	text_add(&sql, "))");
	int64_t bytes = ask(pg, j, &sql);
	if (bytes > 0)
		add_why(j, "%s %.1f MB", what, (double)bytes / (1 << 20));
}

static void lost_rows(struct pg *pg, struct model_judgement *j)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s", table_of(j));
	int64_t n = ask(pg, j, &sql);
	if (n >= 0)
		add_why(j, "%lld rows", (long long)n);
}

static void lost_values(struct pg *pg, struct model_judgement *j)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT pg_catalog.count(%s) FROM %s", model_value(j->change.before, "_column"),
		  table_of(j));
	int64_t n = ask(pg, j, &sql);
	if (n >= 0)
		add_why(j, "%lld values", (long long)n);
}

static void nulls(struct pg *pg, struct model_judgement *j)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s WHERE %s IS NULL", table_of(j),
		  model_value(j->change.before, "_column"));
	judge_violations(j, ask(pg, j, &sql), "rows hold NULL");
}

/* A new column that must have a value, and has none to take. */
static void column_came(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *not_null = model_value(o, "not_null");
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (not_null && not_null[0] == 't' && !model_value(o, "default") && !model_value(o, "identity") &&
	    !model_value(o, "generated")) {
		text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s", o->table);
		raise(j, MODEL_REVIEW);
		judge_violations(j, ask(pg, j, &sql), "rows would have no value");
	}
}

static void duplicates(struct pg *pg, struct model_judgement *j, const char *keys, const char *predicate)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (!keys)
		return;
	text_addf(&sql, "SELECT coalesce(pg_catalog.sum(n) - pg_catalog.count(*), 0) FROM (SELECT"
			" pg_catalog.count(*) AS n FROM %s WHERE pg_catalog.num_nulls(%s) = 0%s%s%s GROUP BY"
			" %s HAVING pg_catalog.count(*) > 1) d", table_of(j), keys, predicate ? " AND (" : "",
		  predicate ? predicate : "", predicate ? ")" : "", keys);
	judge_violations(j, ask(pg, j, &sql), "rows are doubles");
}

static void orphans(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *columns = model_value(o, "_columns"), *referenced = model_value(o, "_referenced");
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (!columns || !referenced)
		return;
	text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s c WHERE pg_catalog.num_nulls(%s) = 0 AND (%s) NOT"
			" IN (SELECT %s FROM %s WHERE pg_catalog.num_nulls(%s) = 0)", o->table, columns, columns,
		  referenced, model_value(o, "_references"), referenced);
	judge_violations(j, ask(pg, j, &sql), "rows have no parent");
}

static void not_checked(struct pg *pg, struct model_judgement *j)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s WHERE NOT (%s)", table_of(j),
		  model_value(j->change.after, "_check"));
	judge_violations(j, ask(pg, j, &sql), "rows are against it");
}

static void constraint_came(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *type = model_value(o, "_type"), *validated = model_value(o, "validated");

	raise(j, MODEL_REVIEW);
	if (!type || (validated && validated[0] == 'f'))
		add_why(j, "not checked on the rows that are there");
	else if (type[0] == 'p' || type[0] == 'u')
		duplicates(pg, j, model_value(o, "_columns"), NULL);
	else if (type[0] == 'f')
		orphans(pg, j);
	else if (type[0] == 'c')
		not_checked(pg, j);
}

static void index_came(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *unique = model_value(o, "unique");

	size_of(pg, j, "reads");
	if (unique && unique[0] == 't')
		duplicates(pg, j, model_value(o, "_keys"), model_value(o, "predicate"));
}

/* --- choosing --- */

static void came(struct pg *pg, struct model_judgement *j)
{
	const char *kind = j->change.after->kind;

	if (strcmp(kind, "column") == 0)
		column_came(pg, j);
	else if (strcmp(kind, "constraint") == 0)
		constraint_came(pg, j);
	else if (strcmp(kind, "index") == 0)
		index_came(pg, j);
}

static void went(struct pg *pg, struct model_judgement *j)
{
	const char *kind = j->change.before->kind;

	if (strcmp(kind, "table") == 0)
		lost_rows(pg, j);
	else if (strcmp(kind, "column") == 0)
		lost_values(pg, j);
}

static void changed(struct pg *pg, struct model_judgement *j)
{
	const struct model_change *c = &j->change;

	if (strcmp(c->after->kind, "column") == 0 && strcmp(c->attribute, "not_null") == 0 &&
	    c->to && c->to[0] == 't')
		nulls(pg, j);
}

static void probe(struct pg *pg, struct model_judgement *j)
{
	const struct model_change *c = &j->change;

	if (j->was)
		return;
	if (c->attribute)
		changed(pg, j);
	else if (c->after)
		came(pg, j);
	else
		went(pg, j);
	if (j->rewrites)
		size_of(pg, j, "writes anew");
}

int model_effects(struct model_judgements *j, struct pg *pg, struct err *e)
{
	if (pg_begin(pg, "READ ONLY", e))
		return -1;
	if (pg_execf(pg, e, "SET LOCAL statement_timeout TO '%ds'; SET LOCAL lock_timeout TO '2s'", LIMIT_S)) {
		pg_rollback(pg);
		return -1;
	}
	for (int i = 0; i < j->n; i++)
		probe(pg, &j->list[i]);
	pg_rollback(pg);
	model_judgements_count(j);
	return 0;
}
