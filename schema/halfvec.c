#include "schema/halfvec.h"

#include "schema/pattern.h"
#include "schema/sqltext.h"

#include <stdlib.h>
#include <string.h>

/* --- which columns --- */

int halfvec_functions(const char *vector_send, char **ret_cast, char **ret_send, struct err *e)
{
	const char *dot = vector_send ? strstr(vector_send, "\".\"") : NULL;
	AUTO_TEXT struct text cast = TEXT_INIT;
	AUTO_TEXT struct text send = TEXT_INIT;
	AUTO(free) char *first = NULL;

	if (!dot)
		return err_set(e, ERR_INTERNAL, "vector has no send function");
	text_add(&cast, "(%s)::");
	text_addn(&cast, vector_send, (size_t)(dot + 1 - vector_send));
	text_add(&cast, ".\"halfvec\"");
	text_addn(&send, vector_send, (size_t)(dot + 1 - vector_send));
	text_add(&send, ".\"halfvec_send\"");
	first = text_take(&cast, e);
	if (!first || !(*ret_send = text_take(&send, e)))
		return -1;
	*ret_cast = GIVE(&first);
	return 0;
}

/* Where the column's name begins: behind the last dot that stands outside double quotes. */
static const char *column_part(const char *name)
{
	const char *ret = NULL;
	bool quoted = false;

	for (const char *p = name; *p; p++) {
		quoted ^= *p == '"';
		if (*p == '.' && !quoted)
			ret = p + 1;
	}
	return ret;
}

static int no_name(const char *name, struct err *e)
{
	err_set(e, ERR_USAGE, "option --halfvec: \"%s\" is not TABLE.COLUMN", name);
	return err_hint(e, "for example --halfvec documents.embedding");
}

static int wrong_type(const struct table *t, const struct column *c, struct err *e)
{
	err_set(e, ERR_USAGE,
		"option --halfvec: column %s of %s is %s%s, and only a vector can become halfvec",
		c->name, t->qname, c->generated ? "generated, of type " : "", c->type);
	return err_hint(e, "leave it out of --halfvec");
}

static int mark_column(struct catalog *source, const struct table *t, struct column *c,
		       struct err *e)
{
	const struct extension *x = catalog_extension(source, "vector");

	if (!c->is_vector || c->generated || c->digest.base_type)
		return wrong_type(t, c, e);
	if (x && strverscmp(x->version, "0.7.0") < 0) {
		err_set(e, ERR_REFUSED, "source: pgvector %s has no halfvec", x->version);
		return err_hint(e, "ALTER EXTENSION vector UPDATE in the source (0.7.0 or newer), "
				   "or go without --halfvec");
	}
	if (!source->halfvec_cast && halfvec_functions(c->digest.send_fn, &source->halfvec_cast,
						       &source->halfvec_send, e) < 0)
		return -1;
	c->digest.cast_fmt = source->halfvec_cast;
	c->digest.send_fn = source->halfvec_send;
	return 0;
}

static bool is_meant(const struct pattern *p, const struct table *t)
{
	return pattern_matches(p, t->schema, t->name) ||
	       (t->root_name && pattern_matches(p, t->root_schema, t->root_name));
}

/* All tables that the pattern means and that have the column. Returns their number, or -1. */
static int mark_tables(struct catalog *source, const struct pattern *tables,
		       const struct pattern *column, struct err *e)
{
	int found = 0;

	for (int i = 0; i < source->n_tables; i++) {
		struct table *t = &source->tables[i];

		if ((t->kind != 'r' && t->kind != 'p') || !is_meant(tables, t))
			continue;
		for (int k = 0; k < t->n_columns; k++) {
			if (!pattern_matches(column, t->schema, t->columns[k].name))
				continue;
			found++;
			if (!t->columns[k].digest.cast_fmt &&
			    mark_column(source, t, &t->columns[k], e) < 0)
				return -1;
		}
	}
	return found;
}

static int mark_name(struct catalog *source, const char *name, struct err *e)
{
	const char *column = column_part(name);
	AUTO(free) char *table = column ? strndup(name, (size_t)(column - 1 - name)) : NULL;
	struct pattern tables = { 0 }, columns = { 0 };
	int found;

	if (!column || !*column || column == name + 1)
		return no_name(name, e);
	if (!table)
		return err_nomem(e);
	if (pattern_parse(&tables, table, e) < 0)
		return err_note(e, "option --halfvec");
	if (pattern_parse(&columns, column, e) < 0) {
		pattern_done(&tables);
		return err_note(e, "option --halfvec");
	}
	found = mark_tables(source, &tables, &columns, e);
	pattern_done(&tables);
	pattern_done(&columns);
	if (found > 0 || found < 0)
		return found < 0 ? -1 : 0;
	err_set(e, ERR_USAGE, "option --halfvec: the source has no column %s", name);
	return err_hint(
		e,
		"write table.column or schema.table.column, in double quotes where SQL needs them; "
		"tables that are left out do not count");
}

int halfvec_mark(struct catalog *source, const char *const *columns, int n, struct err *e)
{
	for (int i = 0; i < n; i++)
		if (mark_name(source, columns[i], e) < 0)
			return -1;
	return 0;
}

char *halfvec_schema(const char *cast)
{
	const char *from = strstr(cast, "::") + strlen("::");

	return strndup(from, strlen(from) - strlen(".\"halfvec\""));
}

json_t *halfvec_list(const struct catalog *source)
{
	json_t *list = json_array();

	for (int i = 0; list && source && i < source->n_tables; i++) {
		const struct table *t = &source->tables[i];

		for (int k = 0; k < t->n_columns; k++) {
			const struct column *c = &t->columns[k];

			AUTO(free)
			char *in = c->digest.cast_fmt ? halfvec_schema(c->digest.cast_fmt) : NULL;

			if (in)
				json_array_append_new(list,
						      json_pack("{s:s, s:s, s:s, s:s}", "schema",
								t->schema, "table", t->name,
								"column", c->name, "in", in));
		}
	}
	return list;
}

/* --- the archive --- */

/* What is changed in one statement: a column, and where pgvector is. */
struct change {
	const char *column, *in;
	struct text quoted; /* the column as SQL quotes it */
};

static bool is_column(const struct change *c, const struct sqltext_token *t)
{
	if (t->kind == SQLTEXT_IDENT)
		return t->len == c->quoted.len && strncmp(t->at, text_str(&c->quoted), t->len) == 0;
	return t->kind == SQLTEXT_WORD && t->len == strlen(c->column) &&
	       strncmp(t->at, c->column, t->len) == 0;
}

/* A type or operator class whose name begins with vector, at p: where that word begins, or NULL. */
static const char *vector_word(const char *p)
{
	AUTO_TEXT struct text name = TEXT_INIT;
	const char *start = p, *last;

	if (!sqltext_qname(&p, &name))
		return NULL;
	for (last = p; last > start && last[-1] != '.' && last[-1] != ' '; last--)
		;
	return strncmp(last, "vector", 6) == 0 && (last + 6 == p || last[6] == '_') ? last : NULL;
}

/* The operator class of a key: one of vector is renamed; ivfflat has a default for vector only. */
static void change_class(const struct change *c, bool ivfflat, const char *p, const char **done,
			 struct text *out)
{
	const char *word = vector_word(p), *next = p;
	struct sqltext_token t = sqltext_next(&next);

	if (word) {
		text_addn(out, *done, (size_t)(word - *done));
		text_add(out, "halfvec");
		*done = word + strlen("vector");
	} else if (ivfflat && (sqltext_is_sign(&t, ',') || sqltext_is_sign(&t, ')'))) {
		text_addn(out, *done, (size_t)(p - *done));
		text_addf(out, " %s.halfvec_l2_ops", c->in);
		*done = p;
	}
}

/*
 * Walks the first list in parentheses from p on, which a table's columns or an index's keys are.
 * What begins with the column is changed. Returns what was not copied to out yet.
 */
static const char *walk_list(const struct change *c, bool table, bool ivfflat, const char *sql,
			     const char *p, struct text *out)
{
	const char *done = sql;
	int depth = 0;
	bool begins = false;

	for (;;) {
		struct sqltext_token t = sqltext_next(&p);

		if (t.kind == SQLTEXT_END)
			return done;
		if (begins && is_column(c, &t)) {
			const char *word = table ? vector_word(p) : NULL;

			if (word) {
				text_addn(out, done, (size_t)(word - done));
				text_add(out, "halfvec");
				done = word + strlen("vector");
			} else if (!table) {
				change_class(c, ivfflat, p, &done, out);
			}
		}
		if (sqltext_is_sign(&t, '('))
			depth++;
		else if (sqltext_is_sign(&t, ')') && --depth == 0)
			return done;
		begins = depth == 1 && (sqltext_is_sign(&t, '(') || sqltext_is_sign(&t, ','));
	}
}

/* Behind the access method of a CREATE INDEX, NULL: none. */
static const char *behind_method(const char *sql, bool *ret_ivfflat)
{
	const char *p = sql;
	struct sqltext_token t;

	while ((t = sqltext_next(&p)).kind != SQLTEXT_END) {
		if (!sqltext_is(&t, "USING"))
			continue;
		t = sqltext_next(&p);
		*ret_ivfflat = sqltext_is(&t, "ivfflat");
		return p;
	}
	return NULL;
}

static int change_entry(struct archive_entry *entry, struct change *c, struct err *e)
{
	bool table = strcmp(entry->type, "TABLE") == 0, ivfflat = false;
	const char *from = table ? entry->sql : behind_method(entry->sql, &ivfflat);
	AUTO_TEXT struct text out = TEXT_INIT;
	const char *rest;
	char *sql;

	if (!from)
		return 0;
	rest = walk_list(c, table, ivfflat, entry->sql, from, &out);
	text_add(&out, rest);
	sql = text_take(&out, e);
	if (!sql)
		return -1;
	free(entry->sql);
	entry->sql = sql;
	return 0;
}

static bool is_of(const struct archive_entry *entry, const char *schema, const char *table)
{
	const char *of = strcmp(entry->type, "TABLE") == 0   ? entry->tag
			 : strcmp(entry->type, "INDEX") == 0 ? entry->table
							     : NULL;

	return of && entry->schema && strcmp(of, table) == 0 && strcmp(entry->schema, schema) == 0;
}

static const char *text_of(const json_t *item, const char *key)
{
	const char *s = json_string_value(json_object_get(item, key));

	return s ? s : "";
}

int halfvec_archive(struct archive *a, const json_t *list, struct err *e)
{
	const json_t *item;
	size_t k;

	json_array_foreach(list, k, item)
	{
		struct change c = { .column = text_of(item, "column"), .in = text_of(item, "in") };
		int rc = 0;

		text_add_ident(&c.quoted, c.column);
		for (int i = 0; i < a->n_entries && rc == 0; i++)
			if (is_of(&a->entries[i], text_of(item, "schema"), text_of(item, "table")))
				rc = change_entry(&a->entries[i], &c, e);
		text_done(&c.quoted);
		if (rc < 0)
			return -1;
	}
	return 0;
}
