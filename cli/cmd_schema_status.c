#include "cli/cmd_schema.h"
#include "cli/command.h"
#include "cli/say.h"

static void show_strings(const char *title, const json_t *list)
{
	size_t i;
	json_t *s;

	if (say_is_quiet() || json_array_size(list) == 0)
		return;
	say_out("%s", title);
	json_array_foreach(list, i, s)
		say_out("%s%s", i ? ", " : " ", json_string_value(s));
	say_out("\n");
}

static void show(const struct schema_job *job)
{
	static const char *const columns[] = { "version", "state", "applied_at", "execution_ms",
					       "description", NULL };
	static const char *const progress[] = { "version", "statements_done", "rounds", "rows",
						"updated_at", "error", NULL };
	static const char *const others[] = {
		"tool", "table", "entries", "failed", "latest", NULL
	};
	const json_t *r = job->result;

	schema_show(job, NULL, json_object_get(r, "migrations"), columns);
	schema_show(job, "Unfinished: `neonferry schema apply` goes on (a \"down\" one: schema rollback)",
		    json_object_get(r, "unfinished"), progress);
	schema_show(job, "Histories of other tools", json_object_get(r, "others"), others);
	show_strings("Numbers missing in the folder:", json_object_get(r, "gaps"));
	show_strings("No migrations by their names:", json_object_get(r, "ignored"));
}

static void summarize(struct schema_job *job, const struct migration_plan *p, const struct history *h)
{
	text_addf(&job->summary, "%s%s: %d applied, %d pending", h->label, h->exists ? "" : " (not there yet)",
		  h->n, migration_plan_pending(p));
	for (int s = MIGRATION_CHANGED; s <= MIGRATION_MISSING; s++)
		if (p->counts[s] && s != MIGRATION_PENDING)
			text_addf(&job->summary, ", %d %s", p->counts[s],
				  migration_state_name((enum migration_state)s));
}

static int status(struct schema_job *job, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	AUTO(history) struct history *h = NULL;
	AUTO_MIGRATION_PLAN struct migration_plan p = { 0 };

	if (schema_open(&pg, job, e) || history_read(&h, pg, opt_text(job->o, OPT_ID_HISTORY_TABLE), e) ||
	    migration_plan_make(&p, job->folder, h, e))
		return -1;
	job->result = migration_plan_json(&p, job->folder, h);
	if (!job->result)
		return err_nomem(e);
	show(job);
	summarize(job, &p, h);
	return 0;
}

int cmd_schema_status(const struct opts *o)
{
	return schema_job_run(o, "schema status", SCHEMA_NEEDS_FOLDER | SCHEMA_NEEDS_TARGET, status);
}
