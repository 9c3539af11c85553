#include "verify/parity.h"

#include "verify/definitions.h"
#include "verify/finding.h"

#include <stdio.h>
#include <string.h>

/*
 * What the model of the catalog does not hold: values as a session has them, and data. Every kind
 * is one query that gives (object, value).
 */
struct kind {
	const char *word;
	const char *sql;
};

static const struct kind kinds[] = {
	/* What searches feel: the value in force for this role, wherever it was set. */
	{ "search setting",
	  "SELECT name, current_setting(name, true) FROM unnest(ARRAY["
	  "'hnsw.ef_search', 'hnsw.iterative_scan', 'hnsw.max_scan_tuples',"
	  " 'ivfflat.probes']) name WHERE EXISTS (SELECT FROM pg_extension"
	  " WHERE extname = 'vector') AND current_setting(name, true) IS NOT NULL" },
	{ "large objects", "SELECT 'number', count(*) FROM pg_largeobject_metadata" },
};

static const char *value_of(const PGresult *res, const char *object)
{
	for (int i = 0; i < PQntuples(res); i++)
		if (!strcmp(PQgetvalue(res, i, 0), object))
			return PQgetvalue(res, i, 1);
	return NULL;
}

static int compare_values(const struct kind *k, const PGresult *source, const PGresult *target,
			  json_t *checks)
{
	int differences = 0;

	for (int i = 0; i < PQntuples(source); i++) {
		const char *object = PQgetvalue(source, i, 0), *s = PQgetvalue(source, i, 1);
		const char *t = value_of(target, object);

		if (t && !strcmp(s, t))
			continue;
		differences++;
		if (t)
			finding_add(checks, "schema", object, FINDING_FAIL,
				    "%s %s: \"%s\" in the source, \"%s\" in the target", k->word,
				    object, s, t);
		else
			finding_add(checks, "schema", object, FINDING_FAIL,
				    "%s %s is missing in the target", k->word, object);
	}
	return differences;
}

static int check_kind(const struct kind *k, struct pg *const pg[2], json_t *checks, json_t *objects,
		      struct err *e)
{
	AUTO(pgresult) PGresult *source = NULL;
	AUTO(pgresult) PGresult *target = NULL;

	if ((pg[PG_SOURCE] && pg_query(pg[PG_SOURCE], k->sql, &source, e)) ||
	    pg_query(pg[PG_TARGET], k->sql, &target, e))
		return -1;
	json_array_append_new(objects,
			      json_pack("{s:s, s:o, s:i, s:i}", "kind", k->word, "source",
					source ? json_integer(PQntuples(source)) : json_null(),
					"target", PQntuples(target), "different",
					source ? compare_values(k, source, target, checks) : 0));
	return 0;
}

int parity_check(struct pg *const pg[2], const struct pairs *pairs, struct parity_want want,
		 json_t *checks, json_t *objects, struct err *e)
{
	if (definitions_check(pg, pairs, want, checks, objects, e))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !want.only_tables; i++) {
		struct err failed = ERR_INIT;

		if (check_kind(&kinds[i], pg, checks, objects, &failed) == 0)
			continue;
		if (failed.kind == ERR_STOPPED || failed.next != ERR_GIVE_UP) {
			*e = failed;
			return err_note(e, "comparing %s", kinds[i].word);
		}
		finding_add(checks, "schema", kinds[i].word, FINDING_UNKNOWN,
			    "%s could not be compared: %s", kinds[i].word, failed.text);
	}
	return 0;
}

/* --- tables --- */

void parity_tables(const struct pairs *pairs, bool has_source, json_t *checks)
{
	int same = 0;

	for (int i = 0; i < pairs->n; i++) {
		const struct pair *p = &pairs->pair[i];

		if (!has_source)
			continue;
		if (!p->end[PG_TARGET])
			finding_add(checks, "schema", p->name, FINDING_FAIL,
				    "table %s is missing in the target", p->name);
		else if (!p->end[PG_SOURCE])
			finding_add(checks, "schema", p->name, FINDING_INFO,
				    "table %s is only in the target", p->name);
		else if (p->why[0])
			finding_add(checks, "schema", p->name,
				    p->moved ? FINDING_WARNING : FINDING_FAIL, "table %s: %s",
				    p->name, p->why);
		else
			same++;
	}
	if (has_source)
		finding_add(checks, "schema", "tables", FINDING_PASS,
			    "%d tables have the same columns on both ends", same);
}

/* --- sequences --- */

#define VALUES_BATCH 200

/*
 * Values of sequences, by place in the catalog: the last one handed out, or the one a step before
 * the first; NULL where it cannot be read. No list at all: the end is not asked.
 */
static void values_free(char **values, const struct catalog *c)
{
	for (int i = 0; values && i < c->n_sequences; i++)
		free(values[i]);
	free(values);
}

/* RESTART and setval() may have set a sequence that nobody has used to any value. */
static int read_batch(char **values, const struct catalog *c, int from, struct pg *pg,
		      struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	for (int i = from; i < c->n_sequences && i < from + VALUES_BATCH; i++)
		if (c->sequences[i].can_read)
			text_addf(&sql,
				  "%sSELECT %d, last_value - CASE WHEN is_called THEN 0::numeric"
				  " ELSE %s END FROM %s",
				  sql.len > 0 ? " UNION ALL " : "", i, c->sequences[i].increment,
				  c->sequences[i].qname);
	if (sql.len == 0)
		return 0;
	if (text_check(&sql, e) || pg_query(pg, text_str(&sql), &res, e))
		return -1;
	for (int row = 0; row < PQntuples(res); row++) {
		char **value = &values[strtol(PQgetvalue(res, row, 0), NULL, 10)];

		*value = strdup(PQgetvalue(res, row, 1));
		if (!*value)
			return err_nomem(e);
	}
	return 0;
}

static int read_values(char ***ret, const struct catalog *c, struct pg *pg, struct err *e)
{
	int rc = 0;

	*ret = calloc((size_t)c->n_sequences + 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(e);
	for (int i = 0; rc == 0 && i < c->n_sequences; i += VALUES_BATCH)
		rc = read_batch(*ret, c, i, pg, e);
	return rc;
}

static bool is_behind(const char *value, long long than, long long increment)
{
	long long at = strtoll(value, NULL, 10);

	return increment < 0 ? at > than : at < than;
}

/* The largest value in the column that the sequence feeds (the smallest, where it counts down). */
static int column_extreme(struct pg *pg, const struct sequence *q, long long increment, char **ret,
			  struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	*ret = NULL;
	if (!q->owned_by_table || !q->owned_by_column)
		return 0;
	text_addf(&sql, "SELECT %s(", increment < 0 ? "min" : "max");
	text_add_ident(&sql, q->owned_by_column);
	text_addf(&sql, ") FROM %s", q->owned_by_table);
	return text_check(&sql, e) ? -1 : pg_value(pg, text_str(&sql), ret, e);
}

/* s, t: its values; source: the source is asked. label: as every other object is named. */
static void check_sequence(const struct sequence *q, const char *label, bool source, const char *s,
			   const char *t, struct pg *pg, json_t *checks, int *good)
{
	long long increment = strtoll(q->increment, NULL, 10);
	AUTO(free) char *extreme = NULL;
	struct err failed = ERR_INIT;

	if (!t || (source && !s)) {
		finding_add(checks, "schema", label, FINDING_UNKNOWN,
			    "sequence %s cannot be read in the %s", label, t ? "source" : "target");
	} else if (s && is_behind(t, strtoll(s, NULL, 10), increment)) {
		finding_add(checks, "schema", label, FINDING_FAIL,
			    "sequence %s is behind: %s in the source, %s in the target", label, s,
			    t);
	} else if (column_extreme(pg, q, increment, &extreme, &failed)) {
		finding_add(checks, "schema", label, FINDING_UNKNOWN, "sequence %s: %s", label,
			    failed.text);
	} else if (extreme && is_behind(t, strtoll(extreme, NULL, 10), increment)) {
		finding_add(checks, "schema", label, FINDING_FAIL,
			    "sequence %s is behind its column: it stands at %s, the column at %s",
			    label, t, extreme);
	} else {
		(*good)++;
	}
}

static int find_sequence(const struct catalog *c, const struct sequence *q)
{
	for (int i = 0; i < c->n_sequences; i++)
		if (!strcmp(c->sequences[i].schema, q->schema) &&
		    !strcmp(c->sequences[i].name, q->name))
			return i;
	return -1;
}

static int check_sequences(char **const values[2], const struct catalog *const catalogs[2],
			   struct pg *target, json_t *checks, struct err *e)
{
	bool source = values[PG_SOURCE] != NULL;
	const struct catalog *lead = catalogs[source ? PG_SOURCE : PG_TARGET];
	int good = 0;

	for (int i = 0; i < lead->n_sequences; i++) {
		const struct sequence *q = &lead->sequences[i];
		int there = find_sequence(catalogs[PG_TARGET], q);

		AUTO_TEXT struct text label = TEXT_INIT;

		text_addf(&label, "%s.%s", q->schema, q->name);
		if (text_check(&label, e))
			return -1;
		if (there >= 0) /* else its definition is missing, which is told */
			check_sequence(&catalogs[PG_TARGET]->sequences[there], text_str(&label),
				       source, source ? values[PG_SOURCE][i] : NULL,
				       values[PG_TARGET][there], target, checks, &good);
	}
	if (lead->n_sequences > 0)
		finding_add(checks, "schema", "sequences", FINDING_PASS,
			    "%d of %d sequences are at or past %s", good, lead->n_sequences,
			    source ? "the source's value and their column" : "their column");
	return 0;
}

int parity_sequences(struct pg *const pg[2], const struct catalog *const catalogs[2],
		     json_t *checks, struct err *e)
{
	char **values[2] = { NULL, NULL };
	int rc = 0;

	for (int role = 0; role < 2 && rc == 0; role++)
		if (pg[role])
			rc = read_values(&values[role], catalogs[role], pg[role], e);
	if (rc)
		(void)err_note(e, "reading the sequences");
	else
		rc = check_sequences(values, catalogs, pg[PG_TARGET], checks, e);
	for (int role = 0; role < 2; role++)
		values_free(values[role], catalogs[role]);
	return rc;
}
