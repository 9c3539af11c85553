#include "schema/pattern.h"

#include "common/text.h"

#include <string.h>

/* How an unquoted * is kept: no name of PostgreSQL holds this byte in UTF-8. */
#define ANY '\xff'

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Reads a quoted stretch after its opening quote. Returns what follows it, or NULL. */
static const char *read_quoted(const char *s, struct text *part)
{
	for (; *s; s++) {
		if (*s == '"' && s[1] != '"')
			return s + 1;
		if (*s == '"')
			s++;
		text_addn(part, s, 1);
	}
	return NULL;
}

/* Reads up to a dot or the end. Returns where it stopped, or NULL for an open quote. */
static const char *read_part(const char *s, struct text *part)
{
	while (s && *s && *s != '.') {
		if (*s == '"') {
			s = read_quoted(s + 1, part);
			continue;
		}
		char c = *s == '*' ? ANY : fold(*s);
		text_addn(part, &c, 1);
		s++;
	}
	return s;
}

int pattern_parse(struct pattern *ret, const char *text, struct err *e)
{
	AUTO_TEXT struct text first = TEXT_INIT;
	AUTO_TEXT struct text second = TEXT_INIT;
	const char *rest = read_part(text, &first);
	bool two = rest && *rest == '.';

	if (two)
		rest = read_part(rest + 1, &second);
	if (!rest || *rest || first.len == 0 || (two && second.len == 0)) {
		err_set(e, ERR_USAGE, "not the name of a table: %s", text);
		return err_hint(e, "write table or schema.table, in double quotes where SQL "
				   "needs them");
	}
	struct pattern p = { 0 };
	p.name = text_take(two ? &second : &first, e);
	if (p.name && two)
		p.schema = text_take(&first, e);
	if (!p.name || (two && !p.schema)) {
		pattern_done(&p);
		return -1;
	}
	*ret = p;
	return 0;
}

void pattern_done(struct pattern *p)
{
	free(p->schema);
	free(p->name);
	*p = (struct pattern){ 0 };
}

/* Goes back only to the last ANY: linear for one, quadratic at worst. */
static bool matches(const char *pattern, const char *s)
{
	const char *after_any = NULL, *resume = NULL;

	while (*s) {
		if (*pattern == ANY) {
			after_any = ++pattern;
			resume = s;
		} else if (*pattern == *s) {
			pattern++;
			s++;
		} else if (after_any) {
			pattern = after_any;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == ANY)
		pattern++;
	return !*pattern;
}

bool pattern_matches(const struct pattern *p, const char *schema, const char *name)
{
	return (!p->schema || matches(p->schema, schema)) && matches(p->name, name);
}
