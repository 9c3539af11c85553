/*
 * pgerr - what an error of a server (or of Neon's proxy) means: one table.
 *
 * By SQLSTATE prefix and by text: Neon's proxy sends XX000 for every failed connect, and 53100
 * means three different things. The first matching row counts. The same table is printed as
 * docs/troubleshooting.md.
 */
#ifndef COMMON_PGERR_H
#define COMMON_PGERR_H

#include "common/err.h"
#include "common/pg.h"

struct pgerr_rule {
	const char *sqlstate; /* prefix, or "" for any (connect failures have none) */
	const char *text;     /* lower-case substring of the message, or "" for any */
	enum err_kind kind;   /* ERR_NONE: by role (ERR_SOURCE or ERR_TARGET) */
	enum err_next next;
	const char *means; /* one sentence: what it is; for the docs */
	const char *hint;  /* one sentence: what the user can do, or "" */
};

extern const struct pgerr_rule pgerr_rules[];
extern const size_t pgerr_n_rules;

/*
 * Texts are compared without regard to case. A localized server is still classified by SQLSTATE,
 * also at the connect: pg_open() makes libpq tell it.
 */

/* Classifies; never NULL: the last rule matches everything (give up). */
const struct pgerr_rule *pgerr_find(const char *sqlstate, const char *message);

/* Sets *e from a failed result or a broken connection. `doing` may be NULL. Returns -1. */
int pgerr_set(struct err *e, enum pg_role role, const PGconn *conn, const PGresult *res,
	      const char *doing);

#endif
