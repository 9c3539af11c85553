#include "verify/rowdiff.h"

#include "common/copyrow.h"
#include "verify/content.h"
#include "verify/rowdetail.h"

#include <string.h>

#define MAX_KEY 32 /* columns of a key; an index has at most 32 */

/* --- SQL --- */

/* (SELECT key AS k, hash AS s [, key texts] FROM ... [WHERE ...] OFFSET 0) q */
static int add_rows_sql(struct text *sql, const struct pair *p, enum pg_role role,
			const struct rowdiff_settings *settings, bool texts, struct err *e)
{
	AUTO_TEXT struct text where = TEXT_INIT;

	content_filter(&where, p->collection_column, settings->collections,
		       settings->n_collections);
	text_add(sql, "(SELECT ");
	if (p->key.n > 0) {
		pair_key_bytes(sql, p, role, "nf_src");
		text_add(sql, " AS k, ");
	}
	digest_sql_hash(sql, p->stored.end[role], p->stored.n, "nf_src");
	text_add(sql, " AS s");
	for (int i = 0; texts && i < p->key.n; i++) {
		text_add(sql, ", pg_catalog.format('%s', ");
		text_add_qname(sql, "nf_src", p->key.end[role][i].name);
		text_addf(sql, ") AS t%d", i);
	}
	text_add(sql, " FROM ");
	pair_from(sql, p, role);
	text_add(sql, " AS nf_src");
	if (where.len > 0)
		text_addf(sql, " WHERE %s", text_str(&where));
	text_add(sql, " OFFSET 0) q");
	return text_check(&where, e);
}

/* The bucket of q's row: the same on both ends and on every kind of machine. */
static void add_bucket(struct text *sql, const struct pair *p, int buckets)
{
	text_addf(sql,
		  "(('x' || pg_catalog.encode(pg_catalog.substr(%s, 1, 4), 'hex'))"
		  "::pg_catalog.bit(32)::pg_catalog.int4 & %d)",
		  p->key.n > 0 ? "pg_catalog.sha256(q.k)" : "q.s", buckets - 1);
}

static const char sum_sql[] =
	"SELECT b, pg_catalog.count(*),"
	" pg_catalog.sum(('x' || pg_catalog.encode(pg_catalog.substr(s, 1, 8), 'hex'))"
	"::pg_catalog.bit(64)::pg_catalog.int8),"
	" pg_catalog.sum(('x' || pg_catalog.encode(pg_catalog.substr(s, 9, 8), 'hex'))"
	"::pg_catalog.bit(64)::pg_catalog.int8) FROM (SELECT q.s, ";

/* --- first scan: buckets --- */

static int scan_buckets(struct pg *pg, enum pg_role role, const struct pair *p,
			const struct rowdiff_settings *settings, struct tally *ret, int buckets,
			struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, sum_sql);
	add_bucket(&sql, p, buckets);
	text_add(&sql, " AS b FROM ");
	if (add_rows_sql(&sql, p, role, settings, false, e))
		return -1;
	text_add(&sql, ") r GROUP BY b");
	if (text_check(&sql, e) || pg_query(pg, text_str(&sql), &res, e))
		return err_note(e, "looking for the differing rows of %s", p->name);
	for (int i = 0; i < PQntuples(res); i++) {
		long b = strtol(PQgetvalue(res, i, 0), NULL, 10);

		if (b < 0 || b >= buckets)
			return err_set(e, ERR_INTERNAL, "bucket %ld of %d", b, buckets);
		if (tally_parse(&ret[b], PQgetvalue(res, i, 1), PQgetvalue(res, i, 2),
				PQgetvalue(res, i, 3), e))
			return -1;
	}
	return 0;
}

/* Adds the numbers of the buckets that differ, comma separated. Returns how many. */
static int list_different(struct text *list, const struct tally *a, const struct tally *b, int n)
{
	int different = 0;

	for (int i = 0; i < n; i++)
		if (!tally_equal(&a[i], &b[i]))
			text_addf(list, "%s%d", different++ ? "," : "", i);
	return different;
}

json_t *rowdiff_row(const struct pair *p, const struct flagged_row *g, const char *class,
		    uint64_t copies)
{
	json_t *row = json_pack("{s:s, s:s}", "table", p->name, "class", class);

	if (g->key)
		json_object_set(row, "key", g->key);
	else
		json_object_set_new(row, "row_digest", json_string(g->id));
	if (copies > 1)
		json_object_set_new(row, "copies", json_integer((json_int_t)copies));
	return row;
}

/* --- second scan: rows in key order, merged --- */

struct cursor {
	struct pg *pg;
	bool end;
	char *line, *scratch;
	size_t room;
	struct copyrow_field field[MAX_KEY + 2]; /* key bytes, digest, key texts */
	int n;
};

static void cursor_done(struct cursor *c)
{
	if (c->line)
		PQfreemem(c->line);
	free(c->scratch);
}

static int cursor_next(struct cursor *c, struct err *e)
{
	int len, got;

	if (c->line)
		PQfreemem(c->line);
	c->line = NULL;
	got = pg_copy_row(c->pg, &c->line, &len, e);
	if (got <= 0) {
		c->end = true;
		return got;
	}
	if (c->room < (size_t)len + 1) {
		free(c->scratch);
		c->room = 2 * (size_t)len + 1;
		c->scratch = malloc(c->room);
		if (!c->scratch)
			return err_nomem(e);
	}
	c->n = copyrow_text(c->line, (size_t)len, c->scratch, c->field, MAX_KEY + 2, e);
	if (c->n < 2)
		return c->n < 0 ? -1 : err_set(e, ERR_INTERNAL, "a row of %d fields", c->n);
	return 0;
}

static int compare_fields(const struct copyrow_field *a, const struct copyrow_field *b)
{
	size_t n = (size_t)(a->len < b->len ? a->len : b->len);
	int order = memcmp(a->data, b->data, n);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int start_rows(struct cursor *c, enum pg_role role, const struct pair *p,
		      const struct rowdiff_settings *settings, const char *list, int buckets,
		      struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	const char *key = p->key.n > 0 ? "q.k" : "pg_catalog.substr(q.s, 1, 16)";

	text_addf(&sql,
		  "COPY (SELECT pg_catalog.encode(%s, 'hex'),"
		  " pg_catalog.encode(pg_catalog.substr(q.s, 1, 16), 'hex')",
		  key);
	for (int i = 0; i < p->key.n; i++)
		text_addf(&sql, ", q.t%d", i);
	text_add(&sql, " FROM ");
	if (add_rows_sql(&sql, p, role, settings, true, e))
		return -1;
	text_add(&sql, " WHERE ");
	add_bucket(&sql, p, buckets);
	text_addf(&sql, " IN (%s) ORDER BY %s, q.s) TO STDOUT", list, key);
	if (text_check(&sql, e) || pg_copy_out(c->pg, text_str(&sql), e))
		return err_note(e, "listing the differing rows of %s", p->name);
	return cursor_next(c, e);
}

struct merge {
	const struct pair *p;
	const struct rowdiff_settings *settings;
	struct rowdiff *found;
	struct rowdetail *details;
	int n_details;
};

static json_t *key_texts(const struct cursor *c, bool *ret_lossy)
{
	json_t *key = json_array();

	for (int i = 2; i < c->n; i++) {
		json_t *text = json_stringn(c->field[i].data ? c->field[i].data : "",
					    c->field[i].len > 0 ? (size_t)c->field[i].len : 0);

		*ret_lossy |= !text;
		json_array_append_new(key, text ? text : json_string("?"));
	}
	return key;
}

/* A difference for the file and, while there is room, for the report. Borrowed row, or NULL. */
static json_t *record(struct merge *m, struct flagged_row *g, const char *class, uint64_t copies)
{
	json_t *row = rowdiff_row(m->p, g, class, copies);

	if (m->settings->all) {
		json_dumpf(row, m->settings->all, JSON_COMPACT);
		fputc('\n', m->settings->all);
	}
	if (json_array_size(m->found->rows) >= (size_t)m->settings->max_rows) {
		json_decref(row);
		return NULL;
	}
	json_array_append_new(m->found->rows, row);
	if (g->shown < 0)
		g->shown = (int)json_array_size(m->found->rows) - 1;
	return row;
}

static bool is_one_each(const struct flagged_row *g)
{
	uint64_t rows[2] = { 0, 0 };

	for (int i = 0; i < g->n_copies; i++)
		for (int role = 0; role < 2; role++)
			rows[role] += g->copies[i].n[role];
	return rows[0] == 1 && rows[1] == 1;
}

static int record_changed(struct merge *m, struct flagged_row *g, uint64_t changed, struct err *e)
{
	json_t *row = record(m, g, "changed", changed);
	struct rowdetail *d = &m->details[m->n_details];

	if (!row || !g->key || !is_one_each(g))
		return 0;
	d->key_hex = strdup(g->id);
	if (!d->key_hex)
		return err_nomem(e);
	d->row = row;
	m->n_details++;
	return 0;
}

static int close_group(struct merge *m, struct flagged_row *g, struct err *e)
{
	struct flagged_sums sums = { 0 };

	if (!flagged_differs(g))
		return 0;
	flagged_sum(&sums, g);
	if (sums.changed > 0 && record_changed(m, g, sums.changed, e))
		return -1;
	if (sums.missing > 0)
		(void)record(m, g, "missing", sums.missing);
	if (sums.extra > 0)
		(void)record(m, g, "extra", sums.extra);
	if (sums.doubled > 0)
		(void)record(m, g, "doubled", sums.doubled);
	m->found->changed += sums.changed;
	m->found->missing += sums.missing;
	m->found->extra += sums.extra;
	m->found->doubled += sums.doubled;
	m->found->surplus += sums.surplus;
	return m->settings->list ? flagged_add(m->settings->list, g, e) : 0;
}

static bool at_key(const struct cursor *c, const struct copyrow_field *key)
{
	return !c->end && compare_fields(&c->field[0], key) == 0;
}

/* Every row of one key, leaving both cursors behind them. */
static int walk_group(struct cursor c[2], struct flagged_row *g, const struct copyrow_field *key,
		      struct err *e)
{
	for (int role = 0; role < 2; role++)
		while (at_key(&c[role], key)) {
			const struct copyrow_field *digest = &c[role].field[1];
			char hex[FLAGGED_DIGEST];

			if (digest->len != FLAGGED_DIGEST - 1)
				return err_set(e, ERR_INTERNAL, "a digest of %d bytes",
					       (int)digest->len);
			memcpy(hex, digest->data, sizeof(hex) - 1);
			hex[sizeof(hex) - 1] = '\0';
			if (flagged_count(g, hex, role, 1, e) || cursor_next(&c[role], e))
				return -1;
		}
	return 0;
}

static int merge_group(struct merge *m, struct cursor c[2], struct err *e)
{
	bool first = !c[0].end && (c[1].end || compare_fields(&c[0].field[0], &c[1].field[0]) <= 0);
	const struct cursor *lead = first ? &c[0] : &c[1];
	struct flagged_row g = { .shown = -1 };
	struct copyrow_field key = { .len = lead->field[0].len };
	int rc = -1;

	g.key = m->p->key.n > 0 ? key_texts(lead, &g.lossy) : NULL;
	/* not strndup(): the field ends with its length, no NUL follows */
	g.id = calloc(1, (size_t)key.len + 1);
	if (g.id)
		memcpy(g.id, lead->field[0].data, (size_t)key.len);
	key.data = g.id;
	if (!g.id)
		(void)err_nomem(e);
	else if (walk_group(c, &g, &key, e) == 0)
		rc = close_group(m, &g, e);
	flagged_rows_done(&g, 1);
	return rc;
}

static int merge_ends(struct merge *m, struct pg *const pg[2], const char *list, int buckets,
		      struct err *e)
{
	struct cursor c[2] = { { .pg = pg[0] }, { .pg = pg[1] } };
	int rc = 0;

	for (int role = 0; role < 2 && rc == 0; role++)
		rc = start_rows(&c[role], (enum pg_role)role, m->p, m->settings, list, buckets, e);
	while (rc == 0 && !(c[0].end && c[1].end))
		rc = merge_group(m, c, e);
	cursor_done(&c[0]);
	cursor_done(&c[1]);
	return rc;
}

/* --- all of it --- */

static int find_rows(struct rowdiff *found, struct pg *const pg[2], const struct pair *p,
		     const struct rowdiff_settings *settings, const char *list, struct err *e)
{
	struct merge m = { .p = p, .settings = settings, .found = found };
	int rc;

	m.details = calloc((size_t)settings->max_rows + 1, sizeof(*m.details));
	if (!m.details)
		return err_nomem(e);
	rc = merge_ends(&m, pg, list, found->buckets, e);
	if (rc == 0)
		rc = rowdetail_describe(pg, p, m.details, m.n_details, settings->include_values, e);
	for (int i = 0; i < m.n_details; i++) {
		found->equivalent += m.details[i].equivalent;
		free(m.details[i].key_hex);
	}
	free(m.details);
	return rc;
}

static int run(struct rowdiff *found, struct pg *const pg[2], const struct pair *p,
	       const struct rowdiff_settings *settings, struct err *e)
{
	AUTO(free) struct tally *tallies = calloc(2 * (size_t)found->buckets, sizeof(*tallies));
	AUTO_TEXT struct text list = TEXT_INIT;

	found->rows = json_array();
	if (!tallies || !found->rows)
		return err_nomem(e);
	for (int role = 0; role < 2; role++)
		if (scan_buckets(pg[role], (enum pg_role)role, p, settings,
				 tallies + role * found->buckets, found->buckets, e))
			return -1;
	found->buckets_different =
		list_different(&list, tallies, tallies + found->buckets, found->buckets);
	if (text_check(&list, e))
		return -1;
	return found->buckets_different ? find_rows(found, pg, p, settings, text_str(&list), e) : 0;
}

int rowdiff_run(struct rowdiff *ret, struct pg *const pg[2], const struct pair *p,
		const struct rowdiff_settings *settings, struct err *e)
{
	struct rowdiff found = { .keyed = p->key.n > 0 };

	found.buckets = settings->rows > ROWDIFF_LARGE ? ROWDIFF_BUCKETS_LARGE : ROWDIFF_BUCKETS;
	if (run(&found, pg, p, settings, e)) {
		rowdiff_free(&found);
		return -1;
	}
	*ret = found;
	return 0;
}

void rowdiff_free(struct rowdiff *r)
{
	json_decref(r->rows);
	r->rows = NULL;
}
