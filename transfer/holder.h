/*
 * holder - the small process that keeps one snapshot of the source alive.
 *
 * A session leader of its own, deaf to SIGINT and SIGHUP, so that the death of the copier (kill -9,
 * out of memory, a closed terminal) does not lose the snapshot. It locks each table in ACCESS SHARE
 * mode, exports the snapshot (REPEATABLE READ) after that, and compares oid and relfilenode with
 * what it was given. An exported snapshot alone does not protect: after another session's TRUNCATE
 * or VACUUM FULL the old snapshot reads too few rows without an error. The locks stay with the
 * snapshot.
 *
 * It ends when it is asked to, when its connection is lost, or after its time to live.
 *
 * FILES	<dir>/holder.json: pid, backend pid, snapshot, LSN; <dir>/holder.lock: locked by the
 *		holder while it lives (a record lock, which names its pid), so that no stale pid is ever believed;
 *		<dir>/holder.log: its last words.
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

struct holder_relation {
	const char *qname; /* quoted */
	uint32_t oid, relfilenode;
};

/* What the holder tells while it waits for locks; a sentence. */
typedef void holder_note_fn(void *ctx, const char *sentence);

/*
 * Starts a holder process and waits until its snapshot stands. A table that vanished or changed
 * since it was listed: next is ERR_RETRY, list again. Too many tables for the server's lock table:
 * ERR_REFUSED with the setting and the value needed. Waits as long as a lock is not given, telling
 * note() who holds it.
 */
int holder_start(const char *dir, const struct conn *source, const char *run,
		 const struct holder_relation *relations, int n, uint64_t ttl_ms, struct stop *stop,
		 holder_note_fn *note, void *ctx, struct holder_info *ret, struct err *e) MUST_CHECK;

/*
 * 1 with *ret when a holder of this folder lives and its snapshot can still be imported (tried in a
 * transaction of pg, rolled back); 0 when not. pg has no transaction open.
 */
int holder_find(const char *dir, struct pg *pg, struct holder_info *ret, struct err *e) MUST_CHECK;

/* True while a holder of this folder lives, by its lock. */
bool holder_lives(const char *dir);

/* Asks it to end and waits some seconds for it. None is fine. */
void holder_release(const char *dir);

/*
 * The holder process itself: reads its task as JSON from standard input, answers on standard output.
 * Called by main() for the hidden command "__hold" only. Returns the exit status.
 */
int holder_main(void);

#endif
