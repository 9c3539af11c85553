/*
 * keep - what is made before a run and kept in its folder: the backup, the point to go back to.
 *
 * The folder may be one that a later `neonferry run --run-dir` begins with; the run's summary tells
 * both (transfer/rundir.h: RUNDIR_BACKUP, RUNDIR_RESTORE_POINT).
 */
#ifndef CLI_KEEP_H
#define CLI_KEEP_H

#include "cli/opt.h"
#include "common/stop.h"

#include <jansson.h>

/*
 * Before the work: the folder of --run-dir exists and takes the file, and holds none of that name.
 * *ret (malloc'ed) is the file's path; NULL without --run-dir.
 */
int keep_prepare(char **ret, const struct opts *o, const char *name, struct err *e) MUST_CHECK;

/* Makes it: Ctrl-C asks `stop`. *ret may be set although it fails. */
typedef int keep_work(const struct opts *o, struct stop *stop, json_t **ret, struct err *e);
int keep_make(keep_work *work, const struct opts *o, json_t **ret, struct err *e) MUST_CHECK;

/* Prints the document, under a title, or as JSON. */
void keep_show(const char *title, const json_t *document);

#endif
