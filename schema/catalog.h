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

/* How a column's type travels and is digested: the rules are in schema/coltype.h. */
struct column {
	const char *name;
	int attnum;
	const char *type; /* format_type(): "public.vector(1536)", "text"; usable in SQL */
	uint32_t type_oid;
	int32_t typmod;
	bool not_null;
	bool dropped_before;      /* dropped columns stand before it */
	char identity;            /* '\0', 'a' always, 'd' by default */
	char generated;           /* '\0', 's' stored, 'v' virtual: never in a COPY list */
	const char *default_expr; /* SQL text (of a generated column: its expression) or NULL */
	const char *collation;    /* "schema"."name", quoted, if not the type's default, or NULL */
	bool binary; /* has send and receive functions and is no OID of this database */
	const char *not_binary_why; /* reason in words where !binary, else NULL */
	const char *extension; /* that the type, or the type of its elements, comes from, or NULL */
	bool is_vector; /* pgvector's vector, for the exponent-plane codec and presence checks */
	bool is_vector_like; /* vector, halfvec or sparsevec */
	struct digest_column digest;
};

/* relkind as pg_class has it: r, p, m, f or v. */
struct table {
	const char *schema, *name;
	const char *qname; /* "schema"."name", quoted */
	uint32_t oid, relfilenode;
	char kind;
	char persistence;          /* p permanent, u unlogged */
	const char *access_method; /* "heap", ... or NULL */
	int64_t pages;   /* pg_relation_size in pages at reading time; kinds r and m, else 0 */
	int64_t bytes;   /* pg_table_size: heap and TOAST; kinds r and m, else 0 */
	double est_rows; /* of the last VACUUM or ANALYZE; -1: never */
	int n_columns;
	struct column *columns;
	bool row_security, force_row_security;
	bool rls_blocks_us; /* row_security would apply to the current role */
	bool can_select, can_insert, can_truncate, is_owner; /* the schema's USAGE included */
	bool has_primary_key;
	bool is_partition;
	const char *partition_bound; /* pg_get_expr(relpartbound) or NULL */
	uint32_t parent_oid; /* is_partition: the table it is directly a partition of; else 0 */
	const char *root_schema, *root_name; /* is_partition: root of its tree; else NULL */
	bool has_children;                   /* inheritance or partitions below it */
	bool is_referenced;                  /* a foreign key of another table points here */
	const char *options;                 /* reloptions, comma separated, or NULL */
};

/* Installed (schema set), or only available (schema NULL, version the default one). */
struct extension {
	const char *name, *version, *schema;
};

struct sequence {
	const char *schema, *name, *qname;
	uint32_t oid;
	const char *data_type, *start, *min, *max, *increment, *cache;
	bool cycle;
	uint32_t owner_oid;                           /* the owning table, or 0 */
	const char *owned_by_table, *owned_by_column; /* quoted table, plain column, or NULL */
	bool can_read, can_write;
};

struct catalog {
	int version; /* server_version_num */
	const char *database, *encoding, *collate;
	const char *system_identifier; /* NULL: no right to see it */
	int n_tables, n_extensions, n_available, n_sequences;
	struct table *tables;
	struct extension *extensions; /* installed, by name */
	struct extension *available;  /* what CREATE EXTENSION could install, by name */
	struct sequence *sequences;
	int64_t n_large_objects;
	char *halfvec_cast, *halfvec_send; /* of marked columns (halfvec.h), or NULL */
	struct catalog_store *store; /* what holds the strings and columns; catalog.c's own */
};

/*
 * Which tables to read: "schema.table" or "table" (any schema), SQL-quoted where needed, with * for
 * any characters (pattern.h). A name stands for the partitions below the table, too. Sequences go
 * with the table that owns them; the others are read if `tables` is empty.
 */
struct catalog_filter {
	const char *const *tables;
	int n_tables; /* only these, if any */
	const char *const *excluded;
	int n_excluded; /* and not these */
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

/* digest_column array (malloc'ed) of the COPY columns, or of the generated ones. Borrowed strings.
 */
int table_digest_columns(const struct table *t, bool generated, struct digest_column **ret,
			 int *ret_n, struct err *e) MUST_CHECK;

/* For a table that travels as text: every column is digested by its output function. */
void table_digest_as_text(struct digest_column *columns, int n);

/*
 * True if every column that COPY carries can go in binary, as far as this server knows (whether
 * the other end agrees: compare.h). Else *ret_column (may be NULL) is the first that cannot.
 */
bool table_is_binary(const struct table *t, const struct column **ret_column);

UNUSED static inline void auto_catalog(struct catalog **c)
{
	catalog_free(*c);
}

#endif
