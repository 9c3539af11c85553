/*
 * digest - of one row: the same 128 bits from the COPY stream in C and from SQL in either server.
 *
 * SHA-256 over the bytes of record_send(ROW(columns in byte order of name)): int32 column count,
 * then per column int32 type OID, int32 length (-1: NULL), bytes. The two words are the first two
 * big-endian signed 64-bit integers of the hash. How a column enters the row is its mode:
 *
 *   DIGEST_SELF	built-in type (domains: cast to the base type); its own send bytes and OID
 *   DIGEST_SEND	extension types and enums: send_function(column), a bytea (OID 17)
 *   DIGEST_TEXT	everything else: the output function's text (OID 25), from
 *		CASE WHEN num_nulls(c) = 0 THEN format('%s', c) END; never c::text, which differs for
 *		bool, char(n) and inet
 *
 * THREADS	A digest_ctx belongs to one thread.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "common/copyrow.h"
#include "common/tally.h"
#include "common/text.h"

enum digest_mode { DIGEST_SELF, DIGEST_SEND, DIGEST_TEXT };

#define DIGEST_OID_BYTEA 17
#define DIGEST_OID_TEXT 25

/* One column as the digest sees it. Strings are borrowed from the catalog. */
struct digest_column {
	const char *name;      /* the column's name */
	enum digest_mode mode;
	uint32_t type_oid;     /* DIGEST_SELF: the (base) type's OID; else 17 or 25 */
	const char *base_type; /* domain: "schema"."type" to cast to, quoted; else NULL */
	const char *send_fn;   /* DIGEST_SEND: "schema"."function", quoted; else NULL */
	const char *cast_fmt;  /* conversion applied before (vector to halfvec): "(%s)::t"; or NULL */
};

struct digest_ctx;

int digest_new(struct digest_ctx **ret, struct err *e) MUST_CHECK;
void digest_free(struct digest_ctx *d);

/*
 * The digest of one row. fields[i] is the wire bytes of columns[i]; the columns are in byte order
 * of name (digest_order()). For DIGEST_TEXT the bytes are the text itself. n may be 0: the server
 * hashes ROW() the same way. Should the crypto library fail, both words are 0 and no proof succeeds.
 */
void digest_row(struct digest_ctx *d, const struct digest_column *columns,
		const struct copyrow_field *fields, int n, int64_t ret_word[2]);

/* Sorts an index array of n columns by byte order of name. order[] is 0..n-1 on return, sorted. */
void digest_order(const struct digest_column *columns, int n, int *order);

/* SQL: the column with its conversion and without its domain, which the mode's function gets. */
void digest_sql_value(struct text *t, const struct digest_column *c, const char *alias);

/* The SQL expression of one column as it stands in the ROW(), e.g. "public"."vector_send"("emb"). */
void digest_sql_column(struct text *t, const struct digest_column *c, const char *alias);

/*
 * The SQL of a row's hash: pg_catalog.sha256(pg_catalog.record_send(ROW(...))), columns put into
 * byte order of name here. `alias` is the FROM alias that qualifies every column.
 */
void digest_sql_hash(struct text *t, const struct digest_column *columns, int n, const char *alias);

/*
 * A whole aggregate query: SELECT [group,] count(*), sum(word 0), sum(word 1) FROM (SELECT hash AS s
 * [, group AS g], pg_is_in_recovery() FROM <from> AS nf_src [WHERE <where>]) q [GROUP BY 1]. The
 * volatile function keeps the hash from being computed twice, as OFFSET 0 would; but where the server
 * has parallel workers, each adds up its own rows. group_column (a column's name, or NULL) is grouped
 * by as column::text COLLATE "C". `from` is quoted SQL such as ONLY "public"."t".
 */
void digest_sql_tally(struct text *t, const struct digest_column *columns, int n, const char *from,
		      const char *where, const char *group_column);

#endif
