#include "cli/cmd_schema.h"
#include "cli/command.h"
#include "common/file.h"
#include "schema/schema_export.h"

#include <time.h>

static void dated_name(char *buf, size_t len)
{
	time_t now = time(NULL);
	struct tm t;

	strftime(buf, len, "schema_export_%Y%m%d_%H%M%S.sql", gmtime_r(&now, &t));
}

static int export(struct schema_job *job, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	AUTO_TEXT struct text t = TEXT_INIT;
	const char *path = opt_text(job->o, OPT_ID_OUTPUT);
	char name[64];

	dated_name(name, sizeof(name));
	if (!path)
		path = name;
	if (schema_open(&pg, job, e) || schema_export(&t, job->target, pg_version(pg), &job->stop, e))
		return -1;
	if (file_write(path, text_str(&t), t.len, e))
		return err_hint(e, "name a file in a folder that is there and may be written, with --output");
	job->result = json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)t.len);
	text_addf(&job->summary, "%s: %zu bytes", path, t.len);
	return 0;
}

int cmd_schema_export(const struct opts *o)
{
	return schema_job_run(o, "schema export", SCHEMA_NEEDS_TARGET, export);
}
