/*
 * ddl_build - who may build what, and when. Private to schema/ddl*.
 *
 * Jobs over one or more archives: the constraints of a table together, each index of a large table
 * beside the others, those of small tables together, each vector index, each foreign key in two
 * steps (added, validated). A job may begin once its tables are loaded and what it needs is there.
 * ddl_build_next() hands jobs out; ddl_build_done() takes them back.
 *
 *   while tables are loaded   one session for sorts, without workers: the load goes first
 *   afterwards                `jobs` sessions
 *   vector indexes            one at a time, beside the others. From the moment it waits for its
 *                             turn, sorts begin without parallel workers and with little memory: a
 *                             build takes its workers at its start and never gets more later
 *
 * INVARIANT	No two jobs want locks of one table that exclude each other: a table is in one job's
 *		hands, in those of plain CREATE INDEX alone, or in nobody's.
 * THREADS	any; one leaf mutex. What a job points to belongs to who has it.
 */
#ifndef SCHEMA_DDL_BUILD_H
#define SCHEMA_DDL_BUILD_H

#include "schema/ddl_post.h"

/* What is built together in one hand: at most this many entries of small tables. */
#define DDL_BUILD_ENTRIES 64
/* Tables smaller than this share transactions: what they cost is round trips. */
#define DDL_SMALL_TABLE ((int64_t)1 << 20)

enum ddl_build_kind { DDL_BUILD_INDEX, DDL_BUILD_ADD, DDL_BUILD_VALIDATE, DDL_BUILD_VECTOR };

/* A hand: entries of one kind and one archive. */
struct ddl_build_hand {
	enum ddl_build_kind kind;
	struct ddl_post *post;
	bool small;   /* all in one transaction */
	int n, n_jobs;
	int *entries; /* malloc'ed */
	int *jobs;    /* malloc'ed; ddl_build's own */
};

struct ddl_build;

int ddl_build_new(struct ddl_build **ret, int jobs, struct err *e) MUST_CHECK;
void ddl_build_free(struct ddl_build *b);
/*
 * Adds what is pending of an archive: bytes are those of its tables by entry; partitioned names the
 * partitioned tables of the target, whose foreign keys are left: they take one step.
 */
int ddl_build_add(struct ddl_build *b, struct ddl_post *p, const int64_t *bytes,
		  const PGresult *partitioned, struct err *e) MUST_CHECK;
bool ddl_build_has_vectors(const struct ddl_build *b);

/* A table ("schema"."name" as SQL quotes it) is complete; unknown names are ignored. */
void ddl_build_loaded(struct ddl_build *b, const char *qname, int64_t bytes);
void ddl_build_all_loaded(struct ddl_build *b);

/*
 * 1: *ret is the next hand for a session (vectors: the vector session); 0: nothing for now, ask
 * again (it has waited some seconds); -1: nothing will come, or ddl_build_end() was called.
 */
int ddl_build_next(struct ddl_build *b, bool vectors, struct ddl_build_hand *ret);
/* Gives a hand back and frees what it holds; outcomes are in the post's state. */
void ddl_build_done(struct ddl_build *b, struct ddl_build_hand *hand);
/* Nobody gets or waits for anything any more. */
void ddl_build_end(struct ddl_build *b);

/*
 * Around each sort of a large table. True: it may have workers and its share of memory; then no
 * vector index begins before ddl_build_sort_end(b, true).
 */
bool ddl_build_sort_begin(struct ddl_build *b);
void ddl_build_sort_end(struct ddl_build *b, bool full);

#endif
