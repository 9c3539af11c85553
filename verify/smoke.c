#include "verify/smoke.h"

#include "common/clock.h"
#include "verify/finding.h"

#include <string.h>

#define DEFAULT_DIMENSIONS 3
#define LOOK_AT            10 /* the new row must be among the nearest so many */

struct smoke {
	struct pg *pg;
	const struct pair *pair;
	const struct column *vector;
	const char *schema;
	uint64_t seed;
	char *literal; /* the new vector, as text */
	char *ctid;    /* of the new row */
	json_t *out;
};

static const struct column *vector_column(const struct table *t)
{
	for (int i = 0; i < t->n_columns; i++)
		if (t->columns[i].is_vector_like && !strstr(t->columns[i].type, "sparsevec") &&
		    !t->columns[i].generated)
			return &t->columns[i];
	return NULL;
}

/* A column that does not say it takes vectors like those that it has, if it has any. */
static int dimensions(struct smoke *s, int *ret, struct err *e)
{
	const struct table *t = s->pair->end[PG_TARGET];
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *found = NULL;

	*ret = s->vector->typmod;
	if (*ret > 0)
		return 0;
	text_add(&sql, "SELECT ");
	text_add_qname(&sql, s->schema, "vector_dims");
	text_add(&sql, "(");
	text_add_ident(&sql, s->vector->name);
	text_addf(&sql, ") FROM %s%s WHERE ", t->kind == 'p' ? "" : "ONLY ", t->qname);
	text_add_ident(&sql, s->vector->name);
	text_add(&sql, " IS NOT NULL LIMIT 1");
	if (text_check(&sql, e) || pg_value(s->pg, text_str(&sql), &found, e))
		return -1;
	*ret = found ? (int)strtol(found, NULL, 10) : DEFAULT_DIMENSIONS;
	return 0;
}

/* A vector that no document has: pseudo-random from the seed, so that a repeat is the same. */
static int new_vector(struct smoke *s, struct err *e)
{
	struct text t = TEXT_INIT;
	uint64_t x = s->seed * 2862933555777941757u + 3037000493u;
	int n;

	if (dimensions(s, &n, e))
		return -1;
	text_add(&t, "[");
	for (int i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		text_addf(&t, "%s%.4f", i > 0 ? "," : "", (double)(x >> 40) / (1 << 24) - 0.5);
	}
	text_add(&t, "]");
	s->literal = text_take(&t, e);
	return s->literal ? 0 : -1;
}

static bool in_key(const struct pair *p, const char *name)
{
	for (int i = 0; i < p->key.n; i++)
		if (!strcmp(p->key.end[PG_TARGET][i].name, name))
			return true;
	return false;
}

static bool needs_value(const struct column *c)
{
	return c->not_null && !c->default_expr && !c->identity && !c->generated;
}

/* What a required column gets: a new key, else the value of an existing row. NULL: no way. */
static const char *value_for(const struct pair *p, const struct column *c)
{
	if (!in_key(p, c->name))
		return NULL;
	if (!strcmp(c->type, "uuid"))
		return "gen_random_uuid()";
	if (!strcmp(c->type, "text") || !strncmp(c->type, "character varying", 17))
		return "'neonferry ' || gen_random_uuid()";
	if (!strcmp(c->type, "integer") || !strcmp(c->type, "bigint"))
		return "-(extract(epoch FROM clock_timestamp())::integer)";
	return NULL;
}

static void insert_sql(struct text *sql, const struct smoke *s)
{
	const struct table *t = s->pair->end[PG_TARGET];
	AUTO_TEXT struct text values = TEXT_INIT;

	text_addf(sql, "INSERT INTO %s (", t->qname);
	text_add_ident(sql, s->vector->name);
	text_add_literal(&values, s->literal);
	for (int i = 0; i < t->n_columns; i++) {
		const struct column *c = &t->columns[i];
		const char *value = value_for(s->pair, c);

		if (c == s->vector || !needs_value(c))
			continue;
		text_add(sql, ", ");
		text_add_ident(sql, c->name);
		text_add(&values, ", ");
		if (value)
			text_add(&values, value);
		else
			text_add_qname(&values, "nf_src", c->name);
	}
	text_addf(sql,
		  ") SELECT %s FROM (SELECT 1) one LEFT JOIN (SELECT * FROM %s%s LIMIT 1)"
		  " nf_src ON true RETURNING ctid",
		  text_str(&values), t->kind == 'p' ? "" : "ONLY ", t->qname);
	sql->failed |= values.failed;
}

static int add(struct smoke *s, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	insert_sql(&sql, s);
	return text_check(&sql, e) ? -1 : pg_value(s->pg, text_str(&sql), &s->ctid, e);
}

/* *ret is its place among the nearest, 0 where it is not there. */
static int find(struct smoke *s, int *ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT ctid FROM %s ORDER BY ", s->pair->end[PG_TARGET]->qname);
	text_add_ident(&sql, s->vector->name);
	text_add(&sql, " OPERATOR(");
	text_add_ident(&sql, s->schema);
	text_add(&sql, ".<=>) ");
	text_add_literal(&sql, s->literal);
	text_addf(&sql, " LIMIT %d", LOOK_AT);
	if (text_check(&sql, e) || pg_query(s->pg, text_str(&sql), &res, e))
		return -1;
	*ret = 0;
	for (int i = PQntuples(res); i > 0; i--)
		if (s->ctid && !strcmp(PQgetvalue(res, i - 1, 0), s->ctid))
			*ret = i;
	return 0;
}

static int take_away(struct smoke *s, struct err *e)
{
	AUTO(free) char *gone = NULL;

	if (pg_valuef(s->pg, &gone, e,
		      "WITH gone AS (DELETE FROM %s WHERE ctid = '%s' RETURNING 1)"
		      " SELECT count(*) FROM gone",
		      s->pair->end[PG_TARGET]->qname, s->ctid ? s->ctid : "(0,0)"))
		return -1;
	if (!gone || strcmp(gone, "1") != 0)
		return err_set(e, ERR_TARGET, "the added row could not be deleted again");
	return 0;
}

static int steps(struct smoke *s, int *ret_place, struct err *e)
{
	uint64_t t0, t1, t2;

	if (new_vector(s, e))
		return err_note(e, "making a vector for %s", s->pair->name);
	t0 = clock_us();
	if (add(s, e))
		return err_note(e, "adding a row to %s", s->pair->name);
	t1 = clock_us();
	if (find(s, ret_place, e))
		return err_note(e, "finding the added row in %s", s->pair->name);
	t2 = clock_us();
	if (take_away(s, e))
		return err_note(e, "deleting the added row of %s", s->pair->name);
	json_array_append_new(
		s->out, json_pack("{s:s, s:s, s:f, s:f, s:f, s:i}", "table", s->pair->name,
				  "column", s->vector->name, "added_ms", (double)(t1 - t0) / 1e3,
				  "found_ms", (double)(t2 - t1) / 1e3, "deleted_ms",
				  (double)(clock_us() - t2) / 1e3, "place", *ret_place));
	return 0;
}

static int try_table(struct smoke *s, json_t *checks, struct err *e)
{
	struct err failed = ERR_INIT;
	int place = 0, rc;

	if (pg_begin(s->pg, NULL, e))
		return -1;
	rc = steps(s, &place, &failed);
	pg_rollback(s->pg);
	if (rc && (failed.next != ERR_GIVE_UP || failed.kind == ERR_STOPPED)) {
		*e = failed;
		return -1;
	}
	/*
	 * Keys and references of its own making, or dimensions that nothing told: not a fault, but
	 * no test either.
	 */
	if (rc && (!strncmp(failed.sqlstate, "23", 2) ||
		   (s->vector->typmod <= 0 && !strcmp(failed.sqlstate, "22000"))))
		finding_add(checks, "smoke", s->pair->name, FINDING_INFO,
			    "%s does not take a made-up row: %s", s->pair->name, failed.text);
	else if (rc)
		finding_add(checks, "smoke", s->pair->name, FINDING_FAIL, "%s", failed.text);
	else if (place == 0)
		finding_add(checks, "smoke", s->pair->name, FINDING_FAIL,
			    "a row added to %s is not among the %d nearest to its own vector",
			    s->pair->name, LOOK_AT);
	else
		finding_add(checks, "smoke", s->pair->name, FINDING_PASS,
			    "a row was added to %s, found in place %d, deleted; all rolled back",
			    s->pair->name, place);
	return 0;
}

int smoke_run(struct pg *target, const struct pairs *pairs, const char *schema, uint64_t seed,
	      json_t *checks, json_t *out, struct err *e)
{
	for (int i = 0; i < pairs->n; i++) {
		const struct pair *p = &pairs->pair[i];
		const struct table *t = p->end[PG_TARGET];
		struct smoke s = {
			.pg = target, .pair = p, .schema = schema, .seed = seed, .out = out
		};
		int rc;

		s.vector = t && strchr("rp", t->kind) ? vector_column(t) : NULL;
		if (!s.vector || !schema)
			continue;
		rc = try_table(&s, checks, e);
		free(s.literal);
		free(s.ctid);
		if (rc)
			return -1;
	}
	if (json_array_size(out) == 0)
		finding_add(checks, "smoke", "documents", FINDING_UNKNOWN,
			    "no table with a vector column took a test row");
	return 0;
}
