#include "schema/lint.h"

#include "schema/migration_sql.h"
#include "schema/sqltext.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const severities[] = { "note", "warning", "error" };

struct lint {
	const struct migration_folder *folder;
	struct pg *pg; /* or NULL */
	json_t *found;
	int errors;
};

PRINTF_LIKE(6, 7)
static void add(struct lint *l, enum lint_severity severity, const char *file, int line, const char *rule,
		const char *fmt, ...)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_addv(&t, fmt, ap);
	va_end(ap);
	l->errors += severity == LINT_ERROR;
	json_array_append_new(l->found, json_pack("{s:s, s:s, s:i, s:s, s:s}", "severity",
						  severities[severity], "file", file, "line", line, "rule",
						  rule, "text", text_str(&t)));
}

/* --- names and order --- */

static bool is_good_name(const char *description)
{
	for (const char *p = description; *p; p++)
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != ' ' && *p != '.')
			return false;
	return *description != '\0';
}

static void check_names(struct lint *l)
{
	const struct migration_folder *f = l->folder;
	size_t digits = f->n ? strlen(f->list[0].version) : 0;

	for (int i = 0; i < f->n; i++) {
		const struct migration *m = &f->list[i];
		if (!is_good_name(m->description))
			add(l, LINT_WARNING, m->up.name, 0, "name",
			    "a name is its number and words in lower case: 001_create_users.sql");
		if (strlen(m->version) != digits)
			add(l, LINT_WARNING, m->up.name, 0, "name",
			    "its number has %zu digits, that of the first has %zu: files are listed in another "
			    "order than they run", strlen(m->version), digits);
		if (!m->down.path)
			add(l, LINT_NOTE, m->up.name, 0, "down", "has no down script: it cannot be rolled back");
	}
	for (int i = 0; i < f->n_gaps; i++)
		add(l, LINT_WARNING, f->dir, 0, "order", "%s is missing", f->gaps[i]);
	for (int i = 0; i < f->n_ignored; i++)
		add(l, LINT_WARNING, f->ignored[i], 0, "name", "is no migration by its name, and never applied");
}

/* --- statements --- */

static bool word_is(const struct sqltext_token *t, const char *word, size_t len)
{
	return t->kind == SQLTEXT_WORD && t->len == len && strncasecmp(t->at, word, len) == 0;
}

static bool follows(const struct migration_statement *st, const char *pattern)
{
	const char *pos = st->at, *end = st->at + st->len;
	bool any = false;

	for (; *pattern; pattern += *pattern == ' ') {
		size_t len = strcspn(pattern, " ");
		if (strncmp(pattern, "...", len) == 0) {
			any = true;
			pattern += len;
			continue;
		}
		struct sqltext_token t = sqltext_next(&pos);
		while (any && t.kind != SQLTEXT_END && pos <= end && !word_is(&t, pattern, len))
			t = sqltext_next(&pos);
		if (pos > end || !word_is(&t, pattern, len))
			return false;
		any = false;
		pattern += len;
	}
	return true;
}

/* COPY from or to a file or a program of the server. */
static bool is_server_file(const struct migration_statement *st)
{
	const char *pos = st->at, *end = st->at + st->len;
	struct sqltext_token t = sqltext_next(&pos), before = t;

	if (!sqltext_is(&t, "copy"))
		return false;
	while ((t = sqltext_next(&pos)).kind != SQLTEXT_END && t.at < end) {
		bool end_word = sqltext_is(&before, "from") || sqltext_is(&before, "to");
		if (end_word && (t.kind == SQLTEXT_STRING || sqltext_is(&t, "program")))
			return true;
		before = t;
	}
	return false;
}

static void check_neon(struct lint *l, const char *file, const struct migration_statement *st)
{
	for (size_t i = 0; i < lint_n_neon_rules; i++) {
		const struct lint_rule *r = &lint_neon_rules[i];
		if (follows(st, r->pattern)) {
			add(l, r->severity, file, st->line, "neon", "%s", r->reason);
			return;
		}
	}
	if (is_server_file(st))
		add(l, LINT_ERROR, file, st->line, "neon", "COPY can read and write no files of Neon's server");
}

/* A batch without a limit changes everything in one round. */
static void check_batch(struct lint *l, const struct migration_script *s,
			const struct migration_statement *st)
{
	const char *pos = st->at, *end = st->at + st->len;
	struct sqltext_token t;

	while ((t = sqltext_next(&pos)).kind != SQLTEXT_END && t.at < end)
		if (sqltext_is(&t, "limit") || sqltext_is(&t, "fetch") || sqltext_is(&t, "between"))
			return;
	add(l, LINT_WARNING, s->name, st->line, "batch", "the batch has no LIMIT: all rows in one transaction");
}

/* Only what no earlier statement could mend: the grammar. */
static int check_syntax(struct lint *l, const struct migration_script *s,
			const struct migration_statement *st, struct err *e)
{
	AUTO(free) char *sql = strndup(st->at, st->len);
	struct err said = ERR_INIT;

	if (!sql)
		return err_nomem(e);
	if (!l->pg || pg_parse(l->pg, sql, &said) == 0)
		return 0;
	if (!said.sqlstate[0] || !pg_is_alive(l->pg)) {
		*e = said;
		return -1;
	}
	if (strcmp(said.sqlstate, "42601") == 0)
		add(l, LINT_ERROR, s->name, migration_sql_line(sql, st->line, said.position), "syntax", "%s",
		    said.text);
	return 0;
}

/* A comment line of ours between start and end; or NULL. */
static const char *find_directive(const char *start, const char *end)
{
	for (const char *p = start; p + 2 < end; p++) {
		if (p[0] != '-' || p[1] != '-')
			continue;
		const char *word = p + 2 + strspn(p + 2, " \t");
		if (strncmp(word, "neonferry:", 10) == 0)
			return p;
		p += strcspn(p, "\n");
	}
	return NULL;
}

/* Behind the first statement's first word a directive is a comment like any other. */
static void check_directives(struct lint *l, const struct migration_script *s)
{
	const char *pos = s->sql, *end;
	struct sqltext_token t = sqltext_next(&pos);

	while (t.kind != SQLTEXT_END) {
		end = t.at + t.len;
		t = sqltext_next(&pos);
		const char *found =
			find_directive(end, t.kind == SQLTEXT_END ? s->sql + s->len : t.at);
		int line = 1;
		for (const char *p = s->sql; found && p < found; p++)
			line += *p == '\n';
		if (found)
			add(l, LINT_ERROR, s->name, line, "directive",
			    "stands behind the beginning of a statement and does nothing: move it "
			    "to the top");
	}
}

static int check_script(struct lint *l, const struct migration_script *s, struct err *e)
{
	AUTO_MIGRATION_SQL struct migration_sql sql = { 0 };
	struct err refused = ERR_INIT;

	if (!s->path)
		return 0;
	if (migration_sql_parse(&sql, s, &refused)) {
		add(l, LINT_ERROR, s->name, 0, "runner", "%s", refused.text);
		return refused.kind == ERR_USAGE ? 0 : (*e = refused, -1);
	}
	check_directives(l, s);
	if (sql.n == 0)
		add(l, LINT_WARNING, s->name, 0, "empty", "holds no statement");
	for (int i = 0; i < sql.n; i++) {
		check_neon(l, s->name, &sql.list[i]);
		if (s->batch)
			check_batch(l, s, &sql.list[i]);
		if (check_syntax(l, s, &sql.list[i], e))
			return -1;
	}
	return 0;
}

/* --- all --- */

static int rank(const json_t *row)
{
	const char *severity = json_string_value(json_object_get(row, "severity"));

	return severity[0] == 'e' ? 0 : severity[0] == 'w' ? 1 : 2;
}

/* A new array with the errors first; what is equal stays in the order found. */
static json_t *sorted(const json_t *found)
{
	json_t *list = json_array();

	for (int r = 0; list && r < 3; r++) {
		size_t i;
		json_t *row;
		json_array_foreach(found, i, row)
			if (rank(row) == r)
				json_array_append(list, row);
	}
	return list;
}

int lint_folder(json_t **ret, int *ret_errors, const struct migration_folder *f, struct pg *pg,
		struct err *e)
{
	struct lint l = { .folder = f, .pg = pg, .found = json_array() };
	int failed = l.found ? 0 : err_nomem(e);

	if (!failed)
		check_names(&l);
	for (int i = 0; i < f->n && !failed; i++)
		failed = check_script(&l, &f->list[i].up, e) || check_script(&l, &f->list[i].down, e);
	if (!failed) {
		*ret = sorted(l.found);
		*ret_errors = l.errors;
		failed = *ret ? 0 : err_nomem(e);
	}
	json_decref(l.found);
	return failed ? -1 : 0;
}
