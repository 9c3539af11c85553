/*
 * rundir - the run's folder: names of files in it, the identity of the run, the lock.
 */
#ifndef TRANSFER_RUNDIR_H
#define TRANSFER_RUNDIR_H

#include "transfer/run.h"

/* Made before the run, in a folder that it then takes: see cli/keep.h. */
#define RUNDIR_BACKUP	     "backup.json"
#define RUNDIR_RESTORE_POINT "restore-point.json"

struct rundir {
	char *path;	/* absolute */
	char *spill;	/* <path>/spill */
	char name[41];	/* of the run, as in the ledger */
	int lock_fd;	/* -1 when not held */
	json_t *identity; /* content of run.json */
};

/*
 * Makes a folder that a run can take, or finds it: empty but for the two files above, or of a run.
 * Another one: ERR_USAGE.
 */
int rundir_prepare(const char *path, struct err *e) MUST_CHECK;
/* Whether the file would lie in the folder or below it. Both may be missing. */
bool rundir_holds(const char *path, const char *file);

/* Makes a new folder with a fresh run name. A folder that holds something else: ERR_USAGE. */
int rundir_create(struct rundir *d, const char *path, const json_t *identity, struct err *e)
	MUST_CHECK;
/* Other settings for a run that has not begun: run.json is written anew, the name stays. */
int rundir_renew(struct rundir *d, const json_t *identity, struct err *e) MUST_CHECK;
/* Opens an existing one: by path, or by name below ./neonferry-runs. Missing: ERR_USAGE. */
int rundir_open(struct rundir *d, const char *path, struct err *e) MUST_CHECK;
/* Exclusive lock; held by another process: ERR_RESUME. */
int rundir_lock(struct rundir *d, struct err *e) MUST_CHECK;
void rundir_done(struct rundir *d);
bool rundir_is_run(const char *path);

/* <path>/<name>, malloc'ed. */
char *rundir_file(const struct rundir *d, const char *name);

#endif
