/*
 * blobfile - large objects in the run folder: their bytes, one after another, and an index.
 *
 *   large-objects.data	the bytes
 *   large-objects.json	array of {oid, size, offset, sha256, comment}; written last, so where it is,
 *			the data is complete
 *
 * With a key the data is sealed (seal.h) in blocks of 64 kB: "NFBLOBS2", salt, check value, then
 * the blocks, each with its tag and bound to its place. The index stays readable.
 *
 * A database without large objects has an empty list, so that one that was lost is not taken for it.
 *
 * INVARIANT	Entries are sorted by oid.
 * OWNER	blobfile_free(), blobwriter_free().
 * LIMIT	The index is held in memory: some hundred bytes an object; a block on top with a
 *		key.
 */
#ifndef TRANSFER_BLOBFILE_H
#define TRANSFER_BLOBFILE_H

#include "transfer/seal.h"

#define BLOBFILE_INDEX "large-objects.json"
#define BLOBFILE_DATA  "large-objects.data"

struct blob {
	uint32_t oid;
	uint64_t size, offset;
	char sha256[65];
	char *comment; /* or NULL */
};

struct blobfile {
	int fd; /* of the data */
	int n;
	struct blob *list;
	struct seal *seal; /* NULL: the data is not sealed */
	char *block;       /* the one that was unsealed last */
	uint64_t block_no;
};

/* ERR_DISK: not there, damaged, or not sealed with this key (or NULL). */
int blobfile_open(struct blobfile **ret, const char *dir, const struct seal_key *key,
		  struct err *e) MUST_CHECK;
void blobfile_free(struct blobfile *f);
/* Reads exactly len bytes at a position of an object. */
int blobfile_read(struct blobfile *f, const struct blob *b, uint64_t at, void *buf, size_t len,
		  struct err *e) MUST_CHECK;

struct blobwriter;

/* Begins a new capture; what the folder held is removed. key (borrowed) may be NULL. */
int blobwriter_new(struct blobwriter **ret, const char *dir, const struct seal_key *key,
		   struct err *e) MUST_CHECK;
void blobwriter_free(struct blobwriter *w);
/* The bytes of one object in pieces, then its end. comment may be NULL. */
int blobwriter_put(struct blobwriter *w, const void *data, size_t len, struct err *e) MUST_CHECK;
int blobwriter_end(struct blobwriter *w, uint32_t oid, const char *comment,
		   struct err *e) MUST_CHECK;
/* Makes all durable. */
int blobwriter_finish(struct blobwriter *w, struct err *e) MUST_CHECK;

UNUSED static inline void auto_blobfile(struct blobfile **f)
{
	blobfile_free(*f);
}
UNUSED static inline void auto_blobwriter(struct blobwriter **w)
{
	blobwriter_free(*w);
}

#endif
