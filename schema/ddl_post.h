/*
 * ddl_post - what the parts of the post-data phase share. Private to schema/ddl*.
 */
#ifndef SCHEMA_DDL_POST_H
#define SCHEMA_DDL_POST_H

#include "schema/ddl_state.h"

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

/* Marks these entries as the ledger has them: after a failure, before trying again. */
int ddl_post_refresh(struct ddl_post *p, struct pg *pg, const int *entries, int n,
		     struct err *e) MUST_CHECK;

/* Settles "already exists" by looking at the catalog; a ddl_judge with a struct ddl_post as ctx. */
char *ddl_post_judge(struct ddl_session *s, void *ctx, const struct ddl_item *item, struct err *e);

/* --- ddl_vector.c --- */

/* True for an index with method hnsw or ivfflat. */
bool ddl_vector_is(const struct archive_entry *entry);
/* Builds these entries one after another, each with memory and workers. */
int ddl_vector_build(struct ddl_post *p, const int *entries, int n, struct err *e) MUST_CHECK;

/* --- ddl_foreign.c --- */

/*
 * "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY ..." with NOT VALID added (malloc'ed), and the
 * statement that validates it. Returns false (nothing set) where that cannot or need not be: a
 * partitioned table, one that is NOT VALID or NOT ENFORCED already. ret_references (may be
 * NULL) gets the name of the other table as it stands.
 */
bool ddl_foreign_split(const char *sql, char **ret_add, char **ret_validate,
		       struct text *ret_references);
/* Adds and validates all foreign keys of the archive. */
int ddl_foreign_keys(struct ddl_post *p, struct err *e) MUST_CHECK;
/*
 * The first keys that break a foreign key, as "(1), (2)"; empty when it cannot be told. constraint
 * is an SQL condition on pg_constraint c.
 */
void ddl_foreign_offenders(struct pg *pg, const char *constraint, struct text *ret);

#endif
