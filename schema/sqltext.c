#include "schema/sqltext.h"

#include <ctype.h>
#include <string.h>

static bool is_word_start(char c)
{
	return isalpha((unsigned char)c) || c == '_' || (c & 0x80);
}

static bool is_word(char c)
{
	return is_word_start(c) || isdigit((unsigned char)c) || c == '$';
}

static const char *skip_comment(const char *p)
{
	int depth = 0;

	if (p[0] == '-')
		return p + strcspn(p, "\n");
	do {
		if (p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else if (p[0] == '*' && p[1] == '/') {
			depth--;
			p += 2;
		} else {
			p++;
		}
	} while (*p && depth > 0);
	return p;
}

static const char *skip_space(const char *p)
{
	for (;;) {
		if (isspace((unsigned char)*p))
			p++;
		else if ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'))
			p = skip_comment(p);
		else
			return p;
	}
}

/* p is at the opening quote; a doubled quote stays inside. */
static const char *skip_quoted(const char *p, char quote, bool backslash)
{
	for (p++; *p; p++) {
		if (backslash && *p == '\\' && p[1])
			p++;
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
	}
	return p;
}

/* Behind $tag$...$tag$, or NULL where p begins no dollar quote. */
static const char *skip_dollar(const char *p)
{
	size_t len = 1;

	while (is_word(p[len]) && p[len] != '$')
		len++;
	if (p[len] != '$' || isdigit((unsigned char)p[1]))
		return NULL;
	len++;
	for (const char *s = p + len; (s = strchr(s, '$')); s++) {
		if (strncmp(s, p, len) == 0)
			return s + len;
	}
	return p + strlen(p);
}

struct sqltext_token sqltext_next(const char **pos)
{
	const char *p = skip_space(*pos), *end;
	struct sqltext_token t = { .at = p };

	if (!*p) {
		*pos = p;
		return t;
	}
	if (*p == '"') {
		t.kind = SQLTEXT_IDENT;
		end = skip_quoted(p, '"', false);
	} else if (*p == '\'') {
		t.kind = SQLTEXT_STRING;
		end = skip_quoted(p, '\'', false);
	} else if ((*p == 'E' || *p == 'e') && p[1] == '\'') {
		t.kind = SQLTEXT_STRING;
		end = skip_quoted(p + 1, '\'', true);
	} else if (*p == '$' && (end = skip_dollar(p))) {
		t.kind = SQLTEXT_STRING;
	} else if (is_word(*p) && *p != '$') {
		t.kind = SQLTEXT_WORD;
		for (end = p; is_word(*end); end++)
			;
	} else {
		t.kind = SQLTEXT_SIGN;
		end = p + 1;
	}
	t.len = (size_t)(end - p);
	*pos = end;
	return t;
}

bool sqltext_is(const struct sqltext_token *t, const char *word)
{
	return t->kind == SQLTEXT_WORD && t->len == strlen(word) &&
	       strncasecmp(t->at, word, t->len) == 0;
}

bool sqltext_is_sign(const struct sqltext_token *t, char sign)
{
	return t->kind == SQLTEXT_SIGN && *t->at == sign;
}

size_t sqltext_statement(const char *sql)
{
	const char *pos = sql;
	struct sqltext_token t;
	int depth = 0;

	while ((t = sqltext_next(&pos)).kind != SQLTEXT_END) {
		if (t.kind != SQLTEXT_SIGN)
			continue;
		if (*t.at == '(')
			depth++;
		else if (*t.at == ')')
			depth--;
		else if (*t.at == ';' && depth <= 0)
			break;
	}
	while (isspace((unsigned char)*pos))
		pos++;
	return (size_t)(pos - sql);
}

static bool is_name(const struct sqltext_token *t)
{
	return t->kind == SQLTEXT_WORD || t->kind == SQLTEXT_IDENT;
}

bool sqltext_qname(const char **pos, struct text *ret)
{
	const char *p = *pos;
	struct sqltext_token t = sqltext_next(&p);

	if (!is_name(&t))
		return false;
	text_addn(ret, t.at, t.len);
	*pos = p;
	while (t = sqltext_next(&p), sqltext_is_sign(&t, '.')) {
		t = sqltext_next(&p);
		if (!is_name(&t))
			break;
		text_add(ret, ".");
		text_addn(ret, t.at, t.len);
		*pos = p;
	}
	return true;
}

bool sqltext_words(const char **pos, const char *const *words)
{
	const char *p = *pos;

	for (; *words; words++) {
		struct sqltext_token t = sqltext_next(&p);
		if (!sqltext_is(&t, *words))
			return false;
	}
	*pos = p;
	return true;
}

bool sqltext_has_statement(const char *sql)
{
	return sqltext_next(&sql).kind != SQLTEXT_END;
}
