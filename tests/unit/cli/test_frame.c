#include "tests/unit/common/unit.h"

#include "cli/frame.h"

#include <locale.h>
#include <stdio.h>
#include <wchar.h>

static struct progress_line lines[3];
static struct progress p;
static struct frame f;

static int set_up(void **state)
{
	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	memset(lines, 0, sizeof(lines));
	memset(&p, 0, sizeof(p));
	p.lines = lines;
	p.n_lines = 3;
	p.phase = PHASE_COPY;
	p.started_ms = 1000;
	snprintf(lines[0].name, sizeof(lines[0].name), "public.users");
	snprintf(lines[1].name, sizeof(lines[1].name),
		 "public.vector_documents/a \033[2J 名前 of some length");
	snprintf(lines[2].name, sizeof(lines[2].name), "public.empty");
	lines[0].rows_total = 100;
	lines[1].rows_total = 900;
	p.rows_total = 1000;
	p.bytes_total = 5000;
	frame_init(&f, &p, "a-run", true, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	frame_done(&f);
	return 0;
}

/* Half of everything is loaded at 100 bytes a second, three quarters are read. */
static void go_half_way(void)
{
	frame_sample(&f, 2000);
	lines[0].rows_loaded = 50;
	lines[0].rows_read = 75;
	lines[1].rows_loaded = 450;
	lines[1].rows_read = 675;
	p.rows_loaded = 500;
	p.bytes_loaded = 1000;
	frame_sample(&f, 12000);
}

/* Cells of the widest line; the frame must never wrap. */
static int widest(const char *text)
{
	int most = 0, cells = 0;
	mbstate_t mb = { 0 };
	wchar_t c;

	while (*text) {
		size_t len = mbrtowc(&c, text, 8, &mb);

		assert_true(len > 0 && len < 8);
		if (c == L'\n')
			cells = 0;
		else
			cells += wcwidth(c);
		assert_true(c == L'\n' || wcwidth(c) >= 0); /* nothing that steers a terminal */
		most = cells > most ? cells : most;
		text += len;
	}
	return most;
}

static int count_lines(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void the_area_fits_every_terminal(void **state)
{
	(void)state;
	go_half_way();
	for (int columns = 20; columns < 200; columns++) {
		for (int rows = 6; rows < 30; rows += 6) {
			AUTO_TEXT struct text t = TEXT_INIT;

			frame_area(&f, 12000, columns, rows, &t);
			if (widest(text_str(&t)) >= columns)
				fail_msg("%d cells on %d columns:\n%s", widest(text_str(&t)),
					 columns, text_str(&t));
			assert_true(count_lines(text_str(&t)) < rows);
		}
	}
}

static void the_area_says_how_far_it_is(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	go_half_way();
	frame_area(&f, 12000, 120, 30, &t);
	assert_has(text_str(&t), "a-run  copy  0:11");
	assert_has(text_str(&t), "public.users");
	assert_has(text_str(&t), " 50 %");
	assert_has(text_str(&t), "of 1,000 rows, 0:10 left");
	assert_has(text_str(&t), "0 waiting, 1 finished");
	assert_null(strstr(text_str(&t), "public.empty"));
}

static void a_server_that_is_away_is_told(void **state)
{
	AUTO_TEXT struct text area = TEXT_INIT, line = TEXT_INIT;

	(void)state;
	go_half_way();
	p.waiting = 2;
	p.retries = 7;
	frame_area(&f, 12000, 120, 30, &area);
	frame_line(&f, 12000, &line);
	assert_has(text_str(&area), "7 retries, 2 waiting for a server to come back");
	assert_has(text_str(&line), "7 retries, 2 waiting for a server to come back");
}

static void indexes_beside_the_copy_are_shown(void **state)
{
	AUTO_TEXT struct text area = TEXT_INIT, line = TEXT_INIT, small = TEXT_INIT;

	(void)state;
	go_half_way();
	p.step_done = 3;
	p.step_total = 17;
	f.now = "building INDEX public.x_hnsw: 45 %, 30 s left";
	frame_area(&f, 12000, 120, 30, &area);
	frame_line(&f, 12000, &line);
	frame_area(&f, 12000, 40, 6, &small);
	assert_has(text_str(&area), " indexes: 3 of 17, building INDEX public.x_hnsw: 45 %, 30 s left");
	assert_has(text_str(&line), ", 3 of 17 indexes");
	assert_true(count_lines(text_str(&small)) < 6);
	p.step_done = p.step_total = 0;
	f.now = NULL;
}

static void the_line_of_a_pipe_has_it_all(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	go_half_way();
	p.spill_bytes = 2048;
	p.spill_files = 2;
	frame_line(&f, 12000, &t);
	assert_string_equal(
		text_str(&t),
		"[0:11] copy 50 %, 500 of 1,000 rows, 1000 B, 100 B/s, 0:10 left, 75 % read, "
		"spill 2.0 kB in 2 files");
}

static void steps_are_counted_in_the_other_phases(void **state)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	p.phase = PHASE_INDEX;
	p.step_done = 2;
	p.step_total = 5;
	f.now = "building index i";
	frame_line(&f, 2000, &t);
	assert_string_equal(text_str(&t), "[0:01] indexes 2 of 5: building index i");
}

static void names_are_cut_to_whole_cells(void **state)
{
	static const struct {
		const char *text;
		int cells;
		const char *shown;
	} cases[] = {
		{ "abc", 5, "abc  " },     { "abcdef", 4, "abc…" }, { "名前名前", 5, "名前…" },
		{ "名前名前", 4, "名… " }, { "a\033b", 3, "a?b" },  { "\xff\xfe", 3, "?? " },
		{ "", 2, "  " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_TEXT struct text t = TEXT_INIT;

		frame_fit(&t, cases[i].text, cases[i].cells, true);
		assert_string_equal(text_str(&t), cases[i].shown);
	}
}

static void a_bar_is_always_as_wide_as_asked(void **state)
{
	(void)state;
	for (int done = 0; done <= 100; done++) {
		for (int ahead = 0; ahead <= 100; ahead += 10) {
			AUTO_TEXT struct text t = TEXT_INIT;

			frame_bar(&t, done / 100.0, ahead / 100.0, 17, true);
			assert_int_equal(widest(text_str(&t)), 17);
			text_clear(&t);
			frame_bar(&t, done / 100.0, ahead / 100.0, 17, false);
			assert_int_equal(t.len, 17);
		}
	}
}

static void the_numbers_of_json_are_the_progress(void **state)
{
	(void)state;
	go_half_way();
	json_t *facts = frame_json(&f, 12000);
	assert_string_equal(json_string_value(json_object_get(facts, "phase")), "copy");
	assert_int_equal(json_integer_value(json_object_get(facts, "rows_loaded")), 500);
	assert_int_equal(json_integer_value(json_object_get(facts, "bytes_per_second")), 100);
	json_decref(facts);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_area_fits_every_terminal),
		TEST(the_area_says_how_far_it_is),
		TEST(a_server_that_is_away_is_told),
		TEST(indexes_beside_the_copy_are_shown),
		TEST(the_line_of_a_pipe_has_it_all),
		TEST(steps_are_counted_in_the_other_phases),
		TEST(names_are_cut_to_whole_cells),
		TEST(a_bar_is_always_as_wide_as_asked),
		TEST(the_numbers_of_json_are_the_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
