#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <endian.h>

#include "transfer/codec.h"

static uint32_t lcg(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

struct rows {
	char *data;
	size_t len, cap;
};

static char *room(struct rows *r, size_t n)
{
	if (r->len + n > r->cap) {
		r->cap = 2 * (r->len + n);
		r->data = realloc(r->data, r->cap);
		assert_non_null(r->data);
	}
	r->len += n;
	return r->data + r->len - n;
}

static void add16(struct rows *r, unsigned v)
{
	uint16_t be = htobe16((uint16_t)v);

	memcpy(room(r, 2), &be, 2);
}

static void add32(struct rows *r, uint32_t v)
{
	v = htobe32(v);
	memcpy(room(r, 4), &v, 4);
}

static void add_text(struct rows *r, size_t len, uint32_t *seed)
{
	add32(r, (uint32_t)len);
	for (size_t i = 0; i < len; i++)
		*room(r, 1) = (char)('a' + lcg(seed) % 7);
}

/* The exponents of numbers around 1/40; mask takes away low mantissa bits. */
static uint32_t small_float(uint32_t *seed, uint32_t mask)
{
	float v = (float)((double)(lcg(seed) & 0xffff) / 65536.0 - 0.5) / 20;
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return (bits ^ (lcg(seed) & 0x7fff)) & mask;
}

static void add_vector(struct rows *r, unsigned dim, uint32_t *seed, uint32_t mask)
{
	add32(r, 4 + 4 * dim);
	add16(r, dim);
	add16(r, 0);
	for (unsigned i = 0; i < dim; i++)
		add32(r, small_float(seed, mask));
}

/* (text, vector, null, text, vector) */
static void add_row(struct rows *r, size_t text, unsigned dim, uint32_t *seed, uint32_t mask)
{
	add16(r, 5);
	add_text(r, text, seed);
	add_vector(r, dim, seed, mask);
	add32(r, UINT32_MAX);
	add_text(r, 5, seed);
	if (lcg(seed) % 5)
		add_vector(r, dim / 2, seed, mask);
	else
		add32(r, UINT32_MAX);
}

static const int vectors[] = { 1, 4 };

struct result {
	size_t stored;
	int frames, planes;
};

/* Encodes everything, decodes every frame, compares each byte. */
static struct result round_trip(const char *data, size_t len, const int *fields, int n)
{
	AUTO(codec) struct codec *k = NULL, *other = NULL;
	AUTO(free) char *out = malloc(codec_bound(CODEC_FRAME)), *raw = malloc(CODEC_FRAME);
	struct result res = { 0 };
	struct err e = ERR_INIT;
	struct codec_frame f;
	size_t at = 0;
	int r;

	assert_int_equal(codec_new(&k, 1, &e), 0);
	assert_int_equal(codec_new(&other, 1, &e), 0);
	codec_begin(k, data, len, fields, n);
	while ((r = codec_next(k, out, &f, &e)) > 0) {
		assert_in_range(f.raw, 1, CODEC_FRAME);
		assert_in_range(f.stored, 1, codec_bound(f.raw));
		memset(raw, 0x55, CODEC_FRAME);
		if (codec_decode(other, f.kind, out, f.stored, raw, f.raw, &e))
			fail_msg("%s", e.text);
		assert_memory_equal(raw, data + at, f.raw);
		at += f.raw;
		res.stored += f.stored;
		res.frames++;
		res.planes += f.kind == CODEC_PLANE;
	}
	assert_int_equal(r, 0);
	assert_int_equal(at, len);
	return res;
}

static void rows_with_vectors_come_back_and_are_smaller(void **state)
{
	struct rows r = { 0 };
	uint32_t seed = 1;
	struct result plain, plane;

	(void)state;
	while (r.len < 5000000)
		add_row(&r, 100 + lcg(&seed) % 300, 768, &seed, UINT32_MAX);
	plain = round_trip(r.data, r.len, NULL, 0);
	plane = round_trip(r.data, r.len, vectors, 2);
	assert_int_equal(plain.planes, 0);
	assert_int_equal(plane.planes, plane.frames);
	assert_true(plane.stored * 105 < plain.stored * 100);
	free(r.data);
}

static void vectors_of_16_bit_origin_shrink_by_half(void **state)
{
	struct rows r = { 0 };
	uint32_t seed = 2;

	(void)state;
	while (r.len < 3000000)
		add_row(&r, 10, 1536, &seed, 0xffffe000);
	assert_true(round_trip(r.data, r.len, vectors, 2).stored * 2 < r.len);
	free(r.data);
}

/* Bits that arithmetic would not keep: negative zero, infinities, signalling NaNs, subnormals. */
static void every_bit_pattern_comes_back(void **state)
{
	static const uint32_t odd[] = {
		0x80000000, 0x7f800000, 0xff800000, 0x7fa00001, 0xffffffff,
		0x00000001, 0x80000001, 0x007fffff, 0,          0x7fc00000
	};
	struct rows r = { 0 };
	uint32_t seed = 3;

	(void)state;
	for (unsigned row = 0; row < 300; row++) {
		add16(&r, 2);
		add32(&r, UINT32_MAX);
		add32(&r, 4 + 4 * 1000);
		add16(&r, 1000);
		add16(&r, 0xbeef);
		for (unsigned i = 0; i < 1000; i++)
			add32(&r, i % 3 ? odd[(i + row) % ARRAY_LEN(odd)]
					: lcg(&seed) << 16 ^ lcg(&seed));
	}
	assert_int_equal(round_trip(r.data, r.len, vectors, 2).planes, 2);
	free(r.data);
}

static void every_dimension_comes_back(void **state)
{
	(void)state;
	for (unsigned dim = 0; dim < 70; dim++) {
		struct rows r = { 0 };
		uint32_t seed = dim;

		for (int i = 0; i < 9; i++)
			add_row(&r, dim % 3, dim, &seed, UINT32_MAX);
		round_trip(r.data, r.len, vectors, 2);
		free(r.data);
	}
}

/* Whatever the rows are, and whatever fields are announced, the bytes come back. */
static void rows_that_do_not_parse_come_back(void **state)
{
	uint32_t seed = 5;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct rows r = { 0 };
		unsigned rows = 1 + lcg(&seed) % 60;

		for (unsigned i = 0; i < rows; i++)
			add_row(&r, lcg(&seed) % 50, 16 + lcg(&seed) % 200, &seed, UINT32_MAX);
		for (unsigned flips = lcg(&seed) % 8; flips; flips--)
			r.data[lcg(&seed) % r.len] ^= (char)(1 << lcg(&seed) % 8);
		r.len -= lcg(&seed) % (r.len < 300 ? r.len : 300);
		round_trip(r.data, r.len, vectors, 2);
		free(r.data);
	}
}

static void a_row_larger_than_a_frame_is_cut_and_the_next_rows_are_found_again(void **state)
{
	struct rows r = { 0 };
	uint32_t seed = 6;
	struct result res;

	(void)state;
	add_row(&r, 10, 1536, &seed, UINT32_MAX);
	add_row(&r, 5 * CODEC_FRAME / 2, 1536, &seed, UINT32_MAX);
	for (int i = 0; i < 200; i++)
		add_row(&r, 10, 1536, &seed, UINT32_MAX);
	res = round_trip(r.data, r.len, vectors, 2);
	assert_true(res.planes >= 2);
	assert_in_range(res.frames - res.planes, 3, 4);
	free(r.data);
}

static void what_does_not_compress_is_stored(void **state)
{
	size_t len = 3 * CODEC_FRAME + 7;
	AUTO(free) char *data = malloc(len);
	uint32_t seed = 7;
	struct result res;

	(void)state;
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(lcg(&seed) >> 7);
	res = round_trip(data, len, NULL, 0);
	assert_int_equal(res.stored, len);
	assert_int_equal(res.frames, 4);
}

/* Decodes damaged copies of a frame: any outcome but a crash or a write outside raw. */
static void damage(enum codec_kind kind, const char *stored, size_t stored_len, size_t raw_len)
{
	AUTO(codec) struct codec *k = NULL;
	AUTO(free) char *copy = malloc(stored_len), *raw = malloc(raw_len);
	struct err e = ERR_INIT;
	uint32_t seed = 8;

	assert_int_equal(codec_new(&k, 1, &e), 0);
	for (size_t i = 0; i < 3000; i++) {
		size_t at = i < 200 ? i : lcg(&seed) % stored_len;

		memcpy(copy, stored, stored_len);
		copy[at % stored_len] ^= (char)(1 + lcg(&seed) % 255);
		if (codec_decode(k, kind, copy, stored_len, raw, raw_len, &e))
			assert_int_equal(e.kind, ERR_DISK);
	}
	for (size_t len = 0; len < stored_len; len += len < 100 ? 1 : 97) {
		memcpy(copy, stored, len);
		assert_int_equal(codec_decode(k, kind, copy, len, raw, raw_len, &e), -1);
	}
	for (size_t len = 0; len < raw_len; len += len < 100 ? 1 : 997)
		assert_int_equal(codec_decode(k, kind, stored, stored_len, raw, len, &e), -1);
	assert_int_equal(codec_decode(k, 3, stored, stored_len, raw, raw_len, &e), -1);
}

static void a_damaged_frame_is_never_decoded_beyond_its_bounds(void **state)
{
	AUTO(codec) struct codec *k = NULL;
	AUTO(free) char *out = malloc(codec_bound(CODEC_FRAME));
	struct rows r = { 0 };
	struct err e = ERR_INIT;
	struct codec_frame f;
	uint32_t seed = 9;

	(void)state;
	for (int i = 0; i < 12; i++)
		add_row(&r, 300, 100, &seed, UINT32_MAX);
	assert_int_equal(codec_new(&k, 1, &e), 0);
	for (int n = 0; n <= 2; n += 2) {
		codec_begin(k, r.data, r.len, vectors, n);
		assert_int_equal(codec_next(k, out, &f, &e), 1);
		assert_int_equal(f.kind, n ? CODEC_PLANE : CODEC_ZSTD);
		damage(f.kind, out, f.stored, f.raw);
	}
	damage(CODEC_STORED, r.data, r.len, r.len);
	free(r.data);
}

/* Lengths of the head of a plane frame that would overflow a careless sum. */
static void lying_lengths_of_a_plane_frame_are_refused(void **state)
{
	static const uint32_t lies[] = { 0,          1,          15,         16,
					 255,        1 << 18,    0x3fffffff, 0x40000000,
					 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff };
	AUTO(codec) struct codec *k = NULL;
	struct err e = ERR_INIT;
	char stored[4096] = { 0 }, raw[2048];

	(void)state;
	assert_int_equal(codec_new(&k, 1, &e), 0);
	for (size_t a = 0; a < ARRAY_LEN(lies); a++)
		for (size_t b = 0; b < ARRAY_LEN(lies); b++)
			for (size_t at = 0; at < 40; at += 4) {
				uint32_t head[10] = { 128, 2, 128, 128, 128, 128, 0, 64, 0, 64 };

				head[at / 4] = lies[a];
				head[(at / 4 + b) % 10] = lies[b];
				for (int i = 0; i < 10; i++)
					head[i] = htole32(head[i]);
				memcpy(stored, head, 24);
				memcpy(stored + 24 + 512, head + 6, 16);
				if (codec_decode(k, CODEC_PLANE, stored, sizeof(stored), raw,
						 sizeof(raw), &e))
					assert_int_equal(e.kind, ERR_DISK);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_with_vectors_come_back_and_are_smaller),
		cmocka_unit_test(vectors_of_16_bit_origin_shrink_by_half),
		cmocka_unit_test(every_bit_pattern_comes_back),
		cmocka_unit_test(every_dimension_comes_back),
		cmocka_unit_test(rows_that_do_not_parse_come_back),
		cmocka_unit_test(
			a_row_larger_than_a_frame_is_cut_and_the_next_rows_are_found_again),
		cmocka_unit_test(what_does_not_compress_is_stored),
		cmocka_unit_test(a_damaged_frame_is_never_decoded_beyond_its_bounds),
		cmocka_unit_test(lying_lengths_of_a_plane_frame_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
