#include "spill_parts.h"

#include <sys/resource.h>

struct seen {
	int n;
	char names[8][CHUNK_ID_LEN + 8];
};

static void note_damaged(void *ctx, const char *file, const struct err *why)
{
	struct seen *seen = ctx;

	assert_int_equal(why->kind, ERR_DISK);
	assert_true(seen->n < 8);
	snprintf(seen->names[seen->n++], sizeof(seen->names[0]), "%.90s", file);
}

static void touch(const char *name, const char *content)
{
	AUTO(free) char *path = file_path(folder, name);
	struct err e = ERR_INIT;

	assert_int_equal(file_write(path, content, strlen(content), &e), 0);
}

static bool there(const char *name)
{
	AUTO(free) char *path = file_path(folder, name);

	return file_exists(path);
}

static void a_scan_sorts_the_good_names_the_bad_and_removes_the_unfinished(void **state)
{
	AUTO(free) char *from = NULL, *to = NULL;
	struct seen seen = { 0 };
	struct chunk **found = NULL;
	struct err e = ERR_INIT;
	int n;

	(void)state;
	for (int i = 0; i < 150; i++) {
		AUTO(chunk) struct chunk *c = chunk_of((size_t)i, 1);

		c->range = (i * 37) % 150;
		write_chunk(c);
	}
	touch(".tmp-1.2.3.4.5.6", "half");
	touch("1.2.777.4.5.6.nfs", "garbage");
	touch("notes.txt", "mine");
	from = file_path(folder, "1.2.9.4.5.6.nfs");
	to = file_path(folder, "1.2.9.4.5.7.nfs");
	assert_int_equal(rename(from, to), 0);
	if (spill_scan(folder, "run-1", NULL, &found, &n, note_damaged, &seen, &e))
		fail_msg("%s", e.text);
	assert_int_equal(n, 149);
	for (int i = 0; i < n; i++) {
		assert_int_equal(found[i]->range, i < 9 ? i : i + 1);
		chunk_free(found[i]);
	}
	free(found);
	assert_int_equal(seen.n, 2);
	assert_false(there(".tmp-1.2.3.4.5.6"));
	assert_true(there("notes.txt") && there("1.2.777.4.5.6.nfs"));
}

/* `status` scans the folder of a run in work. */
static void a_scan_leaves_the_file_that_is_being_written(void **state)
{
	struct chunk **found = NULL;
	struct blockio *io;
	struct err e = ERR_INIT;
	int n, fd = open(folder, O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(blockio_new(&io, 1 << 20, &e), 0);
	assert_int_equal(blockio_open(io, fd, ".tmp-1.2.3.4.5.6", &e), 0);
	assert_int_equal(spill_scan(folder, "run-1", NULL, &found, &n, NULL, NULL, &e), 0);
	assert_int_equal(n, 0);
	free(found);
	assert_true(there(".tmp-1.2.3.4.5.6"));
	blockio_free(io);
	assert_int_equal(spill_scan(folder, "run-1", NULL, &found, &n, NULL, NULL, &e), 0);
	free(found);
	assert_false(there(".tmp-1.2.3.4.5.6"));
	close(fd);
}

static void an_empty_folder_scans_to_nothing_and_a_missing_one_is_an_error(void **state)
{
	struct chunk **found = NULL;
	struct err e = ERR_INIT;
	int n = -1;

	(void)state;
	assert_int_equal(spill_scan(folder, "run-1", NULL, &found, &n, NULL, NULL, &e), 0);
	assert_int_equal(n, 0);
	free(found);
	assert_int_equal(spill_scan("/nonexistent", "run-1", NULL, &found, &n, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
}

static void both_ways_of_writing_give_the_same_file(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(6000000, 12);
	AUTO(free) char *direct = NULL, *buffered = NULL;
	AUTO(spill_writer) struct spill_writer *w = NULL;
	struct err e = ERR_INIT;
	size_t len[2];

	(void)state;
	write_chunk(c);
	direct = bytes_of(c, &len[0]);
	assert_int_equal(spill_writer_new(&w, folder, "run-1", NULL, 1, &e), 0);
	spill_writer_set_direct(w, false);
	assert_int_equal(spill_write(w, c, NULL, 0, &e), 0);
	buffered = bytes_of(c, &len[1]);
	assert_int_equal(len[0], len[1]);
	assert_memory_equal(direct, buffered, len[0]);
}

static void a_removed_folder_is_an_error(void **state)
{
	AUTO(spill_writer) struct spill_writer *w = NULL;
	AUTO(chunk) struct chunk *c = chunk_of(1000, 13);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(spill_writer_new(&w, "/nonexistent", "run-1", NULL, 1, &e), -1);
	assert_int_equal(spill_writer_new(&w, folder, "run-1", NULL, 1, &e), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(spill_write(w, c, NULL, 0, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_non_null(strstr(e.text, folder));
	assert_int_equal(c->file_bytes, 0);
}

static int entries(void)
{
	DIR *d = opendir(folder);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void mount_small(unsigned long flags)
{
	if (mount("tmpfs", folder, "tmpfs", flags, "size=2m,mode=700"))
		skip();
}

static void a_full_disk_is_worth_a_retry_and_leaves_nothing_behind(void **state)
{
	AUTO(spill_writer) struct spill_writer *w = NULL;
	AUTO(chunk) struct chunk *large = chunk_of(16 << 20, 14), *small = chunk_of(100000, 15);
	struct err e = ERR_INIT;

	(void)state;
	mount_small(0);
	assert_int_equal(spill_writer_new(&w, folder, "run-1", NULL, 1, &e), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(spill_write(w, large, NULL, 0, &e), -1);
		assert_int_equal(e.kind, ERR_DISK);
		assert_int_equal(e.next, ERR_RETRY);
		assert_true(e.hint[0]);
		assert_int_equal(entries(), 0);
	}
	assert_int_equal(spill_write(w, small, NULL, 0, &e), 0);
	assert_int_equal(spill_remove(folder, small, &e), 0);
	assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

static void a_read_only_folder_is_an_error_with_a_hint_and_can_be_read(void **state)
{
	AUTO(spill_writer) struct spill_writer *w = NULL;
	AUTO(chunk) struct chunk *c = chunk_of(1000, 16);
	struct chunk **found;
	struct err e = ERR_INIT;
	bool root = !geteuid();
	int n;

	(void)state;
	if (root)
		mount_small(0);
	write_chunk(c);
	touch(".tmp-9", "half");
	assert_int_equal(spill_writer_new(&w, folder, "run-1", NULL, 1, &e), 0);
	if (root)
		assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	else
		assert_int_equal(chmod(folder, 0500), 0);
	c->range++;
	assert_int_equal(spill_write(w, c, NULL, 0, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_int_equal(e.next, ERR_GIVE_UP);
	assert_non_null(strstr(e.hint, "writable"));
	assert_int_equal(spill_scan(folder, "run-1", NULL, &found, &n, NULL, NULL, &e), 0);
	assert_int_equal(n, 1);
	chunk_free(found[0]);
	free(found);
	if (root)
		assert_int_equal(umount2(folder, MNT_DETACH), 0);
	else
		assert_int_equal(chmod(folder, 0700), 0);
}

static void a_second_writing_replaces_the_first(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(5000, 17), *again = chunk_of(70000, 18);
	struct err e = ERR_INIT;

	(void)state;
	write_chunk(c);
	write_chunk(again);
	chunk_drop_data(again);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, again, &e), 0);
	assert_int_equal(again->len, 70000);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &e), -1);
	assert_int_equal(entries(), 1);
}

/* Sound files of a process that has no descriptor left must not be put aside as damaged. */
static void without_descriptors_no_file_is_taken_for_damaged(void **state)
{
	AUTO(chunk) struct chunk *c = chunk_of(5000, 20);
	struct rlimit before, tight;
	struct chunk **found = NULL;
	struct seen seen = { 0 };
	struct err scan = ERR_INIT, read = ERR_INIT, gone = ERR_INIT;
	int n, scanned, next;

	(void)state;
	write_chunk(c);
	chunk_drop_data(c);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	next = open("/dev/null", O_RDONLY);
	close(next);
	tight = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	scanned = spill_scan(folder, "run-1", NULL, &found, &n, note_damaged, &seen, &scan);
	tight.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &read), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(scanned, -1);
	assert_int_equal(scan.sys_errno, EMFILE);
	assert_int_equal(seen.n, 0);
	assert_false(spill_is_damage(&read));
	assert_int_equal(spill_remove(folder, c, &read), 0);
	assert_int_equal(spill_read_data(folder, "run-1", NULL, c, &gone), -1);
	assert_true(spill_is_damage(&gone));
}

static void a_chunk_without_its_data_is_not_written(void **state)
{
	AUTO(spill_writer) struct spill_writer *w = NULL;
	AUTO(chunk) struct chunk *c = chunk_of(5000, 19);
	struct err e = ERR_INIT;

	(void)state;
	chunk_drop_data(c);
	assert_int_equal(spill_writer_new(&w, folder, "run-1", NULL, 1, &e), 0);
	assert_int_equal(spill_write(w, c, NULL, 0, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	assert_int_equal(c->raw_bytes, 5000);
	assert_int_equal(entries(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_scan_sorts_the_good_names_the_bad_and_removes_the_unfinished),
		IN_FOLDER(a_scan_leaves_the_file_that_is_being_written),
		IN_FOLDER(an_empty_folder_scans_to_nothing_and_a_missing_one_is_an_error),
		IN_FOLDER(both_ways_of_writing_give_the_same_file),
		IN_FOLDER(a_removed_folder_is_an_error),
		IN_FOLDER(a_full_disk_is_worth_a_retry_and_leaves_nothing_behind),
		IN_FOLDER(a_read_only_folder_is_an_error_with_a_hint_and_can_be_read),
		IN_FOLDER(a_second_writing_replaces_the_first),
		IN_FOLDER(without_descriptors_no_file_is_taken_for_damaged),
		IN_FOLDER(a_chunk_without_its_data_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
