/*
 * prove - judges a run: what transfer/ says was sent, against what verify/ finds in the target.
 *
 * transfer/ and verify/ do not know each other; this is where they meet.
 */
#ifndef CLI_PROVE_H
#define CLI_PROVE_H

#include "transfer/run.h"
#include "verify/proof.h"

/*
 * One proof_table for each table of the results, in their order; names are borrowed from them.
 * "Already there" tables are taken as the same: their digests were compared before the run. Shows
 * itself in p as PHASE_PROOF. Free with prove_free().
 */
int prove_run(const struct conn *target, const struct run_results *res, int jobs, struct stop *stop,
	      struct events *events, struct progress *p, struct proof_table **ret,
	      struct err *e) MUST_CHECK;
void prove_free(struct proof_table *proofs, int n);

#endif
