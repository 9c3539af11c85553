#include "verify/queryset.h"

#include "common/bytes.h"
#include "common/copyrow.h"
#include "verify/rowdetail.h"

#include <math.h>
#include <string.h>

#define EXACT_SQL  "SET enable_indexscan = off; SET enable_bitmapscan = off"
#define NORMAL_SQL "RESET enable_indexscan; RESET enable_bitmapscan"

/* --- drawing --- */

static int draw_sql(struct text *sql, const struct annindex *x, enum pg_role role, int want,
		    uint64_t seed, struct err *e)
{
	const char *collection = x->pair->collection_column;
	const struct annindex_end *end = &x->end[role];

	text_add(sql, "SELECT key, v FROM (SELECT key, v, h, row_number() OVER (PARTITION BY g"
		      " ORDER BY h) AS place FROM (SELECT ");
	annindex_add_key(sql, x, role, "nf_src");
	text_addf(sql, " AS key, (%s)::text AS v, ", end->operand);
	if (collection) {
		text_add_qname(sql, "nf_src", collection);
		text_add(sql, "::text COLLATE \"C\" AS g, ");
	} else {
		text_add(sql, "NULL::text AS g, ");
	}
	text_add(sql, "sha256(convert_to(");
	annindex_add_key(sql, x, role, "nf_src");
	text_addf(sql, " || '/%llu', 'UTF8')) AS h", (unsigned long long)seed);
	annindex_add_from(sql, x, role);
	text_addf(sql, "%s (%s) IS NOT NULL) r) s ORDER BY place, h LIMIT %d",
		  end->predicate ? " AND" : " WHERE", end->operand, want);
	return text_check(sql, e);
}

static bool is_zero(const float *v, int n)
{
	for (int i = 0; i < n; i++)
		if (v[i] != 0.0f)
			return false;
	return true;
}

/* Zero vectors are not in a cosine index, and all distances from one are the same. */
static int take_query(struct queryset *q, const char *key, const char *text, struct err *e)
{
	AUTO(free) float *v = NULL;
	int dims = rowdetail_parse_vector(text, &v);

	if (dims < 1 || is_zero(v, dims) || (q->dims && dims != q->dims))
		return 0;
	q->dims = dims;
	if (!q->vectors)
		return err_nomem(e);
	q->vectors = realloc(q->vectors, ((size_t)q->n + 1) * (size_t)dims * sizeof(float));
	q->keys[q->n] = strdup(key);
	q->texts[q->n] = strdup(text);
	if (!q->vectors || !q->keys[q->n] || !q->texts[q->n])
		return err_nomem(e);
	memcpy(q->vectors + (size_t)q->n * (size_t)dims, v, (size_t)dims * sizeof(float));
	q->place[q->n] = q->n;
	q->n++;
	return 0;
}

int queryset_draw(struct queryset *ret, struct pg *pg, const struct annindex *x, int want,
		  uint64_t seed, struct err *e)
{
	struct queryset q = { .n = 0 };
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	int rows;

	if (draw_sql(&sql, x, pg_role(pg), want, seed, e) || pg_query(pg, text_str(&sql), &res, e))
		return err_note(e, "drawing query vectors for %s", x->label);
	rows = PQntuples(res);
	q.keys = calloc((size_t)rows + 1, sizeof(*q.keys));
	q.texts = calloc((size_t)rows + 1, sizeof(*q.texts));
	q.vectors = calloc(1, sizeof(float));
	q.place = calloc((size_t)rows + 1, sizeof(*q.place));
	for (int i = 0; q.keys && q.texts && q.place && i < rows; i++)
		if (take_query(&q, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1), e)) {
			queryset_done(&q);
			return -1;
		}
	if (!q.keys || !q.texts || !q.place) {
		queryset_done(&q);
		return err_nomem(e);
	}
	*ret = q;
	return 0;
}

void queryset_done(struct queryset *q)
{
	for (int i = 0; i < q->n; i++) {
		if (q->keys)
			free(q->keys[i]);
		if (q->texts)
			free(q->texts[i]);
	}
	for (int i = 0; q->asked && i < q->n_drawn; i++)
		knn_list_done(&q->asked[i]);
	free(q->place);
	free(q->keys);
	free(q->texts);
	free(q->vectors);
	free(q->asked);
	knn_free(q->truth);
	*q = (struct queryset){ .n = 0 };
}

const struct knn_list *queryset_truth(const struct queryset *q, int i)
{
	return q->truth ? knn_result(q->truth, q->place[i]) : &q->asked[q->place[i]];
}

void queryset_drop_lonely(struct queryset *q)
{
	size_t size = (size_t)q->dims * sizeof(float);
	int kept = 0;

	for (int i = 0; i < q->n; i++) {
		if (queryset_truth(q, i)->n == 0) {
			free(q->keys[i]);
			free(q->texts[i]);
			continue;
		}
		q->keys[kept] = q->keys[i];
		q->texts[kept] = q->texts[i];
		q->place[kept] = q->place[i];
		memmove((char *)q->vectors + (size_t)kept * size,
			(char *)q->vectors + (size_t)i * size, size);
		kept++;
	}
	q->n = kept;
}

/* --- computing the truth from a stream --- */

static float half_to_float(uint16_t h)
{
	int exponent = h >> 10 & 31, fraction = h & 1023;
	float value = exponent ? ldexpf((float)(1024 + fraction), exponent - 25)
			       : ldexpf((float)fraction, -24);

	return h & 0x8000 ? -value : value;
}

/* vector_send and halfvec_send: int16 dimensions, int16 zero, the components, big-endian. */
static bool read_vector(const struct copyrow_field *f, int dims, float *ret)
{
	int size;

	if (f->len < 4 || bytes_wire16(f->data) != dims)
		return false;
	size = (f->len - 4) / dims;
	for (int i = 0; i < dims; i++) {
		const char *at = f->data + 4 + i * size;

		if (size == 4) {
			uint32_t word = bytes_wire32(at);

			memcpy(&ret[i], &word, sizeof(word));
		} else if (size == 2) {
			ret[i] = half_to_float(bytes_wire16(at));
		} else {
			return false;
		}
	}
	return true;
}

static int take_row(struct queryset *q, const char *data, size_t len, float *v, struct err *e)
{
	struct copyrow_field f[2];
	size_t used;
	int n = copyrow_binary(data, len, f, 2, &used, e);

	if (n == COPYROW_END || n < 0)
		return n == COPYROW_END ? 0 : -1;
	if (n != 2 || f[0].len < 0 || f[1].len < 0 || !read_vector(&f[1], q->dims, v))
		return 0;
	q->rows++;
	return knn_add(q->truth, f[0].data, (size_t)f[0].len, v, e);
}

static int stream_rows(struct queryset *q, struct pg *source, float *v, struct err *e)
{
	bool first = true;
	int got, len;

	for (;;) {
		char *data = NULL;
		size_t skip = 0;
		int rc = 0;

		got = pg_copy_row(source, &data, &len, e);
		if (got <= 0)
			return got;
		if (first && copyrow_skip_header(data, (size_t)len, &skip, e) < 0)
			rc = -1;
		else if (skip < (size_t)len)
			rc = take_row(q, data + skip, (size_t)len - skip, v, e);
		first = false;
		PQfreemem(data);
		if (rc)
			return -1;
	}
}

int queryset_compute(struct queryset *q, struct pg *source, const struct annindex *x, int k,
		     struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) float *v = calloc((size_t)q->dims + 1, sizeof(*v));

	if (!v)
		return err_nomem(e);
	if (knn_new(&q->truth, x->metric, k, q->dims, q->vectors, (const char *const *)q->keys,
		    q->n, e))
		return -1;
	text_add(&sql, "COPY (SELECT ");
	annindex_add_key(&sql, x, PG_SOURCE, "nf_src");
	text_addf(&sql, ", %s", x->end[PG_SOURCE].operand);
	annindex_add_from(&sql, x, PG_SOURCE);
	text_add(&sql, ") TO STDOUT (FORMAT binary)");
	if (text_check(&sql, e) || pg_copy_out(source, text_str(&sql), e) ||
	    stream_rows(q, source, v, e))
		return err_note(e, "computing exact neighbours for %s", x->label);
	return 0;
}

int queryset_ask(struct queryset *q, struct pg *target, const struct annindex *x, int k,
		 struct err *e)
{
	int rc = 0;

	q->asked = calloc((size_t)q->n + 1, sizeof(*q->asked));
	if (!q->asked)
		return err_nomem(e);
	q->n_drawn = q->n;
	if (pg_exec(target, EXACT_SQL, e))
		return -1;
	for (int i = 0; rc == 0 && i < q->n; i++)
		rc = queryset_search(q, target, x, PG_TARGET, i, 1, k, &q->asked[i], NULL, NULL, e);
	for (int i = 0; i < q->n; i++)
		if (q->asked[i].n > k)
			free(q->asked[i].hits[--q->asked[i].n].key);
	return rc ? -1 : pg_exec(target, NORMAL_SQL, e);
}

/* --- searching --- */

/* Quotes are needed around each, because of the commas; nothing in a vector needs escaping. */
void queryset_array(struct text *t, const struct queryset *q, int first, int n)
{
	text_add(t, "{");
	for (int i = 0; i < n; i++) {
		text_add(t, i > 0 ? ",\"" : "\"");
		text_add(t, q->texts[first + i]);
		text_add(t, "\"");
	}
	text_add(t, "}");
}

void queryset_search_sql(struct text *sql, const struct annindex *x, enum pg_role role, int k)
{
	text_addf(sql,
		  "SELECT nf_q.n, nf_r.key, nf_r.d FROM unnest($1::%s[]) WITH ORDINALITY"
		  " AS nf_q(v, n) CROSS JOIN LATERAL (",
		  x->end[role].type);
	annindex_add_search(sql, x, role, "nf_q.v", k);
	text_add(sql, ") nf_r");
}

static int take_hit(const struct queryset *q, int i, const PGresult *res, int row, int k,
		    struct knn_list *list, bool *found, struct err *e)
{
	const char *key = PQgetvalue(res, row, 1);
	double d = strtod(PQgetvalue(res, row, 2), NULL);

	if (PQgetisnull(res, row, 2) || isnan(d))
		return 0;
	if (!strcmp(key, q->keys[i])) {
		*found = true;
		return 0;
	}
	if (list->n > k)
		return 0;
	list->hits[list->n].key = strdup(key);
	list->hits[list->n].distance = d;
	return list->hits[list->n++].key ? 0 : err_nomem(e);
}

static uint64_t row_bytes(const PGresult *res, int row)
{
	return (uint64_t)(PQgetlength(res, row, 0) + PQgetlength(res, row, 1) +
			  PQgetlength(res, row, 2) + 19);
}

int queryset_search(const struct queryset *q, struct pg *pg, const struct annindex *x,
		    enum pg_role role, int first, int n, int k, struct knn_list *lists,
		    bool *ret_found, uint64_t *bytes_in, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO_TEXT struct text array = TEXT_INIT;

	queryset_search_sql(&sql, x, role, k + 1);
	queryset_array(&array, q, first, n);
	if (text_check(&sql, e) || text_check(&array, e) ||
	    pg_query_params(pg, text_str(&sql), 1, (const char *const[]){ text_str(&array) }, &res,
			    e))
		return err_note(e, "searching through %s", x->label);
	for (int i = 0; i < n; i++) {
		lists[i] =
			(struct knn_list){ .hits = calloc((size_t)k + 2, sizeof(struct knn_hit)) };
		if (!lists[i].hits)
			return err_nomem(e);
	}
	for (int row = 0; row < PQntuples(res); row++) {
		int i = (int)strtol(PQgetvalue(res, row, 0), NULL, 10) - 1;
		bool found = false;

		if (i < 0 || i >= n)
			return err_set(e, ERR_INTERNAL, "an answer to query %d of %d", i, n);
		if (take_hit(q, first + i, res, row, k, &lists[i], &found, e))
			return -1;
		if (ret_found)
			ret_found[i] = ret_found[i] || found;
		if (bytes_in)
			*bytes_in += row_bytes(res, row);
	}
	return 0;
}
