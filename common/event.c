#include "common/event.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct events {
	pthread_mutex_t lock; /* one event at a time, in the file and at the listener */
	int fd;               /* -1: no file */
	event_listener *listener;
	void *ctx;
};

static int open_log(const char *path, int *ret_fd, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot open the event log %s", path);
	*ret_fd = fd;
	return 0;
}

int events_open(struct events **ret, const char *path, event_listener *listener, void *ctx,
		struct err *e)
{
	struct events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return err_nomem(e);
	ev->fd = -1;
	if (path && open_log(path, &ev->fd, e) < 0) {
		free(ev);
		return -1;
	}
	pthread_mutex_init(&ev->lock, NULL);
	ev->listener = listener;
	ev->ctx = ctx;
	*ret = ev;
	return 0;
}

void events_close(struct events *ev)
{
	if (!ev)
		return;
	if (ev->fd >= 0)
		close(ev->fd);
	pthread_mutex_destroy(&ev->lock);
	free(ev);
}

int events_log_to(struct events *ev, const char *path, struct err *e)
{
	int fd;

	if (open_log(path, &fd, e) < 0)
		return -1;
	pthread_mutex_lock(&ev->lock);
	if (ev->fd >= 0)
		close(ev->fd);
	ev->fd = fd;
	pthread_mutex_unlock(&ev->lock);
	return 0;
}

static const char *level_name(enum event_level level)
{
	switch (level) {
	case EVENT_DEBUG:
		return "debug";
	case EVENT_INFO:
		return "info";
	case EVENT_NOTICE:
		return "notice";
	case EVENT_WARNING:
		return "warning";
	}
	return "unknown";
}

/* A message may quote bytes that are not UTF-8, which JSON cannot hold: each is shown as "?". */
static json_t *sentence_json(const char *sentence)
{
	json_t *value = json_string(sentence);
	char *plain;

	if (value)
		return value;
	plain = strdup(sentence);
	if (!plain)
		return NULL;
	for (char *p = plain; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	value = json_string(plain);
	free(plain);
	return value;
}

/* The event as one line with its newline, malloc'ed; NULL when memory ends. */
static char *line_of(enum event_level level, const char *name, json_t *facts, const char *sentence)
{
	char time[CLOCK_ISO_LEN];
	char *json, *line = NULL;
	json_t *event;

	clock_iso(time);
	event = json_pack("{s:s, s:s, s:s, s:o*, s:O*}", "time", time, "level", level_name(level),
			  "name", name, "text", sentence_json(sentence), "facts", facts);
	json = event ? json_dumps(event, JSON_COMPACT) : NULL;
	json_decref(event);
	if (json && asprintf(&line, "%s\n", json) < 0)
		line = NULL;
	free(json);
	return line;
}

/* A log that cannot be written must not end the run: what does not get out is dropped. */
static void write_line(int fd, const char *line)
{
	size_t left = strlen(line);

	while (left > 0) {
		ssize_t n = write(fd, line, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		left -= (size_t)n;
	}
}

static void deliver(struct events *ev, enum event_level level, const char *name, json_t *facts,
		    const char *sentence)
{
	pthread_mutex_lock(&ev->lock);
	if (ev->fd >= 0) {
		AUTO(free) char *line = line_of(level, name, facts, sentence);

		if (line)
			write_line(ev->fd, line);
	}
	if (ev->listener)
		ev->listener(ev->ctx, level, name, sentence, facts);
	pthread_mutex_unlock(&ev->lock);
}

void event_emit(struct events *ev, enum event_level level, const char *name, json_t *facts,
		const char *fmt, ...)
{
	if (ev) {
		char *sentence;
		va_list ap;

		va_start(ap, fmt);
		if (vasprintf(&sentence, fmt, ap) < 0)
			sentence = NULL;
		va_end(ap);
		deliver(ev, level, name, facts, sentence ? sentence : "out of memory");
		free(sentence);
	}
	json_decref(facts);
}
