#include "verify/document.h"

#include "common/file.h"
#include "verify/finding.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* --- settings --- */

static json_t *list_json(const char *const *list, int n)
{
	json_t *out = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(out, finding_string(list[i]));
	return out;
}

json_t *document_settings(const struct verify_settings *s)
{
	static const char *const words[] = { "schema", "counts", "presence", "digest",
					     "search", "smoke",  "totals" };
	json_t *levels = json_array(), *settings;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (s->levels & (1u << i))
			json_array_append_new(levels, json_string(words[i]));
	settings = json_pack("{s:o, s:o, s:I, s:i, s:f, s:f}", "levels", levels, "collections",
			     list_json(s->collections, s->n_collections), "seed",
			     (json_int_t)s->seed, "jobs", s->jobs, "max_latency_ratio",
			     s->max_latency_ratio, "margin", s->margin);
	json_object_set_new(settings, "tables", list_json(s->filter.tables, s->filter.n_tables));
	json_object_set_new(settings, "excluded",
			    list_json(s->filter.excluded, s->filter.n_excluded));
	json_object_set_new(settings, "division", list_json(s->division, s->n_division));
	json_object_set_new(settings, "sample", json_integer(s->sample));
	json_object_set_new(settings, "include_values", json_boolean(s->include_values));
	json_object_set_new(settings, "live", json_boolean(s->live));
	json_object_set_new(settings, "repair", json_boolean(s->repair != NULL));
	json_object_set_new(settings, "waivers",
			    json_integer((json_int_t)json_array_size(s->waivers)));
	return settings;
}

/* --- who, with what --- */

json_t *document_tool(const struct verify_settings *s)
{
	struct err ignored = ERR_INIT;
	char hex[65] = "";
	json_t *tool = json_pack("{s:s, s:s}", "name", "neonferry", "version",
				 s->tool_version ? s->tool_version : "");

	if (file_sha256("/proc/self/exe", hex, &ignored) == 0)
		json_object_set_new(tool, "program_sha256", json_string(hex));
	return tool;
}

json_t *document_operator(void)
{
	char host[256] = "", buf[1024];
	struct passwd room, *p = NULL;

	(void)gethostname(host, sizeof(host) - 1);
	if (getpwuid_r(geteuid(), &room, buf, sizeof(buf), &p) != 0)
		p = NULL;
	return json_pack("{s:o, s:o}", "user",
			 p ? finding_string(p->pw_name)
			   : json_sprintf("uid %u", (unsigned)geteuid()),
			 "host", finding_string(host));
}

/* --- coverage --- */

/* Contents were compared where both ends have a digest, and came to rest. */
static bool is_compared(const json_t *table)
{
	const json_t *digest = json_object_get(table, "digest");

	return json_is_array(json_object_get(digest, "source")) &&
	       json_is_array(json_object_get(digest, "target")) &&
	       strcmp(text_of(table, "verdict"), "moving") != 0;
}

json_t *document_coverage(const json_t *tables)
{
	json_int_t rows = 0, checked = 0;
	json_t *skipped = json_array();
	const json_t *table;
	size_t i;

	json_array_foreach(tables, i, table)
	{
		json_int_t n =
			json_integer_value(json_array_get(json_object_get(table, "rows"), 1));

		rows += n;
		if (is_compared(table))
			checked += n;
		else
			json_array_append(skipped, json_object_get(table, "name"));
	}
	return json_pack("{s:i, s:I, s:I, s:o}", "tables", (int)json_array_size(tables), "rows",
			 rows, "rows_content_checked", checked, "skipped", skipped);
}

/* --- exceptions --- */

static json_t *exception_json(const json_t *check, int n)
{
	static const char *const copied[] = { "by", "reason", "expires" };
	const char *verdict = text_of(check, "verdict");
	const json_t *waived = json_object_get(check, "waived");
	bool minor = !strcmp(verdict, "warning") && !waived;
	json_t *x = json_pack("{s:o, s:O, s:O, s:O, s:s, s:s, s:O}", "id", json_sprintf("E-%d", n),
			      "object", json_object_get(check, "object"), "group",
			      json_object_get(check, "group"), "description",
			      json_object_get(check, "sentence"), "classification",
			      minor                                                 ? "minor"
			      : !strcmp(verdict, "unknown")                         ? "not verified"
			      : waived && !strcmp(text_of(check, "was"), "unknown") ? "not verified"
										    : "difference",
			      "disposition",
			      waived  ? "accepted"
			      : minor ? "noted"
				      : "open",
			      "at", json_object_get(check, "at"));

	for (size_t i = 0; waived && i < ARRAY_LEN(copied); i++)
		if (json_object_get(waived, copied[i]))
			json_object_set(x, copied[i], json_object_get(waived, copied[i]));
	return x;
}

json_t *document_exceptions(const json_t *checks)
{
	static const char *const order[] = { "fail", "unknown", "warning" };
	json_t *list = json_array();
	const json_t *check;
	size_t i;

	for (size_t v = 0; v < ARRAY_LEN(order); v++)
		json_array_foreach(checks, i,
				   check) if (!strcmp(text_of(check, "verdict"), order[v]))
			json_array_append_new(
				list, exception_json(check, (int)json_array_size(list) + 1));
	return list;
}
