#include "cli/cmd_schema.h"

#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "cli/tell.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

/* --- which database --- */

enum { ENV_DEV, ENV_TEST, ENV_PROD };

static const char *const env_variables[][2] = {
	[ENV_DEV] = { "DATABASE_URL_DEV", NULL },
	[ENV_TEST] = { "DATABASE_URL_TEST", NULL },
	[ENV_PROD] = { "DATABASE_URL_UNPOOLED", "DATABASE_URL" },
};

/* NEONFERRY_ENV names a default; a target on the command line wins over it. */
bool schema_has_env(const struct opts *o)
{
	return opt_given(o, OPT_ID_ENV) &&
	       (o->values[OPT_ID_ENV].origin == OPT_FROM_LINE || !opt_given(o, OPT_ID_TARGET));
}

bool schema_is_env(const struct opts *o, int env)
{
	return schema_has_env(o) && (int)opt_number(o, OPT_ID_ENV) == env;
}

/* Says who it is; a pooler's address becomes the direct one. */
static int take(struct conn **ret, struct conn *given, const char *origin, struct err *e)
{
	AUTO(conn) struct conn *c = given;

	if (conn_is_pooled(c)) {
		say_note("%s is a pooler; the direct endpoint is used instead", conn_host(c));
		if (conn_unpool(&c, e))
			return -1;
	}
	say_note("database: %s (from %s)", conn_label(c), origin);
	*ret = GIVE(&c);
	return 0;
}

int schema_env_target(struct conn **ret, int env, struct err *e)
{
	struct conn *c = NULL;

	for (int i = 0; i < 2 && env_variables[env][i]; i++) {
		const char *name = env_variables[env][i], *uri = getenv(name);
		if (!uri || !*uri)
			continue;
		if (conn_parse(&c, PG_TARGET, uri, e))
			return err_note(e, "reading %s", name);
		return take(ret, c, name, e);
	}
	err_set(e, ERR_USAGE, "%s is not set", env_variables[env][0]);
	return err_hint(e, "Set it to the direct connection string of that database.");
}

int schema_target(struct conn **ret, const struct opts *o, bool optional, struct err *e)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };

	if (schema_has_env(o) && opt_given(o, OPT_ID_TARGET))
		return err_set(e, ERR_USAGE, "--env and --target exclude each other");
	if (schema_has_env(o))
		return schema_env_target(ret, (int)opt_number(o, OPT_ID_ENV), e);
	if (endpoints_find(&ends, o, ENDPOINT_NONE, optional ? ENDPOINT_OPTIONAL : ENDPOINT_NEEDED, e))
		return -1;
	*ret = GIVE(&ends.target);
	return 0;
}

int schema_open(struct pg **ret, struct schema_job *job, struct err *e)
{
	return pg_open(ret, job->target, "schema", &job->stop, e);
}

/* --- events --- */

static void show_event(UNUSED void *ctx, enum event_level level, const char *name, const char *sentence,
		       UNUSED const json_t *facts)
{
	static uint64_t last_round;

	if (strcmp(name, "schema.round") == 0 && clock_ms() - last_round < 1000)
		return;
	if (strcmp(name, "schema.round") == 0)
		last_round = clock_ms();
	if (level == EVENT_WARNING)
		say_warning("%s", sentence);
	else if (level != EVENT_DEBUG)
		say_note("%s", sentence);
}

/* --- a command from beginning to end --- */

static int prepare(struct schema_job *job, int needs, struct err *e)
{
	const struct opts *o = job->o;

	if (events_open(&job->events, NULL, show_event, NULL, e))
		return -1;
	if ((needs & SCHEMA_NEEDS_FOLDER) && migration_folder_read(&job->folder, opt_text(o, OPT_ID_DIR), e))
		return -1;
	if (needs & (SCHEMA_NEEDS_TARGET | SCHEMA_MAY_TARGET))
		return schema_target(&job->target, o, !(needs & SCHEMA_NEEDS_TARGET), e);
	return 0;
}

static void tell(const struct schema_job *job, const struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_addf(&t, "neonferry %s, %s", job->what, job->target ? conn_label(job->target) : "");
	text_addf(&t, ": %s%s", e ? "failed: " : "", e ? e->text : text_str(&job->summary));
	tell_post(job->o, text_str(&t));
}

static void done(struct schema_job *job)
{
	events_close(job->events);
	migration_folder_free(job->folder);
	conn_free(job->target);
	json_decref(job->result);
	text_done(&job->summary);
	stop_done(&job->stop);
}

int schema_job_run(const struct opts *o, const char *what, int needs, schema_call *call)
{
	struct schema_job job = { .o = o, .what = what, .summary = TEXT_INIT };
	struct err e = ERR_INIT;

	if (stop_init(&job.stop, &e)) {
		say_error(&e);
		return EXIT_INTERNAL;
	}
	signals_aim(&job.stop, NULL);
	int failed = prepare(&job, needs, &e) || call(&job, &e);
	signals_aim(NULL, NULL);
	if (failed)
		say_error(&e);
	if (job.result)
		say_json(job.result, false);
	if (!failed && job.summary.len)
		say_out("%s\n", text_str(&job.summary));
	tell(&job, failed ? &e : NULL);
	int status = failed ? (int)exit_of_error(&e, job.written) : (int)job.status;
	done(&job);
	return status;
}

void schema_show(UNUSED const struct schema_job *job, const char *title, const json_t *list,
		 const char *const *keys)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	AUTO_TEXT struct text clean = TEXT_INIT;

	if (say_is_quiet() || json_array_size(list) == 0)
		return;
	if (title)
		text_addf(&t, "%s\n", title);
	show_table(&t, list, keys, 2, 0);
	say_add_clean(&clean, text_str(&t));
	say_out("%s", text_str(&clean));
}

int cmd_schema(UNUSED const struct opts *o)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_USAGE, "which schema command?");
	err_hint(&e, "status, apply, verify, compare, rollback VERSION, export or lint; `neonferry schema "
		     "apply --help` shows everything about one.");
	say_error(&e);
	return EXIT_USAGE;
}
