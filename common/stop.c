#include "common/stop.h"

#include "common/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int stop_init(struct stop *s, struct err *e)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int drain_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int sys_errno = errno;

	if (fd < 0 || drain_fd < 0) {
		if (fd >= 0)
			close(fd);
		if (drain_fd >= 0)
			close(drain_fd);
		return err_sys(e, ERR_INTERNAL, sys_errno, "cannot make an eventfd");
	}
	atomic_init(&s->level, STOP_NO);
	s->fd = fd;
	s->drain_fd = drain_fd;
	return 0;
}

void stop_done(struct stop *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->drain_fd >= 0)
		close(s->drain_fd);
	s->fd = -1;
	s->drain_fd = -1;
}

/* Nobody ever reads the descriptors, so once written they stay readable. */
static void make_readable(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Called from signal handlers: only write() and atomics, errno kept. */
void stop_ask(struct stop *s, enum stop_level level)
{
	int sys_errno = errno;
	int before = atomic_load(&s->level);

	while (before < (int)level && !atomic_compare_exchange_weak(&s->level, &before, (int)level))
		;
	if (level >= STOP_DRAIN)
		make_readable(s->drain_fd);
	if (level >= STOP_NOW)
		make_readable(s->fd);
	errno = sys_errno;
}

enum stop_level stop_level(const struct stop *s)
{
	return (enum stop_level)atomic_load(&s->level);
}

int stop_err(struct err *e)
{
	return err_set(e, ERR_STOPPED, "stopped on request");
}

int stop_sleep(struct stop *s, uint64_t ms, struct err *e)
{
	uint64_t deadline = clock_deadline(ms);
	struct pollfd wake = { .fd = s ? s->drain_fd : -1, .events = POLLIN };

	for (;;) {
		int n = poll(&wake, 1, clock_left(deadline));

		if (n > 0)
			return stop_err(e);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_INTERNAL, errno, "cannot wait");
		if (clock_left(deadline) == 0)
			return 0;
	}
}
