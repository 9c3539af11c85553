/*
 * archive - the schema as pg_dump wrote it, split into entries that we apply ourselves.
 *
 * pg_dump (at least the source's major version) writes a custom-format, schema-only archive under
 * the run's snapshot; pg_restore prints the script of a section, with a header a entry. We split the
 * script at the headers, in the order that pg_restore -l announces, so that text inside a function
 * body can never be taken for a header. psql meta-commands (\restrict) are removed.
 *
 * OWNER	archive_free(). Strings inside are the archive's.
 */
#ifndef SCHEMA_ARCHIVE_H
#define SCHEMA_ARCHIVE_H

#include "common/conn.h"
#include "common/event.h"

enum archive_section { ARCHIVE_PRE_DATA, ARCHIVE_POST_DATA };

struct archive_entry {
	int dump_id;
	char *type;    /* "TABLE", "INDEX", "FK CONSTRAINT", ... */
	char *schema;  /* or NULL */
	char *tag;     /* pg_dump's name: "users", "users users_pkey", "f(integer)" */
	char *table;   /* INDEX, CONSTRAINT, TRIGGER...: table name in the same schema, or NULL */
	enum archive_section section;
	char *sql;     /* statements, without meta-commands; may be "" */
	char *left_out; /* why it is never applied (owner, ACL, publication, ...), or NULL */
};

struct archive {
	int n_entries;
	struct archive_entry *entries; /* in TOC order, pre-data first */
};

/* Finds pg_dump and pg_restore of at least `major` (PATH and the distribution's version folders). */
int archive_find_tools(int major, char **ret_pg_dump, char **ret_pg_restore, struct err *e)
	MUST_CHECK;

/*
 * Runs pg_dump into path (0600, written aside, renamed). snapshot may be NULL. only/excluded are
 * pg_dump patterns of tables (arrays of n; may be NULL). Always without the schema neonferry.
 */
struct archive_options {
	const char *snapshot;
	const char *const *tables; int n_tables;
	const char *const *excluded; int n_excluded;
};
int archive_dump(const struct conn *source, int source_version, const struct archive_options *o,
		 const char *path, struct stop *stop, struct err *e) MUST_CHECK;

/* Reads an archive file through pg_restore. No server is needed. */
int archive_read(struct archive **ret, const char *path, int source_version, struct stop *stop,
		 struct err *e) MUST_CHECK;
void archive_free(struct archive *a);

#endif
