/*
 * tally - the digest of a set of rows: how many, and the exact sum of each of two words.
 *
 * A row's digest is two signed 64-bit words of a SHA-256 (digest.h). A set's is the row count and
 * the exact sum of each word: 128 bits in C, numeric in SQL. Sums of disjoint sets add up, so a
 * table's tally is that of its chunks, in any order. Not XOR: a row read twice would vanish.
 */
#ifndef COMMON_TALLY_H
#define COMMON_TALLY_H

#include "common/err.h"

#include <stdint.h>

struct tally {
	uint64_t rows;
	__extension__ __int128 sum[2];
};

#define TALLY_INIT ((struct tally){ 0 })
#define TALLY_TEXT 48 /* enough for a 128-bit decimal with sign and NUL */

static inline void tally_row(struct tally *t, const int64_t word[2])
{
	t->rows++;
	t->sum[0] += word[0];
	t->sum[1] += word[1];
}

static inline void tally_add(struct tally *t, const struct tally *more)
{
	t->rows += more->rows;
	t->sum[0] += more->sum[0];
	t->sum[1] += more->sum[1];
}

static inline void tally_subtract(struct tally *t, const struct tally *less)
{
	t->rows -= less->rows;
	t->sum[0] -= less->sum[0];
	t->sum[1] -= less->sum[1];
}

static inline bool tally_equal(const struct tally *a, const struct tally *b)
{
	return a->rows == b->rows && a->sum[0] == b->sum[0] && a->sum[1] == b->sum[1];
}

/* Word i as decimal, as PostgreSQL's numeric prints it. */
void tally_text(const struct tally *t, int i, char buf[TALLY_TEXT]);

/* From count and two decimals as the server printed them; NULL or "" sums count as 0. */
int tally_parse(struct tally *ret, const char *rows, const char *sum0, const char *sum1,
		struct err *e) MUST_CHECK;

#endif
