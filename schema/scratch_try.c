#include "schema/scratch_try.h"

#include "schema/migration_sql.h"
#include "schema/query.h"
#include "schema/scratch_rows.h"
#include "schema/sqltext.h"

#include <stdlib.h>
#include <string.h>

int scratch_notes_init(struct scratch_notes *n, struct err *e)
{
	*n = (struct scratch_notes){ .locks = json_array(),
				     .skipped = json_array(),
				     .rows = json_array() };
	return n->locks && n->skipped && n->rows ? 0 : err_nomem(e);
}

void scratch_notes_done(struct scratch_notes *n)
{
	json_decref(n->locks);
	json_decref(n->skipped);
	json_decref(n->rows);
	*n = (struct scratch_notes){ 0 };
}

/* --- what reaches beyond the database --- */

static const char *const beyond[][4] = {
	{ "create", "role", NULL },	 { "alter", "role", NULL },	{ "drop", "role", NULL },
	{ "create", "user", NULL },	 { "alter", "user", NULL },	{ "drop", "user", NULL },
	{ "create", "group", NULL },	 { "alter", "group", NULL },	{ "drop", "group", NULL },
	{ "create", "database", NULL },	 { "alter", "database", NULL }, { "drop", "database", NULL },
	{ "create", "tablespace", NULL }, { "drop", "tablespace", NULL }, { "alter", "tablespace", NULL },
	{ "alter", "system", NULL },	 { "create", "subscription", NULL },
	{ "alter", "subscription", NULL }, { "drop", "subscription", NULL },
	{ "reassign", "owned", NULL },	 { "drop", "owned", NULL },
};

/* CREATE USER MAPPING is the database's own. */
static bool is_user_mapping(const char *pos)
{
	static const char *const words[] = { "user", "mapping", NULL };
	struct sqltext_token first = sqltext_next(&pos);

	return first.kind == SQLTEXT_WORD && sqltext_words(&pos, words);
}

/* GRANT role TO role has no ON. */
static bool is_role_grant(const struct migration_statement *st)
{
	const char *pos = st->at, *end = st->at + st->len;
	struct sqltext_token t = sqltext_next(&pos);

	if (!sqltext_is(&t, "grant") && !sqltext_is(&t, "revoke"))
		return false;
	while ((t = sqltext_next(&pos)).kind != SQLTEXT_END && t.at < end)
		if (sqltext_is(&t, "on"))
			return false;
	return true;
}

static bool is_beyond(const struct migration_statement *st)
{
	for (size_t i = 0; i < ARRAY_LEN(beyond); i++) {
		const char *pos = st->at;
		if (sqltext_words(&pos, beyond[i]))
			return !is_user_mapping(st->at);
	}
	return is_role_grant(st);
}

static void note_skipped(struct scratch_notes *notes, const struct migration *m,
			 const struct migration_statement *st)
{
	size_t len = st->len < 100 ? st->len : 100;

	/* a cut within a character would make json_pack fail */
	while (len < st->len && (st->at[len] & 0xc0) == 0x80)
		len--;
	if (notes)
		json_array_append_new(notes->skipped, json_pack("{s:s, s:i, s:s%}", "migration", m->up.name,
								"line", st->line, "statement", st->at, len));
}

/* --- locks --- */

static const char locks_sql[] =
	"SELECT l.relation, (pg_catalog.array_agg(l.mode ORDER BY"
	" pg_catalog.array_position(ARRAY['AccessExclusiveLock', 'ExclusiveLock',"
	" 'ShareRowExclusiveLock', 'ShareLock', 'ShareUpdateExclusiveLock'], l.mode)))[1]"
	" FROM pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid() AND l.granted"
	" AND l.locktype = 'relation' AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock',"
	" 'ShareRowExclusiveLock', 'ShareLock', 'ShareUpdateExclusiveLock')"
	" GROUP BY l.relation";

static const char *mode_of(const PGresult *locks, const char *oid)
{
	for (int i = 0; i < PQntuples(locks); i++)
		if (strcmp(query_text(locks, i, 0), oid) == 0)
			return query_text(locks, i, 1);
	return NULL;
}

static const char *blocks(const char *mode)
{
	if (strcmp(mode, "AccessExclusiveLock") == 0)
		return "reading and writing";
	return strcmp(mode, "ShareUpdateExclusiveLock") == 0 ? "other changes of the schema" : "writing";
}

/*
 * What the transaction holds at its end, of the tables that were there before it, under the names
 * that they had then: nobody waits for one that it made, and who is dropped has no name any more.
 */
static int note_locks(struct pg *pg, const struct migration *m, json_t *before,
		      struct scratch_notes *notes, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	const char *oid;
	json_t *name;

	if (pg_query(pg, locks_sql, &res, e))
		return -1;
	json_object_foreach(before, oid, name)
	{
		const char *mode = mode_of(res, oid);
		if (mode)
			json_array_append_new(notes->locks,
					      json_pack("{s:s, s:O, s:s, s:s}", "migration",
							m->up.name, "relation", name, "mode", mode,
							"blocks", blocks(mode)));
	}
	return 0;
}

/* --- running --- */

static int run_one(struct pg *pg, const struct migration *m, const struct migration_statement *st,
		   struct err *e)
{
	AUTO(free) char *sql = strndup(st->at, st->len);

	if (!sql)
		return err_nomem(e);
	if (pg_exec(pg, sql, e) == 0)
		return 0;
	if (e->kind == ERR_DATA)
		e->hint[0] = '\0'; /* meant for loading rows */
	return err_note(e, "trying %s, line %d", m->up.name,
			migration_sql_line(sql, st->line, e->position));
}

/* alone: statements outside of a transaction may run. */
static int run_all(struct pg *pg, const struct migration *m, const struct migration_sql *sql, bool alone,
		   struct scratch_notes *notes, struct err *e)
{
	for (int i = 0; i < sql->n; i++) {
		const struct migration_statement *st = &sql->list[i];
		if (is_beyond(st) || (st->alone && !alone))
			note_skipped(notes, m, st);
		else if (run_one(pg, m, st, e) || (notes && scratch_rows_watch_again(pg, st, e)))
			return -1;
		if (notes)
			notes->computes |= scratch_rows_computes(st);
	}
	return 0;
}

/* {OID: name}, by name */
static int tables_before(struct pg *pg, json_t **ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	json_t *set = json_object();

	if (!set ||
	    pg_query(
		    pg,
		    "SELECT c.oid, c.oid::pg_catalog.regclass::pg_catalog.text FROM"
		    " pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid ="
		    " c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND"
		    " n.nspname NOT IN ('information_schema', 'neonferry') ORDER BY 2",
		    &res, e)) {
		json_decref(set);
		return set ? -1 : err_nomem(e);
	}
	for (int i = 0; i < PQntuples(res); i++)
		json_object_set_new(set, query_text(res, i, 0), json_string(query_text(res, i, 1)));
	*ret = set;
	return 0;
}

/* Names are told as under an empty search_path, which the migration does not have. */
static int with_locks(struct pg *pg, const struct migration *m, const struct migration_sql *sql,
		      json_t *before, struct scratch_notes *notes, struct err *e)
{
	if (run_all(pg, m, sql, false, notes, e))
		return -1;
	if (!notes)
		return 0;
	if (pg_exec(pg, "SELECT pg_catalog.set_config('search_path', '', true)", e))
		return -1;
	return note_locks(pg, m, before, notes, e);
}

static int try_in_transaction(struct pg *pg, const struct migration *m, const struct migration_sql *sql,
			      struct scratch_notes *notes, struct err *e)
{
	json_t *before = NULL;

	if (notes && tables_before(pg, &before, e))
		return -1;
	int failed = pg_exec(pg, "RESET search_path; RESET row_security", e) ||
		     with_locks(pg, m, sql, before, notes, e);
	json_decref(before);
	return failed ? -1 : 0;
}

static int set_dimensions(struct pg *pg, int dimensions, struct err *e)
{
	return dimensions ? pg_execf(pg, e, "SET neonferry.vector_dimensions TO %d", dimensions) : 0;
}

int scratch_try_in(struct pg *pg, const struct migration *m, struct scratch_notes *notes, struct err *e)
{
	AUTO_MIGRATION_SQL struct migration_sql sql = { 0 };

	if (migration_sql_parse(&sql, &m->up, e))
		return -1;
	return try_in_transaction(pg, m, &sql, notes, e);
}

int scratch_try_apart(struct pg *pg, const struct migration *m, int vector_dimensions,
		      struct scratch_notes *notes, struct err *e)
{
	AUTO_MIGRATION_SQL struct migration_sql sql = { 0 };
	struct err ignored = ERR_INIT;
	int failed;

	if (migration_sql_parse(&sql, &m->up, e) || pg_exec(pg, "RESET ALL", e) ||
	    set_dimensions(pg, vector_dimensions, e))
		return -1;
	if (sql.stepwise && !m->up.batch)
		failed = run_all(pg, m, &sql, true, notes, e);
	else
		failed = pg_exec(pg, "SELECT pg_catalog.set_config('search_path', '', false)", e) ||
			 pg_begin(pg, "", e) || try_in_transaction(pg, m, &sql, notes, e) ||
			 pg_commit(pg, e);
	if (failed)
		pg_rollback(pg);
	if (!failed && notes)
		failed = scratch_rows_take(pg, m, notes, e);
	failed |= pg_renew(pg, "scratch", failed ? &ignored : e) != 0;
	return failed ? -1 : 0;
}
