/*
 * holder - the small process that keeps one snapshot of the source alive.
 *
 * A session leader of its own, deaf to SIGINT and SIGHUP, so that the death of the copier (kill -9,
 * out of memory, a closed terminal) does not lose the snapshot. It lists the tables, locks each in
 * ACCESS SHARE mode, exports the snapshot (REPEATABLE READ), lists again and compares oid,
 * relfilenode and columns. An exported snapshot alone does not protect: after another session's
 * TRUNCATE or VACUUM FULL the old snapshot reads too few rows without an error.
 *
 * It ends when it is asked to, when its connection is lost, or after its time to live.
 *
 * FILES	<dir>/holder.json: pid, backend pid, snapshot, LSN, relations; <dir>/holder.lock: locked
 *		by the holder while it lives, so liveness is never guessed from a pid.
 */
#ifndef TRANSFER_HOLDER_H
#define TRANSFER_HOLDER_H

#include "common/conn.h"

#include <jansson.h>

struct holder_info {
	char snapshot[64];
	char lsn[32]; /* pg_current_wal_lsn() at export, "" on a standby */
	int backend_pid;
	long pid;
};

/*
 * Starts a holder process for these relations (array of qualified quoted names, oids beside them) and
 * waits until its snapshot stands. Waiting for a lock is reported through note(). A table that
 * vanished or changed meanwhile: ERR_RETRY, list again.
 */
struct holder_relation {
	const char *qname;
	uint32_t oid, relfilenode;
};
int holder_start(const char *dir, const struct conn *source, const char *run,
		 const struct holder_relation *relations, int n, uint64_t ttl_ms, struct stop *stop,
		 void (*note)(void *ctx, const char *sentence), void *ctx,
		 struct holder_info *ret, struct err *e) MUST_CHECK;

/* 1 with *ret when a holder of this folder lives and its snapshot can still be imported by pg; else 0. */
int holder_find(const char *dir, struct pg *pg, struct holder_info *ret, struct err *e) MUST_CHECK;

/* Asks it to end and waits some seconds for it. Nothing to do is fine. */
void holder_release(const char *dir);

#endif
