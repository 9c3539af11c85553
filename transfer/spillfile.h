/*
 * spillfile - the bytes of a spill file, without any I/O: header, frame heads, trailer.
 *
 *   header   "NFSPILL1", u32 length of the JSON, u32 zero, JSON, u64 XXH3-64 of all before
 *   frame    u32 codec, u32 raw length, u32 stored length, u32 zero, u64 XXH3-64 of the raw bytes;
 *            then the stored bytes
 *   trailer  "NFSPEND1", u32 frames, u32 zero, u64 length of the file, u64 chain, u64 XXH3-64 of
 *            all before in the trailer
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

#define SPILLFILE_VERSION    1
#define SPILLFILE_PREFIX     ((size_t)16) /* of the header: enough to know its length */
#define SPILLFILE_FRAME      ((size_t)24) /* head of a frame */
#define SPILLFILE_TRAILER    ((size_t)40)
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

/* Header of a chunk, malloc'ed; *ret_chain begins the chain. */
int spillfile_header(const struct chunk *c, const char *run, char **ret, size_t *ret_len,
		     uint64_t *ret_chain, struct err *e) MUST_CHECK;

/* Whole length of the header from its first SPILLFILE_PREFIX bytes. */
int spillfile_header_len(const char prefix[SPILLFILE_PREFIX], uint64_t *ret,
			 struct err *e) MUST_CHECK;

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
