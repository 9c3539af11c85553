/*
 * budget - bytes of memory for rows in flight, shared by all threads of a run.
 *
 * budget_take() waits until the bytes fit; this is the back-pressure from slow senders to fast
 * readers. A request is admitted alone when it is larger than the whole budget, so that a huge
 * row is slow but never stuck.
 *
 * ORDER	none: what fits is admitted, so a huge request does not hold up small ones.
 * LIMIT	Whoever holds bytes already uses budget_try_take() for more, and gives back what it
 *		holds if that fails: waiting for others while they wait for it would be for ever.
 * THREADS	any. Nobody may hold a lock across budget_take().
 * END		budget_abort() wakes all waiters with ERR_STOPPED.
 */
#ifndef COMMON_BUDGET_H
#define COMMON_BUDGET_H

#include "common/err.h"

#include <stdint.h>

struct budget;

int budget_new(struct budget **ret, uint64_t bytes, struct err *e) MUST_CHECK;
void budget_free(struct budget *b);
int budget_take(struct budget *b, uint64_t bytes, struct err *e) MUST_CHECK;
bool budget_try_take(struct budget *b, uint64_t bytes) MUST_CHECK;
void budget_give(struct budget *b, uint64_t bytes);
void budget_abort(struct budget *b);
uint64_t budget_used(struct budget *b);
uint64_t budget_size(const struct budget *b);

#endif
