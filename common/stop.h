/*
 * stop - the request to end, and the descriptor that wakes every wait.
 *
 * One per run. Anybody may ask; every wait in wait.h watches stop_fd() and returns at once when
 * it is readable. Level by level: STOP_DRAIN lets what is in flight finish, STOP_NOW does not.
 *
 * THREADS	all functions from any thread; stop_ask() also from a signal handler.
 */
#ifndef COMMON_STOP_H
#define COMMON_STOP_H

#include "common/err.h"

#include <stdatomic.h>
#include <stdint.h>

enum stop_level { STOP_NO = 0, STOP_DRAIN, STOP_NOW };

struct stop {
	atomic_int level;
	int fd; /* eventfd: readable from STOP_NOW on */
	int drain_fd; /* eventfd: readable from STOP_DRAIN on */
};

int stop_init(struct stop *s, struct err *e) MUST_CHECK;
void stop_done(struct stop *s);
void stop_ask(struct stop *s, enum stop_level level); /* never lowers the level */
enum stop_level stop_level(const struct stop *s);

/* ERR_STOPPED into *e. Returns -1. */
int stop_err(struct err *e);

/* Sleeps ms, or until STOP_DRAIN is asked (s may be NULL). Returns 0, or -1 with ERR_STOPPED. */
int stop_sleep(struct stop *s, uint64_t ms, struct err *e) MUST_CHECK;

#endif
