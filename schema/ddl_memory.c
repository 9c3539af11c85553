#include "schema/ddl_memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Parallel workers beyond this bring little and cost memory. */
#define WORKERS_MAX 7
/* A compute unit of Neon: one CPU and this much memory. */
#define MEMORY_PER_CPU ((int64_t)4 << 30)

/*
 * effective_cache_size counts only where somebody has set it: its default (4 GB) says nothing.
 * shared_buffers is a quarter of memory by common advice.
 */
static const char server_sql[] =
	"SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')),"
	" CASE WHEN (SELECT source FROM pg_catalog.pg_settings WHERE name = 'effective_cache_size')"
	" = 'default' THEN 0 ELSE"
	" pg_catalog.pg_size_bytes(pg_catalog.current_setting('effective_cache_size')) END,"
	" pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')),"
	" pg_catalog.current_setting('max_worker_processes'),"
	" pg_catalog.current_setting('max_parallel_workers'),"
	" (SELECT reset_val FROM pg_catalog.pg_settings"
	" WHERE name = 'max_parallel_maintenance_workers'),"
	" coalesce(pg_catalog.current_setting('neon.endpoint_id', true),"
	" pg_catalog.current_setting('neon.timeline_id', true),"
	" (SELECT extname::text FROM pg_catalog.pg_extension WHERE extname = 'neon_utils'))";

static int64_t number(const PGresult *res, int column)
{
	return strtoll(PQgetvalue(res, 0, column), NULL, 10);
}

/* 0 where neon_utils is not to be had: a role may lack the right to create it. */
static int ask_neon(struct pg *pg, int *ret_cpus, struct err *e)
{
	AUTO(free) char *there = NULL, *call = NULL, *cpus = NULL;
	struct err refused = ERR_INIT;

	*ret_cpus = 0;
	if (pg_value(pg,
		     "SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = 'neon_utils'",
		     &there, e) < 0)
		return -1;
	if (!there)
		return 0;
	if (pg_exec(pg,
		    "BEGIN; SET LOCAL search_path = public;"
		    " CREATE EXTENSION IF NOT EXISTS neon_utils",
		    &refused) == 0 &&
	    pg_value(pg,
		     "SELECT pg_catalog.format('SELECT %I.num_cpus()', n.nspname) FROM"
		     " pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n"
		     " ON n.oid = x.extnamespace WHERE x.extname = 'neon_utils'",
		     &call, &refused) == 0 &&
	    call && pg_value(pg, call, &cpus, &refused) == 0 && cpus)
		*ret_cpus = atoi(cpus);
	pg_rollback(pg);
	if (pg_is_alive(pg))
		return 0;
	*e = refused;
	return -1;
}

int ddl_memory_server(struct pg *pg, struct ddl_server *ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	struct ddl_server server = { 0 };

	if (pg_query(pg, server_sql, &res, e) < 0)
		return err_note(e, "asking the target for its memory");
	server.memory = number(res, 0) * 4;
	if (number(res, 1) / 3 * 4 > server.memory)
		server.memory = number(res, 1) / 3 * 4;
	server.work_mem = number(res, 2);
	server.max_workers =
		(int)(number(res, 3) < number(res, 4) ? number(res, 3) : number(res, 4));
	server.own_workers = (int)number(res, 5);
	if (!PQgetisnull(res, 0, 6)) {
		if (ask_neon(pg, &server.cpus, e) < 0)
			return err_note(e, "asking the target for its processors");
		if (server.cpus > 0)
			server.memory = server.cpus * MEMORY_PER_CPU;
	} else if (pg_is_local(pg)) {
		server.cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	}
	*ret = server;
	return 0;
}

/* Bytes of one vector, header included, as pgvector stores it. */
static int64_t value_bytes(const struct ddl_vector_index *index)
{
	int64_t d = index->dimensions;

	switch (index->kind) {
	case DDL_HALFVEC:
		return 8 + 2 * d;
	case DDL_BIT:
		return 8 + d / 8;
	case DDL_SPARSEVEC: /* how many are not zero is not known; pgvector's limit is 1,000 */
		return 16 + 8 * (d < 1000 ? d : 1000);
	default:
		return 8 + 4 * d;
	}
}

int64_t ddl_memory_need(const struct ddl_vector_index *index)
{
	int64_t value = (value_bytes(index) + 7) / 8 * 8;

	if (index->is_hnsw) /* measured with m = 16: 790 bytes of graph beside the value */
		return index->rows * (value + 790 + 32 * (index->m - 16)) / 100 * 105;
	/* IVFFlat: samples for k-means, and the centers with their bounds. */
	int64_t samples = index->lists * 50LL > 10000 ? index->lists * 50LL : 10000;
	if (samples > index->rows)
		samples = index->rows;
	return (samples + 3LL * index->lists) * value + samples * index->lists * 8;
}

int64_t ddl_memory_grant(const struct ddl_server *server, int64_t need)
{
	int64_t most = server->memory / 100 * DDL_MEMORY_SHARE;

	/* What the server gives everybody is safe too. */
	if (most < server->work_mem)
		most = server->work_mem;
	if (most > DDL_MEMORY_MAX)
		most = DDL_MEMORY_MAX;
	if (need < most)
		most = need;
	return most < DDL_MEMORY_MIN ? DDL_MEMORY_MIN : most;
}

/* More workers than processors make a build slower than none: 0.8 times the speed with 7 on 2. */
int ddl_memory_workers(const struct ddl_server *server)
{
	int workers = server->cpus > 0 ? server->cpus - 1 : server->own_workers;

	if (workers > server->max_workers)
		workers = server->max_workers;
	return workers < 0 ? 0 : workers > WORKERS_MAX ? WORKERS_MAX : workers;
}
