/*
 * pattern - the names of tables as people give them: public.users, "My Table", audit.*
 *
 * One or two parts: [schema.]name. Outside double quotes letters are folded to lower case, as SQL
 * does, and * stands for any characters. Without a schema any schema matches.
 */
#ifndef SCHEMA_PATTERN_H
#define SCHEMA_PATTERN_H

#include "common/err.h"

struct pattern {
	char *schema; /* NULL: any */
	char *name;
};

/* ERR_USAGE: no name, more than two parts, an open quote. */
int pattern_parse(struct pattern *ret, const char *text, struct err *e) MUST_CHECK;
void pattern_done(struct pattern *p);

bool pattern_matches(const struct pattern *p, const char *schema, const char *name);

#endif
