#include "unit.h"

#include "common/clock.h"
#include "common/stop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct stop stop;

static int begin(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return stop_init(&stop, &e);
}

static int finish(void **state)
{
	(void)state;
	stop_done(&stop);
	return 0;
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void nothing_is_asked_at_first(void **state)
{
	(void)state;
	assert_int_equal(stop_level(&stop), STOP_NO);
	assert_false(is_readable(stop.fd));
	assert_false(is_readable(stop.drain_fd));
}

static void draining_wakes_only_those_who_start_new_work(void **state)
{
	(void)state;
	stop_ask(&stop, STOP_DRAIN);
	assert_int_equal(stop_level(&stop), STOP_DRAIN);
	assert_true(is_readable(stop.drain_fd));
	assert_false(is_readable(stop.fd));
}

static void stopping_now_wakes_everybody(void **state)
{
	(void)state;
	stop_ask(&stop, STOP_NOW);
	assert_int_equal(stop_level(&stop), STOP_NOW);
	assert_true(is_readable(stop.drain_fd));
	assert_true(is_readable(stop.fd));
}

static void the_level_never_falls(void **state)
{
	(void)state;
	stop_ask(&stop, STOP_NOW);
	stop_ask(&stop, STOP_DRAIN);
	stop_ask(&stop, STOP_NO);
	assert_int_equal(stop_level(&stop), STOP_NOW);
}

static void on_alarm(int signal)
{
	(void)signal;
	errno = 0;
	stop_ask(&stop, STOP_DRAIN);
}

static void a_signal_handler_may_ask_and_keeps_errno(void **state)
{
	(void)state;
	signal(SIGUSR1, on_alarm);
	errno = E2BIG;
	raise(SIGUSR1);
	assert_int_equal(stop_level(&stop), STOP_DRAIN);
	errno = E2BIG;
	stop_ask(&stop, STOP_NOW);
	assert_int_equal(errno, E2BIG);
	signal(SIGUSR1, SIG_DFL);
}

static void the_error_is_of_its_own_kind(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(stop_err(&e), -1);
	assert_int_equal(e.kind, ERR_STOPPED);
}

static void an_undisturbed_sleep_lasts_its_time(void **state)
{
	uint64_t begin_ms = clock_ms();

	(void)state;
	assert_ok(stop_sleep(&stop, 30, E));
	assert_true(clock_ms() - begin_ms >= 29);
	assert_ok(stop_sleep(&stop, 0, E));
}

static void *ask_later(void *arg)
{
	(void)arg;
	usleep(20000);
	stop_ask(&stop, STOP_DRAIN);
	return NULL;
}

static void a_sleeper_wakes_when_another_thread_asks(void **state)
{
	struct err e = ERR_INIT;
	uint64_t begin_ms = clock_ms();
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, ask_later, NULL);
	assert_int_equal(stop_sleep(&stop, 60000, &e), -1);
	assert_int_equal(e.kind, ERR_STOPPED);
	assert_true(clock_ms() - begin_ms < 10000);
	pthread_join(thread, NULL);
	assert_int_equal(stop_sleep(&stop, CLOCK_NEVER, &e), -1);
}

static void without_descriptors_it_says_why(void **state)
{
	struct stop other;
	struct err e = ERR_INIT;
	int fds[4096], n = 0;

	(void)state;
	while (n < 4096 && (fds[n] = dup(0)) >= 0)
		n++;
	if (n < 4096) {
		assert_int_equal(stop_init(&other, &e), -1);
		assert_int_equal(e.sys_errno, EMFILE);
	}
	while (n > 0)
		close(fds[--n]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_asked_at_first),
		TEST(draining_wakes_only_those_who_start_new_work),
		TEST(stopping_now_wakes_everybody),
		TEST(the_level_never_falls),
		TEST(a_signal_handler_may_ask_and_keeps_errno),
		TEST(the_error_is_of_its_own_kind),
		TEST(an_undisturbed_sleep_lasts_its_time),
		TEST(a_sleeper_wakes_when_another_thread_asks),
		TEST(without_descriptors_it_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
