#include "transfer/codec.h"

#include "common/bytes.h"

#include <stdlib.h>
#include <string.h>
/* For ZSTD_c_literalCompressionMode only; where the library lacks it, nothing but size is lost. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

/* Vectors shorter than this stay with the other bytes; so runs are few for the bytes they cover. */
#define MIN_DIM    16
#define MAX_RUNS   (CODEC_FRAME / (4 * MIN_DIM))
#define RUN_LEN    ((size_t)8)
#define PLANES     4
#define PLANE_HEAD ((size_t)(2 + PLANES) * 4)
/* zstd's, for what is a small part of a frame. */
#define FAST_LEVEL (-1)
/* A plane is packed whole only if this much of its beginning gains. */
#define SAMPLE ((size_t)16 << 10)

/* `skip` bytes that are not floats, then `floats` of them. */
struct run {
	uint32_t skip, floats;
};

struct codec {
	ZSTD_CCtx *search;  /* for the rest */
	ZSTD_CCtx *entropy; /* for planes: an entropy code, no search for repetitions */
	ZSTD_DCtx *dctx;
	int level;
	char *work; /* scratch: the planes, then the rest */
	size_t work_cap;
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
	ZSTD_freeCCtx(k->search);
	ZSTD_freeCCtx(k->entropy);
	ZSTD_freeDCtx(k->dctx);
	free(k->work);
	free(k->runs);
	free(k);
}

size_t codec_bound(size_t raw)
{
	/* All parts are stored where packing does not pay; the last needs room to try. */
	return PLANE_HEAD + ZSTD_compressBound(raw + raw / (4 * MIN_DIM) * RUN_LEN);
}

static int need_work(struct codec *k, size_t len, struct err *e)
{
	if (len <= k->work_cap)
		return 0;
	free(k->work);
	k->work_cap = 0;
	k->work = malloc(len);
	if (!k->work)
		return err_nomem(e);
	k->work_cap = len;
	return 0;
}

/* ---- finding vectors in binary rows ---- */

/* A vector on the wire: int16 dimensions, int16 unused, floats. */
static void note_vector(struct codec *k, const char *data, size_t at, size_t len, size_t *covered)
{
	size_t dim = len < 4 ? 0 : bytes_wire16(data + at);

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
	n = (int16_t)bytes_wire16(data + at);
	at += 2;
	for (int i = 0; i < n; i++) {
		int32_t len;

		if (k->left - at < 4)
			return 0;
		len = (int32_t)bytes_wire32(data + at);
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
 * The bits of a float, rotated left by one: exponent (8), mantissa (23), sign (1). plane[0] gets
 * the highest byte. The loops are plain, so that compilers make vector code of them.
 */
static void split_floats(const char *restrict in, size_t n, char *restrict p0, char *restrict p1,
			 char *restrict p2, char *restrict p3)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, in + 4 * i, sizeof(v));
		v = be32toh(v);
		v = v << 1 | v >> 31;
		p0[i] = (char)(v >> 24);
		p1[i] = (char)(v >> 16);
		p2[i] = (char)(v >> 8);
		p3[i] = (char)v;
	}
}

static void join_floats(char *restrict out, size_t n, const char *restrict p0,
			const char *restrict p1, const char *restrict p2, const char *restrict p3)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v = (uint32_t)(unsigned char)p0[i] << 24 |
			     (uint32_t)(unsigned char)p1[i] << 16 |
			     (uint32_t)(unsigned char)p2[i] << 8 | (unsigned char)p3[i];

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

static bool gains(size_t len, size_t packed)
{
	return packed + len / 50 < len;
}

static int zstd_failed(size_t result, struct err *e)
{
	return err_set(e, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(result));
}

/* Packs, or copies where packing gains less than 2 %. out has ZSTD_compressBound(len). */
static int pack(struct codec *k, int level, const char *data, size_t len, char *out, size_t *ret_len,
		struct err *e)
{
	size_t n;

	if (!k->search && !(k->search = ZSTD_createCCtx()))
		return err_nomem(e);
	n = ZSTD_compressCCtx(k->search, out, ZSTD_compressBound(len), data, len, level);
	if (ZSTD_isError(n))
		return zstd_failed(n, e);
	if (!gains(len, n))
		memcpy(out, data, n = len);
	*ret_len = n;
	return 0;
}

/*
 * Strides so long that hardly a repetition is found, and Huffman codes nevertheless: on exponents
 * 2.6 bits a byte at four times the speed of level 1, which finds false repetitions and needs 3.0.
 */
static int need_entropy(struct codec *k, struct err *e)
{
	if (k->entropy)
		return 0;
	k->entropy = ZSTD_createCCtx();
	if (!k->entropy)
		return err_nomem(e);
	ZSTD_CCtx_setParameter(k->entropy, ZSTD_c_compressionLevel, 1);
	ZSTD_CCtx_setParameter(k->entropy, ZSTD_c_strategy, ZSTD_fast);
	ZSTD_CCtx_setParameter(k->entropy, ZSTD_c_minMatch, 7);
	ZSTD_CCtx_setParameter(k->entropy, ZSTD_c_targetLength, ZSTD_TARGETLENGTH_MAX);
	ZSTD_CCtx_setParameter(k->entropy, ZSTD_c_literalCompressionMode, ZSTD_ps_enable);
	return 0;
}

/* As pack(), for one byte of each float. out has ZSTD_compressBound(n). */
static int pack_plane(struct codec *k, const char *plane, size_t n, char *out, size_t *ret_len,
		      struct err *e)
{
	size_t sample = n < SAMPLE ? n : SAMPLE;
	size_t bound = ZSTD_compressBound(n);
	size_t packed;

	if (need_entropy(k, e))
		return -1;
	packed = ZSTD_compress2(k->entropy, out, bound, plane, sample);
	if (!ZSTD_isError(packed) && sample < n && gains(sample, packed))
		packed = ZSTD_compress2(k->entropy, out, bound, plane, sample = n);
	if (ZSTD_isError(packed))
		return zstd_failed(packed, e);
	if (sample < n || !gains(n, packed))
		memcpy(out, plane, packed = n);
	*ret_len = packed;
	return 0;
}

/* Fills k->work: four planes of k->floats bytes, then runs, then all other bytes. */
static void take_apart(const struct codec *k, const char *data, size_t len)
{
	size_t all = k->floats, done = 0, at = 0;
	char *run = k->work + PLANES * all, *rest = run + k->n_runs * RUN_LEN;

	for (size_t i = 0; i < k->n_runs; i++, run += RUN_LEN) {
		size_t skip = k->runs[i].skip, n = k->runs[i].floats;
		char *p = k->work + done;

		bytes_put32(run, k->runs[i].skip);
		bytes_put32(run + 4, k->runs[i].floats);
		memcpy(rest, data + at, skip);
		split_floats(data + at + skip, n, p, p + all, p + 2 * all, p + 3 * all);
		at += skip + 4 * n;
		rest += skip;
		done += n;
	}
	memcpy(rest, data + at, len - at);
}

static int encode_plane(struct codec *k, const char *data, size_t len, char *out,
			struct codec_frame *ret, struct err *e)
{
	size_t rest = k->n_runs * RUN_LEN + len - PLANES * k->floats, packed = 0;
	char *at = out + PLANE_HEAD;
	int level;

	if (need_work(k, PLANES * k->floats + rest, e))
		return -1;
	take_apart(k, data, len);
	bytes_put32(out, (uint32_t)k->floats);
	bytes_put32(out + 4, (uint32_t)k->n_runs);
	for (size_t i = 0; i < PLANES; i++, at += packed) {
		if (pack_plane(k, k->work + i * k->floats, k->floats, at, &packed, e))
			return -1;
		bytes_put32(out + 8 + 4 * i, (uint32_t)packed);
	}
	/* Beside so many floats, searching the rest thoroughly gains nothing. */
	level = rest < len / 8 ? FAST_LEVEL : k->level;
	if (pack(k, level, k->work + PLANES * k->floats, rest, at, &packed, e))
		return -1;
	ret->kind = CODEC_PLANE;
	ret->raw = len;
	ret->stored = (size_t)(at - out) + packed;
	return 0;
}

static int encode_plain(struct codec *k, const char *data, size_t len, char *out,
			struct codec_frame *ret, struct err *e)
{
	size_t stored = 0;

	if (pack(k, k->level, data, len, out, &stored, e))
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
	if (k->floats * 4 > len / 8 ? encode_plane(k, data, len, out, ret, e)
				    : encode_plain(k, data, len, out, ret, e))
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

/* Puts raw together of planes and rest; all sums are checked while they grow. */
static int put_together(const char *const plane[PLANES], const char *run, size_t runs,
			size_t floats, char *raw, size_t raw_len, struct err *e)
{
	const char *rest = run + runs * RUN_LEN;
	size_t rest_left = raw_len - PLANES * floats, done = 0;

	for (size_t i = 0; i < runs; i++, run += RUN_LEN) {
		size_t skip = bytes_get32(run), n = bytes_get32(run + 4);

		if (skip > rest_left || n > floats - done)
			return damaged(e, "its runs are wrong");
		memcpy(raw, rest, skip);
		join_floats(raw + skip, n, plane[0] + done, plane[1] + done, plane[2] + done,
			    plane[3] + done);
		raw += skip + PLANES * n;
		rest += skip;
		rest_left -= skip;
		done += n;
	}
	if (done != floats)
		return damaged(e, "its runs are wrong");
	memcpy(raw, rest, rest_left);
	return 0;
}

/* A part is used where it lies, if it is as long as it should be, else unpacked into `into`. */
static int take_part(struct codec *k, const char *stored, size_t stored_len, char *into, size_t len,
		     const char **ret, struct err *e)
{
	if (stored_len == len) {
		*ret = stored;
		return 0;
	}
	*ret = into;
	return unpack(k, stored, stored_len, into, len, e);
}

static int decode_plane(struct codec *k, const char *stored, size_t stored_len, char *raw,
			size_t raw_len, struct err *e)
{
	const char *plane[PLANES], *runs_and_rest = NULL;
	size_t floats, runs, rest, left = stored_len - PLANE_HEAD;

	if (stored_len < PLANE_HEAD)
		return damaged(e, "it is too short");
	floats = bytes_get32(stored);
	runs = bytes_get32(stored + 4);
	if (floats > raw_len / PLANES || runs > raw_len / (PLANES * MIN_DIM))
		return damaged(e, "its lengths are wrong");
	rest = runs * RUN_LEN + raw_len - PLANES * floats;
	if (need_work(k, PLANES * floats + rest, e))
		return -1;
	for (size_t i = 0, len; i < PLANES; i++, left -= len) {
		len = bytes_get32(stored + 8 + 4 * i);
		if (len > left)
			return damaged(e, "its lengths are wrong");
		if (take_part(k, stored + stored_len - left, len, k->work + i * floats, floats,
			      &plane[i], e))
			return -1;
	}
	if (take_part(k, stored + stored_len - left, left, k->work + PLANES * floats, rest,
		      &runs_and_rest, e))
		return -1;
	return put_together(plane, runs_and_rest, runs, floats, raw, raw_len, e);
}

int codec_decode(struct codec *k, unsigned kind, const char *stored, size_t stored_len, char *raw,
		 size_t raw_len, struct err *e)
{
	if (!raw_len || raw_len > CODEC_FRAME)
		return damaged(e, "its length is wrong");
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
