/*
 * pair - one table seen from both ends, with the columns that are compared.
 *
 * The columns of both ends stand in the same order. Where the target's type is another by design
 * (vector stored as halfvec) the source's column carries the cast, so that both digests are of the
 * same bytes. Only roots: partitions are read through the table they belong to.
 *
 * INVARIANT	end[PG_TARGET] and end[PG_SOURCE] are both set where both ends were read and have
 *		the table. `why` is not empty exactly where the contents cannot be compared.
 * OWNER	pairs_free(). Borrows from the two catalogs, which must outlive it.
 * THREADS	Read-only once made, and `moved` is set.
 */
#ifndef VERIFY_PAIR_H
#define VERIFY_PAIR_H

#include "schema/catalog.h"

struct pair_columns {
	int n;
	struct digest_column *end[2]; /* by enum pg_role; same names, same order */
	/* of the catalogs, same order; NULL where that end was not read */
	const struct column **column[2];
};

struct pair {
	const struct table *end[2]; /* by enum pg_role; NULL: not there */
	char *name;                 /* schema.table, for people */
	struct pair_columns stored; /* what COPY carries */
	struct pair_columns generated;
	struct pair_columns key;       /* n is 0: no key that both ends can be matched by */
	const char *collection_column; /* or NULL */
	char **casts;                  /* storage of conversions, NULL-terminated */
	int n_casts;
	bool text_mode;       /* the target is digested as text, as a stream in text format was */
	bool converted;       /* a cast is applied to the source */
	bool moved;           /* what a run carried of it is known; set by the verification */
	char conversion[128]; /* in words, where converted */
	char why[256];        /* why contents cannot be compared, or "" */
};

/* How tables are divided: "table=column" rules first, then `otherwise` in tables that have it. */
struct pair_division {
	const char *const *rules;
	int n_rules;
	const char *otherwise; /* may be NULL */
};

struct pairs {
	int n;
	struct pair *pair;
};

/*
 * All tables of both ends, by name in byte order: ordinary tables, partitioned roots and
 * materialized views. catalogs[PG_SOURCE] may be NULL. The sessions pg (source's may be NULL) are
 * asked for the keys. only_source: tables that only the target has are left out, where the source
 * was read.
 */
int pairs_make(struct pairs *ret, const struct catalog *const catalogs[2], struct pg *const pg[2],
	       const struct pair_division *division, bool only_source, struct err *e) MUST_CHECK;
void pairs_free(struct pairs *p);
/* Refuses (ERR_USAGE) a rule that names no table of p, or no column of it. */
int pairs_check_division(const struct pairs *p, const struct pair_division *division,
			 struct err *e) MUST_CHECK;

/*
 * p once more, with the generated columns among those compared. Borrows from p. Free with
 * pair_with_generated_done().
 */
int pair_with_generated(struct pair *ret, const struct pair *p, struct err *e) MUST_CHECK;
void pair_with_generated_done(struct pair *p);

/* Both ends there (or the source not asked), and nothing stands against comparing. */
bool pair_comparable(const struct pair *p);

/* FROM item of one end: ONLY "s"."t", or the partitioned root without ONLY. */
void pair_from(struct text *t, const struct pair *p, enum pg_role role);

/*
 * pg_catalog.record_send(ROW(key columns)): the key as bytes, the same on both ends. Numbers that
 * are equal have the same bytes there: 1.0 and 1.00, 0 and -0.
 */
void pair_key_bytes(struct text *t, const struct pair *p, enum pg_role role, const char *alias);

/* Column i of the key has values that are equal and have other bytes (numeric and floats). */
bool pair_key_is_loose(const struct pair *p, int i);

/* The key as one readable text: the column's own text, or the parts joined by ", ". */
void pair_key_text(struct text *t, const struct pair *p, enum pg_role role, const char *alias);

#endif
