#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer/seal.h"

#define HEX   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct seal_key *key_of(const char *text)
{
	struct seal_key *key = NULL;
	struct err e = ERR_INIT;

	if (seal_key_parse(&key, text, &e))
		fail_msg("%s", e.text);
	return key;
}

static void a_key_in_hexadecimal_and_in_base64_is_the_same(void **state)
{
	static const char *const forms[] = {
		HEX,
		"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	};
	AUTO(seal_key) struct seal_key *first = key_of(HEX);
	char mark[SEAL_MARK];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(seal_key_mark(first, mark, &e), 0);
	assert_int_equal(strlen(mark), SEAL_MARK - 1);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		AUTO(seal_key) struct seal_key *key = key_of(forms[i]);

		assert_int_equal(seal_key_is(key, mark, &e), 1);
	}
}

static void what_is_no_key_is_refused_and_not_shown(void **state)
{
	static const char *const texts[] = {
		"",
		"secret",
		(HEX "20"),
		"0001",
		"g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh",
		(" " HEX),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct seal_key *key = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(seal_key_parse(&key, texts[i], &e), -1);
		assert_null(key);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_non_null(strstr(e.hint, "openssl rand -hex 32"));
		assert_true(!*texts[i] || !strstr(e.text, texts[i]));
	}
}

static void a_mark_knows_its_key_and_no_other(void **state)
{
	AUTO(seal_key) struct seal_key *mine = key_of(HEX);
	AUTO(seal_key) struct seal_key *other = key_of(OTHER);
	char mark[SEAL_MARK], again[SEAL_MARK];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(seal_key_mark(mine, mark, &e), 0);
	assert_int_equal(seal_key_mark(mine, again, &e), 0);
	assert_string_not_equal(mark, again);
	assert_null(strstr(mark, HEX));
	assert_int_equal(seal_key_is(mine, again, &e), 1);
	assert_int_equal(seal_key_is(other, mark, &e), 0);
	assert_int_equal(seal_key_is(mine, NULL, &e), 0);
	assert_int_equal(seal_key_is(mine, "00", &e), 0);
	mark[0] = mark[0] == '0' ? '1' : '0';
	assert_int_equal(seal_key_is(mine, mark, &e), 0);
}

struct sealed {
	char salt[SEAL_SALT], check[SEAL_CHECK], bytes[100 + SEAL_TAG];
};

static void close_piece(const struct seal_key *key, const struct seal_piece *p, struct sealed *ret)
{
	AUTO(seal) struct seal *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(seal_new(&s, &e), 0);
	assert_int_equal(seal_start(s, key, ret->salt, ret->check, &e), 0);
	memset(ret->bytes, 'x', 100);
	assert_int_equal(seal_close(s, p, ret->bytes, 100, &e), 0);
	assert_null(memmem(ret->bytes, 100, "xxxx", 4));
}

/* As piece p of the file `in` (NULL: its own): 0, -1 where it does not open, -2 for another key. */
static int open_piece(const struct seal_key *key, const struct seal_piece *p,
		      const struct sealed *from, const struct sealed *in, char *out)
{
	AUTO(seal) struct seal *s = NULL;
	const struct sealed *file = in ? in : from;
	struct err e = ERR_INIT;
	int r;

	assert_int_equal(seal_new(&s, &e), 0);
	r = seal_resume(s, key, file->salt, file->check, &e);
	assert_int_not_equal(r, -1);
	if (r == 0)
		return -2;
	r = seal_open(s, p, from->bytes, 100, out, &e);
	assert_true(!r || e.kind == ERR_DISK);
	return r;
}

static void a_piece_opens_in_its_own_place_only(void **state)
{
	static const struct seal_piece piece = { SEAL_FRAME, 7, "bound", 5 };
	static const struct seal_piece others[] = {
		{ SEAL_FRAME, 8, "bound", 5 },   { SEAL_BLOCK, 7, "bound", 5 },
		{ SEAL_FRAME, 7, "Bound", 5 },   { SEAL_FRAME, 7, "bound", 4 },
		{ SEAL_TRAILER, 7, "bound", 5 }, { SEAL_FRAME, 7, NULL, 0 },
	};
	AUTO(seal_key) struct seal_key *key = key_of(HEX);
	struct sealed mine, second;
	char out[100];

	(void)state;
	close_piece(key, &piece, &mine);
	close_piece(key, &piece, &second);
	assert_memory_not_equal(mine.bytes, second.bytes, 100);
	assert_int_equal(open_piece(key, &piece, &mine, NULL, out), 0);
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 'x');
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_int_equal(open_piece(key, &others[i], &mine, NULL, out), -1);
		assert_null(memchr(out, 'x', sizeof(out)));
	}
	/* In another file, though of the same key. */
	assert_int_equal(open_piece(key, &piece, &mine, &second, out), -1);
}

static void no_flipped_bit_opens(void **state)
{
	static const struct seal_piece piece = { .part = SEAL_HEADER };
	AUTO(seal_key) struct seal_key *key = key_of(HEX);
	struct sealed mine;
	char out[100];

	(void)state;
	close_piece(key, &piece, &mine);
	for (size_t bit = 0; bit < 8 * sizeof(mine.bytes); bit += 3) {
		mine.bytes[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(open_piece(key, &piece, &mine, NULL, out), -1);
		mine.bytes[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(open_piece(key, &piece, &mine, NULL, out), 0);
	mine.salt[3] ^= 1;
	assert_int_equal(open_piece(key, &piece, &mine, NULL, out), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_in_hexadecimal_and_in_base64_is_the_same),
		cmocka_unit_test(what_is_no_key_is_refused_and_not_shown),
		cmocka_unit_test(a_mark_knows_its_key_and_no_other),
		cmocka_unit_test(a_piece_opens_in_its_own_place_only),
		cmocka_unit_test(no_flipped_bit_opens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
