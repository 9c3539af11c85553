#include "schema/action.h"

#include <stdlib.h>

enum {
	A_NAME,
	A_CHILD_NAME,
	A_CHILD_OID,
	A_CHILD,
	A_PARENT,
	A_ON_DELETE,
	A_ON_UPDATE,
	A_COLUMNS,
	A_MATCH,
	A_WAS,
	A_IS,
	A_GENERATED
};

/* The columns are compared as the server does, by the key's own operators and collations. */
static const char keys_sql[] =
	"SELECT c.conname, rn.nspname || '.' || r.relname, c.conrelid,"
	" CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END ||"
	" pg_catalog.format('%%I.%%I', rn.nspname, r.relname),"
	" CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END ||"
	" pg_catalog.format('%%I.%%I', pn.nspname, p.relname),"
	" c.confdeltype, c.confupdtype, k.columns, k.match, k.was, k.\"is\", k.generated"
	" FROM (SELECT %s::pg_catalog.oid AS oid) AS nf_table, pg_catalog.pg_constraint c"
	" JOIN pg_catalog.pg_class r ON r.oid = c.conrelid"
	" JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace"
	" JOIN pg_catalog.pg_class p ON p.oid = c.confrelid"
	" JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace"
	" CROSS JOIN LATERAL (SELECT"
	" pg_catalog.string_agg(pg_catalog.format('%%I AS k%%s', pa.attname, i), ', ' ORDER BY i)"
	" AS columns,"
	" pg_catalog.string_agg(pg_catalog.format('nf_old.k%%s OPERATOR(%%I.%%s) nf_ref.%%I', i,"
	" opn.nspname, op.oprname, ra.attname) || CASE WHEN co.oid IS NULL THEN '' ELSE"
	" pg_catalog.format(' COLLATE %%I.%%I', con.nspname, co.collname) END, ' AND ' ORDER BY i)"
	" AS match,"
	" pg_catalog.string_agg('o.k' || i, ', ' ORDER BY i) AS was,"
	" pg_catalog.string_agg('n.k' || i, ', ' ORDER BY i) AS \"is\","
	" pg_catalog.bool_or(pa.attgenerated <> '') AS generated"
	" FROM pg_catalog.generate_subscripts(c.conkey, 1) AS i"
	" JOIN pg_catalog.pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = c.confkey[i]"
	" JOIN pg_catalog.pg_attribute ra ON ra.attrelid = c.conrelid AND ra.attnum = c.conkey[i]"
	" JOIN pg_catalog.pg_operator op ON op.oid = c.conpfeqop[i]"
	" JOIN pg_catalog.pg_namespace opn ON opn.oid = op.oprnamespace"
	" LEFT JOIN pg_catalog.pg_collation co ON co.oid = pa.attcollation"
	" LEFT JOIN pg_catalog.pg_namespace con ON con.oid = co.collnamespace) k"
	" WHERE c.contype = 'f'"
	" AND (c.confdeltype IN ('c', 'n', 'd') OR c.confupdtype IN ('c', 'n', 'd'))"
	" AND (c.confrelid = nf_table.oid OR c.confrelid IN (SELECT relid FROM"
	" pg_catalog.pg_partition_tree(nf_table.oid))) AND %s ORDER BY 2, 1";

static const char *word(char action)
{
	switch (action) {
	case 'c':
		return "CASCADE";
	case 'n':
		return "SET NULL";
	case 'd':
		return "SET DEFAULT";
	default:
		return NULL;
	}
}

static struct action_key key_of(const PGresult *res, int row)
{
	return (struct action_key){
		.name = PQgetvalue(res, row, A_NAME),
		.child_name = PQgetvalue(res, row, A_CHILD_NAME),
		.child_oid = (uint32_t)strtoul(PQgetvalue(res, row, A_CHILD_OID), NULL, 10),
		.child = PQgetvalue(res, row, A_CHILD),
		.parent = PQgetvalue(res, row, A_PARENT),
		.columns = PQgetvalue(res, row, A_COLUMNS),
		.match = PQgetvalue(res, row, A_MATCH),
		.was = PQgetvalue(res, row, A_WAS),
		.is = PQgetvalue(res, row, A_IS),
		.is_generated = PQgetvalue(res, row, A_GENERATED)[0] == 't',
		.on_delete = word(PQgetvalue(res, row, A_ON_DELETE)[0]),
		.on_update = word(PQgetvalue(res, row, A_ON_UPDATE)[0]),
	};
}

int actions_read(struct actions *ret, struct pg *pg, const char *table, const char *which,
		 struct err *e)
{
	struct actions a = { .n = 0 };

	if (pg_queryf(pg, &a.res, e, keys_sql, table, which) < 0)
		return -1;
	a.keys = calloc((size_t)PQntuples(a.res) + 1, sizeof(*a.keys));
	if (!a.keys) {
		PQclear(a.res);
		return err_nomem(e);
	}
	for (; a.n < PQntuples(a.res); a.n++)
		a.keys[a.n] = key_of(a.res, a.n);
	*ret = a;
	return 0;
}

void actions_done(struct actions *a)
{
	free(a->keys);
	PQclear(a->res);
	*a = (struct actions){ .n = 0 };
}
