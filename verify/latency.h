/*
 * latency - how long the same searches take on both ends, asked one after the other.
 *
 * The ends take turns query by query, so that what disturbs one moment disturbs both. The round
 * trip of an empty statement is measured beside it and shown apart: it is the network's, not the
 * server's.
 */
#ifndef VERIFY_LATENCY_H
#define VERIFY_LATENCY_H

#include "verify/queryset.h"

#include <jansson.h>

struct latency_settings {
	int k, queries;
	double max_ratio; /* of the medians, target / source; 0: not judged */
	uint64_t seed;
	struct stop *stop;
};

/*
 * Fills out["latency"]: {queries, source, target: {p50, p95, rtt, ms: [...]}, ratio: {...}}, adds a
 * finding. pg[PG_SOURCE] may be NULL. The sessions' settings are the caller's.
 */
int latency_measure(struct pg *const pg[2], const struct annindex *x, const struct queryset *q,
		    const struct latency_settings *settings, json_t *checks, json_t *out,
		    struct err *e) MUST_CHECK;

#endif
