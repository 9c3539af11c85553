/*
 * outbox - sealed chunks on their way to the senders; those in memory go first.
 *
 * Never blocks the one who puts: what is in memory is bounded by the budget, what is on disk is only
 * a name here. Preferring memory keeps bytes from being read back that need not be.
 *
 * END		outbox_close(): takes drain what is held, then QUEUE_END. outbox_abort(): QUEUE_STOPPED
 *		at once; what is held is freed by outbox_free().
 * THREADS	any; one leaf mutex.
 */
#ifndef TRANSFER_OUTBOX_H
#define TRANSFER_OUTBOX_H

#include "common/queue.h"
#include "transfer/chunk.h"

struct outbox;

int outbox_new(struct outbox **ret, struct err *e) MUST_CHECK;
void outbox_free(struct outbox *o);

/* Takes the chunk over, always. */
void outbox_put(struct outbox *o, struct chunk *c);
/* On QUEUE_OK the caller owns *ret. Waits while there is nothing. */
enum queue_result outbox_take(struct outbox *o, struct chunk **ret) MUST_CHECK;

void outbox_close(struct outbox *o);
void outbox_abort(struct outbox *o);
/* Bytes held in memory, and chunks in all. */
void outbox_stats(struct outbox *o, uint64_t *ret_bytes, uint64_t *ret_chunks);

#endif
