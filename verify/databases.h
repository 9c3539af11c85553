/*
 * databases - the two databases a verification looks at: sessions, catalogs, the source's snapshot.
 *
 * The source is read in one exported snapshot, so that a table counted at the beginning and a row
 * fetched at the end are of the same moment. Definitions and searches use sessions of their own.
 */
#ifndef VERIFY_DATABASES_H
#define VERIFY_DATABASES_H

#include "common/conn.h"
#include "schema/catalog.h"

#include <jansson.h>

struct databases {
	const struct conn *conn[2];  /* by enum pg_role; borrowed; source may be NULL */
	struct pg *plain[2];         /* outside of any transaction */
	struct pg *snapshot_session; /* of the source, in a read-only transaction; or NULL */
	char *snapshot;              /* exported by it */
	struct catalog *catalog[2];
	uint64_t patience_ms; /* of databases_mend() */
};

/* Connects with patience. filter applies to the source, or to the target where there is none. */
int databases_open(struct databases *ret, const struct conn *source, const struct conn *target,
		   const struct catalog_filter *filter, struct stop *stop,
		   struct err *e) MUST_CHECK;
void databases_close(struct databases *ends);

/*
 * Opens anew what a failure broke: a lost connection, a transaction that ended. A source snapshot
 * that is lost is replaced by a new one, for what is still to be looked at.
 */
int databases_mend(struct databases *ends, struct stop *stop, struct err *e) MUST_CHECK;

/* As databases_mend(), and the source's snapshot is one of now in any case. */
int databases_renew(struct databases *ends, struct stop *stop, struct err *e) MUST_CHECK;

/* Who this end is, for the report; JSON null where it is not read. New reference. */
json_t *databases_identity(const struct databases *ends, enum pg_role role);

#endif
