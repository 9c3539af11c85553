#include "schema/uncarried.h"

#include <string.h>

/* Schemas of the user's own. */
#define OWN "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'neonferry')"

/* Each query gives names, in order. */
static const struct {
	const char *what, *why, *names;
} kinds[] = {
	{ "OWNER", "everything belongs to the role that neonferry connects as",
	  "SELECT r.rolname || ': ' || pg_catalog.count(*) || ' relations' "
	  "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	  "JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE " OWN
	  " AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND r.rolname <> current_user "
	  "GROUP BY r.rolname ORDER BY 1" },
	{ "ACL", "rights belong to the roles of the target",
	  "SELECT x.name FROM (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) "
	  "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	  "WHERE " OWN " AND (c.relacl IS NOT NULL OR EXISTS "
	  "(SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid "
	  "AND a.attacl IS NOT NULL)) AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d "
	  "WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid "
	  "AND d.deptype = 'e') UNION ALL SELECT pg_catalog.format('%I.%I()', n.nspname, "
	  "p.proname) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON "
	  "n.oid = p.pronamespace WHERE " OWN " AND p.proacl IS NOT NULL AND NOT EXISTS "
	  "(SELECT FROM pg_catalog.pg_depend d WHERE "
	  "d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid "
	  "AND d.deptype = 'e') UNION ALL SELECT pg_catalog.format('schema %I', n.nspname) "
	  "FROM pg_catalog.pg_namespace n WHERE " OWN " AND n.nspacl IS NOT NULL "
	  "AND n.nspname <> 'public') AS x (name) ORDER BY 1" },
	{ "DEFAULT ACL", "rights belong to the roles of the target",
	  "SELECT pg_catalog.pg_get_userbyid(defaclrole) || coalesce(' in ' || n.nspname, '') "
	  "FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON "
	  "n.oid = d.defaclnamespace ORDER BY 1" },
	{ "PUBLICATION", "replication is set up in the target on its own",
	  "SELECT pg_catalog.quote_ident(pubname) FROM pg_catalog.pg_publication ORDER BY 1" },
	/* Who is no superuser sees these columns alone. */
	{ "SUBSCRIPTION", "replication is set up in the target on its own",
	  "SELECT pg_catalog.quote_ident(subname) FROM (SELECT subname, subdbid "
	  "FROM pg_catalog.pg_subscription) AS s WHERE subdbid = (SELECT oid "
	  "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1" },
	{ "SECURITY LABEL", "labels belong to a security provider of the source",
	  "SELECT provider || ': ' || pg_catalog.count(*) FROM pg_catalog.pg_seclabel "
	  "GROUP BY provider ORDER BY 1" },
	{ "TABLESPACE", "the target has its own",
	  "SELECT pg_catalog.quote_ident(t.spcname) || ': ' || pg_catalog.count(*) || ' relations' "
	  "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	  "JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace WHERE " OWN
	  " GROUP BY t.spcname ORDER BY 1" },
	{ "DATABASE PROPERTIES", "settings of the database belong to the target",
	  "SELECT coalesce('role ' || pg_catalog.quote_ident(r.rolname) || ': ', '') || "
	  "pg_catalog.split_part(x, '=', 1) FROM pg_catalog.pg_db_role_setting s "
	  "LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, "
	  "pg_catalog.unnest(s.setconfig) AS x WHERE s.setdatabase = (SELECT oid "
	  "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1" },
	{ "COMMENT DATABASE", "the database belongs to the target",
	  "SELECT pg_catalog.current_database() WHERE pg_catalog.shobj_description((SELECT oid "
	  "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()), "
	  "'pg_database') IS NOT NULL" },
	{ "ROWS OF AN EXTENSION",
	  "the extension makes the table in the target; rows that were put into it stay behind",
	  "SELECT pg_catalog.format('%I.%I (%s)', n.nspname, c.relname, x.extname) "
	  "FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid "
	  "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	  "JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid WHERE d.deptype = 'e' "
	  "AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass "
	  "AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass "
	  "AND c.relkind IN ('r', 'p') AND pg_catalog.pg_relation_size(c.oid) > 0 ORDER BY 1" },
	{ "HISTORY OF MIGRATIONS",
	  "it belongs to this database; where the target is to go on with it: pg_dump -t "
	  "neonferry.schema_migrations of the source into psql of the target",
	  "SELECT 'neonferry.schema_migrations' FROM pg_catalog.pg_class c "
	  "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'neonferry' "
	  "AND c.relname = 'schema_migrations'" },
	{ "SCHEMA neonferry", "in the target it holds neonferry's own records",
	  "SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c "
	  "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'neonferry' "
	  "AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relname NOT IN ('chunk', "
	  "'object', 'set_aside', 'relation', 'run', 'format', 'schema_migrations', "
	  "'schema_progress', 'schema_verified') AND c.relname !~ '_seq$' ORDER BY 1" },
};

#define NAMES 5 /* told of each kind */

/* "a, b, c and 12 more" */
static json_t *names_json(const PGresult *res)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	int n = PQntuples(res), shown = n <= NAMES + 1 ? n : NAMES;

	for (int i = 0; i < shown; i++)
		text_addf(&t, "%s%s", i ? ", " : "", PQgetvalue(res, i, 0));
	if (shown < n)
		text_addf(&t, " and %d more", n - shown);
	return json_string(text_str(&t));
}

int uncarried_list(struct pg *source, json_t **ret, struct err *e)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < ARRAY_LEN(kinds); i++) {
		AUTO(pgresult) PGresult *res = NULL;

		if (pg_query(source, kinds[i].names, &res, e) < 0) {
			json_decref(list);
			return err_note(e, "looking for what is not carried (%s)", kinds[i].what);
		}
		if (PQntuples(res) > 0)
			json_array_append_new(
				list, json_pack("{s:s, s:o, s:s}", "what", kinds[i].what, "name",
						names_json(res), "why", kinds[i].why));
	}
	*ret = list;
	return list ? 0 : err_nomem(e);
}
