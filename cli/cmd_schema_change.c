#include "cli/cmd_schema_change.h"

#include "cli/say.h"

#include <stdlib.h>
#include <string.h>

bool schema_is_forced(const struct opts *o)
{
	const char *env = getenv("FORCE_MIGRATION");

	return opt_flag(o, OPT_ID_FORCE) || (env && strcasecmp(env, "true") == 0);
}

/* Asks and ends. 1: some were ended, try again; 0: nothing to end; -1: error, or not confirmed. */
static int end_idle(struct schema_job *job, struct migration_session *s, struct err *e)
{
	static const char *const columns[] = { "pid", "user", "application", "state", "seconds", "query",
					       NULL };
	json_t *blockers = migration_session_blockers(s);
	AUTO(pg) struct pg *pg = NULL;
	int ended = 0, failed = 0;

	if (json_array_size(blockers)) {
		schema_show(job, "In the way:", blockers, columns);
		failed = !say_ask(job->o, e, "End those that are idle in a transaction?") ||
			 schema_open(&pg, job, e) || migration_locks_end_idle(pg, blockers, &ended, e);
	}
	json_decref(blockers);
	if (ended)
		say_note("%d idle transaction%s ended", ended, ended == 1 ? " was" : "s were");
	return failed ? -1 : ended > 0;
}

int schema_change(struct schema_job *job, int (*change)(struct schema_job *, struct migration_session *,
							struct err *), struct err *e)
{
	AUTO(migration_session) struct migration_session *s = NULL;
	struct migration_session_options options = {
		.lock_timeout_ms = opt_number(job->o, OPT_ID_LOCK_TIMEOUT),
		.vector_dimensions = (int)opt_number(job->o, OPT_ID_VECTOR_DIMENSIONS),
		.events = job->events, .stop = &job->stop,
	};
	struct err again = ERR_INIT;

	if (migration_session_open(&s, job->target, &options, e))
		return -1;
	if (change(job, s, e) == 0)
		return 0;
	if (!opt_flag(job->o, OPT_ID_END_IDLE) || strcmp(e->sqlstate, "55P03") != 0)
		return -1;
	int ended = end_idle(job, s, &again);
	if (ended < 0)
		*e = again;
	if (ended <= 0)
		return -1;
	*e = ERR_INIT;
	return change(job, s, e);
}
