/*
 * rowdiff - which rows of a table differ, from the table's digest down to the row and its columns.
 *
 * First scan: rows of each end are put into buckets by a hash of their key (of the whole row where
 * there is no key), one tally a bucket. Second scan: the rows of the buckets that differ come as
 * (key, digest) in key order from both ends and are merged; nothing is held but the current key.
 * Then the columns of the rows that are shown are looked at one by one, and one scan of the source
 * tells whose vector a wrong vector is.
 *
 * LIMIT	At most max_rows rows are described; all are counted, and all are written to the
 * file.
 */
#ifndef VERIFY_ROWDIFF_H
#define VERIFY_ROWDIFF_H

#include "verify/flagged.h"
#include "verify/pair.h"

#include <jansson.h>
#include <stdio.h>

#define ROWDIFF_BUCKETS       1024
#define ROWDIFF_BUCKETS_LARGE 65536
#define ROWDIFF_LARGE         50000000u /* rows from which on there are more buckets */

struct rowdiff_settings {
	int max_rows;                   /* described in the report */
	FILE *all;                      /* every difference as a line of JSON, or NULL */
	struct flagged *list;           /* gets every row that differs, or NULL */
	bool include_values;            /* else the values of columns are not shown */
	uint64_t rows;                  /* about, for the number of buckets */
	const char *const *collections; /* only rows of these, if any */
	int n_collections;
};

struct rowdiff {
	uint64_t missing;    /* rows (or copies of a row) of the source that the target lacks */
	uint64_t extra;      /* rows whose key (or content) the source does not have */
	uint64_t changed;    /* same key, other contents; the equivalent ones among them */
	uint64_t equivalent; /* of the changed rows described: equal for SQL, other bytes */
	uint64_t doubled;    /* surplus copies in the target of a row that the source has */
	uint64_t surplus;    /* of the doubled: equal to a row that the source has, too */
	int buckets, buckets_different;
	bool keyed;
	json_t *rows; /* array, at most max_rows */
};

/*
 * Finds the differences of p. pg holds one session an end, the source's perhaps in a snapshot.
 * Equal contents give all zeros. Free with rowdiff_free().
 */
int rowdiff_run(struct rowdiff *ret, struct pg *const pg[2], const struct pair *p,
		const struct rowdiff_settings *settings, struct err *e) MUST_CHECK;
void rowdiff_free(struct rowdiff *r);

/* A row as it stands in the report and in the file: {table, class, key|row_digest, copies}. */
json_t *rowdiff_row(const struct pair *p, const struct flagged_row *g, const char *class,
		    uint64_t copies);

#endif
