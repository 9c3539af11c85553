/*
 * manual - the tables of commands, options, exit statuses and errors as pages: roff and Markdown.
 *
 * docs/reference/ and docs/troubleshooting.md are what these functions print; scripts/gen-docs writes
 * them, and a test holds them equal.
 */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

void manual_man(void);
void manual_options(void);
void manual_exit(void);
void manual_environment(void);
void manual_errors(void);

#endif
