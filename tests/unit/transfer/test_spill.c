#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "transfer/spill.h"
#include "transfer/spillfile.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/neonferry-spill-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return file_remove_tree(folder, &e);
}

static uint32_t lcg(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Bytes that compress somewhat, and are not the same twice. */
static struct chunk *chunk_of(size_t len, uint32_t seed)
{
	struct chunk *c;
	struct err e = ERR_INIT;

	assert_int_equal(chunk_new(&c, &e), 0);
	c->plan = 1;
	c->table = 2;
	c->range = 3;
	c->route = 4;
	c->from = chunk_position(5, 6);
	c->to = chunk_position(70000, 1);
	c->read = (struct tally){ 17, { INT64_MAX, INT64_MIN } };
	c->read.sum[0] *= 1000000;
	c->sent = c->read;
	c->sent.sum[1] -= 1;
	c->data = malloc(len + 1);
	assert_non_null(c->data);
	for (size_t i = 0; i < len; i++)
		c->data[i] = (char)(lcg(&seed) & (i & 64 ? 0xff : 3));
	c->len = c->cap = len;
	return c;
}

static void assert_same_chunk(const struct chunk *a, const struct chunk *b)
{
	assert_int_equal(a->plan, b->plan);
	assert_int_equal(a->table, b->table);
	assert_int_equal(a->range, b->range);
	assert_int_equal(a->route, b->route);
	assert_true(a->from == b->from && a->to == b->to);
	assert_int_equal(a->binary, b->binary);
	assert_true(tally_equal(&a->read, &b->read));
	assert_true(tally_equal(&a->sent, &b->sent));
	assert_true(a->raw_bytes == b->raw_bytes);
	assert_true(a->file_bytes == b->file_bytes);
	assert_int_equal(a->n_parts, b->n_parts);
	for (int i = 0; i < a->n_parts; i++) {
		if (a->parts[i].collection && b->parts[i].collection)
			assert_string_equal(a->parts[i].collection, b->parts[i].collection);
		else
			assert_ptr_equal(a->parts[i].collection, b->parts[i].collection);
		assert_true(tally_equal(&a->parts[i].tally, &b->parts[i].tally));
	}
}

static void write_chunk(struct chunk *c)
{
	AUTO(spill_writer) struct spill_writer *w = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(spill_writer_new(&w, folder, "run-1", 1, &e), 0);
	if (spill_write(w, c, NULL, 0, &e))
		fail_msg("%s", e.text);
}

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
		assert_int_equal(spill_read_header(path, "run-1", &back, &e), 0);
		assert_same_chunk(c, back);
		assert_null(back->data);
		if (spill_read_data(folder, "run-1", back, &e))
			fail_msg("%s", e.text);
		assert_int_equal(back->len, c->len);
		assert_memory_equal(back->data, c->data, c->len);
		assert_int_equal(spill_remove(folder, c, &e), 0);
		assert_int_equal(access(path, F_OK), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read_back, make_folder,
						remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
