/*
 * rowdetail - what is different in one row: its columns, and for a vector how far it is off.
 */
#ifndef VERIFY_ROWDETAIL_H
#define VERIFY_ROWDETAIL_H

#include "verify/rowdiff.h"

/* A row with the same key and other contents on the two ends. */
struct rowdetail {
	char *key_hex;   /* its key's bytes, as hex digits */
	json_t *row;     /* borrowed; has "key": [texts]; gets "columns" or "note" */
	bool equivalent; /* out: every column that differs is equal for SQL */
};

/*
 * Describes n rows of p: for each column that differs its name, "equivalent", a note in words where
 * one is known, and for a vector "vector": {first, max_delta, cosine_distance, belongs_to}.
 */
int rowdetail_describe(struct pg *const pg[2], const struct pair *p, struct rowdetail *rows, int n,
		       bool include_values, struct err *e) MUST_CHECK;

/* pgvector's text form into floats (malloc'ed). Returns the dimensions, -1 where it is not one. */
int rowdetail_parse_vector(const char *text, float **ret);

#endif
