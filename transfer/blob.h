/*
 * blob - large objects: read into the run folder while the snapshot lives, loaded from there.
 *
 * Each keeps its oid, because rows refer to it; its owner becomes the target's role, and rights are
 * not carried. Every load is one transaction with a row of neonferry.object (section "blob"), so a
 * resume goes on after the last.
 *
 * An object of the same oid that stood in the target before: kept where its bytes are equal
 * ("present"), replaced with --on-existing truncate, else refused by number.
 */
#ifndef TRANSFER_BLOB_H
#define TRANSFER_BLOB_H

#include "common/event.h"
#include "transfer/run.h"

struct pg;

struct blob_job {
	const char *dir; /* the run folder */
	const char *run;
	const struct seal_key *key; /* NULL: what lies in the folder is readable */
	int64_t generation;
	enum run_existing existing;
	struct stop *stop;
	struct events *events; /* may be NULL */
};

/* Reads all large objects that pg's transaction sees. One that the role may not read: ERR_REFUSED.
 */
int blob_capture(const struct blob_job *j, struct pg *source, struct err *e) MUST_CHECK;

/* Before the first write: ERR_REFUSED where the target holds another object under one of the oids.
 */
int blob_check(const struct blob_job *j, struct pg *target, struct err *e) MUST_CHECK;

/* Loads what the ledger does not know yet. A broken connection is the caller's to renew and repeat.
 */
int blob_load(const struct blob_job *j, struct pg *target, struct err *e) MUST_CHECK;

/* Hashes every object in the target. *ret_n: how many there are; *ret_wrong: how many differ. */
int blob_prove(const struct blob_job *j, struct pg *target, int64_t *ret_n, int64_t *ret_wrong,
	       struct err *e) MUST_CHECK;

/* How many the run created in the target; removing them with their ledger rows. */
int blob_count_created(struct pg *target, const char *run, int64_t *ret, struct err *e) MUST_CHECK;
int blob_drop_created(struct pg *target, const char *run, struct err *e) MUST_CHECK;

#endif
