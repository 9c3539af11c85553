#include "cli/display.h"

#include "cli/frame.h"
#include "cli/say.h"
#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVE_MS  100
#define PLAIN_MS 5000

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool running, ending;
	char now[512]; /* the sentence of the last event that is not said by itself */
	struct frame frame;
} display = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *level_name(enum event_level level)
{
	static const char *const names[] = { "debug", "info", "notice", "warning" };

	return names[level];
}

static void event_json(enum event_level level, const char *name, const char *sentence,
		       const json_t *facts)
{
	char time[CLOCK_ISO_LEN];

	if (!say_is_json())
		return;
	clock_iso(time);
	json_t *copy = facts ? json_deep_copy(facts) : NULL; /* facts is borrowed, and const */
	json_t *event =
		json_pack("{s:s, s:s, s:s, s:o, s:o*}", "time", time, "level", level_name(level),
			  "name", name, "text", say_string(sentence), "facts", copy);
	say_json(event, true);
	json_decref(event);
}

void display_event(UNUSED void *ctx, enum event_level level, const char *name, const char *sentence,
		   const json_t *facts)
{
	event_json(level, name, sentence, facts);
	if (level == EVENT_WARNING)
		say_warning("%s", sentence);
	else if (level == EVENT_NOTICE)
		say_note("%s", sentence);
	if (level != EVENT_INFO) /* the others are said above, or to nobody */
		return;
	bool phase = strcmp(name, "phase") == 0; /* has a place of its own, and ends what was */
	pthread_mutex_lock(&display.lock);
	strncpy(display.now, phase ? "" : sentence, sizeof(display.now) - 1);
	pthread_mutex_unlock(&display.lock);
}

/* Waits, or returns true when the end is asked for. Copies the last sentence. */
static bool wait_for(uint64_t ms, char now[sizeof(display.now)])
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&display.lock);
	while (!display.ending && pthread_cond_timedwait(&display.wake, &display.lock, &until) == 0)
		;
	bool ending = display.ending;
	memcpy(now, display.now, sizeof(display.now));
	pthread_mutex_unlock(&display.lock);
	return ending;
}

static void draw(struct frame *f, uint64_t now_ms)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	int columns, rows;

	say_size(&columns, &rows);
	frame_area(f, now_ms, columns, rows, &t);
	say_area(text_str(&t));
}

static void report(const struct frame *f, uint64_t now_ms)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	if (!say_has_area()) {
		frame_line(f, now_ms, &t);
		say_note("%s", text_str(&t));
	}
	json_t *facts = frame_json(f, now_ms);
	event_json(EVENT_INFO, "progress", frame_phase_name(atomic_load(&f->progress->phase)),
		   facts);
	json_decref(facts);
}

static void *show(UNUSED void *arg)
{
	struct frame *f = &display.frame;
	char now[sizeof(display.now)];
	uint64_t last_report = 0;
	int last_phase = -1;

	for (;;) {
		bool ending = wait_for(LIVE_MS, now);
		uint64_t now_ms = clock_ms();
		int phase = atomic_load_explicit(&f->progress->phase, memory_order_relaxed);

		f->now = now[0] ? now : NULL;
		frame_sample(f, now_ms);
		if (ending)
			return NULL;
		if (say_has_area())
			draw(f, now_ms);
		if (phase != last_phase || now_ms - last_report >= PLAIN_MS) {
			report(f, now_ms);
			last_report = now_ms;
			last_phase = phase;
		}
	}
}

int display_start(struct progress *p, const char *title, struct err *e)
{
	pthread_condattr_t attr;

	frame_init(&display.frame, p, title, say_is_utf8(), *say_color(SAY_BOLD) != '\0');
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&display.wake, &attr);
	pthread_condattr_destroy(&attr);
	display.ending = false;
	int rc = pthread_create(&display.thread, NULL, show, NULL);
	if (rc != 0)
		return err_sys(e, ERR_INTERNAL, rc, "cannot start the display");
	display.running = true;
	return 0;
}

void display_end(void)
{
	if (!display.running)
		return;
	pthread_mutex_lock(&display.lock);
	display.ending = true;
	pthread_cond_signal(&display.wake);
	pthread_mutex_unlock(&display.lock);
	pthread_join(display.thread, NULL);
	pthread_cond_destroy(&display.wake);
	frame_done(&display.frame);
	say_area(NULL);
	display.running = false;
}
