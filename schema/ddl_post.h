/*
 * ddl_post - what the parts of the post-data phase share. Private to schema/ddl*.
 */
#ifndef SCHEMA_DDL_POST_H
#define SCHEMA_DDL_POST_H

#include "schema/ddl_memory.h"
#include "schema/ddl_state.h"

/* SET statements of the sessions that build, and of the one for vector indexes. */
extern const char ddl_post_settings[], ddl_vector_settings[];

struct ddl_post {
	const struct ddl *d;
	const struct archive *archive;
	struct ddl_phase *phase;
	bool aside; /* the archive is what was set aside */
	/*
	 * Loaded at the start, kept up to date by the steps. Threads touch only the entries of
	 * their own tasks.
	 */
	struct ddl_state state;
};

static inline const char *ddl_post_section(const struct ddl_post *p)
{
	return p->aside ? DDL_ASIDE : DDL_POST;
}

/* All steps of the phase over p->archive. */
int ddl_post_run(struct ddl_post *p, struct err *e) MUST_CHECK;

/* An index, a primary key, a unique or exclusion constraint; a foreign key. */
bool ddl_post_is_build(const struct archive_entry *entry);
bool ddl_post_is_foreign(const struct archive_entry *entry);

struct ddl_build;
/*
 * Reads the ledger into p->state, records what is never applied, and adds to the queue what is to be
 * built. *server is what the target has for it.
 */
int ddl_post_queue(struct ddl_post *p, struct ddl_build *queue, struct ddl_server *server,
		   struct err *e) MUST_CHECK;
/* How many of its indexes, constraints and foreign keys are to come. */
int ddl_post_pending(const struct ddl_post *p);
/* The event of an entry that was built. */
void ddl_post_tell_built(const struct ddl_post *p, int entry, uint64_t ms);

/* Marks these entries as the ledger has them: after a failure, before trying again. */
int ddl_post_refresh(struct ddl_post *p, struct pg *pg, const int *entries, int n,
		     struct err *e) MUST_CHECK;

/* Settles "already exists" by looking at the catalog; a ddl_judge with a struct ddl_post as ctx. */
char *ddl_post_judge(struct ddl_session *s, void *ctx, const struct ddl_item *item, struct err *e);

/* --- ddl_vector.c --- */

/* True for an index with method hnsw or ivfflat. */
bool ddl_vector_is(const struct archive_entry *entry);
/* Builds this entry with memory and workers, in a session that has ddl_vector_settings. */
int ddl_vector_build(struct ddl_post *p, struct ddl_session *s, int entry,
		     struct err *e) MUST_CHECK;

/* --- ddl_foreign.c --- */

/*
 * "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY ..." with NOT VALID added (malloc'ed), and the
 * statement that validates it. Returns false (nothing set) where that cannot or need not be: a
 * partitioned table, one that is NOT VALID or NOT ENFORCED already. ret_references (may be
 * NULL) gets the name of the other table as it stands.
 */
bool ddl_foreign_split(const char *sql, char **ret_add, char **ret_validate,
		       struct text *ret_references);
/*
 * True for a foreign key that is added NOT VALID and validated afterwards; *ret_other gets the table
 * it refers to as "schema"."name". partitioned: rows of names, as format('%I.%I') writes them.
 */
bool ddl_foreign_has_steps(const struct archive_entry *entry, const PGresult *partitioned,
			   struct text *ret_other);
int ddl_foreign_list_partitioned(struct pg *pg, PGresult **ret, struct err *e) MUST_CHECK;
/* Adds these entries NOT VALID, those that are pending. */
int ddl_foreign_add(struct ddl_post *p, struct ddl_session *s, const int *entries, int n,
		    struct err *e) MUST_CHECK;
/* Validates one; rows that break it are named. */
int ddl_foreign_validate(struct ddl_post *p, struct ddl_session *s, int entry,
			 struct err *e) MUST_CHECK;
/*
 * The first keys that break a foreign key, as "(1), (2)"; empty when it cannot be told. constraint
 * is an SQL condition on pg_constraint c.
 */
void ddl_foreign_offenders(struct pg *pg, const char *constraint, struct text *ret);

/* --- ddl_restore.c --- */

/* What was set aside, as an archive; of no entries where nothing was. */
int ddl_aside_archive(const struct ddl *d, struct archive **ret, struct err *e) MUST_CHECK;

#endif
