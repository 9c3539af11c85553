/*
 * finding - one line of the verifier's judgement: what was looked at, what came of it, in words.
 *
 * Findings are JSON objects in the array "checks" of the report's document:
 *   {"group": "digest", "object": "public.items", "verdict": "fail", "sentence": "...",
 *    "at": "2026-01-31T12:00:00Z", ...}
 * The overall verdict is computed from them alone, so nothing can be found and not count.
 */
#ifndef VERIFY_FINDING_H
#define VERIFY_FINDING_H

#include "common/err.h"

#include <jansson.h>

enum finding_verdict {
	FINDING_PASS,    /* looked at, as it should be */
	FINDING_INFO,    /* worth reading, judged neither way */
	FINDING_WARNING, /* an exception: the data are right, something is not as in the source */
	FINDING_FAIL,    /* differs */
	FINDING_UNKNOWN, /* could not be looked at: never green */
};

/* "pass", "info", "warning", "fail", "unknown" */
const char *finding_word(enum finding_verdict v);

/* What a finding is about: it belongs to one of these. */
#define FINDING_GROUPS                                                                             \
	"connection, schema, counts, presence, digest, rows, repair, totals, search, latency, "    \
	"smoke, coverage"
bool finding_is_group(const char *word);

/*
 * Appends one finding to `checks`, an array. group is one of FINDING_GROUPS. THREADS: the caller's,
 * one at a time.
 */
void finding_add(json_t *checks, const char *group, const char *object, enum finding_verdict v,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);

/* How many findings have this verdict; group may be NULL for all. */
int finding_count(const json_t *checks, const char *group, enum finding_verdict v);

/* A string for JSON, with bytes that are not UTF-8 replaced by '?'. New reference. */
json_t *finding_string(const char *s);

#endif
