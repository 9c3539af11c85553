/*
 * command - the commands of the program: one table.
 *
 * A new command is a row in command.c, a bit here, a file cmd_<name>.c, and the bit in the rows of
 * cli/opt_table.c whose options it takes. Help, man page and docs/reference/options.md follow.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/opt.h"

enum command_id {
	COMMAND_RUN, COMMAND_CHECK, COMMAND_PLAN, COMMAND_COPY, COMMAND_RESUME, COMMAND_STATUS,
	COMMAND_ABORT, COMMAND_FORGET, COMMAND_VERIFY, COMMAND_REPORT, COMMAND_SCHEMA, COMMAND_SCHEMA_STATUS,
	COMMAND_SCHEMA_APPLY, COMMAND_SCHEMA_VERIFY, COMMAND_SCHEMA_COMPARE, COMMAND_SCHEMA_ROLLBACK,
	COMMAND_SCHEMA_EXPORT, COMMAND_SCHEMA_LINT, COMMAND_BACKUP, COMMAND_RESTORE_POINT, COMMAND_HELP, COMMAND_VERSION,
	COMMAND_N,
};

struct command {
	const char *name;
	const char *args;	  /* shown after the name: "[RUN]", or "" */
	int max_args;
	const char *summary;	  /* one line, no full stop */
	const char *about;	  /* paragraphs, separated by an empty line */
	const char *examples;	  /* lines, or NULL */
	int (*call)(const struct opts *o); /* returns the exit status; prints its own errors */
};

extern const struct command command_table[COMMAND_N];

/* NULL where there is no such command. */
const struct command *command_find(const char *name);
/* A command with a name like this one, or NULL. */
const struct command *command_nearest(const char *name);

static inline enum command_id command_id(const struct command *c)
{
	return (enum command_id)(c - command_table);
}

static inline opt_commands command_bit(const struct command *c)
{
	return (opt_commands)1 << (c - command_table);
}

int cmd_run(const struct opts *o);
int cmd_check(const struct opts *o);
int cmd_plan(const struct opts *o);
int cmd_copy(const struct opts *o);
int cmd_resume(const struct opts *o);
int cmd_status(const struct opts *o);
int cmd_abort(const struct opts *o);
int cmd_forget(const struct opts *o);
int cmd_verify(const struct opts *o);
int cmd_report(const struct opts *o);
int cmd_schema(const struct opts *o);
int cmd_schema_status(const struct opts *o);
int cmd_schema_apply(const struct opts *o);
int cmd_schema_verify(const struct opts *o);
int cmd_schema_compare(const struct opts *o);
int cmd_schema_rollback(const struct opts *o);
int cmd_schema_export(const struct opts *o);
int cmd_schema_lint(const struct opts *o);
int cmd_backup(const struct opts *o);
int cmd_restore_point(const struct opts *o);
int cmd_help(const struct opts *o);
int cmd_version(const struct opts *o);

#endif
