/*
 * judge - counts and digests of two ends (or of an end and a stream) into findings and rows of the
 * report; and all findings into the one verdict.
 */
#ifndef VERIFY_JUDGE_H
#define VERIFY_JUDGE_H

#include "verify/content.h"
#include "verify/finding.h"
#include "verify/verify.h"

/* What a table's contents are compared with. */
struct judge_input {
	const struct content *content;
	const struct proof_table *expected; /* of a stream; NULL: the source end of content */
	bool has_source;
	unsigned levels;
	bool partly; /* only some collections were read */
};

/*
 * Adds the findings of one table to checks and returns its object of the report (new reference):
 * {name, rows, digest, generated, collections, verdict, ...}. *ret_different is set where the
 * contents differ and rows should be looked for.
 */
json_t *judge_table(const struct judge_input *in, json_t *checks, bool *ret_different);

/*
 * Where rows are written meanwhile, numbers and digests of two moments differ though no row does:
 * makes the failed findings of one table in one group `v`, and adds why. all: for names with dots,
 * such as that of the table "items.old", which is no part of the table items.
 */
void judge_soften(json_t *checks, const struct pairs *all, const char *group, const char *table,
		  enum finding_verdict v, const char *why);

/*
 * Applies the waivers to the findings: a failing finding whose group and object match (object may
 * end in '*') becomes a warning with "waived": {reason, by, expires}; an expired waiver does not
 * count and is a warning of its own. today: "YYYY-MM-DD".
 */
void judge_waive(json_t *checks, const json_t *waivers, const char *today);

/* The verdict of all findings, with one sentence why. */
enum verify_verdict judge_verdict(const json_t *checks, char *sentence, size_t size);

/* "sha256:..." over the sorted names, counts and digests of all tables of one end. */
json_t *judge_fingerprint(const json_t *tables, enum pg_role role);

#endif
