/*
 * clock - monotonic milliseconds, deadlines, and backoff with jitter.
 *
 * All durations are uint64_t milliseconds. Wall-clock time is only for what people read.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX

uint64_t clock_ms(void); /* monotonic */
uint64_t clock_us(void); /* monotonic, microseconds */

/* Now + ms, or CLOCK_NEVER where ms is CLOCK_NEVER. */
uint64_t clock_deadline(uint64_t ms);

/* Milliseconds left for poll(): -1 for CLOCK_NEVER, 0 when passed. */
int clock_left(uint64_t deadline);

/*
 * pthread_join() for a while: false where the thread still runs after wait_ms. Only monotonic time
 * counts; the C library's own would wait for a day when the clock of the machine was set.
 */
bool clock_join(pthread_t thread, uint64_t wait_ms);

/* UTC as "2026-11-21T01:02:03.456Z". buf has at least CLOCK_ISO_LEN bytes. */
#define CLOCK_ISO_LEN 32
void clock_iso(char *buf);

/*
 * Wait before attempt number `attempt` (from 1): doubling from base_ms to cap_ms, of which a random
 * half is taken away, so that many clients do not come back at once.
 */
uint64_t clock_backoff(unsigned attempt, uint64_t base_ms, uint64_t cap_ms);

#endif
