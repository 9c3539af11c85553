/*
 * recall - how many of the exact neighbours each end's index finds, and whether the target finds
 * fewer.
 *
 * The same queries go to both ends; each is compared with the same exact truth. The plan is looked
 * at first: an answer that did not come through the index is not reported as its recall.
 */
#ifndef VERIFY_RECALL_H
#define VERIFY_RECALL_H

#include "verify/queryset.h"

#include <jansson.h>

struct recall_settings {
	int k;
	double margin;
	struct stop *stop;
};

/* What the plan of a search says on one end. */
struct recall_plan {
	bool uses_index; /* after forcing, where it was forced */
	bool by_choice;  /* the planner took it without being forced */
	char node[160];  /* the deepest scan: "Index Scan using x", "Seq Scan" */
};

/* Looks at the plan; leaves the session so that the index is used, where it can be. */
int recall_plan(struct recall_plan *ret, struct pg *pg, const struct annindex *x,
		const struct queryset *q, enum pg_role role, int k, struct err *e) MUST_CHECK;

/* Undoes what recall_plan() left, and the search settings. */
int recall_reset(struct pg *pg, struct err *e) MUST_CHECK;

/*
 * Measures both ends (pg[PG_SOURCE] may be NULL) at their own settings and at several fixed ones,
 * adds findings, and fills `out`, the index's object of the report: plans, recall, self, worst.
 */
int recall_measure(struct pg *const pg[2], const struct annindex *x, const struct queryset *q,
		   const struct recall_settings *settings, json_t *checks, json_t *out,
		   uint64_t *bytes_in, struct err *e) MUST_CHECK;

#endif
