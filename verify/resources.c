#include "verify/resources.h"

#include <stdio.h>
#include <string.h>

static json_t *value(struct pg *pg, const char *sql)
{
	AUTO(free) char *text = NULL;
	struct err ignored = ERR_INIT;

	if (!pg || pg_value(pg, sql, &text, &ignored) || !text)
		return json_null();
	return json_integer((json_int_t)strtoll(text, NULL, 10));
}

/* A partitioned root has no room of its own: its partitions are summed. */
static json_t *size(struct pg *const pg[2], const struct pair *p, enum pg_role role,
		    const char *function)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	const struct table *t = p->end[role];
	struct err ignored = ERR_INIT;

	if (!t)
		return json_null();
	if (t->kind == 'p')
		text_addf(&sql, "SELECT sum(%s(relid)) FROM pg_partition_tree(%u) WHERE isleaf",
			  function, t->oid);
	else
		text_addf(&sql, "SELECT %s(%u)", function, t->oid);
	return text_check(&sql, &ignored) ? json_null() : value(pg[role], text_str(&sql));
}

/* pgvector: 4 bytes a component as vector, 2 as halfvec, 8 of header. */
static void add_vectors(json_t *row, const json_t *embeddings, const char *table)
{
	json_int_t as_vector = 0, as_halfvec = 0;
	const json_t *group;
	size_t i;

	json_array_foreach(embeddings, i, group)
	{
		const json_t *t = json_object_get(group, "target");
		const char *name = json_string_value(json_object_get(group, "table"));
		json_int_t n = json_integer_value(json_object_get(t, "with"));
		json_int_t dims = json_integer_value(json_object_get(t, "max_dims"));

		if (!name || strcmp(name, table) != 0)
			continue;
		as_vector += n * (8 + 4 * dims);
		as_halfvec += n * (8 + 2 * dims);
	}
	json_object_set_new(row, "as_vector", json_integer(as_vector));
	json_object_set_new(row, "as_halfvec", json_integer(as_halfvec));
}

static bool has_vector(const struct pair *p)
{
	const struct table *t = p->end[PG_TARGET];

	for (int i = 0; t && i < t->n_columns; i++)
		if (t->columns[i].is_vector_like)
			return true;
	return false;
}

static json_t *connections(struct pg *pg)
{
	if (!pg)
		return json_null();
	return json_pack("[o, o]",
			 value(pg, "SELECT count(*) FROM pg_stat_activity"
				   " WHERE backend_type = 'client backend'"),
			 value(pg, "SHOW max_connections"));
}

json_t *resources_read(struct pg *const pg[2], const struct pairs *pairs, const json_t *embeddings)
{
	json_t *tables = json_array();

	for (int i = 0; i < pairs->n; i++) {
		const struct pair *p = &pairs->pair[i];
		json_t *row;

		if (!has_vector(p))
			continue;
		row = json_pack("{s:s, s:[o, o], s:[o, o]}", "table", p->name, "heap",
				size(pg, p, PG_SOURCE, "pg_table_size"),
				size(pg, p, PG_TARGET, "pg_table_size"), "indexes",
				size(pg, p, PG_SOURCE, "pg_indexes_size"),
				size(pg, p, PG_TARGET, "pg_indexes_size"));
		add_vectors(row, embeddings, p->name);
		json_array_append_new(tables, row);
	}
	return json_pack("{s:o, s:{s:o, s:o}}", "tables", tables, "connections", "source",
			 connections(pg[PG_SOURCE]), "target", connections(pg[PG_TARGET]));
}
