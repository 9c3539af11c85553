#include "common/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}

uint64_t clock_deadline(uint64_t ms)
{
	uint64_t now = clock_ms();

	return ms >= CLOCK_NEVER - now ? CLOCK_NEVER : now + ms;
}

int clock_left(uint64_t deadline)
{
	uint64_t now;

	if (deadline == CLOCK_NEVER)
		return -1;
	now = clock_ms();
	if (deadline <= now)
		return 0;
	return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

bool clock_join(pthread_t thread, uint64_t wait_ms)
{
	static const struct timespec moment = { .tv_nsec = 5 * 1000 * 1000 };
	uint64_t until = clock_deadline(wait_ms);

	while (pthread_tryjoin_np(thread, NULL) == EBUSY) {
		if (clock_left(until) == 0)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

void clock_iso(char *buf)
{
	struct timespec now;
	struct tm utc;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = strftime(buf, CLOCK_ISO_LEN, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(buf + len, CLOCK_ISO_LEN - len, ".%03uZ",
		 (unsigned)(now.tv_nsec / 1000000) % 1000);
}

static uint64_t random_below(uint64_t limit)
{
	uint64_t value;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != (ssize_t)sizeof(value))
		value = clock_us();
	return value % limit;
}

uint64_t clock_backoff(unsigned attempt, uint64_t base_ms, uint64_t cap_ms)
{
	uint64_t wait = base_ms;

	for (unsigned i = 1; i < attempt && wait < cap_ms; i++)
		wait = wait > cap_ms / 2 ? cap_ms : wait * 2;
	if (wait > cap_ms)
		wait = cap_ms;
	return wait - random_below(wait / 2 + 1);
}
