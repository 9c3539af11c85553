/*
 * uncarried - what a database has that no archive carries, so that nothing is left out silently.
 *
 * pg_dump is asked for neither rights, owners, tablespaces, publications nor subscriptions, and by
 * itself leaves out settings of the database and rows that were put into tables of an extension.
 * Each kind is one entry that names the first few.
 */
#ifndef SCHEMA_UNCARRIED_H
#define SCHEMA_UNCARRIED_H

#include "common/pg.h"

#include <jansson.h>

/* JSON array of {what, name, why}, in the session's transaction. */
int uncarried_list(struct pg *source, json_t **ret, struct err *e) MUST_CHECK;

#endif
