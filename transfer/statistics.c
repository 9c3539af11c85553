#include "transfer/statistics.h"

#include <stdlib.h>

static void add_names(struct text *sql, const char *const *tables, int n)
{
	text_add(sql, "ARRAY[");
	for (int i = 0; i < n; i++) {
		if (i > 0)
			text_add(sql, ", ");
		text_add_literal(sql, tables[i]);
	}
	text_add(sql, "]::text[]");
}

static void add_query(struct text *sql, const char *const *tables, int n)
{
	text_add(sql,
		 "SELECT pg_catalog.jsonb_build_object('version',"
		 " pg_catalog.current_setting('server_version'), 'database_bytes',"
		 " pg_catalog.pg_database_size(pg_catalog.current_database()), 'extensions',"
		 " (SELECT pg_catalog.jsonb_object_agg(extname, extversion) FROM"
		 " pg_catalog.pg_extension), 'tables', coalesce(pg_catalog.jsonb_agg("
		 "pg_catalog.jsonb_build_object('table', t, 'bytes', pg_catalog.pg_table_size(r),"
		 " 'index_bytes', pg_catalog.pg_indexes_size(r), 'indexes',"
		 " (SELECT pg_catalog.jsonb_agg(x.relname ORDER BY x.relname) FROM "
		 "pg_catalog.pg_index i"
		 " JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = r))"
		 " ORDER BY o), '[]')) FROM (SELECT t, o, pg_catalog.to_regclass(t) AS r FROM"
		 " pg_catalog.unnest(");
	add_names(sql, tables, n);
	text_add(sql, ") WITH ORDINALITY AS u(t, o)) q");
}

int statistics_read(struct pg *pg, const char *const *tables, int n, json_t **ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *found = NULL;

	add_query(&sql, tables, n);
	if (text_check(&sql, e) < 0 || pg_value(pg, text_str(&sql), &found, e) < 0)
		return err_note(e, "reading the sizes of tables and indexes");
	*ret = found ? json_loads(found, 0, NULL) : NULL;
	return *ret ? 0 : err_set(e, ERR_INTERNAL, "the server's statistics are not JSON");
}
