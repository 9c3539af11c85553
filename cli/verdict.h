/*
 * verdict - a verification's document on the terminal: tables, what needs attention, the verdict.
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include <jansson.h>

/* To standard output; only the last line where the program is to be quiet. */
void verdict_print(const json_t *doc);

#endif
