/*
 * migration_gate - production waits for test: the same migrations, the same checksums, a passed verify.
 *
 * A passed verify is a row of neonferry.schema_verified in the database that was verified: a digest
 * of its history then. What is applied or undone afterwards makes it void.
 */
#ifndef SCHEMA_MIGRATION_GATE_H
#define SCHEMA_MIGRATION_GATE_H

#include "schema/history.h"

/* Remembers that the database was verified with this history. */
int migration_gate_pass(struct pg *pg, const struct history *h, struct err *e) MUST_CHECK;

/*
 * test: a session with the test database. ERR_REFUSED naming what is missing: a migration of the
 * folder (up to `to`, or NULL: all) that test has not or has with another checksum; no verify since.
 */
int migration_gate_check(struct pg *test, const struct migration_folder *f, const char *history_table,
			 const char *to, struct err *e) MUST_CHECK;

#endif
