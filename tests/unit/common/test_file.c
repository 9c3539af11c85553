#include "unit.h"

#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/neonferry-file-XXXXXX";
static char path_buf[128];

static int begin(void **state)
{
	(void)state;
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int finish(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return file_remove_tree(dir, &e);
}

static const char *in_dir(const char *name)
{
	snprintf(path_buf, sizeof(path_buf), "%s/%s", dir, name);
	return path_buf;
}

static int mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return (int)(st.st_mode & 0777);
}

static int n_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void assert_content(const char *path, const char *expected)
{
	AUTO(free) char *data = NULL;
	size_t len = 0;

	assert_ok(file_read(path, 1 << 20, &data, &len, E));
	assert_int_equal(len, strlen(expected));
	assert_string_equal(data, expected);
}

static void folders_are_made_with_their_parents_and_private(void **state)
{
	(void)state;
	assert_ok(file_mkdir(in_dir("a/b//c/"), E));
	assert_int_equal(mode_of(in_dir("a/b/c")), 0700);
	assert_int_equal(mode_of(in_dir("a")), 0700);
	assert_ok(file_mkdir(in_dir("a/b/c"), E));
	assert_ok(file_mkdir("/", E));
}

static void a_file_in_the_way_of_a_folder_is_named(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(file_write(in_dir("f"), "x", 1, E));
	assert_int_equal(file_mkdir(in_dir("f"), &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_has(e.text, in_dir("f"));
	assert_int_equal(file_mkdir(in_dir("f/g"), &e), -1);
	assert_int_equal(file_mkdir("", &e), -1);
}

static void a_copy_replaces_what_was_there_but_never_itself(void **state)
{
	struct err e = ERR_INIT;
	char from[4096];

	(void)state;
	snprintf(from, sizeof(from), "%s", in_dir("from"));
	assert_ok(file_write(from, "rows", 4, E));
	assert_ok(file_write(in_dir("to"), "longer than that", 16, E));
	assert_ok(file_copy(from, in_dir("to"), E));
	assert_content(in_dir("to"), "rows");
	assert_int_equal(mode_of(in_dir("to")), 0600);
	assert_ok(file_copy(from, in_dir("./from"), E));
	assert_content(from, "rows");
	assert_int_equal(n_entries(dir), 2);
	assert_int_equal(file_copy(in_dir("missing"), from, &e), -1);
	assert_has(e.text, "missing");
	assert_content(from, "rows");
}

static void a_written_file_is_private_and_complete(void **state)
{
	(void)state;
	assert_ok(file_write(in_dir("f"), "hello", 5, E));
	assert_content(in_dir("f"), "hello");
	assert_int_equal(mode_of(in_dir("f")), 0600);
	assert_ok(file_write(in_dir("empty"), "", 0, E));
	assert_content(in_dir("empty"), "");
}

static void writing_again_replaces_and_leaves_nothing_behind(void **state)
{
	(void)state;
	assert_ok(file_write(in_dir("f"), "a longer text", 13, E));
	assert_ok(file_write(in_dir("f"), "short", 5, E));
	assert_content(in_dir("f"), "short");
	assert_int_equal(n_entries(dir), 1);
}

static void a_failed_write_keeps_the_old_file(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(file_mkdir(in_dir("d/full"), E));
	assert_int_equal(file_write(in_dir("d"), "x", 1, &e), -1); /* a folder is in the way */
	assert_int_equal(e.kind, ERR_DISK);
	assert_int_equal(n_entries(dir), 1);
	assert_int_equal(file_write(in_dir("no/such/folder"), "x", 1, &e), -1);
	assert_int_equal(e.sys_errno, ENOENT);
}

static void a_name_without_a_folder_is_in_the_current_one(void **state)
{
	char before[4096];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(dir), 0);
	assert_ok(file_write("plain", "x", 1, E));
	assert_int_equal(chdir(before), 0);
	assert_content(in_dir("plain"), "x");
}

static void reading_stops_at_the_limit(void **state)
{
	char *data = NULL;
	size_t len = 99;
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(file_write(in_dir("f"), "12345", 5, E));
	assert_int_equal(file_read(in_dir("f"), 4, &data, &len, &e), -1);
	assert_has(e.text, "longer than 4 bytes");
	assert_null(data);
	assert_int_equal(len, 99);
	assert_ok(file_read(in_dir("f"), 5, &data, NULL, E));
	assert_string_equal(data, "12345");
	free(data);
	data = NULL;
	if (file_exists("/dev/zero")) /* a file whose size says nothing */
		assert_int_equal(file_read("/dev/zero", 1 << 20, &data, &len, &e), -1);
	assert_null(data);
}

static void large_files_are_read_whole(void **state)
{
	const size_t size = (3 << 20) + 17;
	AUTO(free) char *data = malloc(size), *back = NULL;
	size_t len;

	(void)state;
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 7);
	assert_ok(file_write(in_dir("f"), data, size, E));
	assert_ok(file_read(in_dir("f"), size, &back, &len, E));
	assert_int_equal(len, size);
	assert_memory_equal(back, data, size);
	assert_int_equal(back[size], 0);
}

static void a_missing_or_unreadable_file_is_named(void **state)
{
	char *data = NULL;
	json_t *json = NULL;
	char hex[65];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_read(in_dir("no"), 1, &data, NULL, &e), -1);
	assert_has(e.text, in_dir("no"));
	assert_int_equal(e.sys_errno, ENOENT);
	assert_int_equal(file_read(dir, 1 << 20, &data, NULL, &e), -1);
	assert_int_equal(file_read_json(in_dir("no"), &json, &e), -1);
	assert_int_equal(file_sha256(in_dir("no"), hex, &e), -1);
	assert_int_equal(file_sha256(dir, hex, &e), -1);
	assert_int_equal(file_sync_dir(in_dir("no"), &e), -1);
	assert_false(file_exists(in_dir("no")));
	assert_true(file_exists(dir));
}

static void json_goes_out_and_back(void **state)
{
	json_t *out = json_pack("{s:i, s:[s, n]}", "a", 1, "b", "gr\303\274n"), *back = NULL;

	(void)state;
	assert_ok(file_write_json(in_dir("j"), out, E));
	assert_ok(file_read_json(in_dir("j"), &back, E));
	assert_true(json_equal(out, back));
	json_decref(out);
	json_decref(back);
}

static void damaged_json_is_named_with_line_and_column(void **state)
{
	static const char *const bad[] = { "{\n \"a\": }", "", "{\"a\":1,\"a\":2}", "{} x" };
	json_t *back = NULL;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_ok(file_write(in_dir("j"), bad[i], strlen(bad[i]), E));
		assert_int_equal(file_read_json(in_dir("j"), &back, &e), -1);
		assert_int_equal(e.kind, ERR_DISK);
		assert_has(e.text, in_dir("j"));
		if (i == 0)
			assert_has(e.text, "line 2, column ");
	}
	assert_null(back);
}

static void a_tree_is_removed_and_links_are_not_followed(void **state)
{
	char target[128];

	(void)state;
	snprintf(target, sizeof(target), "%s/kept", dir);
	assert_ok(file_mkdir(target, E));
	assert_ok(file_write(in_dir("kept/file"), "x", 1, E));
	assert_ok(file_mkdir(in_dir("tree/a/b"), E));
	assert_ok(file_write(in_dir("tree/a/file"), "x", 1, E));
	assert_int_equal(symlink(target, in_dir("tree/a/link")), 0);
	assert_int_equal(symlink("nowhere", in_dir("tree/dangling")), 0);
	assert_ok(file_remove_tree(in_dir("tree"), E));
	assert_false(file_exists(in_dir("tree")));
	assert_content(in_dir("kept/file"), "x");
	assert_ok(file_remove_tree(in_dir("tree"), E)); /* already gone */
	assert_ok(file_remove_tree(in_dir("kept/file"), E));
	assert_false(file_exists(in_dir("kept/file")));
}

static void the_hash_is_that_of_the_bytes(void **state)
{
	char hex[65];
	AUTO(free) char *big = calloc(1, 3000000);

	(void)state;
	assert_ok(file_write(in_dir("f"), "abc", 3, E));
	assert_ok(file_sha256(in_dir("f"), hex, E));
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_ok(file_write(in_dir("f"), "", 0, E));
	assert_ok(file_sha256(in_dir("f"), hex, E));
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_ok(file_write(in_dir("f"), big, 3000000, E));
	assert_ok(file_sha256(in_dir("f"), hex, E));
	assert_string_equal(hex,
			    "35bce4eae54ec8e6cc2868baa8d157914d6ae2858811b4cc0c078c94460fa26f");
}

static void paths_are_joined(void **state)
{
	AUTO(free) char *path = file_path("/a", "b");

	(void)state;
	assert_string_equal(path, "/a/b");
}

/* What another process gets for the lock: 0, 1 or -1. */
static int lock_elsewhere(const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct err e = ERR_INIT;
		int fd;

		_exit(file_lock(path, &fd, &e) & 0xFF);
	}
	waitpid(pid, &status, 0);
	return (signed char)WEXITSTATUS(status);
}

static void one_process_holds_a_lock_until_it_closes_it(void **state)
{
	int fd = -1, other = -1;
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(file_lock(in_dir("lock"), &fd, E));
	assert_int_equal(mode_of(in_dir("lock")), 0600);
	assert_int_equal(file_lock(in_dir("lock"), &other, &e), 1);
	assert_int_equal(other, -1);
	assert_int_equal(lock_elsewhere(in_dir("lock")), 1);
	close(fd);
	assert_int_equal(lock_elsewhere(in_dir("lock")), 0);
	assert_ok(file_lock(in_dir("lock"), &fd, E));
	close(fd);
	assert_int_equal(file_lock("/nowhere/lock", &fd, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(folders_are_made_with_their_parents_and_private),
		TEST(a_file_in_the_way_of_a_folder_is_named),
		TEST(a_copy_replaces_what_was_there_but_never_itself),
		TEST(a_written_file_is_private_and_complete),
		TEST(writing_again_replaces_and_leaves_nothing_behind),
		TEST(a_failed_write_keeps_the_old_file),
		TEST(a_name_without_a_folder_is_in_the_current_one),
		TEST(reading_stops_at_the_limit),
		TEST(large_files_are_read_whole),
		TEST(a_missing_or_unreadable_file_is_named),
		TEST(json_goes_out_and_back),
		TEST(damaged_json_is_named_with_line_and_column),
		TEST(a_tree_is_removed_and_links_are_not_followed),
		TEST(the_hash_is_that_of_the_bytes),
		TEST(paths_are_joined),
		TEST(one_process_holds_a_lock_until_it_closes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
