/*
 * The codec of spill files, both ways. First byte below 128: the rest is rows of any bytes, encoded
 * and decoded, which must give the same bytes. Else: the rest is a frame of any bytes, and the
 * decoder must stay inside its bounds.
 */
#include "fuzz.h"

#include "transfer/codec.h"

#include <string.h>

static const int vector_fields[] = { 0, 2 };

static void there_and_back(struct codec *k, const char *rows, size_t len)
{
	AUTO(free) char *stored = malloc(codec_bound(CODEC_FRAME)), *raw = malloc(CODEC_FRAME);
	struct err e = ERR_INIT;
	struct codec_frame f;
	size_t at = 0;
	int r;

	MUST(stored && raw);
	codec_begin(k, rows, len, vector_fields, 2);
	while ((r = codec_next(k, stored, &f, &e)) > 0) {
		MUST(f.raw && f.raw <= len - at && f.stored <= codec_bound(f.raw));
		MUST(!codec_decode(k, f.kind, stored, f.stored, raw, f.raw, &e));
		MUST(!memcmp(raw, rows + at, f.raw));
		at += f.raw;
	}
	MUST(!r && at == len);
}

/* Byte 0: codec; bytes 1 and 2: raw length. */
static void decode(struct codec *k, const char *frame, size_t len)
{
	size_t raw_len = (size_t)(unsigned char)frame[1] << 8 | (unsigned char)frame[2];
	AUTO(free) char *raw = malloc(raw_len + 1);
	struct err e = ERR_INIT;

	MUST(raw);
	if (codec_decode(k, frame[0] & 3, frame + 3, len - 3, raw, raw_len, &e))
		MUST(e.kind == ERR_DISK && e.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(codec) struct codec *k = NULL;
	AUTO(free) char *copy = malloc(len + 1);
	struct err e = ERR_INIT;

	MUST(copy && !codec_new(&k, 1, &e));
	memcpy(copy, data, len);
	if (len && data[0] < 128)
		there_and_back(k, copy + 1, len - 1);
	else if (len >= 3)
		decode(k, copy, len);
	return 0;
}
