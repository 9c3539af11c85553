/*
 * display - shows a run while it works: one thread that looks ten times a second.
 *
 * On a terminal a live area; in a pipe a line every five seconds and at each new phase; with --json
 * a "progress" event every five seconds; with --quiet nothing. Events of the run pass through
 * display_event(), the listener for events_open().
 *
 * THREADS	display_event() from any; the others from one.
 */
#ifndef CLI_DISPLAY_H
#define CLI_DISPLAY_H

#include "common/event.h"
#include "transfer/progress.h"

/* Events before display_start() are said as they come. ctx is not used. */
void display_event(void *ctx, enum event_level level, const char *name, const char *sentence,
		   const json_t *facts);

/* p and title must live until display_end(), which joins the thread and clears the area. */
int display_start(struct progress *p, const char *title, struct err *e) MUST_CHECK;
void display_end(void);

#endif
