/*
 * planformat - where text is shorter than binary: narrow tables, found by a sample.
 *
 * Binary writes 4 bytes of length before every field and 8 for every bigint; text writes a tab and
 * the digits. A table of small numbers and short words can be half as long in text. What is long in
 * text, or slow to read there (vectors, floats, bytea), is never asked about.
 */
#include "transfer/planpriv.h"

#include <stdlib.h>
#include <string.h>

/* A smaller table is moved before it could be sampled. */
#define SAMPLE_TABLE_BYTES ((uint64_t)1 << 20)
/* Bytes a page, TOAST included, from which on rows are wide: rows are not counted yet. */
#define WIDE_PAGE ((uint64_t)2 * 8192)
#define SAMPLE_PAGES 4	   /* of each place: begin, middle, end */
#define SAMPLE_ROWS 300	   /* of each place at most */
#define SAMPLE_LEAST 100   /* fewer rows than this say nothing */
#define TABLES_AT_ONCE 200 /* sampled in one transaction: each is a lock */

/* Text must be shorter than this share of binary: less is not worth the parsing. */
#define GAIN_NUMERATOR 3
#define GAIN_DENOMINATOR 4

/* Built-in types whose text is short and read quickly. */
static bool is_plain(const struct plan_column *c)
{
	static const uint32_t plain[] = {
		16,   /* bool */
		18,   /* "char" */
		19,   /* name */
		20,   /* int8 */
		21,   /* int2 */
		23,   /* int4 */
		25,   /* text */
		26,   /* oid */
		1042, /* char(n) */
		1043, /* varchar(n) */
		1082, /* date */
		1083, /* time */
		1114, /* timestamp */
		1184, /* timestamptz */
		1700, /* numeric */
		2950, /* uuid */
	};

	for (size_t i = 0; c->digest.mode == DIGEST_SELF && i < ARRAY_LEN(plain); i++)
		if (plain[i] == c->digest.type_oid)
			return true;
	return false;
}

static bool may_be_text(const struct plan_table *t)
{
	if (!t->binary || t->n_columns == 0 || t->bytes < SAMPLE_TABLE_BYTES)
		return false;
	if (t->bytes > t->pages * WIDE_PAGE) /* nothing to gain, and the sample would be long */
		return false;
	for (int i = 0; i < t->n_columns; i++)
		if (!is_plain(&t->columns[i]))
			return false;
	return true;
}

/* Rows of a few pages in three places; a place whose rows were all deleted gives none. */
static void sample_query(const struct plan_table *t, bool binary, struct text *sql)
{
	uint32_t last = t->pages > SAMPLE_PAGES ? t->pages - SAMPLE_PAGES : 0;
	const uint32_t places[] = { 0, last / 2, last };

	text_add(sql, "COPY (");
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (i > 0 && places[i] == places[i - 1])
			continue;
		text_add(sql, i ? " UNION ALL (SELECT " : "(SELECT ");
		for (int k = 0; k < t->n_columns; k++) {
			text_add(sql, k ? ", " : "");
			text_add_ident(sql, t->columns[k].name);
		}
		text_addf(sql,
			  " FROM ONLY %s WHERE ctid >= '(%u,0)'::pg_catalog.tid AND ctid < "
			  "'(%u,0)'::pg_catalog.tid LIMIT %d)",
			  t->qname, places[i], places[i] + SAMPLE_PAGES, SAMPLE_ROWS);
	}
	text_addf(sql, ") TO STDOUT%s", binary ? " (FORMAT binary)" : "");
}

/* Bytes and rows of the sample as COPY writes it; the binary header and trailer count as a row. */
static int measure(const struct plan_table *t, struct pg *pg, bool binary, uint64_t *ret_bytes,
		   uint64_t *ret_rows, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	char *row = NULL;
	int len = 0, rc;

	*ret_bytes = *ret_rows = 0;
	sample_query(t, binary, &sql);
	if (text_check(&sql, e) < 0 || pg_copy_out(pg, text_str(&sql), e) < 0)
		return -1;
	while ((rc = pg_copy_row(pg, &row, &len, e)) > 0) {
		PQfreemem(row);
		*ret_bytes += (uint64_t)len;
		*ret_rows += 1;
	}
	return rc;
}

static int sample(const struct plan_table *t, struct pg *pg, struct text *why, struct err *e)
{
	uint64_t binary, text, rows, messages;

	if (measure(t, pg, false, &text, &rows, e) < 0 ||
	    measure(t, pg, true, &binary, &messages, e) < 0)
		return err_note(e, "sampling %s", t->qname);
	if (rows < SAMPLE_LEAST || text * GAIN_DENOMINATOR > binary * GAIN_NUMERATOR)
		return 0;
	text_addf(why, "text is shorter: %.1f bytes a row against %.1f in binary, of %llu rows sampled",
		  (double)text / (double)rows, (double)binary / (double)rows,
		  (unsigned long long)rows);
	return text_check(why, e);
}

/* The partitions of a table are proven as one, so they travel in one format. */
static bool is_family(const struct plan_table *a, const struct plan_table *b)
{
	return strcmp(a->proof_name, b->proof_name) == 0 &&
	       strcmp(a->proof_schema, b->proof_schema) == 0;
}

static bool is_decided(const struct plan *p, int no)
{
	for (int i = 0; i < no; i++)
		if (is_family(&p->tables[i], &p->tables[no]))
			return true;
	return false;
}

static int make_text(struct plan *p, const struct plan_table *like, const char *why,
		     const struct catalog *source, struct err *e)
{
	for (int i = 0; i < p->n_tables; i++) {
		struct plan_table *t = &p->tables[i];

		if (!t->binary || !is_family(t, like))
			continue;
		t->not_binary_why = strdup(why);
		if (!t->not_binary_why)
			return err_nomem(e);
		t->binary = false;
		plan_route_by_text(t, catalog_table(source, t->schema, t->name));
	}
	return 0;
}

int plan_choose_formats(struct plan *p, struct pg *pg, const char *snapshot,
			const struct catalog *source, const struct run_settings *s, struct err *e)
{
	int n = 0;

	for (int i = 0; i < p->n_tables && s->format == RUN_FORMAT_AUTO; i++) {
		AUTO_TEXT struct text why = TEXT_INIT;

		if (!may_be_text(&p->tables[i]) || is_decided(p, i))
			continue;
		if (n > 0 && n % TABLES_AT_ONCE == 0 && plan_renew(pg, snapshot, e) < 0)
			return -1;
		n++;
		if (sample(&p->tables[i], pg, &why, e) < 0 ||
		    (why.len > 0 && make_text(p, &p->tables[i], text_str(&why), source, e) < 0))
			return -1;
	}
	return 0;
}
