/*
 * against - what a finished run read from its stream, as its summary keeps it: expectations for a
 * verification that does not need the source.
 */
#ifndef CLI_AGAINST_H
#define CLI_AGAINST_H

#include "verify/proof.h"

#include <jansson.h>

/* The "tables" of a run's summary. Those that rows were appended to are untold. */
struct against {
	json_t *summary; /* the document; strings of the tables are borrowed from it */
	struct proof_table *tables;
	int n;
};

/* dir: the run folder. Without a summary that holds digests: ERR_USAGE. Free with against_done().
 */
int against_read(struct against *ret, const char *dir, struct err *e) MUST_CHECK;
void against_done(struct against *a);
/*
 * Keeps only these collections of what the run read. A table that the run did not divide is left
 * out: which of its rows are meant is not told by the sum of all.
 */
void against_choose(struct against *a, const char *const *collections, int n);

/*
 * The rate of a run's load from its ledger in the target: [[seconds, MB/s], ...]; an empty array
 * where the ledger tells nothing, or there is no session (NULL). New reference.
 */
json_t *against_rates(struct pg *target, const char *run);

#endif
