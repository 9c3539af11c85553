/*
 * runfacts - what a run's folder tells an auditor: when, from which snapshot, with which settings,
 * in which steps.
 */
#ifndef CLI_RUNFACTS_H
#define CLI_RUNFACTS_H

#include <jansson.h>

/*
 * {started, snapshot, lsn, source_id, generation, settings: {...}, steps: [{time, name, text}],
 * statistics: {source: as transfer/statistics.h, when the run began}} of the run in dir; what the
 * folder does not hold is left out. New reference.
 */
json_t *runfacts_read(const char *dir);

#endif
