#include "transfer/codec.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Vectors shorter than this stay with the other bytes; so runs are few for the bytes they cover. */
#define MIN_DIM 16
#define MAX_RUNS (CODEC_FRAME / (4 * MIN_DIM))
#define RUN_LEN ((size_t)8)
#define PLANE_HEAD ((size_t)8)

/* `skip` bytes that are not floats, then `floats` of them. */
struct run {
	uint32_t skip, floats;
};

struct codec {
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	int level;
	char *side; /* scratch of side_cap bytes */
	size_t side_cap;
	/* what is being encoded */
	const char *data;
	size_t left;
	const int *vector_fields;
	int n_vector_fields;
	size_t row_left; /* of a row larger than a frame */
	/* what was found in the present frame */
	struct run *runs; /* MAX_RUNS */
	size_t n_runs, floats;
};

int codec_new(struct codec **ret, int level, struct err *e)
{
	struct codec *k = calloc(1, sizeof(*k));

	if (!k)
		return err_nomem(e);
	k->level = level;
	*ret = k;
	return 0;
}

void codec_free(struct codec *k)
{
	if (!k)
		return;
	ZSTD_freeCCtx(k->cctx);
	ZSTD_freeDCtx(k->dctx);
	free(k->side);
	free(k->runs);
	free(k);
}

size_t codec_bound(size_t raw)
{
	return PLANE_HEAD + ZSTD_compressBound(raw + raw / (4 * MIN_DIM) * RUN_LEN);
}

static int need_side(struct codec *k, size_t len, struct err *e)
{
	if (len <= k->side_cap)
		return 0;
	free(k->side);
	k->side_cap = 0;
	k->side = malloc(len);
	if (!k->side)
		return err_nomem(e);
	k->side_cap = len;
	return 0;
}

static void put32(char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

/* ---- finding vectors in binary rows ---- */

static uint32_t wire32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static uint16_t wire16(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

/* A vector on the wire: int16 dimensions, int16 unused, floats. */
static void note_vector(struct codec *k, const char *data, size_t at, size_t len, size_t *covered)
{
	size_t dim = len < 4 ? 0 : wire16(data + at);

	if (dim < MIN_DIM || len != 4 + 4 * dim || k->n_runs == MAX_RUNS)
		return;
	k->runs[k->n_runs].skip = (uint32_t)(at + 4 - *covered);
	k->runs[k->n_runs++].floats = (uint32_t)dim;
	k->floats += dim;
	*covered = at + len;
}

/* Length of the row at `at`, as far as k->left reaches; 0: it does not parse. Notes vectors. */
static size_t walk_row(struct codec *k, size_t at, size_t *covered)
{
	const char *data = k->data;
	size_t start = at;
	int n, next = 0;

	if (k->left - at < 2)
		return 0;
	n = (int16_t)wire16(data + at);
	at += 2;
	for (int i = 0; i < n; i++) {
		int32_t len;

		if (k->left - at < 4)
			return 0;
		len = (int32_t)wire32(data + at);
		at += 4;
		if (len < -1 || (len > 0 && (size_t)len > k->left - at))
			return 0;
		if (next < k->n_vector_fields && k->vector_fields[next] == i) {
			next++;
			if (len > 0)
				note_vector(k, data, at, (size_t)len, covered);
		}
		at += len > 0 ? (size_t)len : 0;
	}
	return n < 0 ? 0 : at - start;
}

/* How much of the data is the next frame: whole rows, if any fit. */
static size_t cut_frame(struct codec *k)
{
	size_t limit = k->left < CODEC_FRAME ? k->left : CODEC_FRAME, at = 0, covered = 0;

	k->n_runs = 0;
	k->floats = 0;
	if (k->row_left) {
		limit = k->row_left < limit ? k->row_left : limit;
		k->row_left -= limit;
		return limit;
	}
	while (k->n_vector_fields && at < limit) {
		size_t runs = k->n_runs, floats = k->floats, row = walk_row(k, at, &covered);

		if (row && row <= limit - at) {
			at += row;
			continue;
		}
		k->n_runs = runs;
		k->floats = floats;
		if (!at && row)
			k->row_left = row - limit;
		break;
	}
	return at ? at : limit;
}

/* ---- floats apart and together ---- */

/*
 * The bits of a float, rotated left by one, are exponent (8), mantissa (23), sign (1). The three
 * planes are plain arrays, so that compilers make vector code of the loop.
 */
static void split_floats(const char *restrict in, size_t n, char *restrict low, char *restrict high,
			 char *restrict exponent)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;
		uint16_t low16;

		memcpy(&v, in + 4 * i, sizeof(v));
		v = be32toh(v);
		v = v << 1 | v >> 31;
		low16 = htole16((uint16_t)v);
		memcpy(low + 2 * i, &low16, sizeof(low16));
		high[i] = (char)(v >> 16);
		exponent[i] = (char)(v >> 24);
	}
}

static void join_floats(char *restrict out, size_t n, const char *restrict low,
			const char *restrict high, const char *restrict exponent)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;
		uint16_t low16;

		memcpy(&low16, low + 2 * i, sizeof(low16));
		v = (uint32_t)(unsigned char)exponent[i] << 24 |
		    (uint32_t)(unsigned char)high[i] << 16 | le16toh(low16);
		v = htobe32(v >> 1 | v << 31);
		memcpy(out + 4 * i, &v, sizeof(v));
	}
}

/* ---- encoding ---- */

void codec_begin(struct codec *k, const char *data, size_t len, const int *vector_fields, int n)
{
	k->data = data;
	k->left = len;
	k->vector_fields = vector_fields;
	k->n_vector_fields = n;
	k->row_left = 0;
}

/* Packs, or copies where packing gains less than 2 %. Returns 0 and sets *ret_len. */
static int pack(struct codec *k, const char *data, size_t len, char *out, size_t *ret_len,
		struct err *e)
{
	size_t n;

	if (!k->cctx && !(k->cctx = ZSTD_createCCtx()))
		return err_nomem(e);
	n = ZSTD_compressCCtx(k->cctx, out, ZSTD_compressBound(len), data, len, k->level);
	if (ZSTD_isError(n))
		return err_set(e, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
	if (n + len / 50 >= len) {
		memcpy(out, data, len);
		n = len;
	}
	*ret_len = n;
	return 0;
}

/* Fills the side part, and the mantissas at `out`. */
static void take_apart(const struct codec *k, const char *data, size_t len, char *out)
{
	char *run = k->side, *exponent = run + k->n_runs * RUN_LEN, *rest = exponent + k->floats;
	char *low = out, *high = out + 2 * k->floats;
	size_t at = 0;

	for (size_t i = 0; i < k->n_runs; i++, run += RUN_LEN) {
		size_t skip = k->runs[i].skip, n = k->runs[i].floats;

		put32(run, k->runs[i].skip);
		put32(run + 4, k->runs[i].floats);
		memcpy(rest, data + at, skip);
		split_floats(data + at + skip, n, low, high, exponent);
		at += skip + 4 * n;
		rest += skip;
		low += 2 * n;
		high += n;
		exponent += n;
	}
	memcpy(rest, data + at, len - at);
}

static int encode_plane(struct codec *k, const char *data, size_t len, char *out,
			struct codec_frame *ret, struct err *e)
{
	size_t side = k->n_runs * RUN_LEN + len - 3 * k->floats, packed = 0;

	if (need_side(k, side, e))
		return -1;
	put32(out, (uint32_t)k->floats);
	put32(out + 4, (uint32_t)k->n_runs);
	out += PLANE_HEAD;
	take_apart(k, data, len, out);
	if (pack(k, k->side, side, out + 3 * k->floats, &packed, e))
		return -1;
	ret->kind = CODEC_PLANE;
	ret->raw = len;
	ret->stored = PLANE_HEAD + 3 * k->floats + packed;
	return 0;
}

static int encode_plain(struct codec *k, const char *data, size_t len, char *out,
			struct codec_frame *ret, struct err *e)
{
	size_t stored = 0;

	if (pack(k, data, len, out, &stored, e))
		return -1;
	ret->kind = stored < len ? CODEC_ZSTD : CODEC_STORED;
	ret->raw = len;
	ret->stored = stored;
	return 0;
}

int codec_next(struct codec *k, char *out, struct codec_frame *ret, struct err *e)
{
	const char *data = k->data;
	size_t len;

	if (!k->left)
		return 0;
	if (k->n_vector_fields && !k->runs && !(k->runs = malloc(MAX_RUNS * sizeof(*k->runs))))
		return err_nomem(e);
	len = cut_frame(k);
	k->data += len;
	k->left -= len;
	/* With few floats the planes gain less than the second pass costs. */
	if (k->floats * 4 < len / 8 ? encode_plain(k, data, len, out, ret, e) :
				      encode_plane(k, data, len, out, ret, e))
		return -1;
	return 1;
}

/* ---- decoding ---- */

static int damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_DISK, "damaged spill file: a frame does not decode: %s", what);
}

static int unpack(struct codec *k, const char *stored, size_t stored_len, char *raw, size_t raw_len,
		  struct err *e)
{
	size_t n;

	if (!k->dctx && !(k->dctx = ZSTD_createDCtx()))
		return err_nomem(e);
	n = ZSTD_decompressDCtx(k->dctx, raw, raw_len, stored, stored_len);
	if (ZSTD_isError(n))
		return damaged(e, ZSTD_getErrorName(n));
	return n == raw_len ? 0 : damaged(e, "it is too short");
}

/* Puts raw together of the side part and the mantissas; all sums are checked while they grow. */
static int put_together(const char *side, size_t runs, size_t floats, const char *mantissa,
			char *raw, size_t raw_len, struct err *e)
{
	const char *run = side, *exponent = run + runs * RUN_LEN, *rest = exponent + floats;
	const char *low = mantissa, *high = mantissa + 2 * floats;
	size_t rest_left = raw_len - 4 * floats, floats_left = floats;

	for (size_t i = 0; i < runs; i++, run += RUN_LEN) {
		size_t skip = get32(run), n = get32(run + 4);

		if (skip > rest_left || n > floats_left)
			return damaged(e, "its runs are wrong");
		memcpy(raw, rest, skip);
		join_floats(raw + skip, n, low, high, exponent);
		raw += skip + 4 * n;
		rest += skip;
		low += 2 * n;
		high += n;
		exponent += n;
		rest_left -= skip;
		floats_left -= n;
	}
	if (floats_left)
		return damaged(e, "its runs are wrong");
	memcpy(raw, rest, rest_left);
	return 0;
}

static int decode_plane(struct codec *k, const char *stored, size_t stored_len, char *raw,
			size_t raw_len, struct err *e)
{
	size_t floats, runs, side, packed;
	const char *mantissa = stored + PLANE_HEAD, *p;

	if (stored_len < PLANE_HEAD)
		return damaged(e, "it is too short");
	floats = get32(stored);
	runs = get32(stored + 4);
	if (floats > raw_len / 4 || runs > raw_len / (4 * MIN_DIM) ||
	    3 * floats > stored_len - PLANE_HEAD)
		return damaged(e, "its lengths are wrong");
	side = runs * RUN_LEN + raw_len - 3 * floats;
	packed = stored_len - PLANE_HEAD - 3 * floats;
	p = mantissa + 3 * floats;
	if (packed != side) {
		if (need_side(k, side, e) || unpack(k, p, packed, k->side, side, e))
			return -1;
		p = k->side;
	}
	return put_together(p, runs, floats, mantissa, raw, raw_len, e);
}

int codec_decode(struct codec *k, unsigned kind, const char *stored, size_t stored_len, char *raw,
		 size_t raw_len, struct err *e)
{
	if (raw_len > CODEC_FRAME)
		return damaged(e, "it is too long");
	switch (kind) {
	case CODEC_STORED:
		if (stored_len != raw_len)
			return damaged(e, "its lengths are wrong");
		memcpy(raw, stored, raw_len);
		return 0;
	case CODEC_ZSTD:
		return unpack(k, stored, stored_len, raw, raw_len, e);
	case CODEC_PLANE:
		return decode_plane(k, stored, stored_len, raw, raw_len, e);
	default:
		return damaged(e, "unknown codec");
	}
}
