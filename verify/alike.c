#include "verify/alike.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static char *schema_prefix(const char *name, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	if (!strcmp(name, "pg_catalog")) /* in every search path, so never printed */
		return text_take(&t, e);
	bool plain = islower((unsigned char)name[0]) || name[0] == '_';

	for (const char *p = name; *p; p++)
		plain = plain &&
			(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_');
	if (plain)
		text_add(&t, name);
	else
		text_add_ident(&t, name);
	text_add(&t, ".");
	return text_take(&t, e);
}

static int add_schema(struct alike *a, const char *source, const char *target, struct err *e)
{
	struct alike_schema *grown = realloc(a->schema, ((size_t)a->n + 1) * sizeof(*grown));

	if (!grown)
		return err_nomem(e);
	a->schema = grown;
	grown[a->n] = (struct alike_schema){ .end = { NULL } };
	a->n++;
	grown[a->n - 1].end[PG_SOURCE] = schema_prefix(source, e);
	grown[a->n - 1].end[PG_TARGET] = schema_prefix(target, e);
	return grown[a->n - 1].end[PG_SOURCE] && grown[a->n - 1].end[PG_TARGET] ? 0 : -1;
}

int alike_make(struct alike *ret, const struct model *source, const struct model *target,
	       struct err *e)
{
	*ret = (struct alike){ .n = 0 };
	for (int i = 0; i < source->n; i++) {
		const struct model_object *o = &source->list[i], *there;
		const char *s, *t;

		if (strcmp(o->kind, "extension") != 0 ||
		    !(there = model_find(target, "extension", o->name)))
			continue;
		s = model_value(o, "schema");
		t = model_value(there, "schema");
		if (s && t && strcmp(s, t) != 0 && add_schema(ret, s, t, e)) {
			alike_done(ret);
			return -1;
		}
	}
	return 0;
}

void alike_done(struct alike *a)
{
	for (int i = 0; i < a->n; i++)
		for (int role = 0; role < 2; role++)
			free(a->schema[i].end[role]);
	free(a->schema);
	*a = (struct alike){ .n = 0 };
}

static bool skip(const char **s, const char *a, const char **t, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (strncmp(*s, a, n) != 0 || strncmp(*t, b, m) != 0)
		return false;
	*s += n;
	*t += m;
	return true;
}

static bool is_inside_word(const char *start, const char *at)
{
	return at > start &&
	       (isalnum((unsigned char)at[-1]) || strchr("_$.\"", at[-1]) || at[-1] & 0x80);
}

/*
 * pg_catalog is never printed: public.citext at one end is citext at the other, and
 * OPERATOR(public.=) is =.
 */
static bool skip_unnamed(const char **named, const char *schema, const char **plain)
{
	static const char word[] = "OPERATOR(";
	const char *p = *named;
	size_t n = strlen(schema), len;
	bool is_operator = strncmp(p, word, sizeof(word) - 1) == 0;

	p += is_operator ? sizeof(word) - 1 : 0;
	if (strncmp(p, schema, n) != 0 || strncmp(*plain, schema, n) == 0)
		return false;
	p += n;
	if (is_operator) {
		len = strcspn(p, ")");
		if (!p[len] || strncmp(p, *plain, len) != 0)
			return false;
		p += len + 1;
		*plain += len;
	}
	*named = p;
	return true;
}

static bool skip_schema(const struct alike *a, const char **s, const char **t)
{
	for (int i = 0; i < a->n; i++) {
		const char *source = a->schema[i].end[PG_SOURCE];
		const char *target = a->schema[i].end[PG_TARGET];

		if (!source[0]   ? skip_unnamed(t, target, s)
		    : !target[0] ? skip_unnamed(s, source, t)
				 : skip(s, source, t, target))
			return true;
	}
	return false;
}

/* Behind [schema.]halfvec(3), or NULL where it is something else. */
static const char *behind_halfvec(const char *type)
{
	const char *p = strstr(type, "halfvec(");

	for (const char *q = type; p && q < p; q++)
		if (strchr("() ", *q))
			return NULL;
	if (!p || (p > type && p[-1] != '.'))
		return NULL;
	p += strlen("halfvec(");
	return p + strspn(p, "0123456789");
}

/*
 * ((column)::halfvec(3)) of a vector in the source, or (column::halfvec(3)) as it is printed
 * prettily: the target's column is that already.
 */
static bool skip_cast(const char **s, const char **t)
{
	bool inner = (*s)[0] == '(' && (*s)[1] == '(';
	const char *name = *s + 1 + inner, *end, *rest;
	size_t len;

	if ((*s)[0] != '(' || !(end = strstr(name, inner ? ")::" : "::")))
		return false;
	len = (size_t)(end - name);
	rest = behind_halfvec(end + inner + 2);
	if (!rest || strncmp(rest, "))", 2) != 0 || strncmp(*t, name, len) != 0 ||
	    memchr(name, '(', len))
		return false;
	*s = rest + 2;
	*t += len;
	return true;
}

bool alike_text(const struct alike *a, const char *source, const char *target, bool converted)
{
	const char *s = source, *t = target;

	if (!s || !t)
		return s == t;
	while (*s || *t) {
		if (!is_inside_word(source, s) && skip_schema(a, &s, &t))
			continue;
		if (converted && skip_cast(&s, &t))
			continue;
		if (converted &&
		    (skip(&s, "vector", &t, "halfvec") || skip(&s, "halfvec", &t, "vector")))
			continue;
		if (*s != *t)
			return false;
		s++;
		t++;
	}
	return true;
}

bool alike_operand(const char *source, const char *target)
{
	return alike_text(&(struct alike){ .n = 0 }, source, target, true);
}
