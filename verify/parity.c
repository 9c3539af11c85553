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

int parity_check(struct pg *const pg[2], const struct pairs *pairs, bool only_tables,
		 json_t *checks, json_t *objects, struct err *e)
{
	if (definitions_check(pg, pairs, only_tables, checks, objects, e))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !only_tables; i++) {
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
			finding_add(checks, "schema", p->name, FINDING_FAIL, "table %s: %s",
				    p->name, p->why);
		else
			same++;
	}
	if (has_source)
		finding_add(checks, "schema", "tables", FINDING_PASS,
			    "%d tables have the same columns on both ends", same);
}

/* --- sequences --- */

/* The last value handed out; a sequence nobody has used stands one step before its start. */
static const char sequence_sql[] =
	"SELECT format('%s.%s', schemaname, sequencename),"
	" coalesce(last_value, start_value - increment_by), increment_by"
	" FROM pg_sequences WHERE has_sequence_privilege(format('%I.%I', schemaname,"
	" sequencename), 'SELECT, USAGE')";

static const char *sequence_value(const PGresult *res, const struct sequence *q, int column)
{
	size_t n = strlen(q->schema);

	for (int i = 0; res && i < PQntuples(res); i++) {
		const char *name = PQgetvalue(res, i, 0);

		if (!strncmp(name, q->schema, n) && name[n] == '.' &&
		    !strcmp(name + n + 1, q->name))
			return PQgetvalue(res, i, column);
	}
	return NULL;
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

/* `label`: public.items_id_seq, as every other object is named. */
static void check_sequence(const struct sequence *q, const char *label, const PGresult *source,
			   const PGresult *target, struct pg *pg, json_t *checks, int *good)
{
	const char *s = sequence_value(source, q, 1), *t = sequence_value(target, q, 1);
	const char *step = sequence_value(target, q, 2);
	long long increment = step ? strtoll(step, NULL, 10) : 1;
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

static const struct sequence *find_sequence(const struct catalog *c, const struct sequence *q)
{
	for (int i = 0; i < c->n_sequences; i++)
		if (!strcmp(c->sequences[i].schema, q->schema) &&
		    !strcmp(c->sequences[i].name, q->name))
			return &c->sequences[i];
	return NULL;
}

int parity_sequences(struct pg *const pg[2], const struct catalog *const catalogs[2],
		     json_t *checks, struct err *e)
{
	const struct catalog *lead = catalogs[pg[PG_SOURCE] ? PG_SOURCE : PG_TARGET];
	AUTO(pgresult) PGresult *source = NULL;
	AUTO(pgresult) PGresult *target = NULL;
	int good = 0;

	if ((pg[PG_SOURCE] && pg_query(pg[PG_SOURCE], sequence_sql, &source, e)) ||
	    pg_query(pg[PG_TARGET], sequence_sql, &target, e))
		return err_note(e, "reading the sequences");
	for (int i = 0; i < lead->n_sequences; i++) {
		const struct sequence *q = &lead->sequences[i];
		const struct sequence *there = find_sequence(catalogs[PG_TARGET], q);

		AUTO_TEXT struct text label = TEXT_INIT;

		text_addf(&label, "%s.%s", q->schema, q->name);
		if (text_check(&label, e))
			return -1;
		if (there) /* else its definition is missing, which is told */
			check_sequence(there, text_str(&label), source, target, pg[PG_TARGET],
				       checks, &good);
	}
	if (lead->n_sequences > 0)
		finding_add(checks, "schema", "sequences", FINDING_PASS,
			    "%d of %d sequences are at or past %s", good, lead->n_sequences,
			    pg[PG_SOURCE] ? "the source's value and their column" : "their column");
	return 0;
}
