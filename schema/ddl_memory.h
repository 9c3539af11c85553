/*
 * ddl_memory - how much memory and how many workers an index build may have in this target.
 * Private to schema/ddl*.
 *
 * pgvector's parallel builds allocate all of maintenance_work_mem as one block of shared memory at
 * the start; past it the build of HNSW becomes many times slower. So: what the graph needs, but
 * never more than DDL_MEMORY_SHARE percent of the server's memory, which is estimated.
 */
#ifndef SCHEMA_DDL_MEMORY_H
#define SCHEMA_DDL_MEMORY_H

#include "common/pg.h"

#define DDL_MEMORY_SHARE 55 /* percent */
#define DDL_MEMORY_MIN   ((int64_t)64 << 20)
#define DDL_MEMORY_MAX   ((int64_t)8 << 30)

/* What is known of the server. */
struct ddl_server {
	int64_t memory;   /* bytes, estimated */
	int64_t work_mem; /* its maintenance_work_mem */
	int cpus;         /* 0: not known */
	int max_workers;  /* parallel workers that it can start at all */
	int own_workers;  /* what it gives a build by itself: for where cpus is not known */
};

/*
 * Processors: as Neon's trusted extension neon_utils tells them (made in a transaction that is
 * rolled back where it is not there), or this machine's where the server is on it. Outside a
 * transaction.
 */
int ddl_memory_server(struct pg *pg, struct ddl_server *ret, struct err *e) MUST_CHECK;

/* A vector index about to be built. */
enum ddl_vector_kind { DDL_VECTOR, DDL_HALFVEC, DDL_BIT, DDL_SPARSEVEC };
struct ddl_vector_index {
	bool is_hnsw; /* else ivfflat */
	enum ddl_vector_kind kind;
	int dimensions;
	int m;     /* HNSW */
	int lists; /* IVFFlat */
	int64_t rows;
};

/* Bytes that the build needs so that it never has to leave memory. */
int64_t ddl_memory_need(const struct ddl_vector_index *index);
/* maintenance_work_mem for it: need, within the bounds above. */
int64_t ddl_memory_grant(const struct ddl_server *server, int64_t need);
/* max_parallel_maintenance_workers for it. */
int ddl_memory_workers(const struct ddl_server *server);

#endif
