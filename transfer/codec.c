#include "transfer/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct codec {
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	int level;
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
	free(k);
}

size_t codec_bound(size_t raw)
{
	return ZSTD_compressBound(raw) + 16;
}

/* Worth a decompression later: at least 2 % smaller. */
static bool gains(size_t raw, size_t packed)
{
	return packed + raw / 50 < raw;
}

/* Returns the packed length, or 0 where packing does not pay. */
static int pack(struct codec *k, const char *data, size_t len, char *out, size_t *ret_len,
		struct err *e)
{
	size_t n;

	if (!k->cctx && !(k->cctx = ZSTD_createCCtx()))
		return err_nomem(e);
	n = ZSTD_compressCCtx(k->cctx, out, codec_bound(len), data, len, k->level);
	if (ZSTD_isError(n))
		return err_set(e, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
	*ret_len = gains(len, n) ? n : 0;
	return 0;
}

int codec_encode(struct codec *k, const char *data, size_t len, const int *vector_fields, int n,
		 char *out, size_t *ret_taken, enum codec_kind *ret_kind, size_t *ret_stored,
		 struct err *e)
{
	size_t take = len < CODEC_FRAME ? len : CODEC_FRAME, stored = 0;

	(void)vector_fields;
	(void)n;
	if (pack(k, data, take, out, &stored, e))
		return -1;
	*ret_kind = stored ? CODEC_ZSTD : CODEC_STORED;
	if (!stored)
		memcpy(out, data, stored = take);
	*ret_stored = stored;
	*ret_taken = take;
	return 0;
}

static int damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_DISK, "a frame does not decode: %s", what);
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
	if (n != raw_len)
		return damaged(e, "too short");
	return 0;
}

int codec_decode(struct codec *k, unsigned kind, const char *stored, size_t stored_len, char *raw,
		 size_t raw_len, struct err *e)
{
	switch (kind) {
	case CODEC_STORED:
		if (stored_len != raw_len)
			return damaged(e, "lengths differ");
		memcpy(raw, stored, raw_len);
		return 0;
	case CODEC_ZSTD:
		return unpack(k, stored, stored_len, raw, raw_len, e);
	default:
		return damaged(e, "unknown codec");
	}
}
