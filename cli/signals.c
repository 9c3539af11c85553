#include "cli/signals.h"

#include "cli/choose.h"
#include "cli/exit.h"
#include "cli/say.h"
#include "common/clock.h"
#include "transfer/run.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS    10000 /* from the first signal to STOP_NOW */
#define PATIENCE_MS 15000 /* from the first signal to the end of the process */

static struct {
	pthread_mutex_t lock;
	pthread_t thread;
	struct stop *stop;
	struct run *run;
	enum stop_level level;
} signals = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void wanted(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGUSR2); /* signals_end() */
}

/* Called with the lock held. */
static void apply(void)
{
	if (signals.level == STOP_NO)
		return;
	if (signals.stop)
		stop_ask(signals.stop, signals.level);
	if (signals.run)
		run_stop(signals.run, signals.level);
}

static bool raise_level(enum stop_level level)
{
	pthread_mutex_lock(&signals.lock);
	if (signals.level < level)
		signals.level = level;
	bool aimed = signals.stop || signals.run;
	apply();
	pthread_mutex_unlock(&signals.lock);
	return aimed;
}

_Noreturn static void end_now(const char *message)
{
	ssize_t ignored = write(STDERR_FILENO, message, strlen(message));

	(void)ignored;
	say_restore();
	_exit(EXIT_STOPPED);
}

/* The lock is kept: the run stays, whose folder is named. */
_Noreturn static void end_late(void)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	pthread_mutex_lock(&signals.lock);
	const char *dir = signals.run ? choose_to_name(run_dir(signals.run)) : NULL;
	text_addf(&t, "neonferry: stopped after 15 s; `neonferry resume%s%s` goes on from here\n",
		  dir ? " " : "", dir ? dir : "");
	end_now(text_str(&t));
}

static int next_signal(const sigset_t *set, uint64_t deadline)
{
	int left = clock_left(deadline);
	struct timespec wait = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000L };

	return left < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &wait);
}

static void first_signal(void)
{
	if (!raise_level(STOP_DRAIN))
		end_now("neonferry: stopped\n");
	say_note("neonferry: stopping; what is in flight is finished first (15 s at most). Ctrl-C "
		 "again stops at once.");
}

static void *watch(UNUSED void *arg)
{
	uint64_t drain_until = CLOCK_NEVER, end_at = CLOCK_NEVER;
	sigset_t set;
	int n = 0;

	wanted(&set);
	for (;;) {
		int got = next_signal(&set, n == 1 ? drain_until : end_at);

		if (got == SIGUSR2)
			return NULL;
		if (got < 0 && errno != EAGAIN)
			continue;
		if (got < 0 && clock_left(end_at) == 0)
			end_late();
		n++;
		if (n == 1) {
			drain_until = clock_deadline(DRAIN_MS);
			end_at = clock_deadline(PATIENCE_MS);
			first_signal();
		} else if (n == 2) {
			raise_level(STOP_NOW);
			if (got > 0)
				say_note("neonferry: stopping at once");
		} else {
			end_now("neonferry: stopped\n");
		}
	}
}

int signals_start(struct err *e)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	wanted(&set);
	int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc == 0)
		rc = pthread_create(&signals.thread, NULL, watch, NULL);
	if (rc != 0)
		return err_sys(e, ERR_INTERNAL, rc, "cannot watch for signals");
	return 0;
}

void signals_end(void)
{
	pthread_kill(signals.thread, SIGUSR2);
	pthread_join(signals.thread, NULL);
}

void signals_aim(struct stop *stop, struct run *run)
{
	pthread_mutex_lock(&signals.lock);
	signals.stop = stop;
	signals.run = run;
	apply();
	pthread_mutex_unlock(&signals.lock);
}
