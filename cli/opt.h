/*
 * opt - the options of the command line: one table, and the parser that reads it.
 *
 * Everything about an option stands in one row of opt_table: parsing, ranges, the environment
 * variable, help, the man page and docs/reference/options.md come from it.
 *
 *   --name value, --name=value      long names only, never abbreviated
 *   --                              what follows is no option
 *
 * An option of type OPT_LIST may be given several times; a flag twice is the same as once; every
 * other option at most once. The command line wins over the environment, and that over the default.
 *
 * INVARIANT	A value of type OPT_SECRET is in no message. opt_parse() overwrites it in argv, so that
 *		other users of the machine do not see it in the list of processes.
 * OWNER	opts_done() frees copies. Strings in struct opts are its own or the environment's.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include "common/err.h"

#include <stdint.h>

enum opt_type {
	OPT_FLAG,     /* given or not */
	OPT_TEXT,
	OPT_SECRET,   /* text that may hold a password: a connection string */
	OPT_COUNT,    /* whole number, min..max */
	OPT_BYTES,    /* "64M", min..max */
	OPT_DURATION, /* "24h", min..max in ms */
	OPT_CHOICE,   /* one of choices; the number is its index */
	OPT_LIST,     /* text, any number of times */
};

enum opt_group {
	OPT_GROUP_ENDS,	   /* where from, where to */
	OPT_GROUP_WHAT,	   /* which tables, which part */
	OPT_GROUP_HOW,	   /* speed, memory, disk */
	OPT_GROUP_SAFETY,
	OPT_GROUP_OUTPUT,
	OPT_GROUP_PAGES,   /* help: which page, in which form */
	OPT_N_GROUPS,
};

enum opt_id {
	OPT_ID_SOURCE,
	OPT_ID_TARGET,
	OPT_ID_RUN_DIR,
	OPT_ID_TABLE,
	OPT_ID_EXCLUDE_TABLE,
	OPT_ID_COLLECTION,
	OPT_ID_COLLECTION_COLUMN,
	OPT_ID_HALFVEC,
	OPT_ID_SCHEMA_ONLY,
	OPT_ID_DATA_ONLY,
	OPT_ID_JOBS,
	OPT_ID_WORKERS,
	OPT_ID_SENDERS,
	OPT_ID_CHUNK_SIZE,
	OPT_ID_MEMORY,
	OPT_ID_SPILL,
	OPT_ID_SPILL_LIMIT,
	OPT_ID_FORMAT,
	OPT_ID_KEEP_INDEXES,
	OPT_ID_ON_EXISTING,
	OPT_ID_ALLOW_UNLOGGED,
	OPT_ID_ALLOW_POOLER,
	OPT_ID_NO_RECAPTURE,
	OPT_ID_SNAPSHOT_TTL,
	OPT_ID_KEEP_DATA,
	OPT_ID_YES,
	OPT_ID_ENV,
	OPT_ID_DIR,
	OPT_ID_HISTORY_TABLE,
	OPT_ID_SCRATCH,
	OPT_ID_TO,
	OPT_ID_OUTPUT,
	OPT_ID_VECTOR_DIMENSIONS,
	OPT_ID_APP_ROLE,
	OPT_ID_LOCK_TIMEOUT,
	OPT_ID_LOCKS,
	OPT_ID_END_IDLE,
	OPT_ID_DRY_RUN,
	OPT_ID_IN_PLACE,
	OPT_ID_ALLOW_DESTRUCTIVE,
	OPT_ID_FORCE,
	OPT_ID_NOTIFY,
	OPT_ID_LEVEL,
	OPT_ID_SAMPLE,
	OPT_ID_SEED,
	OPT_ID_SMOKE,
	OPT_ID_AGAINST,
	OPT_ID_AGAINST_RUN,
	OPT_ID_RECHECK_ROUNDS,
	OPT_ID_RECHECK_WAIT,
	OPT_ID_REPAIR,
	OPT_ID_DELETE_EXTRA,
	OPT_ID_MAX_ROWS,
	OPT_ID_INCLUDE_VALUES,
	OPT_ID_MARGIN,
	OPT_ID_MAX_LATENCY_RATIO,
	OPT_ID_WAIVERS,
	OPT_ID_REPORT,
	OPT_ID_QUIET,
	OPT_ID_JSON,
	OPT_ID_NO_COLOR,
	OPT_ID_HELP,
	OPT_ID_MAN,
	OPT_ID_MARKDOWN,
	OPT_ID_ERRORS_MARKDOWN,
	OPT_ID_EXIT_MARKDOWN,
	OPT_ID_ENVIRONMENT_MARKDOWN,
	OPT_N,
};

/* Commands that take an option, as bits; 1u << enum command_id (cli/command.h). */
typedef uint32_t opt_commands;

struct opt_spec {
	const char *name;	    /* without the dashes */
	enum opt_type type;
	enum opt_group group;
	opt_commands commands;
	const char *value;	    /* how the value is called in help; NULL for a flag */
	const char *const *choices; /* OPT_CHOICE: NULL-terminated */
	uint64_t min, max;	    /* OPT_COUNT, OPT_BYTES, OPT_DURATION */
	const char *preset;	    /* the default as one would type it, or NULL */
	const char *preset_text;    /* the default in words where preset is NULL, or NULL */
	const char *env;	    /* environment variable read by the parser, or NULL */
	const char *env_text;	    /* variables that something else reads, for the docs, or NULL */
	const char *help;	    /* a sentence or two */
};

extern const struct opt_spec opt_table[OPT_N];
extern const char *const opt_group_names[OPT_N_GROUPS];

enum opt_origin { OPT_FROM_DEFAULT, OPT_FROM_ENV, OPT_FROM_LINE };

struct opt_value {
	enum opt_origin origin;
	const char *text;   /* as given; NULL where there is no value */
	uint64_t number;    /* flag 0/1, count, bytes, ms, index of the choice */
	const char **list;  /* OPT_LIST */
	int n_list;
};

struct opts {
	struct opt_value values[OPT_N];
	const char **args; /* what is no option: RUN, COMMAND, ... */
	int n_args;
	char **copies;	   /* secrets, kept after argv was overwritten */
	int n_copies;
};

#define OPTS_INIT ((struct opts){ 0 })

/*
 * Reads argv[0..argc-1] (without program and command name) for one command, whose bit is given.
 * max_args: how many arguments it takes. ERR_USAGE with a hint; e never holds a secret.
 */
int opt_parse(struct opts *o, opt_commands command, const char *command_name, int max_args,
	      int argc, char **argv, struct err *e) MUST_CHECK;
void opts_done(struct opts *o);

static inline bool opt_flag(const struct opts *o, enum opt_id id)
{
	return o->values[id].number != 0;
}

static inline const char *opt_text(const struct opts *o, enum opt_id id)
{
	return o->values[id].text;
}

static inline uint64_t opt_number(const struct opts *o, enum opt_id id)
{
	return o->values[id].number;
}

static inline bool opt_given(const struct opts *o, enum opt_id id)
{
	return o->values[id].origin != OPT_FROM_DEFAULT;
}

/* "--jobs", "environment variable NEONFERRY_JOBS" or "default". */
const char *opt_origin_text(const struct opts *o, enum opt_id id, char *buf, size_t len);

/*
 * The word of a list that looks most like `word` (a slip of the keyboard), or NULL where none does.
 * next(ctx, i) gives the candidates until NULL.
 */
const char *opt_nearest(const char *word, const char *(*next)(const void *ctx, int i),
			const void *ctx);

/* What an argument may be shown as in a message: connection strings are not repeated. */
const char *opt_public(const char *arg);

#define AUTO_OPTS __attribute__((cleanup(opts_done)))

#endif
