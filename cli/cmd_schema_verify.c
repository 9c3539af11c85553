#include "cli/cmd_schema.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/say.h"
#include "schema/migration_gate.h"
#include "schema/migration_verify.h"

#include <string.h>

struct judge {
	struct schema_job *job;
	struct pg *pg;
	struct history *history;
	struct migration_plan plan;
	json_t *differences, *seeds, *grants;
};

static const char *const difference_columns[] = { "kind", "object", "change", "before", "after", NULL };

static void judge_done(struct judge *j)
{
	pg_close(j->pg);
	history_free(j->history);
	migration_plan_done(&j->plan);
	json_decref(j->differences);
	json_decref(j->seeds);
	json_decref(j->grants);
}

static int open_judge(struct judge *j, struct err *e)
{
	return schema_open(&j->pg, j->job, e) ||
	       history_read(&j->history, j->pg, opt_text(j->job->o, OPT_ID_HISTORY_TABLE), e) ||
	       migration_plan_make(&j->plan, j->job->folder, j->history, e) ? -1 : 0;
}

static struct scratch_options scratch_options(struct schema_job *job)
{
	return (struct scratch_options){
		.uri = opt_text(job->o, OPT_ID_SCRATCH),
		.vector_dimensions = (int)opt_number(job->o, OPT_ID_VECTOR_DIMENSIONS),
		.events = job->events, .stop = &job->stop,
	};
}

static size_t count_missing(const json_t *seeds)
{
	size_t i, n = 0;
	json_t *row;

	json_array_foreach(seeds, i, row)
		n += json_integer_value(json_object_get(row, "missing")) > 0;
	return n;
}

/* --- verify --- */

static int look(struct judge *j, struct err *e)
{
	AUTO(scratch) struct scratch *s = NULL;
	struct scratch_options options = scratch_options(j->job);
	const char *ignore = j->history->label, *role = opt_text(j->job->o, OPT_ID_APP_ROLE);

	if (scratch_open(&s, j->job->target, &options, e) || migration_build(s, &j->plan, true, e) ||
	    migration_differences(&j->differences, scratch_pg(s), j->pg, ignore, false, false, e) ||
	    migration_seeds(&j->seeds, scratch_pg(s), j->pg, ignore, e))
		return -1;
	return role ? migration_grants(&j->grants, j->pg, role, e) : 0;
}

static void show_verify(struct judge *j)
{
	static const char *const seeds[] = { "table", "rows", "missing", "by", NULL };
	static const char *const grants[] = { "object", "lacks", NULL };

	schema_show(j->job, "Not as the migrations made it (before: expected, after: found):", j->differences,
		    difference_columns);
	schema_show(j->job, "Rows that migrations put in:", j->seeds, seeds);
	schema_show(j->job, "The application's role may not:", j->grants, grants);
}

static void warn_missing(const struct judge *j, const char *what)
{
	for (int i = 0; i < j->plan.n; i++)
		if (j->plan.items[i].state == MIGRATION_MISSING)
			say_warning("version %s is applied, but its file is missing: %s",
				    j->plan.items[i].version, what);
}

static int conclude(struct judge *j, struct err *e)
{
	struct schema_job *job = j->job;
	size_t different = json_array_size(j->differences) + count_missing(j->seeds) +
			   json_array_size(j->grants);

	warn_missing(j, "not verified");
	const int *counts = j->plan.counts;
	different += (size_t)(counts[MIGRATION_CHANGED] + counts[MIGRATION_UNFINISHED] +
			      counts[MIGRATION_HALF_UNDONE]);
	text_addf(&job->summary, "%d migrations: ", j->history->n);
	if (different)
		text_addf(&job->summary, "%zu differences", different);
	else if (counts[MIGRATION_MISSING])
		text_addf(&job->summary,
			  "not verified: the files of %d are missing; everything that the others "
			  "made is there",
			  counts[MIGRATION_MISSING]);
	else
		text_add(&job->summary, "everything they made is there");
	if (counts[MIGRATION_HALF_UNDONE])
		text_addf(&job->summary, ", %d half rolled back", counts[MIGRATION_HALF_UNDONE]);
	if (j->plan.counts[MIGRATION_CHANGED])
		text_addf(&job->summary, ", %d changed since applied", j->plan.counts[MIGRATION_CHANGED]);
	if (j->plan.counts[MIGRATION_UNFINISHED])
		text_addf(&job->summary, ", %d unfinished", j->plan.counts[MIGRATION_UNFINISHED]);
	job->status = different ? EXIT_DIFFERENT
				: j->plan.counts[MIGRATION_MISSING] ? EXIT_UNPROVEN : EXIT_DONE;
	/* only an environment keeps the result: a look elsewhere writes nothing */
	if (job->status == EXIT_DONE && schema_has_env(job->o))
		return migration_gate_pass(j->pg, j->history, e);
	return 0;
}

static int verify(struct schema_job *job, struct err *e)
{
	struct judge j = { .job = job };
	int failed = open_judge(&j, e) || look(&j, e);

	if (!failed) {
		show_verify(&j);
		failed = conclude(&j, e);
		job->result = json_pack("{s:O, s:O, s:O?, s:b}", "differences", j.differences, "seeds", j.seeds,
					"grants", j.grants, "passed", job->status == EXIT_DONE);
	}
	judge_done(&j);
	return failed ? -1 : 0;
}

int cmd_schema_verify(const struct opts *o)
{
	return schema_job_run(o, "schema verify", SCHEMA_NEEDS_FOLDER | SCHEMA_NEEDS_TARGET, verify);
}

/* --- compare --- */

static int with_migrations(struct judge *j, struct err *e)
{
	AUTO(scratch) struct scratch *s = NULL;
	struct scratch_options options = scratch_options(j->job);

	if (migration_folder_read(&j->job->folder, opt_text(j->job->o, OPT_ID_DIR), e))
		return -1;
	return open_judge(j, e) || scratch_open(&s, j->job->target, &options, e) ||
	       migration_build(s, &j->plan, false, e) ||
	       migration_differences(&j->differences, scratch_pg(s), j->pg, j->history->label, true, false, e)
		? -1 : 0;
}

static int with_database(struct judge *j, struct err *e)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	AUTO(pg) struct pg *source = NULL;

	return endpoints_find(&ends, j->job->o, ENDPOINT_NEEDED, ENDPOINT_NONE, e) ||
	       pg_open(&source, ends.source, "schema", &j->job->stop, e) || schema_open(&j->pg, j->job, e) ||
	       migration_differences(&j->differences, source, j->pg, NULL, true, true, e) ? -1 : 0;
}

static int compare(struct schema_job *job, struct err *e)
{
	struct judge j = { .job = job };
	bool other = opt_given(job->o, OPT_ID_SOURCE);
	int failed = other ? with_database(&j, e) : with_migrations(&j, e);

	if (!failed) {
		size_t n = json_array_size(j.differences);
		warn_missing(&j, "what it made is told as a difference");
		schema_show(job, other ? "Differences (before: source, after: target):"
				       : "Differences (before: migrations, after: target):", j.differences,
			    difference_columns);
		text_addf(&job->summary, n ? "%zu differences" : "no difference", n);
		job->status = n ? EXIT_DIFFERENT : EXIT_DONE;
		job->result = json_pack("{s:O}", "differences", j.differences);
	}
	judge_done(&j);
	return failed ? -1 : 0;
}

int cmd_schema_compare(const struct opts *o)
{
	return schema_job_run(o, "schema compare", SCHEMA_NEEDS_TARGET, compare);
}
