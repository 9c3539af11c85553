/*
 * show - a JSON document as people read it: lines of "name  value", and tables.
 *
 * An array of objects becomes a table whose columns are the keys of the first one; other values
 * become lines. Both fit the terminal, where standard output is one. Numbers under a key that ends
 * in "bytes" or "ms" are sizes and durations.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "common/text.h"

#include <jansson.h>

/* indent: spaces before each line. Keys with null or empty values are left out. */
void show_value(struct text *t, const json_t *value, int indent);

/* A table of these keys (NULL-terminated) only. max_rows 0: all; else the rest is counted. */
void show_table(struct text *t, const json_t *array, const char *const *keys, int indent,
		int max_rows);

/*
 * Words for standard output, cleaned, and a line end. On a terminal they are broken between words;
 * column: where the first stands, indent: spaces before each further line.
 */
void show_words(struct text *t, const char *words, int column, int indent);

/* One value as a cell of a table: "1,234", "16.0 MB", "yes". */
void show_scalar(struct text *t, const char *key, const json_t *value);

#endif
