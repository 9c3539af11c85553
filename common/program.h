/*
 * program - runs another program and waits for it: pg_dump, pg_restore.
 *
 * Its standard input is empty; its standard output is collected; of what it says on standard error
 * the last lines are kept for the message. No descriptor of ours is inherited. It dies with the
 * thread that started it. Secrets go by the environment (conn_env()), never by arguments.
 */
#ifndef COMMON_PROGRAM_H
#define COMMON_PROGRAM_H

#include "common/stop.h"
#include "common/text.h"

/* Bytes of standard error that are kept, from its end. */
#define PROGRAM_ERR_LEN 1600

struct program {
	const char *const *argv; /* argv[0] is the path; looked up in PATH without a slash */
	char *const *env;        /* NULL: ours */
	enum err_kind blame;     /* kind of the error when it fails */
	struct stop *stop;       /* may be NULL; at STOP_DRAIN the program is ended */
};

/*
 * Runs to the end. out may be NULL (thrown away). A status other than 0 is an error of the kind
 * `blame` with what the program said last.
 */
int program_run(const struct program *p, struct text *out, struct err *e) MUST_CHECK;

#endif
