#include "transfer/blockio.h"

#include "transfer/shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct blockio {
	int fd;
	bool want_direct, direct;
	char *buf;
	size_t cap, held; /* held: bytes in buf that are not written */
	uint64_t written; /* bytes of the file before buf */
};

int blockio_new(struct blockio **ret, size_t buffer, struct err *e)
{
	struct blockio *b = calloc(1, sizeof(*b));

	if (!b)
		return err_nomem(e);
	b->fd = -1;
	b->cap = buffer;
	b->want_direct = true;
	b->buf = shelf_buffer(buffer);
	if (!b->buf) {
		free(b);
		return err_nomem(e);
	}
	*ret = b;
	return 0;
}

void blockio_set_direct(struct blockio *b, bool direct)
{
	b->want_direct = direct;
}

void blockio_free(struct blockio *b)
{
	if (!b)
		return;
	blockio_close(b);
	free(b->buf);
	free(b);
}

void blockio_close(struct blockio *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

int blockio_fail(int error, const char *what, struct err *e)
{
	err_sys(e, ERR_DISK, error, "cannot %s a spill file", what);
	if (error == ENOSPC || error == EDQUOT) {
		e->next = ERR_RETRY;
		return err_hint(e, "free space on the spill folder's disk, or bound the spill with "
				   "--spill-limit");
	}
	if (error == EROFS || error == EACCES || error == EPERM)
		return err_hint(e, "make the spill folder writable, or choose another place with "
				   "--run-dir");
	if (error == EIO)
		return err_hint(e,
				"the disk of the spill folder fails: use another with --run-dir");
	return -1;
}

static int fail(struct blockio *b, int error, const char *what, struct err *e)
{
	blockio_close(b);
	return blockio_fail(error, what, e);
}

static int open_file(struct blockio *b, int dir_fd, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;

	b->direct = b->want_direct;
	if (b->direct)
		b->fd = openat(dir_fd, name, flags | O_DIRECT, 0600);
	if (b->fd < 0 && (!b->direct || errno == EINVAL)) {
		b->direct = false;
		b->fd = openat(dir_fd, name, flags, 0600);
	}
	return b->fd < 0 ? errno : 0;
}

/*
 * Locks the file: 0, or EAGAIN where somebody had locked and removed it as stale meanwhile. Where a
 * file system has no locks, nobody takes it for stale either.
 */
static int lock_file(struct blockio *b)
{
	struct stat st;

	while (flock(b->fd, LOCK_EX) && errno == EINTR)
		;
	return fstat(b->fd, &st) || st.st_nlink ? 0 : EAGAIN;
}

int blockio_open(struct blockio *b, int dir_fd, const char *name, struct err *e)
{
	int error;

	b->held = 0;
	b->written = 0;
	do {
		blockio_close(b);
		error = open_file(b, dir_fd, name);
		if (!error)
			error = lock_file(b);
	} while (error == EAGAIN);
	return error ? fail(b, error, "create", e) : 0;
}

bool blockio_remove_stale(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool gone;

	if (fd < 0)
		return false;
	gone = !flock(fd, LOCK_EX | LOCK_NB) && !unlinkat(dir_fd, name, 0);
	close(fd);
	return gone;
}

/* From here on the file is written through the page cache. */
static int leave_direct(struct blockio *b)
{
	int flags = fcntl(b->fd, F_GETFL);

	b->direct = false;
	return flags < 0 ? -1 : fcntl(b->fd, F_SETFL, flags & ~O_DIRECT);
}

static int write_all(struct blockio *b, const char *data, size_t len, struct err *e)
{
	while (len) {
		ssize_t n = pwrite(b->fd, data, len, (off_t)b->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL && b->direct && !leave_direct(b))
			continue;
		if (n <= 0)
			return fail(b, n ? errno : EIO, "write", e);
		data += n;
		len -= (size_t)n;
		b->written += (uint64_t)n;
	}
	return 0;
}

static int flush_blocks(struct blockio *b, struct err *e)
{
	size_t whole = b->held - b->held % BLOCKIO_ALIGN;

	if (write_all(b, b->buf, whole, e))
		return -1;
	b->held -= whole;
	memmove(b->buf, b->buf + whole, b->held);
	return 0;
}

int blockio_reserve(struct blockio *b, size_t n, char **ret, struct err *e)
{
	if (n > b->cap - b->held && flush_blocks(b, e))
		return -1;
	if (n > b->cap - b->held)
		return err_set(e, ERR_INTERNAL, "%zu bytes do not fit the spill buffer", n);
	*ret = b->buf + b->held;
	return 0;
}

void blockio_commit(struct blockio *b, size_t n)
{
	b->held += n;
}

uint64_t blockio_size(const struct blockio *b)
{
	return b->written + b->held;
}

int blockio_finish(struct blockio *b, struct err *e)
{
	bool direct;

	if (flush_blocks(b, e))
		return -1;
	direct = b->direct;
	if (b->held && b->direct && leave_direct(b))
		return fail(b, errno, "write", e);
	if (write_all(b, b->buf, b->held, e))
		return -1;
	b->held = 0;
	if (fdatasync(b->fd))
		return fail(b, errno, "sync", e);
	b->direct = direct;
	return 0;
}

bool blockio_is_direct(const struct blockio *b)
{
	return b->direct;
}
