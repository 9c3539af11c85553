/*
 * signals - Ctrl-C and SIGTERM, taken by one thread that waits for them.
 *
 * First: what is in flight is finished (STOP_DRAIN); 10 s later, or at the second signal: stopped
 * at once (STOP_NOW). 15 s after the first, or at the third: the process ends as it stands, which
 * is what a kill -9 would do, and a resume is made for that. With nothing to stop, the first ends
 * it.
 *
 * THREADS	signals_start() first of all, in main: every later thread inherits the blocked
 * signals.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include "common/stop.h"

struct run;

/* Blocks SIGINT and SIGTERM, ignores SIGPIPE, starts the thread. */
int signals_start(struct err *e) MUST_CHECK;
void signals_end(void);

/*
 * What a signal stops from now on; either may be NULL. Both must live until this is called again. A
 * signal that came before reaches them at once.
 */
void signals_aim(struct stop *stop, struct run *run);

#endif
