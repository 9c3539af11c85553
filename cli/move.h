/*
 * move - what run, copy and resume have in common: from the options to the summary.
 */
#ifndef CLI_MOVE_H
#define CLI_MOVE_H

#include "cli/opt.h"

enum move_kind { MOVE_RUN, MOVE_COPY, MOVE_RESUME };

/* Returns the exit status; everything has been said. */
int move(const struct opts *o, enum move_kind kind);

#endif
