/*
 * compare - whether what the source holds fits into what the target has: differences, in words.
 *
 * Columns are paired by name, so their order does not matter. A type of an extension is the same
 * type in whatever schema the extension stands on either side.
 *
 * OWNER	A comparison collects; comparison_done() frees it and all texts.
 */
#ifndef SCHEMA_COMPARE_H
#define SCHEMA_COMPARE_H

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
	struct difference *list; /* in the order found: database, extensions, tables by name */
};

#define COMPARISON_INIT ((struct comparison){ 0 })

struct compare_options {
	bool data_only;      /* the target must have every table and extension already */
	bool allow_unlogged; /* an unlogged table of the target may be loaded */
};

/*
 * Everything that can be compared: databases, extensions, tables present on both sides, tables
 * missing on one. Adds to *ret. A column whose digest has a cast_fmt is converted on the way: its
 * type may differ.
 */
int compare_catalogs(struct comparison *ret, const struct catalog *source,
		     const struct catalog *target, const struct compare_options *options,
		     struct err *e) MUST_CHECK;

/* Only the tables, which may be of different names. */
int compare_tables(struct comparison *ret, const struct catalog *source, const struct table *from,
		   const struct catalog *target, const struct table *to,
		   const struct compare_options *options, struct err *e) MUST_CHECK;

/* Only the extensions, those that the source's tables need looked at harder. */
int compare_extensions(struct comparison *ret, const struct catalog *source,
		       const struct catalog *target, const struct compare_options *options,
		       struct err *e) MUST_CHECK;

/* Only what holds for a database as a whole: its encoding. */
int compare_databases(struct comparison *ret, const struct catalog *source,
		      const struct catalog *target, struct err *e) MUST_CHECK;

void comparison_done(struct comparison *c);
const char *difference_severity_name(enum difference_severity severity); /* "note", ... */

/*
 * Whether the rows of `from` can go to `to` in binary: each column can on both sides, and is the
 * same type; types of extensions with a format that may have changed: of the same version. If not,
 * the reason is added to *why (may be NULL). `to` NULL: as if the target were made from the source.
 */
bool compare_is_binary(const struct catalog *source, const struct table *from,
		       const struct catalog *target, const struct table *to, struct text *why);

#endif
