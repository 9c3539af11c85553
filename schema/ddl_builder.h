/*
 * ddl_builder - the sessions that build what ddl_build hands out. Private to schema/ddl*.
 *
 * OWNER	ddl_builder_end() ends and frees it.
 * THREADS	`jobs` threads, one for vector indexes, one that passes the run's stop on. The first
 *		error ends the others (their statements are cancelled); on_failure is called then, from
 *		that thread.
 */
#ifndef SCHEMA_DDL_BUILDER_H
#define SCHEMA_DDL_BUILDER_H

#include "schema/ddl_build.h"

struct ddl_builder;

/* The queue (taken over, also on error) is filled; server: as ddl_memory_server() found it. */
int ddl_builder_start(struct ddl_builder **ret, const struct ddl *d, struct ddl_build *queue,
		      const struct ddl_server *server, void (*on_failure)(void *ctx), void *ctx,
		      struct err *e) MUST_CHECK;
/*
 * Waits until all is built; stop: cancels and waits for the threads only, and the error, if there is
 * one, is that of before. b may be NULL.
 */
int ddl_builder_end(struct ddl_builder *b, bool stop, struct err *e) MUST_CHECK;

#endif
