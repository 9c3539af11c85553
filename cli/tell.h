/*
 * tell - the result of a command, posted to the address that --notify names.
 */
#ifndef CLI_TELL_H
#define CLI_TELL_H

#include "cli/opt.h"

/* Nothing without --notify. An address that does not answer is a warning, not a failure. */
void tell_post(const struct opts *o, const char *sentence);

#endif
