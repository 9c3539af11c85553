/*
 * summary - the end of a run, for people and as JSON: what arrived, what was left out, what now.
 *
 * INVARIANT	Text and JSON are made from the same document. No password is in it.
 */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "cli/exit.h"
#include "common/conn.h"
#include "transfer/run.h"
#include "verify/proof.h"

/* Everything borrowed; what is not known is NULL or 0. */
struct summary {
	const char *command; /* "run", "copy", "resume" */
	const char *run, *dir;
	const struct conn *source, *target;
	const struct run_results *results; /* NULL: the run did not get that far */
	const struct proof_table *proofs;  /* one for each table of results; NULL: not proven */
	const json_t *timings;             /* phase: ms; or NULL */
	const struct err *error;           /* why it ended early, or NULL */
	uint64_t ms;                       /* of this process */
	enum exit_status status;
};

/* Tables whose proof failed, and those (and other things) that could not be judged. */
void summary_count(const struct summary *s, int *ret_different, int *ret_unproven);

/*
 * Once its report is in it: where the rows are proven, or not all of them, but definitions that were
 * asked for differ or could not be compared, the document says that. Returns its exit status.
 */
enum exit_status summary_weigh_report(json_t *document);

/* The document kept as summary.json. New reference; NULL: no memory. */
json_t *summary_json(const struct summary *s);

/* The document as text on standard output; one line only where the program is to be quiet. */
void summary_print(const json_t *document);

/* "postgresql://user@host:port/db?sslmode=require": for an application, without password.
 * malloc'ed. */
char *summary_url(const struct conn *c);

#endif
