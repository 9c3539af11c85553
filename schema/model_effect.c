#include "schema/model_effect.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_S 30

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

/* What is not known is not safe. */
static int64_t not_known(struct model_judgement *j, const struct err *e)
{
	raise(j, MODEL_REVIEW);
	add_why(j, "how many rows that concerns is not known%s",
		strcmp(e->sqlstate, "57014") == 0 ? " (the count took too long)" : "");
	return -1;
}

/*
 * One number from the target. -1: unknown, which `why` then says (too slow, no right, the session
 * lost, an expression over what is not there yet).
 */
static int64_t ask(struct pg *pg, struct model_judgement *j, const struct text *sql)
{
	AUTO(free) char *value = NULL;
	struct err e = ERR_INIT, ignored = ERR_INIT;

	if (!pg_is_alive(pg) || text_check(sql, &e) || pg_exec(pg, "SAVEPOINT probe", &e))
		return not_known(j, &e);
	if (pg_value(pg, text_str(sql), &value, &e)) {
		(void)!pg_exec(pg, "ROLLBACK TO probe", &ignored);
		return not_known(j, &e);
	}
	return value ? strtoll(value, NULL, 10) : 0;
}

/* n rows make the change fail: with none nothing is left to look at but the reading of all rows. */
static void judge_violations(struct model_judgement *j, int64_t n, const char *what)
{
	if (n > 0 && j->rows_change) {
		raise(j, MODEL_REVIEW);
		add_why(j, "%lld %s now: it fails unless these migrations change that",
			(long long)n, what);
	} else if (n > 0) {
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

/* Statements that change rows: of an empty table none. */
static void changed_rows(struct pg *pg, struct model_judgement *j)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s", table_of(j));
	int64_t n = ask(pg, j, &sql);
	if (n >= 0)
		add_why(j, "%lld rows now", (long long)n);
	if (n == 0)
		j->severity = MODEL_SAFE;
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

/* nulls: NULLS NOT DISTINCT, rows without a value are doubles of each other, too. */
static void duplicates(struct pg *pg, struct model_judgement *j, const char *keys,
		       const char *predicate, bool nulls)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (!keys)
		return;
	text_addf(
		&sql,
		"SELECT coalesce(pg_catalog.sum(n) - pg_catalog.count(*), 0) FROM (SELECT"
		" pg_catalog.count(*) AS n FROM %s WHERE (%s OR pg_catalog.num_nulls(%s) = 0)%s%s%s"
		" GROUP BY %s HAVING pg_catalog.count(*) > 1) d",
		table_of(j), nulls ? "true" : "false", keys, predicate ? " AND (" : "",
		predicate ? predicate : "", predicate ? ")" : "", keys);
	judge_violations(j, ask(pg, j, &sql), "rows are doubles");
}

static void orphans(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *columns = model_value(o, "_columns"), *referenced = model_value(o, "_referenced");
	const char *match = model_value(o, "_match");
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (!columns || !referenced)
		return;
	text_addf(&sql,
		  "SELECT pg_catalog.count(*) FROM %s c WHERE (pg_catalog.num_nulls(%s) = 0"
		  " AND (%s) NOT IN (SELECT %s FROM %s WHERE pg_catalog.num_nulls(%s) = 0))",
		  o->table, columns, columns, referenced, model_value(o, "_references"),
		  referenced);
	if (match && match[0] == 'f') /* MATCH FULL: all of them, or none */
		text_addf(&sql,
			  " OR (pg_catalog.num_nulls(%s) > 0 AND pg_catalog.num_nonnulls(%s) > 0)",
			  columns, columns);
	judge_violations(j, ask(pg, j, &sql), "rows have no parent");
}

static void not_checked(struct pg *pg, struct model_judgement *j)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s WHERE NOT (%s)", table_of(j),
		  model_value(j->change.after, "_check"));
	judge_violations(j, ask(pg, j, &sql), "rows are against it");
}

/* What nobody asked: not the same as nothing against it. */
static void not_asked(struct model_judgement *j)
{
	raise(j, MODEL_REVIEW);
	add_why(j, "whether rows are against it is not known, look before");
}

static void constraint_rows(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *type = model_value(o, "_type"), *validated = model_value(o, "validated");
	const char *definition = model_value(o, "definition");

	if (!type || (validated && validated[0] == 'f'))
		add_why(j, "not checked on the rows that are there");
	else if (type[0] == 'p' || type[0] == 'u')
		duplicates(pg, j, model_value(o, "_columns"), NULL,
			   definition && strstr(definition, "NULLS NOT DISTINCT"));
	else if (type[0] == 'f')
		orphans(pg, j);
	else if (type[0] == 'c')
		not_checked(pg, j);
	else
		not_asked(j);
}

static void unique_rows(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *unique = model_value(o, "unique"),
		   *nulls = model_value(o, "nulls_not_distinct");

	if (unique && unique[0] == 't')
		duplicates(pg, j, model_value(o, "_keys"), model_value(o, "predicate"),
			   nulls && nulls[0] == 't');
}

static void index_came(struct pg *pg, struct model_judgement *j)
{
	size_of(pg, j, "reads");
	unique_rows(pg, j);
}

/* --- partitions --- */

static bool is_there(struct pg *pg, struct model_judgement *j, const char *table)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SELECT pg_catalog.to_regclass(");
	text_add_literal(&sql, table);
	text_add(&sql, ")::pg_catalog.oid");
	return ask(pg, j, &sql) > 0;
}

/* Rows of its bounds that the parent has elsewhere: only the default partition can have them. */
static int64_t in_default(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql,
		  "SELECT pg_catalog.count(*) FROM %s WHERE (%s) AND tableoid IS DISTINCT FROM"
		  " pg_catalog.to_regclass(",
		  model_value(o, "parents"), model_value(o, "_partition"));
	text_add_literal(&sql, o->name);
	text_add(&sql, ")::pg_catalog.oid");
	return ask(pg, j, &sql);
}

static bool has_bounds(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *parent = model_value(o, "parents"), *bound = model_value(o, "partition_bound");

	return parent && bound && model_value(o, "_partition") && strcmp(bound, "DEFAULT") != 0 &&
	       is_there(pg, j, parent);
}

static void partition_came(struct pg *pg, struct model_judgement *j)
{
	if (has_bounds(pg, j) &&
	    strstr(model_value(j->change.after, "partition_bound"), "modulus") == NULL)
		judge_violations(j, in_default(pg, j), "rows of it are in the default partition");
}

/* Attached, or with other bounds than before. */
static void partition_changed(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *check = model_value(o, "_partition");
	AUTO_TEXT struct text sql = TEXT_INIT;

	/* a rule of hashes names the parent by a number of the scratch database */
	if (!check || strstr(check, "satisfies_hash_partition")) {
		not_asked(j);
		return;
	}
	text_addf(&sql, "SELECT pg_catalog.count(*) FROM %s WHERE NOT (%s)", table_of(j), check);
	int64_t n = ask(pg, j, &sql);
	judge_violations(j, n, "rows are outside of its bounds");
	if (n == 0 && has_bounds(pg, j) && (n = in_default(pg, j)) > 0)
		judge_violations(j, n, "rows of it are in the default partition");
}

/* --- domains --- */

/* Every table's column of the domain, one SELECT each, with its values under the name VALUE. */
static const char domain_columns[] =
	"SELECT pg_catalog.string_agg(pg_catalog.format('SELECT %%I AS value FROM %%s', a.attname,"
	" a.attrelid::pg_catalog.regclass), ' UNION ALL ') FROM pg_catalog.pg_attribute a JOIN"
	" pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.atttypid = pg_catalog.to_regtype(%s)"
	" AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND NOT a.attisdropped";

static bool fits_before(const struct model_object *before, const char *check)
{
	const char *was = model_value(before, "_check");

	return was && strcmp(was, check) == 0;
}

static void domain_changed(struct pg *pg, struct model_judgement *j)
{
	const struct model_object *o = j->change.after;
	const char *not_null = model_value(o, "not_null"), *check = model_value(o, "_check");
	AUTO(free) char *columns = NULL;
	AUTO_TEXT struct text name = TEXT_INIT;
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct err ignored = ERR_INIT;

	if (j->change.to && strstr(j->change.to, "NOT VALID"))
		add_why(j, "not checked on the rows that are there where it is NOT VALID");
	if (strcmp(j->change.attribute, "checks") == 0 &&
	    (!check || fits_before(j->change.before, check)))
		return; /* no more is checked than before */
	text_add_literal(&name, j->change.before->name);
	if (pg_valuef(pg, &columns, &ignored, domain_columns, text_str(&name))) {
		not_asked(j);
		return;
	}
	if (!columns)
		return; /* no column is of it */
	text_addf(&sql, "SELECT pg_catalog.count(*) FROM (%s) v WHERE NOT (%s)%s", columns,
		  check ? check : "true",
		  not_null && not_null[0] == 't' ? " OR value IS NULL" : "");
	judge_violations(j, ask(pg, j, &sql), "values are against it");
}

/* --- choosing --- */

static void came(struct pg *pg, struct model_judgement *j)
{
	const char *kind = j->change.after->kind;

	if (strcmp(kind, "column") == 0)
		column_came(pg, j);
	else if (strcmp(kind, "index") == 0)
		index_came(pg, j);
	else if (strcmp(kind, "table") == 0)
		partition_came(pg, j);
	else if (strcmp(kind, "constraint") == 0) {
		raise(j, MODEL_REVIEW);
		constraint_rows(pg, j);
	}
}

static void went(struct pg *pg, struct model_judgement *j)
{
	const char *kind = j->change.before->kind;

	if (strcmp(kind, "table") == 0)
		lost_rows(pg, j);
	else if (strcmp(kind, "column") == 0)
		lost_values(pg, j);
}

static void table_changed(struct pg *pg, struct model_judgement *j)
{
	const struct model_change *c = &j->change;

	if (strcmp(c->attribute, "rows") == 0 || strcmp(c->attribute, "rewritten") == 0)
		changed_rows(pg, j);
	else if (strcmp(c->attribute, "replaced") == 0 && !c->from)
		lost_rows(pg, j);
	else if (strcmp(c->attribute, "partition_bound") == 0 && c->to)
		partition_changed(pg, j);
}

static void column_changed(struct pg *pg, struct model_judgement *j)
{
	const struct model_change *c = &j->change;

	if (strcmp(c->attribute, "not_null") == 0 && c->to && c->to[0] == 't')
		nulls(pg, j);
	else if (strcmp(c->attribute, "replaced") == 0 && !c->from)
		lost_values(pg, j);
}

/* Made again under its name: what is only written otherwise, as after a rename, is no other rule.
 */
static bool is_another(const struct model_change *c)
{
	const char *a = model_value(c->before, "_oid"), *b = model_value(c->after, "_oid");

	return !a || !b || strcmp(a, b) != 0;
}

static void changed(struct pg *pg, struct model_judgement *j)
{
	const struct model_change *c = &j->change;
	const char *kind = c->after->kind, *attribute = c->attribute;

	if (strcmp(kind, "table") == 0)
		table_changed(pg, j);
	else if (strcmp(kind, "column") == 0)
		column_changed(pg, j);
	else if (strcmp(kind, "constraint") == 0 &&
		 (is_another(c) ||
		  (strcmp(attribute, "validated") == 0 && c->to && c->to[0] == 't')))
		constraint_rows(pg, j);
	else if (strcmp(kind, "index") == 0 && is_another(c))
		unique_rows(pg, j);
	else if (strcmp(kind, "type") == 0 &&
		 (strcmp(attribute, "checks") == 0 || strcmp(attribute, "not_null") == 0))
		domain_changed(pg, j);
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
