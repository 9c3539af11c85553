#include "cli/cmd_schema_change.h"
#include "cli/command.h"
#include "cli/say.h"
#include "schema/migration_apply.h"

static int list(struct schema_job *job, const char *version, json_t **ret, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	AUTO(history) struct history *h = NULL;
	AUTO_MIGRATION_PLAN struct migration_plan p = { 0 };

	return schema_open(&pg, job, e) || history_read(&h, pg, opt_text(job->o, OPT_ID_HISTORY_TABLE), e) ||
	       migration_plan_make(&p, job->folder, h, e) || migration_rollback_list(&p, version, ret, e)
		? -1 : 0;
}

static int change(struct schema_job *job, struct migration_session *s, struct err *e)
{
	json_t *undone = NULL;
	int failed = migration_rollback(s, job->folder, opt_text(job->o, OPT_ID_HISTORY_TABLE),
					job->o->args[0], schema_is_forced(job->o), &undone, e);
	size_t n = json_array_size(undone);

	job->written |= n > 0 || (failed && e->kind != ERR_REFUSED);
	if (!failed)
		text_addf(&job->summary, "%zu migration%s undone and verified", n, n == 1 ? "" : "s");
	json_decref(job->result);
	job->result = json_pack("{s:o}", "undone", undone);
	return failed;
}

static int rollback(struct schema_job *job, struct err *e)
{
	static const char *const columns[] = { "version", "applied_at", "down", NULL };
	const char *version = job->o->n_args ? job->o->args[0] : NULL;
	json_t *undone = NULL;

	if (!version) {
		err_set(e, ERR_USAGE, "back to which version?");
		return err_hint(e, "`neonferry schema rollback 2` undoes everything above 2; 0 undoes all.");
	}
	if (list(job, version, &undone, e))
		return -1;
	size_t n = json_array_size(undone);
	schema_show(job, "To be undone, in this order:", undone, columns);
	json_decref(undone);
	if (n == 0) {
		text_add(&job->summary, "nothing to undo");
		return 0;
	}
	if (!say_ask(job->o, e, "Undo %s in %s?", n == 1 ? "this migration" : "these migrations",
		     conn_label(job->target)))
		return -1;
	return schema_change(job, change, e);
}

int cmd_schema_rollback(const struct opts *o)
{
	return schema_job_run(o, "schema rollback", SCHEMA_NEEDS_FOLDER | SCHEMA_NEEDS_TARGET, rollback);
}
