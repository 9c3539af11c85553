/*
 * runreport - the report of a run: made at its end from what the proof found, into <run>/report.
 *
 * No row is read again: definitions are compared on both ends, where the source still answers, and
 * counts and digests are the proof's. What it does not look at, such as searches, `verify` does.
 */
#ifndef CLI_RUNREPORT_H
#define CLI_RUNREPORT_H

#include "cli/endpoints.h"
#include "verify/proof.h"

#include <jansson.h>

struct runreport {
	const struct endpoints *ends;
	const char *dir, *run, *command; /* of the run; what was asked for, without secrets */
	struct proof_table *proofs;
	int n;
	struct stop *stop;
};

/*
 * Writes the report and adds to the run's summary document "report": {path, verdict, sentence,
 * definitions: "compared", "not asked for" (--data-only), "not compared" (the source was away)}.
 * The summary, weighed (summary.h), becomes part of the report ("transfer").
 */
int runreport_write(const struct runreport *r, json_t *summary, struct err *e) MUST_CHECK;

#endif
