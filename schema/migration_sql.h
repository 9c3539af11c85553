/*
 * migration_sql - a script taken apart: statements, which of them need to be alone, what is refused.
 *
 * A script runs as one piece wherever it can; the statements are needed where one of them cannot
 * run in a transaction (CREATE INDEX CONCURRENTLY, VACUUM, ...), for batches and for lint.
 *
 * Knows strings, quoted names, dollar quotes, nested comments, parentheses and BEGIN ATOMIC bodies.
 */
#ifndef SCHEMA_MIGRATION_SQL_H
#define SCHEMA_MIGRATION_SQL_H

#include "schema/migration.h"

struct migration_statement {
	const char *at;  /* into the script: its first token */
	size_t len;      /* without the semicolon */
	int line;        /* from 1 */
	const char *alone; /* "CREATE INDEX CONCURRENTLY": cannot run in a transaction; or NULL */
	bool control;      /* BEGIN, COMMIT, ...: controls the transaction itself */
};

struct migration_sql {
	int n;
	struct migration_statement *list;
	bool stepwise; /* one is alone, or the directives say so: each is committed by itself */
	const char *body; /* else what runs as one piece: without a BEGIN and COMMIT around all */
	size_t body_len;
	int body_line;
};

/*
 * Takes a script apart. ERR_USAGE with file and line: a psql meta-command, COPY FROM STDIN or TO
 * STDOUT, COMMIT
 * or the like amid the script, a batch that is not one INSERT, UPDATE, DELETE or MERGE. s must
 * outlive *ret.
 */
int migration_sql_parse(struct migration_sql *ret, const struct migration_script *s, struct err *e)
	MUST_CHECK;
void migration_sql_done(struct migration_sql *m);

/* What CREATE INDEX CONCURRENTLY at the statement makes: true with both names as SQL has them. */
struct text;
bool migration_sql_index(const struct migration_statement *s, struct text *ret_index,
			 struct text *ret_table);

/* The line of the script (from 1) where character number `position` of `sql` (from 1) stands. */
int migration_sql_line(const char *sql, int line_of_sql, int position);

#define AUTO_MIGRATION_SQL __attribute__((cleanup(migration_sql_done)))

#endif
