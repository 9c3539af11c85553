#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_done(struct text *t)
{
	free(t->data);
	*t = TEXT_INIT;
}

void text_clear(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->data)
		t->data[0] = '\0';
}

const char *text_str(const struct text *t)
{
	return t->data ? t->data : "";
}

int text_check(const struct text *t, struct err *e)
{
	if (!t->failed)
		return 0;
	return err_set(e, ERR_INTERNAL, "out of memory, or a text longer than %zu bytes", TEXT_MAX);
}

char *text_take(struct text *t, struct err *e)
{
	char *given;

	if (text_check(t, e))
		return NULL;
	given = t->data ? t->data : calloc(1, 1);
	if (!given) {
		err_nomem(e);
		return NULL;
	}
	*t = TEXT_INIT;
	return given;
}

/* Makes room for `more` bytes and a NUL. */
static bool grow(struct text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 64;
	char *data;

	if (t->failed || more >= TEXT_MAX - t->len) {
		t->failed = true;
		return false;
	}
	while (cap < t->len + more + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	data = realloc(t->data, cap);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->cap = cap;
	return true;
}

void text_addn(struct text *t, const char *s, size_t len)
{
	if (!grow(t, len))
		return;
	if (len > 0)
		memcpy(t->data + t->len, s, len);
	t->len += len;
	t->data[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_addn(t, s, strlen(s));
}

void text_addv(struct text *t, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		t->failed = true;
	else if (grow(t, (size_t)n)) {
		vsnprintf(t->data + t->len, (size_t)n + 1, fmt, again);
		t->len += (size_t)n;
	}
	va_end(again);
}

void text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_addv(t, fmt, ap);
	va_end(ap);
}

/* Adds s with every byte that is in `doubled` written twice. */
static void add_doubling(struct text *t, const char *s, const char *doubled)
{
	while (*s) {
		size_t plain = strcspn(s, doubled);

		text_addn(t, s, plain);
		s += plain;
		if (*s) {
			text_addn(t, s, 1);
			text_addn(t, s, 1);
			s++;
		}
	}
}

void text_add_ident(struct text *t, const char *name)
{
	text_addn(t, "\"", 1);
	add_doubling(t, name, "\"");
	text_addn(t, "\"", 1);
}

void text_add_qname(struct text *t, const char *schema, const char *name)
{
	text_add_ident(t, schema);
	text_addn(t, ".", 1);
	text_add_ident(t, name);
}

void text_add_literal(struct text *t, const char *s)
{
	if (!s) {
		text_add(t, "NULL");
		return;
	}
	text_add(t, strchr(s, '\\') ? "E'" : "'");
	add_doubling(t, s, "'\\");
	text_addn(t, "'", 1);
}
