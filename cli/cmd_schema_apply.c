#include "cli/cmd_schema_change.h"
#include "cli/command.h"
#include "cli/say.h"
#include "schema/migration_apply.h"
#include "schema/migration_check.h"
#include "schema/migration_gate.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_ATTEMPTS 5

enum { ENV_TEST = 1, ENV_PROD = 2 };

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

/* --- production waits for test --- */

static int check_gate(struct schema_job *job, struct err *e)
{
	AUTO(conn) struct conn *test = NULL;
	AUTO(pg) struct pg *pg = NULL;

	if (!schema_is_env(job->o, ENV_PROD))
		return 0;
	if (schema_env_target(&test, ENV_TEST, e) || pg_open(&pg, test, "schema", &job->stop, e))
		return err_note(e, "looking whether test has these migrations");
	return migration_gate_check(pg, job->folder, opt_text(job->o, OPT_ID_HISTORY_TABLE),
				    opt_text(job->o, OPT_ID_TO), e);
}

/* --- what would change --- */

static void show_check(const struct schema_job *job, const struct migration_check *c)
{
	static const char *const changes[] = { "severity", "kind", "object", "change", "before", "after",
					       "why", NULL };
	static const char *const locks[] = { "migration", "relation", "mode", "blocks", NULL };
	static const char *const skipped[] = { "migration", "line", "statement", NULL };

	schema_show(job, "Would change:", c->changes, changes);
	schema_show(job, "Would lock until the end of its migration:", c->locks, locks);
	schema_show(job, "Not tried, as it reaches beyond this database or cannot be rolled back:",
		    c->skipped, skipped);
}

static int run_check(struct schema_job *job, const struct migration_plan *p, const struct history *h,
		     struct migration_check *ret, struct err *e)
{
	struct migration_check_options options = {
		.scratch = { .uri = opt_text(job->o, OPT_ID_SCRATCH),
			     .vector_dimensions = (int)opt_number(job->o, OPT_ID_VECTOR_DIMENSIONS),
			     .events = job->events, .stop = &job->stop },
		.history_table = opt_text(job->o, OPT_ID_HISTORY_TABLE), .to = opt_text(job->o, OPT_ID_TO),
		.in_place = opt_flag(job->o, OPT_ID_IN_PLACE),
	};

	if (options.in_place)
		say_note("trying in the target itself: every table that the migrations touch is locked until "
			 "it is rolled back; nobody is waited for longer than 2 seconds");
	if (migration_check_run(ret, job->target, p, h->label, &options, e) == 0)
		return 0;
	/* With the permission to destroy, not knowing is no obstacle. */
	if (e->kind != ERR_REFUSED || !opt_flag(job->o, OPT_ID_ALLOW_DESTRUCTIVE) ||
	    opt_flag(job->o, OPT_ID_DRY_RUN))
		return -1;
	say_warning("what would change is not known: %s", e->text);
	*e = ERR_INIT;
	return 0;
}

static int refuse_destructive(const struct schema_job *job, const struct migration_check *c, struct err *e)
{
	if (c->destructive == 0 || opt_flag(job->o, OPT_ID_ALLOW_DESTRUCTIVE))
		return 0;
	err_set(e, ERR_REFUSED, "%d of these changes would lose rows, or fail on those that are there",
		c->destructive);
	return err_hint(e, "Look at the table above; then --allow-destructive, with a backup or a branch at "
			   "hand. Nothing was applied.");
}

static json_t *check_json(const struct migration_check *c)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:O?, s:O?, s:O?}", "pending", c->n_pending,
			 "half_rolled_back", c->n_half, "safe", c->safe, "review", c->review,
			 "destructive", c->destructive, "changes", c->changes, "locks", c->locks,
			 "skipped", c->skipped);
}

/* Another runner applied migrations while ours were tried: what failed may be its work. */
static bool was_overtaken(const struct schema_job *job, struct pg *pg, const struct history *before)
{
	AUTO(history) struct history *now = NULL;
	struct err ignored = ERR_INIT;

	return history_read(&now, pg, opt_text(job->o, OPT_ID_HISTORY_TABLE), &ignored) == 0 &&
	       now->n != before->n;
}

/* 1: try again, another runner was there; 0; -1. */
static int try_pending(struct schema_job *job, struct migration_check *ret, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	AUTO(history) struct history *h = NULL;
	AUTO_MIGRATION_PLAN struct migration_plan p = { 0 };
	const char *to = opt_text(job->o, OPT_ID_TO);

	if (schema_open(&pg, job, e) ||
	    history_read(&h, pg, opt_text(job->o, OPT_ID_HISTORY_TABLE), e) ||
	    migration_plan_make(&p, job->folder, h, e) ||
	    (to && migration_plan_check_version(&p, to, e)) ||
	    (!schema_is_forced(job->o) && migration_refuse_changed(&p, e)))
		return -1;
	if (run_check(job, &p, h, ret, e) == 0)
		return 0;
	return was_overtaken(job, pg, h) ? 1 : -1;
}

/* 0: go on; 1: there is nothing more to do. */
static int check(struct schema_job *job, struct err *e)
{
	AUTO_MIGRATION_CHECK struct migration_check c = { 0 };
	int again = 1;

	for (int attempt = 0; again > 0 && attempt < CHECK_ATTEMPTS; attempt++) {
		*e = ERR_INIT;
		again = try_pending(job, &c, e);
	}
	if (again)
		return -1;
	show_check(job, &c);
	job->result = check_json(&c);
	if (opt_flag(job->o, OPT_ID_DRY_RUN)) {
		text_addf(&job->summary, "%d pending: %d safe, %d to review, %d destructive", c.n_pending, c.safe,
			  c.review, c.destructive);
		job->status = c.destructive ? EXIT_DIFFERENT : EXIT_DONE;
		return 1;
	}
	if (refuse_destructive(job, &c, e))
		return -1;
	if (c.n_pending && !say_ask(job->o, e, "Apply %d migration%s to %s?", c.n_pending,
				    c.n_pending == 1 ? "" : "s", conn_label(job->target)))
		return -1;
	return 0;
}

/* --- the change --- */

static int change(struct schema_job *job, struct migration_session *s, struct err *e)
{
	static const char *const columns[] = { "version", "ms", "description", NULL };
	struct migration_apply_options options = {
		.history_table = opt_text(job->o, OPT_ID_HISTORY_TABLE),
		.force = schema_is_forced(job->o),
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
	json_int_t half = json_integer_value(json_object_get(job->result, "half_rolled_back"));
	if (!failed && half)
		text_addf(&job->summary,
			  ", %lld half rolled back: `neonferry schema rollback` goes on",
			  (long long)half);
	json_object_set_new(job->result, "applied", applied);
	return failed;
}

static int apply(struct schema_job *job, struct err *e)
{
	if (opt_flag(job->o, OPT_ID_LOCKS))
		return show_locks(job, e);
	if (!opt_flag(job->o, OPT_ID_DRY_RUN) && check_gate(job, e))
		return -1;
	int done = check(job, e);
	if (done)
		return done < 0 ? -1 : 0;
	return schema_change(job, change, e);
}

int cmd_schema_apply(const struct opts *o)
{
	return schema_job_run(o, "schema apply", SCHEMA_NEEDS_FOLDER | SCHEMA_NEEDS_TARGET, apply);
}
