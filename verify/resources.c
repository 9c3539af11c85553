#include "verify/resources.h"

#include "verify/finding.h"

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

/* What fills the connection slots, and the slots of replication. */
static json_t *sessions(struct pg *pg)
{
	static const char sql[] =
		"SELECT pg_catalog.json_build_object('limit',"
		" pg_catalog.current_setting('max_connections')::int,"
		" 'reserved', pg_catalog.current_setting('superuser_reserved_connections')::int"
		"  + coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0),"
		" 'used', count(*), 'active', count(*) FILTER (WHERE state = 'active'),"
		" 'idle', count(*) FILTER (WHERE state = 'idle'),"
		" 'idle_in_transaction', count(*) FILTER (WHERE state LIKE 'idle in transaction%'),"
		" 'neonferry', count(*) FILTER (WHERE application_name LIKE 'neonferry%'),"
		" 'slots', (SELECT count(*) FROM pg_catalog.pg_replication_slots),"
		" 'slots_limit', pg_catalog.current_setting('max_replication_slots')::int)"
		" FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'";
	AUTO(free) char *text = NULL;
	struct err ignored = ERR_INIT;
	json_t *found;

	if (!pg || pg_value(pg, sql, &text, &ignored) || !text)
		return json_null();
	found = json_loads(text, 0, NULL);
	return found ? found : json_null();
}

/* --- vector indexes --- */

enum { TABLE, INDEX, METHOD, BYTES, ROWS, TYPE, DIMS, M, COLUMN };

static const char index_sql[] =
	"SELECT tn.nspname || '.' || t.relname, c.relname, am.amname,"
	" pg_catalog.pg_relation_size(c.oid), c.reltuples::int8, pg_catalog.format_type(a.atttypid,"
	" NULL), a.atttypmod, (SELECT pg_catalog.split_part(o, '=', 2)"
	" FROM pg_catalog.unnest(c.reloptions) o WHERE o LIKE 'm=%'), a.attname"
	" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
	" AND c.relkind = 'i' JOIN pg_catalog.pg_am am ON am.oid = c.relam"
	" AND am.amname IN ('hnsw', 'ivfflat') JOIN pg_catalog.pg_class t ON t.oid = i.indrelid"
	" JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1"
	" ORDER BY 1, 2";

static json_int_t number(const PGresult *res, int row, int column)
{
	return (json_int_t)strtoll(PQgetvalue(res, row, column), NULL, 10);
}

static json_int_t aligned(json_int_t bytes)
{
	return (bytes + 7) / 8 * 8;
}

/*
 * Bytes of the index by pgvector's page layout: pages of 8,160 usable bytes that hold whole
 * entries. HNSW: an element (72 bytes and the value) and its neighbours on the lowest layer (4 and
 * 6 * 2m bytes). IVFFlat: a tuple (8 bytes and the value).
 */
static json_int_t index_bytes(bool hnsw, json_int_t rows, json_int_t value, json_int_t m)
{
	json_int_t entry =
		hnsw ? aligned(72 + value) + 4 + aligned(4 + 12 * m) + 4 : aligned(8 + value) + 4;
	json_int_t page = 8160 / entry;

	return 8192 * ((rows + (page > 0 ? page : 1) - 1) / (page > 0 ? page : 1));
}

static json_t *find_index(const json_t *list, const char *table, const char *index)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		const char *t = json_string_value(json_object_get(row, "table"));
		const char *x = json_string_value(json_object_get(row, "index"));

		if (t && x && !strcmp(t, table) && !strcmp(x, index))
			return row;
	}
	return NULL;
}

/* The vectors of a column, counted; the server's own number counts rows without one too. */
static json_int_t vectors_of(const json_t *embeddings, const char *table, const char *column)
{
	const json_t *group;
	json_int_t n = 0;
	size_t i;

	json_array_foreach(embeddings, i, group)
	{
		const char *t = json_string_value(json_object_get(group, "table"));
		const char *c = json_string_value(json_object_get(group, "column"));

		if (t && c && !strcmp(t, table) && !strcmp(c, column))
			n += json_integer_value(
				json_object_get(json_object_get(group, "target"), "with"));
	}
	return n;
}

static void describe_index(json_t *row, const PGresult *res, int i, const json_t *embeddings)
{
	bool hnsw = !strcmp(PQgetvalue(res, i, METHOD), "hnsw");
	json_int_t counted =
		vectors_of(embeddings, PQgetvalue(res, i, TABLE), PQgetvalue(res, i, COLUMN));
	json_int_t rows = counted > 0 ? counted : number(res, i, ROWS);
	json_int_t dims = number(res, i, DIMS);
	json_int_t m = PQgetisnull(res, i, M) ? 16 : number(res, i, M);

	json_object_set_new(row, "method", finding_string(PQgetvalue(res, i, METHOD)));
	json_object_set_new(row, "type", finding_string(PQgetvalue(res, i, TYPE)));
	json_object_set_new(row, "rows", json_integer(rows));
	json_object_set_new(row, "dims", json_integer(dims));
	if (dims <= 0 || rows <= 0 || strstr(PQgetvalue(res, i, TYPE), "sparse"))
		return;
	json_object_set_new(row, "as_vector",
			    json_integer(index_bytes(hnsw, rows, 8 + 4 * dims, m)));
	json_object_set_new(row, "as_halfvec",
			    json_integer(index_bytes(hnsw, rows, 8 + 2 * dims, m)));
}

static void add_indexes(json_t *list, struct pg *pg, enum pg_role role, const json_t *embeddings)
{
	AUTO(pgresult) PGresult *res = NULL;
	struct err ignored = ERR_INIT;

	if (!pg || pg_query(pg, index_sql, &res, &ignored))
		return;
	for (int i = 0; i < PQntuples(res); i++) {
		const char *table = PQgetvalue(res, i, TABLE), *index = PQgetvalue(res, i, INDEX);
		json_t *row = find_index(list, table, index);

		if (!row) {
			row = json_pack("{s:o, s:o, s:[n, n]}", "table", finding_string(table),
					"index", finding_string(index), "bytes");
			json_array_append_new(list, row);
		}
		describe_index(row, res, i, embeddings);
		json_array_set_new(json_object_get(row, "bytes"), (size_t)role,
				   json_integer(number(res, i, BYTES)));
	}
}

static json_t *vector_tables(struct pg *const pg[2], const struct pairs *pairs,
			     const json_t *embeddings)
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
		if (embeddings)
			add_vectors(row, embeddings, p->name);
		json_array_append_new(tables, row);
	}
	return tables;
}

json_t *resources_read(struct pg *const pg[2], const struct pairs *pairs, const json_t *embeddings,
		       int jobs)
{
	json_t *indexes = json_array();
	json_t *all = json_pack("{s:o, s:{s:o, s:o}, s:{s:o, s:o}, s:i}", "tables",
				vector_tables(pg, pairs, embeddings), "connections", "source",
				connections(pg[PG_SOURCE]), "target", connections(pg[PG_TARGET]),
				"sessions", "source", sessions(pg[PG_SOURCE]), "target",
				sessions(pg[PG_TARGET]), "jobs", jobs);

	/* The target last: what is told of an index is the target's. */
	add_indexes(indexes, pg[PG_SOURCE], PG_SOURCE, embeddings);
	add_indexes(indexes, pg[PG_TARGET], PG_TARGET, embeddings);
	json_object_set_new(all, "vector_indexes", indexes);
	return all;
}
