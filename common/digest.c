#include "common/digest.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Fields up to this size are gathered, so that a row of small fields is one update of the hash. */
#define SMALL_FIELD 1024
#define GATHER      4096

struct digest_ctx {
	EVP_MD *md;
	EVP_MD_CTX *hash;
	bool failed;
	size_t len; /* gathered and not yet hashed */
	char gather[GATHER];
};

int digest_new(struct digest_ctx **ret, struct err *e)
{
	struct digest_ctx *d = calloc(1, sizeof(*d));

	if (!d)
		return err_nomem(e);
	d->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	d->hash = EVP_MD_CTX_new();
	if (!d->md || !d->hash) {
		digest_free(d);
		return err_set(e, ERR_INTERNAL, "the crypto library does not offer SHA-256");
	}
	*ret = d;
	return 0;
}

void digest_free(struct digest_ctx *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->hash);
	EVP_MD_free(d->md);
	free(d);
}

static void hash_bytes(struct digest_ctx *d, const void *data, size_t len)
{
	if (!EVP_DigestUpdate(d->hash, data, len))
		d->failed = true;
}

static void flush(struct digest_ctx *d)
{
	if (d->len > 0)
		hash_bytes(d, d->gather, d->len);
	d->len = 0;
}

static void gather(struct digest_ctx *d, const void *data, size_t len)
{
	if (len > GATHER - d->len)
		flush(d);
	memcpy(d->gather + d->len, data, len);
	d->len += len;
}

static uint32_t wire_oid(const struct digest_column *c)
{
	switch (c->mode) {
	case DIGEST_SEND:
		return DIGEST_OID_BYTEA;
	case DIGEST_TEXT:
		return DIGEST_OID_TEXT;
	case DIGEST_SELF:
		break;
	}
	return c->type_oid;
}

static void add_field(struct digest_ctx *d, uint32_t oid, const struct copyrow_field *f)
{
	const uint32_t head[2] = { htobe32(oid), htobe32((uint32_t)f->len) };

	gather(d, head, sizeof(head));
	if (f->len <= 0)
		return;
	if (f->len <= SMALL_FIELD) {
		gather(d, f->data, (size_t)f->len);
		return;
	}
	flush(d);
	hash_bytes(d, f->data, (size_t)f->len);
}

static void read_words(const unsigned char *hash, int64_t ret_word[2])
{
	for (int i = 0; i < 2; i++) {
		uint64_t word;

		memcpy(&word, hash + 8 * (size_t)i, sizeof(word));
		ret_word[i] = (int64_t)be64toh(word);
	}
}

void digest_row(struct digest_ctx *d, const struct digest_column *columns,
		const struct copyrow_field *fields, int n, int64_t ret_word[2])
{
	const uint32_t count = htobe32((uint32_t)n);
	unsigned char hash[EVP_MAX_MD_SIZE] = { 0 };

	d->len = 0;
	d->failed = !EVP_DigestInit_ex2(d->hash, d->md, NULL);
	gather(d, &count, sizeof(count));
	for (int i = 0; i < n; i++)
		add_field(d, wire_oid(&columns[i]), &fields[i]);
	flush(d);
	if (!EVP_DigestFinal_ex(d->hash, hash, NULL) || d->failed)
		memset(hash, 0, sizeof(hash));
	read_words(hash, ret_word);
}

static int by_name(const void *a, const void *b, void *columns)
{
	const struct digest_column *all = columns;

	return strcmp(all[*(const int *)a].name, all[*(const int *)b].name);
}

void digest_order(const struct digest_column *columns, int n, int *order)
{
	union {
		const struct digest_column *in;
		void *out;
	} ctx = { .in = columns };

	for (int i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, (size_t)n, sizeof(*order), by_name, ctx.out);
}

/* Adds fmt with its first %s replaced; a type's name may hold other percent signs. */
static void add_cast(struct text *t, const char *fmt, const char *value)
{
	const char *mark = strstr(fmt, "%s");

	if (!mark) {
		text_add(t, fmt);
		return;
	}
	text_addn(t, fmt, (size_t)(mark - fmt));
	text_add(t, value);
	text_add(t, mark + 2);
}

void digest_sql_value(struct text *t, const struct digest_column *c, const char *alias)
{
	AUTO_TEXT struct text name = TEXT_INIT;

	text_add_qname(&name, alias, c->name);
	t->failed |= name.failed;
	if (c->base_type)
		text_add(t, "(");
	add_cast(t, c->cast_fmt ? c->cast_fmt : "%s", text_str(&name));
	if (c->base_type)
		text_addf(t, ")::%s", c->base_type);
}

void digest_sql_column(struct text *t, const struct digest_column *c, const char *alias)
{
	switch (c->mode) {
	case DIGEST_SELF:
		digest_sql_value(t, c, alias);
		break;
	case DIGEST_SEND:
		text_addf(t, "%s(", c->send_fn);
		digest_sql_value(t, c, alias);
		text_add(t, ")");
		break;
	case DIGEST_TEXT:
		text_add(t, "CASE WHEN pg_catalog.num_nulls(");
		digest_sql_value(t, c, alias);
		text_add(t, ") = 0 THEN pg_catalog.format('%s', ");
		digest_sql_value(t, c, alias);
		text_add(t, ") END");
		break;
	}
}

void digest_sql_hash(struct text *t, const struct digest_column *columns, int n, const char *alias)
{
	AUTO(free) int *order = calloc(n > 0 ? (size_t)n : 1, sizeof(*order));

	if (!order) {
		t->failed = true;
		return;
	}
	digest_order(columns, n, order);
	text_add(t, "pg_catalog.sha256(pg_catalog.record_send(ROW(");
	for (int i = 0; i < n; i++) {
		text_add(t, i > 0 ? ", " : "");
		digest_sql_column(t, &columns[order[i]], alias);
	}
	text_add(t, ")))");
}

/* Word i of the hash s as a bigint. */
static void add_word(struct text *t, int i)
{
	text_addf(t,
		  "(('x' || pg_catalog.encode(pg_catalog.substr(s, %d, 8), 'hex'))"
		  "::pg_catalog.bit(64)::pg_catalog.int8)",
		  1 + 8 * i);
}

void digest_sql_tally(struct text *t, const struct digest_column *columns, int n, const char *from,
		      const char *where, const char *group_column)
{
	text_addf(t, "SELECT %spg_catalog.count(*), pg_catalog.sum(", group_column ? "g, " : "");
	add_word(t, 0);
	text_add(t, "), pg_catalog.sum(");
	add_word(t, 1);
	text_add(t, ") FROM (SELECT ");
	digest_sql_hash(t, columns, n, "nf_src");
	text_add(t, " AS s");
	if (group_column) {
		text_add(t, ", (");
		text_add_qname(t, "nf_src", group_column);
		text_add(t, ")::pg_catalog.text COLLATE pg_catalog.\"C\" AS g");
	}
	/* Volatile, so that the planner leaves s where it is, and safe in parallel workers. */
	text_addf(t, ", pg_catalog.pg_is_in_recovery() FROM %s AS nf_src", from);
	if (where)
		text_addf(t, " WHERE %s", where);
	text_addf(t, ") q%s", group_column ? " GROUP BY 1" : "");
}
