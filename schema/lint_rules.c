#include "schema/lint.h"

/* What a role of Neon's may not do, or what Neon does otherwise. */
const struct lint_rule lint_neon_rules[] = {
	{ LINT_ERROR, "create tablespace", "Neon has no tablespaces" },
	{ LINT_ERROR, "alter system", "server settings are Neon's; set them by role, database or session" },
	{ LINT_ERROR, "set session_replication_role", "no role of Neon may set session_replication_role: load "
						      "tables before their foreign keys are made" },
	{ LINT_ERROR, "set local session_replication_role", "no role of Neon may set session_replication_role" },
	{ LINT_ERROR, "alter table ... disable trigger all", "the triggers of foreign keys are the system's: "
							     "DISABLE TRIGGER USER works" },
	{ LINT_ERROR, "load", "a library needs a superuser to be loaded" },
	{ LINT_ERROR, "create function ... language c", "functions in C need a superuser" },
	{ LINT_ERROR, "create or replace function ... language c", "functions in C need a superuser" },
	{ LINT_ERROR, "create language", "only trusted languages that are extensions" },
	{ LINT_ERROR, "create access method", "needs a superuser" },
	{ LINT_ERROR, "alter default privileges for role cloud_admin", "cloud_admin is Neon's own" },
	{ LINT_WARNING, "create unlogged table", "a restart of the compute, which is routine, empties it" },
	{ LINT_WARNING, "alter table ... set unlogged", "a restart of the compute, which is routine, empties it" },
	{ LINT_WARNING, "alter ... owner to", "works only for a role that is a member of the new owner" },
	{ LINT_WARNING, "create role", "roles are the project's; a password must be plain text and strong "
				       "(no hash), and the statement needs Neon's control plane to answer" },
	{ LINT_WARNING, "create user", "roles are the project's; a password must be plain text and strong "
				       "(no hash), and the statement needs Neon's control plane to answer" },
	{ LINT_WARNING, "create database", "a new database of the branch: not what a migration is for" },
	{ LINT_WARNING, "select lo_import", "large objects are not supported by Neon's documentation" },
	{ LINT_NOTE, "create event trigger", "allowed since 2025; an import assistant refuses such databases" },
	{ LINT_NOTE, "create publication", "needs logical replication, which cannot be turned off again" },
	{ LINT_NOTE, "create subscription", "needs a direct connection that Neon can reach" },
	{ LINT_NOTE, "listen", "not through the pooled address" },
	{ LINT_NOTE, "vacuum full", "writes the whole table anew, and all of it to the log" },
	{ LINT_NOTE, "cluster", "writes the whole table anew, and all of it to the log" },
};
const size_t lint_n_neon_rules = sizeof(lint_neon_rules) / sizeof(lint_neon_rules[0]);
