/*
 * room - is there room for what a run would move: in the target, and here for the spill.
 *
 * Estimates from above: the source's size on disk holds dead rows and indexes; what travels does not.
 */
#ifndef CLI_ROOM_H
#define CLI_ROOM_H

#include "common/pg.h"

/* One fact in words. fits: nothing speaks against it. */
struct room {
	bool fits;
	struct text text;
};

/* The source's size on disk, indexes included, in bytes. Waits for no lock. */
int room_needed(struct pg *source, uint64_t *ret, struct err *e) MUST_CHECK;
/* By the size limit of a project on Neon; another server tells nothing. */
int room_target(struct pg *target, uint64_t needed, struct room *ret, struct err *e) MUST_CHECK;
/* In the file system that a run folder would be made in. */
int room_here(const char *folder, uint64_t needed, struct room *ret, struct err *e) MUST_CHECK;

#endif
