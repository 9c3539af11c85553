#include "verify/audit.h"

#include "verify/brief.h"
#include "verify/chart.h"
#include "verify/panel.h"

#include <string.h>

#define MAX_LEFT_OUT 200 /* on the page; the JSON has all */

/* --- exceptions --- */

static void disposition(struct text *t, const json_t *x)
{
	panel_word(t, panel_string(x, "disposition"));
	if (!panel_string(x, "reason")[0] && !panel_string(x, "by")[0])
		return;
	text_add(t, "<br><span class=\"dim\">");
	panel_field(t, x, "by");
	text_add(t, ": ");
	panel_field(t, x, "reason");
	if (panel_string(x, "expires")[0]) {
		text_add(t, " (until ");
		panel_field(t, x, "expires");
		text_add(t, ")");
	}
	text_add(t, "</span>");
}

static void exception_row(struct text *t, const json_t *x)
{
	text_add(t, "<tr><td class=\"id\">");
	panel_field(t, x, "id");
	text_add(t, "</td><td>");
	panel_field(t, x, "classification");
	text_add(t, "</td><td class=\"long\"><span class=\"dim\">");
	panel_field(t, x, "group");
	text_add(t, "</span> <code>");
	panel_field(t, x, "object");
	text_add(t, "</code><br>");
	panel_field(t, x, "description");
	text_add(t, "</td><td>");
	disposition(t, x);
	text_add(t, "</td></tr>");
}

void audit_exceptions(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "exceptions"), *x;
	size_t i;

	text_add(t, "<section id=\"attention\"><h2>Exceptions</h2>");
	if (json_array_size(list) == 0) {
		text_add(t, "<p>None: every check passed, and nothing was waived.</p></section>");
		return;
	}
	text_add(
		t,
		"<p class=\"dim\">Everything that is not as in the source, or could not be looked "
		"at. <i>Open</i>: not settled. <i>Accepted</i>: waived by a person. <i>Noted</i>: "
		"the data are right, something beside them differs.</p>"
		"<div class=\"scroll\"><table class=\"stack\"><thead><tr><th>no.</th><th>class</th>"
		"<th>what</th><th>disposition</th></tr></thead><tbody>");
	json_array_foreach(list, i, x) exception_row(t, x);
	text_add(t, "</tbody></table></div></section>");
}

/* --- scope --- */

static bool add_list(struct text *t, const char *words, const json_t *list)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		return false;
	text_addf(t, "<li>%s", words);
	json_array_foreach(list, i, item)
	{
		text_add(t, i > 0 ? ", <code>" : " <code>");
		chart_escape(t, json_string_value(item));
		text_add(t, "</code>");
	}
	text_add(t, "</li>");
	return true;
}

static bool has_level(const json_t *doc, const char *level)
{
	const json_t *list = json_object_get(json_object_get(doc, "settings"), "levels"), *item;
	size_t i;

	json_array_foreach(list, i, item) if (json_is_string(item) &&
					      !strcmp(json_string_value(item), level)) return true;
	return false;
}

/* What was not asked for at all: never silently absent. */
static void levels(struct text *t, const json_t *doc)
{
	static const char *const all[][2] = {
		{ "schema", "definitions, settings and sequences" },
		{ "counts", "counts of rows" },
		{ "digest", "contents of rows" },
		{ "totals", "control totals" },
		{ "presence", "embeddings of each collection" },
		{ "search", "searches, recall and latency" },
		{ "smoke", "adding and deleting a document (<code>--smoke</code>)" },
	};
	const char *comma = "<li>not looked at, because not asked for: ";

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (has_level(doc, all[i][0]))
			continue;
		text_addf(t, "%s%s", comma, all[i][1]);
		comma = ", ";
	}
	if (*comma == ',')
		text_add(t, "</li>");
}

static void left_out(struct text *t, const json_t *list)
{
	const json_t *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_addf(t,
		  "<h3>Definitions not carried as they are</h3><div class=\"scroll\"><table "
		  "class=\"stack\"><thead><tr><th>kind</th><th>name</th><th>why</th></tr></thead>"
		  "<tbody>");
	json_array_foreach(list, i, row)
	{
		if (i == MAX_LEFT_OUT)
			break;
		text_add(t, "<tr><td>");
		panel_field(t, row, "what");
		text_add(t, "</td><td class=\"long\"><code>");
		panel_field(t, row, "name");
		text_add(t, "</code></td><td class=\"long\">");
		panel_field(t, row, "why");
		text_add(t, "</td></tr>");
	}
	text_add(t, "</tbody></table></div>");
	if (json_array_size(list) > MAX_LEFT_OUT)
		text_addf(t, "<p class=\"dim\">The first %d of %zu; all are in the JSON.</p>",
			  MAX_LEFT_OUT, json_array_size(list));
}

void audit_scope(struct text *t, const json_t *doc)
{
	const json_t *c = json_object_get(doc, "coverage"), *s = json_object_get(doc, "settings");
	const json_t *summary = json_object_get(json_object_get(doc, "transfer"), "summary");

	text_add(t, "<section id=\"scope\"><h2>Scope and exclusions</h2><ul><li>");
	panel_int(t, json_integer_value(json_object_get(c, "tables")));
	text_add(t, " tables, ");
	panel_int(t, json_integer_value(json_object_get(c, "rows")));
	text_add(t, " rows in the target, of which ");
	panel_int(t, json_integer_value(json_object_get(c, "rows_content_checked")));
	text_add(t, " were compared by content</li>");
	add_list(t, "not compared by content:", json_object_get(c, "skipped"));
	add_list(t, "only these tables were asked for:", json_object_get(s, "tables"));
	add_list(t, "excluded on request:", json_object_get(s, "excluded"));
	add_list(t, "only these collections were asked for:", json_object_get(s, "collections"));
	levels(t, doc);
	text_add(t,
		 "<li>never part of it: system catalogs, temporary objects, members of extensions, "
		 "roles and their passwords, Neon's own schemas, and the schema "
		 "<code>neonferry</code>, which keeps the record of the transfer</li>");
	if (!json_is_true(json_object_get(s, "include_values")))
		text_add(t, "<li>values of rows are not shown (<code>--include-values</code> shows "
			    "them); keys are</li>");
	text_add(t, "</ul>");
	left_out(t, json_object_get(summary, "left_out"));
	text_add(t, "</section>");
}

/* --- control totals --- */

static void value(struct text *t, const json_t *pair, const char *key, size_t end)
{
	const char *s = json_string_value(json_array_get(pair, end));

	if (!s)
		text_add(t, "&ndash;");
	else if (strcmp(key, "min") && strcmp(key, "max"))
		panel_digits(t, s);
	else
		chart_escape(t, s);
}

/* One value where both ends agree, both where they do not. */
static void total_cell(struct text *t, const json_t *column, const char *key)
{
	const json_t *pair = json_object_get(column, key);
	const json_t *s = json_array_get(pair, 0), *g = json_array_get(pair, 1);

	text_add(t, "<td class=\"n\">");
	if (!pair) {
		text_add(t, json_is_true(json_object_get(column, "hidden")) &&
					    strcmp(key, "distinct") != 0
				    ? "<span class=\"dim\">hidden</span></td>"
				    : "</td>");
		return;
	}
	if (json_is_null(s) || json_equal(s, g)) {
		value(t, pair, key, 1);
	} else {
		value(t, pair, key, 0);
		text_add(t, "<br><b class=\"w-fail\">");
		value(t, pair, key, 1);
		text_add(t, "</b>");
	}
	text_add(t, "</td>");
}

static void nulls_cell(struct text *t, const json_t *column)
{
	const json_t *pair = json_object_get(column, "nulls");
	const json_t *s = json_array_get(pair, 0), *g = json_array_get(pair, 1);

	text_add(t, "<td class=\"n\">");
	panel_int(t, json_integer_value(json_is_integer(g) ? g : s));
	if (json_is_integer(s) && json_is_integer(g) && !json_equal(s, g)) {
		text_add(t, "<br><b class=\"w-fail\">source ");
		panel_int(t, json_integer_value(s));
		text_add(t, "</b>");
	}
	text_add(t, "</td>");
}

static void total_row(struct text *t, const json_t *column)
{
	static const char *const keys[] = { "sum", "min", "max", "distinct" };
	const char *kind = panel_string(column, "kind");
	const json_t *same = json_object_get(column, "same");

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, column, "column");
	text_add(t, "<br><span class=\"dim\">");
	panel_field(t, column, "type");
	text_add(t, !strcmp(kind, "bytes")     ? ", sum of bytes"
		    : !strcmp(kind, "time")    ? ", sum of seconds"
		    : !strcmp(kind, "boolean") ? ", sum of true"
					       : "");
	text_add(t, "</span></th><td>");
	if (same)
		panel_word(t, json_is_true(same) ? "same" : "different");
	text_add(t, "</td>");
	nulls_cell(t, column);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		total_cell(t, column, keys[i]);
	text_add(t, "</tr>");
}

static int differing(const json_t *table)
{
	const json_t *column;
	size_t i;
	int n = 0;

	json_array_foreach(json_object_get(table, "columns"), i, column) n +=
		json_is_false(json_object_get(column, "same"));
	return n;
}

static void totals_table(struct text *t, const json_t *table)
{
	const json_t *columns = json_object_get(table, "columns"), *column;
	int bad = differing(table);
	size_t i;

	text_addf(t, "<details%s><summary>", bad > 0 ? " open" : "");
	panel_field(t, table, "table");
	text_addf(t, " <span class=\"dim\">%zu columns", json_array_size(columns));
	if (bad > 0)
		text_addf(t, ", <b class=\"w-fail\">%d differ</b>", bad);
	else if (!json_is_null(json_array_get(json_object_get(table, "rows"), 0)))
		text_add(t, ", all equal");
	text_add(t,
		 "</span></summary><div class=\"scroll\"><table><thead><tr><th>column</th><th></th>"
		 "<th class=\"n\">NULL</th><th class=\"n\">sum</th><th class=\"n\">least</th>"
		 "<th class=\"n\">greatest</th><th class=\"n\">different values</th></tr></thead>"
		 "<tbody>");
	json_array_foreach(columns, i, column) total_row(t, column);
	text_add(t, "</tbody></table></div></details>");
}

void audit_totals(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "totals"), *table;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(
		t,
		"<section id=\"totals\"><h2>Control totals</h2><p class=\"dim\">Read in one scan "
		"on each end and compared exactly; anybody can repeat them with the SQL below, "
		"without trusting a digest. One value where both ends agree; else the source's, "
		"and the target's in red. Totals of fewer than ten values are compared but hidden, "
		"because they tell the values.</p>");
	json_array_foreach(list, i, table) totals_table(t, table);
	text_add(t, "</section>");
}
