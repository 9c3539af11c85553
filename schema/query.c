#include "schema/query.h"

#include <stdlib.h>

/* c is a relation that no extension brought along. */
#define NOT_OF_EXTENSION                                                                           \
	"c.oid NOT IN (SELECT d.objid FROM pg_catalog.pg_depend d"                                 \
	" WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e')"

#define USER_TABLES                                                                                \
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"

#define IS_USER_TABLE                                                                              \
	" c.relkind IN ('r', 'p', 'm', 'f', 'v') AND " QUERY_USER_SCHEMA " AND " NOT_OF_EXTENSION

/* Like text_add_qname(): always in double quotes. */
#define QUOTED(schema, name)                                                                       \
	"'\"' || pg_catalog.replace(" schema ", '\"', '\"\"') || '\".\"' ||"                       \
	" pg_catalog.replace(" name ", '\"', '\"\"') || '\"'"
#define RELATION_QNAME  QUOTED("n.nspname", "c.relname")
#define COLLATION_QNAME QUOTED("s.nspname", "l.collname")
#define TYPE_QNAME      QUOTED("n.nspname", "t.typname")
#define SEND_QNAME      QUOTED("s.nspname", "p.proname")
#define OWNER_QNAME     QUOTED("tn.nspname", "t.relname")

const char query_database[] =
	"SELECT pg_catalog.current_setting('server_version_num'), d.datname,"
	" pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate,"
	" (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata)"
	" FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

/*
 * row_security_active() cannot be asked: the session runs with row_security off, where it raises
 * an error instead of an answer. So the server's rule is written out.
 */
const char query_tables[] =
	"WITH me AS MATERIALIZED (SELECT r.rolsuper OR r.rolbypassrls AS bypasses,"
	" pg_catalog.current_setting('block_size')::pg_catalog.int8 AS page"
	" FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)"
	" SELECT c.oid, n.nspname, c.relname, " RELATION_QNAME ","
	" c.relkind, c.relpersistence, c.relfilenode, am.amname,"
	" CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid)"
	" / (SELECT page FROM me) END,"
	" CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) END,"
	" c.reltuples, c.relrowsecurity, c.relforcerowsecurity,"
	" c.relrowsecurity AND NOT (SELECT bypasses FROM me)"
	" AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')),"
	" u.usable AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),"
	" u.usable AND pg_catalog.has_table_privilege(c.oid, 'INSERT'),"
	" u.usable AND pg_catalog.has_table_privilege(c.oid, 'TRUNCATE'),"
	" pg_catalog.pg_has_role(c.relowner, 'USAGE'),"
	" c.oid IN (SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indisprimary),"
	" c.relispartition, pg_catalog.pg_get_expr(c.relpartbound, c.oid), h.inhparent,"
	" c.oid IN (SELECT k.inhparent FROM pg_catalog.pg_inherits k),"
	" c.oid IN (SELECT f.confrelid FROM pg_catalog.pg_constraint f"
	" WHERE f.contype = 'f' AND f.conrelid <> f.confrelid),"
	" pg_catalog.array_to_string(c.reloptions, ',')" USER_TABLES
	" CROSS JOIN LATERAL (SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS usable"
	" OFFSET 0) u"
	" LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam"
	" LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = c.oid AND c.relispartition"
	" WHERE" IS_USER_TABLE " ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

const char query_columns[] =
	"SELECT a.attrelid, a.attname, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod),"
	" a.atttypid, a.atttypmod, a.attnotnull, a.attidentity, a.attgenerated,"
	" pg_catalog.pg_get_expr(d.adbin, d.adrelid),"
	" CASE WHEN a.attcollation <> t.typcollation THEN (SELECT " COLLATION_QNAME
	" FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace s ON s.oid = l.collnamespace"
	" WHERE l.oid = a.attcollation) END" USER_TABLES
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
	" AND NOT a.attisdropped"
	" JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
	" LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
	" WHERE" IS_USER_TABLE " ORDER BY a.attrelid, a.attnum";

/*
 * parts: for a domain its base type, for an array its element type, for ranges and multiranges the
 * type of the bounds, for a composite the types of its attributes.
 */
#define TYPE_PARTS                                                                                 \
	"(SELECT t.typbasetype AS part WHERE t.typtype = 'd'"                                      \
	" UNION ALL SELECT t.typelem WHERE t.typelem <> 0 AND"                                     \
	" t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc"               \
	" UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.typtype = 'r'"          \
	" AND r.rngtypid = t.oid"                                                                  \
	" UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.typtype = 'm'"          \
	" AND r.rngmultitypid = t.oid"                                                             \
	" UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c'"        \
	" AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)"

const char query_types[] =
	"WITH RECURSIVE need(oid) AS (SELECT DISTINCT a.atttypid" USER_TABLES
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
	" AND NOT a.attisdropped"
	" WHERE" IS_USER_TABLE
	" UNION SELECT p.part FROM need JOIN pg_catalog.pg_type t ON t.oid = need.oid"
	" CROSS JOIN LATERAL " TYPE_PARTS " p)"
	" SELECT t.oid, t.typname, " TYPE_QNAME ", t.typtype,"
	" t.typelem <> 0 AND"
	" t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc,"
	" (SELECT " SEND_QNAME " FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace WHERE p.oid = t.typsend),"
	" t.typreceive <> 0, n.nspname = 'pg_catalog' AND t.typname ~ '^reg',"
	" (SELECT x.extname FROM pg_catalog.pg_depend d"
	" JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid"
	" WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid"
	" AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
	" AND d.deptype = 'e' LIMIT 1),"
	" (SELECT pg_catalog.string_agg(p.part::pg_catalog.text, ' ') FROM " TYPE_PARTS " p)"
	" FROM need JOIN pg_catalog.pg_type t ON t.oid = need.oid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace ORDER BY t.oid";

const char query_extensions[] =
	"SELECT x.extname, x.extversion, n.nspname, false FROM pg_catalog.pg_extension x"
	" JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace"
	" UNION ALL SELECT v.name, v.default_version, NULL, true"
	" FROM pg_catalog.pg_available_extensions v ORDER BY 4, 1";

const char query_sequences[] =
	"SELECT c.oid, n.nspname, c.relname, " RELATION_QNAME ","
	" pg_catalog.format_type(s.seqtypid, NULL), s.seqstart, s.seqmin, s.seqmax,"
	" s.seqincrement, s.seqcache, s.seqcycle, o.refobjid, o.qname, o.attname,"
	" u.usable AND pg_catalog.has_sequence_privilege(c.oid, 'SELECT'),"
	" u.usable AND pg_catalog.has_sequence_privilege(c.oid, 'UPDATE')" USER_TABLES
	" JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid"
	" CROSS JOIN LATERAL (SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS usable"
	" OFFSET 0) u"
	" LEFT JOIN LATERAL (SELECT d.refobjid, a.attname, " OWNER_QNAME " AS qname"
	" FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t ON t.oid = d.refobjid"
	" JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
	" WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid"
	" AND d.objsubid = 0 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
	" AND d.deptype IN ('a', 'i') LIMIT 1) o ON true"
	" WHERE c.relkind = 'S' AND " QUERY_USER_SCHEMA " AND " NOT_OF_EXTENSION
	" ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

const char *query_text(const PGresult *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

bool query_bool(const PGresult *res, int row, int column)
{
	return PQgetvalue(res, row, column)[0] == 't';
}

int64_t query_int(const PGresult *res, int row, int column)
{
	return strtoll(PQgetvalue(res, row, column), NULL, 10);
}

uint32_t query_oid(const PGresult *res, int row, int column)
{
	return (uint32_t)strtoul(PQgetvalue(res, row, column), NULL, 10);
}

char query_char(const PGresult *res, int row, int column)
{
	return PQgetvalue(res, row, column)[0];
}
