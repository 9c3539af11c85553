/*
 * migration_file - one script read, cleaned and judged. Private to schema/migration*.
 */
#ifndef SCHEMA_MIGRATION_FILE_H
#define SCHEMA_MIGRATION_FILE_H

#include "schema/migration.h"

/* name: as people see it. Errors as of migration_folder_read(). ret is unchanged on failure. */
int migration_script_read(struct migration_script *ret, const char *path, const char *name,
			  struct err *e) MUST_CHECK;
/* The same from memory; path and sql are copied. */
int migration_script_parse(struct migration_script *ret, const char *path, const char *name,
			   const char *sql, size_t len, struct err *e) MUST_CHECK;
void migration_script_done(struct migration_script *s);

/* SHA-256 as 64 hexadecimal digits. */
int migration_sha256(const void *data, size_t len, char ret_hex[65], struct err *e) MUST_CHECK;

#endif
