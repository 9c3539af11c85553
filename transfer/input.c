#include "transfer/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Enough for most headers: a scan of many files reads no more. Then enough for a frame or two. */
#define SMALL ((size_t)16 << 10)
#define LARGE ((size_t)2 << 20)

static int cut_short(struct err *e)
{
	return err_set(e, ERR_DISK, "damaged spill file: it is cut short");
}

static int read_at(int fd, char *buf, size_t len, uint64_t offset, struct err *e)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_DISK, errno, "cannot read a spill file");
		if (!n)
			return cut_short(e);
		buf += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int input_open(struct input *in, const char *path, struct err *e)
{
	off_t size;

	/* O_NONBLOCK: a pipe that lies under the name must not hang us. */
	*in = (struct input){ .fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) };
	if (in->fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot open a spill file");
	size = lseek(in->fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(e, ERR_DISK, errno, "cannot read a spill file");
	in->size = (uint64_t)size;
	return 0;
}

void input_memory(struct input *in, const void *data, size_t len)
{
	*in = (struct input){ .fd = -1, .data = data, .held = len, .size = len };
}

void input_done(struct input *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
	free(in->buf);
	in->buf = NULL;
}

static int grow(struct input *in, size_t n, struct err *e)
{
	size_t cap = n <= SMALL ? SMALL : n <= LARGE ? LARGE : n;
	char *buf;

	if (cap > in->size)
		cap = (size_t)in->size;
	buf = realloc(in->buf, cap);
	if (!buf)
		return err_nomem(e);
	in->buf = buf;
	in->data = buf;
	in->cap = cap;
	return 0;
}

/* Makes n bytes available, n at most what is left of the file; reads as much as there is room. */
static int fill(struct input *in, size_t n, struct err *e)
{
	size_t have = in->held - in->at, want;

	if (n > in->cap && grow(in, n, e))
		return -1;
	memmove(in->buf, in->buf + in->at, have);
	in->at = 0;
	in->held = have;
	want = in->cap - have;
	if (want > in->size - in->offset)
		want = (size_t)(in->size - in->offset);
	if (read_at(in->fd, in->buf + have, want, in->offset, e))
		return -1;
	in->offset += want;
	in->held += want;
	return 0;
}

int input_take(struct input *in, size_t n, const char **ret, struct err *e)
{
	if (n > input_left(in))
		return cut_short(e);
	if (n > in->held - in->at && fill(in, n, e))
		return -1;
	*ret = in->data + in->at;
	in->at += n;
	return 0;
}

int input_end(struct input *in, char *ret, size_t n, struct err *e)
{
	if (n > in->size)
		return cut_short(e);
	if (in->fd >= 0)
		return read_at(in->fd, ret, n, in->size - n, e);
	memcpy(ret, in->data + in->held - n, n);
	return 0;
}

uint64_t input_left(const struct input *in)
{
	return in->held - in->at + (in->fd < 0 ? 0 : in->size - in->offset);
}
