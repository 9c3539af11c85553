#include "schema/model_query.h"

#include "schema/query.h"

#include <stddef.h>

/* No extension brought it along. */
#define OWN(class, oid)                                                                            \
	"NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid ="                         \
	" 'pg_catalog." class "'::pg_catalog.regclass AND x.objid = " oid " AND x.deptype = 'e')"

#define CLASS_JOIN                                                                                 \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE " QUERY_USER_SCHEMA       \
	" AND " OWN("pg_class", "c.oid")

static const char schemas[] =
	"SELECT 'schema', pg_catalog.quote_ident(n.nspname), NULL FROM pg_catalog.pg_namespace n"
	" WHERE " QUERY_USER_SCHEMA " AND n.nspname <> 'public' AND " OWN("pg_namespace", "n.oid");

static const char extensions[] =
	"SELECT 'extension', x.extname, NULL, x.extversion AS version, n.nspname AS schema"
	" FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace"
	" WHERE x.extname NOT IN ('plpgsql', 'neon')";

static const char types[] =
	"SELECT 'type', pg_catalog.format('%I.%I', n.nspname, t.typname), NULL, CASE t.typtype"
	" WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite'"
	" ELSE 'range' END AS sort,"
	" (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(l.enumlabel), ', '"
	" ORDER BY l.enumsortorder) FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid) AS labels,"
	" (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname,"
	" pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)"
	" FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid"
	" AND a.attnum > 0 AND NOT a.attisdropped) AS fields, CASE WHEN t.typtype = 'd'"
	" THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END AS base,"
	" CASE WHEN t.typtype = 'd' THEN t.typnotnull END AS not_null, t.typdefault AS \"default\","
	" (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ', '"
	" ORDER BY k.conname) FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid"
	" AND k.contype = 'c') AS checks, (SELECT pg_catalog.format_type(r.rngsubtype, NULL)"
	" FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid) AS subtype,"
	" (SELECT pg_catalog.string_agg(l.oid::pg_catalog.text, ',' ORDER BY l.enumsortorder)"
	" FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid) AS _labels,"
	" (SELECT pg_catalog.string_agg('(' || pg_catalog.pg_get_expr(k.conbin, 0) || ')', ' AND ')"
	" FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'"
	" AND k.convalidated) AS _check, t.oid AS _oid FROM pg_catalog.pg_type t"
	" JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
	" LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid WHERE " QUERY_USER_SCHEMA
	" AND t.typtype IN ('e', 'd', 'c', 'r') AND (t.typtype <> 'c' OR c.relkind = 'c')"
	" AND " OWN("pg_type", "t.oid");

static const char tables[] =
	"SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f'"
	" THEN 'foreign table' ELSE 'table' END, pg_catalog.format('%I.%I', n.nspname,"
	" c.relname), NULL, CASE c.relpersistence WHEN 'u' THEN 'unlogged'"
	" ELSE 'permanent' END AS persistence, CASE WHEN c.relkind = 'p'"
	" THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key, CASE WHEN c.relispartition"
	" THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END AS partition_bound,"
	" (SELECT pg_catalog.string_agg(h.inhparent::pg_catalog.regclass::pg_catalog.text, ', '"
	" ORDER BY h.inhseqno) FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) AS parents,"
	" pg_catalog.array_to_string(c.reloptions, ', ') AS options,"
	" c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security,"
	" CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid)"
	" END AS definition, c.oid AS _oid, c.relfilenode AS _filenode, CASE WHEN c.relispartition"
	" THEN pg_catalog.pg_get_partition_constraintdef(c.oid) END AS _partition"
	" FROM pg_catalog.pg_class c" CLASS_JOIN " AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

static const char columns[] =
	"SELECT 'column', pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname),"
	" pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.format_type(a.atttypid,"
	" a.atttypmod) AS type, a.attnotnull AS not_null, CASE WHEN a.attgenerated = ''"
	" THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END AS \"default\", CASE a.attidentity"
	" WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,"
	" CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin,"
	" d.adrelid) END AS generated, CASE WHEN a.attgenerated <> ''"
	" THEN a.attgenerated = 's' END AS stored, CASE WHEN a.attcollation <> t.typcollation"
	" THEN a.attcollation::pg_catalog.regcollation::pg_catalog.text END AS collation,"
	" c.oid::pg_catalog.text || '.' || a.attnum AS _oid,"
	" pg_catalog.quote_ident(a.attname) AS _column, c.relkind AS _kind,"
	" a.atttypid::pg_catalog.text || '.' || a.atttypmod AS _type FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
	" AND NOT a.attisdropped JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
	" LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum" CLASS_JOIN
	" AND c.relkind IN ('r', 'p', 'f', 'm', 'v')";

static const char constraints[] =
	"SELECT 'constraint', pg_catalog.format('%I.%I.%I', n.nspname, c.relname, k.conname),"
	" pg_catalog.format('%I.%I', n.nspname, c.relname),"
	" pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$',"
	" '') AS definition, k.convalidated AS validated, k.contype AS _type,"
	" (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY o.i)"
	" FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY o(num, i)"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid"
	" AND a.attnum = o.num) AS _columns, CASE WHEN k.contype = 'c'"
	" THEN pg_catalog.pg_get_expr(k.conbin, k.conrelid) END AS _check,"
	" k.confmatchtype AS _match, k.oid AS _oid, CASE WHEN k.contype = 'f'"
	" THEN pg_catalog.format('%I.%I', fn.nspname, f.relname) END AS _references,"
	" (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY o.i)"
	" FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY o(num, i)"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid"
	" AND a.attnum = o.num) AS _referenced FROM pg_catalog.pg_constraint k"
	" JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
	" LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid"
	" LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace" CLASS_JOIN
	" AND k.contype IN ('p', 'u', 'f', 'c', 'x')";

static const char indexes[] =
	"SELECT 'index', pg_catalog.format('%I.%I', n.nspname, c.relname),"
	" pg_catalog.format('%I.%I', tn.nspname, t.relname), am.amname AS method,"
	" i.indisunique AS \"unique\","
	" (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k.i + 1,"
	" false) || coalesce(' ' || o.opcname, '') || coalesce((SELECT '(' ||"
	" pg_catalog.array_to_string(z.attoptions, ', ') || ')' FROM pg_catalog.pg_attribute z"
	" WHERE z.attrelid = i.indexrelid AND z.attnum = k.i + 1), '') ||"
	" CASE WHEN i.indcollation[k.i] <> 0 AND i.indcollation[k.i] <>"
	" 'pg_catalog.\"default\"'::pg_catalog.regcollation THEN ' COLLATE ' ||"
	" i.indcollation[k.i]::pg_catalog.regcollation::pg_catalog.text ELSE '' END ||"
	" CASE WHEN k.i >= i.indnkeyatts THEN '' WHEN i.indoption[k.i] & 1 = 1 THEN ' DESC'"
	" ELSE '' END || CASE WHEN k.i >= i.indnkeyatts THEN ' (included)'"
	" WHEN i.indoption[k.i] & 3 = 1 THEN ' NULLS LAST' WHEN i.indoption[k.i] & 3 = 2"
	" THEN ' NULLS FIRST' ELSE '' END, ', ' ORDER BY k.i) FROM pg_catalog.generate_series(0,"
	" i.indnatts - 1) k(i) LEFT JOIN pg_catalog.pg_opclass o ON o.oid ="
	" i.indclass[k.i]) AS columns, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS predicate,"
	" pg_catalog.array_to_string(c.reloptions, ', ') AS options,"
	" pg_catalog.pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT"
	" DISTINCT%' AS nulls_not_distinct,"
	" pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid),"
	" '^CREATE (UNIQUE )?INDEX .* ON .* USING ', '\\1') AS _definition, i.indisvalid"
	" AND i.indisready AS valid, i.indisprimary OR EXISTS"
	" (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid"
	" AND k.contype IN ('p', 'u', 'x')) AS _constraint, c.oid AS _oid,"
	" (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k.i, false), ', '"
	" ORDER BY k.i) FROM pg_catalog.generate_series(1, i.indnkeyatts) k(i)) AS _keys,"
	" (SELECT h.inhparent::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_inherits h"
	" WHERE h.inhrelid = c.oid) AS _parent FROM pg_catalog.pg_index i"
	" JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class t ON"
	" t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace"
	" JOIN pg_catalog.pg_am am ON am.oid = c.relam" CLASS_JOIN " AND " OWN("pg_class", "t.oid");

static const char sequences[] =
	"SELECT 'sequence', pg_catalog.format('%I.%I', n.nspname, c.relname), NULL,"
	" pg_catalog.format_type(s.seqtypid, NULL) AS type, s.seqstart AS start, s.seqmin AS min,"
	" s.seqmax AS max, s.seqincrement AS increment, s.seqcache AS cache, s.seqcycle AS cycle,"
	" (SELECT pg_catalog.format('%s.%I', d.refobjid::pg_catalog.regclass, a.attname)"
	" FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid"
	" AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
	" AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
	" AND d.deptype IN ('a', 'i') LIMIT 1) AS owned_by, c.oid AS _oid,"
	" CASE WHEN pg_catalog.current_setting('neonferry.values', true) = 'on'"
	" AND pg_catalog.has_sequence_privilege(c.oid, 'USAGE, SELECT')"
	" THEN pg_catalog.pg_sequence_last_value(c.oid) END AS _last FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid" CLASS_JOIN;

static const char functions[] =
	"SELECT 'function', pg_catalog.format('%I.%I', n.nspname,"
	" p.proname) || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', NULL,"
	" CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window'"
	" ELSE 'function' END AS sort, pg_catalog.pg_get_function_arguments(p.oid) AS arguments,"
	" pg_catalog.pg_get_function_result(p.oid) AS result, l.lanname AS language,"
	" coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) AS body, CASE p.provolatile"
	" WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,"
	" p.proisstrict AS strict, p.prosecdef AS security_definer, p.proparallel AS parallel,"
	" pg_catalog.array_to_string(p.proconfig, ', ') AS settings, p.procost AS cost,"
	" p.prorows AS rows, p.proleakproof AS leakproof, CASE WHEN p.prosupport <> 0"
	" THEN p.prosupport::pg_catalog.regproc::pg_catalog.text END AS support"
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE " QUERY_USER_SCHEMA
	" AND " OWN("pg_proc", "p.oid");

/* But for what scratch_rows made. */
static const char triggers[] =
	"SELECT 'trigger', pg_catalog.format('%I.%I.%I', n.nspname, c.relname, g.tgname),"
	" pg_catalog.format('%I.%I', n.nspname, c.relname),"
	" pg_catalog.pg_get_triggerdef(g.oid) AS definition, CASE g.tgenabled WHEN 'O' THEN 'yes'"
	" WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' ELSE 'always' END AS enabled"
	" FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid" CLASS_JOIN
	" AND NOT g.tgisinternal AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace WHERE p.oid = g.tgfoid"
	" AND pn.nspname = 'neonferry')";

/* What a view is made of is its definition. */
static const char rules[] =
	"SELECT 'rule', pg_catalog.format('%I.%I.%I', n.nspname, c.relname, u.rulename),"
	" pg_catalog.format('%I.%I', n.nspname, c.relname),"
	" pg_catalog.pg_get_ruledef(u.oid) AS definition, CASE u.ev_enabled WHEN 'O' THEN 'yes'"
	" WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' ELSE 'always' END AS enabled"
	" FROM pg_catalog.pg_rewrite u JOIN pg_catalog.pg_class c ON c.oid = u.ev_class" CLASS_JOIN
	" AND u.ev_type <> '1'";

static const char statistics[] =
	"SELECT 'statistics', pg_catalog.format('%I.%I', sn.nspname, s.stxname),"
	" pg_catalog.format('%I.%I', n.nspname, c.relname),"
	" pg_catalog.pg_get_statisticsobjdef(s.oid) AS definition"
	" FROM pg_catalog.pg_statistic_ext s"
	" JOIN pg_catalog.pg_namespace sn ON sn.oid = s.stxnamespace"
	" JOIN pg_catalog.pg_class c ON c.oid = s.stxrelid" CLASS_JOIN;

static const char policies[] =
	"SELECT 'policy', pg_catalog.format('%I.%I.%I', n.nspname, c.relname, p.polname),"
	" pg_catalog.format('%I.%I', n.nspname, c.relname), p.polcmd AS command,"
	" p.polpermissive AS permissive, (SELECT pg_catalog.string_agg(CASE r.oid WHEN 0"
	" THEN 'public' ELSE pg_catalog.pg_get_userbyid(r.oid)::pg_catalog.text END, ', '"
	" ORDER BY pg_catalog.pg_get_userbyid(r.oid)) FROM pg_catalog.unnest(p.polroles)"
	" r(oid)) AS roles, pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS \"using\","
	" pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS \"check\""
	" FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid" CLASS_JOIN;

/* The database has another name elsewhere; what holds for every database is the server's. */
static const char settings[] =
	"SELECT 'setting', CASE s.setrole WHEN 0 THEN 'database' ELSE 'role ' ||"
	" pg_catalog.pg_get_userbyid(s.setrole) END || CASE s.setdatabase WHEN 0 THEN ' everywhere'"
	" ELSE '' END || ': ' || pg_catalog.split_part(v, '=', 1), NULL, pg_catalog.substr(v,"
	" pg_catalog.strpos(v, '=') + 1) AS value FROM pg_catalog.pg_db_role_setting s"
	" CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) v WHERE s.setdatabase IN (0,"
	" (SELECT d.oid FROM pg_catalog.pg_database d WHERE"
	" d.datname = pg_catalog.current_database()))";

const char *const model_queries[] = { schemas,  extensions,  types,      tables,    sequences,
				      columns,  constraints, indexes,    functions, triggers,
				      policies, rules,       statistics, settings,  NULL };
