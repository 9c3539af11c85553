#include "schema/restore_point.h"

#include "common/clock.h"
#include "common/program.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *get(const json_t *point, const char *key)
{
	return json_string_value(json_object_get(point, key));
}

static void keep(json_t *point, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(point, key, json_string(value));
}

/* How to go back, as one types it. */
static void add_way_back(json_t *point)
{
	const char *project = get(point, "project"), *branch = get(point, "branch");
	const char *copy = get(point, "backup_branch_id");
	AUTO_TEXT struct text t = TEXT_INIT;

	if (!project || !branch)
		return;
	text_addf(&t, "neonctl branches restore %s ", branch);
	if (copy)
		text_add(&t, copy);
	else
		text_addf(&t, "^self@%s", get(point, "lsn"));
	text_addf(&t, " --project-id %s --preserve-under-name before-restore", project);
	keep(point, "go_back", text_str(&t));
}

int restore_point_read(json_t **ret, struct pg *pg, const struct conn *target, struct err *e)
{
	static const char sql[] =
		"SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN "
		"pg_catalog.pg_current_wal_flush_lsn() END, pg_catalog.current_setting('neon.project_id', true), "
		"pg_catalog.current_setting('neon.branch_id', true)";
	AUTO(pgresult) PGresult *res = NULL;
	char at[CLOCK_ISO_LEN];

	if (pg_query(pg, sql, &res, e))
		return err_note(e, "asking for the target's position in its log");
	if (PQgetisnull(res, 0, 0)) {
		err_set(e, ERR_REFUSED, "target: this server is a standby, which has no position of its own");
		return err_hint(e, "name the primary with --target");
	}
	clock_iso(at);
	json_t *point = json_pack("{s:s, s:s, s:s}", "lsn", PQgetvalue(res, 0, 0), "at", at, "target",
				  conn_label(target));
	if (!point)
		return err_nomem(e);
	keep(point, "project", PQgetvalue(res, 0, 1));
	if (!get(point, "project"))
		keep(point, "project", getenv("NEON_PROJECT_ID"));
	keep(point, "branch", PQgetvalue(res, 0, 2));
	add_way_back(point);
	*ret = point;
	return 0;
}

bool restore_point_may_branch(const json_t *point)
{
	const char *key = getenv("NEON_API_KEY");

	return key && *key && get(point, "project");
}

/* What neonctl answered: {"branch": {"id": ..., "name": ...}}. */
static int take_answer(json_t *point, const struct text *answer, struct err *e)
{
	json_t *j = json_loads(text_str(answer), 0, NULL);
	const json_t *branch = json_object_get(j, "branch");
	const char *id = get(branch, "id");
	int failed = 0;

	if (id)
		keep(point, "backup_branch_id", id);
	else
		failed = err_set(e, ERR_TARGET, "neonctl did not answer with the id of a branch");
	json_decref(j);
	return failed;
}

int restore_point_branch(json_t *point, struct stop *stop, struct err *e)
{
	AUTO_TEXT struct text answer = TEXT_INIT;
	const char *parent = get(point, "branch");
	time_t now = time(NULL);
	struct tm tm;
	char name[64];

	strftime(name, sizeof(name), "before-neonferry-%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	const char *const argv[] = { "neonctl", "branches", "create", "--project-id", get(point, "project"),
				     "--name", name, "--no-compute", "--output", "json", "--no-analytics",
				     parent ? "--parent" : NULL, parent, NULL };
	struct program p = { .argv = argv, .blame = ERR_TARGET, .stop = stop };
	if (program_run(&p, &answer, e)) {
		if (e->kind == ERR_USAGE)
			err_hint(e, "install it (npm install -g neonctl), or unset NEON_API_KEY to do without a branch");
		return err_note(e, "making a branch");
	}
	keep(point, "backup_branch", name);
	if (take_answer(point, &answer, e))
		return -1;
	add_way_back(point);
	return 0;
}
