/*
 * annindex - the approximate indexes of both ends, and the SQL that searches through them.
 */
#ifndef VERIFY_ANNINDEX_H
#define VERIFY_ANNINDEX_H

#include "verify/knn.h"
#include "verify/pair.h"

#include <jansson.h>

/* One end of an index. */
struct annindex_end {
	char *name;      /* of the index; NULL: not there, or of another operator class */
	char *operand;   /* SQL of what is indexed: "embedding", or an expression */
	char *type;      /* "schema"."vector": what a query vector is cast to */
	char *operator;  /* OPERATOR("schema".<=>) */
	char *predicate; /* of a partial index, or NULL */
};

struct annindex {
	const struct pair *pair;
	char *label;  /* table.index, for people */
	char *part;   /* SQL of the one partition that the index is of; NULL: of the whole table */
	char *method; /* "hnsw" or "ivfflat" */
	enum knn_metric metric;
	bool half; /* the target's index holds halfvec */
	bool expression;
	int dims;                   /* 0: not known from the type */
	struct annindex_end end[2]; /* by enum pg_role */
};

struct annindex_list {
	int n;
	struct annindex *items;
};

/*
 * The valid indexes of both ends, matched by table, column or expression, metric. An index that
 * only one end has is listed with the other end's name NULL, its operand filled from the same
 * column, so that both can be searched. pg[PG_SOURCE] may be NULL. Adds a finding (unknown) for each
 * of the target that cannot be searched: over bits and sparse vectors.
 */
int annindex_read(struct annindex_list *ret, struct pg *const pg[2], const struct pairs *pairs,
		  json_t *checks, struct err *e) MUST_CHECK;
void annindex_free(struct annindex_list *l);

/* The text by which a row is known on both ends: its key, or a hash of the row without one. */
void annindex_add_key(struct text *sql, const struct annindex *x, enum pg_role role,
		      const char *alias);

/*
 * SELECT key, distance of the k nearest rows to `vector`, SQL of a value of end[role].type that
 * costs nothing to evaluate (it is, for every row): one query's, to stand alone or in a LATERAL.
 */
void annindex_add_search(struct text *sql, const struct annindex *x, enum pg_role role,
			 const char *vector, int k);

/* FROM ... AS nf_src [WHERE predicate] */
void annindex_add_from(struct text *sql, const struct annindex *x, enum pg_role role);

#endif
