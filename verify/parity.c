#include "verify/parity.h"

#include "verify/finding.h"

#include <stdio.h>
#include <string.h>

/*
 * Every kind is one query that gives (object, table or '', definition, state or ''), compared by
 * definition after both ends are sorted by object. A state in words is a fault of its own.
 */
struct kind {
	const char *word;
	enum finding_verdict missing, different, extra; /* extra: only in the target */
	const char *sql;
};

#define USER_SCHEMA                                                                                \
	" n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'neonferry', 'neon',"    \
	" 'neon_migration') "
#define NOT_EXTENSION(class, oid)                                                                  \
	" NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '" class "'::regclass AND "        \
									 "d.objid = " oid          \
									 " AND d.deptype = 'e') "
#define TABLE_NAME "format('%s.%s', n.nspname, t.relname)"

static const struct kind kinds[] = {
	{ "extension", FINDING_FAIL, FINDING_FAIL, FINDING_PASS,
	  "SELECT extname, '', extversion, '' FROM pg_extension WHERE extname <> 'plpgsql'"
	  " AND extname <> 'neon'" },
	{ "index", FINDING_FAIL, FINDING_FAIL, FINDING_PASS,
	  "SELECT format('%s.%s', n.nspname, c.relname), " TABLE_NAME ","
	  " regexp_replace(pg_get_indexdef(c.oid), '^CREATE (UNIQUE )?INDEX .* ON .* USING ',"
	  " '\\1'),"
	  " CASE WHEN NOT i.indisvalid THEN 'is not valid' WHEN NOT i.indisready"
	  " THEN 'is not ready' ELSE '' END"
	  " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
	  " JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
	  " WHERE NOT t.relispartition AND" USER_SCHEMA "AND" NOT_EXTENSION("pg_class", "t.oid") },
	{ "index of a partition", FINDING_INFO, FINDING_INFO, FINDING_PASS,
	  "SELECT format('%s.%s', n.nspname, c.relname), '', '',"
	  " 'is not valid' FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
	  " JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
	  " WHERE t.relispartition AND NOT (i.indisvalid AND i.indisready) AND" USER_SCHEMA },
	{ "constraint", FINDING_FAIL, FINDING_FAIL, FINDING_PASS,
	  "SELECT format('%s on %s.%s', k.conname, n.nspname, t.relname), " TABLE_NAME ","
	  " regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''),"
	  " CASE WHEN NOT k.convalidated THEN 'is not validated' ELSE '' END"
	  " FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid"
	  " JOIN pg_namespace n ON n.oid = t.relnamespace WHERE NOT t.relispartition"
	  " AND k.contype IN ('p', 'u', 'x', 'f', 'c') AND" USER_SCHEMA
	  "AND" NOT_EXTENSION("pg_class", "t.oid") },
	{ "trigger", FINDING_FAIL, FINDING_FAIL, FINDING_WARNING,
	  "SELECT format('%s on %s.%s', g.tgname, n.nspname, t.relname), " TABLE_NAME ","
	  " pg_get_triggerdef(g.oid), CASE g.tgenabled WHEN 'D' THEN 'is disabled' ELSE '' END"
	  " FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid"
	  " JOIN pg_namespace n ON n.oid = t.relnamespace WHERE NOT g.tgisinternal"
	  " AND NOT t.relispartition AND" USER_SCHEMA "AND" NOT_EXTENSION("pg_class", "t.oid") },
	{ "function", FINDING_FAIL, FINDING_FAIL, FINDING_PASS,
	  "SELECT format('%s.%s(%s)', n.nspname, p.proname, "
	  "pg_get_function_identity_arguments(p.oid)),"
	  " '', CASE WHEN p.prokind = 'a' THEN 'aggregate' ELSE md5(pg_get_functiondef(p.oid)) "
	  "END, ''"
	  " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
	  " WHERE" USER_SCHEMA "AND" NOT_EXTENSION("pg_proc", "p.oid") },
	{ "view", FINDING_FAIL, FINDING_WARNING, FINDING_PASS,
	  "SELECT format('%s.%s', n.nspname, t.relname), '', pg_get_viewdef(t.oid), ''"
	  " FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace"
	  " WHERE t.relkind IN ('v', 'm') AND" USER_SCHEMA
	  "AND" NOT_EXTENSION("pg_class", "t.oid") },
	{ "type", FINDING_FAIL, FINDING_FAIL, FINDING_PASS,
	  "SELECT format('%s.%s', n.nspname, y.typname), '', coalesce((SELECT string_agg("
	  "e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid),"
	  " format_type(y.typbasetype, y.typtypmod), y.typtype::text), ''"
	  " FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace"
	  " WHERE y.typtype IN ('e', 'd', 'r') AND" USER_SCHEMA
	  "AND" NOT_EXTENSION("pg_type", "y.oid") },
	{ "policy", FINDING_FAIL, FINDING_FAIL, FINDING_WARNING,
	  "SELECT format('%s on %s.%s', o.polname, n.nspname, t.relname), " TABLE_NAME ","
	  " concat_ws(' ', o.polcmd, o.polpermissive, pg_get_expr(o.polqual, o.polrelid),"
	  " pg_get_expr(o.polwithcheck, o.polrelid)), ''"
	  " FROM pg_policy o JOIN pg_class t ON t.oid = o.polrelid"
	  " JOIN pg_namespace n ON n.oid = t.relnamespace WHERE" USER_SCHEMA },
	{ "row security", FINDING_FAIL, FINDING_FAIL, FINDING_WARNING,
	  "SELECT " TABLE_NAME ", " TABLE_NAME ", t.relforcerowsecurity::text, '' FROM pg_class t"
	  " JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.relrowsecurity AND" USER_SCHEMA },
	/* What searches feel: the value in force for this role, wherever it was set. */
	{ "search setting", FINDING_FAIL, FINDING_FAIL, FINDING_PASS,
	  "SELECT name, '', current_setting(name, true), '' FROM unnest(ARRAY["
	  "'hnsw.ef_search', 'hnsw.iterative_scan', 'hnsw.max_scan_tuples', 'ivfflat.probes'])"
	  " name WHERE EXISTS (SELECT FROM pg_extension WHERE extname = 'vector')"
	  " AND current_setting(name, true) IS NOT NULL" },
	{ "setting of the database", FINDING_WARNING, FINDING_WARNING, FINDING_PASS,
	  "SELECT split_part(c, '=', 1), '', split_part(c, '=', 2), ''"
	  " FROM pg_db_role_setting s JOIN pg_database b ON b.oid = s.setdatabase"
	  " CROSS JOIN unnest(s.setconfig) c WHERE b.datname = current_database()"
	  " AND s.setrole = 0 AND c !~ '^(hnsw|ivfflat)[.]'" },
	{ "large objects", FINDING_FAIL, FINDING_FAIL, FINDING_PASS,
	  "SELECT 'number', '', count(*)::text, '' FROM pg_largeobject_metadata" },
};

struct list {
	PGresult *res;
	int *order, n;
};

static const char *cell(const struct list *l, int i, int column)
{
	return PQgetvalue(l->res, l->order[i], column);
}

static int by_object(const void *a, const void *b, void *res)
{
	return strcmp(PQgetvalue(res, *(const int *)a, 0), PQgetvalue(res, *(const int *)b, 0));
}

static bool is_looked_at(const struct pairs *pairs, const char *table, bool only_tables)
{
	if (!only_tables)
		return true;
	for (int i = 0; table[0] && i < pairs->n; i++)
		if (!strcmp(pairs->pair[i].name, table))
			return true;
	return false;
}

static int read_list(struct list *l, struct pg *pg, const struct kind *k, const struct pairs *pairs,
		     bool only_tables, struct err *e)
{
	if (pg_query(pg, k->sql, &l->res, e))
		return -1;
	l->order = calloc((size_t)PQntuples(l->res) + 1, sizeof(*l->order));
	if (!l->order)
		return err_nomem(e);
	for (int i = 0; i < PQntuples(l->res); i++)
		if (is_looked_at(pairs, PQgetvalue(l->res, i, 1), only_tables))
			l->order[l->n++] = i;
	qsort_r(l->order, (size_t)l->n, sizeof(*l->order), by_object, l->res);
	return 0;
}

static bool is_converted(const struct pairs *pairs, const char *table)
{
	for (int i = 0; table[0] && i < pairs->n; i++)
		if (!strcmp(pairs->pair[i].name, table))
			return pairs->pair[i].converted;
	return false;
}

/* The definition with every "halfvec" as "vector": what a converted column's index becomes. */
static char *as_vector(const char *definition)
{
	char *copy = strdup(definition);

	for (char *p = copy; p && (p = strstr(p, "halfvec"));) {
		memmove(p + 6, p + 7, strlen(p + 7) + 1);
		memcpy(p, "vector", 6);
	}
	return copy;
}

static bool same_definition(const struct pairs *pairs, const struct list *s, int i,
			    const struct list *t, int j)
{
	AUTO(free) char *a = NULL;
	AUTO(free) char *b = NULL;

	if (!strcmp(cell(s, i, 2), cell(t, j, 2)))
		return true;
	if (!is_converted(pairs, cell(s, i, 1)))
		return false;
	a = as_vector(cell(s, i, 2));
	b = as_vector(cell(t, j, 2));
	return a && b && !strcmp(a, b);
}

/* Definitions may be long; what matters in an index or a version is short. */
static void note_different(const struct kind *k, const char *object, const char *s, const char *t,
			   json_t *checks)
{
	if (!strcmp(k->word, "function"))
		finding_add(checks, "schema", object, k->different,
			    "function %s has another definition in the target", object);
	else
		finding_add(checks, "schema", object, k->different,
			    "%s %s: \"%.200s\" in the source, \"%.200s\" in the target", k->word,
			    object, s, t);
}

static int note_state(const struct kind *k, const struct list *s, int i, const struct list *t,
		      int j, json_t *checks)
{
	const char *state = cell(t, j, 3);

	if (!state[0] || (i >= 0 && !strcmp(cell(s, i, 3), state)))
		return 0;
	finding_add(checks, "schema", cell(t, j, 0), FINDING_FAIL, "%s %s %s in the target",
		    k->word, cell(t, j, 0), state);
	return 1;
}

static int compare_lists(const struct kind *k, const struct pairs *pairs, const struct list *s,
			 const struct list *t, json_t *checks)
{
	int i = 0, j = 0, differences = 0;

	while (i < s->n || j < t->n) {
		int order = i >= s->n ? 1 : j >= t->n ? -1 : strcmp(cell(s, i, 0), cell(t, j, 0));

		if (order < 0) {
			finding_add(checks, "schema", cell(s, i, 0), k->missing,
				    "%s %s is missing in the target", k->word, cell(s, i, 0));
			differences++;
		} else if (order == 0 && !same_definition(pairs, s, i, t, j)) {
			note_different(k, cell(s, i, 0), cell(s, i, 2), cell(t, j, 2), checks);
			differences++;
		}
		if (order > 0 && k->extra != FINDING_PASS) {
			finding_add(checks, "schema", cell(t, j, 0), k->extra,
				    "%s %s is only in the target", k->word, cell(t, j, 0));
			differences++;
		}
		if (order >= 0)
			differences += note_state(k, s, order == 0 ? i : -1, t, j, checks);
		i += order <= 0;
		j += order >= 0;
	}
	return differences;
}

static int states_only(const struct kind *k, const struct list *t, json_t *checks)
{
	int faults = 0;

	for (int j = 0; j < t->n; j++)
		faults += note_state(k, NULL, -1, t, j, checks);
	return faults;
}

static int check_kind(const struct kind *k, struct pg *const pg[2], const struct pairs *pairs,
		      bool only_tables, json_t *checks, json_t *objects, struct err *e)
{
	struct list l[2] = { { .n = 0 }, { .n = 0 } };
	int rc = 0, different = 0;

	for (int role = 0; role < 2 && rc == 0; role++)
		if (pg[role])
			rc = read_list(&l[role], pg[role], k, pairs, only_tables, e);
	if (rc == 0) {
		different = pg[PG_SOURCE] ? compare_lists(k, pairs, &l[0], &l[1], checks)
					  : states_only(k, &l[1], checks);
		json_array_append_new(objects,
				      json_pack("{s:s, s:o, s:i, s:i}", "kind", k->word, "source",
						pg[PG_SOURCE] ? json_integer(l[0].n) : json_null(),
						"target", l[1].n, "different", different));
	}
	for (int role = 0; role < 2; role++) {
		PQclear(l[role].res);
		free(l[role].order);
	}
	return rc;
}

int parity_check(struct pg *const pg[2], const struct pairs *pairs, bool only_tables,
		 json_t *checks, json_t *objects, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct err failed = ERR_INIT;

		if (check_kind(&kinds[i], pg, pairs, only_tables, checks, objects, &failed) == 0)
			continue;
		if (failed.kind == ERR_STOPPED || failed.next != ERR_GIVE_UP) {
			*e = failed;
			return err_note(e, "comparing %s definitions", kinds[i].word);
		}
		finding_add(checks, "schema", kinds[i].word, FINDING_UNKNOWN,
			    "%s definitions could not be compared: %s", kinds[i].word, failed.text);
	}
	return 0;
}

/* --- tables and columns --- */

static void compare_column(const struct pair *p, const struct column *s, const struct column *t,
			   json_t *checks)
{
	char object[256];

	snprintf(object, sizeof(object), "%.120s.%.100s", p->name, s->name);
	if (strcmp(s->type, t->type) != 0)
		finding_add(checks, "schema", object,
			    s->is_vector && t->is_vector_like ? FINDING_INFO : FINDING_FAIL,
			    "column %s is %s in the source, %s in the target", object, s->type,
			    t->type);
	if (s->not_null != t->not_null)
		finding_add(checks, "schema", object, FINDING_FAIL, "column %s %s", object,
			    s->not_null ? "is NOT NULL in the source only"
					: "is NOT NULL in the target only");
	if (s->identity != t->identity || s->generated != t->generated)
		finding_add(checks, "schema", object, FINDING_FAIL,
			    "column %s is not generated in the same way", object);
	if (!s->default_expr != !t->default_expr ||
	    (s->default_expr && strcmp(s->default_expr, t->default_expr) != 0))
		finding_add(checks, "schema", object, FINDING_WARNING,
			    "column %s has the default %s in the source, %s in the target", object,
			    s->default_expr ? s->default_expr : "none",
			    t->default_expr ? t->default_expr : "none");
}

static void compare_columns(const struct pair *p, json_t *checks)
{
	const struct table *s = p->end[PG_SOURCE], *t = p->end[PG_TARGET];

	for (int i = 0; i < s->n_columns; i++) {
		const struct column *other = table_column(t, s->columns[i].name);

		if (other)
			compare_column(p, &s->columns[i], other, checks);
	}
}

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
		if (p->end[PG_SOURCE] && p->end[PG_TARGET])
			compare_columns(p, checks);
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

static void check_sequence(const struct sequence *q, const PGresult *source, const PGresult *target,
			   struct pg *pg, json_t *checks, int *good)
{
	const char *s = sequence_value(source, q, 1), *t = sequence_value(target, q, 1);
	const char *step = sequence_value(target, q, 2);
	long long increment = step ? strtoll(step, NULL, 10) : 1;
	AUTO(free) char *extreme = NULL;
	struct err failed = ERR_INIT;

	if (!t || (source && !s)) {
		finding_add(checks, "schema", q->qname, FINDING_UNKNOWN,
			    "sequence %s cannot be read in the %s", q->qname,
			    t ? "source" : "target");
	} else if (s && is_behind(t, strtoll(s, NULL, 10), increment)) {
		finding_add(checks, "schema", q->qname, FINDING_FAIL,
			    "sequence %s is behind: %s in the source, %s in the target", q->qname,
			    s, t);
	} else if (column_extreme(pg, q, increment, &extreme, &failed)) {
		finding_add(checks, "schema", q->qname, FINDING_UNKNOWN, "sequence %s: %s",
			    q->qname, failed.text);
	} else if (extreme && is_behind(t, strtoll(extreme, NULL, 10), increment)) {
		finding_add(checks, "schema", q->qname, FINDING_FAIL,
			    "sequence %s is behind its column: it stands at %s, the column at %s",
			    q->qname, t, extreme);
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

		if (!there)
			finding_add(checks, "schema", q->qname, FINDING_FAIL,
				    "sequence %s is missing in the target", q->qname);
		else
			check_sequence(there, source, target, pg[PG_TARGET], checks, &good);
	}
	if (lead->n_sequences > 0)
		finding_add(checks, "schema", "sequences", FINDING_PASS,
			    "%d of %d sequences are at or past %s", good, lead->n_sequences,
			    pg[PG_SOURCE] ? "the source's value and their column" : "their column");
	return 0;
}
