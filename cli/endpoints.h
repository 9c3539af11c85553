/*
 * endpoints - the two databases of a command, and what is said about them before anything happens.
 *
 * OWNER	endpoints_done() frees all.
 */
#ifndef CLI_ENDPOINTS_H
#define CLI_ENDPOINTS_H

#include "cli/opt.h"
#include "common/conn.h"
#include "transfer/run.h"

struct endpoints {
	struct conn *source, *target; /* NULL where not asked for, or optional and not named */
	struct conn *pooler; /* the target's, where rows are to go through it (--allow-pooler); else NULL */
};

enum endpoint_need { ENDPOINT_NONE, ENDPOINT_OPTIONAL, ENDPOINT_NEEDED };

/*
 * Finds both ends from options and environment, says which they are and where each came from,
 * replaces Neon's pooler by the direct endpoint, and asks where the target is only DATABASE_URL.
 */
int endpoints_find(struct endpoints *ends, const struct opts *o, enum endpoint_need source,
		   enum endpoint_need target, struct err *e) MUST_CHECK;

/*
 * The two databases of an existing run: as endpoints_find() where the options or the environment
 * name the run's own; else as the run folder remembers them, without password.
 */
int endpoints_of_run(struct endpoints *ends, const struct opts *o, const char *dir,
		     bool with_source, struct err *e) MUST_CHECK;
void endpoints_done(struct endpoints *ends);

/* Whether there is a source and it takes a connection; why not otherwise. */
bool endpoints_source_answers(const struct endpoints *ends, struct stop *stop, struct err *why);

/* The settings of a run from the options; borrowed strings. */
int endpoints_settings(const struct opts *o, struct run_settings *ret, struct err *e) MUST_CHECK;

/* Says each setting of the command and where it came from; the defaults in one line. */
void endpoints_say_settings(const struct opts *o);

#define AUTO_ENDPOINTS __attribute__((cleanup(endpoints_done)))

#endif
