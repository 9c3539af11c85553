/*
 * queue - first in, first out, of items between threads; bounded in bytes.
 *
 * LIMIT	A push waits while the held bytes plus the item's would pass max_bytes. An empty queue
 *		takes any item, so one larger than the limit is slow but never stuck.
 * END		queue_close(): no more pushes; pops drain what is held, then QUEUE_END.
 *		queue_abort(): pushes and pops return QUEUE_STOPPED at once; what is held is freed by
 *		queue_free(). Both idempotent, from any thread.
 * ORDER	FIFO. With several consumers, none across items.
 * LOCKS	One leaf mutex. Callers hold no lock: push and pop may wait.
 */
#ifndef COMMON_QUEUE_H
#define COMMON_QUEUE_H

#include "common/err.h"

#include <stdint.h>

struct queue;

enum queue_result { QUEUE_OK, QUEUE_END, QUEUE_STOPPED };

/* free_item is called by queue_free() for what is still held. Sets *ret on 0. */
int queue_new(struct queue **ret, uint64_t max_bytes, void (*free_item)(void *), struct err *e)
	MUST_CHECK;
void queue_free(struct queue *q);

/* On QUEUE_OK the queue owns the item; otherwise the caller keeps it. */
enum queue_result queue_push(struct queue *q, void *item, uint64_t bytes) MUST_CHECK;

/* As queue_push(), but never waits: false when there is no room or the queue ended. */
bool queue_try_push(struct queue *q, void *item, uint64_t bytes) MUST_CHECK;

/* On QUEUE_OK sets *ret_item, which the caller then owns. Waits while empty. */
enum queue_result queue_pop(struct queue *q, void **ret_item) MUST_CHECK;

void queue_close(struct queue *q);
void queue_abort(struct queue *q);

/* Bytes and items held now; for display. */
void queue_stats(struct queue *q, uint64_t *ret_bytes, uint64_t *ret_items);

#endif
