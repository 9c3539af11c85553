/*
 * spillpriv - what the files of the spill share; nobody else includes it.
 */
#ifndef TRANSFER_SPILLPRIV_H
#define TRANSFER_SPILLPRIV_H

#include "transfer/chunk.h"

#define SPILL_SUFFIX    ".nfs"
#define SPILL_TEMPORARY ".tmp-"
#define SPILL_NAME_LEN  (CHUNK_ID_LEN + sizeof(SPILL_SUFFIX))

/* The name of a chunk's file in its folder. */
void spill_file_name(const struct chunk *c, char buf[SPILL_NAME_LEN]);

#endif
