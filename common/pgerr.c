#include "common/pgerr.h"

#include "common/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool matches(const struct pgerr_rule *rule, const char *sqlstate, const char *message)
{
	return strncmp(sqlstate, rule->sqlstate, strlen(rule->sqlstate)) == 0 &&
	       (!rule->text[0] || strcasestr(message, rule->text));
}

const struct pgerr_rule *pgerr_find(const char *sqlstate, const char *message)
{
	const struct pgerr_rule *rule = pgerr_rules;

	while (rule < pgerr_rules + pgerr_n_rules - 1 &&
	       !matches(rule, sqlstate ? sqlstate : "", message ? message : ""))
		rule++;
	return rule;
}

/* --- from libpq to one line --- */

/* Adds s with every run of white space as one space, line ends as "; " (none at the end). */
static void add_line(struct text *t, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, " \t\r\n");
		text_addn(t, s, n);
		s += n;
		size_t gap = strspn(s, " \t\r\n");
		bool new_line = memchr(s, '\n', gap);
		s += gap;
		if (*s && gap)
			text_add(t, new_line ? "; " : " ");
	}
}

/* As add_line(), without libpq's own advice: the lines that begin with a tab. */
static void add_plain(struct text *t, const char *s)
{
	AUTO_TEXT struct text plain = TEXT_INIT;

	while (*s) {
		size_t n = strcspn(s, "\n");
		if (s[0] != '\t')
			text_addn(&plain, s, n + (s[n] == '\n'));
		s += n + (s[n] == '\n');
	}
	add_line(t, text_str(&plain));
}

/*
 * The message of a connection has no fields, but under PQERRORS_VERBOSE (set while connecting) it
 * reads "FATAL:  28P01: text" and ends with a line "LOCATION:  ...". Finds the code.
 */
static const char *find_state(const char *message)
{
	for (const char *p = message; (p = strstr(p, ":  ")); p++) {
		size_t n = 0;
		while (n < 5 &&
		       (isupper((unsigned char)p[3 + n]) || isdigit((unsigned char)p[3 + n])))
			n++;
		if (n == 5 && p[8] == ':' && p[9] == ' ')
			return p + 3;
	}
	return NULL;
}

/* Fills the message and SQLSTATE (empty if there is none) of a connection that broke. */
static void from_conn(const PGconn *conn, struct text *message, char state[6])
{
	const char *raw = PQerrorMessage(conn);
	const char *code = find_state(raw);
	AUTO_TEXT struct text clean = TEXT_INIT;

	if (code) {
		memcpy(state, code, 5);
		text_addn(&clean, raw, (size_t)(code - raw));
		raw = code + 7;
	}
	const char *location = strstr(raw, "\nLOCATION:");
	text_addn(&clean, raw, location ? (size_t)(location - raw) : strlen(raw));
	add_plain(message, text_str(&clean));
}

static void add_field(struct text *t, const PGresult *res, int field, const char *before)
{
	const char *s = PQresultErrorField(res, field);

	if (!s || !*s)
		return;
	text_add(t, before);
	add_line(t, s);
}

static enum err_kind kind_of(const struct pgerr_rule *rule, enum pg_role role)
{
	if (rule->kind != ERR_NONE)
		return rule->kind;
	return role == PG_SOURCE ? ERR_SOURCE : ERR_TARGET;
}

static void set_hint(struct err *e, const struct pgerr_rule *rule, const PGresult *res)
{
	AUTO_TEXT struct text hint = TEXT_INIT;

	if (rule->hint[0])
		text_add(&hint, rule->hint);
	else
		add_field(&hint, res, PG_DIAG_MESSAGE_HINT, "");
	if (text_str(&hint)[0])
		err_hint(e, "%s", text_str(&hint));
}

int pgerr_set(struct err *e, enum pg_role role, const PGconn *conn, const PGresult *res,
	      const char *doing)
{
	AUTO_TEXT struct text message = TEXT_INIT;
	AUTO_TEXT struct text more = TEXT_INIT;
	const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
	const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	char state[6] = "";

	if (code)
		strncpy(state, code, 5);
	add_field(&message, res, PG_DIAG_MESSAGE_PRIMARY, "");
	if (!message.len)
		add_plain(&message, PQresultErrorMessage(res));
	if (!message.len)
		from_conn(conn, &message, state);
	if (!message.len)
		text_add(&message, "the connection was lost");
	const struct pgerr_rule *rule = pgerr_find(state, text_str(&message));
	add_field(&more, res, PG_DIAG_MESSAGE_DETAIL, "; detail: ");
	add_field(&more, res, PG_DIAG_CONTEXT, "; at: ");

	err_set(e, kind_of(rule, role), "%s: %s%s%s%s%s", pg_role_name(role), text_str(&message),
		state[0] ? " (SQLSTATE " : "", state, state[0] ? ")" : "", text_str(&more));
	e->next = rule->next;
	memcpy(e->sqlstate, state, sizeof(state));
	e->position = position ? (int)strtol(position, NULL, 10) : 0;
	if (constraint)
		strncpy(e->constraint, constraint, sizeof(e->constraint) - 1);
	set_hint(e, rule, res);
	if (doing)
		err_note(e, "%s", doing);
	return -1;
}
