/*
 * migration - a folder of migrations, read and checked before any server is asked.
 *
 * Taken as migrations, by name (the version is the number, its zeros in front do not count):
 *   NNN_name.sql, NNN_name.up.sql     any number of digits, also a time stamp
 *   NNN_name.down.sql                 undoes NNN
 *   NNN_name/migration.sql            with down.sql beside it, as Prisma lays them out
 * Other .sql files are named in `ignored`. In the comments before the first statement stand
 * directives:
 *   -- neonferry: batch               one bounded statement, repeated until it changes no row
 *   -- neonferry: no-transaction      statement by statement, each committed alone
 *
 * INVARIANT	Text is valid UTF-8 without byte order mark and NUL; line ends are "\n", so that the
 *		checksum is the same on every system.
 * OWNER	migration_folder_free() frees all.
 */
#ifndef SCHEMA_MIGRATION_H
#define SCHEMA_MIGRATION_H

#include "common/attr.h"
#include "common/err.h"

#include <stdint.h>

#define MIGRATION_MAX_BYTES ((size_t)64 << 20)

struct migration_script {
	char *path; /* as opened */
	char *name; /* within the folder, for people */
	char *sql;
	size_t len;
	char checksum[65]; /* SHA-256 of sql, hexadecimal */
	bool batch, no_transaction; /* directives */
	uint64_t pause_ms; /* batch: between two rounds; "batch pause=250" */
};

struct migration {
	char *version;     /* as in the name: "001" */
	char *description; /* "create vector tables" */
	struct migration_script up;
	struct migration_script down; /* down.path is NULL where there is none */
};

struct migration_folder {
	char *dir;
	int n;
	struct migration *list; /* by version */
	int n_ignored;
	char **ignored; /* names of .sql files that are no migrations */
	int n_gaps;
	char **gaps; /* missing numbers of a sequence ("004"), or "004 to 007" */
};

/*
 * Reads everything. ERR_USAGE names the file: two files of one version, a down script without its
 * migration, not UTF-8 (with line), a NUL, an unknown directive, too large. ERR_DISK: unreadable.
 */
int migration_folder_read(struct migration_folder **ret, const char *dir, struct err *e) MUST_CHECK;
void migration_folder_free(struct migration_folder *f);

/* By version, whatever zeros stand in front; or NULL. */
const struct migration *migration_find(const struct migration_folder *f, const char *version);

/* <0, 0, >0: by number; what is no number comes last, by its bytes. */
int migration_version_compare(const char *a, const char *b);

/* SHA-256 over versions and checksums in order: equal folders have equal ones. */
int migration_folder_checksum(const struct migration_folder *f, char ret_hex[65], struct err *e)
	MUST_CHECK;

AUTO_DEFINE(migration_folder, struct migration_folder *, migration_folder_free);

#endif
