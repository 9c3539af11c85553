/*
 * spill - chunks on disk: one file a chunk, self-describing, written once, checked on every read.
 *
 *   header   magic "NFSPILL1", header length, header JSON (format version, run, chunk id and
 *            predicate, format, rows, raw bytes, digests, parts, columns of the codec), XXH3-64
 *   frames   of about 1 MB raw: codec, raw length, stored length, XXH3-64 of the raw bytes, data
 *   trailer  magic, number of frames, XXH3-64 over all frame checksums
 *
 * Written under a temporary name, fdatasync, renamed, folder synced. Written with O_DIRECT in large
 * aligned blocks where the file system has it (buffered writes were the largest cost of the client
 * in a prototype), else buffered. Codecs: stored, zstd, and "plane": the exponent bytes of vector
 * columns first, then zstd of those and of everything else, mantissas stored as they are.
 *
 * INVARIANT	A file under its final name is complete. What does not check is never loaded.
 * THREADS	A spill_writer belongs to one thread (one zstd context). Reading is reentrant.
 * LIMIT	max_bytes of all files (--spill-limit), counted by the caller through spill_usage().
 */
#ifndef TRANSFER_SPILL_H
#define TRANSFER_SPILL_H

#include "transfer/chunk.h"

struct spill_writer;

enum spill_codec { SPILL_STORED = 0, SPILL_ZSTD = 1, SPILL_PLANE = 2 };

/* dir exists. level is zstd's. */
int spill_writer_new(struct spill_writer **ret, const char *dir, const char *run, int level,
		     struct err *e) MUST_CHECK;
void spill_writer_free(struct spill_writer *w);

/*
 * Writes c->data durably; sets c->file_bytes. vector_fields[0..n-1] are the field numbers (from 0)
 * of vector columns in the rows; n may be 0. Disk full is ERR_DISK with next ERR_RETRY: nothing of
 * the file is left behind, the caller may wait for space and call again.
 */
int spill_write(struct spill_writer *w, struct chunk *c, const int *vector_fields, int n,
		struct err *e) MUST_CHECK;

/* Path of a chunk's file in dir, malloc'ed. */
char *spill_path(const char *dir, const struct chunk *c);

/*
 * Reads and checks a header only: everything but data. A file of another run, another format
 * version, or damaged is ERR_DISK naming file and cause.
 */
int spill_read_header(const char *path, const char *run, struct chunk **ret, struct err *e)
	MUST_CHECK;

/*
 * Reads c->data back (c from spill_read_header() or after chunk_drop_data()). The caller has charged
 * c->raw_bytes to the budget. Every checksum, the lengths and the trailer are checked.
 */
int spill_read_data(const char *dir, const char *run, struct chunk *c, struct err *e) MUST_CHECK;

/* Parses a whole file from memory: what the fuzzer calls. */
int spill_parse(const void *data, size_t len, const char *run, struct chunk **ret, struct err *e)
	MUST_CHECK;

/* Headers of all files in dir, and the names of those that do not check (callback, may be NULL). */
int spill_scan(const char *dir, const char *run, struct chunk ***ret, int *ret_n,
	       void (*damaged)(void *ctx, const char *file, const struct err *why), void *ctx,
	       struct err *e) MUST_CHECK;

int spill_remove(const char *dir, const struct chunk *c, struct err *e) MUST_CHECK;

#endif
