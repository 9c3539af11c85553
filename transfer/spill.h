/*
 * spill - chunks on disk: one file a chunk, self-describing, written once, checked on every read.
 *
 *   header   format version, run, chunk id and predicate, format, rows, raw bytes, digests, parts
 *   frames   of up to 1 MB raw, each with its codec, lengths and XXH3-64 of the raw bytes
 *   trailer  number of frames, length of the file, a checksum over all checksums
 *
 * spillfile.h has the bytes, codec.h the codecs, blockio.h the writing: with O_DIRECT in large
 * aligned blocks where the file system has it, else buffered. A file is "<chunk id>.nfs", mode
 *0600; it is written as ".tmp-<chunk id>", then fdatasync, renamed, and the folder synced.
 *
 * With a key, header, frames and trailer are each sealed (seal.h): nothing of a chunk is readable
 * in its file. Reading with a key refuses what is not sealed with it, so that nobody can put a file
 * of his own in place of another; reading without one refuses what is sealed.
 *
 * INVARIANT	A file under its final name is complete. What does not check is never loaded.
 * THREADS	A spill_writer belongs to one thread (one zstd context). Reading is reentrant.
 * LIMIT	About 7 MB of memory for a writer, 4 MB for a reading, whatever the chunk's size.
 *		The bytes of all files (--spill-limit) are counted by the caller from file_bytes.
 */
#ifndef TRANSFER_SPILL_H
#define TRANSFER_SPILL_H

#include "transfer/chunk.h"
#include "transfer/seal.h"

struct spill_writer;

/* dir exists. level is zstd's. With a key (borrowed, or NULL) every file is sealed. */
int spill_writer_new(struct spill_writer **ret, const char *dir, const char *run,
		     const struct seal_key *key, int level, struct err *e) MUST_CHECK;
void spill_writer_free(struct spill_writer *w);
/* false: writes through the page cache from the next file on. For measuring and tests. */
void spill_writer_set_direct(struct spill_writer *w, bool direct);

UNUSED static inline void auto_spill_writer(struct spill_writer **w)
{
	spill_writer_free(*w);
}

/*
 * Writes c->data durably; sets c->raw_bytes and c->file_bytes. vector_fields[0..n-1] are the field
 * numbers (from 0, ascending) of vector columns in binary rows; n may be 0. A file that is there
 * already is replaced. Disk full is ERR_DISK with next ERR_RETRY: nothing of
 * the file is left behind, the caller may wait for space and call again.
 */
int spill_write(struct spill_writer *w, struct chunk *c, const int *vector_fields, int n,
		struct err *e) MUST_CHECK;

/* How long its file may become at most, before it is written. */
uint64_t spill_most_bytes(const struct chunk *c);

/* Path of a chunk's file in dir, malloc'ed. */
char *spill_path(const char *dir, const struct chunk *c);

/*
 * Reads and checks a header only: everything but data. A file of another run, another format
 * version, or damaged is ERR_DISK naming file and cause.
 */
int spill_read_header(const char *path, const char *run, const struct seal_key *key,
		      struct chunk **ret, struct err *e) MUST_CHECK;

/*
 * Reads c->data back (c from spill_read_header() or after chunk_drop_data()). The caller has
 * charged c->raw_bytes to the budget. The buffer is of c->shelf where that is set and fits. Every
 * checksum, the lengths and the trailer are checked, and that the file is of this very reading of the
 * chunk: same bounds, rows and digests.
 */
int spill_read_data(const char *dir, const char *run, const struct seal_key *key, struct chunk *c,
		    struct err *e) MUST_CHECK;

/* Parses a whole file from memory: what the fuzzer calls. */
int spill_parse(const void *data, size_t len, const char *run, const struct seal_key *key,
		struct chunk **ret, struct err *e) MUST_CHECK;

/*
 * Headers of all files in dir, in order of plan, table, range and position; the names of those
 * whose header or end does not check go to the callback (may be NULL). Temporary files of a process
 * that died are removed; those of a living writer are locked and stay, so that looking at a run in
 * work does no harm. The caller frees each chunk and the array.
 */
int spill_scan(const char *dir, const char *run, const struct seal_key *key, struct chunk ***ret,
	       int *ret_n, void (*damaged)(void *ctx, const char *file, const struct err *why),
	       void *ctx, struct err *e) MUST_CHECK;

/*
 * Whether an error of reading tells of the file (its chunk must be read again), or of this process and
 * its machine, which ran out of memory or descriptors: the file may be sound.
 */
bool spill_is_damage(const struct err *why);

/* How many files there are, and their bytes, without reading them. */
void spill_count_files(const char *dir, int *ret_n, uint64_t *ret_bytes);

/* Renames a damaged file, for whoever wants to look at it: no scan takes it for a chunk. */
void spill_put_aside(const char *dir, const struct chunk *c);
/* Removes a chunk's file; a missing one is fine. */
int spill_remove(const char *dir, const struct chunk *c, struct err *e) MUST_CHECK;

#endif
