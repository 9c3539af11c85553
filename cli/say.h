/*
 * say - the only place that writes to the terminal: messages, results, and the live area.
 *
 * Messages go to standard error, results to standard output. The live area is a block of lines at
 * the bottom of a terminal that is redrawn in place; messages appear above it.
 *
 * Bytes that steer a terminal (escape sequences in a table's name or in a server's message) are
 * shown as "?".
 *
 * THREADS	any; one leaf mutex.
 */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include "common/text.h"

#include <jansson.h>

struct opts;

/* Learns what standard error and output are, and --quiet, --json, --no-color, NO_COLOR, TERM. */
void say_init(const struct opts *o);

bool say_is_quiet(void);
bool say_is_json(void);
bool say_has_area(void); /* a terminal that can redraw, and not --quiet */
bool say_is_utf8(void);
bool say_can_ask(void); /* a person can answer: standard input and error are a terminal */

enum say_color { SAY_PLAIN, SAY_BOLD, SAY_DIM, SAY_RED, SAY_GREEN, SAY_YELLOW };
/* Escape sequences for standard error, or "" where there are no colours. */
const char *say_color(enum say_color color);
/* The same for standard output. */
const char *say_color_out(enum say_color color);

/* "neonferry: error: <text>", "  hint: <hint>". Never suppressed. */
void say_error(const struct err *e);
/* "neonferry: warning: ...". Suppressed by --quiet. */
void say_warning(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* One line of what is going on. Suppressed by --quiet. */
void say_note(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A part of the result, as it stands, to standard output. Suppressed by --json. */
void say_out(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* A string for JSON; bytes that are not UTF-8 (a server's message before the session is set up) as
 * "?". */
json_t *say_string(const char *s);
/* A document or an event: one line where compact. Only with --json. */
void say_json(const json_t *value, bool compact);

/* Adds s with its control bytes (also UTF-8's second control block) as "?", except "\n" and "\t".
 */
void say_add_clean(struct text *t, const char *s);

/* Replaces the live area. NULL removes it. Lines end with "\n" and fit the terminal. */
void say_area(const char *text);
/* Columns and rows of the terminal of standard error; 80 and 24 where unknown. */
void say_size(int *ret_columns, int *ret_rows);
/* Columns of the terminal that standard output is; 0 where it is none: lines are not to be cut. */
int say_out_columns(void);
/* True where a result could not be written to standard output, and why; a reader that left is no error. */
bool say_lost_output(struct err *e);
/* Leaves the terminal as it was found; called before the process ends in a hurry. Never waits. */
void say_restore(void);

/*
 * Asks a person: "<question> [y/N]". True for yes, or where --yes was given. Where nobody can
 * answer: false, and e is ERR_USAGE saying that --yes is needed.
 */
bool say_ask(const struct opts *o, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
