#include "common/budget.h"

#include "common/stop.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct budget {
	uint64_t bytes;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t given;
	uint64_t used;
	bool aborted;
};

int budget_new(struct budget **ret, uint64_t bytes, struct err *e)
{
	struct budget *b = calloc(1, sizeof(*b));

	if (!b)
		return err_nomem(e);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->given, NULL);
	b->bytes = bytes;
	*ret = b;
	return 0;
}

void budget_free(struct budget *b)
{
	if (!b)
		return;
	pthread_cond_destroy(&b->given);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static bool fits(const struct budget *b, uint64_t bytes)
{
	return b->used == 0 || (bytes <= b->bytes && b->used <= b->bytes - bytes);
}

int budget_take(struct budget *b, uint64_t bytes, struct err *e)
{
	bool aborted;

	pthread_mutex_lock(&b->lock);
	while (!b->aborted && !fits(b, bytes))
		pthread_cond_wait(&b->given, &b->lock);
	aborted = b->aborted;
	if (!aborted)
		b->used += bytes;
	pthread_mutex_unlock(&b->lock);
	return aborted ? stop_err(e) : 0;
}

bool budget_try_take(struct budget *b, uint64_t bytes)
{
	bool taken;

	pthread_mutex_lock(&b->lock);
	taken = !b->aborted && fits(b, bytes);
	if (taken)
		b->used += bytes;
	pthread_mutex_unlock(&b->lock);
	return taken;
}

/* Wakes everybody: what the first waiter wants may not fit while a later one's does. */
void budget_give(struct budget *b, uint64_t bytes)
{
	pthread_mutex_lock(&b->lock);
	assert(bytes <= b->used);
	b->used = bytes <= b->used ? b->used - bytes : 0;
	pthread_cond_broadcast(&b->given);
	pthread_mutex_unlock(&b->lock);
}

void budget_abort(struct budget *b)
{
	pthread_mutex_lock(&b->lock);
	b->aborted = true;
	pthread_cond_broadcast(&b->given);
	pthread_mutex_unlock(&b->lock);
}

uint64_t budget_used(struct budget *b)
{
	uint64_t used;

	pthread_mutex_lock(&b->lock);
	used = b->used;
	pthread_mutex_unlock(&b->lock);
	return used;
}

uint64_t budget_size(const struct budget *b)
{
	return b->bytes;
}
