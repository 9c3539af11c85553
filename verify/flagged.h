/*
 * flagged - rows that were found to differ, kept on disk to be looked at again, or repaired.
 *
 * However many rows differ, only a batch of them is in memory: the lists of all tables stand one
 * after the other in one unlinked file, a line of JSON a row.
 *
 * A "row" is everything that stands under one key on the two ends: normally one row on either;
 * where a table has no key, the copies of one content.
 *
 * INVARIANT	Rows are added to one list at a time, and are read in the order they were added.
 * OWNER	The store owns the file and outlives its lists; lists own nothing.
 * THREADS	One thread.
 */
#ifndef VERIFY_FLAGGED_H
#define VERIFY_FLAGGED_H

#include "common/err.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* 128 bits of a row's digest as hex digits */
#define FLAGGED_DIGEST 33

struct flagged_copies {
	char digest[FLAGGED_DIGEST];
	uint64_t n[2]; /* rows with this content, by enum pg_role */
};

enum flagged_state {
	FLAGGED_SEEN,      /* differed when it was looked at first */
	FLAGGED_TRANSIENT, /* seen equal later */
	FLAGGED_MOVING,    /* differs, and was written between the last two looks */
	FLAGGED_LASTING,   /* differs, and was not */
};

struct flagged_row {
	char *id;    /* bytes of the key, or of the digest where there is no key, as hex digits */
	json_t *key; /* texts of the key's columns; NULL: the table has no key */
	bool lossy;  /* the texts are not exact: the row is only found by its id */
	int shown;   /* place among the rows of the report, or -1 */
	int n_copies;
	struct flagged_copies *copies; /* every content under this key */
	enum flagged_state state;
	char *note; /* why it could not be repaired, or NULL */
};

struct flagged_store;

struct flagged {
	struct flagged_store *store;
	int64_t start, next; /* places in the file */
	uint64_t n, read;
};

/* How the rows under one key differ. */
struct flagged_sums {
	uint64_t missing, extra, changed, doubled;
	uint64_t surplus; /* of `doubled`: copies of a row that stays */
};

int flagged_open(struct flagged_store **ret, struct err *e) MUST_CHECK;
void flagged_close(struct flagged_store *store);

/* Begins an empty list; the store's former list is complete by now. */
struct flagged flagged_list(struct flagged_store *store);
int flagged_add(struct flagged *list, const struct flagged_row *row, struct err *e) MUST_CHECK;

void flagged_rewind(struct flagged *list);
/* The next rows, at most max; *ret_n is 0 at the end. Free with flagged_rows_done(). */
int flagged_next(struct flagged *list, struct flagged_row *rows, int max, int *ret_n,
		 struct err *e) MUST_CHECK;
void flagged_rows_done(struct flagged_row *rows, int n);

/* Counts rows of one content under a key; the content is added where it is new. */
int flagged_count(struct flagged_row *row, const char *digest, int role, uint64_t n,
		  struct err *e) MUST_CHECK;
bool flagged_differs(const struct flagged_row *row);
/* Adds up. */
void flagged_sum(struct flagged_sums *sums, const struct flagged_row *row);

/* "transient", "moving", "lasting"; NULL for FLAGGED_SEEN. */
const char *flagged_state_word(enum flagged_state state);

#endif
