/*
 * event - what happens, as JSON lines in the run's folder and as calls to one listener.
 *
 * Library code reports progress and decisions here, never to the terminal. Each event has a time,
 * a name ("chunk.loaded"), a level, a human sentence and a JSON object of facts.
 *
 * THREADS	any; one leaf mutex around the file and the listener.
 * OWNER	event_emit() steals the reference to `facts`.
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include "common/err.h"

#include <jansson.h>

struct events;

enum event_level { EVENT_DEBUG, EVENT_INFO, EVENT_NOTICE, EVENT_WARNING };

/* Called for every event, one at a time. `facts` is borrowed and may be NULL. */
typedef void event_listener(void *ctx, enum event_level level, const char *name,
			    const char *sentence, const json_t *facts);

/* path may be NULL (no file). The file is appended to, mode 0600. listener may be NULL. */
int events_open(struct events **ret, const char *path, event_listener *listener, void *ctx,
		struct err *e) MUST_CHECK;
void events_close(struct events *ev);
/* From now on to this file instead: a new run's folder has its name only after it was made. */
int events_log_to(struct events *ev, const char *path, struct err *e) MUST_CHECK;

/* ev may be NULL: nothing happens (facts is still released). */
void event_emit(struct events *ev, enum event_level level, const char *name, json_t *facts,
		const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
