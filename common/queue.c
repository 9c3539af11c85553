#include "common/queue.h"

#include <pthread.h>
#include <stdlib.h>

#define FIRST_SLOTS 16

struct slot {
	void *item;
	uint64_t bytes;
};

enum state { OPEN, CLOSED, ABORTED };

struct queue {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t room;  /* something was taken out, or the state changed */
	pthread_cond_t more;  /* something was put in, or the state changed */
	enum state state;
	uint64_t max_bytes, bytes;
	struct slot *ring; /* n items from first on, wrapping around */
	size_t slots, first, n;
	void (*free_item)(void *);
};

int queue_new(struct queue **ret, uint64_t max_bytes, void (*free_item)(void *), struct err *e)
{
	struct queue *q = calloc(1, sizeof(*q));
	struct slot *ring = calloc(FIRST_SLOTS, sizeof(*ring));

	if (!q || !ring) {
		free(q);
		free(ring);
		return err_nomem(e);
	}
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->room, NULL);
	pthread_cond_init(&q->more, NULL);
	q->max_bytes = max_bytes;
	q->ring = ring;
	q->slots = FIRST_SLOTS;
	q->free_item = free_item;
	*ret = q;
	return 0;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->n; i++) {
		if (q->free_item)
			q->free_item(q->ring[(q->first + i) % q->slots].item);
	}
	pthread_cond_destroy(&q->more);
	pthread_cond_destroy(&q->room);
	pthread_mutex_destroy(&q->lock);
	free(q->ring);
	free(q);
}

/* Doubles the ring. False when memory ends: the queue then counts as full until something leaves.
 */
static bool grow(struct queue *q)
{
	struct slot *ring = calloc(q->slots * 2, sizeof(*ring));

	if (!ring)
		return false;
	for (size_t i = 0; i < q->n; i++)
		ring[i] = q->ring[(q->first + i) % q->slots];
	free(q->ring);
	q->ring = ring;
	q->slots *= 2;
	q->first = 0;
	return true;
}

static bool has_room(struct queue *q, uint64_t bytes)
{
	if (q->n == 0)
		return true;
	if (bytes > q->max_bytes || q->bytes > q->max_bytes - bytes)
		return false;
	return q->n < q->slots || grow(q);
}

static void put(struct queue *q, void *item, uint64_t bytes)
{
	q->ring[(q->first + q->n) % q->slots] = (struct slot){ item, bytes };
	q->n++;
	q->bytes += bytes;
	pthread_cond_signal(&q->more);
}

static enum queue_result push_result(const struct queue *q)
{
	if (q->state == OPEN)
		return QUEUE_OK;
	return q->state == CLOSED ? QUEUE_END : QUEUE_STOPPED;
}

enum queue_result queue_push(struct queue *q, void *item, uint64_t bytes)
{
	enum queue_result result;

	pthread_mutex_lock(&q->lock);
	while (q->state == OPEN && !has_room(q, bytes))
		pthread_cond_wait(&q->room, &q->lock);
	result = push_result(q);
	if (result == QUEUE_OK)
		put(q, item, bytes);
	pthread_mutex_unlock(&q->lock);
	return result;
}

bool queue_try_push(struct queue *q, void *item, uint64_t bytes)
{
	bool done;

	pthread_mutex_lock(&q->lock);
	done = q->state == OPEN && has_room(q, bytes);
	if (done)
		put(q, item, bytes);
	pthread_mutex_unlock(&q->lock);
	return done;
}

/* Wakes every waiting push: the first may want more room than there is, the next may not. */
static void *take(struct queue *q)
{
	struct slot out = q->ring[q->first];

	q->first = (q->first + 1) % q->slots;
	q->n--;
	q->bytes -= out.bytes;
	pthread_cond_broadcast(&q->room);
	return out.item;
}

enum queue_result queue_pop(struct queue *q, void **ret_item)
{
	enum queue_result result = QUEUE_OK;

	pthread_mutex_lock(&q->lock);
	while (q->state == OPEN && q->n == 0)
		pthread_cond_wait(&q->more, &q->lock);
	if (q->state == ABORTED)
		result = QUEUE_STOPPED;
	else if (q->n == 0)
		result = QUEUE_END;
	else
		*ret_item = take(q);
	pthread_mutex_unlock(&q->lock);
	return result;
}

/* The state only rises. */
static void end(struct queue *q, enum state state)
{
	pthread_mutex_lock(&q->lock);
	if (q->state < state)
		q->state = state;
	pthread_cond_broadcast(&q->room);
	pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->lock);
}

void queue_close(struct queue *q)
{
	end(q, CLOSED);
}

void queue_abort(struct queue *q)
{
	end(q, ABORTED);
}

void queue_stats(struct queue *q, uint64_t *ret_bytes, uint64_t *ret_items)
{
	pthread_mutex_lock(&q->lock);
	*ret_bytes = q->bytes;
	*ret_items = q->n;
	pthread_mutex_unlock(&q->lock);
}
