/*
 * codec - one frame of a spill file: rows made smaller, and back, bit for bit.
 *
 * Floats of embeddings hardly compress: of their four bytes only the exponent is predictable. The
 * plane codec takes each vector apart: sign and mantissa (3 bytes a float) are stored as they are;
 * the exponents, gathered, go through zstd together with everything else of the rows. That is both
 * smaller and faster than zstd over whole rows.
 *
 *   stored   the raw bytes
 *   zstd     one zstd frame
 *   plane    u32 floats, u32 runs; 3 bytes for each float; the side part, as zstd or, where its
 *            length is the raw length, as it is: runs (u32 bytes before, u32 floats), one exponent
 *            byte a float, then all other bytes. Numbers are little-endian.
 *
 * The frame says where its vectors are, so decoding parses no rows.
 *
 * THREADS	A codec belongs to one thread.
 * LIMIT	CODEC_FRAME raw bytes a frame; memory of a codec is a few times that.
 */
#ifndef TRANSFER_CODEC_H
#define TRANSFER_CODEC_H

#include "common/err.h"

#include <stdint.h>

#define CODEC_FRAME ((size_t)1 << 20)

enum codec_kind { CODEC_STORED = 0, CODEC_ZSTD = 1, CODEC_PLANE = 2 };

struct codec;

/* Level is zstd's; what is out of its bounds is clamped by zstd. */
int codec_new(struct codec **ret, int level, struct err *e) MUST_CHECK;
void codec_free(struct codec *k);

/* Bytes of the longest stored form of `raw` bytes. */
size_t codec_bound(size_t raw);

/*
 * Encodes a first part of `data`: up to CODEC_FRAME bytes, cut at a row border where vectors are
 * looked for. vector_fields[0..n-1] are field numbers, ascending, of vector columns in binary rows;
 * with n 0 rows are not looked at. Rows that do not parse are encoded without their vectors.
 * out has codec_bound(CODEC_FRAME) bytes. Always takes at least one byte of a non-empty input.
 */
int codec_encode(struct codec *k, const char *data, size_t len, const int *vector_fields, int n,
		 char *out, size_t *ret_taken, enum codec_kind *ret_kind, size_t *ret_stored,
		 struct err *e) MUST_CHECK;

/*
 * Decodes one frame into raw, which has raw_len bytes, at most CODEC_FRAME. Any input is safe. A
 * frame that does not decode to exactly raw_len bytes is ERR_DISK.
 */
int codec_decode(struct codec *k, unsigned kind, const char *stored, size_t stored_len, char *raw,
		 size_t raw_len, struct err *e) MUST_CHECK;

UNUSED static inline void auto_codec(struct codec **k)
{
	codec_free(*k);
}

#endif
