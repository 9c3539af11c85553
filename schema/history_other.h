/*
 * history_other - the histories of other tools, by the tables they keep. Private to schema/history*.
 */
#ifndef SCHEMA_HISTORY_OTHER_H
#define SCHEMA_HISTORY_OTHER_H

#include "schema/history.h"

/* Adds h->others: every table of a known name and shape, in any schema. */
int history_read_others(struct history *h, struct pg *pg, struct err *e) MUST_CHECK;

#endif
