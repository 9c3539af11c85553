/*
 * help - the texts made from the tables of commands and options: for the terminal.
 * manual - the same as a manual page and as Markdown.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"
#include "common/text.h"

/* The list of commands; everything about one command. To standard output. */
void help_overview(void);
void help_command(const struct command *c);

/* "--jobs N", "--quiet" */
void help_option_head(struct text *t, const struct opt_spec *spec);
/* "16M", "every table", or NULL where there is none to speak of. */
const char *help_default(const struct opt_spec *spec);
/* "1 to 64", "64k to 1G", "refuse, truncate or append"; empty where any text is fine. */
void help_range(struct text *t, const struct opt_spec *spec);
/* Variables, or NULL. */
const char *help_environment(const struct opt_spec *spec);

/* Adds words of s, broken at `width`, each line after the first behind `indent` spaces. */
void help_wrap(struct text *t, const char *s, int column, int indent, int width);

#endif
