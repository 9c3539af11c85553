#include "schema/archive_rules.h"

#include "schema/sqltext.h"

#include <stdlib.h>
#include <string.h>

/* --- left out --- */

/* type, or type and beginning of the tag. The first match counts. */
static const struct {
	const char *type, *tag, *why;
} rules[] = {
	{ "ACL", NULL, "rights belong to the roles of the target" },
	{ "DEFAULT ACL", NULL, "rights belong to the roles of the target" },
	{ "ACL LANGUAGE", NULL, "rights belong to the roles of the target" },
	{ "PUBLICATION", NULL, "replication is set up in the target on its own" },
	{ "PUBLICATION TABLE", NULL, "replication is set up in the target on its own" },
	{ "PUBLICATION TABLES IN SCHEMA", NULL, "replication is set up in the target on its own" },
	{ "SUBSCRIPTION", NULL, "replication is set up in the target on its own" },
	{ "SUBSCRIPTION TABLE", NULL, "replication is set up in the target on its own" },
	{ "EVENT TRIGGER", NULL, "event triggers would fire on what neonferry itself does" },
	{ "SECURITY LABEL", NULL, "labels belong to a security provider of the source" },
	{ "DATABASE", NULL, "the target database exists already" },
	{ "DATABASE PROPERTIES", NULL, "settings of the database belong to the target" },
	{ "USER MAPPING", NULL, "it belongs to a role and may hold a password" },
	{ "STATISTICS DATA", NULL, "statistics are gathered anew" },
	{ "EXTENSION", "neon", "it is Neon's own" },
	{ "COMMENT", "EXTENSION ", "the extension brings its own comment" },
	{ "COMMENT", "SCHEMA public", "the schema belongs to the target" },
	{ "COMMENT", "DATABASE ", "the database belongs to the target" },
};

static const char *why_left_out(const struct archive_entry *entry)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const char *tag = rules[i].tag;
		if (strcmp(rules[i].type, entry->type) != 0)
			continue;
		if (!tag)
			return rules[i].why;
		size_t len = strlen(tag);
		bool prefix = tag[len - 1] == ' ';
		if (prefix ? strncmp(entry->tag, tag, len) == 0 : strcmp(entry->tag, tag) == 0)
			return rules[i].why;
	}
	return NULL;
}

/* --- part of what --- */

static const char *const part_types[] = {
	"DEFAULT",    "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT",     "INDEX",
	"TRIGGER",    "RULE",       "POLICY",           "ROW SECURITY",      "STATISTICS",
	"COMMENT",    "SEQUENCE",   "TABLE ATTACH",     "SEQUENCE OWNED BY", "INDEX ATTACH",
	"TABLE DATA",
};

bool archive_is_relation(const struct archive_entry *entry)
{
	static const char *const types[] = { "TABLE", "FOREIGN TABLE", "VIEW",
					     "MATERIALIZED VIEW" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(entry->type, types[i]) == 0)
			return true;
	}
	return false;
}

static bool is_part(const struct archive_entry *entry)
{
	const char *sql = entry->sql;
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(part_types) && !found; i++)
		found = strcmp(entry->type, part_types[i]) == 0;
	/* Only the sequence of an identity column is a part: it is made by ALTER TABLE. */
	if (found && strcmp(entry->type, "SEQUENCE") == 0)
		return sqltext_words(&sql, (const char *const[]){ "ALTER", "TABLE", NULL });
	return found;
}

static bool same_schema(const struct archive_entry *a, const struct archive_entry *b)
{
	return a->schema && b->schema && strcmp(a->schema, b->schema) == 0;
}

/*
 * How well `on` fits as what `entry` is a part of; 0: not at all. The longest name that begins the
 * tag wins ("users users_pkey" is of "users", also where it refers to another table).
 */
static size_t fit(const struct archive_entry *entry, const struct archive_entry *on)
{
	size_t len = strlen(on->tag);
	bool tag_is = strcmp(entry->tag, on->tag) == 0;
	bool tag_begins = strncmp(entry->tag, on->tag, len) == 0 && entry->tag[len] == ' ';
	size_t mine = strlen(entry->tag);
	bool tag_ends = len > mine && strcmp(on->tag + len - mine, entry->tag) == 0 &&
			on->tag[len - mine - 1] == ' ';

	if (strcmp(entry->type, "COMMENT") == 0)
		return 1;
	if (strcmp(entry->type, "INDEX ATTACH") == 0) {
		if (strcmp(on->type, "INDEX") != 0 && strcmp(on->type, "CONSTRAINT") != 0)
			return 0;
		return tag_is || tag_ends ? 2 : 1;
	}
	if (strcmp(entry->type, "SEQUENCE OWNED BY") == 0)
		return strcmp(on->type, "SEQUENCE") == 0;
	if (!archive_is_relation(on) && strcmp(on->type, "DOMAIN") != 0)
		return 0;
	return same_schema(entry, on) && (tag_is || tag_begins) ? len + 2 : 1;
}

static void find_parent(struct archive *a, struct archive_entry *entry)
{
	size_t best = 0;

	if (!is_part(entry))
		return;
	for (int i = 0; i < entry->n_depends; i++) {
		struct archive_entry *on = archive_by_id(a, entry->depends[i]);
		size_t how = on ? fit(entry, on) : 0;
		if (how > best) {
			best = how;
			entry->parent = (int)(on - a->entries);
		}
	}
}

/* The relation that a part belongs to, through an index if need be; NULL when there is none. */
static const struct archive_entry *relation_of(const struct archive *a,
					       const struct archive_entry *entry)
{
	for (int up = 0; up < 4 && entry->parent >= 0; up++) {
		entry = &a->entries[entry->parent];
		if (archive_is_relation(entry))
			return entry;
	}
	return NULL;
}

/* --- rewriting --- */

/* CREATE UNLOGGED TABLE: Neon empties such tables at every restart. Adds the statement to out. */
static int rewrite_unlogged(struct archive *a, const char *sql, size_t len, struct text *out,
			    bool *ret_done, struct err *e)
{
	const char *p = sql;
	AUTO_TEXT struct text name = TEXT_INIT;

	if (!sqltext_words(&p, (const char *const[]){ "CREATE", "UNLOGGED", NULL }))
		return 0;
	const char *rest = p;
	struct sqltext_token t = sqltext_next(&p);
	if ((!sqltext_is(&t, "TABLE") && !sqltext_is(&t, "SEQUENCE")) || !sqltext_qname(&p, &name))
		return 0;
	text_add(out, "CREATE");
	text_addn(out, rest, len - (size_t)(rest - sql));
	*ret_done = true;
	return archive_add_note(
		a, "unlogged", text_str(&name),
		"created logged: unlogged tables are emptied at a restart of a Neon compute", e);
}

/* One "key=value" or "key" of an option list, at *pos; p is behind it. */
static bool option_known(const struct sqltext_token *key)
{
	return sqltext_is(key, "n_distinct") || sqltext_is(key, "n_distinct_inherited");
}

/* Copies the known options of "( a=1, b=2 )" at *pos to out, others' names to gone. Counts both. */
static bool split_options(const char **pos, struct text *out, struct text *gone, int *ret_kept,
			  int *ret_gone)
{
	const char *p = *pos;
	struct sqltext_token t = sqltext_next(&p);

	if (!sqltext_is_sign(&t, '('))
		return false;
	while ((t = sqltext_next(&p)).kind != SQLTEXT_END) {
		bool known = option_known(&t);
		const char *from = t.at, *to = p;
		struct sqltext_token key = t;
		while (!sqltext_is_sign(&t, ',') && !sqltext_is_sign(&t, ')')) {
			to = p;
			if ((t = sqltext_next(&p)).kind == SQLTEXT_END)
				return false;
		}
		if (known)
			text_addf(out, "%s%.*s", (*ret_kept)++ ? ", " : "", (int)(to - from), from);
		else
			text_addf(gone, "%s%.*s", (*ret_gone)++ ? ", " : "", (int)key.len, key.at);
		if (sqltext_is_sign(&t, ')'))
			break;
	}
	*pos = p;
	return true;
}

/* ALTER TABLE [ONLY] t ALTER COLUMN c SET (...): options that a server may not know are removed. */
static int rewrite_options(struct archive *a, const char *sql, size_t len, struct text *out,
			   bool *ret_done, struct err *e)
{
	static const char why[] =
		"not an option that PostgreSQL documents; the target may refuse it";
	const char *p = sql;
	AUTO_TEXT struct text name = TEXT_INIT;
	AUTO_TEXT struct text kept = TEXT_INIT;
	AUTO_TEXT struct text gone = TEXT_INIT;
	int n_kept = 0, n_gone = 0;

	(void)len;
	if (!sqltext_words(&p, (const char *const[]){ "ALTER", "TABLE", NULL }) &&
	    !sqltext_words(&p, (const char *const[]){ "ALTER", "MATERIALIZED", "VIEW", NULL }))
		return 0;
	(void)sqltext_words(&p, (const char *const[]){ "ONLY", NULL });
	if (!sqltext_qname(&p, &name) ||
	    !sqltext_words(&p, (const char *const[]){ "ALTER", "COLUMN", NULL }))
		return 0;
	text_add(&name, ".");
	if (!sqltext_qname(&p, &name) || !sqltext_words(&p, (const char *const[]){ "SET", NULL }))
		return 0;
	const char *set_end = p;
	if (!split_options(&p, &kept, &gone, &n_kept, &n_gone) || n_gone == 0)
		return 0;
	*ret_done = true;
	if (n_kept > 0)
		text_addf(out, "%.*s (%s);\n", (int)(set_end - sql), sql, text_str(&kept));
	text_addf(&gone, " of %s", text_str(&name));
	return archive_add_note(a, "attribute option", text_str(&gone), why, e);
}

/* Statement by statement; most entries come out as they went in. */
static int rewrite(struct archive *a, struct archive_entry *entry, struct err *e)
{
	AUTO_TEXT struct text out = TEXT_INIT;
	bool changed = false;
	size_t len;

	for (const char *p = entry->sql; (len = sqltext_statement(p)) > 0; p += len) {
		bool done = false;
		if (rewrite_unlogged(a, p, len, &out, &done, e) < 0)
			return -1;
		if (!done && rewrite_options(a, p, len, &out, &done, e) < 0)
			return -1;
		if (!done)
			text_addn(&out, p, len);
		changed |= done;
	}
	if (!changed)
		return 0;
	char *sql = text_take(&out, e);
	if (!sql)
		return -1;
	free(entry->sql);
	entry->sql = sql;
	return 0;
}

/* pg_dump writes no CREATE for schema public, as every new database has one. */
static int make_public(struct archive_entry *entry, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t, "CREATE SCHEMA ");
	text_add_ident(&t, entry->tag);
	text_add(&t, ";");
	char *sql = text_take(&t, e);
	if (!sql)
		return -1;
	free(entry->sql);
	entry->sql = sql;
	return 0;
}

static int leave_out(struct archive *a, struct archive_entry *entry, struct err *e)
{
	const char *why = why_left_out(entry);

	if (!why && entry->parent >= 0 && a->entries[entry->parent].left_out)
		why = a->entries[entry->parent].left_out;
	else if (!why && strcmp(entry->type, "COMMENT") == 0 && entry->parent < 0)
		why = "what it is about is not carried";
	if (why && !(entry->left_out = strdup(why)))
		return err_nomem(e);
	return 0;
}

int archive_rules_apply(struct archive *a, struct archive_entry *entry, struct err *e)
{
	find_parent(a, entry);
	const struct archive_entry *relation = relation_of(a, entry);
	if (relation && !(entry->table = strdup(relation->tag)))
		return err_nomem(e);
	if (leave_out(a, entry, e) < 0)
		return -1;
	if (entry->left_out)
		return 0;
	if (strcmp(entry->type, "SCHEMA") == 0 && !sqltext_has_statement(entry->sql))
		return make_public(entry, e);
	if (strcmp(entry->type, "TABLE") == 0 || strcmp(entry->type, "MATERIALIZED VIEW") == 0 ||
	    strcmp(entry->type, "SEQUENCE") == 0)
		return rewrite(a, entry, e);
	return 0;
}
