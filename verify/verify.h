/*
 * verify - judges two databases, whatever moved the rows, and writes down what it found.
 *
 * One call looks at everything that was asked for and gives one JSON document: the report. All
 * forms of the report (verify/report.h) are made from it alone. docs/verify.md explains every
 * number in it.
 *
 * INVARIANT	The verdict follows from the findings in "checks" alone. What could not be looked at
 *		is a finding of its own (unknown), so nothing is green because it was skipped.
 * OWNER	verify_result_free().
 * THREADS	verify_run() starts its own; one call at a time a settings struct.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "schema/catalog.h"
#include "verify/proof.h"

#include <jansson.h>

#define VERIFY_SCHEMA_VERSION "neonferry-report/1"

/* What to look at. `--level X` of the command line is X and all before it. */
enum {
	VERIFY_SCHEMA = 1,   /* tables, columns, indexes, settings, sequences, extensions */
	VERIFY_COUNTS = 2,   /* count(*), per table and collection */
	VERIFY_PRESENCE = 4, /* embeddings per collection */
	VERIFY_DIGEST = 8,   /* every row's content; differences down to row and column */
	VERIFY_SEARCH = 16,  /* neighbours, recall, search functions, latency */
	VERIFY_SMOKE = 32,   /* add, find, delete a document, rolled back; only when asked for */
	VERIFY_TOTALS = 64,  /* control totals per column; needs counts or digests */
};
#define VERIFY_ALL                                                                                 \
	(VERIFY_SCHEMA | VERIFY_COUNTS | VERIFY_PRESENCE | VERIFY_DIGEST | VERIFY_TOTALS |         \
	 VERIFY_SEARCH)

enum verify_verdict {
	VERIFY_PASS,
	VERIFY_PASS_WITH_EXCEPTIONS, /* all differences are minor, or waived */
	VERIFY_FAIL,
	VERIFY_INCONCLUSIVE, /* nothing differs, but something could not be looked at */
};

/* The source's rows written over those of the target that differ (verify/repair.h). */
struct verify_repair {
	bool delete_extra; /* also delete rows that the source does not have */
	const char *file;  /* what came of every row, a line of JSON each; NULL: not written */
	/*
	 * Told what would be done, an object a table: {table, insert, update, take_out, delete,
	 * leave, triggers_fire [, why_not]}; work: there is something to do. False: nothing is
	 * written. NULL: yes.
	 */
	bool (*confirm)(void *ctx, const json_t *plan, bool work);
	void *confirm_ctx;
};

struct verify_settings {
	unsigned levels; /* VERIFY_... */
	struct catalog_filter filter;
	/* "table=column": how tables are divided; else by collection_name where they have it. */
	const char *const *division;
	int n_division;
	const char *const *collections; /* only rows of these, in tables that have the column */
	int n_collections;
	int jobs;                 /* sessions an end; at least 1 */
	int sample;               /* query vectors an index; 0: 600 */
	uint64_t seed;            /* of every sample; printed in the report */
	int max_rows;             /* differing rows described a table; 0: 100 */
	const char *diff_file;    /* every differing row, a line of JSON each; NULL: not written */
	bool include_values;      /* values of differing columns in the report */
	uint64_t patience_ms;     /* for an end that goes away meanwhile; 0: ten minutes */
	double max_latency_ratio; /* target / source; 0: not judged */
	double margin;            /* how much recall may be lower; 0: 0.01 */
	/*
	 * The source is written to meanwhile: rows that differ are looked at again (rounds times,
	 * wait_ms before each), and only those that stay different are differences (recheck.h).
	 */
	bool live;
	int rounds; /* 0: 5 */
	uint64_t round_wait_ms;
	const struct verify_repair *repair; /* NULL: nothing is ever written */
	/*
	 * Expected tallies taken from a stream (proof.h), or NULL: then the source is read. Tables
	 * that are not among them are judged by the source, where there is one.
	 */
	struct proof_table *expected;
	int n_expected;
	/* expected[].target is what a proof has just found: the contents are not read again. */
	bool proven;
	/* Exceptions, checked (waiver.h): [{group, object, reason, expires, by}]; NULL: none.
	 * Borrowed. */
	const json_t *waivers;
	const char *tool_version; /* shown in the report; may be NULL */
	const char *command;      /* shown in the report; no secrets; may be NULL */
	const char *run;          /* id of the run verified, or NULL */
	struct stop *stop;        /* may be NULL */
	struct events *events;    /* may be NULL */
	/* phase: "counts", ...; done of total within it. May be NULL. */
	void (*progress)(void *ctx, const char *phase, int done, int total);
	void *progress_ctx;
};

#define VERIFY_SETTINGS_INIT                                                                       \
	((struct verify_settings){ .levels = VERIFY_ALL, .jobs = 2, .seed = 42 })

struct verify_result {
	enum verify_verdict verdict;
	char sentence[512]; /* why, for people */
	json_t *doc;        /* the report's document */
};

/*
 * source may be NULL: then only the target is looked at, against settings->expected.
 * -1 only where there is nothing to report: no connection to an end in use, stopped, usage.
 */
int verify_run(const struct conn *source, const struct conn *target,
	       const struct verify_settings *settings, struct verify_result **ret,
	       struct err *e) MUST_CHECK;
void verify_result_free(struct verify_result *r);

/* "PASS", "PASS WITH EXCEPTIONS", "FAIL", "INCONCLUSIVE" */
const char *verify_verdict_name(enum verify_verdict v);

/* 0 (pass), 7 (fail) or 8 (inconclusive), of the program's exit statuses. */
int verify_exit_status(enum verify_verdict v);

/* "counts" -> VERIFY_COUNTS and all before it; "all"; 0 where it is no level. */
unsigned verify_level(const char *word);

UNUSED static inline void auto_verify_result(struct verify_result **r)
{
	verify_result_free(*r);
}

#endif
