/*
 * spillkey - the key of the spill, which comes by the environment and by nothing else.
 *
 * NEONFERRY_SPILL_KEY; an option would be in the list of processes. The variable is wiped as soon
 * as it was taken: neither the programs that we start nor /proc have it any longer.
 */
#ifndef CLI_SPILLKEY_H
#define CLI_SPILLKEY_H

#include "transfer/seal.h"

#define SPILLKEY_VARIABLE "NEONFERRY_SPILL_KEY"

/* To be called once, at the very beginning. */
void spillkey_take(void);
/* *ret is NULL where none was given. A malformed or empty one: ERR_USAGE. The caller frees it. */
int spillkey_parse(struct seal_key **ret, struct err *e) MUST_CHECK;

#endif
