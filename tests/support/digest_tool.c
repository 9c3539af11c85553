/*
 * digest_tool - digests every table of a database twice: from its COPY stream, and in the server.
 *
 *	digest_tool URI [--text]
 *
 * For each table one line, tab-separated: table, mode (binary, or text and the reason), then rows
 * and the two sums of the stream, then rows and the two sums that the server computed. --text reads
 * every table in text. For tests; does not verify anything by itself.
 */
#include "common/conn.h"
#include "schema/catalog.h"

#include <stdio.h>
#include <string.h>

/* One table on its way through the tool. Columns are in the order of the digest. */
struct job {
	const struct table *table;
	bool text;
	struct digest_column *columns;
	int n;
	struct text
		from; /* "ONLY "schema"."name"", without ONLY for partitioned tables and views */
};

static int put_in_order(struct job *job, struct err *e)
{
	AUTO(free) int *order = calloc((size_t)job->n + 1, sizeof(*order));
	struct digest_column *sorted = calloc((size_t)job->n + 1, sizeof(*sorted));

	if (!order || !sorted) {
		free(sorted);
		return err_nomem(e);
	}
	digest_order(job->columns, job->n, order);
	for (int i = 0; i < job->n; i++)
		sorted[i] = job->columns[order[i]];
	free(job->columns);
	job->columns = sorted;
	return 0;
}

static int job_begin(struct job *job, const struct table *t, bool text, struct err *e)
{
	*job = (struct job){ .table = t, .text = text || !table_is_binary(t, NULL) };
	if (table_digest_columns(t, false, &job->columns, &job->n, e) != 0)
		return -1;
	if (job->text)
		table_digest_as_text(job->columns, job->n);
	text_addf(&job->from, "%s%s", t->kind == 'r' || t->kind == 'f' ? "ONLY " : "", t->qname);
	return put_in_order(job, e);
}

static void job_end(struct job *job)
{
	free(job->columns);
	text_done(&job->from);
}

/* In binary, a column that is digested as text comes twice: as itself, and as text behind all. */
static void copy_sql(const struct job *job, struct text *sql)
{
	const char *comma = "";

	text_add(sql, "COPY (SELECT ");
	for (int i = 0; i < job->n; i++, comma = ", ") {
		text_add(sql, comma);
		text_add_qname(sql, "s", job->columns[i].name);
	}
	for (int i = 0; i < job->n && !job->text; i++) {
		if (job->columns[i].mode != DIGEST_TEXT)
			continue;
		text_add(sql, ", ");
		digest_sql_column(sql, &job->columns[i], "s");
	}
	text_addf(sql, " FROM %s AS s) TO STDOUT%s", text_str(&job->from),
		  job->text ? "" : " (FORMAT binary)");
}

/* The fields of one row, those of the text columns behind put into the places of their columns. */
static int split(const struct job *job, const char *data, size_t len, char *scratch,
		 struct copyrow_field *fields, struct err *e)
{
	size_t used;
	int n, extra = job->n;

	if (job->text) {
		n = copyrow_text(data, len, scratch, fields, 2 * job->n + 1, e);
		/* A row without columns is an empty line, which reads as one empty field. */
		return n >= 0 && job->n == 0 ? 0 : n;
	}
	n = copyrow_binary(data, len, fields, 2 * job->n + 1, &used, e);
	for (int i = 0; n >= 0 && i < job->n; i++)
		if (job->columns[i].mode == DIGEST_TEXT)
			fields[i] = fields[extra++];
	if (n >= 0 && n != extra)
		return err_set(e, ERR_INTERNAL, "%d fields instead of %d", n, extra);
	return n;
}

static int take_row(const struct job *job, struct digest_ctx *digest, const char *data, size_t len,
		    struct tally *tally, struct err *e)
{
	AUTO(free) char *scratch = malloc(len + 1);
	AUTO(free)
	struct copyrow_field *fields = calloc(2 * (size_t)job->n + 1, sizeof(struct copyrow_field));
	int64_t word[2];
	size_t skip = 0;

	if (!scratch || !fields)
		return err_nomem(e);
	if (!job->text && copyrow_skip_header(data, len, &skip, e) < 0)
		return -1;
	if (skip == len)
		return 0;
	int n = split(job, data + skip, len - skip, scratch, fields, e);
	if (n == COPYROW_END)
		return 0;
	if (n < 0)
		return -1;
	digest_row(digest, job->columns, fields, job->n, word);
	tally_row(tally, word);
	return 0;
}

static int digest_stream(struct pg *pg, const struct job *job, struct tally *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct digest_ctx *digest;
	int more = -1, len;
	char *data;

	copy_sql(job, &sql);
	if (text_check(&sql, e) != 0 || digest_new(&digest, e) != 0)
		return -1;
	if (pg_copy_out(pg, text_str(&sql), e) == 0)
		while ((more = pg_copy_row(pg, &data, &len, e)) > 0) {
			int failed = take_row(job, digest, data, (size_t)len, ret, e);
			PQfreemem(data);
			if (failed) {
				more = -1;
				break;
			}
		}
	digest_free(digest);
	return more;
}

static int digest_server(struct pg *pg, const struct job *job, struct tally *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	digest_sql_tally(&sql, job->columns, job->n, text_str(&job->from), NULL, NULL);
	if (text_check(&sql, e) != 0 || pg_query(pg, text_str(&sql), &res, e) != 0)
		return -1;
	return tally_parse(ret, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2),
			   e);
}

static void print_tally(const struct tally *t)
{
	char word[2][TALLY_TEXT];

	tally_text(t, 0, word[0]);
	tally_text(t, 1, word[1]);
	printf("\t%llu\t%s\t%s", (unsigned long long)t->rows, word[0], word[1]);
}

static int do_table(struct pg *pg, const struct table *t, bool text, struct err *e)
{
	struct tally stream = TALLY_INIT, server = TALLY_INIT;
	const struct column *culprit = NULL;
	struct job job;
	int ret = job_begin(&job, t, text, e);

	if (ret == 0)
		ret = digest_stream(pg, &job, &stream, e);
	if (ret == 0)
		ret = digest_server(pg, &job, &server, e);
	if (ret == 0) {
		table_is_binary(t, &culprit);
		printf("%s.%s\t%s%s%s", t->schema, t->name, job.text ? "text" : "binary",
		       culprit ? ": " : "", culprit ? culprit->not_binary_why : "");
		print_tally(&stream);
		print_tally(&server);
		printf("\n");
	} else {
		err_note(e, "digesting %s", t->qname);
	}
	job_end(&job);
	return ret;
}

static int do_database(const char *uri, bool text, struct err *e)
{
	AUTO(catalog) struct catalog *catalog = NULL;
	AUTO(conn) struct conn *conn = NULL;
	AUTO(pg) struct pg *pg = NULL;

	if (conn_parse(&conn, PG_SOURCE, uri, e) != 0 ||
	    pg_open(&pg, conn, "digest_tool", NULL, e) != 0 ||
	    catalog_read(&catalog, pg, NULL, e) != 0)
		return -1;
	for (int i = 0; i < catalog->n_tables; i++)
		if (do_table(pg, &catalog->tables[i], text, e) != 0)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	bool text = argc > 2 && strcmp(argv[2], "--text") == 0;

	if (argc < 2 || argc > 3 || (argc == 3 && !text)) {
		fprintf(stderr, "usage: digest_tool URI [--text]\n");
		return 2;
	}
	if (do_database(argv[1], text, &e) == 0)
		return 0;
	fprintf(stderr, "digest_tool: %s\n", e.text);
	return 1;
}
