#include "cli/command.h"

#define BIT(name) ((opt_commands)1 << COMMAND_##name)
#define MOVE (BIT(RUN) | BIT(COPY) | BIT(RESUME))	/* those that move rows */
#define BEGIN (BIT(RUN) | BIT(COPY) | BIT(PLAN))	/* those that decide what is moved */
#define ENDS (MOVE | BIT(PLAN) | BIT(CHECK) | BIT(VERIFY))
#define SCHEMA_DATABASE                                                                            \
	(BIT(SCHEMA_STATUS) | BIT(SCHEMA_APPLY) | BIT(SCHEMA_VERIFY) | BIT(SCHEMA_COMPARE) |       \
	 BIT(SCHEMA_ROLLBACK) | BIT(SCHEMA_EXPORT) | BIT(SCHEMA_LINT))
#define SCHEMA_FOLDER (SCHEMA_DATABASE & ~BIT(SCHEMA_EXPORT))
#define SCHEMA_SCRATCH (BIT(SCHEMA_APPLY) | BIT(SCHEMA_VERIFY) | BIT(SCHEMA_COMPARE))
#define SCHEMA_CHANGE (BIT(SCHEMA_APPLY) | BIT(SCHEMA_ROLLBACK))
#define EVERY (((opt_commands)1 << COMMAND_N) - 1)

#define KB ((uint64_t)1 << 10)
#define MB ((uint64_t)1 << 20)
#define GB ((uint64_t)1 << 30)
#define TB ((uint64_t)1 << 40)
#define MINUTE ((uint64_t)60 * 1000)
#define DAY ((uint64_t)24 * 60 * MINUTE)

static const char *const against_words[] = { "source", "snapshot", NULL };
static const char *const env_words[] = { "dev", "test", "prod", NULL };
static const char *const existing_words[] = { "refuse", "truncate", "append", NULL };
static const char *const format_words[] = { "auto", "binary", "text", NULL };
static const char *const level_words[] = { "schema", "counts", "presence", "digest", "search", "all",
					    NULL };
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
		.name = "source", .type = OPT_SECRET, .group = OPT_GROUP_ENDS,
		.commands = ENDS | BIT(SCHEMA_COMPARE) | BIT(BACKUP),
		.value = "URI",
		.env_text = "SOURCE_DATABASE_URL, LOCAL_DB_USER/NAME/HOST/PORT, POSTGRES_*, PG*",
		.help = "The database that is read: a URI or a keyword string, as libpq takes them. "
			"Better without the password: ~/.pgpass and PGPASSWORD are read.",
	},
	[OPT_ID_TARGET] = {
		.name = "target", .type = OPT_SECRET, .group = OPT_GROUP_ENDS,
		.commands = ENDS | BIT(ABORT) | BIT(FORGET) | SCHEMA_DATABASE | BIT(RESTORE_POINT),
		.value = "URI",
		.env_text = "NEON_DATABASE_URL, DATABASE_URL_UNPOOLED, DATABASE_URL",
		.help = "The database that is written. DATABASE_URL is used only after a question on the "
			"terminal, or with --yes: before the change-over it usually names the old database.",
	},
	[OPT_ID_RUN_DIR] = {
		.name = "run-dir", .type = OPT_TEXT, .group = OPT_GROUP_ENDS,
		.commands = MOVE | BIT(STATUS) | BIT(ABORT) | BIT(FORGET) | BIT(BACKUP) | BIT(RESTORE_POINT),
		.value = "DIR", .env = "NEONFERRY_RUN_DIR", .preset_text = "a new folder in ./neonferry-runs",
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
		.name = "collection", .type = OPT_LIST, .group = OPT_GROUP_WHAT,
		.commands = BEGIN | BIT(VERIFY), .value = "NAME", .preset_text = "every collection",
		.help = "Of the tables that are divided into collections, only this collection. May be "
			"given several times.",
	},
	[OPT_ID_COLLECTION_COLUMN] = {
		.name = "collection-column", .type = OPT_LIST, .group = OPT_GROUP_WHAT,
		.commands = BEGIN | BIT(VERIFY), .value = "TABLE=COLUMN",
		.preset_text = "vector_documents=collection_name",
		.help = "Divide this table into collections by this column. May be given several times.",
	},
	[OPT_ID_HALFVEC] = {
		.name = "halfvec", .type = OPT_LIST, .group = OPT_GROUP_WHAT, .commands = BEGIN,
		.value = "TABLE.COLUMN",
		.help = "This column of vector becomes halfvec on the way: half the bytes on the wire, in the table "
			"and in its indexes. What each vector loses is measured first. May be given several times.",
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
			"the same time, 2 where nothing is said.",
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
		.name = "spill", .type = OPT_CHOICE, .group = OPT_GROUP_HOW,
		.commands = BIT(RUN) | BIT(COPY) | BIT(PLAN),
		.value = "WHEN", .choices = spill_words, .preset = "always", .env = "NEONFERRY_SPILL",
		.help = "Keep compressed chunks in the run folder: always (the source is read at its own "
			"speed and then no longer needed), overflow (only what the target cannot take at "
			"once), or none.",
	},
	[OPT_ID_SPILL_LIMIT] = {
		.name = "spill-limit", .type = OPT_BYTES, .group = OPT_GROUP_HOW,
		.commands = MOVE | BIT(PLAN), .value = "SIZE", .min = MB, .max = 1024 * TB,
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
	[OPT_ID_ALLOW_POOLER] = {
		.name = "allow-pooler", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY, .commands = MOVE,
		.help = "Where the target is named by its pooler, load the rows through it. Everything "
			"else goes to the direct endpoint all the same.",
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
		.commands = ENDS | BIT(ABORT) | BIT(FORGET) | SCHEMA_DATABASE | BIT(RESTORE_POINT),
		.help = "Answer every question with yes.",
	},
	[OPT_ID_ENV] = {
		.name = "env", .type = OPT_CHOICE, .group = OPT_GROUP_ENDS, .commands = SCHEMA_DATABASE,
		.value = "NAME", .choices = env_words, .env = "NEONFERRY_ENV",
		.help = "The database by its part: dev (DATABASE_URL_DEV), test (DATABASE_URL_TEST) or prod "
			"(DATABASE_URL_UNPOOLED, else DATABASE_URL). prod is refused until test has the same "
			"migrations with the same checksums and `schema verify --env test` has passed.",
	},
	[OPT_ID_DIR] = {
		.name = "dir", .type = OPT_TEXT, .group = OPT_GROUP_ENDS, .commands = SCHEMA_FOLDER,
		.value = "DIR", .preset = "migrations", .env = "NEONFERRY_MIGRATIONS",
		.help = "The folder of migrations: NNN_name.sql with NNN_name.down.sql; any number of digits, "
			"or a time stamp; or folders NNN_name with migration.sql.",
	},
	[OPT_ID_HISTORY_TABLE] = {
		.name = "history-table", .type = OPT_TEXT, .group = OPT_GROUP_ENDS,
		.commands = SCHEMA_FOLDER, .value = "NAME", .preset_text = "public.schema_migrations, or "
			"neonferry.schema_migrations where another tool has that name",
		.help = "The table that keeps what was applied.",
	},
	[OPT_ID_SCRATCH] = {
		.name = "scratch", .type = OPT_SECRET, .group = OPT_GROUP_ENDS, .commands = SCHEMA_SCRATCH,
		.value = "URI", .env = "NEONFERRY_SCRATCH",
		.preset_text = "a new database beside the target, dropped at the end",
		.help = "An empty database to try migrations in, for roles that may not create one.",
	},
	[OPT_ID_TO] = {
		.name = "to", .type = OPT_TEXT, .group = OPT_GROUP_WHAT, .commands = BIT(SCHEMA_APPLY),
		.value = "VERSION", .preset_text = "the newest",
		.help = "Apply up to this version.",
	},
	[OPT_ID_OUTPUT] = {
		.name = "output", .type = OPT_TEXT, .group = OPT_GROUP_WHAT,
		.commands = BIT(SCHEMA_EXPORT) | BIT(BACKUP), .value = "FILE",
		.preset_text = "schema_export_<date>_<time>.sql, backup_<database>_<date>_<time>.dump",
		.help = "Write the schema, or the backup, into this file.",
	},
	[OPT_ID_VECTOR_DIMENSIONS] = {
		.name = "vector-dimensions", .type = OPT_COUNT, .group = OPT_GROUP_WHAT,
		.commands = SCHEMA_SCRATCH, .value = "N", .min = 1, .max = 16000,
		.preset_text = "1536",
		.help = "Sets neonferry.vector_dimensions for the migrations: the dimensions of the embeddings "
			"in the shipped 001_create_vector_tables.",
	},
	[OPT_ID_APP_ROLE] = {
		.name = "app-role", .type = OPT_TEXT, .group = OPT_GROUP_WHAT,
		.commands = BIT(SCHEMA_VERIFY), .value = "ROLE",
		.help = "Also verify that this role may use the schemas and read and write every table.",
	},
	[OPT_ID_LOCK_TIMEOUT] = {
		.name = "lock-timeout", .type = OPT_DURATION, .group = OPT_GROUP_SAFETY,
		.commands = SCHEMA_CHANGE, .value = "TIME", .min = 100, .max = DAY, .preset = "10s",
		.help = "How long to wait for a lock before giving up and naming who holds it.",
	},
	[OPT_ID_LOCKS] = {
		.name = "locks", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = BIT(SCHEMA_APPLY) | BIT(CHECK),
		.help = "Only show the sessions that hold locks on tables now, the oldest transaction first; "
			"with check: show them too, of both ends.",
	},
	[OPT_ID_END_IDLE] = {
		.name = "end-idle", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = SCHEMA_CHANGE,
		.help = "When a lock is not given in time because transactions sit idle: ask, end them, and try "
			"once more.",
	},
	[OPT_ID_DRY_RUN] = {
		.name = "dry-run", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = BIT(SCHEMA_APPLY),
		.help = "Show what would change and stop. Exit status 7 if something of it is destructive.",
	},
	[OPT_ID_IN_PLACE] = {
		.name = "in-place", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = BIT(SCHEMA_APPLY),
		.help = "Try the migrations in a transaction of the target that is rolled back, instead of in a "
			"scratch database. Takes their locks, for which it waits 2 seconds at most.",
	},
	[OPT_ID_ALLOW_DESTRUCTIVE] = {
		.name = "allow-destructive", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = BIT(SCHEMA_APPLY),
		.help = "Apply although the table of changes names destructive ones, or could not be made.",
	},
	[OPT_ID_FORCE] = {
		.name = "force", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = SCHEMA_CHANGE, .env_text = "FORCE_MIGRATION (true)",
		.help = "Take files that changed after they were applied: their new checksum is recorded, they "
			"are not run again. A file that stopped half way and was corrected since, a down script "
			"too, runs from its beginning.",
	},
	[OPT_ID_NOTIFY] = {
		.name = "notify", .type = OPT_SECRET, .group = OPT_GROUP_OUTPUT,
		.commands = SCHEMA_CHANGE | BIT(SCHEMA_VERIFY) | BIT(SCHEMA_COMPARE) | MOVE,
		.value = "URL",
		.env = "NEONFERRY_NOTIFY",
		.help = "Post the result to this address, as JSON that Slack takes. The address is never "
			"shown.",
	},
	[OPT_ID_LEVEL] = {
		.name = "level", .type = OPT_CHOICE, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.value = "LEVEL", .choices = level_words, .preset = "all",
		.help = "How deep to look; each level holds those before it: schema (definitions, sequences, "
			"settings), counts, presence (embeddings), digest (every row's content), search "
			"(neighbours, recall, latency). all is search.",
	},
	[OPT_ID_SAMPLE] = {
		.name = "sample", .type = OPT_COUNT, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.value = "N", .min = 10, .max = 100000, .preset = "600",
		.help = "Query vectors drawn for each vector index.",
	},
	[OPT_ID_SEED] = {
		.name = "seed", .type = OPT_COUNT, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.value = "N", .min = 0, .max = (uint64_t)INT64_MAX, .preset = "42",
		.help = "Seed of every sample: the same seed draws the same rows.",
	},
	[OPT_ID_SMOKE] = {
		.name = "smoke", .type = OPT_FLAG, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.help = "Also add, find and delete a document in a transaction of the target that is rolled "
			"back.",
	},
	[OPT_ID_AGAINST] = {
		.name = "against", .type = OPT_CHOICE, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.value = "WHAT", .choices = against_words, .preset = "source",
		.help = "source: the rows of the source as they are; a row that differs is a difference. "
			"snapshot: the source is being written to; rows that differ from its snapshot are "
			"looked at again in later ones, and transient differences are told apart from "
			"lasting ones. Then --level is digest unless given.",
	},
	[OPT_ID_AGAINST_RUN] = {
		.name = "against-run", .type = OPT_TEXT, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.value = "RUN",
		.help = "Compare the target with what this run read from its stream; the source may be gone. "
			"Given with --source, it is asked for what the stream does not tell, such as searches.",
	},
	[OPT_ID_RECHECK_ROUNDS] = {
		.name = "recheck-rounds", .type = OPT_COUNT, .group = OPT_GROUP_WHAT,
		.commands = BIT(VERIFY), .value = "N", .min = 1, .max = 1000, .preset = "5",
		.help = "With --against snapshot: how often rows that differ are looked at again.",
	},
	[OPT_ID_RECHECK_WAIT] = {
		.name = "recheck-wait", .type = OPT_DURATION, .group = OPT_GROUP_WHAT,
		.commands = BIT(VERIFY), .value = "TIME", .min = 1, .max = DAY, .preset = "2s",
		.help = "With --against snapshot: how long to wait before each of these looks.",
	},
	[OPT_ID_REPAIR] = {
		.name = "repair", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY, .commands = BIT(VERIFY),
		.help = "Write the source's rows over the rows of the target that differ, and over no "
			"others: missing ones are inserted, changed ones updated, surplus copies of a row "
			"taken out. Shows first what it will do and asks. A row that was written since it was "
			"compared is left alone. Then everything is verified again.",
	},
	[OPT_ID_DELETE_EXTRA] = {
		.name = "delete-extra", .type = OPT_FLAG, .group = OPT_GROUP_SAFETY,
		.commands = BIT(VERIFY),
		.help = "With --repair: also delete rows of the target that the source does not have.",
	},
	[OPT_ID_MAX_ROWS] = {
		.name = "max-rows", .type = OPT_COUNT, .group = OPT_GROUP_OUTPUT, .commands = BIT(VERIFY),
		.value = "N", .min = 1, .max = 100000, .preset = "100",
		.help = "Differing rows that are described, for each table. All are in differences.ndjson "
			"beside the report.",
	},
	[OPT_ID_INCLUDE_VALUES] = {
		.name = "include-values", .type = OPT_FLAG, .group = OPT_GROUP_OUTPUT,
		.commands = BIT(VERIFY),
		.help = "Show the values of differing columns, not only what kind of difference it is.",
	},
	[OPT_ID_MARGIN] = {
		.name = "margin", .type = OPT_TEXT, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.value = "SHARE", .preset = "0.01",
		.help = "How much lower the target's recall may be than the source's; below 1.",
	},
	[OPT_ID_MAX_LATENCY_RATIO] = {
		.name = "max-latency-ratio", .type = OPT_TEXT, .group = OPT_GROUP_WHAT,
		.commands = BIT(VERIFY), .value = "RATIO", .preset_text = "not judged",
		.help = "Fail where the median search takes more than this many times the source's. Only with "
			"--level search; unknown without a source.",
	},
	[OPT_ID_WAIVERS] = {
		.name = "waivers", .type = OPT_TEXT, .group = OPT_GROUP_WHAT, .commands = BIT(VERIFY),
		.value = "FILE",
		.help = "Known exceptions: a JSON list of objects with group, object (may end in *), reason, "
			"by and expires (YYYY-MM-DD).",
	},
	[OPT_ID_REPORT] = {
		.name = "report", .type = OPT_TEXT, .group = OPT_GROUP_OUTPUT,
		.commands = BIT(VERIFY) | BIT(REPORT), .value = "DIR",
		.preset_text = "verify: none; report: where it was",
		.help = "Write report.html, report.json, report.junit.xml and report.md into this folder.",
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
