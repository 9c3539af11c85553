#include "cli/manual.h"

#include "cli/exit.h"
#include "cli/help.h"
#include "cli/say.h"
#include "common/pgerr.h"

#include <string.h>

#define GENERATED "<!-- Made by scripts/gen-docs from the program's own tables. -->\n"

/* --- Markdown --- */

/* Text in a table cell: a bar would end it; angle brackets would be HTML. */
static void add_cell(struct text *t, const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			text_add(t, "\\|");
		else if (*s == '<')
			text_add(t, "&lt;");
		else
			text_addn(t, s, 1);
	}
}

static void markdown_option(struct text *t, const struct opt_spec *spec)
{
	AUTO_TEXT struct text range = TEXT_INIT;

	text_add(t, "### `");
	help_option_head(t, spec);
	text_add(t, "`\n\n");
	help_wrap(t, spec->help, 0, 0, 100);
	text_add(t, "\n- commands:");
	for (int i = 0; i < COMMAND_N; i++)
		if (spec->commands & command_bit(&command_table[i]))
			text_addf(t, " %s", command_table[i].name);
	text_add(t, "\n");
	help_range(&range, spec);
	if (range.len)
		text_addf(t, "- values: %s\n", text_str(&range));
	if (spec->type == OPT_LIST)
		text_add(t, "- may be given several times\n");
	if (help_default(spec))
		text_addf(t, "- default: %s\n", help_default(spec));
	if (help_environment(spec))
		text_addf(t, "- environment: %s\n", help_environment(spec));
	text_add(t, "\n");
}

static void markdown_command(struct text *t, const struct command *c)
{
	text_addf(t, "## neonferry %s%s%s\n\n", c->name, *c->args ? " " : "", c->args);
	text_addf(t, "%s\n\n", c->about);
	if (c->examples)
		text_addf(t, "```\n%s\n```\n\n", c->examples);
	text_add(t, "Options:");
	for (int id = 0; id < OPT_N; id++)
		if (opt_table[id].commands & command_bit(c))
			text_addf(t, " `--%s`", opt_table[id].name);
	text_add(t, "\n\n");
}

void manual_options(void)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t, GENERATED
		 "# Commands and options\n\nOptions stand after the command, as "
		 "`--name value` or `--name=value`. The command line wins over the environment, "
		 "the environment over the default.\n\n");
	for (int i = 0; i < COMMAND_N; i++)
		markdown_command(&t, &command_table[i]);
	for (int group = 0; group < OPT_N_GROUPS; group++) {
		text_addf(&t, "## Options: %s\n\n", opt_group_names[group]);
		for (int id = 0; id < OPT_N; id++)
			if (opt_table[id].group == (enum opt_group)group)
				markdown_option(&t, &opt_table[id]);
	}
	say_out("%s", text_str(&t));
}

void manual_exit(void)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t, GENERATED "# Exit statuses\n\nThe numbers never change their meaning.\n\n"
			       "| status | meaning | what to do |\n|---|---|---|\n");
	for (int i = 0; i < EXIT_N; i++) {
		text_addf(&t, "| %d | ", i);
		add_cell(&t, exit_table[i].means);
		text_add(&t, " | ");
		add_cell(&t, exit_table[i].next);
		text_add(&t, " |\n");
	}
	text_add(
		&t,
		"\nA server that goes away while rows move is waited for; only when it stays away "
		"does the program end, with 4.\nAn error before anything was written is 3, whether "
		"it came from a server, the network or the disk, so that a script may simply try "
		"again; but wrong options are 2, Ctrl-C is 4, a refused resume 6.\n`copy` and "
		"`--schema-only` prove no rows: their 0 says that everything asked for is done.\n");
	say_out("%s", text_str(&t));
}

static void environment_row(struct text *t, const char *name, const char *means)
{
	text_addf(t, "| `%s` | ", name);
	add_cell(t, means);
	text_add(t, " |\n");
}

void manual_environment(void)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t, GENERATED "# Environment\n\n## The source: the first that is set\n\n"
			       "| variable | meaning |\n|---|---|\n");
	environment_row(&t, "SOURCE_DATABASE_URL", "connection string");
	environment_row(&t,
			"LOCAL_DB_USER, LOCAL_DB_NAME, LOCAL_DB_HOST, LOCAL_DB_PORT, "
			"LOCAL_DB_PASSWORD",
			"parts, where any of them is set");
	environment_row(&t,
			"POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER, POSTGRES_PORT, "
			"POSTGRES_PASSWORD",
			"parts, where host or database is set");
	environment_row(&t, "PGHOST, PGDATABASE, PGSERVICE",
			"as libpq reads them, where one is set");
	text_add(&t,
		 "\n## The target: the first that is set\n\n| variable | meaning |\n|---|---|\n");
	environment_row(&t, "NEON_DATABASE_URL", "connection string");
	environment_row(&t, "DATABASE_URL_UNPOOLED", "connection string of the direct endpoint");
	environment_row(&t, "DATABASE_URL", "only after a question on the terminal, or with --yes");
	text_add(&t,
		 "\nWhatever libpq reads holds for both: `PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE`, "
		 "`PGSSLROOTCERT`, a service file, `~/.pgpass`.\n\n## Options\n\n"
		 "| variable | option |\n|---|---|\n");
	for (int id = 0; id < OPT_N; id++)
		if (opt_table[id].env)
			text_addf(&t, "| `%s` | `--%s` |\n", opt_table[id].env, opt_table[id].name);
	text_add(&t, "\n## Secrets\n\n| variable | meaning |\n|---|---|\n");
	environment_row(&t, "NEONFERRY_SPILL_KEY",
			"32 bytes as 64 hexadecimal digits or in base64: what a run keeps of the rows "
			"on disk is encrypted with it; a resume needs the same key");
	environment_row(
		&t, "NEON_API_KEY",
		"`restore-point` makes a branch with it, by neonctl; the key is neonctl's to read");
	text_add(&t, "\n## Neon and migrations\n\n| variable | meaning |\n|---|---|\n");
	environment_row(&t, "NEON_PROJECT_ID",
			"the project of the target, where the target does not say it by itself");
	environment_row(&t, "DATABASE_URL_DEV, DATABASE_URL_TEST",
			"the databases of `schema ... --env dev` and `--env test`; of `--env prod` "
			"DATABASE_URL_UNPOOLED, else DATABASE_URL");
	environment_row(&t, "FORCE_MIGRATION",
			"\"true\" is `--force` of `schema apply` and `schema rollback`");
	environment_row(
		&t, "SSL_CERT_FILE",
		"the certificate authorities by which a Neon endpoint is verified, in place "
		"of the system's own file");
	text_add(&t, "\n## The terminal\n\n| variable | meaning |\n|---|---|\n");
	environment_row(&t, "NO_COLOR", "no colours, where it is not empty");
	environment_row(&t, "TERM", "\"dumb\" or nothing: plain lines instead of a live display");
	environment_row(&t, "LC_ALL, LC_CTYPE, LANG", "bars in Unicode where the locale is UTF-8");
	say_out("%s", text_str(&t));
}

/* What people meet first, each with an error as it comes; its meaning is the table's. */
static const struct {
	const char *symptom, *sqlstate, *message;
} usual_troubles[] = {
	{ "SSL required", "XX000", "connection is insecure (try using `sslmode=require`)" },
	{ "Connection timeout", "", "timeout expired" },
	{ "Too many connections", "53300", "remaining connection slots are reserved" },
	{ "Extension missing", "42704", "type \"public.vector\" does not exist" },
	{ "Extension not available", "0A000", "extension \"vector\" is not available" },
	{ "Permission denied", "42501", "permission denied for schema public" },
	{ "Dimension mismatch", "22000", "expected 1536 dimensions, not 3" },
	{ "Pool exhausted", "08P01", "query_wait_timeout" },
	{ "Project full", "53100", "could not extend file because project size limit" },
};

static void markdown_usual(struct text *t)
{
	text_add(t, "## The usual ones\n\n| trouble | what the server says | meaning | what you can do "
		    "|\n|---|---|---|---|\n");
	for (size_t i = 0; i < ARRAY_LEN(usual_troubles); i++) {
		const struct pgerr_rule *r =
			pgerr_find(usual_troubles[i].sqlstate, usual_troubles[i].message);

		text_addf(t, "| %s | ", usual_troubles[i].symptom);
		add_cell(t, usual_troubles[i].message);
		text_add(t, " | ");
		add_cell(t, r->means);
		text_add(t, " | ");
		add_cell(t, r->hint);
		text_add(t, " |\n");
	}
	text_add(t, "| Slow search | nothing: it is an answer that takes long | An index is missing or was "
		    "not used, the statistics are old, or the compute's cache is cold. | compare both ends "
		    "with `neonferry verify --level search`; see the index in EXPLAIN, run ANALYZE, raise "
		    "hnsw.ef_search only for recall, and give the compute memory for the index |\n\n");
}

void manual_errors(void)
{
	static const char *const next_words[] = { "stops", "tries again",
						  "asks the ledger, then tries again" };
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t, GENERATED "# Troubleshooting: what a server's error means\n\n");
	markdown_usual(&t);
	text_add(&t,
		 "## All that are known\n\nThe first row that fits counts: the SQLSTATE begins like this, "
		 "and the message holds this text. SQLSTATE 53100 has three meanings.\n\n"
		 "| SQLSTATE | text | meaning | neonferry | what you can do |\n"
		 "|---|---|---|---|---|\n");
	for (size_t i = 0; i < pgerr_n_rules; i++) {
		const struct pgerr_rule *r = &pgerr_rules[i];

		text_addf(&t, "| %s | ", r->sqlstate);
		add_cell(&t, r->text);
		text_add(&t, " | ");
		add_cell(&t, r->means);
		text_addf(&t, " | %s | ", next_words[r->next]);
		add_cell(&t, r->hint);
		text_add(&t, " |\n");
	}
	say_out("%s", text_str(&t));
}

/* --- the manual page --- */

/* A dash is a minus sign, a backslash and a dot at the start of a line would be commands. */
static void add_roff(struct text *t, const char *s)
{
	bool start = true;

	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			text_add(t, "\\&");
		if (*s == '-')
			text_add(t, "\\-");
		else if (*s == '\\')
			text_add(t, "\\e");
		else
			text_addn(t, s, 1);
		start = *s == '\n';
	}
}

/* Paragraphs are separated by an empty line, which roff wants as a request. */
static void add_roff_paragraphs(struct text *t, const char *s)
{
	const char *end;

	while ((end = strstr(s, "\n\n"))) {
		AUTO_TEXT struct text one = TEXT_INIT;
		text_addn(&one, s, (size_t)(end - s));
		add_roff(t, text_str(&one));
		text_add(t, "\n.PP\n");
		s = end + 2;
	}
	add_roff(t, s);
	text_add(t, "\n");
}

static void roff_option(struct text *t, const struct opt_spec *spec)
{
	AUTO_TEXT struct text range = TEXT_INIT;

	text_add(t, ".TP\n\\fB");
	add_roff(t, "--");
	add_roff(t, spec->name);
	text_add(t, "\\fR");
	if (spec->value)
		text_addf(t, " \\fI%s\\fR", spec->value);
	text_add(t, "\n");
	add_roff(t, spec->help);
	help_range(&range, spec);
	if (range.len) {
		text_add(t, " ");
		add_roff(t, text_str(&range));
		text_add(t, ".");
	}
	if (help_default(spec)) {
		text_add(t, " Default: ");
		add_roff(t, help_default(spec));
		text_add(t, ".");
	}
	if (help_environment(spec)) {
		text_add(t, " Environment: ");
		add_roff(t, help_environment(spec));
		text_add(t, ".");
	}
	text_add(t, "\n");
}

static void roff_commands(struct text *t)
{
	text_add(t, ".SH COMMANDS\n");
	for (int i = 0; i < COMMAND_N; i++) {
		const struct command *c = &command_table[i];
		text_addf(t, ".SS %s%s%s\n", c->name, *c->args ? " " : "", c->args);
		add_roff_paragraphs(t, c->about);
		text_add(t, ".PP\nOptions:");
		for (int id = 0; id < OPT_N; id++) {
			if (!(opt_table[id].commands & command_bit(c)))
				continue;
			text_add(t, " ");
			add_roff(t, "--");
			add_roff(t, opt_table[id].name);
		}
		text_add(t, "\n");
		if (c->examples) {
			text_add(t, ".PP\n.nf\n");
			add_roff(t, c->examples);
			text_add(t, "\n.fi\n");
		}
	}
}

void manual_man(void)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t,
		 ".TH NEONFERRY 1\n.SH NAME\nneonferry \\- move a PostgreSQL database with "
		 "pgvector to Neon\n.SH SYNOPSIS\n.B neonferry\n.I COMMAND\n[\\fIOPTION\\fR...]\n"
		 ".SH DESCRIPTION\nMoves a PostgreSQL database into another one, survives "
		 "interruptions on the way, and proves afterwards that what arrived is what was "
		 "sent.\n");
	roff_commands(&t);
	text_add(&t, ".SH OPTIONS\nOptions stand after the command, as \\-\\-name value or "
		     "\\-\\-name=value.\n");
	for (int group = 0; group < OPT_N_GROUPS; group++) {
		text_addf(&t, ".SS %s\n", opt_group_names[group]);
		for (int id = 0; id < OPT_N; id++)
			if (opt_table[id].group == (enum opt_group)group)
				roff_option(&t, &opt_table[id]);
	}
	text_add(&t, ".SH EXIT STATUS\n");
	for (int i = 0; i < EXIT_N; i++) {
		text_addf(&t, ".TP\n.B %d\n", i);
		add_roff(&t, exit_table[i].means);
		text_add(&t, "\n");
		add_roff(&t, exit_table[i].next);
		text_add(&t, "\n");
	}
	text_add(&t, ".SH SEE ALSO\n.BR psql (1),\n.BR pg_dump (1)\n");
	say_out("%s", text_str(&t));
}
