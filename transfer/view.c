#include "transfer/view.h"

#include <stdlib.h>
#include <string.h>

#define LOCK_TRY "5s"

int view_begin(struct pg *pg, const char *snapshot, bool *ret_lost, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	*ret_lost = false;
	text_add(&sql, "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
		       "SET TRANSACTION SNAPSHOT ");
	text_add_literal(&sql, snapshot);
	/* Only ever a TID range scan, in one process: rows must come in ctid order. */
	text_add(&sql, "; SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; "
		       "SET LOCAL enable_bitmapscan = off; "
		       "SET LOCAL max_parallel_workers_per_gather = 0; "
		       "SET LOCAL lock_timeout = '" LOCK_TRY "'");
	if (text_check(&sql, e) == 0 && pg_exec(pg, text_str(&sql), e) == 0)
		return 0;
	if (e->next != ERR_GIVE_UP)
		return -1;
	if (e->kind == ERR_STOPPED)
		return -1;
	*ret_lost = true;
	return err_note(e, "the snapshot is gone: its holder ended or the source restarted");
}

void view_blockers(struct pg *pg, uint32_t relation, struct text *ret)
{
	AUTO(pgresult) PGresult *res = NULL;
	struct err ignored = ERR_INIT;

	if (pg_queryf(pg, &res, &ignored,
		      "SELECT l.pid, coalesce(a.application_name, ''), CASE WHEN l.granted THEN 'holds' ELSE "
		      "'waits for' END, l.relation::pg_catalog.regclass FROM pg_catalog.pg_locks l "
		      "LEFT JOIN pg_catalog.pg_stat_activity a USING (pid) WHERE l.locktype = 'relation' "
		      "AND l.mode = 'AccessExclusiveLock' AND l.relation = coalesce(nullif(%u::oid, 0), "
		      "l.relation) AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = "
		      "pg_catalog.current_database()) AND l.relation >= 16384 AND l.pid <> "
		      "pg_catalog.pg_backend_pid() ORDER BY l.granted DESC, 1 LIMIT 3",
		      (unsigned)relation) < 0)
		return;
	for (int i = 0; i < PQntuples(res); i++)
		text_addf(ret, "%s process %s (%s) %s %s", i ? "," : ":", PQgetvalue(res, i, 0),
			  PQgetvalue(res, i, 1), PQgetvalue(res, i, 2), PQgetvalue(res, i, 3));
}

static int explain(struct pg *pg, const struct plan_table *t, struct err *e)
{
	AUTO_TEXT struct text who = TEXT_INIT;

	pg_rollback(pg);
	view_blockers(pg, t->oid, &who);
	*e = ERR_INIT;
	err_set(e, ERR_SOURCE, "source: waiting for a lock on %s%s", t->qname, text_str(&who));
	e->next = ERR_RETRY;
	memcpy(e->sqlstate, "55P03", sizeof("55P03"));
	return err_hint(e, "end or cancel that process's statement in the source; the copy goes on by itself");
}

int view_pin(struct pg *pg, const struct plan_table *t, bool *ret_lost, struct err *e)
{
	AUTO(free) char *file = NULL;

	*ret_lost = false;
	/* The second looks into the catalogs as they are now, not as the snapshot shows them. */
	if (pg_valuef(pg, &file, e,
		      "LOCK TABLE ONLY %s IN ACCESS SHARE MODE; "
		      "SELECT coalesce(pg_catalog.pg_relation_filenode(%u), 0)",
		      t->qname, (unsigned)t->oid) < 0) {
		/* The name is gone. */
		*ret_lost = strcmp(e->sqlstate, "42P01") == 0 || strcmp(e->sqlstate, "3F000") == 0;
		return strcmp(e->sqlstate, "55P03") == 0 ? explain(pg, t, e) : -1;
	}
	if (file && strtoull(file, NULL, 10) == t->relfilenode)
		return 0;
	*ret_lost = true;
	return err_set(e, ERR_SOURCE, "source: table %s was rewritten or emptied after the snapshot's locks "
				      "were lost", t->qname);
}
