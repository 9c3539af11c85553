#include "spill_parts.h"

static void what_is_written_is_read_back(void **state)
{
	static const size_t lengths[] = { 0, 1, 4095, 4096, 4097, 1 << 20, (1 << 20) + 1, 9500000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		AUTO(chunk) struct chunk *c = chunk_of(lengths[i], 7), *back = NULL;
		AUTO(free) char *path = spill_path(folder, c);
		struct err e = ERR_INIT;
		struct stat st;

		write_chunk(c);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_true((uint64_t)st.st_size == c->file_bytes);
		assert_int_equal(spill_read_header(path, "run-1", NULL, &back, &e), 0);
		assert_same_chunk(c, back);
		assert_null(back->data);
		if (spill_read_data(folder, "run-1", NULL, back, &e))
			fail_msg("%s", e.text);
		assert_int_equal(back->len, c->len);
		assert_memory_equal(back->data, c->data, c->len);
		assert_int_equal(spill_remove(folder, c, &e), 0);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void add_part(struct chunk *c, const char *name)
{
	c->parts = realloc(c->parts, (size_t)(c->n_parts + 1) * sizeof(*c->parts));
	assert_non_null(c->parts);
	c->parts[c->n_parts].collection = name ? strdup(name) : NULL;
	c->parts[c->n_parts].tally = (struct tally){ (uint64_t)c->n_parts, { -1, c->n_parts } };
	c->n_parts++;
}

static void any_collection_name_is_kept(void **state)
{
	static const char *const names[] = {
		NULL,
		"",
		"plain",
		"\"; DROP TABLE x; --",
		"a'b\\c",
		"line\nline\r\t",
		"../../etc/passwd",
		"\x01\x1f\x7f",
		"\xf0\x9f\x98\x80 \xc3\xa9",
		"\xff\xfe not UTF-8",
		"\xed\xa0\x80",
		"{\"hex\":\"00\"}",
	};
	AUTO(chunk) struct chunk *c = chunk_of(1000, 1), *back = NULL;
	AUTO(free) char *path = spill_path(folder, c), *longest = malloc(3000001);
	struct err e = ERR_INIT;

	(void)state;
	memset(longest, 'x', 3000000);
	longest[3000000] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		add_part(c, names[i]);
	add_part(c, longest);
	write_chunk(c);
	if (spill_read_header(path, "run-1", NULL, &back, &e) ||
	    spill_read_data(folder, "run-1", NULL, back, &e))
		fail_msg("%s", e.text);
	assert_same_chunk(c, back);
	assert_memory_equal(back->data, c->data, c->len);
}

static void the_largest_numbers_are_kept(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(10, 1), *back = NULL;
	AUTO(free) char *path = NULL;
	__extension__ unsigned __int128 most = (unsigned __int128)-1 >> 1;
	struct err e = ERR_INIT;

	(void)state;
	c->plan = c->table = c->range = c->route = INT32_MAX;
	c->from = chunk_position(UINT32_MAX, UINT16_MAX);
	c->to = UINT64_MAX;
	c->binary = true;
	c->read.rows = c->sent.rows = UINT64_MAX;
	c->read.sum[0] = (__typeof__(c->read.sum[0]))most;
	c->read.sum[1] = -c->read.sum[0] - 1;
	path = spill_path(folder, c);
	write_chunk(c);
	if (spill_read_header(path, "run-1", NULL, &back, &e))
		fail_msg("%s", e.text);
	assert_same_chunk(c, back);
}

/* ---- damage ---- */

/* Refused, as memory and as a file, with the words; nothing is allocated into c. */
static void assert_refused(struct chunk *c, const char *bytes, size_t len, const char *words)
{
	AUTO(chunk) struct chunk *parsed = NULL;
	AUTO(free) char *path = spill_path(folder, c);
	struct err e = ERR_INIT;

	assert_int_equal(spill_parse(bytes, len, "run-1", NULL, &parsed, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	if (words && !strstr(e.text, words))
		fail_msg("\"%s\" lacks \"%s\"", e.text, words);
	assert_null(parsed);
	put_bytes(c, bytes, len);
	chunk_drop_data(c);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_int_equal(e.next, ERR_GIVE_UP);
	assert_non_null(strstr(e.text, path));
	assert_true(e.hint[0]);
	assert_null(c->data);
	assert_int_equal(c->len, 0);
}

static void no_flipped_bit_changes_what_is_read(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(300, 3);
	AUTO(free) char *bytes = NULL;
	struct err e = ERR_INIT;
	size_t len, harmless = 0;

	(void)state;
	add_part(c, "name");
	write_chunk(c);
	bytes = bytes_of(c, &len);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		AUTO(chunk) struct chunk *back = NULL;

		bytes[bit / 8] ^= (char)(1 << bit % 8);
		if (!spill_parse(bytes, len, "run-1", NULL, &back, &e)) {
			assert_same_chunk(c, back);
			assert_int_equal(back->len, c->len);
			assert_memory_equal(back->data, c->data, c->len);
			harmless++;
		} else {
			assert_int_equal(e.kind, ERR_DISK);
		}
		bytes[bit / 8] ^= (char)(1 << bit % 8);
	}
	/* Some bits of zstd's heads may be without meaning: the raw bytes are what is checked. */
	assert_in_range(harmless, 0, 16);
}

static void a_flip_in_a_large_file_is_refused(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(5 << 20, 4);
	AUTO(free) char *bytes = NULL;
	uint32_t seed = 1;
	size_t len;

	(void)state;
	write_chunk(c);
	bytes = bytes_of(c, &len);
	for (size_t i = 0; i < 20; i++) {
		size_t at = i < 4 ? (size_t[]){ 0, 20, len - 1, len - 39 }[i] : next(&seed) % len;

		bytes[at] ^= 0x10;
		assert_refused(c, bytes, len, "damaged spill file");
		bytes[at] ^= 0x10;
	}
}

static void a_cut_file_is_refused_by_its_header_already(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(3000, 5);
	AUTO(free) char *bytes = NULL, *path = spill_path(folder, c);
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	write_chunk(c);
	bytes = bytes_of(c, &len);
	for (size_t cut = 0; cut < len; cut++) {
		AUTO(chunk) struct chunk *back = NULL;

		assert_int_equal(spill_parse(bytes, cut, "run-1", NULL, &back, &e), -1);
		assert_int_equal(e.kind, ERR_DISK);
		if (cut % 100)
			continue;
		assert_refused(c, bytes, cut, "damaged spill file");
		assert_int_equal(spill_read_header(path, "run-1", NULL, &back, &e), -1);
	}
	assert_refused(c, bytes, len - 40, "its end is missing");
}

static void appended_bytes_are_refused_by_the_header_already(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(3000, 6), *back = NULL;
	AUTO(free) char *bytes = NULL, *more = NULL, *path = spill_path(folder, c);
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	write_chunk(c);
	bytes = bytes_of(c, &len);
	more = calloc(1, 2 * len + 5000);
	memcpy(more, bytes, len);
	assert_refused(c, more, len + 1, "its end is missing");
	assert_refused(c, more, len + 4096, "its end is missing");
	memcpy(more + len, bytes, len);
	assert_refused(c, more, 2 * len, "length");
	assert_int_equal(spill_read_header(path, "run-1", NULL, &back, &e), -1);
	/* The end moved behind the garbage. */
	memset(more, 0, 2 * len);
	memcpy(more, bytes, len - SPILLFILE_TRAILER);
	memcpy(more + len, bytes + len - SPILLFILE_TRAILER, SPILLFILE_TRAILER);
	assert_refused(c, more, len + SPILLFILE_TRAILER, "length");
}

static void another_run_is_refused_and_named(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(100, 7), *back = NULL;
	AUTO(free) char *path = spill_path(folder, c);
	struct err e = ERR_INIT;

	(void)state;
	write_chunk(c);
	assert_int_equal(spill_read_header(path, "run-2", NULL, &back, &e), -1);
	assert_non_null(strstr(e.text, "another run, \"run-1\" instead of \"run-2\""));
	assert_int_equal(spill_read_data(folder, "run-2", NULL, c, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
}

/* Puts a file together from a header and frames, with all checksums right. */
struct forged {
	char *bytes;
	size_t len;
	uint64_t chain;
	uint32_t frames;
};

static void forge(struct forged *f, const void *data, size_t len)
{
	f->bytes = realloc(f->bytes, f->len + len);
	assert_non_null(f->bytes);
	memcpy(f->bytes + f->len, data, len);
	f->len += len;
}

static void forge_header(struct forged *f, const struct chunk *c)
{
	AUTO(free) char *header = NULL;
	struct err e = ERR_INIT;
	size_t len;

	*f = (struct forged){ 0 };
	assert_int_equal(spillfile_header(c, "run-1", &header, &len, &f->chain, &e), 0);
	forge(f, header, len);
}

/* Replaces text in the header by text of the same length. */
static void forge_word(struct forged *f, const char *from, const char *to)
{
	size_t head = f->len - sizeof(f->chain);
	char *at = memmem(f->bytes, head, from, strlen(from));

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
	f->chain = spillfile_check(f->bytes, head);
	memcpy(f->bytes + head, &f->chain, sizeof(f->chain));
}

static void forge_frame(struct forged *f, uint32_t kind, uint32_t raw, const void *stored,
			uint32_t stored_len, uint64_t check)
{
	struct spillfile_frame frame = { kind, raw, stored_len, check };
	char head[SPILLFILE_FRAME];

	spillfile_frame(&frame, head);
	forge(f, head, sizeof(head));
	forge(f, stored, stored_len);
	f->chain = spillfile_chain(f->chain, check);
	f->frames++;
}

static void forge_trailer(struct forged *f)
{
	struct spillfile_trailer t = { f->frames, f->len + SPILLFILE_TRAILER, f->chain };
	char bytes[SPILLFILE_TRAILER];

	spillfile_trailer(&t, bytes);
	forge(f, bytes, sizeof(bytes));
}

static void a_future_format_is_refused_by_name(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(0, 8);
	struct forged f;

	(void)state;
	forge_header(&f, c);
	forge_word(&f, "\"format\":1", "\"format\":3");
	forge_trailer(&f);
	assert_refused(c, f.bytes, f.len, "of format 3, and this program knows only 1 and 2");
	free(f.bytes);
	forge_header(&f, c);
	forge_word(&f, "NFSPILL1", "NFSPILL3");
	forge_trailer(&f);
	assert_refused(c, f.bytes, f.len, "of format 3");
	free(f.bytes);
}

static void a_header_with_a_wrong_field_is_refused(void **state)
{
	static const char *const words[][2] = {
		{ "\"table\":2", "\"table\":3" },
		{ "\"table\":2", "\"tabel\":2" },
		{ "\"binary\":false", "\"binary\":\"alse" },
		{ "\"plan\":1,", "\"plan\":1]" },
		{ "\"parts\":[]", "\"parts\":{}" },
		{ "\"raw_bytes\":0", "\"raw_bytes\":x" },
		{ "\"rows\":17", "\"rows\":-7" },
		{ "\"run\":", "\"nur\":" },
		{ "\"format\":", "\"fromat\":" },
		{ "\"from\":327686,", "\"from\":-27686," },
		{ "1.2.3.4.5.6", "1.2.3.4.5.7" },
	};
	AUTO(chunk) struct chunk *c = chunk_of(0, 8), *back = NULL;
	struct err e = ERR_INIT;
	struct forged f;

	(void)state;
	forge_header(&f, c);
	forge_trailer(&f);
	assert_int_equal(spill_parse(f.bytes, f.len, "run-1", NULL, &back, &e), 0);
	free(f.bytes);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		forge_header(&f, c);
		forge_word(&f, words[i][0], words[i][1]);
		forge_trailer(&f);
		assert_refused(c, f.bytes, f.len, NULL);
		free(f.bytes);
	}
}

static void a_header_that_lies_about_lengths_is_refused(void **state)
{
	static const uint64_t lies[] = { 99, 101, 1 << 20, (1 << 20) + 1, 1ull << 40, UINT64_MAX };
	AUTO(chunk) struct chunk *c = chunk_of(100, 9);
	struct forged f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		AUTO(chunk) struct chunk *liar = chunk_of(100, 9);

		liar->raw_bytes = lies[i];
		forge_header(&f, liar);
		forge_frame(&f, 0, 100, c->data, 100, spillfile_check(c->data, 100));
		forge_trailer(&f);
		assert_refused(liar, f.bytes, f.len, "damaged spill file");
		/* The trailer lies too: as many frames as would fit the length. */
		f.len -= SPILLFILE_TRAILER;
		f.frames = UINT32_MAX;
		forge_trailer(&f);
		assert_refused(liar, f.bytes, f.len, "damaged spill file");
		free(f.bytes);
	}
}

static void a_header_length_beyond_the_file_is_refused(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(100, 9);
	AUTO(free) char *bytes = NULL;
	size_t len;

	(void)state;
	write_chunk(c);
	bytes = bytes_of(c, &len);
	memset(bytes + 8, 0xff, 4);
	assert_refused(c, bytes, len, "cut short");
	memset(bytes + 8, 0, 4);
	assert_refused(c, bytes, len, "checksum of its header");
}

static void frames_that_lie_are_refused(void **state)
{
	static const uint32_t lies[][3] = {
		/* kind, raw, stored */
		{ 0, 100, 99 },  { 0, 99, 100 },  { 0, 0, 100 },          { 0, 1 << 21, 100 },
		{ 1, 100, 100 }, { 2, 100, 100 }, { 3, 100, 100 },        { 0, 100, 0 },
		{ 1, 100, 0 },   { 2, 100, 0 },   { 0, UINT32_MAX, 100 }, { 0xffffffff, 100, 100 },
	};
	AUTO(chunk) struct chunk *c = chunk_of(100, 9);
	char data[100];
	struct forged f;

	(void)state;
	memcpy(data, c->data, sizeof(data));
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		c->raw_bytes = 100;
		forge_header(&f, c);
		forge_frame(&f, lies[i][0], lies[i][1], data, lies[i][2],
			    spillfile_check(data, 100));
		forge_trailer(&f);
		assert_refused(c, f.bytes, f.len, NULL);
		free(f.bytes);
	}
}

static void exchanged_frames_are_refused(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(200, 9);
	uint64_t chain;
	struct forged f;

	(void)state;
	c->raw_bytes = 200;
	forge_header(&f, c);
	forge_frame(&f, 0, 100, c->data, 100, spillfile_check(c->data, 100));
	forge_frame(&f, 0, 100, c->data + 100, 100, spillfile_check(c->data + 100, 100));
	chain = f.chain;
	free(f.bytes);
	forge_header(&f, c);
	forge_frame(&f, 0, 100, c->data + 100, 100, spillfile_check(c->data + 100, 100));
	forge_frame(&f, 0, 100, c->data, 100, spillfile_check(c->data, 100));
	f.chain = chain;
	forge_trailer(&f);
	assert_refused(c, f.bytes, f.len, "do not belong together");
	free(f.bytes);
}

static void the_file_of_another_reading_is_refused(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(100, 10);
	struct err e = ERR_INIT;

	(void)state;
	write_chunk(c);
	chunk_drop_data(c);
	c->read.sum[0]++;
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	assert_non_null(strstr(e.text, "another reading"));
	c->read.sum[0]--;
	c->to++;
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	c->to--;
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), 0);
}

static void what_is_no_file_is_refused(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(100, 11);
	AUTO(free) char *path = spill_path(folder, c);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_int_equal(e.sys_errno, ENOENT);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_is_written_is_read_back),
		IN_FOLDER(any_collection_name_is_kept),
		IN_FOLDER(the_largest_numbers_are_kept),
		IN_FOLDER(no_flipped_bit_changes_what_is_read),
		IN_FOLDER(a_flip_in_a_large_file_is_refused),
		IN_FOLDER(a_cut_file_is_refused_by_its_header_already),
		IN_FOLDER(appended_bytes_are_refused_by_the_header_already),
		IN_FOLDER(another_run_is_refused_and_named),
		IN_FOLDER(a_future_format_is_refused_by_name),
		IN_FOLDER(a_header_with_a_wrong_field_is_refused),
		IN_FOLDER(a_header_that_lies_about_lengths_is_refused),
		IN_FOLDER(a_header_length_beyond_the_file_is_refused),
		IN_FOLDER(frames_that_lie_are_refused),
		IN_FOLDER(exchanged_frames_are_refused),
		IN_FOLDER(the_file_of_another_reading_is_refused),
		IN_FOLDER(what_is_no_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
