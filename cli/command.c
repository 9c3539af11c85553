#include "cli/command.h"

#include <string.h>

const struct command command_table[COMMAND_N] = {
	[COMMAND_RUN] = {
		.name = "run", .args = "", .call = cmd_run,
		.summary = "move a database: schema, rows, indexes, proof",
		.about =
			"Copies a PostgreSQL database into another one, such as Neon: definitions, rows of "
			"one single snapshot, indexes and constraints, sequence values; then proves, table "
			"by table, that the target holds exactly the rows that were read.\n\n"
			"Everything needed to go on after an interruption is kept in the run folder and in "
			"the schema \"neonferry\" of the target. The same command with the same --run-dir, "
			"or `neonferry resume`, goes on where it stopped.\n\n"
			"Ctrl-C stops in order (15 seconds at most), twice stops at once. Nothing is lost.",
		.examples =
			"neonferry run --source postgresql:///chat_pgvector --target \"$NEON_DATABASE_URL\"\n"
			"neonferry run --table vector_documents --collection guides\n"
			"neonferry run --run-dir /data/move-1 --spill-limit 200G",
	},
	[COMMAND_CHECK] = {
		.name = "check", .args = "", .call = cmd_check,
		.summary = "connect both ends and look for what would stop a run",
		.about =
			"Connects to both ends and looks at what a run needs: versions, TLS, a pooler in "
			"between (known by -pooler in its host name), extensions, rights, programs, and "
			"whether both ends are the same database. "
			"Writes nothing. Exit status 3 if something would stop a run.",
		.examples = "neonferry check --source postgresql:///chat_pgvector",
	},
	[COMMAND_PLAN] = {
		.name = "plan", .args = "[RUN]", .max_args = 1, .call = cmd_plan,
		.summary = "show what a run would do",
		.about =
			"Lists the tables and collections that a run would move, their sizes and formats, "
			"why a table cannot travel in binary, and what would be refused. Writes nothing.\n\n"
			"With RUN, shows the plan that this run follows; no server is asked.",
		.examples = "neonferry plan --source postgresql:///chat_pgvector",
	},
	[COMMAND_COPY] = {
		.name = "copy", .args = "", .call = cmd_copy,
		.summary = "copy rows only, into tables that exist",
		.about =
			"Copies rows into tables that the target already has. No definitions, no sequences, "
			"no index phase, no proof: a part of `neonferry run` for those who do the rest "
			"themselves. `neonferry verify` compares afterwards.",
		.examples = "neonferry copy --table vector_documents --spill none",
	},
	[COMMAND_RESUME] = {
		.name = "resume", .args = "[RUN]", .max_args = 1, .call = cmd_resume,
		.summary = "go on with a run that stopped",
		.about =
			"RUN is a run folder, or the name of one in ./neonferry-runs; without it, the one "
			"run there that has not finished. The run folder remembers both ends, but no "
			"password: give it as for `neonferry run` (--source, --target or the environment), "
			"or by ~/.pgpass or PGPASSWORD. The source is not needed once it was read completely.",
		.examples = "neonferry resume\n"
			    "neonferry resume 20261121-101500-4f2a",
	},
	[COMMAND_STATUS] = {
		.name = "status", .args = "[RUN]", .max_args = 1, .call = cmd_status,
		.summary = "show how far a run is",
		.about =
			"Reads the run folder; no server is asked. RUN is a run folder, or the name of one "
			"in ./neonferry-runs; without it, the newest.",
		.examples = "neonferry status --json",
	},
	[COMMAND_ABORT] = {
		.name = "abort", .args = "[RUN]", .max_args = 1, .call = cmd_abort,
		.summary = "give a run up and remove what it wrote",
		.about =
			"Lists what the run put into the target, asks, and removes it: the run's own rows, "
			"by chunk, the objects it created, its records. Rows that were there before stay. "
			"The snapshot of the source is released.",
		.examples = "neonferry abort --keep-data",
	},
	[COMMAND_FORGET] = {
		.name = "forget", .args = "[RUN]", .max_args = 1, .call = cmd_forget,
		.summary = "remove the records of a finished run",
		.about =
			"Removes what neonferry recorded about a finished run: its rows in the schema "
			"\"neonferry\" of the target (the schema itself with the last run) and the run "
			"folder, its report included: copy report/ and summary.json elsewhere first where "
			"somebody may ask for them. The moved data stays. A run that is not finished is "
			"refused: `neonferry abort --keep-data` ends one and leaves its rows.",
		.examples = "neonferry forget 20261121-101500-4f2a",
	},
	[COMMAND_VERIFY] = {
		.name = "verify", .args = "", .call = cmd_verify,
		.summary = "compare two databases, whatever moved the data",
		.about =
			"Looks at definitions, sequences and settings; counts the rows of every table and "
			"collection; counts embeddings; computes a digest of every row's content in each "
			"server, and where two differ finds the rows and columns; compares searches: exact "
			"neighbours, recall of the indexes, search functions, latency. Only sums, counts and "
			"keys cross the network. Needs no run. Both ends should be quiet meanwhile; where they "
			"are not, --against snapshot looks at differing rows again.\n\n"
			"Nothing is written unless --repair is given: then the source's rows go over those "
			"that differ, after a question, and everything is compared again.\n\n"
			"The verdict is PASS, PASS WITH EXCEPTIONS, FAIL (exit status 7) or INCONCLUSIVE (8): "
			"what could not be looked at never passes.",
		.examples = "neonferry verify --report report\n"
			    "neonferry verify --table vector_documents --level digest\n"
			    "neonferry verify --against snapshot --recheck-rounds 10 --recheck-wait 5s\n"
			    "neonferry verify --repair --report report\n"
			    "neonferry verify --against-run 20261121-101500-4f2a --report report",
	},
	[COMMAND_REPORT] = {
		.name = "report", .args = "REPORT", .max_args = 1, .call = cmd_report,
		.summary = "render the report of a verification again",
		.about =
			"REPORT is a folder that `neonferry verify --report` wrote, or a run whose folder holds "
			"report/. Makes HTML, JUnit XML and Markdown anew from report.json; asks no server. "
			"The exit status is 0 whatever the verdict: `neonferry verify` gave that.",
		.examples = "neonferry report report --report /tmp/for-the-auditor",
	},
	[COMMAND_SCHEMA] = {
		.name = "schema", .args = "COMMAND", .call = cmd_schema,
		.summary = "migrations: status, apply, verify, compare, rollback, export, lint",
		.about =
			"Applies folders of SQL migrations and keeps the history of what was applied, in the "
			"table schema_migrations of the database. `neonferry help schema apply` and the like "
			"show each command.",
		.examples = "neonferry schema status --dir migrations",
	},
	[COMMAND_SCHEMA_STATUS] = {
		.name = "schema status", .args = "", .call = cmd_schema_status,
		.summary = "which migrations are applied, when, how long they took",
		.about =
			"Shows every migration of the folder and of the history: applied, pending, changed since, "
			"out of order, unfinished, missing; and the histories that other tools keep in the same "
			"database. Writes nothing.",
		.examples = "neonferry schema status --env prod",
	},
	[COMMAND_SCHEMA_APPLY] = {
		.name = "schema apply", .args = "", .call = cmd_schema_apply,
		.summary = "apply what is pending, each migration checked and verified",
		.about =
			"First runs the pending migrations in a scratch database that has the target's schema "
			"without its rows, compares the catalog before and after, asks the target by read-only "
			"queries what that would do to its rows, and shows it as a table: safe, review, "
			"destructive. Destructive changes need --allow-destructive.\n\n"
			"Then applies them one after the other, each in one transaction with its row of the "
			"history; statements that cannot run in a transaction, and batches, step by step. What "
			"was interrupted goes on with the next call. --dry-run ends after the table.",
		.examples = "neonferry schema apply --dry-run\n"
			    "neonferry schema apply --env prod --yes --notify \"$SLACK_WEBHOOK\"",
	},
	[COMMAND_SCHEMA_VERIFY] = {
		.name = "schema verify", .args = "", .call = cmd_schema_verify,
		.summary = "is everything there that the applied migrations made",
		.about =
			"Applies the migrations that the history names to a scratch database and looks for every "
			"object in the target: tables, columns, defaults, keys, constraints (validated), indexes "
			"(valid, with operator class and parameters), functions, triggers, rules, policies, "
			"extensions and their versions, and the rows that migrations put in. What the target has besides is "
			"not looked at. Exit status 7 if something differs.",
		.examples = "neonferry schema verify --env test",
	},
	[COMMAND_SCHEMA_COMPARE] = {
		.name = "schema compare", .args = "", .call = cmd_schema_compare,
		.summary = "compare the schema with the migrations, or with another database",
		.about =
			"Compares catalogs both ways: the target with the migrations of the folder, applied to a "
			"scratch database, or with the database that --source names. Exit status 7 if they "
			"differ.",
		.examples = "neonferry schema compare\n"
			    "neonferry schema compare --source \"$DATABASE_URL_DEV\" --target \"$DATABASE_URL_TEST\"",
	},
	[COMMAND_SCHEMA_ROLLBACK] = {
		.name = "schema rollback", .args = "VERSION", .max_args = 1, .call = cmd_schema_rollback,
		.summary = "undo migrations, newest first, back to a version",
		.about =
			"Lists what will be undone, asks, and runs the down scripts newest first, each in one "
			"transaction with its row of the history. VERSION stays applied; 0 undoes everything. A "
			"missing down script stops before anything runs.",
		.examples = "neonferry schema rollback 2",
	},
	[COMMAND_SCHEMA_EXPORT] = {
		.name = "schema export", .args = "", .call = cmd_schema_export,
		.summary = "write the schema into a dated SQL file",
		.about =
			"Writes the schema without rows, as pg_dump orders it, into "
			"schema_export_<date>_<time>.sql or --output. Two exports of the same schema are the "
			"same bytes.",
		.examples = "neonferry schema export --env prod",
	},
	[COMMAND_SCHEMA_LINT] = {
		.name = "schema lint", .args = "", .call = cmd_schema_lint,
		.summary = "look at migration files: names, order, syntax, what Neon cannot do",
		.about =
			"Checks the folder without changing anything: names, order and gaps, missing down "
			"scripts, statements that do not work on Neon and why. Where a target is named, its "
			"parser judges the syntax of every statement; nothing is executed. Exit status 7 if "
			"something must be mended.",
		.examples = "neonferry schema lint --dir migrations",
	},
	[COMMAND_BACKUP] = {
		.name = "backup", .args = "", .call = cmd_backup,
		.summary = "dump the source into a file, and prove that it can be read",
		.about =
			"Runs pg_dump over the whole source into one compressed file (custom format), then "
			"pg_restore, which lists it and unpacks every block of it. Only then the file gets its "
			"name. What it is (size, SHA-256, entries, server, time) stands beside it in FILE.json; "
			"with --run-dir also in the run folder, where the run's summary takes it from. A backup "
			"never replaces a file.\n\n"
			"`pg_restore --clean --if-exists --no-owner -d URI FILE` brings it back.",
		.examples = "neonferry backup --source postgresql:///chat_pgvector\n"
			    "neonferry backup --run-dir /data/move-1 --output /data/before-the-move.dump",
	},
	[COMMAND_RESTORE_POINT] = {
		.name = "restore-point", .args = "", .call = cmd_restore_point,
		.summary = "record where the target can be set back to",
		.about =
			"Records the target's position in its log (LSN), and how to go back to it. Where the "
			"target is on Neon and NEON_API_KEY is set, the program neonctl also makes a branch "
			"without compute, which keeps that state beyond the restore window. With --run-dir it "
			"stands in the run folder, where the run's summary takes it from. Changes nothing in the "
			"database. Every run records the position by itself before its first write.",
		.examples = "neonferry restore-point --target \"$NEON_DATABASE_URL\"\n"
			    "neonferry restore-point --run-dir /data/move-1",
	},
	[COMMAND_HELP] = {
		.name = "help", .args = "[COMMAND]", .max_args = 2, .call = cmd_help,
		.summary = "show help",
		.about = "Shows the commands, or everything about one command.",
		.examples = "neonferry help run\n"
			    "neonferry help --man | man -l -",
	},
	[COMMAND_VERSION] = {
		.name = "version", .args = "", .call = cmd_version,
		.summary = "show the version",
		.about = "Shows the version of the program and of the libraries it runs with.",
		.examples = NULL,
	},
};

const struct command *command_find(const char *name)
{
	for (int i = 0; i < COMMAND_N; i++)
		if (strcmp(command_table[i].name, name) == 0)
			return &command_table[i];
	return NULL;
}

static const char *name_at(UNUSED const void *ctx, int i)
{
	return i < COMMAND_N ? command_table[i].name : NULL;
}

const struct command *command_nearest(const char *name)
{
	const char *found = opt_nearest(name, name_at, NULL);

	return found ? command_find(found) : NULL;
}
