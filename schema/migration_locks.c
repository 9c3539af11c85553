/*
 * Who holds what: for messages, and to end those that only sit there.
 */
#include "schema/migration_session.h"

#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

static const char holders[] =
	"SELECT a.pid, a.usename, a.application_name, a.state,"
	" pg_catalog.floor(coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 0))"
	"::pg_catalog.int8,"
	" pg_catalog.left(a.query, 200), (SELECT pg_catalog.string_agg(DISTINCT"
	" l.mode || ' on ' || l.relation::pg_catalog.regclass::pg_catalog.text, ', ') FROM"
	" pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN"
	" pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE l.pid = a.pid AND l.granted"
	" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname ="
	" pg_catalog.current_database()) AND c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'pg_catalog')"
	" AS locks FROM pg_catalog.pg_stat_activity a WHERE a.datname = pg_catalog.current_database()"
	" AND a.pid <> pg_catalog.pg_backend_pid() AND a.xact_start IS NOT NULL";

static json_t *row_of(const PGresult *res, int i)
{
	const char *state = query_text(res, i, 3), *locks = query_text(res, i, 6);

	return json_pack("{s:i, s:s?, s:s?, s:s?, s:I, s:s?, s:s*}", "pid", (int)query_int(res, i, 0),
			 "user", query_text(res, i, 1), "application", query_text(res, i, 2), "state",
			 state, "seconds", (json_int_t)query_int(res, i, 4), "query",
			 query_text(res, i, 5), "locks", locks);
}

int migration_locks_read(struct pg *pg, json_t **ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	json_t *list;

	if (pg_queryf(pg, &res, e, "SELECT * FROM (%s) h WHERE h.locks IS NOT NULL ORDER BY 5 DESC, 1",
		      holders))
		return err_note(e, "asking for the locks");
	if (!(list = json_array()))
		return err_nomem(e);
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(list, row_of(res, i));
	*ret = list;
	return 0;
}

/* Only a session that is idle in the transaction it was seen in: its start must be as old. */
static int end_one(struct pg *pg, const json_t *b, int *ended, struct err *e)
{
	AUTO(free) char *done = NULL;
	const char *state = json_string_value(json_object_get(b, "state"));

	if (!state || strncmp(state, "idle in transaction", 19) != 0)
		return 0;
	if (pg_valuef(pg, &done, e, "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM"
				    " pg_catalog.pg_stat_activity a WHERE a.pid = %lld AND a.state LIKE"
				    " 'idle in transaction%%' AND a.xact_start <= pg_catalog.clock_timestamp()"
				    " - pg_catalog.make_interval(secs => %lld)",
		      (long long)json_integer_value(json_object_get(b, "pid")),
		      (long long)json_integer_value(json_object_get(b, "seconds"))))
		return err_note(e, "ending an idle transaction");
	*ended += done && strcmp(done, "t") == 0;
	return 0;
}

int migration_locks_end_idle(struct pg *pg, const json_t *blockers, int *ret_ended, struct err *e)
{
	int ended = 0;
	size_t i;
	json_t *b;

	json_array_foreach(blockers, i, b)
		if (end_one(pg, b, &ended, e))
			return -1;
	*ret_ended = ended;
	return 0;
}
