/*
 * input - the bytes of a file, or of memory, in order.
 *
 * A file is read with pread() into a buffer, never mapped: an I/O error or a file that shrinks
 * under us is an error value, not a signal.
 *
 * INVARIANT	Nothing is allocated or read beyond the size that the file had when it was opened.
 * OWNER	The struct is embedded; input_done() also after a failed input_open().
 */
#ifndef TRANSFER_INPUT_H
#define TRANSFER_INPUT_H

#include "common/err.h"

#include <stdint.h>

struct input {
	int fd;           /* -1: memory */
	const char *data; /* the memory, or what is buffered of the file */
	char *buf;
	size_t cap, at, held;  /* data[at..held) is not yet taken */
	uint64_t offset, size; /* of the file: next byte to read; its length */
};

/* ERR_DISK on failure. A symbolic link is refused. */
int input_open(struct input *in, const char *path, struct err *e) MUST_CHECK;
void input_memory(struct input *in, const void *data, size_t len);
void input_done(struct input *in);

/* The next n bytes, valid until the next call. Fewer left: ERR_DISK. */
int input_take(struct input *in, size_t n, const char **ret, struct err *e) MUST_CHECK;

/* The last n bytes of all, wherever the reading stands. */
int input_end(struct input *in, char *ret, size_t n, struct err *e) MUST_CHECK;

/* Bytes that are not yet taken. */
uint64_t input_left(const struct input *in);

#endif
