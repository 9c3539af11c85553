/*
 * codec - one frame of a spill file: rows made smaller, and back, bit for bit.
 *
 * Floats of embeddings hardly compress as they stand: of their four bytes only the exponent is
 * predictable, and looking for repetitions in them costs time and space. The plane codec takes each
 * vector apart into four planes, one byte of each float: exponent; then three of mantissa and sign.
 * A plane gets an entropy code without search where that pays (the exponents always do, mantissas
 * where the model computed in 16 bits), or is stored. Everything else of the rows goes through
 * zstd. That is both smaller and faster than zstd over whole rows.
 *
 *   stored   the raw bytes
 *   zstd     one zstd frame
 *   plane    u32 floats, u32 runs, u32 length of each of four planes; the planes: of each float,
 *            rotated left by one bit, the highest byte, then the next, and so on; the rest: runs
 *            (u32 bytes before, u32 floats) and all other bytes. A plane and the rest are each a
 *            zstd frame, or as they are where the length says so. Numbers are little-endian.
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

struct codec_frame {
	enum codec_kind kind;
	size_t raw, stored; /* bytes before and after */
};

/*
 * Begins to encode `data`, which must stay until codec_next() has given its last frame.
 * vector_fields[0..n-1] (borrowed as long) are the numbers, ascending from 0, of vector fields in
 * binary rows; with n 0 the rows are not looked at.
 */
void codec_begin(struct codec *k, const char *data, size_t len, const int *vector_fields, int n);

/*
 * The next frame: up to CODEC_FRAME bytes, cut at a row border where vectors are looked for (a row
 * larger than a frame is cut anywhere and goes without). Rows that do not parse are encoded without
 * their vectors. out has codec_bound(CODEC_FRAME) bytes. Returns 1 with *ret, 0 at the end, or -1.
 */
int codec_next(struct codec *k, char *out, struct codec_frame *ret, struct err *e) MUST_CHECK;

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
