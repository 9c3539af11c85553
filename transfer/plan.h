/*
 * plan - what will be read, in which ranges and routes, and how many rows there must be.
 *
 * Built under the run's snapshot, written once as plan.<no>.json and never changed: chunks refer to
 * it by number. A later plan is made only when the snapshot was lost and everything was proven again
 * under a new one. It holds all that loading needs, so a complete capture needs no source.
 *
 * A table is cut into ranges of blocks, closed at the table's size after the snapshot. Every row of a
 * range belongs to exactly one route: a route lists collections; the last route of a table is the
 * remainder (every other collection, and NULL), so no row can fall between.
 *
 * INVARIANT	Ranges of a table follow one another without gap, from block 0 to `pages`. With
 *		`only_collections` there is no remainder: other rows are not wanted.
 * OWNER	plan_free(). Read-only once made; shared by all threads.
 */
#ifndef TRANSFER_PLAN_H
#define TRANSFER_PLAN_H

#include "schema/catalog.h"
#include "transfer/run.h"

struct plan_route {
	int n_collections;
	int *collections; /* indexes into the table's collections; none: the remainder */
	bool remainder;
	uint64_t rows;	  /* expected */
};

struct plan_range {
	uint32_t from_block, to_block; /* [from, to) */
};

struct plan_collection {
	char *name;    /* NULL: rows whose collection is NULL; always the last, if any */
	size_t len;
	uint64_t rows; /* independent count */
	int route;
};

/* One column of the stream; the first n_sent of a table are what is sent. */
struct plan_column {
	char *name;
	struct digest_column digest; /* strings owned by the plan */
	char *base_type, *send_fn;
	char *cast;  /* what the source converts it by, as digest_column has it, or NULL */
	bool vector; /* travels as vector */
};

struct plan_table {
	int no;
	char *schema, *name, *qname;
	char *target_qname;		  /* the leaf, or the root where bounds differ */
	char *proof_schema, *proof_name;  /* what the proof looks at: root of the partitions, or itself */
	uint32_t oid, relfilenode;
	uint32_t pages;
	uint64_t bytes;			  /* heap and TOAST in the source */
	uint64_t rows;			  /* independent count (of the wanted collections) */
	bool binary;
	char *not_binary_why;
	bool unlogged;
	int n_columns;			  /* COPY columns, in the source's order */
	struct plan_column *columns;
	char *copy_list;		  /* quoted, comma separated; may be empty */
	char *collection_column;	  /* or NULL */
	bool collection_is_text;	  /* its wire bytes are the name itself */
	bool only_collections;
	int n_collections;
	struct plan_collection *collections;
	int n_routes;
	struct plan_route *routes;
	int n_ranges;
	struct plan_range *ranges;
	bool already_there;		  /* target digest equal: nothing to do */
};

struct plan {
	int no;
	char snapshot[64];
	char lsn[32];
	char source_id[96]; /* system identifier and name of the source's database; "": unknown */
	int64_t large_objects; /* in the source: an independent count, as those of rows are */
	int n_tables;
	struct plan_table *tables; /* in the order of reading: longest first */
	json_t *left_out;	   /* array of {what, name, why} */
	json_t *losses;            /* array: schema/halfvec.h, of columns that are converted */
};

/*
 * Makes the plan in pg's transaction, which has the run's snapshot: tables, columns, counts, routes,
 * ranges. What cannot be read completely is ERR_REFUSED by name. With many tables the transaction is
 * ended and begun again with `snapshot` (the exported one; NULL: with whatever is current), so that
 * its locks do not fill the server's lock table.
 */
int plan_make(struct plan **ret, int no, struct pg *pg, const char *snapshot,
	      const struct catalog *source, const struct run_settings *s, struct err *e) MUST_CHECK;
void plan_free(struct plan *p);

/* Before tables are locked, which needs the same right: ERR_REFUSED for one that we may not read. */
int plan_check_rights(const struct catalog *source, struct err *e) MUST_CHECK;

/*
 * Finds each table's place in the target and compares the two: differences that would lose or change
 * data are ERR_REFUSED, all of a table at once. A leaf partition goes to the same leaf where bounds
 * are equal, else through its root. Decides text where the ends do not agree on a binary form.
 * may_be_missing: the target's schema is not there yet.
 */
int plan_match_target(struct plan *p, const struct catalog *source, const struct catalog *target,
		      const struct run_settings *s, bool may_be_missing, struct err *e) MUST_CHECK;

/* The folder's newest plan, or number no (> 0). Damaged: ERR_DISK naming the file. */
int plan_load(struct plan **ret, const char *dir, int no, struct err *e) MUST_CHECK;
int plan_save(const struct plan *p, const char *dir, struct err *e) MUST_CHECK;
int plan_newest(const char *dir); /* 0: none */
json_t *plan_json(const struct plan *p);
int plan_parse(struct plan **ret, const json_t *j, struct err *e) MUST_CHECK;

/* Index of a collection by name bytes (NULL: the NULL collection), or -1. */
int plan_find_collection(const struct plan_table *t, const char *name, size_t len);

/* SQL: the COPY that reads blocks from position `from` of range r on. */
void plan_copy_out(const struct plan_table *t, const struct plan_range *r, uint64_t from,
		   struct text *sql);
void plan_copy_in(const struct plan_table *t, struct text *sql);
/* SQL: "ctid >= .. AND ctid < .. AND collection in route" of a chunk's predicate. */
void plan_predicate(const struct plan_table *t, int route, uint64_t from, uint64_t to,
		    struct text *sql);
/* digest_column array of the COPY columns in the source's order; malloc'ed, strings borrowed. */
struct digest_column *plan_digest_columns(const struct plan_table *t);

UNUSED static inline void auto_plan(struct plan **p)
{
	plan_free(*p);
}

#endif
