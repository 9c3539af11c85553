#include "verify/rowdetail.h"

#include <math.h>
#include <string.h>

#define OID_INT8        20
#define OID_INT2        21
#define OID_INT4        23
#define OID_TEXT        25
#define OID_JSON        114
#define OID_FLOAT4      700
#define OID_FLOAT8      701
#define OID_BPCHAR      1042
#define OID_VARCHAR     1043
#define OID_DATE        1082
#define OID_TIMESTAMP   1114
#define OID_TIMESTAMPTZ 1184
#define OID_NUMERIC     1700

/* --- vectors --- */

int rowdetail_parse_vector(const char *text, float **ret)
{
	size_t max = 1;
	float *v;
	int n = 0;

	if (text[0] != '[')
		return -1;
	for (const char *p = text; *p; p++)
		max += *p == ',';
	v = malloc(max * sizeof(*v));
	for (const char *p = text + 1; v && *p && *p != ']'; n++) {
		char *end;

		v[n] = strtof(p, &end);
		if (end == p || (*end != ',' && *end != ']')) {
			free(v);
			return -1;
		}
		p = end + (*end == ',');
	}
	if (!v)
		return -1;
	*ret = v;
	return n;
}

static bool same_bits(float a, float b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static json_t *vector_facts(const float *s, const float *t, int n, bool *ret_equal)
{
	double dot = 0, ss = 0, tt = 0, largest = 0;
	int first = -1, changed = 0;

	*ret_equal = true;
	for (int i = 0; i < n; i++) {
		double a = (double)s[i], b = (double)t[i];

		dot += a * b;
		ss += a * a;
		tt += b * b;
		largest = fmax(largest, fabs(a - b));
		if (!same_bits(s[i], t[i])) {
			changed++;
			first = first < 0 ? i : first;
			*ret_equal = *ret_equal && s[i] == t[i];
		}
	}
	return json_pack("{s:i, s:i, s:f, s:o}", "first", first + 1, "components", changed,
			 "max_delta", largest, "cosine_distance",
			 ss > 0 && tt > 0 ? json_real(fmax(0, 1 - dot / sqrt(ss * tt)))
					  : json_null());
}

static void describe_vector(json_t *column, const char *source, const char *target, bool *ret_equal)
{
	AUTO(free) float *s = NULL;
	AUTO(free) float *t = NULL;
	int n = rowdetail_parse_vector(source, &s), m = rowdetail_parse_vector(target, &t);

	*ret_equal = false;
	if (n < 0 || m < 0)
		return; /* sparsevec has another form */
	if (n != m) {
		json_object_set_new(
			column, "note",
			json_sprintf("%d dimensions in the source, %d in the target", n, m));
		return;
	}
	json_object_set_new(column, "vector", vector_facts(s, t, n, ret_equal));
	if (*ret_equal)
		json_object_set_new(column, "note", json_string("a zero changed its sign"));
}

/* --- reading one row --- */

static json_t *key_of(const struct rowdetail *d, int i)
{
	return json_array_get(json_object_get(d->row, "key"), (size_t)i);
}

static void add_where(struct text *sql, const struct pair *p, enum pg_role role,
		      const struct rowdetail *d)
{
	text_add(sql, " FROM ");
	pair_from(sql, p, role);
	text_add(sql, " AS nf_src WHERE ");
	for (int i = 0; i < p->key.n; i++) {
		text_add_qname(sql, "nf_src", p->key.end[role][i].name);
		text_add(sql, " = ");
		text_add_literal(sql, json_string_value(key_of(d, i)));
		text_add(sql, " AND ");
	}
	text_add(sql, "pg_catalog.encode(");
	pair_key_bytes(sql, p, role, "nf_src");
	text_addf(sql, ", 'hex') = '%s'", d->key_hex);
}

static void add_column_digest(struct text *sql, const struct digest_column *c)
{
	text_add(sql, "pg_catalog.encode(pg_catalog.substr(pg_catalog.sha256("
		      "pg_catalog.record_send(ROW(");
	digest_sql_column(sql, c, "nf_src");
	text_add(sql, "))), 1, 16), 'hex')");
}

static void add_column_text(struct text *sql, const struct digest_column *c)
{
	struct digest_column as_text = *c;

	as_text.mode = DIGEST_TEXT;
	digest_sql_column(sql, &as_text, "nf_src");
}

/* *ret is NULL where the row is not there any more (or there are several). */
static int read_digests(struct pg *pg, const struct pair *p, enum pg_role role,
			const struct rowdetail *d, PGresult **ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SELECT ");
	for (int i = 0; i < p->stored.n; i++) {
		text_add(&sql, i > 0 ? ", " : "");
		add_column_digest(&sql, &p->stored.end[role][i]);
	}
	add_where(&sql, p, role, d);
	if (text_check(&sql, e) || pg_query(pg, text_str(&sql), ret, e))
		return -1;
	return 0;
}

static int read_text(struct pg *pg, const struct pair *p, enum pg_role role,
		     const struct rowdetail *d, int column, char **ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SELECT ");
	add_column_text(&sql, &p->stored.end[role][column]);
	add_where(&sql, p, role, d);
	return text_check(&sql, e) ? -1 : pg_value(pg, text_str(&sql), ret, e);
}

/* --- one column --- */

/* One value of the target for two texts of a column; NULL where the server cannot say. */
static char *ask(struct pg *pg, const char *expression, const char *type, const char *a,
		 const char *b)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	struct err ignored = ERR_INIT;

	text_addf(&sql,
		  "SELECT pg_catalog.format('%%s', %s) FROM (SELECT $1::pg_catalog.text::%s AS a,"
		  " $2::pg_catalog.text::%s AS b) v",
		  expression, type, type);
	if (text_check(&sql, &ignored) ||
	    pg_query_params(pg, text_str(&sql), 2, (const char *const[]){ a, b }, &res, &ignored))
		return NULL;
	return PQntuples(res) == 1 ? strdup(PQgetvalue(res, 0, 0)) : NULL;
}

static bool is_text(uint32_t oid)
{
	return oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_BPCHAR;
}

static bool is_number_or_time(uint32_t oid)
{
	static const uint32_t oids[] = { OID_INT8,      OID_INT2,        OID_INT4,
					 OID_FLOAT4,    OID_FLOAT8,      OID_DATE,
					 OID_TIMESTAMP, OID_TIMESTAMPTZ, OID_NUMERIC };

	for (size_t i = 0; i < ARRAY_LEN(oids); i++)
		if (oids[i] == oid)
			return true;
	return false;
}

static const char text_note[] =
	"CASE WHEN pg_catalog.rtrim(a) = pg_catalog.rtrim(b) THEN 'only trailing spaces differ'"
	" WHEN pg_catalog.normalize(a) = pg_catalog.normalize(b)"
	" THEN 'the same text in another Unicode normal form'"
	" WHEN pg_catalog.lower(a) = pg_catalog.lower(b) THEN 'only upper and lower case differ'"
	" ELSE '' END";

static void describe_values(json_t *column, struct pg *target, const struct column *c,
			    const char *s, const char *t, bool *ret_equal)
{
	AUTO(free) char *note = NULL;
	AUTO(free) char *equal = NULL;
	uint32_t oid = c->type_oid;

	equal = ask(target, oid == OID_JSON ? "a::pg_catalog.jsonb = b::pg_catalog.jsonb" : "a = b",
		    c->type, s, t);
	*ret_equal = equal && !strcmp(equal, "t");
	if (is_text(oid))
		note = ask(target, text_note, "pg_catalog.text", s, t);
	else if (is_number_or_time(oid) && !*ret_equal)
		note = ask(target, "b - a", c->type, s, t);
	if (note && note[0])
		json_object_set_new(column, "note",
				    is_text(oid) ? json_string(note)
						 : json_sprintf("target - source = %s", note));
	else if (*ret_equal)
		json_object_set_new(column, "note", json_string("another form of the same value"));
}

static json_t *null_note(const char *s, const char *t)
{
	const char *value = (s ? s : t)[0] ? "a value" : "an empty text";

	return s ? json_sprintf("%s in the source, NULL in the target", value)
		 : json_sprintf("NULL in the source, %s in the target", value);
}

static int describe_column(struct pg *const pg[2], const struct pair *p, struct rowdetail *d, int i,
			   bool include_values, json_t *columns, struct err *e)
{
	const struct column *c = p->stored.column[PG_TARGET][i];
	json_t *column = json_pack("{s:s, s:s}", "column", c->name, "type", c->type);
	AUTO(free) char *s = NULL;
	AUTO(free) char *t = NULL;
	bool equal = false;

	json_array_append_new(columns, column);
	if (read_text(pg[PG_SOURCE], p, PG_SOURCE, d, i, &s, e) ||
	    read_text(pg[PG_TARGET], p, PG_TARGET, d, i, &t, e))
		return -1;
	if (!s != !t)
		json_object_set_new(column, "note", null_note(s, t));
	else if (s && t && c->is_vector_like)
		describe_vector(column, s, t, &equal);
	else if (s && t)
		describe_values(column, pg[PG_TARGET], c, s, t, &equal);
	json_object_set_new(column, "equivalent", json_boolean(equal));
	if (include_values) {
		json_object_set_new(column, "source", s ? json_string(s) : json_null());
		json_object_set_new(column, "target", t ? json_string(t) : json_null());
	}
	d->equivalent = d->equivalent && equal;
	return 0;
}

static int describe_row(struct pg *const pg[2], const struct pair *p, struct rowdetail *d,
			bool include_values, struct err *e)
{
	AUTO(pgresult) PGresult *s = NULL;
	AUTO(pgresult) PGresult *t = NULL;
	json_t *columns = json_array();

	json_object_set_new(d->row, "columns", columns);
	if (read_digests(pg[PG_SOURCE], p, PG_SOURCE, d, &s, e) ||
	    read_digests(pg[PG_TARGET], p, PG_TARGET, d, &t, e))
		return -1;
	if (PQntuples(s) != 1 || PQntuples(t) != 1) {
		json_object_set_new(d->row, "note", json_string("gone when it was looked at"));
		return 0;
	}
	d->equivalent = true;
	for (int i = 0; i < p->stored.n; i++) {
		if (!strcmp(PQgetvalue(s, 0, i), PQgetvalue(t, 0, i)))
			continue;
		if (describe_column(pg, p, d, i, include_values, columns, e))
			return -1;
		if (p->stored.column[PG_TARGET][i]->is_vector_like)
			json_object_set_new(json_array_get(columns, json_array_size(columns) - 1),
					    "digest", json_string(PQgetvalue(t, 0, i)));
	}
	d->equivalent = d->equivalent && json_array_size(columns) > 0;
	json_object_set_new(d->row, "equivalent", json_boolean(d->equivalent));
	return 0;
}

/* --- whose vector is it? --- */

static json_t *find_column(const struct rowdetail *d, const char *name)
{
	json_t *column;
	size_t i;

	json_array_foreach(
		json_object_get(d->row, "columns"), i,
		column) if (!strcmp(json_string_value(json_object_get(column, "column")), name) &&
			    json_object_get(column, "digest")) return column;
	return NULL;
}

/* Adds the digests of the wrong vectors as a list of literals. Returns how many. */
static int list_vectors(struct text *list, const char *name, struct rowdetail *rows, int n)
{
	int count = 0;

	for (int i = 0; i < n; i++) {
		json_t *column = find_column(&rows[i], name);

		if (column)
			text_addf(list, "%s'%s'", count++ ? ", " : "",
				  json_string_value(json_object_get(column, "digest")));
	}
	return count;
}

static void note_owner(const char *name, const PGresult *res, struct rowdetail *rows, int n)
{
	for (int i = 0; i < n; i++) {
		json_t *column = find_column(&rows[i], name);
		const char *digest = json_string_value(json_object_get(column, "digest"));

		for (int r = 0; digest && r < PQntuples(res); r++)
			if (!strcmp(PQgetvalue(res, r, 0), digest))
				json_object_set_new(column, "belongs_to",
						    json_string(PQgetvalue(res, r, 1)));
		if (column)
			json_object_del(column, "digest");
	}
}

static int find_owners(struct pg *source, const struct pair *p, int c, struct rowdetail *rows,
		       int n, struct err *e)
{
	const struct digest_column *column = &p->stored.end[PG_SOURCE][c];
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text list = TEXT_INIT;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (list_vectors(&list, column->name, rows, n) == 0)
		return text_check(&list, e);
	text_add(&sql, "SELECT d, pg_catalog.min(k) FROM (SELECT ");
	add_column_digest(&sql, column);
	text_add(&sql, " AS d, ");
	pair_key_text(&sql, p, PG_SOURCE, "nf_src");
	text_add(&sql, " COLLATE pg_catalog.\"C\" AS k FROM ");
	pair_from(&sql, p, PG_SOURCE);
	text_addf(&sql, " AS nf_src OFFSET 0) q WHERE d IN (%s) GROUP BY d", text_str(&list));
	if (text_check(&list, e) || text_check(&sql, e) ||
	    pg_query(source, text_str(&sql), &res, e))
		return err_note(e, "looking for the owners of wrong vectors in %s", p->name);
	note_owner(column->name, res, rows, n);
	return 0;
}

int rowdetail_describe(struct pg *const pg[2], const struct pair *p, struct rowdetail *rows, int n,
		       bool include_values, struct err *e)
{
	for (int i = 0; i < n; i++)
		if (describe_row(pg, p, &rows[i], include_values, e))
			return err_note(e, "looking at a differing row of %s", p->name);
	for (int c = 0; n > 0 && c < p->stored.n; c++)
		if (p->stored.column[PG_TARGET][c]->is_vector_like &&
		    find_owners(pg[PG_SOURCE], p, c, rows, n, e))
			return -1;
	return 0;
}
