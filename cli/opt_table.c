#include "cli/command.h"

#define BIT(name) ((opt_commands)1 << COMMAND_##name)
#define MOVE (BIT(RUN) | BIT(COPY) | BIT(RESUME))	/* those that move rows */
#define BEGIN (BIT(RUN) | BIT(COPY) | BIT(PLAN))	/* those that decide what is moved */
#define ENDS (MOVE | BIT(PLAN) | BIT(CHECK) | BIT(VERIFY))
#define EVERY (((opt_commands)1 << COMMAND_N) - 1)

#define KB ((uint64_t)1 << 10)
#define MB ((uint64_t)1 << 20)
#define GB ((uint64_t)1 << 30)
#define TB ((uint64_t)1 << 40)
#define MINUTE ((uint64_t)60 * 1000)
#define DAY ((uint64_t)24 * 60 * MINUTE)

static const char *const existing_words[] = { "refuse", "truncate", "append", NULL };
static const char *const format_words[] = { "auto", "binary", "text", NULL };
static const char *const spill_words[] = { "always", "overflow", "none", NULL };

const char *const opt_group_names[OPT_N_GROUPS] = {
	[OPT_GROUP_ENDS] = "Where from, where to",
	[OPT_GROUP_WHAT] = "What",
	[OPT_GROUP_HOW] = "Speed, memory and disk",
	[OPT_GROUP_SAFETY] = "Safety",
	[OPT_GROUP_OUTPUT] = "Output",
	[OPT_GROUP_PAGES] = "Pages",
};

const struct opt_spec opt_table[OPT_N] = {
	[OPT_ID_SOURCE] = {
		.name = "source", .type = OPT_SECRET, .group = OPT_GROUP_ENDS, .commands = ENDS,
		.value = "URI",
		.env_text = "SOURCE_DATABASE_URL, LOCAL_DB_USER/NAME/HOST/PORT, POSTGRES_*, PG*",
		.help = "The database that is read: a URI or a keyword string, as libpq takes them. "
			"Better without the password: ~/.pgpass and PGPASSWORD are read.",
	},
	[OPT_ID_TARGET] = {
		.name = "target", .type = OPT_SECRET, .group = OPT_GROUP_ENDS,
		.commands = ENDS | BIT(ABORT) | BIT(FORGET), .value = "URI",
		.env_text = "NEON_DATABASE_URL, DATABASE_URL_UNPOOLED, DATABASE_URL",
		.help = "The database that is written. DATABASE_URL is used only after a question on the "
			"terminal, or with --yes: before the change-over it usually names the old database.",
	},
	[OPT_ID_RUN_DIR] = {
		.name = "run-dir", .type = OPT_TEXT, .group = OPT_GROUP_ENDS,
		.commands = MOVE | BIT(STATUS) | BIT(ABORT) | BIT(FORGET), .value = "DIR",
		.env = "NEONFERRY_RUN_DIR", .preset_text = "a new folder in ./neonferry-runs",
		.help = "The folder of the run: its identity, plan, spill files and log. The same folder "
			"again goes on with the same run.",
	},
	[OPT_ID_TABLE] = {
		.name = "table", .type = OPT_LIST, .group = OPT_GROUP_WHAT,
		.commands = BEGIN | BIT(VERIFY), .value = "NAME", .preset_text = "every table",
		.help = "Only this table: schema.table, or table in whatever schema. May be given several "
			"times.",
	},
	[OPT_ID_EXCLUDE_TABLE] = {
		.name = "exclude-table", .type = OPT_LIST, .group = OPT_GROUP_WHAT,
		.commands = BEGIN | BIT(VERIFY), .value = "NAME",
		.help = "Not this table. May be given several times.",
	},
	[OPT_ID_COLLECTION] = {
		.name = "collection", .type = OPT_LIST, .group = OPT_GROUP_WHAT, .commands = BEGIN,
		.value = "NAME", .preset_text = "every collection",
		.help = "Of the tables that are divided into collections, only this collection. May be "
			"given several times.",
	},
	[OPT_ID_COLLECTION_COLUMN] = {
		.name = "collection-column", .type = OPT_LIST, .group = OPT_GROUP_WHAT,
		.commands = BEGIN | BIT(VERIFY), .value = "TABLE=COLUMN",
		.preset_text = "vector_documents=collection_name",
		.help = "Divide this table into collections by this column. May be given several times.",
	},
	[OPT_ID_SCHEMA_ONLY] = {
		.name = "schema-only", .type = OPT_FLAG, .group = OPT_GROUP_WHAT,
		.commands = BIT(RUN) | BIT(PLAN),
		.help = "Carry the definitions, no rows.",
	},
	[OPT_ID_DATA_ONLY] = {
		.name = "data-only", .type = OPT_FLAG, .group = OPT_GROUP_WHAT,
		.commands = BIT(RUN) | BIT(PLAN),
		.help = "Carry the rows into tables that the target already has, no definitions.",
	},
	[OPT_ID_JOBS] = {
		.name = "jobs", .type = OPT_COUNT, .group = OPT_GROUP_HOW,
		.commands = MOVE | BIT(PLAN) | BIT(VERIFY), .value = "N", .min = 1, .max = 64,
		.env = "NEONFERRY_JOBS", .preset_text = "chosen from the processors",
		.help = "Sessions that read the source at the same time; for verify, tables compared at "
			"the same time.",
	},
	[OPT_ID_WORKERS] = {
		.name = "workers", .type = OPT_COUNT, .group = OPT_GROUP_HOW, .commands = MOVE | BIT(PLAN),
		.value = "N", .min = 1, .max = 256, .env = "NEONFERRY_WORKERS",
		.preset_text = "chosen from the processors",
		.help = "Threads that gather the rows of collections into chunks.",
	},
	[OPT_ID_SENDERS] = {
		.name = "senders", .type = OPT_COUNT, .group = OPT_GROUP_HOW, .commands = MOVE | BIT(PLAN),
		.value = "N", .min = 1, .max = 64, .env = "NEONFERRY_SENDERS",
		.preset_text = "chosen from the processors and the target's connections",
		.help = "Sessions that write the target at the same time.",
	},
	[OPT_ID_CHUNK_SIZE] = {
		.name = "chunk-size", .type = OPT_BYTES, .group = OPT_GROUP_HOW,
		.commands = MOVE | BIT(PLAN), .value = "SIZE", .min = 64 * KB, .max = GB, .preset = "16M",
		.env = "NEONFERRY_CHUNK_SIZE",
		.help = "Bytes of rows that are one transaction, one spill file, one step of a resume. "
			"Smaller where --memory asks for it.",
	},
	[OPT_ID_MEMORY] = {
		.name = "memory", .type = OPT_BYTES, .group = OPT_GROUP_HOW, .commands = MOVE | BIT(PLAN),
		.value = "SIZE", .min = 16 * MB, .max = TB, .preset = "256M", .env = "NEONFERRY_MEMORY",
		.help = "Bytes of rows held in memory at most. The program stays below this plus 64 MB "
			"plus three times the largest row.",
	},
	[OPT_ID_SPILL] = {
		.name = "spill", .type = OPT_CHOICE, .group = OPT_GROUP_HOW, .commands = MOVE | BIT(PLAN),
		.value = "WHEN", .choices = spill_words, .preset = "always", .env = "NEONFERRY_SPILL",
		.help = "Keep compressed chunks in the run folder: always (the source is read at its own "
			"speed and then no longer needed), overflow (only what the target cannot take at "
			"once), or none.",
	},
	[OPT_ID_SPILL_LIMIT] = {
		.name = "spill-limit", .type = OPT_BYTES, .group = OPT_GROUP_HOW,
		.commands = MOVE | BIT(PLAN), .value = "SIZE", .min = 64 * MB, .max = 1024 * TB,
		.env = "NEONFERRY_SPILL_LIMIT", .preset_text = "what the disk holds",
		.help = "Disk space that spill files may take. When it is reached, reading waits for the "
			"target.",
	},
	[OPT_ID_FORMAT] = {
		.name = "format", .type = OPT_CHOICE, .group = OPT_GROUP_HOW, .commands = BEGIN,
		.value = "FORMAT", .choices = format_words, .preset = "auto",
		.help = "Format of COPY: auto (binary wherever both ends agree on every column's type; "
			"the plan says where not and why), binary or text.",
	},
	[OPT_ID_KEEP_INDEXES] = {
		.name = "keep-indexes", .type = OPT_FLAG, .group = OPT_GROUP_HOW,
		.commands = BIT(RUN) | BIT(COPY) | BIT(PLAN),
		.help = "Leave the indexes and foreign keys that the target already has in place while "
			"loading. Slower.",
	},
	[OPT_ID_ON_EXISTING] = {
		.name = "on-existing", .type = OPT_CHOICE, .group = OPT_GROUP_SAFETY, .commands = BEGIN,
		.value = "WHAT", .choices = existing_words, .preset = "refuse",
		.help = "What to do where a target table already holds rows: refuse; truncate (with "
			"--collection: delete only those collections); or append.",
	},
	[OPT_ID_ALLOW_UNLOGGED] = {
		.name = "allow-unlogged", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY, .commands = BEGIN,
		.help = "Load into unlogged tables of the target, which a restart of the server empties.",
	},
	[OPT_ID_NO_RECAPTURE] = {
		.name = "no-recapture", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = MOVE,
		.help = "When the snapshot was lost and the source has changed since, refuse to go on "
			"(exit status 6) rather than read the changed parts again under a new snapshot.",
	},
	[OPT_ID_SNAPSHOT_TTL] = {
		.name = "snapshot-ttl", .type = OPT_DURATION, .group = OPT_GROUP_SAFETY,
		.commands = MOVE, .value = "TIME", .min = MINUTE, .max = 30 * DAY,
		.preset = "24h", .env = "NEONFERRY_SNAPSHOT_TTL",
		.help = "How long the snapshot of the source is kept for a run that was interrupted. While "
			"it is kept, the source cannot clean up rows that were deleted since.",
	},
	[OPT_ID_KEEP_DATA] = {
		.name = "keep-data", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY, .commands = BIT(ABORT),
		.help = "Leave the rows and objects in the target; end the snapshot and forget the run.",
	},
	[OPT_ID_YES] = {
		.name = "yes", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = ENDS | BIT(ABORT) | BIT(FORGET),
		.help = "Answer every question with yes.",
	},
	[OPT_ID_QUIET] = {
		.name = "quiet", .type = OPT_FLAG, .group = OPT_GROUP_OUTPUT,
		.commands = EVERY & ~(BIT(HELP) | BIT(VERSION)),
		.help = "Only errors and the last line.",
	},
	[OPT_ID_JSON] = {
		.name = "json", .type = OPT_FLAG, .group = OPT_GROUP_OUTPUT,
		.commands = EVERY & ~BIT(HELP),
		.help = "On standard output JSON and nothing else: one event a line while rows move, one "
			"document where a command shows something.",
	},
	[OPT_ID_NO_COLOR] = {
		.name = "no-color", .type = OPT_FLAG, .group = OPT_GROUP_OUTPUT,
		.commands = EVERY & ~(BIT(HELP) | BIT(VERSION)), .env_text = "NO_COLOR",
		.help = "No colours, also on a terminal.",
	},
	[OPT_ID_HELP] = {
		.name = "help", .type = OPT_FLAG, .group = OPT_GROUP_OUTPUT, .commands = EVERY,
		.help = "Show this text.",
	},
	[OPT_ID_MAN] = {
		.name = "man", .type = OPT_FLAG, .group = OPT_GROUP_PAGES, .commands = BIT(HELP),
		.help = "The manual page, for man.",
	},
	[OPT_ID_MARKDOWN] = {
		.name = "markdown", .type = OPT_FLAG, .group = OPT_GROUP_PAGES, .commands = BIT(HELP),
		.help = "Every command and option in Markdown.",
	},
	[OPT_ID_ERRORS_MARKDOWN] = {
		.name = "errors-markdown", .type = OPT_FLAG, .group = OPT_GROUP_PAGES,
		.commands = BIT(HELP),
		.help = "What errors of a server mean and what to do, in Markdown.",
	},
	[OPT_ID_EXIT_MARKDOWN] = {
		.name = "exit-markdown", .type = OPT_FLAG, .group = OPT_GROUP_PAGES,
		.commands = BIT(HELP),
		.help = "The exit statuses in Markdown.",
	},
	[OPT_ID_ENVIRONMENT_MARKDOWN] = {
		.name = "environment-markdown", .type = OPT_FLAG, .group = OPT_GROUP_PAGES,
		.commands = BIT(HELP),
		.help = "The environment variables in Markdown.",
	},
};
