#include "verify/reach.h"

#include "common/text.h"

#include <stdlib.h>
#include <string.h>

/* One foreign key; all but the names is SQL. */
struct reach_key {
	char *name, *child_name;
	uint32_t child_oid;
	char *child, *parent;      /* FROM items */
	char *columns;             /* referenced: a AS k1, b AS k2 */
	char *match;               /* nf_old.k1 = nf_ref.x AND ... */
	char *was, *is;            /* o.k1, o.k2 and n.k1, n.k2; NULL: new values are not at hand */
	char on_delete, on_update; /* as in pg_constraint */
	bool cascade_allowed;
};

enum {
	R_NAME,
	R_CHILD_NAME,
	R_CHILD_OID,
	R_CHILD,
	R_PARENT,
	R_ON_DELETE,
	R_ON_UPDATE,
	R_COLUMNS,
	R_MATCH,
	R_WAS,
	R_IS,
	R_GENERATED
};

/*
 * A key of a partitioned table stands there once for each partition, too: those have a conparentid.
 * The columns are compared as the server does, by the key's own operators and collations.
 */
static const char keys_sql[] =
	"SELECT c.conname, rn.nspname || '.' || r.relname, c.conrelid,"
	" CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || pg_catalog.format('%%I.%%I', "
	"rn.nspname,"
	" r.relname),"
	" CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || pg_catalog.format('%%I.%%I', "
	"pn.nspname,"
	" p.relname), c.confdeltype, c.confupdtype, k.columns, k.match, k.was, k.\"is\", "
	"k.generated"
	" FROM pg_catalog.pg_constraint c"
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
	" WHERE c.contype = 'f' AND c.conparentid = 0"
	" AND (c.confdeltype IN ('c', 'n', 'd') OR c.confupdtype IN ('c', 'n', 'd'))"
	" AND (c.confrelid = %u OR c.confrelid IN (SELECT relid FROM"
	" pg_catalog.pg_partition_tree(%u))) ORDER BY 2, 1";

static char *field(const PGresult *res, int row, int column)
{
	return strdup(PQgetvalue(res, row, column));
}

static int read_key(struct reach_key *k, const PGresult *res, int row, struct err *e)
{
	bool generated = PQgetvalue(res, row, R_GENERATED)[0] == 't';

	*k = (struct reach_key){
		.name = field(res, row, R_NAME),
		.child_name = field(res, row, R_CHILD_NAME),
		.child_oid = (uint32_t)strtoul(PQgetvalue(res, row, R_CHILD_OID), NULL, 10),
		.child = field(res, row, R_CHILD),
		.parent = field(res, row, R_PARENT),
		.columns = field(res, row, R_COLUMNS),
		.match = field(res, row, R_MATCH),
		.was = generated ? NULL : field(res, row, R_WAS),
		.is = generated ? NULL : field(res, row, R_IS),
		.on_delete = PQgetvalue(res, row, R_ON_DELETE)[0],
		.on_update = PQgetvalue(res, row, R_ON_UPDATE)[0],
	};
	if (!k->name || !k->child_name || !k->child || !k->parent || !k->columns || !k->match ||
	    (!generated && (!k->was || !k->is)))
		return err_nomem(e);
	return 0;
}

int reach_read(struct reach *ret, struct pg *target, uint32_t table, struct err *e)
{
	struct reach r = { .n = 0 };
	AUTO(pgresult) PGresult *res = NULL;
	int rc = 0;

	if (pg_queryf(target, &res, e, keys_sql, table, table))
		return -1;
	r.keys = calloc((size_t)PQntuples(res) + 1, sizeof(*r.keys));
	if (!r.keys)
		return err_nomem(e);
	for (; rc == 0 && r.n < PQntuples(res); r.n++)
		rc = read_key(&r.keys[r.n], res, r.n, e);
	if (rc)
		reach_done(&r);
	*ret = r;
	return rc;
}

void reach_done(struct reach *r)
{
	for (int i = 0; i < r->n; i++) {
		struct reach_key *k = &r->keys[i];
		char *const all[] = { k->name,    k->child_name, k->child, k->parent,
				      k->columns, k->match,      k->was,   k->is };

		for (size_t j = 0; j < ARRAY_LEN(all); j++)
			free(all[j]);
	}
	free(r->keys);
	*r = (struct reach){ .n = 0 };
}

void reach_allow_cascade(struct reach *r, uint32_t child)
{
	for (int i = 0; i < r->n; i++)
		if (r->keys[i].child_oid == child)
			r->keys[i].cascade_allowed = true;
}

static const char *action_word(char action)
{
	return action == 'c' ? "CASCADE" : action == 'n' ? "SET NULL" : "SET DEFAULT";
}

static bool acts(char action)
{
	return action == 'c' || action == 'n' || action == 'd';
}

/*
 * The old rows by their places, each fetched alone (OFFSET 0 keeps the planner from reading the
 * table for them); then the rows that refer to one of them, but for those that are written
 * themselves.
 */
static void add_reached(struct text *sql, const struct reach_key *k, const char *from,
			const char *places, const char *columns)
{
	text_addf(sql,
		  "WITH nf_v%s AS (VALUES %s), nf_old AS MATERIALIZED (SELECT o.* FROM nf_v"
		  " CROSS JOIN LATERAL (SELECT %s FROM %s AS x WHERE x.ctid = nf_v.p"
		  " AND x.tableoid = nf_v.t OFFSET 0) AS o%s)",
		  columns, places, k->columns, k->parent, from);
	text_addf(sql,
		  " SELECT pg_catalog.count(*) FROM %s AS nf_ref"
		  " WHERE EXISTS (SELECT FROM nf_old WHERE %s)"
		  " AND NOT EXISTS (SELECT FROM nf_v WHERE nf_v.t = nf_ref.tableoid"
		  " AND nf_v.p = nf_ref.ctid)",
		  k->child, k->match);
}

static int refuse_reached(const struct reach_key *k, struct pg *target, const struct text *sql,
			  const char *what, char action, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	if (text_check(sql, e) || pg_query(target, text_str(sql), &res, e))
		return err_note(e, "counting the rows of %s that refer to it", k->child_name);
	if (!strcmp(PQgetvalue(res, 0, 0), "0"))
		return 0;
	(void)err_set(
		e, ERR_DATA,
		"%s it would %s %s rows of %s (constraint %s, ON %s %s): repair or empty that "
		"table first, or write these rows by hand",
		!strcmp(what, "DELETE") ? "deleting" : "updating",
		!strcmp(what, "DELETE") && action == 'c' ? "delete" : "change",
		PQgetvalue(res, 0, 0), k->child_name, k->name, what, action_word(action));
	return -1;
}

int reach_check_delete(const struct reach *r, struct pg *target, const char *places, struct err *e)
{
	for (int i = 0; i < r->n; i++) {
		const struct reach_key *k = &r->keys[i];
		AUTO_TEXT struct text sql = TEXT_INIT;

		if (!acts(k->on_delete))
			continue;
		add_reached(&sql, k, "", places, "(t, p)");
		if (refuse_reached(k, target, &sql, "DELETE", k->on_delete, e))
			return -1;
	}
	return 0;
}

int reach_check_update(const struct reach *r, struct pg *target, const char *beside,
		       const char *places, struct err *e)
{
	for (int i = 0; i < r->n; i++) {
		const struct reach_key *k = &r->keys[i];
		AUTO_TEXT struct text changed = TEXT_INIT;
		AUTO_TEXT struct text sql = TEXT_INIT;

		if (!acts(k->on_update) || (k->on_update == 'c' && k->cascade_allowed))
			continue;
		/* By bytes, as the server does: 1.0 for 1.00 is handed on, too. */
		if (k->is)
			text_addf(&changed,
				  " JOIN LATERAL (SELECT %s FROM %s AS y WHERE y.ctid = nf_v.q"
				  " OFFSET 0) AS n ON pg_catalog.record_image_ne(ROW(%s), ROW(%s))",
				  k->columns, beside, k->was, k->is);
		if (text_check(&changed, e))
			return -1;
		add_reached(&sql, k, text_str(&changed), places, "(t, p, q)");
		if (refuse_reached(k, target, &sql, "UPDATE", k->on_update, e))
			return -1;
	}
	return 0;
}
