/* Folders of migrations: names, order, what is refused and how it is named. */
#include "schema/migration.h"

#include "common/file.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/neonferry-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return file_remove_tree(dir, E);
}

static void put_bytes(const char *name, const char *bytes, size_t len)
{
	AUTO(free) char *path = file_path(dir, name);

	assert_ok(file_write(path, bytes, len, E));
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static struct migration_folder *read_dir(void)
{
	struct migration_folder *f = NULL;

	assert_ok(migration_folder_read(&f, dir, E));
	return f;
}

static void refused(const char *part)
{
	struct migration_folder *f = NULL;
	struct err e = ERR_INIT;

	if (migration_folder_read(&f, dir, &e) == 0)
		fail_msg("was read, though %s", part);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_has(e.text, part);
	assert_null(f);
}

static void numbers_order_not_bytes(void **state)
{
	(void)state;
	put("10_ten.sql", "SELECT 10");
	put("9_nine.sql", "SELECT 9");
	put("002_two_words.sql", "SELECT 2");
	put("20240101120000-stamp.up.sql", "SELECT 3");
	put("readme.sql", "");
	put("notes.txt", "");
	AUTO(migration_folder) struct migration_folder *f = read_dir();
	assert_int_equal(f->n, 4);
	assert_string_equal(f->list[0].description, "two words");
	assert_string_equal(f->list[1].version, "9");
	assert_string_equal(f->list[2].version, "10");
	assert_string_equal(f->list[3].version, "20240101120000");
	assert_string_equal(f->list[3].description, "stamp");
	assert_int_equal(f->n_ignored, 1);
	assert_string_equal(f->ignored[0], "readme.sql");
	assert_non_null(migration_find(f, "2"));
	assert_null(migration_find(f, "3"));
}

static void down_scripts_belong_to_their_version(void **state)
{
	(void)state;
	put("001_a.down.sql", "DROP TABLE a");
	put("001_a.sql", "CREATE TABLE a (i int)");
	put("002_b.sql", "SELECT 1");
	AUTO(migration_folder) struct migration_folder *f = read_dir();
	assert_string_equal(f->list[0].up.name, "001_a.sql");
	assert_string_equal(f->list[0].down.name, "001_a.down.sql");
	assert_null(f->list[1].down.path);
}

static void a_folder_may_be_a_migration(void **state)
{
	(void)state;
	AUTO(free) char *sub = file_path(dir, "20240101_init");
	assert_ok(file_mkdir(sub, E));
	put("20240101_init/migration.sql", "SELECT 1");
	put("20240101_init/down.sql", "SELECT 2");
	AUTO(migration_folder) struct migration_folder *f = read_dir();
	assert_int_equal(f->n, 1);
	assert_string_equal(f->list[0].description, "init");
	assert_string_equal(f->list[0].down.name, "20240101_init/down.sql");
}

static void two_files_of_one_version_are_refused(void **state)
{
	(void)state;
	put("1_a.sql", "SELECT 1");
	put("001_b.sql", "SELECT 1");
	refused("001_b.sql and 1_a.sql");
}

static void a_down_script_alone_is_refused(void **state)
{
	(void)state;
	put("001_a.down.sql", "SELECT 1");
	refused("001_a.down.sql undoes a migration that is not there");
}

static void gaps_are_named(void **state)
{
	(void)state;
	put("001_a.sql", "SELECT 1");
	put("003_b.sql", "SELECT 1");
	put("007_c.sql", "SELECT 1");
	put("20240101120000_d.sql", "SELECT 1");
	AUTO(migration_folder) struct migration_folder *f = read_dir();
	assert_int_equal(f->n_gaps, 2);
	assert_string_equal(f->gaps[0], "002");
	assert_string_equal(f->gaps[1], "004 to 006");
}

static void bytes_that_are_not_utf8_are_named_by_line(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = {
		{ "-- a\nSELECT '\xe9'", 15, "line 2 is not UTF-8 (byte 0xe9)" },
		{ "\xc0\xaf", 2, "line 1 is not UTF-8 (byte 0xc0)" },
		{ "\xed\xa0\x80", 3, "line 1 is not UTF-8 (byte 0xed)" },
		{ "\xf4\x90\x80\x80", 4, "line 1 is not UTF-8 (byte 0xf4)" },
		{ "a\0b", 3, "line 1 holds a zero byte" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put_bytes("001_a.sql", cases[i].bytes, cases[i].len);
		refused(cases[i].text);
	}
	put("001_a.sql", "SELECT 'é ✓ 😀'");
	AUTO(migration_folder) struct migration_folder *f = read_dir();
	assert_int_equal(f->n, 1);
}

static void line_ends_and_a_mark_do_not_change_the_checksum(void **state)
{
	char before[65];

	(void)state;
	put("001_a.sql", "SELECT 1;\nSELECT 2;\n");
	AUTO(migration_folder) struct migration_folder *f = read_dir();
	memcpy(before, f->list[0].up.checksum, sizeof(before));
	put("001_a.sql", "\xef\xbb\xbfSELECT 1;\r\nSELECT 2;\r\n");
	AUTO(migration_folder) struct migration_folder *g = read_dir();
	assert_string_equal(g->list[0].up.checksum, before);
	put("001_a.sql", "SELECT 1;\nSELECT 3;\n");
	AUTO(migration_folder) struct migration_folder *h = read_dir();
	assert_string_not_equal(h->list[0].up.checksum, before);
}

static void directives_are_known_or_refused(void **state)
{
	(void)state;
	put("001_a.sql", "-- moves rows\n-- neonferry: batch pause=250\nUPDATE t SET a = 1");
	put("002_b.sql", "--neonferry: no-transaction\nSELECT 1");
	put("003_c.sql", "SELECT 1;\n-- neonferry: behind the first statement\n");
	AUTO(migration_folder) struct migration_folder *f = read_dir();
	assert_true(f->list[0].up.batch);
	assert_int_equal(f->list[0].up.pause_ms, 250);
	assert_true(f->list[1].up.no_transaction);
	assert_false(f->list[2].up.batch || f->list[2].up.no_transaction);
	put("001_a.sql", "-- neonferry: bathc\nUPDATE t SET a = 1");
	refused("unknown directive \"bathc\"");
}

static void a_missing_folder_is_named(void **state)
{
	struct migration_folder *f = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(migration_folder_read(&f, "/nowhere/migrations", &e), -1);
	assert_has(e.text, "/nowhere/migrations");
	assert_has(e.hint, "--dir");
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(numbers_order_not_bytes),
		IN_DIR(down_scripts_belong_to_their_version),
		IN_DIR(a_folder_may_be_a_migration),
		IN_DIR(two_files_of_one_version_are_refused),
		IN_DIR(a_down_script_alone_is_refused),
		IN_DIR(gaps_are_named),
		IN_DIR(bytes_that_are_not_utf8_are_named_by_line),
		IN_DIR(line_ends_and_a_mark_do_not_change_the_checksum),
		IN_DIR(directives_are_known_or_refused),
		IN_DIR(a_missing_folder_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
