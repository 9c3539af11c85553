/*
 * tables - the contents of all tables: counted and digested, rows that differ found, looked at
 * again where they are written meanwhile, repaired where that is asked for.
 */
#ifndef VERIFY_TABLES_H
#define VERIFY_TABLES_H

#include "verify/verification.h"

/*
 * Fills "tables", "fingerprint" and "repair" of the document and adds findings. After a repair
 * everything is compared anew in a new snapshot, and only that counts.
 */
int tables_check(struct verification *v, struct err *e) MUST_CHECK;

/*
 * Numbers of two moments differ where rows are written meanwhile: findings of this group that fail
 * are warnings for tables whose rows were compared and do not differ for good, unknown for those
 * whose rows never came to rest.
 */
void tables_soften(const struct verification *v, const char *group);

#endif
