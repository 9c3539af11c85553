/*
 * verification - what the parts of one verify_run() share.
 */
#ifndef VERIFY_VERIFICATION_H
#define VERIFY_VERIFICATION_H

#include "verify/content.h"
#include "verify/databases.h"
#include "verify/flagged.h"
#include "verify/verify.h"

struct verification {
	const struct verify_settings *settings;
	struct databases ends;
	struct pairs pairs;
	struct pool pool;
	struct content *content;
	struct flagged_store *store; /* rows to look at again, or to repair; or NULL */
	json_t *doc, *checks, *tables, *queries;
	const char *phase;
};

/* Tells that a phase begins. */
void verification_begin(struct verification *v, const char *phase);
/* ctx: the verification. */
void verification_progress(void *ctx, int done, int total);
bool verification_asked(const struct verification *v, unsigned level);

/* A failed end is a finding, so that the rest is still looked at; only a stop ends the run. */
int verification_tolerate(struct verification *v, const char *group, const char *object,
			  struct err *failed, struct err *e) MUST_CHECK;

#endif
