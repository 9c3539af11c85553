/*
 * look - flagged rows looked at again in one of the two databases, and only those.
 *
 * Rows are found by their key, through its index, where the key's types compare as their bytes do;
 * else, and where there is no key, by one scan of the table a batch.
 */
#ifndef VERIFY_LOOK_H
#define VERIFY_LOOK_H

#include "verify/flagged.h"
#include "verify/pair.h"

#define LOOK_BATCH      500  /* rows at once, where they are found through an index */
#define LOOK_BATCH_SCAN 2000 /* where each batch is a scan */

/* Only rows of these collections, in tables that are divided; n is 0: all. */
struct look_filter {
	const char *const *collections;
	int n;
};

int look_batch(const struct pair *p);

/*
 * Appends " FROM <table> AS nf_src WHERE <one of rows>". want (may be NULL) says which of the n
 * rows are meant. False where none is.
 */
bool look_from(struct text *sql, const struct pair *p, enum pg_role role,
	       const struct flagged_row *rows, const bool *want, int n);

/* hex digits of the id of a row of p: its key, or its digest. */
void look_id(struct text *sql, const struct pair *p, enum pg_role role, const char *alias);
/* hex digits of its digest. */
void look_digest(struct text *sql, const struct pair *p, enum pg_role role, const char *alias);

/* The row of that id, or NULL. rows as flagged_next() gives them, in the order of their ids. */
struct flagged_row *look_find(struct flagged_row *rows, int n, const char *id);

/* Counts anew what one end has of each of the rows. */
int look_again(struct pg *pg, const struct pair *p, enum pg_role role,
	       const struct look_filter *filter, struct flagged_row *rows, int n,
	       struct err *e) MUST_CHECK;

#endif
