/*
 * commandline - what was asked for, as one line to type again: for reports. Connection strings and
 * other secrets are shown as their names only.
 */
#ifndef CLI_COMMANDLINE_H
#define CLI_COMMANDLINE_H

#include "cli/opt.h"

/* "neonferry verify --source SOURCE --target TARGET --level digest"; malloc'ed, NULL without
 * memory. */
char *commandline(const char *command, const struct opts *o);

#endif
