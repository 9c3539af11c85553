/*
 * fit - whether the rows of the source fit into the tables of the target: what does not, in words.
 *
 * Asks less and more than a comparison of two definitions (model.h): column order, defaults and
 * indexes do not matter to rows, but a conversion, a right or an extension's version may.
 *
 * Columns are paired by name, so their order does not matter. A type of an extension is the same
 * type in whatever schema the extension stands on either side.
 *
 * OWNER	A comparison collects; comparison_done() frees it and all texts.
 */
#ifndef SCHEMA_FIT_H
#define SCHEMA_FIT_H

#include "schema/catalog.h"

enum difference_severity {
	DIFFERENCE_NOTE,    /* worth knowing; nothing follows from it */
	DIFFERENCE_WARNING, /* the load can work, but look at it */
	DIFFERENCE_ERROR,   /* the load would fail, or not be the same data: refuse */
};

struct difference {
	enum difference_severity severity;
	char *object; /* "column public.t.c", "table public.t", "extension vector", "database d" */
	char *text;   /* what differs, both sides named */
	char *hint;   /* what the user can do, or NULL */
};

struct comparison {
	int n, n_errors, n_warnings, capacity;
	struct difference *list; /* in the order found */
};

#define COMPARISON_INIT ((struct comparison){ 0 })

struct fit_options {
	bool data_only;      /* the target must have every table and extension already */
	bool allow_unlogged; /* an unlogged table of the target may be loaded */
};

/*
 * One table, which may be of another name there. Adds to *ret. A column whose digest has a cast_fmt
 * becomes halfvec on the way (halfvec.h): it must be that on the target, of the same dimension.
 */
int fit_tables(struct comparison *ret, const struct catalog *source, const struct table *from,
		   const struct catalog *target, const struct table *to,
		   const struct fit_options *options, struct err *e) MUST_CHECK;

/* The extensions; those that the source's tables need are looked at harder. */
int fit_extensions(struct comparison *ret, const struct catalog *source,
		       const struct catalog *target, const struct fit_options *options,
		       struct err *e) MUST_CHECK;

/* What holds for a database as a whole: its encoding. */
int fit_databases(struct comparison *ret, const struct catalog *source,
		      const struct catalog *target, struct err *e) MUST_CHECK;

void comparison_done(struct comparison *c);
const char *difference_severity_name(enum difference_severity severity); /* "note", ... */

/*
 * Whether the rows of `from` can go to `to` in binary: each column can on both sides, and is the
 * same type; types of extensions with a format that may have changed: of the same version. If not,
 * the reason is added to *why (may be NULL). `to` NULL: as if the target were made from the source.
 */
bool fit_is_binary(const struct catalog *source, const struct table *from,
		       const struct catalog *target, const struct table *to, struct text *why);

#endif
