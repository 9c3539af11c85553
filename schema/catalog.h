/*
 * catalog - what a database looks like, read in a handful of queries however many tables there are.
 *
 * The model that planning, comparing and verifying work on. Everything of a database that is the
 * user's: not pg_catalog, information_schema, pg_toast, temporary objects, members of extensions,
 * the schema neonferry, nor Neon's own (neon, neon_migration).
 *
 * INVARIANT	Tables are sorted by (schema, name) in byte order; columns by attnum.
 * OWNER	catalog_free() frees all; every string inside is the catalog's.
 * THREADS	Read-only once read; any number of threads may look at it.
 */
#ifndef SCHEMA_CATALOG_H
#define SCHEMA_CATALOG_H

#include "common/digest.h"
#include "common/pg.h"

/* How a column's type travels and is digested. */
struct column {
	char *name;
	int attnum;
	char *type;	    /* format_type(): "vector(1536)", "public.mood"; search_path is empty */
	uint32_t type_oid;
	int32_t typmod;
	bool not_null;
	bool dropped_before; /* true if dropped columns stand before it */
	char identity;	    /* '\0', 'a' always, 'd' by default */
	char generated;	    /* '\0', 's' stored, 'v' virtual: never in a COPY list */
	char *default_expr; /* SQL text or NULL */
	char *collation;    /* "schema"."name" if not the type's default, or NULL */
	bool binary;	    /* has send and receive functions and no OIDs of this database in its bytes */
	char *not_binary_why; /* reason in words where !binary, else NULL */
	bool is_vector;	    /* pgvector's vector, for the exponent-plane codec and presence checks */
	bool is_vector_like; /* vector, halfvec or sparsevec */
	struct digest_column digest;
	char *digest_base_type, *digest_send_fn; /* storage behind digest's pointers */
};

/* relkind as pg_class has it: r, p, m, f, v, S. */
struct table {
	char *schema, *name;
	char *qname;	    /* "schema"."name", quoted */
	uint32_t oid, relfilenode;
	char kind;
	char persistence;   /* p permanent, u unlogged */
	char *access_method; /* "heap", ... or NULL */
	int64_t pages;	    /* pg_relation_size / 8192 at reading time */
	int64_t bytes;	    /* pg_table_size: heap and TOAST */
	double est_rows;
	int n_columns;
	struct column *columns;
	bool row_security, force_row_security;
	bool rls_blocks_us; /* row_security would apply to the current role */
	bool can_select, can_insert, can_truncate, is_owner;
	bool has_primary_key;
	bool is_partition;
	char *partition_bound; /* pg_get_expr(relpartbound) or NULL */
	char *root_schema, *root_name; /* of the partition tree's root; NULL if none */
	bool has_children;  /* inheritance or partitions below it */
	bool is_referenced; /* a foreign key of another table points here */
	char *options;	    /* reloptions, comma separated, or NULL */
};

struct extension {
	char *name, *version, *schema;
};

struct sequence {
	char *schema, *name, *qname;
	uint32_t oid;
	char *data_type, *start, *min, *max, *increment, *cache;
	bool cycle;
	char *owned_by_table, *owned_by_column; /* qualified table and column, or NULL */
	bool can_read, can_write;
};

struct catalog {
	int version;	   /* server_version_num */
	char *database, *encoding, *collate, *system_identifier; /* last may be NULL: no right */
	int n_tables, n_extensions, n_sequences;
	struct table *tables;
	struct extension *extensions;
	struct sequence *sequences;
	int64_t n_large_objects;
};

/* Which tables to read. Names are "schema.table" or "table" (any schema), SQL-quoted where needed. */
struct catalog_filter {
	const char *const *tables;   int n_tables;   /* only these, if any */
	const char *const *excluded; int n_excluded; /* and not these */
};

/*
 * Reads in the session's current transaction, or in one of its own. A name in the filter that
 * matches nothing is ERR_USAGE naming it. filter may be NULL.
 */
int catalog_read(struct catalog **ret, struct pg *pg, const struct catalog_filter *filter,
		 struct err *e) MUST_CHECK;
void catalog_free(struct catalog *c);

struct table *catalog_table(const struct catalog *c, const char *schema, const char *name);
const struct table *catalog_table_by_oid(const struct catalog *c, uint32_t oid);
const struct extension *catalog_extension(const struct catalog *c, const char *name);
const struct column *table_column(const struct table *t, const char *name);

/* The columns COPY carries: not generated. Returns their number; order[] gets their indexes. */
int table_copy_columns(const struct table *t, int *order);

/* Comma-separated quoted column names of the COPY list; empty text where there are none. */
void table_copy_list(const struct table *t, struct text *ret);

/* digest_column array (malloc'ed) of the COPY columns, or of the generated ones. Borrowed strings. */
int table_digest_columns(const struct table *t, bool generated, struct digest_column **ret,
			 int *ret_n, struct err *e) MUST_CHECK;

UNUSED static inline void auto_catalog(struct catalog **c)
{
	catalog_free(*c);
}

#endif
