#include "schema/ddl_state.h"

#include "schema/sqltext.h"

#include <string.h>

/* --- operators --- */

/* The value of "    LEFTARG = integer,", a line of CREATE OPERATOR; NONE where there is no such
 * line. */
static void add_argument(struct text *t, const char *sql, const char *line)
{
	const char *p = strstr(sql, line);

	if (!p) {
		text_add(t, "NONE");
		return;
	}
	p += strlen(line);
	size_t len = strcspn(p, "\n");
	text_addn(t, p, len > 0 && p[len - 1] == ',' ? len - 1 : len);
}

static bool add_method(struct text *t, const char *p)
{
	struct sqltext_token token;

	if (!sqltext_qname(&p, t))
		return false;
	while ((token = sqltext_next(&p)).kind != SQLTEXT_END) {
		if (!sqltext_is(&token, "USING"))
			continue;
		text_add(t, " USING ");
		return sqltext_qname(&p, t);
	}
	return false;
}

bool ddl_state_operator(const struct archive_entry *entry, struct text *ret)
{
	static const char create[] = "CREATE OPERATOR ";
	const char *p = entry->sql + sizeof create - 1;

	if (strncmp(entry->type, "OPERATOR", 8) != 0 ||
	    strncmp(entry->sql, create, sizeof create - 1) != 0)
		return false;
	if (strcmp(entry->type, "OPERATOR") != 0) {
		p = strchr(p, ' '); /* behind CLASS or FAMILY */
		return p && add_method(ret, p);
	}
	text_addn(ret, p, strcspn(p, "("));
	text_add(ret, "(");
	add_argument(ret, entry->sql, "\n    LEFTARG = ");
	text_add(ret, ", ");
	add_argument(ret, entry->sql, "\n    RIGHTARG = ");
	text_add(ret, ")");
	return true;
}

/* --- the ledger --- */

enum ddl_outcome ddl_outcome_parse(const char *s)
{
	if (strcmp(s, "applied") == 0)
		return DDL_APPLIED;
	return strcmp(s, "present") == 0 ? DDL_PRESENT : DDL_LEFT_OUT;
}

const char *ddl_outcome_name(enum ddl_outcome outcome)
{
	return outcome == DDL_APPLIED ? "applied" : outcome == DDL_PRESENT ? "present" : "left out";
}

void ddl_state_done(struct ddl_state *state)
{
	free(state->outcome);
	free(state->validated);
	free(state->refreshed);
	*state = (struct ddl_state){ 0 };
}

static void take_row(struct ddl_state *state, const char *section, int id, const char *outcome)
{
	const struct archive_entry *entry = archive_by_id(state->archive, id);

	if (!entry)
		return;
	ptrdiff_t i = entry - state->archive->entries;
	if (strcmp(section, DDL_VALIDATE) == 0 || strcmp(section, DDL_ASIDE_VALIDATE) == 0)
		state->validated[i] = true;
	else if (strcmp(section, DDL_REFRESH) == 0)
		state->refreshed[i] = true;
	else
		state->outcome[i] = ddl_outcome_parse(outcome);
	state->n_known++;
}

int ddl_state_load(struct ddl_state *ret, struct pg *pg, const char *run, const struct archive *a,
		   bool aside, struct err *e)
{
	struct ddl_state state = { .archive = a };
	size_t n = (size_t)a->n_entries + 1;
	PGresult *res = NULL;

	if (pg_query_params(pg,
			    "SELECT section, entry, outcome FROM neonferry.object WHERE run = $1"
			    " AND starts_with(section, 'aside') = $2::bool",
			    2, (const char *const[]){ run, aside ? "t" : "f" }, &res, e) < 0)
		return err_note(e, "reading the ledger");
	state.outcome = calloc(n, sizeof *state.outcome);
	state.validated = calloc(n, sizeof *state.validated);
	state.refreshed = calloc(n, sizeof *state.refreshed);
	if (!state.outcome || !state.validated || !state.refreshed) {
		PQclear(res);
		ddl_state_done(&state);
		return err_nomem(e);
	}
	for (int i = 0; i < PQntuples(res); i++)
		take_row(&state, PQgetvalue(res, i, 0), atoi(PQgetvalue(res, i, 1)),
			 PQgetvalue(res, i, 2));
	PQclear(res);
	*ret = state;
	return 0;
}

enum ddl_outcome ddl_state_inherited(const struct ddl_state *state, int i, const char **ret_why)
{
	const struct archive_entry *entry = &state->archive->entries[i];
	const char *why = NULL;
	enum ddl_outcome outcome = DDL_PENDING;

	if (entry->left_out) {
		why = entry->left_out;
		outcome = DDL_LEFT_OUT;
	} else if (entry->parent >= 0 && state->outcome[entry->parent] == DDL_PRESENT) {
		why = "what it belongs to was there before the run";
		outcome = DDL_PRESENT;
	} else if (entry->parent >= 0 && state->outcome[entry->parent] == DDL_LEFT_OUT) {
		why = "what it belongs to is left out";
		outcome = DDL_LEFT_OUT;
	}
	if (ret_why && why)
		*ret_why = why;
	return outcome;
}

char *ddl_state_record(const struct ddl *d, const struct archive *a, int i, const char *section,
		       enum ddl_outcome outcome, const char *why)
{
	const struct archive_entry *entry = &a->entries[i];
	AUTO_TEXT struct text t = TEXT_INIT;
	AUTO_TEXT struct text op = TEXT_INIT;
	struct err ignored = ERR_INIT;
	bool is_operator = ddl_state_operator(entry, &op);
	json_t *detail =
		json_pack("{s:s, s:s?, s:s*, s:s*}", "type", entry->type, "schema", entry->schema,
			  "why", why, "operator", is_operator ? text_str(&op) : NULL);

	ddl_object_record(&t, d, section, entry->dump_id, entry->tag, ddl_outcome_name(outcome),
			  detail);
	if (strcmp(section, DDL_ASIDE) == 0) {
		text_add(&t, " UPDATE neonferry.set_aside SET restored = clock_timestamp() WHERE"
			     " run = ");
		text_add_literal(&t, d->run);
		text_addf(&t, " AND seq = %d;", entry->dump_id);
	}
	return text_take(&t, &ignored);
}

int ddl_state_add(struct ddl_items *items, const struct ddl *d, const struct archive *a, int i,
		  const char *section, enum ddl_outcome outcome, const char *why, char *sql,
		  struct err *e)
{
	AUTO_TEXT struct text label = TEXT_INIT;

	archive_entry_label(&a->entries[i], &label);
	if (outcome == DDL_APPLIED && !sql && !(sql = strdup(a->entries[i].sql)))
		return err_nomem(e);
	char *name = text_take(&label, e);
	return ddl_items_add(items, i, name, ddl_state_record(d, a, i, section, outcome, why), sql,
			     e);
}

/* --- what exists --- */

/* Sorted keys: kind, schema, name, with \1 between. */
struct ddl_present {
	int n;
	char **keys;
};

/*
 * The kinds: n schema, e extension, r relation of any kind, t type, f function. Names as pg_dump's
 * tags have them; the search path is empty, so types in signatures are qualified on both sides.
 */
static const char present_sql[] =
	/* text, not name: a union takes its first type, and name would cut signatures at 63 bytes
	 */
	"SELECT 'n', '', nspname::pg_catalog.text FROM pg_catalog.pg_namespace"
	" UNION ALL SELECT 'e', '', extname FROM pg_catalog.pg_extension"
	" UNION ALL SELECT 'r', n.nspname, c.relname FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"
	" AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
	" UNION ALL SELECT 't', n.nspname, t.typname FROM pg_catalog.pg_type t"
	" JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
	" LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid"
	" WHERE (c.oid IS NULL OR c.relkind = 'c') AND t.typcategory <> 'A'"
	" AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
	" UNION ALL SELECT 'f', n.nspname, p.proname || '(' || CASE WHEN p.prokind = 'a' AND"
	" p.pronargs = 0 THEN '*' ELSE coalesce((SELECT pg_catalog.string_agg("
	" pg_catalog.format_type(a, NULL), ', ' ORDER BY o) FROM pg_catalog.unnest(p.proargtypes)"
	" WITH ORDINALITY AS u(a, o)), '') END || ')' FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')";

static const struct {
	const char *type;
	char kind; /* '?': the server tells, by "already exists" */
} kinds[] = {
	{ "SCHEMA", 'n' },
	{ "EXTENSION", 'e' },
	{ "TABLE", 'r' },
	{ "FOREIGN TABLE", 'r' },
	{ "VIEW", 'r' },
	{ "MATERIALIZED VIEW", 'r' },
	{ "SEQUENCE", 'r' },
	{ "TYPE", 't' },
	{ "SHELL TYPE", 't' },
	{ "DOMAIN", 't' },
	{ "FUNCTION", 'f' },
	{ "PROCEDURE", 'f' },
	{ "AGGREGATE", 'f' },
	{ "OPERATOR", '?' },
	{ "OPERATOR CLASS", '?' },
	{ "OPERATOR FAMILY", '?' },
	{ "CAST", '?' },
	{ "COLLATION", '?' },
	{ "CONVERSION", '?' },
	{ "TEXT SEARCH PARSER", '?' },
	{ "TEXT SEARCH TEMPLATE", '?' },
	{ "TEXT SEARCH DICTIONARY", '?' },
	{ "TEXT SEARCH CONFIGURATION", '?' },
	{ "ACCESS METHOD", '?' },
	{ "FOREIGN DATA WRAPPER", '?' },
	{ "SERVER", '?' },
	{ "TRANSFORM", '?' },
	{ "PROCEDURAL LANGUAGE", '?' },
};

static char kind_of(const struct archive_entry *entry)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].type, entry->type) == 0)
			return kinds[i].kind;
	}
	return '\0';
}

bool ddl_present_asks_server(const struct archive_entry *entry)
{
	return kind_of(entry) == '?';
}

static char *make_key(char kind, const char *schema, const char *name)
{
	char *key = NULL;

	return asprintf(&key, "%c\1%s\1%s", kind, schema, name) < 0 ? NULL : key;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void ddl_present_free(struct ddl_present *p)
{
	for (int i = 0; p && i < p->n; i++)
		free(p->keys[i]);
	if (p)
		free(p->keys);
	free(p);
}

int ddl_present_load(struct ddl_present **ret, struct pg *pg, struct err *e)
{
	AUTO(ddl_present) struct ddl_present *p = calloc(1, sizeof *p);
	AUTO(pgresult) PGresult *res = NULL;

	if (pg_query(pg, present_sql, &res, e) < 0)
		return err_note(e, "reading what exists in the target");
	if (!p || !(p->keys = calloc((size_t)PQntuples(res) + 1, sizeof *p->keys)))
		return err_nomem(e);
	for (; p->n < PQntuples(res); p->n++) {
		p->keys[p->n] = make_key(*PQgetvalue(res, p->n, 0), PQgetvalue(res, p->n, 1),
					 PQgetvalue(res, p->n, 2));
		if (!p->keys[p->n])
			return err_nomem(e);
	}
	qsort(p->keys, (size_t)p->n, sizeof *p->keys, compare_keys);
	*ret = GIVE(&p);
	return 0;
}

bool ddl_present_has(const struct ddl_present *p, const struct archive_entry *entry)
{
	char kind = kind_of(entry);

	if (kind == '\0' || kind == '?')
		return false;
	AUTO(free) char *key = make_key(kind, entry->schema ? entry->schema : "", entry->tag);
	return key && bsearch(&key, p->keys, (size_t)p->n, sizeof *p->keys, compare_keys);
}
