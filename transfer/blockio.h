/*
 * blockio - writing one new file in large aligned blocks, past the page cache where possible.
 *
 * Buffered writing was the largest cost of the whole client in a prototype, and it pushes the
 * source server's own data out of the page cache. Blocks go out with O_DIRECT; a file system that
 * refuses (EINVAL at open or at a write) gets buffered writes from there on. The tail that fills no
 * block is always written buffered.
 *
 *   blockio_open(), then blockio_reserve() and blockio_commit() ..., blockio_finish(), rename,
 *   blockio_close()
 *
 * OWNER	One buffer, reused from file to file. After any error the file is closed: remove it.
 * THREADS	One.
 */
#ifndef TRANSFER_BLOCKIO_H
#define TRANSFER_BLOCKIO_H

#include "common/err.h"

#include <stdint.h>

#define BLOCKIO_ALIGN ((size_t)4096)

struct blockio;

/* buffer: bytes gathered before a write, a multiple of BLOCKIO_ALIGN. */
int blockio_new(struct blockio **ret, size_t buffer, struct err *e) MUST_CHECK;
void blockio_free(struct blockio *b);

/* Whether the next files try O_DIRECT; true at the beginning. */
void blockio_set_direct(struct blockio *b, bool direct);

/*
 * Creates name in the folder dir_fd, mode 0600, replacing what was there, and locks it until
 * blockio_close(). ERR_DISK on failure.
 */
int blockio_open(struct blockio *b, int dir_fd, const char *name, struct err *e) MUST_CHECK;

/* Room for n contiguous bytes, at most the buffer less one block; may write what is gathered. */
int blockio_reserve(struct blockio *b, size_t n, char **ret, struct err *e) MUST_CHECK;

/* The first n bytes of the room are part of the file. */
void blockio_commit(struct blockio *b, size_t n);

/* Bytes of the file so far. */
uint64_t blockio_size(const struct blockio *b);

/* Writes the rest and makes it durable (fdatasync). The file stays open and locked. */
int blockio_finish(struct blockio *b, struct err *e) MUST_CHECK;

/* Closes without further writing; nothing to do where no file is open. */
void blockio_close(struct blockio *b);

/*
 * Removes a file unless a living writer has it locked; true when it is gone. Where locks are not to
 * be had it stays.
 */
bool blockio_remove_stale(int dir_fd, const char *name);

/*
 * "cannot <what> a spill file": ERR_DISK, with its hint; a full disk is the one such error that
 * time may cure, so it is ERR_RETRY. Returns -1.
 */
int blockio_fail(int error, const char *what, struct err *e);

/* True while blocks of the present or last file went past the page cache. */
bool blockio_is_direct(const struct blockio *b);

#endif
