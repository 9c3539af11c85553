/*
 * spill_parts - what the tests of spill files share: a folder that goes away, chunks, their bytes.
 */
#ifndef TESTS_UNIT_TRANSFER_SPILL_PARTS_H
#define TESTS_UNIT_TRANSFER_SPILL_PARTS_H

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
#include "transfer/blockio.h"
#include "transfer/spill.h"
#include "transfer/spillfile.h"

static char folder[64];

UNUSED static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/neonferry-spill-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

UNUSED static int remove_folder(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	umount2(folder, MNT_DETACH); /* what a failed test left mounted */
	return file_remove_tree(folder, &e);
}

UNUSED static uint32_t next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Bytes that compress somewhat, and are not the same twice. */
UNUSED static struct chunk *chunk_of(size_t len, uint32_t seed)
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
		c->data[i] = (char)(next(&seed) & (i & 64 ? 0xff : 3));
	c->len = c->cap = len;
	return c;
}

UNUSED static void assert_same_chunk(const struct chunk *a, const struct chunk *b)
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

UNUSED static void write_chunk(struct chunk *c)
{
	AUTO(spill_writer) struct spill_writer *w = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(spill_writer_new(&w, folder, "run-1", NULL, 1, &e), 0);
	if (spill_write(w, c, NULL, 0, &e))
		fail_msg("%s", e.text);
}

UNUSED static char *bytes_of(const struct chunk *c, size_t *ret_len)
{
	AUTO(free) char *path = spill_path(folder, c);
	struct err e = ERR_INIT;
	char *bytes = NULL;

	if (file_read(path, (size_t)1 << 30, &bytes, ret_len, &e))
		fail_msg("%s", e.text);
	return bytes;
}

UNUSED static void put_bytes(const struct chunk *c, const char *bytes, size_t len)
{
	AUTO(free) char *path = spill_path(folder, c);
	struct err e = ERR_INIT;

	if (file_write(path, bytes, len, &e))
		fail_msg("%s", e.text);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
