/*
 * sqltext - SQL text taken apart just far enough to split it and to change a word in it.
 *
 * Knows strings, quoted names, dollar quotes and comments, so that nothing inside them is ever
 * taken for SQL. Knows no grammar. Bodies of BEGIN ATOMIC functions are not understood as one
 * statement: use it on tables, indexes and constraints as pg_dump writes them.
 *
 * Safe on any bytes; an unfinished quote ends with the text.
 */
#ifndef SCHEMA_SQLTEXT_H
#define SCHEMA_SQLTEXT_H

#include "common/text.h"

enum sqltext_kind {
	SQLTEXT_END,    /* no more tokens */
	SQLTEXT_WORD,   /* keyword, unquoted name or number */
	SQLTEXT_IDENT,  /* "quoted name" */
	SQLTEXT_STRING, /* '...', E'...' or $$...$$ */
	SQLTEXT_SIGN,   /* one character of anything else */
};

struct sqltext_token {
	enum sqltext_kind kind;
	const char *at; /* into the text */
	size_t len;
};

/* The next token at *pos, which moves behind it. Spaces and comments are passed over. */
struct sqltext_token sqltext_next(const char **pos);

/* True for an unquoted word, in any case. */
bool sqltext_is(const struct sqltext_token *t, const char *word);
/* True for this one character. */
bool sqltext_is_sign(const struct sqltext_token *t, char sign);

/*
 * Bytes of the first statement of sql: its semicolon and the white space behind it included. 0 at
 * the end of the text.
 */
size_t sqltext_statement(const char *sql);

/*
 * Reads [schema .] name (words or quoted) at *pos, as it stands, into *ret. True when there was
 * one.
 */
bool sqltext_qname(const char **pos, struct text *ret);

/* True when the words (a NULL-terminated list) stand at *pos, which then moves behind them. */
bool sqltext_words(const char **pos, const char *const *words);

/* True when there is anything but white space and comments. */
bool sqltext_has_statement(const char *sql);

#endif
