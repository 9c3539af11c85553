#include "cli/cmd_schema_change.h"
#include "cli/command.h"
#include "cli/say.h"
#include "schema/migration_apply.h"

#include <stdlib.h>
#include <string.h>

static int show_locks(struct schema_job *job, struct err *e)
{
	static const char *const columns[] = { "pid", "user", "application", "state", "seconds", "locks",
					       "query", NULL };
	AUTO(pg) struct pg *pg = NULL;

	if (schema_open(&pg, job, e) || migration_locks_read(pg, &job->result, e))
		return -1;
	schema_show(job, NULL, job->result, columns);
	text_addf(&job->summary, "%zu sessions hold locks on tables", json_array_size(job->result));
	return 0;
}

/* FORCE_MIGRATION=true is what scripts of old set. */
static bool is_forced(const struct opts *o)
{
	const char *env = getenv("FORCE_MIGRATION");

	return opt_flag(o, OPT_ID_FORCE) || (env && strcasecmp(env, "true") == 0);
}

static int change(struct schema_job *job, struct migration_session *s, struct err *e)
{
	static const char *const columns[] = { "version", "ms", "description", NULL };
	struct migration_apply_options options = {
		.history_table = opt_text(job->o, OPT_ID_HISTORY_TABLE), .force = is_forced(job->o),
		.to = opt_text(job->o, OPT_ID_TO),
	};
	json_t *applied = NULL;
	int failed = migration_apply(s, job->folder, &options, &applied, e);
	size_t n = json_array_size(applied);

	job->written |= n > 0 || (failed && e->kind != ERR_REFUSED);
	schema_show(job, n ? "Applied:" : NULL, applied, columns);
	if (!failed)
		text_addf(&job->summary, n ? "%zu migration%s applied and verified" : "nothing was pending",
			  n, n == 1 ? "" : "s");
	json_decref(job->result);
	job->result = json_pack("{s:o}", "applied", applied);
	return failed;
}

static int apply(struct schema_job *job, struct err *e)
{
	if (opt_flag(job->o, OPT_ID_LOCKS))
		return show_locks(job, e);
	return schema_change(job, change, e);
}

int cmd_schema_apply(const struct opts *o)
{
	return schema_job_run(o, "schema apply", SCHEMA_NEEDS_FOLDER | SCHEMA_NEEDS_TARGET, apply);
}
