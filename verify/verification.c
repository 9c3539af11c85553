#include "verify/verification.h"

#include "common/event.h"
#include "verify/finding.h"

void verification_progress(void *ctx, int done, int total)
{
	const struct verification *v = ctx;

	if (v->settings->progress)
		v->settings->progress(v->settings->progress_ctx, v->phase, done, total);
}

void verification_begin(struct verification *v, const char *phase)
{
	v->phase = phase;
	event_emit(v->settings->events, EVENT_INFO, "verify.phase", NULL, "verifying: %s", phase);
	verification_progress(v, 0, 1);
}

bool verification_asked(const struct verification *v, unsigned level)
{
	return (v->settings->levels & level) != 0;
}

int verification_tolerate(struct verification *v, const char *group, const char *object,
			  struct err *failed, struct err *e)
{
	if (failed->kind == ERR_STOPPED) {
		*e = *failed;
		return -1;
	}
	finding_add(v->checks, group, object, FINDING_UNKNOWN, "could not be looked at: %s",
		    failed->text);
	return databases_mend(&v->ends, v->settings->stop, e);
}
