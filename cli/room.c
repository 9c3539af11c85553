#include "cli/room.h"

#include "cli/human.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>

int room_needed(struct pg *source, uint64_t *ret, struct err *e)
{
	AUTO(free) char *bytes = NULL;

	/* pg_table_size() would wait for an exclusive lock; this asks the file system. */
	if (pg_value(source,
		     "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())", &bytes, e))
		return -1;
	*ret = bytes ? strtoull(bytes, NULL, 10) : 0;
	return 0;
}

int room_target(struct pg *target, uint64_t needed, struct room *ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	char limit[HUMAN_LEN], used[HUMAN_LEN], more[HUMAN_LEN];

	if (pg_query(target,
		     "SELECT pg_catalog.pg_size_bytes(nullif(pg_catalog.current_setting("
		     "'neon.max_cluster_size', true), '')), (SELECT sum(pg_catalog.pg_database_size(oid))"
		     "::pg_catalog.int8 FROM pg_catalog.pg_database WHERE datallowconn AND "
		     "pg_catalog.has_database_privilege(oid, 'CONNECT'))",
		     &res, e))
		return -1;
	int64_t most = PQgetisnull(res, 0, 0) ? 0 : strtoll(PQgetvalue(res, 0, 0), NULL, 10);
	uint64_t has = strtoull(PQgetvalue(res, 0, 1), NULL, 10);

	ret->fits = most <= 0 || has + needed <= (uint64_t)most;
	if (most <= 0)
		text_addf(&ret->text, "this server tells no size limit; the source takes %s, indexes included",
			  human_bytes(more, needed));
	else
		text_addf(&ret->text,
			  "the project may hold %s, %s of it is used; the source takes %s, indexes included%s",
			  human_bytes(limit, (uint64_t)most), human_bytes(used, has),
			  human_bytes(more, needed),
			  ret->fits ? ""
				    : ": raise the limit, or leave tables out with --exclude-table");
	return text_check(&ret->text, e);
}

int room_here(const char *folder, uint64_t needed, struct room *ret, struct err *e)
{
	struct statvfs fs;
	char bytes[HUMAN_LEN], more[HUMAN_LEN];

	if (statvfs(folder, &fs) < 0)
		return err_sys(e, ERR_DISK, errno, "cannot look at %s", folder);
	uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	ret->fits = free_bytes >= needed;
	text_addf(&ret->text,
		  "%s free in %s for a run folder; the source takes %s, indexes included, before "
		  "it is compressed%s",
		  human_bytes(bytes, free_bytes), folder, human_bytes(more, needed),
		  ret->fits
			  ? ""
			  : ": name a larger disk with --run-dir, or bound it with --spill-limit");
	return text_check(&ret->text, e);
}
