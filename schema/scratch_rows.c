#include "schema/scratch_rows.h"

#include "schema/migration_sql.h"
#include "schema/query.h"
#include "schema/sqltext.h"

#include <string.h>

#define NOTED "neonferry.rows_noted"

/* --- in a scratch database --- */

/* One row a table and sort of change: the first statement that made it. */
static const char watch_sql[] =
	"CREATE SCHEMA IF NOT EXISTS neonferry; GRANT USAGE ON SCHEMA neonferry TO PUBLIC;"
	"CREATE TABLE " NOTED
	" (relation oid, op text, statement text, PRIMARY KEY (relation, op));"
	"CREATE FUNCTION neonferry.note_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
	" SET search_path TO '' AS $note$ BEGIN INSERT INTO " NOTED " VALUES (TG_RELID, TG_OP,"
	" pg_catalog.left(pg_catalog.current_query(), 10000)) ON CONFLICT DO NOTHING; RETURN NULL;"
	" END $note$;"
	"DO $watch$ DECLARE t text; BEGIN"
	" FOR t IN SELECT c.oid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
	" AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'neonferry')"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid ="
	" 'pg_catalog.pg_class'::pg_catalog.regclass AND x.objid = c.oid AND x.deptype = 'e') LOOP"
	" EXECUTE 'CREATE TRIGGER neonferry_rows BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE"
	" ON ' || t || ' FOR EACH STATEMENT EXECUTE FUNCTION neonferry.note_rows()';"
	" EXECUTE 'ALTER TABLE ' || t || ' ENABLE ALWAYS TRIGGER neonferry_rows';"
	" END LOOP; END $watch$;"
	"CREATE FUNCTION neonferry.watch_again() RETURNS void LANGUAGE plpgsql SECURITY DEFINER"
	" SET search_path TO '' AS $again$ DECLARE t text; BEGIN"
	" FOR t IN SELECT g.tgrelid::pg_catalog.regclass::pg_catalog.text"
	" FROM pg_catalog.pg_trigger g"
	" WHERE g.tgname = 'neonferry_rows' AND g.tgenabled <> 'A' LOOP"
	" EXECUTE 'ALTER TABLE ' || t || ' ENABLE ALWAYS TRIGGER neonferry_rows';"
	" END LOOP; END $again$";

int scratch_rows_watch(struct pg *pg, struct err *e)
{
	if (pg_exec(pg, watch_sql, e))
		return err_note(e, "preparing the scratch database to see what happens to rows");
	return 0;
}

/* In place there is none. */
static const char again_sql[] =
	"DO $again$ BEGIN IF pg_catalog.to_regproc('neonferry.watch_again') IS NOT NULL THEN"
	" PERFORM neonferry.watch_again(); END IF; END $again$";

int scratch_rows_watch_again(struct pg *pg, const struct migration_statement *st, struct err *e)
{
	static const char *const alter_table[] = { "alter", "table", NULL };
	static const char *const trigger[] = { "trigger", NULL };
	const char *pos = st->at, *end = st->at + st->len;
	struct sqltext_token t;

	if (!sqltext_words(&pos, alter_table))
		return 0;
	while ((t = sqltext_next(&pos)).kind != SQLTEXT_END && t.at < end) {
		bool toggles = sqltext_is(&t, "disable") || sqltext_is(&t, "enable") ||
			       sqltext_is(&t, "always") || sqltext_is(&t, "replica");
		if (toggles && sqltext_words(&pos, trigger))
			return pg_exec(pg, again_sql, e);
	}
	return 0;
}

/* What was noted, and the tables whose triggers a function or DO block has turned off or on. */
static const char taken_sql[] =
	"WITH gone AS (DELETE FROM " NOTED " RETURNING relation, op, statement)"
	" SELECT relation, op, statement FROM gone UNION ALL SELECT g.tgrelid, 'UNSEEN', '' FROM"
	" pg_catalog.pg_trigger g WHERE g.tgname = 'neonferry_rows' AND g.tgenabled <> 'A'"
	" ORDER BY 1, 2";

int scratch_rows_take(struct pg *pg, const struct migration *m, struct scratch_notes *notes,
		      struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	/* as who we are, whatever the migration has set */
	if (pg_exec(pg, "RESET ROLE", e) || pg_query(pg, taken_sql, &res, e) ||
	    pg_exec(pg, again_sql, e))
		return err_note(e, "looking at what happened to rows");
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(notes->rows,
				      json_pack("{s:s, s:s, s:s, s:s}", "migration", m->up.name,
						"relation", query_text(res, i, 0), "op",
						query_text(res, i, 1), "statement",
						query_text(res, i, 2)));
	return 0;
}

/* --- in place --- */

int scratch_rows_count(struct pg *pg, struct scratch_notes *notes, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	notes->counted = true;
	if (pg_query(pg,
		     "SELECT s.relid, v.op, v.n FROM pg_catalog.pg_stat_xact_user_tables s"
		     " CROSS JOIN LATERAL (VALUES ('INSERT', s.n_tup_ins),"
		     " ('UPDATE', s.n_tup_upd), ('DELETE', s.n_tup_del)) v(op, n)"
		     " WHERE v.n > 0 ORDER BY 1, 2",
		     &res, e))
		return err_note(e, "looking at what happened to rows");
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(notes->rows,
				      json_pack("{s:s, s:s, s:I}", "relation",
						query_text(res, i, 0), "op", query_text(res, i, 1),
						"rows", (json_int_t)query_int(res, i, 2)));
	return 0;
}

/* --- USING --- */

static bool is_same(const struct sqltext_token *a, const struct sqltext_token *b)
{
	return a->kind == b->kind && a->len == b->len && strncasecmp(a->at, b->at, a->len) == 0;
}

/* From behind USING to the end of the action: c, c::type, c::type(n)::type. pos moves behind it. */
static bool is_plain_cast(const char **pos, const char *end, const struct sqltext_token *column)
{
	struct sqltext_token t = sqltext_next(pos);
	bool plain = is_same(&t, column);
	int depth = 0, n = 0;

	while ((t = sqltext_next(pos)).kind != SQLTEXT_END && t.at < end) {
		if (depth == 0 && sqltext_is_sign(&t, ','))
			break;
		depth += sqltext_is_sign(&t, '(') - sqltext_is_sign(&t, ')');
		plain &= n++ > 0 || sqltext_is_sign(&t, ':');
		plain &= t.kind != SQLTEXT_STRING &&
			 (t.kind != SQLTEXT_SIGN || strchr(":(),.[]", t.at[0]));
	}
	return plain;
}

bool scratch_rows_computes(const struct migration_statement *st)
{
	static const char *const alter_table[] = { "alter", "table", NULL };
	const char *pos = st->at, *end = st->at + st->len;
	struct sqltext_token t, before = { 0 }, column = { 0 };
	bool typed = false; /* not the USING of a constraint */

	if (!sqltext_words(&pos, alter_table))
		return false;
	while ((t = sqltext_next(&pos)).kind != SQLTEXT_END && t.at < end) {
		bool names = sqltext_is(&before, "alter") || sqltext_is(&before, "column");
		if (names && !sqltext_is(&t, "column"))
			column = t;
		typed = sqltext_is(&t, "type") || (typed && !sqltext_is(&t, "add"));
		if (typed && sqltext_is(&t, "using") && !is_plain_cast(&pos, end, &column))
			return true;
		before = t;
	}
	return false;
}
