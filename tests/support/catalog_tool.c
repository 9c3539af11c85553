/*
 * catalog_tool - what catalog.h reads of a database, and fit.h of two, as JSON. For tests.
 *
 *	catalog_tool URI [--table NAME]... [--exclude NAME]...
 *	catalog_tool URI --compare URI [--data-only]
 */
#include "common/conn.h"
#include "schema/fit.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#define MAX_NAMES 64

static json_t *column_json(const struct column *c)
{
	static const char *const modes[] = { "self", "send", "text" };

	return json_pack("{s:s, s:i, s:s, s:i, s:b, s:b, s:s?, s:s?, s:s?, s:b, s:s?, s:s?, s:b,"
			 " s:b, s:s, s:s?, s:s?}",
			 "name", c->name, "attnum", c->attnum, "type", c->type, "typmod", c->typmod,
			 "not_null", c->not_null, "dropped_before", c->dropped_before, "identity",
			 c->identity ? (char[]){ c->identity, '\0' } : NULL, "generated",
			 c->generated ? (char[]){ c->generated, '\0' } : NULL, "default",
			 c->default_expr, "binary", c->binary, "why", c->not_binary_why,
			 "extension", c->extension, "is_vector", c->is_vector, "is_vector_like",
			 c->is_vector_like, "mode", modes[c->digest.mode], "base_type",
			 c->digest.base_type, "send_fn", c->digest.send_fn);
}

static json_t *table_json(const struct table *t)
{
	json_t *columns = json_array();

	for (int i = 0; i < t->n_columns; i++)
		json_array_append_new(columns, column_json(&t->columns[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:I, s:I, s:f, s:b, s:b, s:b, s:b, s:b,"
			 " s:b, s:b, s:b, s:s?, s:s?, s:s?, s:b, s:b, s:s?, s:o}",
			 "schema", t->schema, "name", t->name, "qname", t->qname, "kind",
			 (char[]){ t->kind, '\0' }, "persistence", (char[]){ t->persistence, '\0' },
			 "access_method", t->access_method, "pages", (json_int_t)t->pages, "bytes",
			 (json_int_t)t->bytes, "est_rows", t->est_rows, "row_security",
			 t->row_security, "rls_blocks_us", t->rls_blocks_us, "can_select",
			 t->can_select, "can_insert", t->can_insert, "can_truncate",
			 t->can_truncate, "is_owner", t->is_owner, "has_primary_key",
			 t->has_primary_key, "is_partition", t->is_partition, "partition_bound",
			 t->partition_bound, "root_schema", t->root_schema, "root_name",
			 t->root_name, "has_children", t->has_children, "is_referenced",
			 t->is_referenced, "options", t->options, "columns", columns);
}

static json_t *sequence_json(const struct sequence *s)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:b}", "schema", s->schema, "name",
			 s->name, "data_type", s->data_type, "increment", s->increment,
			 "owned_by_table", s->owned_by_table, "owned_by_column", s->owned_by_column,
			 "can_read", s->can_read);
}

static json_t *catalog_json(const struct catalog *c)
{
	json_t *tables = json_array(), *extensions = json_object(), *sequences = json_array();

	for (int i = 0; i < c->n_tables; i++)
		json_array_append_new(tables, table_json(&c->tables[i]));
	for (int i = 0; i < c->n_extensions; i++)
		json_object_set_new(extensions, c->extensions[i].name,
				    json_string(c->extensions[i].version));
	for (int i = 0; i < c->n_sequences; i++)
		json_array_append_new(sequences, sequence_json(&c->sequences[i]));
	return json_pack("{s:i, s:s, s:s, s:s?, s:I, s:o, s:o, s:o}", "version", c->version,
			 "database", c->database, "encoding", c->encoding, "system_identifier",
			 c->system_identifier, "large_objects", (json_int_t)c->n_large_objects,
			 "tables", tables, "extensions", extensions, "sequences", sequences);
}

static json_t *comparison_json(const struct comparison *c)
{
	json_t *list = json_array();

	for (int i = 0; i < c->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?}", "severity",
						      difference_severity_name(c->list[i].severity),
						      "object", c->list[i].object, "text",
						      c->list[i].text, "hint", c->list[i].hint));
	return list;
}

/* {table: null, or why not in binary}, for tables on both sides. */
static json_t *formats_json(const struct catalog *source, const struct catalog *target)
{
	json_t *formats = json_object();

	for (int i = 0; i < source->n_tables; i++) {
		AUTO_TEXT struct text why = TEXT_INIT;
		const struct table *from = &source->tables[i];
		const struct table *to = catalog_table(target, from->schema, from->name);
		bool binary = fit_is_binary(source, from, target, to, &why);
		json_object_set_new(formats, from->name,
				    binary ? json_null() : json_string(text_str(&why)));
	}
	return formats;
}

static int read_one(struct catalog **ret, enum pg_role role, const char *uri,
		    const struct catalog_filter *filter, struct err *e)
{
	AUTO(conn) struct conn *conn = NULL;
	AUTO(pg) struct pg *pg = NULL;

	if (conn_parse(&conn, role, uri, e) != 0 ||
	    pg_open(&pg, conn, "catalog_tool", NULL, e) != 0)
		return -1;
	return catalog_read(ret, pg, filter, e);
}

static int print(json_t *value)
{
	int failed = json_dumpf(value, stdout, JSON_SORT_KEYS);
	json_decref(value);
	return failed;
}

static bool is_view(const struct table *t)
{
	return t->kind == 'v' || t->kind == 'm';
}

/* The databases, and every table that stands on both sides. */
static int fit_all(struct comparison *c, const struct catalog *source, const struct catalog *target,
		   const struct fit_options *options, struct err *e)
{
	if (fit_databases(c, source, target, e) || fit_extensions(c, source, target, options, e))
		return -1;
	for (int i = 0; i < source->n_tables; i++) {
		const struct table *from = &source->tables[i];
		const struct table *to = catalog_table(target, from->schema, from->name);

		if (to && !(is_view(from) && is_view(to)) &&
		    fit_tables(c, source, from, target, to, options, e))
			return -1;
	}
	return 0;
}

static int run(const char *uri, const char *other, const struct catalog_filter *filter,
	       const struct fit_options *options, struct err *e)
{
	AUTO(catalog) struct catalog *source = NULL;
	AUTO(catalog) struct catalog *target = NULL;
	struct comparison c = COMPARISON_INIT;

	if (read_one(&source, PG_SOURCE, uri, filter, e) != 0)
		return -1;
	if (!other)
		return print(catalog_json(source));
	if (read_one(&target, PG_TARGET, other, NULL, e) != 0)
		return -1;
	int failed = fit_all(&c, source, target, options, e);
	if (!failed)
		failed = print(json_pack("{s:o, s:o}", "differences", comparison_json(&c),
					 "formats", formats_json(source, target)));
	comparison_done(&c);
	return failed;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "table", required_argument, NULL, 't' },
		{ "exclude", required_argument, NULL, 'x' },
		{ "compare", required_argument, NULL, 'c' },
		{ "data-only", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	const char *tables[MAX_NAMES], *excluded[MAX_NAMES], *other = NULL;
	struct catalog_filter filter = { .tables = tables, .excluded = excluded };
	struct fit_options options = { 0 };
	struct err e = ERR_INIT;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 't' && filter.n_tables < MAX_NAMES)
			tables[filter.n_tables++] = optarg;
		else if (option == 'x' && filter.n_excluded < MAX_NAMES)
			excluded[filter.n_excluded++] = optarg;
		else if (option == 'c')
			other = optarg;
		else if (option == 'd')
			options.data_only = true;
		else
			return 2;
	}
	if (optind + 1 != argc)
		return 2;
	if (run(argv[optind], other, &filter, &options, &e) == 0)
		return 0;
	fprintf(stderr, "%s: %s\nhint: %s\n", err_kind_name(e.kind), e.text, e.hint);
	return 1;
}
