/*
 * history - which migrations a database has had: our table, and what other tools left.
 *
 * Ours is public.schema_migrations(version, applied_at, description, checksum, execution_ms). Where
 * another tool has a table of that name with other columns, ours is neonferry.schema_migrations.
 * What is under way outside of one transaction is in neonferry.schema_progress: a row is there
 * from before the first statement until the history row is written in the same transaction that
 * removes it.
 *
 * INVARIANT	Rows are sorted by version. One row a version: its primary key refuses a second.
 * OWNER	history_free() frees all.
 */
#ifndef SCHEMA_HISTORY_H
#define SCHEMA_HISTORY_H

#include "common/pg.h"
#include "schema/migration.h"

struct history_row {
	char *version, *description, *checksum;
	char *applied_at; /* "2026-11-21 10:15:00+00" */
	int64_t execution_ms;
};

/* A history that another tool keeps. */
struct history_other {
	const char *tool; /* "Prisma" */
	char *table;	  /* "public._prisma_migrations" */
	int64_t rows;     /* what it applied; -1: not readable */
	int64_t failed;   /* entries that it says were not applied to their end */
	char *latest;     /* the newest one applied, or NULL */
};

/* A migration outside of one transaction that was begun and did not end. */
struct history_progress {
	char *version; /* "VERSION down": of a down script */
	char *checksum;
	int statement;	 /* steps: this many are done */
	int64_t rounds, rows; /* batches: what is committed */
	char *updated_at, *error; /* error: the last one, or NULL */
};

struct history {
	char *qname; /* quoted, for SQL */
	char *label; /* "public.schema_migrations" */
	bool exists; /* else it is empty and will be made */
	int n;
	struct history_row *rows;
	int n_others;
	struct history_other *others;
	int n_progress;
	struct history_progress *progress;
};

/*
 * Reads all of it. table: "name" or "schema.name" in place of the usual one, or NULL; it must then
 * have our columns (ERR_USAGE). Writes nothing.
 */
int history_read(struct history **ret, struct pg *pg, const char *table, struct err *e) MUST_CHECK;
void history_free(struct history *h);

/* Makes the tables that are not there. In the session's transaction, or in ones of its own. */
int history_create(struct history *h, struct pg *pg, struct err *e) MUST_CHECK;

const struct history_row *history_find(const struct history *h, const char *version);
const struct history_progress *history_find_progress(const struct history *h, const char *version);
/* The newest version applied, or NULL. */
const char *history_newest(const struct history *h);

/* Statements, each with its semicolon. */
void history_add_insert(struct text *sql, const struct history *h, const struct migration *m,
			int64_t ms);
void history_add_delete(struct text *sql, const struct history *h, const char *version);
void history_add_checksum(struct text *sql, const struct history *h, const char *version,
			  const char *checksum);
/* Begins the progress row, or changes it: done statements, one more round with its rows. */
void history_add_begin(struct text *sql, const struct history *h, const char *version,
		       const char *checksum);
void history_add_step(struct text *sql, const struct history *h, const char *version, int statement);
void history_add_round(struct text *sql, const struct history *h, const char *version, int64_t rows);
void history_add_error(struct text *sql, const struct history *h, const char *version,
		       const char *error);
void history_add_end(struct text *sql, const struct history *h, const char *version);

AUTO_DEFINE(history, struct history *, history_free);

#endif
