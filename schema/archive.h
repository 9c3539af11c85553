/*
 * archive - the schema as pg_dump wrote it, split into entries that we apply ourselves.
 *
 * pg_dump (at least the source's major version) writes a custom-format, schema-only archive under
 * the run's snapshot; pg_restore prints the script of a section, with a header an entry. We split
 * the script at the headers, in the order that pg_restore -l announces, so that text inside a
 * function body can never be taken for a header. psql meta-commands (\restrict) are removed.
 *
 * What a target like Neon cannot or need not have is changed here, and noted: unlogged tables are
 * made logged, attribute options that PostgreSQL itself does not document are removed.
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
	char *type;   /* "TABLE", "INDEX", "FK CONSTRAINT", ... */
	char *schema; /* or NULL */
	char *tag;    /* pg_dump's name: "users", "users users_pkey", "f(integer)" */
	char *table;  /* INDEX, CONSTRAINT, TRIGGER...: table name in the same schema, or NULL */
	enum archive_section section;
	char *sql;      /* statements, without meta-commands; may be "" */
	char *left_out; /* why it is never applied (owner, ACL, publication, ...), or NULL */
	bool unfilled;  /* a materialized view that holds nothing in the source; the caller's to set */
	int parent;     /* index of the entry it is a part of (its table, for example), or -1 */
	int n_depends;
	int *depends; /* dump ids */
};

/* A part of an entry that was changed or not carried. */
struct archive_note {
	char *what; /* "unlogged table", "attribute option" */
	char *name; /* as SQL: public.t */
	char *why;
};

struct archive {
	int n_entries;
	struct archive_entry *entries; /* in TOC order, pre-data first */
	int n_notes;
	struct archive_note *notes;
	struct archive_entry **by_id; /* sorted by dump_id */
};

/*
 * Finds pg_dump and pg_restore of the smallest version that is at least `major` (PATH and the
 * distributions' version folders). malloc'ed paths.
 */
int archive_find_tools(int major, char **ret_pg_dump, char **ret_pg_restore,
		       struct err *e) MUST_CHECK;

/* How long pg_dump waits for the lock on a table before it gives up; as its argument. */
#define ARCHIVE_LOCK_WAIT_S   10
#define ARCHIVE_LOCK_WAIT_ARG "--lock-wait-timeout=10s"
/*
 * Call it on the error of a pg_dump that began then (clock_ms()): where a lock was not given, it says
 * so, with a hint, and returns true.
 */
bool archive_explain_lock(uint64_t began, struct err *e);

/*
 * Runs pg_dump into path (0600, written aside, renamed). snapshot may be NULL. tables/excluded are
 * names as in pattern.h (arrays of n; may be NULL): the archive is always whole, the choice is kept
 * beside it (path.tables) and made by archive_read(). Always without the schema neonferry.
 */
struct archive_options {
	const char *snapshot;
	const char *const *tables;
	int n_tables;
	const char *const *excluded;
	int n_excluded;
	/*
	 * Called when a table could not be locked, for the tries-th time: 0 to try again, or -1 with
	 * *e. NULL: that is an error.
	 */
	int (*locked)(void *ctx, int tries, struct err *e);
	void *ctx;
};
int archive_dump(const struct conn *source, int source_version, const struct archive_options *o,
		 const char *path, struct stop *stop, struct err *e) MUST_CHECK;

/* Reads an archive file through pg_restore. No server is needed. */
int archive_read(struct archive **ret, const char *path, int source_version, struct stop *stop,
		 struct err *e) MUST_CHECK;
void archive_free(struct archive *a);

/*
 * What is not carried as it is: JSON array of {what, name, why}, entries that are left out and
 * notes. New reference, or NULL when memory ends.
 */
json_t *archive_left_out(const struct archive *a);

/* One more note for that list; the texts are copied. */
int archive_add_note(struct archive *a, const char *what, const char *name, const char *why,
		     struct err *e) MUST_CHECK;

/* --- for reading in steps, and for tests --- */

/*
 * Adds the entries of one section from the text of `pg_restore -l` and of `pg_restore -f -`, both
 * with --verbose and that section. Both texts are borrowed.
 */
int archive_add_section(struct archive *a, enum archive_section section, const char *list,
			const char *script, struct err *e) MUST_CHECK;
/* After the last section: finds parents, applies the rules (left out, rewritten). */
int archive_finish(struct archive *a, struct err *e) MUST_CHECK;

/* Part of that: makes archive_by_id() quick. The entries must not move afterwards. */
int archive_sort_ids(struct archive *a, struct err *e) MUST_CHECK;

/* Frees what an entry holds. */
void archive_entry_done(struct archive_entry *entry);

/* The entry with this dump id, or NULL. */
struct archive_entry *archive_by_id(const struct archive *a, int dump_id);
/* "INDEX public.users_name", for messages and progress. */
void archive_entry_label(const struct archive_entry *entry, struct text *ret);
/* True for TABLE, FOREIGN TABLE, VIEW and MATERIALIZED VIEW. */
bool archive_is_relation(const struct archive_entry *entry);

UNUSED static inline void auto_archive(struct archive **a)
{
	archive_free(*a);
}

#endif
