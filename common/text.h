/*
 * text - a growable string, for SQL and messages.
 *
 * INVARIANT	text_str() is never NULL and always NUL-terminated.
 * LIMIT	TEXT_MAX bytes. Past it, or when memory ends, `failed` is set, further additions do
 *		nothing, and text_check() reports it: call that once, after the last addition.
 * OWNER	The struct is embedded; text_done() frees the storage. text_take() hands it on.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include "common/err.h"

#include <stdarg.h>

#define TEXT_MAX ((size_t)256 << 20)

struct text {
	char *data;
	size_t len, cap;
	bool failed;
};

#define TEXT_INIT ((struct text){ 0 })

void text_done(struct text *t);
void text_clear(struct text *t); /* empties it, keeps the storage */
const char *text_str(const struct text *t);
char *text_take(struct text *t, struct err *e) MUST_CHECK; /* malloc'ed; t is empty after */
int text_check(const struct text *t, struct err *e) MUST_CHECK;

void text_add(struct text *t, const char *s);
void text_addn(struct text *t, const char *s, size_t len);
void text_addf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_addv(struct text *t, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* A quoted SQL identifier: always in double quotes, quotes inside doubled. */
void text_add_ident(struct text *t, const char *name);
/* "schema"."name" */
void text_add_qname(struct text *t, const char *schema, const char *name);
/* A quoted SQL string literal, E'' where a backslash is inside. NULL gives the word NULL. */
void text_add_literal(struct text *t, const char *s);

#define AUTO_TEXT __attribute__((cleanup(text_done)))

#endif
