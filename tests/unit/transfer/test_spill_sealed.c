#include "spill_parts.h"

#define KEY   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define WORD  "a text that is known"

static struct seal_key *key, *other;

static int make_keys(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return seal_key_parse(&key, KEY, &e) || seal_key_parse(&other, OTHER, &e);
}

static int free_keys(void **state)
{
	(void)state;
	seal_key_free(key);
	seal_key_free(other);
	return 0;
}

/* A chunk that holds WORD here and there, and in the name of a collection. */
static struct chunk *chunk_with_word(size_t len, uint32_t seed)
{
	struct chunk *c = chunk_of(len, seed);

	for (size_t at = 0; at + sizeof(WORD) < len; at += 5000)
		memcpy(c->data + at, WORD, sizeof(WORD) - 1);
	c->parts = calloc(1, sizeof(*c->parts));
	assert_non_null(c->parts);
	c->parts[0].collection = strdup(WORD);
	c->n_parts = 1;
	return c;
}

static void write_sealed(struct chunk *c)
{
	AUTO(spill_writer) struct spill_writer *w = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(spill_writer_new(&w, folder, "run-1", key, 1, &e), 0);
	if (spill_write(w, c, NULL, 0, &e))
		fail_msg("%s", e.text);
}

static void assert_refused_with(struct chunk *c, const struct seal_key *with, const char *words)
{
	struct err e = ERR_INIT;

	chunk_drop_data(c);
	assert_int_equal(spill_read_data(folder, "run-1", with, c, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" lacks \"%s\"", e.text, words);
	assert_null(c->data);
}

static void what_is_sealed_is_read_back_with_its_key(void **state)
{
	static const size_t lengths[] = { 0, 1, 4096, 1 << 20, (1 << 20) + 1, 5500000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		AUTO(chunk) struct chunk *c = chunk_with_word(lengths[i], 7), *back = NULL;
		AUTO(free) char *path = spill_path(folder, c), *bytes = NULL;
		struct err e = ERR_INIT;
		size_t len;

		write_sealed(c);
		bytes = bytes_of(c, &len);
		assert_true(len == c->file_bytes && len <= spill_most_bytes(c));
		assert_null(memmem(bytes, len, WORD, sizeof(WORD) - 1));
		assert_null(memmem(bytes, len, "run-1", 5));
		assert_int_equal(spill_read_header(path, "run-1", key, &back, &e), 0);
		assert_same_chunk(c, back);
		if (spill_read_data(folder, "run-1", key, back, &e))
			fail_msg("%s", e.text);
		assert_memory_equal(back->data, c->data, c->len);
	}
}

static void the_same_chunk_is_never_sealed_the_same_way(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_with_word(100, 7);
	AUTO(free) char *first = NULL, *second = NULL;
	size_t len[2], same = 0;

	(void)state;
	write_sealed(c);
	first = bytes_of(c, &len[0]);
	write_sealed(c);
	second = bytes_of(c, &len[1]);
	assert_int_equal(len[0], len[1]);
	for (size_t i = SPILLFILE_PREFIX; i < len[0]; i++)
		same += first[i] == second[i];
	assert_true(same < len[0] / 20);
}

static void without_the_key_and_with_another_it_is_refused_by_name(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_with_word(3000, 7);

	(void)state;
	write_sealed(c);
	assert_refused_with(c, NULL, "is encrypted, and no key is given");
	assert_refused_with(c, other, "is encrypted with another key");
}

static void with_a_key_a_readable_file_is_not_believed(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_with_word(3000, 7);

	(void)state;
	write_chunk(c);
	assert_refused_with(c, key, "is not encrypted");
}

/* Every byte counts, and damage is not taken for another key. */
static void no_changed_byte_is_read(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_with_word(700, 7);
	AUTO(free) char *bytes = NULL;
	size_t len;

	(void)state;
	write_sealed(c);
	bytes = bytes_of(c, &len);
	for (size_t i = 0; i < len; i++) {
		struct chunk *back = NULL;
		struct err e = ERR_INIT;

		bytes[i] ^= 0x10;
		if (!spill_parse(bytes, len, "run-1", key, &back, &e))
			fail_msg("byte %zu", i);
		assert_int_equal(e.kind, ERR_DISK);
		assert_null(strstr(e.text, "another key"));
		bytes[i] ^= 0x10;
	}
	for (size_t cut = 0; cut < len; cut++) {
		struct chunk *back = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(spill_parse(bytes, cut, "run-1", key, &back, &e), -1);
	}
}

/* Where frame no begins, and where it ends. */
static size_t frame_at(const char *bytes, int no, size_t *ret_end)
{
	uint32_t n;
	size_t at;

	memcpy(&n, bytes + 8, sizeof(n));
	at = SPILLFILE_HEAD + n + SEAL_TAG;
	for (;; no--) {
		memcpy(&n, bytes + at, sizeof(n));
		*ret_end = at + SPILLFILE_LENGTH + n + SEAL_TAG;
		if (no == 0)
			return at;
		at = *ret_end;
	}
}

static void assert_not_parsed(const char *bytes, size_t len)
{
	struct chunk *back = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(spill_parse(bytes, len, "run-1", key, &back, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
}

static void frames_cannot_change_places_within_a_file_or_between_files(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(3 << 20, 3), *d = chunk_of(3 << 20, 3);
	AUTO(free) char *mine = NULL, *yours = NULL, *forged = NULL;
	size_t len[2], end[3], at[3];

	(void)state;
	memcpy(c->data + (1 << 20), c->data, 1 << 20); /* frames of the same length */
	memcpy(d->data, c->data, c->len);
	write_sealed(c);
	mine = bytes_of(c, &len[0]);
	write_sealed(d);
	yours = bytes_of(d, &len[1]);
	assert_int_equal(len[0], len[1]);
	for (int i = 0; i < 3; i++)
		at[i] = frame_at(mine, i, &end[i]);
	assert_int_equal(end[0] - at[0], end[1] - at[1]);
	forged = malloc(len[0]);
	assert_non_null(forged);
	memcpy(forged, mine, len[0]);
	memcpy(forged + at[0], mine + at[1], end[1] - at[1]);
	memcpy(forged + at[1], mine + at[0], end[0] - at[0]);
	assert_not_parsed(forged, len[0]);
	memcpy(forged, mine, len[0]);
	memcpy(forged + at[1], yours + at[1], end[1] - at[1]);
	assert_not_parsed(forged, len[0]);
	/* Without its last frame. */
	memcpy(forged, mine, at[2]);
	memcpy(forged + at[2], mine + end[2], len[0] - end[2]);
	assert_not_parsed(forged, at[2] + len[0] - end[2]);
	/* With the header, or the end, of the other file. */
	memcpy(forged, yours, at[0]);
	memcpy(forged + at[0], mine + at[0], len[0] - at[0]);
	assert_not_parsed(forged, len[0]);
	memcpy(forged, mine, end[2]);
	memcpy(forged + end[2], yours + end[2], len[0] - end[2]);
	assert_not_parsed(forged, len[0]);
}

static void count(void *ctx, const char *file, const struct err *why)
{
	(void)file;
	(void)why;
	(*(int *)ctx)++;
}

static void a_scan_knows_its_own_files_only(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_with_word(3000, 7);
	struct chunk **found = NULL;
	struct err e = ERR_INIT;
	uint64_t bytes;
	int n, damaged = 0;

	(void)state;
	write_sealed(c);
	c->range++;
	write_chunk(c);
	assert_int_equal(spill_scan(folder, "run-1", key, &found, &n, count, &damaged, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(found[0]->range, c->range - 1);
	assert_int_equal(damaged, 1);
	chunk_free(found[0]);
	free(found);
	spill_count_files(folder, &n, &bytes);
	assert_int_equal(n, 2);
	assert_true(bytes > c->file_bytes && bytes < 2 * c->file_bytes + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_is_sealed_is_read_back_with_its_key),
		IN_FOLDER(the_same_chunk_is_never_sealed_the_same_way),
		IN_FOLDER(without_the_key_and_with_another_it_is_refused_by_name),
		IN_FOLDER(with_a_key_a_readable_file_is_not_believed),
		IN_FOLDER(no_changed_byte_is_read),
		IN_FOLDER(frames_cannot_change_places_within_a_file_or_between_files),
		IN_FOLDER(a_scan_knows_its_own_files_only),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
