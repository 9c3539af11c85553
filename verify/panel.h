/*
 * panel - parts of the HTML report: each renders one part of the document, or nothing.
 */
#ifndef VERIFY_PANEL_H
#define VERIFY_PANEL_H

#include "common/text.h"

#include <jansson.h>

/* --- helpers shared with the page --- */

const char *panel_string(const json_t *object, const char *key);         /* never NULL */
double panel_number(const json_t *object, const char *key);              /* 0 where it is none */
void panel_int(struct text *t, json_int_t n);                            /* 1,234,567 */
void panel_bytes(struct text *t, double bytes);                          /* 1.2 GB */
void panel_field(struct text *t, const json_t *object, const char *key); /* escaped */
void panel_word(struct text *t, const char *w);                          /* a verdict, coloured */
void panel_digits(struct text *t, const char *number);            /* "1234567.8" as 1,234,567.8 */
void panel_integer_cell(struct text *t, const json_t *value);     /* a dash where it is none */
const char *panel_collection(const json_t *row, const char *key); /* "(none)" for NULL */
void panel_key(struct text *t,
	       const json_t *row); /* a row's key, or its digest where it has none */
/* The legend of the two ends. */
void panel_legend(struct text *t);

/* --- parts --- */

void panel_collections(struct text *t, const json_t *doc); /* rows per collection on both ends */
void panel_repair(struct text *t, const json_t *doc); /* what a repair wrote */
void panel_search(struct text *t, const json_t *doc);
void panel_functions(struct text *t, const json_t *doc);

#endif
