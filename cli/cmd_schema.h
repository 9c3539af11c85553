/*
 * cmd_schema - what the schema commands share: the database by option or environment, the folder,
 * events, notification, exit status.
 */
#ifndef CLI_CMD_SCHEMA_H
#define CLI_CMD_SCHEMA_H

#include "cli/exit.h"
#include "cli/opt.h"
#include "common/conn.h"
#include "common/event.h"
#include "schema/migration_plan.h"

struct schema_job {
	const struct opts *o;
	const char *what; /* "schema apply" */
	struct stop stop;
	struct events *events;
	struct conn *target;
	struct migration_folder *folder;
	json_t *result;	 /* shown with --json, or NULL */
	bool written;	 /* the target was changed */
	enum exit_status status; /* where the call succeeds */
	struct text summary; /* one line for people, and for --notify */
};

typedef int schema_call(struct schema_job *job, struct err *e);

enum schema_needs { SCHEMA_NEEDS_TARGET = 1, SCHEMA_NEEDS_FOLDER = 2, SCHEMA_MAY_TARGET = 4 };

/* Prepares what is needed, calls, prints the result or the error, notifies. The exit status. */
int schema_job_run(const struct opts *o, const char *what, int needs, schema_call *call);

/* A table of result[key] for people: these keys. Nothing where the list is empty. */
void schema_show(const struct schema_job *job, const char *title, const json_t *list,
		 const char *const *keys);

/* The database that --env, --target or the environment names; NULL where may be none and is none. */
int schema_target(struct conn **ret, const struct opts *o, bool optional, struct err *e) MUST_CHECK;
/* The database of an environment: 0 dev, 1 test, 2 prod. ERR_USAGE naming the variable. */
int schema_env_target(struct conn **ret, int env, struct err *e) MUST_CHECK;
/* --env, or NEONFERRY_ENV where no target is named on the command line. */
bool schema_has_env(const struct opts *o);
bool schema_is_env(const struct opts *o, int env);

/* Opens a session that looks. */
int schema_open(struct pg **ret, struct schema_job *job, struct err *e) MUST_CHECK;

#endif
