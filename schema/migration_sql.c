#include "schema/migration_sql.h"

#include "schema/sqltext.h"

#include <stdlib.h>
#include <string.h>

/* --- what cannot run in a transaction --- */

/* Words at the beginning; "..." stands for anything in between. */
static const struct {
	const char *words;
	const char *name;
} alone_rules[] = {
	{ "create index concurrently", "CREATE INDEX CONCURRENTLY" },
	{ "create unique index concurrently", "CREATE INDEX CONCURRENTLY" },
	{ "drop index concurrently", "DROP INDEX CONCURRENTLY" },
	{ "reindex ... concurrently", "REINDEX CONCURRENTLY" },
	{ "reindex database", "REINDEX DATABASE" },
	{ "reindex system", "REINDEX SYSTEM" },
	{ "reindex schema", "REINDEX SCHEMA" },
	{ "vacuum", "VACUUM" },
	{ "create database", "CREATE DATABASE" },
	{ "drop database", "DROP DATABASE" },
	{ "create tablespace", "CREATE TABLESPACE" },
	{ "drop tablespace", "DROP TABLESPACE" },
	{ "alter system", "ALTER SYSTEM" },
	{ "alter table ... detach partition ... concurrently", "DETACH PARTITION CONCURRENTLY" },
	{ "alter table ... detach partition ... finalize", "DETACH PARTITION FINALIZE" },
	{ "create subscription", "CREATE SUBSCRIPTION" },
	{ "drop subscription", "DROP SUBSCRIPTION" },
	{ "alter subscription ... refresh", "ALTER SUBSCRIPTION REFRESH" },
};

static bool token_is(const struct sqltext_token *t, const char *word, size_t len)
{
	return t->kind == SQLTEXT_WORD && t->len == len && strncasecmp(t->at, word, len) == 0;
}

/* Whether the statement's tokens follow the words of a rule. */
static bool follows(const struct migration_statement *s, const char *words)
{
	const char *pos = s->at, *end = s->at + s->len;
	bool any = false;

	while (*words) {
		size_t len = strcspn(words, " ");
		if (strncmp(words, "...", len) == 0) {
			any = true;
		} else {
			struct sqltext_token t = sqltext_next(&pos);
			while (any && t.kind != SQLTEXT_END && pos <= end && !token_is(&t, words, len))
				t = sqltext_next(&pos);
			if (pos > end || !token_is(&t, words, len))
				return false;
			any = false;
		}
		words += len;
		words += *words == ' ';
	}
	return true;
}

static const char *alone_name(const struct migration_statement *s)
{
	for (size_t i = 0; i < ARRAY_LEN(alone_rules); i++)
		if (follows(s, alone_rules[i].words))
			return alone_rules[i].name;
	return NULL;
}

static bool is_control(const struct migration_statement *s)
{
	static const char *const words[] = { "begin", "start transaction", "commit", "end", "rollback",
					     "abort", "prepare transaction" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (follows(s, words[i]))
			return !follows(s, "rollback to") && !follows(s, "rollback work to") &&
			       !follows(s, "rollback transaction to");
	return false;
}

/* --- splitting --- */

struct splitter {
	const struct migration_script *script;
	const char *pos;
	const char *counted; /* lines are known up to here */
	int line;
};

static int line_at(struct splitter *s, const char *at)
{
	for (; s->counted < at; s->counted++)
		s->line += *s->counted == '\n';
	return s->line;
}

/* Depth of BEGIN ATOMIC ... END, in which CASE ... END may stand. */
static int body_depth(int depth, const struct sqltext_token *t, const struct sqltext_token *before)
{
	if (sqltext_is(t, "atomic") && sqltext_is(before, "begin"))
		return depth + 1;
	if (depth > 0 && sqltext_is(t, "case"))
		return depth + 1;
	return depth > 0 && sqltext_is(t, "end") ? depth - 1 : depth;
}

/* The next statement; len 0 at the end of the script. */
static struct migration_statement next_statement(struct splitter *s)
{
	struct sqltext_token t, before = { 0 };
	struct migration_statement ret = { 0 };
	int parens = 0, depth = 0;

	while ((t = sqltext_next(&s->pos)).kind != SQLTEXT_END) {
		bool end = sqltext_is_sign(&t, ';') && parens <= 0 && depth == 0;
		if (end && ret.at)
			break;
		if (end)
			continue; /* an empty statement */
		if (!ret.at) {
			ret.at = t.at;
			ret.line = line_at(s, t.at);
		}
		ret.len = (size_t)(t.at + t.len - ret.at);
		parens += sqltext_is_sign(&t, '(') - sqltext_is_sign(&t, ')');
		depth = body_depth(depth, &t, &before);
		before = t;
	}
	return ret;
}

static int refuse(const struct migration_script *s, int line, struct err *e, const char *what,
		  const char *hint)
{
	err_set(e, ERR_USAGE, "%s: line %d: %s", s->name, line, what);
	return err_hint(e, "%s", hint);
}

static int check_statement(const struct migration_script *s, const struct migration_statement *st,
			   struct err *e)
{
	if (st->at[0] == '\\')
		return refuse(s, st->line, e, "a meta-command of psql",
			      "The runner sends SQL to the server; remove the line.");
	if (follows(st, "copy ... from stdin"))
		return refuse(s, st->line, e, "COPY FROM STDIN needs data that a script cannot carry",
			      "Write the rows as INSERT ... VALUES.");
	if (follows(st, "copy ... to stdout"))
		return refuse(s, st->line, e, "COPY TO STDOUT has nowhere to write to",
			      "Remove the statement; psql can run it.");
	return 0;
}

static int add_statement(struct migration_sql *m, const struct migration_statement *st, struct err *e)
{
	if ((m->n & (m->n - 1)) == 0) { /* full at powers of two */
		size_t room = m->n ? (size_t)m->n * 2 : 1;
		struct migration_statement *grown = realloc(m->list, room * sizeof(*grown));
		if (!grown)
			return err_nomem(e);
		m->list = grown;
	}
	m->list[m->n++] = *st;
	return 0;
}

static int split(struct migration_sql *m, const struct migration_script *s, struct err *e)
{
	struct splitter splitter = { .script = s, .pos = s->sql, .counted = s->sql, .line = 1 };
	struct migration_statement st;

	while ((st = next_statement(&splitter)).len) {
		st.alone = alone_name(&st);
		st.control = is_control(&st);
		if (check_statement(s, &st, e) || add_statement(m, &st, e))
			return -1;
		m->stepwise |= st.alone != NULL;
	}
	return 0;
}

/* --- the script as one piece --- */

/* BEGIN first and COMMIT last are what the runner does itself. */
static void strip_transaction(struct migration_sql *m)
{
	if (m->n < 2 || !m->list[0].control || !m->list[m->n - 1].control)
		return;
	bool opens = follows(&m->list[0], "begin") || follows(&m->list[0], "start");
	bool closes = follows(&m->list[m->n - 1], "commit") || follows(&m->list[m->n - 1], "end");
	if (!opens || !closes)
		return;
	m->n -= 2;
	memmove(m->list, m->list + 1, (size_t)m->n * sizeof(*m->list));
}

static int check_control(const struct migration_sql *m, const struct migration_script *s, struct err *e)
{
	for (int i = 0; i < m->n; i++)
		if (m->list[i].control)
			return refuse(s, m->list[i].line, e, "controls the transaction, which is the runner's",
				      "Remove BEGIN, COMMIT and the like: each migration is one transaction. "
				      "Or begin the file with `-- neonferry: no-transaction`.");
	return 0;
}

static void set_body(struct migration_sql *m)
{
	if (m->n == 0)
		return;
	const struct migration_statement *last = &m->list[m->n - 1];
	m->body = m->list[0].at;
	m->body_line = m->list[0].line;
	m->body_len = (size_t)(last->at + last->len - m->body);
}

/* INSERT, UPDATE, DELETE, MERGE: behind WITH, the one outside of parentheses. */
static bool changes_rows(const struct migration_statement *st)
{
	const char *pos = st->at, *end = st->at + st->len;
	struct sqltext_token t = sqltext_next(&pos);
	bool with = sqltext_is(&t, "with");
	int depth = 0;

	for (; t.kind != SQLTEXT_END && t.at < end; t = sqltext_next(&pos)) {
		depth += sqltext_is_sign(&t, '(') - sqltext_is_sign(&t, ')');
		if (depth == 0 && (sqltext_is(&t, "insert") || sqltext_is(&t, "update") ||
				   sqltext_is(&t, "delete") || sqltext_is(&t, "merge")))
			return true;
		if (!with || (depth == 0 && sqltext_is(&t, "select")))
			return false;
	}
	return false;
}

int migration_sql_parse(struct migration_sql *ret, const struct migration_script *s, struct err *e)
{
	struct migration_sql m = { .stepwise = s->no_transaction || s->batch };
	int failed = split(&m, s, e);

	if (!failed) {
		strip_transaction(&m);
		failed = check_control(&m, s, e);
	}
	if (!failed && s->batch && (m.n != 1 || m.list[0].alone))
		failed = refuse(s, m.n > 1 ? m.list[1].line : 1, e,
				"a batch is one statement that can run in a transaction",
				"Put the other statements into a migration of their own.");
	if (!failed && s->batch && !changes_rows(&m.list[0]))
		failed = refuse(s, m.list[0].line, e,
				"this statement changes no rows, as a batch it would never end",
				"A batch is one INSERT, UPDATE, DELETE or MERGE, repeated until it "
				"changes no row.");
	if (failed) {
		migration_sql_done(&m);
		return -1;
	}
	set_body(&m);
	*ret = m;
	return 0;
}

void migration_sql_done(struct migration_sql *m)
{
	free(m->list);
	*m = (struct migration_sql){ 0 };
}

bool migration_sql_index(const struct migration_statement *s, struct text *ret_index,
			 struct text *ret_table)
{
	static const char *const create[] = { "create", NULL }, *const unique[] = { "unique", NULL };
	static const char *const index[] = { "index", "concurrently", NULL };
	static const char *const not_there[] = { "if", "not", "exists", NULL };
	static const char *const on[] = { "on", NULL }, *const only[] = { "only", NULL };
	const char *pos = s->at;

	if (!sqltext_words(&pos, create))
		return false;
	(void)!sqltext_words(&pos, unique);
	if (!sqltext_words(&pos, index))
		return false;
	(void)!sqltext_words(&pos, not_there);
	if (sqltext_words(&pos, on)) /* the server gives the name */
		return false;
	if (!sqltext_qname(&pos, ret_index) || !sqltext_words(&pos, on))
		return false;
	(void)!sqltext_words(&pos, only);
	return sqltext_qname(&pos, ret_table);
}

int migration_sql_line(const char *sql, int line_of_sql, int position)
{
	int line = line_of_sql;

	/* characters, not bytes: what continues one does not count */
	for (int n = 1; *sql && n < position; sql++) {
		line += *sql == '\n';
		n += (sql[1] & 0xc0) != 0x80;
	}
	return line;
}
