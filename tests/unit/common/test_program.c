/* Child programs: what they say, how they end, what they must not inherit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/program.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static int shell(const char *script, struct stop *stop, struct text *out, struct err *e)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct program p = { .argv = argv, .blame = ERR_SOURCE, .stop = stop };

	return program_run(&p, out, e);
}

static void output_is_collected_whole(void **state)
{
	(void)state;
	AUTO_TEXT struct text out = TEXT_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(shell("i=0; while [ $i -lt 20000 ]; do echo 0123456789; echo noise >&2; "
			       "i=$((i+1)); done; cat",
			       NULL, &out, &e),
			 0);
	assert_int_equal(out.len, 20000 * 11);
}

static void failure_tells_status_and_last_words(void **state)
{
	(void)state;
	struct err e = ERR_INIT;

	assert_int_equal(shell("echo first >&2; echo last words >&2; exit 3", NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_SOURCE);
	assert_non_null(strstr(e.text, "status 3"));
	assert_non_null(strstr(e.text, "last words"));
	e = ERR_INIT;
	assert_int_equal(shell("kill -9 $$", NULL, NULL, &e), -1);
	assert_non_null(strstr(e.text, "signal 9"));
}

static void missing_program_is_named(void **state)
{
	(void)state;
	const char *const argv[] = { "/nowhere/pg_dump", NULL };
	struct program p = { .argv = argv };
	struct err e = ERR_INIT;

	assert_int_equal(program_run(&p, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.text, "/nowhere/pg_dump"));
}

static void nothing_is_inherited(void **state)
{
	(void)state;
	AUTO_TEXT struct text out = TEXT_INIT;
	struct err e = ERR_INIT;
	int fds[2];

	assert_int_equal(pipe(fds), 0); /* not close-on-exec, on purpose */
	/* Without a pipeline, whose own pipe would be seen: 0, 1, 2, and 3 for the folder itself. */
	assert_int_equal(shell("exec ls /proc/self/fd", NULL, &out, &e), 0);
	close(fds[0]);
	close(fds[1]);
	assert_non_null(strstr(text_str(&out), "3"));
	assert_null(strstr(text_str(&out), "4"));
}

static void *ask_later(void *stop)
{
	usleep(200000);
	stop_ask(stop, STOP_DRAIN);
	return NULL;
}

static void stop_ends_the_program(void **state)
{
	(void)state;
	struct stop stop;
	struct err e = ERR_INIT;
	pthread_t thread;
	uint64_t start = clock_ms();

	assert_int_equal(stop_init(&stop, &e), 0);
	assert_int_equal(pthread_create(&thread, NULL, ask_later, &stop), 0);
	assert_int_equal(shell("trap '' TERM; exec sleep 30", &stop, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_STOPPED);
	assert_in_range(clock_ms() - start, 0, 10000);
	pthread_join(thread, NULL);
	stop_done(&stop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_is_collected_whole),
		cmocka_unit_test(failure_tells_status_and_last_words),
		cmocka_unit_test(missing_program_is_named),
		cmocka_unit_test(nothing_is_inherited),
		cmocka_unit_test(stop_ends_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
