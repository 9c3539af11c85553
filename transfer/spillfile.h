/*
 * spillfile - the bytes of a spill file, without any I/O: header, frame heads, trailer.
 *
 *   header   "NFSPILL1", u32 length of the JSON, u32 zero, JSON, u64 XXH3-64 of all before
 *   frame    u32 codec, u32 raw length, u32 stored length, u32 zero, u64 XXH3-64 of the raw bytes;
 *            then the stored bytes
 *   trailer  "NFSPEND1", u32 frames, u32 zero, u64 length of the file, u64 chain, u64 XXH3-64 of
 *            all before in the trailer
 *
 * A sealed file (seal.h) has a head, then the same three, each sealed:
 *
 *   head     "NFSPILL2", u32 length of the header, u32 zero, salt, check value, u64 XXH3-64 of all
 * before header   as above with its tag, bound to the head frame    u32 length of the next; head
 * and stored bytes as above, with their tag, bound to it trailer  as above with its tag
 *
 * Numbers are little-endian. The chain begins with the header's checksum and takes in each frame's,
 * so frames belong to their header and have an order. The trailer knows the file's length: a cut
 * file and one with bytes appended are seen without reading the frames.
 *
 * Everything parsed here is untrusted: any input is safe.
 */
#ifndef TRANSFER_SPILLFILE_H
#define TRANSFER_SPILLFILE_H

#include "transfer/chunk.h"
#include "transfer/codec.h"
#include "transfer/seal.h"

#define SPILLFILE_VERSION 1
#define SPILLFILE_SEALED  2            /* version of a sealed file */
#define SPILLFILE_PREFIX  ((size_t)16) /* of the header: enough to know its length */
#define SPILLFILE_FRAME   ((size_t)24) /* head of a frame */
#define SPILLFILE_TRAILER ((size_t)40)
#define SPILLFILE_LENGTH  ((size_t)4) /* before a sealed frame */
#define SPILLFILE_HEAD    (SPILLFILE_PREFIX + SEAL_SALT + SEAL_CHECK + sizeof(uint64_t))
/* Bytes of a frame at most, sealed or not. */
#define SPILLFILE_MOST       (SPILLFILE_LENGTH + SPILLFILE_FRAME + codec_bound(CODEC_FRAME) + SEAL_TAG)
#define SPILLFILE_NUMBER_MAX 24 /* a u64 as decimal with NUL */

struct spillfile_frame {
	uint32_t kind, raw, stored; /* kind: enum codec_kind, unchecked */
	uint64_t check;
};

struct spillfile_trailer {
	uint32_t frames;
	uint64_t file_bytes;
	uint64_t chain;
};

struct spillfile_head {
	uint64_t header_len;
	char salt[SEAL_SALT], check[SEAL_CHECK];
};

/* Header of a chunk, malloc'ed with room for a tag; *ret_chain begins the chain. */
int spillfile_header(const struct chunk *c, const char *run, char **ret, size_t *ret_len,
		     uint64_t *ret_chain, struct err *e) MUST_CHECK;

/*
 * From a file's first SPILLFILE_PREFIX bytes, whether it is sealed; if not, the whole length of the
 * header.
 */
int spillfile_header_len(const char prefix[SPILLFILE_PREFIX], bool *ret_sealed, uint64_t *ret,
			 struct err *e) MUST_CHECK;

void spillfile_head(const struct spillfile_head *h, char out[SPILLFILE_HEAD]);
/* The head of a sealed file, whose prefix is known to be one. */
int spillfile_parse_head(const char in[SPILLFILE_HEAD], struct spillfile_head *ret,
			 struct err *e) MUST_CHECK;
void spillfile_length(uint32_t len, char out[SPILLFILE_LENGTH]);
/* The length that a frame can have. */
int spillfile_parse_length(const char in[SPILLFILE_LENGTH], size_t *ret, struct err *e) MUST_CHECK;

/* The chunk without data of a whole header. */
int spillfile_parse_header(const char *data, size_t len, const char *run, struct chunk **ret,
			   uint64_t *ret_chain, struct err *e) MUST_CHECK;

void spillfile_frame(const struct spillfile_frame *f, char out[SPILLFILE_FRAME]);
/* Bounds of the lengths are checked against the codec's limits. */
int spillfile_parse_frame(const char in[SPILLFILE_FRAME], struct spillfile_frame *ret,
			  struct err *e) MUST_CHECK;

uint64_t spillfile_check(const void *data, size_t len);
uint64_t spillfile_chain(uint64_t chain, uint64_t check);

void spillfile_trailer(const struct spillfile_trailer *t, char out[SPILLFILE_TRAILER]);
/* file_bytes is the length the file really has. */
int spillfile_parse_trailer(const char in[SPILLFILE_TRAILER], uint64_t file_bytes,
			    struct spillfile_trailer *ret, struct err *e) MUST_CHECK;

#endif
