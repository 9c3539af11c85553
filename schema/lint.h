/*
 * lint - what can be said about migration files before they run: names, order, syntax, Neon.
 *
 * Nothing is executed. Syntax is judged by a server's own parser where a session is given; the names
 * in statements are not, as they may be made by an earlier one.
 */
#ifndef SCHEMA_LINT_H
#define SCHEMA_LINT_H

#include "common/pg.h"
#include "schema/migration.h"

#include <jansson.h>

enum lint_severity {
	LINT_NOTE,    /* worth knowing */
	LINT_WARNING, /* works, but look at it */
	LINT_ERROR,   /* will fail */
};

/*
 * *ret: [{severity, file, line, rule, text}], errors first, then by file and line. New reference.
 * *ret_errors: how many of them are errors. pg may be NULL. Fails only where asking fails.
 */
int lint_folder(json_t **ret, int *ret_errors, const struct migration_folder *f, struct pg *pg,
		struct err *e) MUST_CHECK;

/*
 * One row of the table of statements that do not work on Neon, or otherwise than meant; for docs. The
 * pattern is words; "..." is anything in between.
 */
struct lint_rule {
	enum lint_severity severity;
	const char *pattern;
	const char *reason;
};
extern const struct lint_rule lint_neon_rules[];
extern const size_t lint_n_neon_rules;

#endif
