/*
 * collections - the collections that were asked for must be there: what was looked for in vain
 * passes for nothing.
 */
#ifndef VERIFY_COLLECTIONS_H
#define VERIFY_COLLECTIONS_H

#include "verify/verification.h"

/* Before anything is read: is any table divided? Else ERR_USAGE. */
int collections_check_asked(const struct verification *v, struct err *e) MUST_CHECK;

/* After the contents were read: a collection without a row on either end is a finding (unknown). */
int collections_check_found(const struct verification *v, struct err *e) MUST_CHECK;

#endif
