/*
 * totals - control totals of every column, on both ends: numbers that a person can check by hand,
 * without trusting a digest.
 *
 * Per column the NULLs; of numbers, dates and times the sum, the least and the greatest; of
 * booleans how many are true; of texts and bytea the sum of their lengths in bytes (where both
 * databases have one encoding); and how many different values there are, where that is cheap. All
 * of a table in one scan an end.
 *
 * Sums are exact: integers and numeric as they are, floats by their 15 (real: 6) significant
 * digits, times as seconds since 1970. So they depend neither on the order of the rows nor on
 * trailing zeros.
 *
 * Totals of fewer than TOTALS_FEW values tell the values: they are compared, but shown only where
 * values were asked for.
 */
#ifndef VERIFY_TOTALS_H
#define VERIFY_TOTALS_H

#include "verify/content.h"

#include <jansson.h>

#define TOTALS_FEW 10
/* Different values are counted in tables of at most so many rows: it takes a sort a column. */
#define TOTALS_DISTINCT_ROWS 200000

struct totals_want {
	const char *const *collections; /* only rows of these, if any; else all */
	int n_collections;
	bool include_values;
	bool same_encoding; /* of both databases */
};

/*
 * content[i] belongs to pairs->pair[i]; its counts say which tables are small. Adds findings of the
 * group "totals" to checks, one object a table to out, and the SQL to queries (queries.h). -1 only
 * when stopped, or out of memory.
 */
int totals_check(const struct pairs *pairs, const struct content *content, const struct pool *pool,
		 const struct totals_want *want, json_t *checks, json_t *out, json_t *queries,
		 struct err *e) MUST_CHECK;

#endif
