#include "schema/migration_run.h"

#include "common/clock.h"
#include "schema/migration_sql.h"
#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

struct run {
	struct migration_session *s;
	const struct history *h;
	const struct migration *m;
	const struct migration_script *script;
	const char *key; /* of its progress row: the version, or "VERSION down" */
	struct migration_sql sql;
	bool down, resumed;
	int done; /* stepwise: statements done before */
	uint64_t started;
};

static int64_t ms_of(const struct run *r)
{
	return (int64_t)(clock_ms() - r->started);
}

/* --- errors --- */

/* Where in the file: the server's position within what was sent, else the statement's line. */
static int note_place(const struct run *r, const char *sql, int line_of_sql, struct err *e)
{
	if (e->position > 0)
		return err_note(e, "running %s, line %d", r->script->name,
				migration_sql_line(sql, line_of_sql, e->position));
	if (r->sql.stepwise)
		return err_note(e, "running %s, line %d", r->script->name, line_of_sql);
	return err_note(e, "running %s", r->script->name);
}

/* --- the history's part --- */

static void add_history(const struct run *r, struct text *sql)
{
	const struct history_row *row = history_find(r->h, r->m->version);

	if (r->down)
		history_add_delete(sql, r->h, row ? row->version : r->m->version);
	else
		history_add_insert(sql, r->h, r->m, ms_of(r));
	history_add_end(sql, r->h, r->key);
}

/* Two runners cannot be: but if, then the key of the history table refuses the second. */
static int write_history(const struct run *r, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	add_history(r, &sql);
	if (text_check(&sql, e) || pg_exec(migration_session_pg(r->s), text_str(&sql), e))
		return err_note(e, "writing the history row of %s", r->script->name);
	return 0;
}

static int run_text(const struct run *r, const char *at, size_t len, int line, int64_t *rows,
		    struct err *e)
{
	AUTO(free) char *sql = strndup(at, len);

	if (!sql)
		return err_nomem(e);
	if (migration_session_exec(r->s, sql, rows, e))
		return note_place(r, sql, line, e);
	return 0;
}

/* --- as one piece --- */

static int run_body(const struct run *r, struct err *e)
{
	struct pg *pg = migration_session_pg(r->s);

	if (pg_begin(pg, "", e))
		return -1;
	if (r->sql.body && run_text(r, r->sql.body, r->sql.body_len, r->sql.body_line, NULL, e))
		return -1;
	/* SET ROLE, SET search_path: the history is written as who we are. */
	if (pg_exec(pg, "SET LOCAL ROLE NONE", e) || write_history(r, e) || pg_commit(pg, e))
		return -1;
	return 0;
}

/* --- stepwise --- */

static int execute(const struct run *r, struct err *e,
		   void (*add)(struct text *, const struct history *, const char *, int), int n)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	add(&sql, r->h, r->key, n);
	return text_check(&sql, e) ? -1 : pg_exec(migration_session_pg(r->s), text_str(&sql), e);
}

/* State of the index that CREATE INDEX CONCURRENTLY makes: '\0' none, 'i' invalid, 'v' valid. */
static int index_state(const struct run *r, const struct migration_statement *st, char *ret,
		       char **ret_name, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text index = TEXT_INIT;
	AUTO_TEXT struct text table = TEXT_INIT;

	*ret = '\0';
	if (!migration_sql_index(st, &index, &table))
		return 0;
	const char *values[] = { text_str(&index), text_str(&table) };
	if (pg_query_params(migration_session_pg(r->s),
			    "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid"
			    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
			    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
			    " WHERE c.relname = (pg_catalog.parse_ident($1))[1]"
			    " AND i.indrelid = pg_catalog.to_regclass($2)", 2, values, &res, e))
		return -1;
	if (PQntuples(res) == 0)
		return 0;
	*ret = query_bool(res, 0, 1) ? 'v' : 'i';
	*ret_name = strdup(query_text(res, 0, 0));
	return *ret_name ? 0 : err_nomem(e);
}

/* An invalid index is what an interrupted build leaves: removed, then built anew. */
static int repair(const struct run *r, const struct migration_statement *st, bool *ret_there,
		  struct err *e)
{
	AUTO(free) char *name = NULL;
	char state;

	*ret_there = false;
	if (index_state(r, st, &state, &name, e))
		return -1;
	if (state == 'v')
		*ret_there = r->resumed; /* else the server says that it exists */
	if (state != 'i')
		return 0;
	event_emit(migration_session_events(r->s), EVENT_NOTICE, "schema.repair", NULL,
		   "%s: the index %s is invalid, from a build that was interrupted: it is built anew",
		   r->script->name, name);
	AUTO_TEXT struct text sql = TEXT_INIT;
	text_addf(&sql, "DROP INDEX CONCURRENTLY %s", name);
	return text_check(&sql, e) ? -1 : migration_session_exec(r->s, text_str(&sql), NULL, e);
}

/* What an interrupted call has dropped already cannot be dropped again. */
static bool was_done(const struct run *r, const struct migration_statement *st, const struct err *e)
{
	return r->resumed && strcmp(st->alone, "DROP INDEX CONCURRENTLY") == 0 &&
	       strcmp(e->sqlstate, "42704") == 0;
}

static int run_alone(const struct run *r, int i, struct err *e)
{
	const struct migration_statement *st = &r->sql.list[i];
	bool there = false;

	if (repair(r, st, &there, e))
		return note_place(r, "", st->line, e);
	if (!there && run_text(r, st->at, st->len, st->line, NULL, e) && !was_done(r, st, e))
		return -1;
	return execute(r, e, history_add_step, i + 1);
}

static int run_step(const struct run *r, int i, struct err *e)
{
	const struct migration_statement *st = &r->sql.list[i];
	struct pg *pg = migration_session_pg(r->s);

	if (st->alone)
		return run_alone(r, i, e);
	if (pg_begin(pg, "", e) || run_text(r, st->at, st->len, st->line, NULL, e) ||
	    execute(r, e, history_add_step, i + 1) || pg_commit(pg, e))
		return -1;
	return 0;
}

/* What earlier statements set is set again. */
static int replay_settings(const struct run *r, struct err *e)
{
	for (int i = 0; i < r->done; i++) {
		const struct migration_statement *st = &r->sql.list[i];
		if (st->len > 4 && strncasecmp(st->at, "SET", 3) == 0 && strchr(" \t\n", st->at[3]) &&
		    run_text(r, st->at, st->len, st->line, NULL, e))
			return -1;
	}
	return 0;
}

static int run_steps(const struct run *r, struct err *e)
{
	if (replay_settings(r, e))
		return -1;
	for (int i = r->done; i < r->sql.n; i++)
		if (run_step(r, i, e))
			return -1;
	return 0;
}

/* --- a batch --- */

static int run_round(const struct run *r, int64_t *ret_rows, struct err *e)
{
	const struct migration_statement *st = &r->sql.list[0];
	struct pg *pg = migration_session_pg(r->s);
	AUTO_TEXT struct text sql = TEXT_INIT;
	int64_t rows;

	if (pg_begin(pg, "", e) || run_text(r, st->at, st->len, st->line, &rows, e))
		return -1;
	if (rows < 0) {
		err_set(e, ERR_USAGE, "%s: the batch does not tell how many rows it changed", r->script->name);
		return err_hint(e, "A batch is an INSERT, UPDATE, DELETE or MERGE with a limit.");
	}
	history_add_round(&sql, r->h, r->key, rows);
	if (text_check(&sql, e) || pg_exec(pg, text_str(&sql), e) || pg_commit(pg, e))
		return -1;
	*ret_rows = rows;
	return 0;
}

static int run_batch(const struct run *r, struct stop *stop, struct err *e)
{
	const struct history_progress *p = history_find_progress(r->h, r->key);
	int64_t total = p ? p->rows : 0, rounds = p ? p->rounds : 0, rows = 1;

	while (rows > 0) {
		if (run_round(r, &rows, e))
			return -1;
		total += rows;
		rounds++;
		event_emit(migration_session_events(r->s), EVENT_INFO, "schema.round",
			   json_pack("{s:s, s:I, s:I}", "version", r->m->version, "rounds",
				     (json_int_t)rounds, "rows", (json_int_t)total),
			   "%s: %lld rows in %lld rounds", r->script->name, (long long)total,
			   (long long)rounds);
		if (rows > 0 && stop && stop_sleep(stop, r->script->pause_ms, e))
			return err_note(e, "running %s: %lld rows are done", r->script->name, (long long)total);
	}
	return 0;
}

/* --- what all outside of one transaction share --- */

static int begin_progress(struct run *r, bool force, struct err *e)
{
	const struct history_progress *p = history_find_progress(r->h, r->key);
	struct pg *pg = migration_session_pg(r->s);
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (p && strcmp(p->checksum, r->script->checksum) != 0) {
		if (!force && (p->statement > 0 || p->rounds > 0)) {
			err_set(e, ERR_REFUSED, "%s has changed since it was begun (%d statements, %lld rows "
						"are done)", r->script->name, p->statement, (long long)p->rows);
			return err_hint(e, "Put the file back as it was; or --force runs the new one from "
					   "its beginning.");
		}
		history_add_end(&sql, r->h, r->key);
		p = NULL;
	}
	r->resumed = p != NULL;
	r->done = p ? p->statement : 0;
	history_add_begin(&sql, r->h, r->key, r->script->checksum);
	if (r->resumed)
		event_emit(migration_session_events(r->s), EVENT_NOTICE, "schema.resumed", NULL,
			   "%s was interrupted: %d of %d statements and %lld rows are done", r->script->name,
			   p->statement, r->sql.n, (long long)p->rows);
	return text_check(&sql, e) ? -1 : pg_exec(pg, text_str(&sql), e);
}

/* Best effort: where it went wrong stands in the table for the next one who looks. */
static void keep_error(const struct run *r, const struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct err ignored = ERR_INIT;
	struct pg *pg = migration_session_pg(r->s);

	pg_rollback(pg);
	history_add_error(&sql, r->h, r->key, e->text);
	if (pg_is_alive(pg) && text_check(&sql, &ignored) == 0)
		(void)!pg_exec(pg, text_str(&sql), &ignored);
}

static int finish(const struct run *r, struct err *e)
{
	struct pg *pg = migration_session_pg(r->s);

	return pg_begin(pg, "", e) || write_history(r, e) || pg_commit(pg, e) ? -1 : 0;
}

static int run_apart(struct run *r, bool force, struct err *e)
{
	if (begin_progress(r, force, e))
		return -1;
	int failed = r->script->batch ? run_batch(r, migration_session_stop(r->s), e) : run_steps(r, e);
	if (!failed)
		failed = finish(r, e);
	if (failed)
		keep_error(r, e);
	return failed;
}

static int run(struct run *r, bool force, struct err *e)
{
	struct err ignored = ERR_INIT;

	if (migration_sql_parse(&r->sql, r->script, e))
		return -1;
	r->started = clock_ms();
	int failed = migration_session_prepare(r->s, !r->sql.stepwise || r->script->batch, e);
	if (!failed)
		failed = r->sql.stepwise ? run_apart(r, force, e) : run_body(r, e);
	if (failed)
		pg_rollback(migration_session_pg(r->s));
	if (migration_session_restore(r->s, failed ? &ignored : e) && !failed)
		failed = -1;
	migration_sql_done(&r->sql);
	return failed;
}

int migration_run_up(struct migration_session *s, const struct history *h, const struct migration *m,
		     bool force, int64_t *ret_ms, struct err *e)
{
	struct run r = { .s = s, .h = h, .m = m, .script = &m->up, .key = m->version };

	if (run(&r, force, e))
		return -1;
	*ret_ms = ms_of(&r);
	return 0;
}

int migration_run_down(struct migration_session *s, const struct history *h,
		       const struct migration *m, bool force, struct err *e)
{
	AUTO_TEXT struct text key = TEXT_INIT;

	text_addf(&key, "%s down", m->version);
	struct run r = { .s = s, .h = h, .m = m, .script = &m->down, .key = text_str(&key),
			 .down = true };
	return run(&r, force, e);
}
