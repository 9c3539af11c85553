/*
 * choose - which run a command means: RUN, --run-dir, or the only one that fits in ./neonferry-runs.
 */
#ifndef CLI_CHOOSE_H
#define CLI_CHOOSE_H

#include "cli/opt.h"

enum choose_which {
	CHOOSE_NEWEST,	   /* the newest, finished or not */
	CHOOSE_UNFINISHED, /* the only one that is not finished */
	CHOOSE_NAMED,	   /* it must be named: what follows removes something */
};

#define CHOOSE_FOLDER "neonferry-runs"

/* Path of a run folder, malloc'ed. None or several: ERR_USAGE naming them. */
int choose_run(char **ret, const struct opts *o, enum choose_which which, struct err *e) MUST_CHECK;

/* The folder of the run that `name` names, malloc'ed: a run folder, or a run in ./neonferry-runs. */
int choose_named(char **ret, const char *name, struct err *e) MUST_CHECK;

/* dir, where `neonferry resume` does not find it by itself, from here; else NULL. May be NULL. */
const char *choose_to_name(const char *dir);

/* True when the run in the folder is finished; one that cannot be read is not. */
bool choose_is_finished(const char *dir);

#endif
