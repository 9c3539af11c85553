/*
 * search - do both ends answer the same: every vector index, the exact neighbours, the functions.
 */
#ifndef VERIFY_SEARCH_H
#define VERIFY_SEARCH_H

#include "common/event.h"
#include "verify/pair.h"

#define SEARCH_K            10
#define SEARCH_SAMPLE       600
#define SEARCH_SAMPLE_ALONE 60 /* without a source every truth costs a scan of the target */
#define SEARCH_EXACT        20
#define SEARCH_LATENCY      60

struct search_settings {
	int sample; /* queries an index */
	uint64_t seed;
	double margin, max_latency_ratio;
	struct stop *stop;
	struct events *events;
	void (*progress)(void *ctx, int done, int total); /* may be NULL */
	void *progress_ctx;
	json_t *queries; /* where the SQL is noted (queries.h); may be NULL */
};

/*
 * Looks at every vector index of both ends (pg[PG_SOURCE] may be NULL) and at the search functions.
 * Adds findings, an object an index to `out` ("search" of the report) and one a function to
 * `functions`. Settings of the sessions are changed and put back.
 */
int search_run(struct pg *const pg[2], const struct pairs *pairs,
	       const struct search_settings *settings, json_t *checks, json_t *out,
	       json_t *functions, struct err *e) MUST_CHECK;

#endif
