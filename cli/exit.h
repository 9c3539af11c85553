/*
 * exit - the exit status: what happened, and what the caller of the program does next.
 *
 * Scripts rely on these numbers: they never change their meaning.
 */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

#include "common/err.h"
#include "common/text.h"

enum exit_status {
	EXIT_DONE = 0,      /* everything asked for is done and proven */
	EXIT_INTERNAL = 1,  /* our own mistake */
	EXIT_USAGE = 2,     /* command line, settings */
	EXIT_REFUSED = 3,   /* cannot connect, or refused before anything was written */
	EXIT_STOPPED = 4,   /* resume will finish */
	EXIT_ACT = 5,       /* the user must act first, then resume */
	EXIT_RESUME = 6,    /* resume refused */
	EXIT_DIFFERENT = 7, /* verification found differences */
	EXIT_UNPROVEN = 8,  /* something could not be verified */
	EXIT_N,
};

struct exit_row {
	const char *means; /* one line */
	const char *next;  /* what to do */
};

extern const struct exit_row exit_table[EXIT_N];

/* What to do next. dir: the run folder that `neonferry resume` must be told, or NULL. */
void exit_add_next(struct text *t, enum exit_status status, const char *dir);

/* written: the run had changed something in the target before the error came. */
enum exit_status exit_of_error(const struct err *e, bool written);

/* Of a proof: n_different and n_unproven count tables (and whatever else was judged). */
enum exit_status exit_of_proof(int n_different, int n_unproven);

#endif
