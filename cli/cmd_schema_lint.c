#include "cli/cmd_schema.h"
#include "cli/command.h"

static int todo(UNUSED struct schema_job *job, struct err *e)
{
	return err_set(e, ERR_INTERNAL, "not yet");
}
int cmd_schema_export(const struct opts *o) { return schema_job_run(o, "schema verify", 0, todo); }
int cmd_schema_lint(const struct opts *o) { return schema_job_run(o, "schema verify", 0, todo); }
