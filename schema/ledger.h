/*
 * ledger - what arrived, written in the target beside it: schema "neonferry".
 *
 * The truth about a run. Every change a run makes in the target is committed in one transaction
 * with the row that records it; local files are a cache of it.
 *
 *   neonferry.format     version of this layout, one row
 *   neonferry.run        run, generation, state, started, ended, tool, source, detail (jsonb)
 *   neonferry.chunk      one row a loaded chunk; primary key chunk_claim (run, chunk): the claim
 *   neonferry.object     schema entries: run, section, entry, tag, outcome ('applied','present',
 *                        'left out'), detail; primary key object_entry (run, section, entry)
 *   neonferry.set_aside  indexes, constraints, triggers dropped or disabled for the load, with all
 *                        that is needed to restore them; restored is NULL until they are
 *   neonferry.relation   one row a table of the run: how it was found (created, empty, emptied,
 *                        appended to), tally before the first chunk
 *
 * INVARIANT	A run's generation only grows. Each takeover raises it; a claim carries the copier's
 *		generation through a sub-select that is NULL for a stale one, and the column is NOT
 *		NULL, so a forgotten copier can never load (SQLSTATE 23502 on neonferry.chunk.generation).
 * LIMIT	Run names are 1 to 40 characters of [a-z0-9-].
 */
#ifndef SCHEMA_LEDGER_H
#define SCHEMA_LEDGER_H

#include "common/pg.h"

#include <jansson.h>

#define LEDGER_FORMAT 1

/* Names of the keys that claims run into: err.constraint after a 23505. */
#define LEDGER_CHUNK_KEY  "chunk_claim"
#define LEDGER_OBJECT_KEY "object_entry"
#define LEDGER_ASIDE_KEY  "set_aside_item"

/* Makes schema and tables where missing; refuses a ledger of a newer format by name. */
int ledger_install(struct pg *target, struct err *e) MUST_CHECK;
bool ledger_run_name_ok(const char *run);

/*
 * Registers a new run (generation 1, state "running"). detail is borrowed JSON; its string member
 * "source" also goes to the column of that name. An existing run is ERR_USAGE.
 */
int ledger_begin(struct pg *target, const char *run, const char *tool, const json_t *detail,
		 struct err *e) MUST_CHECK;

/*
 * Takes a run over: ends surviving backends of its earlier copiers (same role and database,
 * application_name "neonferry <run>" or "neonferry <run> ..."; never the session given), waits some
 * seconds for their end, then raises the generation under the run's row lock, which waits for
 * claims in flight (they hold it FOR SHARE). Call it before opening further sessions of the run. A
 * run that the ledger does not know is ERR_RESUME.
 */
int ledger_take_over(struct pg *target, const char *run, int64_t *ret_generation,
		     struct err *e) MUST_CHECK;

/* "running", "loaded", "done", "aborted". Fenced by the generation: ERR_RESUME when stale. */
int ledger_set_state(struct pg *target, const char *run, int64_t generation, const char *state,
		     struct err *e) MUST_CHECK;

/* Adds the SQL of the fence: (SELECT generation FROM neonferry.run WHERE ... FOR SHARE). */
void ledger_fence(struct text *sql, const char *run, int64_t generation);

/*
 * The fence alone, for a transaction whose statements do not carry it: holds the run's row until the
 * transaction's end, so that no takeover can come between. ERR_RESUME when stale.
 */
int ledger_check_fence(struct pg *target, const char *run, int64_t generation,
		       struct err *e) MUST_CHECK;

/*
 * Call it on the error of a statement that carried the fence: a stale generation becomes ERR_RESUME
 * with a sentence for people; any other error stays as it is. Returns -1.
 */
int ledger_explain(struct err *e);

/*
 * All rows of one ledger table of a run as JSON array of objects (new reference), oldest first.
 * Integers are JSON integers, jsonb is nested, numeric and all else are strings, NULL is null.
 */
int ledger_rows(struct pg *target, const char *run, const char *table, json_t **ret,
		struct err *e) MUST_CHECK;

/*
 * Removes all ledger rows of a run; our tables too when it was the last run, and the schema unless
 * something else (a migration history) still lives in it.
 */
int ledger_forget(struct pg *target, const char *run, struct err *e) MUST_CHECK;

#endif
