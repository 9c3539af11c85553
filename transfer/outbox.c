#include "transfer/outbox.h"

#include <pthread.h>
#include <stdlib.h>

struct item {
	struct item *next;
	struct chunk *chunk;
};

struct lane {
	struct item *head, **tail;
};

struct outbox {
	pthread_mutex_t mu;
	pthread_cond_t work;
	struct lane memory, disk;
	uint64_t bytes, chunks;
	bool closed, aborted;
};

int outbox_new(struct outbox **ret, struct err *e)
{
	struct outbox *o = calloc(1, sizeof(*o));

	if (!o)
		return err_nomem(e);
	pthread_mutex_init(&o->mu, NULL);
	pthread_cond_init(&o->work, NULL);
	o->memory.tail = &o->memory.head;
	o->disk.tail = &o->disk.head;
	*ret = o;
	return 0;
}

static struct chunk *pop(struct lane *l)
{
	struct item *first = l->head;
	struct chunk *c;

	if (!first)
		return NULL;
	l->head = first->next;
	if (!l->head)
		l->tail = &l->head;
	c = first->chunk;
	free(first);
	return c;
}

void outbox_free(struct outbox *o)
{
	struct chunk *c;

	if (!o)
		return;
	while ((c = pop(&o->memory)) || (c = pop(&o->disk)))
		chunk_free(c);
	pthread_cond_destroy(&o->work);
	pthread_mutex_destroy(&o->mu);
	free(o);
}

void outbox_put(struct outbox *o, struct chunk *c)
{
	struct lane *l = c->data ? &o->memory : &o->disk;
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		abort(); /* 16 bytes: nothing of the program could go on */
	item->chunk = c;
	pthread_mutex_lock(&o->mu);
	*l->tail = item;
	l->tail = &item->next;
	o->chunks++;
	o->bytes += c->data ? c->len : 0;
	pthread_cond_signal(&o->work);
	pthread_mutex_unlock(&o->mu);
}

enum queue_result outbox_take(struct outbox *o, struct chunk **ret)
{
	enum queue_result r = QUEUE_OK;
	struct chunk *c = NULL;

	pthread_mutex_lock(&o->mu);
	while (!o->aborted && !o->closed && !o->memory.head && !o->disk.head)
		pthread_cond_wait(&o->work, &o->mu);
	if (o->aborted) {
		r = QUEUE_STOPPED;
	} else if ((c = pop(&o->memory)) || (c = pop(&o->disk))) {
		o->chunks--;
		o->bytes -= c->data ? c->len : 0;
		*ret = c;
	} else {
		r = QUEUE_END;
	}
	pthread_mutex_unlock(&o->mu);
	return r;
}

static void end(struct outbox *o, bool *flag)
{
	pthread_mutex_lock(&o->mu);
	*flag = true;
	pthread_cond_broadcast(&o->work);
	pthread_mutex_unlock(&o->mu);
}

void outbox_close(struct outbox *o)
{
	end(o, &o->closed);
}

void outbox_abort(struct outbox *o)
{
	end(o, &o->aborted);
}

void outbox_stats(struct outbox *o, uint64_t *ret_bytes, uint64_t *ret_chunks)
{
	pthread_mutex_lock(&o->mu);
	*ret_bytes = o->bytes;
	*ret_chunks = o->chunks;
	pthread_mutex_unlock(&o->mu);
}
