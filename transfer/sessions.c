#include "transfer/sessions.h"

#include <stdlib.h>

/* A role that may not see others' sessions sees their usesysid all the same, and nothing else. */
#define SQL                                                                                        \
	"WITH a AS (SELECT usesysid, datid FROM pg_catalog.pg_stat_activity WHERE usesysid IS "    \
	"NOT NULL)"                                                                                \
	" SELECT least(pg_catalog.current_setting('max_connections')::int"                         \
	" - pg_catalog.current_setting('superuser_reserved_connections')::int"                     \
	" - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int"          \
	" - (SELECT pg_catalog.count(*) FROM a),"                                                  \
	" (SELECT nullif(r.rolconnlimit, -1) - (SELECT pg_catalog.count(*) FROM a WHERE"           \
	" a.usesysid = r.oid) FROM pg_catalog.pg_roles r WHERE r.rolname = session_user),"         \
	" (SELECT nullif(d.datconnlimit, -1) - (SELECT pg_catalog.count(*) FROM a WHERE"           \
	" a.datid = d.oid) FROM pg_catalog.pg_database d WHERE d.datname ="                        \
	" pg_catalog.current_database()))"

int sessions_free(struct pg *pg, int *ret, struct err *e)
{
	AUTO(free) char *n = NULL;

	if (pg_value(pg, SQL, &n, e) < 0)
		return err_note(e, "asking how many sessions are possible");
	if (!n)
		return err_set(e, ERR_INTERNAL, "the server gave no number of sessions");
	*ret = atoi(n);
	return 0;
}

int sessions_share(int left, int wanted)
{
	int share = (left - 1) / 2;

	if (share >= wanted)
		return wanted;
	return share > 1 ? share : 1;
}
