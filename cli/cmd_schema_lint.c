#include "cli/cmd_schema.h"
#include "cli/command.h"
#include "cli/say.h"
#include "schema/lint.h"

static int lint(struct schema_job *job, struct err *e)
{
	static const char *const columns[] = { "severity", "file", "line", "rule", "text", NULL };
	AUTO(pg) struct pg *pg = NULL;
	int errors;

	if (job->target && schema_open(&pg, job, e))
		return -1;
	if (lint_folder(&job->result, &errors, job->folder, pg, e))
		return -1;
	if (!pg)
		say_note("no database is named: the syntax was not judged");
	schema_show(job, NULL, job->result, columns);
	text_addf(&job->summary, "%d migrations: %d errors, %zu remarks", job->folder->n, errors,
		  json_array_size(job->result) - (size_t)errors);
	job->status = errors ? EXIT_DIFFERENT : EXIT_DONE;
	return 0;
}

int cmd_schema_lint(const struct opts *o)
{
	return schema_job_run(o, "schema lint", SCHEMA_NEEDS_FOLDER | SCHEMA_MAY_TARGET, lint);
}
