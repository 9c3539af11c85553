#include "verify/queries.h"

#include "verify/finding.h"

#include <string.h>

static const char session[] =
	"SET client_encoding = 'UTF8'; SET search_path = ''; SET row_security = off;\n"
	"SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET timezone = 'UTC';\n"
	"SET bytea_output = 'hex'; SET extra_float_digits = 1; SET lc_monetary = 'C'; SET jit = "
	"off;\n";

const char *queries_session(void)
{
	return session;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* The source's and the target's query of one thing usually are the same text. */
static json_t *find_same(const json_t *list, const char *check, const char *object, const char *sql)
{
	json_t *entry;
	size_t n = json_array_size(list);

	/* They are noted one after the other, table by table or end by end. */
	for (size_t i = n; i-- > 0 && n - i <= 8;) {
		entry = json_array_get(list, i);
		if (!strcmp(text_of(entry, "check"), check) &&
		    !strcmp(text_of(entry, "object"), object) &&
		    !strcmp(text_of(entry, "sql"), sql))
			return entry;
	}
	return NULL;
}

void queries_add(json_t *list, const char *check, const char *object, enum pg_role role,
		 const char *sql)
{
	json_t *same = find_same(list, check, object, sql);

	if (same)
		json_object_set_new(same, "end", json_string("both"));
	else
		json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:o}", "check", check,
						      "object", finding_string(object), "end",
						      role == PG_SOURCE ? "source" : "target",
						      "sql", finding_string(sql)));
}

/* A name may hold a line end; a comment must not. */
static void comment(struct text *t, const char *s)
{
	for (; *s; s++)
		text_addn(t, *s == '\n' || *s == '\r' ? " " : s, 1);
}

void queries_file(struct text *t, const json_t *list)
{
	const json_t *entry;
	size_t i;

	text_add(t, "-- The queries of the checks, as both servers got them. The source was read in"
		    " one snapshot:\n-- run its queries in one transaction, ISOLATION LEVEL"
		    " REPEATABLE READ READ ONLY.\n\n");
	text_add(t, session);
	json_array_foreach(list, i, entry)
	{
		text_add(t, "\n-- ");
		comment(t, text_of(entry, "check"));
		text_add(t, ", ");
		comment(t, text_of(entry, "object"));
		text_addf(t, " (%s)\n", text_of(entry, "end"));
		if (strstr(text_of(entry, "sql"), "$1"))
			text_add(t, "-- $1 is an array of query vectors\nPREPARE nf_search AS ");
		text_add(t, text_of(entry, "sql"));
		text_add(t,
			 strstr(text_of(entry, "sql"), "$1") ? "; DEALLOCATE nf_search;\n" : ";\n");
	}
}
