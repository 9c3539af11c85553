#include "unit.h"

#include "common/copyrow.h"

#define BYTES(s) (s), sizeof(s) - 1

/* Gives the parser a block of exactly len bytes, so that a sanitizer sees any read past it. */
static int parse_exact(const char *data, size_t len, struct copyrow_field *fields, int max,
		       size_t *ret_used, struct err *e)
{
	AUTO(free) char *exact = malloc(len ? len : 1);

	memcpy(exact, data, len);
	return copyrow_binary(len ? exact : exact + 1, len, fields, max, ret_used, e);
}

static void the_header_is_skipped(void **state)
{
	size_t skip = 99;

	(void)state;
	assert_ok(copyrow_skip_header(copyrow_header, sizeof(copyrow_header), &skip, E));
	assert_int_equal(skip, COPYROW_HEADER_LEN);
}

static void the_header_takes_its_extension_with_it(void **state)
{
	char data[] = "PGCOPY\n\377\r\n\0\0\0\0\1\0\0\0\3abcrest";
	size_t skip = 99;
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(copyrow_skip_header(data, sizeof(data) - 1, &skip, E));
	assert_int_equal(skip, COPYROW_HEADER_LEN + 3);
	assert_int_equal(copyrow_skip_header(data, COPYROW_HEADER_LEN + 2, &skip, &e), -1);
}

static void what_is_no_header_is_a_row(void **state)
{
	size_t skip = 99;

	(void)state;
	assert_ok(copyrow_skip_header(BYTES("\0\1\0\0\0\1x"), &skip, E));
	assert_int_equal(skip, 0);
	skip = 99;
	assert_ok(copyrow_skip_header("", 0, &skip, E));
	assert_int_equal(skip, 0);
}

static void a_damaged_header_is_refused(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {
		{ BYTES("PGCOPY\n\377\r\n\0") },
		{ BYTES("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0") },
		{ BYTES("PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0") },         /* OIDs, no longer made */
		{ BYTES("PGCOPY\n\377\r\n\0\200\0\0\0\0\0\0\0") },       /* critical, unknown */
		{ BYTES("PGCOPY\n\377\r\n\0\0\0\0\0\377\377\377\377") }, /* huge extension */
	};
	struct err e = ERR_INIT;
	size_t skip = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(copyrow_skip_header(bad[i].data, bad[i].len, &skip, &e), -1);
		assert_int_equal(e.kind, ERR_DATA);
	}
	assert_int_equal(skip, 99);
}

static void a_binary_row_is_taken_apart_in_place(void **state)
{
	const char row[] = "\0\3\0\0\0\2ab\377\377\377\377\0\0\0\0next";
	struct copyrow_field f[3];
	struct err e = ERR_INIT;
	size_t used;

	(void)state;
	assert_int_equal(copyrow_binary(row, sizeof(row) - 1, f, 3, &used, &e), 3);
	assert_int_equal(used, sizeof(row) - 1 - 4);
	assert_ptr_equal(f[0].data, row + 6);
	assert_int_equal(f[0].len, 2);
	assert_null(f[1].data);
	assert_int_equal(f[1].len, -1);
	assert_non_null(f[2].data);
	assert_int_equal(f[2].len, 0);
}

static void a_row_without_columns_and_the_trailer_are_told_apart(void **state)
{
	struct copyrow_field f[1];
	struct err e = ERR_INIT;
	size_t used = 0;

	(void)state;
	assert_int_equal(copyrow_binary(BYTES("\0\0"), f, 0, &used, &e), 0);
	assert_int_equal(used, 2);
	assert_int_equal(copyrow_binary(copyrow_trailer, 2, f, 0, &used, &e), COPYROW_END);
	assert_int_equal(used, COPYROW_TRAILER_LEN);
}

static void a_row_cut_anywhere_is_refused(void **state)
{
	const char row[] = "\0\3\0\0\0\2ab\377\377\377\377\0\0\0\1z";
	struct copyrow_field f[3];
	size_t used = 99;

	(void)state;
	for (size_t len = 0; len < sizeof(row) - 1; len++) {
		struct err e = ERR_INIT;

		assert_int_equal(parse_exact(row, len, f, 3, &used, &e), -1);
		assert_int_equal(e.kind, ERR_DATA);
		assert_has(e.text, "cut short");
	}
	assert_int_equal(used, 99);
}

static void wrong_counts_and_lengths_are_refused(void **state)
{
	struct copyrow_field f[2];
	struct err e = ERR_INIT;
	size_t used = 99;

	(void)state;
	assert_int_equal(copyrow_binary(BYTES("\0\3\0\0\0\0\0\0\0\0\0\0\0\0"), f, 2, &used, &e),
			 -1);
	assert_int_equal(copyrow_binary(BYTES("\377\376"), f, 2, &used, &e), -1);
	assert_int_equal(copyrow_binary(BYTES("\200\0"), f, 2, &used, &e), -1);
	assert_int_equal(copyrow_binary(BYTES("\0\1\377\377\377\376"), f, 2, &used, &e), -1);
	assert_int_equal(copyrow_binary(BYTES("\0\1\200\0\0\0"), f, 2, &used, &e), -1);
	assert_int_equal(copyrow_binary(BYTES("\0\1\177\377\377\377abc"), f, 2, &used, &e), -1);
	assert_int_equal(used, 99);
}

struct line {
	const char *line;
	size_t len;
	int n; /* fields, or -1 */
	const char *fields[4];
};

static void check_line(const struct line *c)
{
	struct copyrow_field f[4];
	struct err e = ERR_INIT;
	AUTO(free) char *line = malloc(c->len + 1);
	AUTO(free) char *scratch = malloc(c->len + 1);
	/* Both end exactly where they are said to end. */
	char *line_at = line + 1, *scratch_at = scratch + 1;

	memcpy(line_at, c->line, c->len);
	assert_int_equal(copyrow_text(line_at, c->len, scratch_at, f, 4, &e), c->n);
	for (int i = 0; i < c->n; i++) {
		if (!c->fields[i]) {
			assert_null(f[i].data);
			assert_int_equal(f[i].len, -1);
			continue;
		}
		assert_int_equal(f[i].len, strlen(c->fields[i]));
		assert_memory_equal(f[i].data, c->fields[i], (size_t)f[i].len);
	}
}

static void text_lines_are_unescaped(void **state)
{
	static const struct line lines[] = {
		{ BYTES("a\tb\n"), 2, { "a", "b" } },
		{ BYTES("a\tb"), 2, { "a", "b" } },
		{ BYTES("\n"), 1, { "" } },
		{ BYTES(""), 1, { "" } },
		{ BYTES("\t\t\t"), 4, { "", "", "", "" } },
		{ BYTES("\\N\tx\t\\N\n"), 3, { NULL, "x", NULL } },
		{ BYTES("\\\\N\t\\Nx\tN"), 3, { "\\N", "Nx", "N" } },
		{ BYTES("\\b\\f\\n\\r\\t\\v\\\\"), 1, { "\b\f\n\r\t\v\\" } },
		{ BYTES("\\\tx"), 1, { "\tx" } },
		{ BYTES("\\q\\.x"), 1, { "q.x" } },
		{ BYTES("gr\303\274n\t\342\202\254"), 2, { "gr\303\274n", "\342\202\254" } },
		{ BYTES("\\"), -1, { 0 } },
		{ BYTES("a\\\n"), -1, { 0 } },
		{ BYTES("a\nb\n"), -1, { 0 } },
		{ BYTES("1\t2\t3\t4\t5"), -1, { 0 } },
		{ BYTES("\\."), COPYROW_END, { 0 } },
		{ BYTES("\\.\n"), COPYROW_END, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		check_line(&lines[i]);
}

static void octal_and_hex_make_one_byte_each(void **state)
{
	const char line[] = "\\101\\1012\\08\\x41\\x4a\\x4A1\\xg\\377\\777";
	const char expected[] = "AA2\0008AJJ1xg\377\377";
	char scratch[sizeof(line)];
	struct copyrow_field f[1];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(copyrow_text(line, sizeof(line) - 1, scratch, f, 1, &e), 1);
	assert_int_equal(f[0].len, sizeof(expected) - 1);
	assert_memory_equal(f[0].data, expected, sizeof(expected) - 1);
}

static void a_line_of_no_columns_is_empty(void **state)
{
	struct copyrow_field f[1];
	char scratch[8];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(copyrow_text("\n", 1, scratch, f, 0, &e), 0);
	assert_int_equal(copyrow_text("", 0, scratch, f, 0, &e), 0);
	assert_int_equal(copyrow_text("x\n", 2, scratch, f, 0, &e), -1);
	assert_int_equal(copyrow_text("\\.\n", 3, scratch, f, 0, &e), COPYROW_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_is_skipped),
		cmocka_unit_test(the_header_takes_its_extension_with_it),
		cmocka_unit_test(what_is_no_header_is_a_row),
		cmocka_unit_test(a_damaged_header_is_refused),
		cmocka_unit_test(a_binary_row_is_taken_apart_in_place),
		cmocka_unit_test(a_row_without_columns_and_the_trailer_are_told_apart),
		cmocka_unit_test(a_row_cut_anywhere_is_refused),
		cmocka_unit_test(wrong_counts_and_lengths_are_refused),
		cmocka_unit_test(text_lines_are_unescaped),
		cmocka_unit_test(octal_and_hex_make_one_byte_each),
		cmocka_unit_test(a_line_of_no_columns_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
