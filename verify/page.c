#include "verify/page.h"

#include "verify/appendix.h"
#include "verify/audit.h"
#include "verify/brief.h"
#include "verify/checklist.h"
#include "verify/embeddings.h"
#include "verify/panel.h"
#include "verify/room.h"
#include "verify/style.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_ROWS 50 /* differing rows of a table on the page; the JSON has more */

/* --- the parts --- */

/* Links to the parts that are there. */
static void nav(struct text *t, const char *body)
{
	static const char *const parts[][2] = {
		{ "attention", "Exceptions" },  { "scope", "Scope" },
		{ "tables", "Tables" },         { "differences", "Differences" },
		{ "repair", "Repair" },         { "collections", "Collections" },
		{ "totals", "Control totals" }, { "embeddings", "Embeddings" },
		{ "search", "Search" },         { "functions", "Functions" },
		{ "schema", "Schema" },         { "resources", "Space" },
		{ "transfer", "The run" },      { "checklist", "Checklists" },
		{ "checks", "All checks" },     { "who", "Identity" },
		{ "method", "Method" },         { "reproduce", "Reproduce" },
		{ "evidence", "Evidence" },
	};

	text_add(t, "<nav>");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		char mark[48];

		snprintf(mark, sizeof(mark), "<section id=\"%s\">", parts[i][0]);
		if (strstr(body, mark))
			text_addf(t, "<a href=\"#%s\">%s</a>", parts[i][0], parts[i][1]);
	}
	text_add(t, "</nav>");
}

/* --- findings --- */

static void check_row(struct text *t, const json_t *check)
{
	const json_t *waived = json_object_get(check, "waived");

	text_add(t, "<tr><td>");
	panel_word(t, panel_string(check, "verdict"));
	text_add(t, "</td><td>");
	panel_field(t, check, "group");
	text_add(t, "</td><td class=\"long\"><code>");
	panel_field(t, check, "object");
	text_add(t, "</code></td><td class=\"long\">");
	panel_field(t, check, "sentence");
	if (waived) {
		text_add(t, " <span class=\"dim\">Waived by ");
		panel_field(t, waived, "by");
		text_add(t, ": ");
		panel_field(t, waived, "reason");
		if (panel_string(waived, "expires")[0]) {
			text_add(t, " (until ");
			panel_field(t, waived, "expires");
			text_add(t, ")");
		}
		text_add(t, "</span>");
	}
	text_add(t, "</td></tr>");
}

static void check_rows(struct text *t, const json_t *doc, const char *verdict)
{
	const json_t *check;
	size_t i;

	json_array_foreach(json_object_get(doc, "checks"), i,
			   check) if (!strcmp(panel_string(check, "verdict"), verdict))
		check_row(t, check);
}

static const char check_head[] =
	"<div class=\"scroll\"><table "
	"class=\"stack\"><thead><tr><th>verdict</th><th>what</th><th>object</th>"
	"<th>finding</th></tr></thead><tbody>";

static void all_checks(struct text *t, const json_t *doc)
{
	text_addf(t,
		  "<section id=\"checks\"><h2>All checks</h2><details><summary>%zu findings, "
		  "passed ones and notes included</summary>%s",
		  json_array_size(json_object_get(doc, "checks")), check_head);
	check_rows(t, doc, "fail");
	check_rows(t, doc, "unknown");
	check_rows(t, doc, "warning");
	check_rows(t, doc, "pass");
	check_rows(t, doc, "info");
	text_add(t, "</tbody></table></div></details></section>");
}

/* --- tables --- */

static void count_cell(struct text *t, const json_t *pair, size_t end)
{
	const json_t *n = json_array_get(pair, end);

	text_add(t, "<td class=\"n\">");
	if (json_is_integer(n))
		panel_int(t, json_integer_value(n));
	else
		text_add(t, "&ndash;");
	text_add(t, "</td>");
}

/* Enough of the first sum to compare by eye; the JSON has all of it. */
static void digest_cell(struct text *t, const json_t *digest, const char *end)
{
	const char *sum = json_string_value(json_array_get(json_object_get(digest, end), 0));

	text_add(t, "<td><code>");
	if (sum)
		text_addf(t, "%.12s&hellip;", sum);
	text_add(t, "</code></td>");
}

static void table_row(struct text *t, const json_t *table)
{
	const json_t *rows = json_object_get(table, "rows"), *ms = json_object_get(table, "ms");
	const json_t *digest = json_object_get(table, "digest");
	const json_t *bytes = json_array_get(json_object_get(table, "bytes"), 1);

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, table, "name");
	if (panel_string(table, "conversion")[0]) {
		text_add(t, "<br><span class=\"dim\">");
		panel_field(t, table, "conversion");
		text_add(t, "</span>");
	}
	text_add(t, "</th><td>");
	panel_word(t, panel_string(table, "verdict"));
	text_add(t, "</td>");
	count_cell(t, rows, 0);
	count_cell(t, rows, 1);
	digest_cell(t, digest, "source");
	digest_cell(t, digest, "target");
	text_add(t, "<td class=\"n\">");
	panel_bytes(t, json_number_value(bytes));
	text_add(t, "</td>");
	count_cell(t, ms, 0);
	count_cell(t, ms, 1);
	text_add(t, "<td>");
	panel_field(t, table, "method");
	text_add(t, "</td></tr>");
}

static void tables(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "tables"), *table;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t,
		 "<section id=\"tables\"><h2>Tables</h2><div class=\"scroll\"><table><thead><tr>"
		 "<th>table</th><th>contents</th><th class=\"n\">rows, source</th>"
		 "<th class=\"n\">rows, target</th><th>digest, source</th><th>digest, target</th>"
		 "<th class=\"n\">size</th><th class=\"n\">ms, source</th>"
		 "<th class=\"n\">ms, target</th><th>method</th></tr></thead><tbody>");
	json_array_foreach(list, i, table) table_row(t, table);
	text_add(t, "</tbody></table></div></section>");
}

/* --- differences --- */

static void vector_words(struct text *t, const json_t *column)
{
	const json_t *v = json_object_get(column, "vector");

	if (!v)
		return;
	text_addf(t, " first at component %.0f, %.0f components, largest difference %.3g",
		  panel_number(v, "first"), panel_number(v, "components"),
		  panel_number(v, "max_delta"));
	if (json_is_number(json_object_get(v, "cosine_distance")))
		text_addf(t, ", cosine distance %.3g", panel_number(v, "cosine_distance"));
	if (panel_string(column, "belongs_to")[0]) {
		text_add(t, "; <b>it is the vector of row ");
		panel_field(t, column, "belongs_to");
		text_add(t, "</b>");
	}
}

static void changed_columns(struct text *t, const json_t *row)
{
	const json_t *column;
	size_t i;

	json_array_foreach(json_object_get(row, "columns"), i, column)
	{
		text_add(t, i > 0 ? "<br><code>" : "<code>");
		panel_field(t, column, "column");
		text_add(t, "</code>");
		text_add(t, panel_string(column, "note")[0] ? ": " : "");
		panel_field(t, column, "note");
		vector_words(t, column);
		if (json_object_get(column, "source")) {
			text_add(t, " <code>");
			panel_field(t, column, "source");
			text_add(t, "</code> &rarr; <code>");
			panel_field(t, column, "target");
			text_add(t, "</code>");
		}
	}
}

/* "3 missing, 2 changed (1 of those shown equal for SQL)" */
static void counts(struct text *t, const json_t *d)
{
	static const char *const keys[] = { "missing", "extra", "changed", "doubled" };
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (panel_number(d, keys[i]) <= 0)
			continue;
		text_addf(t, "%s%.0f %s", comma, panel_number(d, keys[i]), keys[i]);
		comma = ", ";
	}
	if (panel_number(d, "equivalent") > 0)
		text_addf(t, " (%.0f of those shown equal for SQL)", panel_number(d, "equivalent"));
}

static void difference_table(struct text *t, const json_t *table)
{
	const json_t *d = json_object_get(table, "differences"), *row;
	size_t i;

	text_add(t, "<h3>");
	panel_field(t, table, "name");
	text_add(t, "</h3><p>");
	counts(t, d);
	text_add(t, ".</p><div class=\"scroll\"><table class=\"stack\"><thead><tr><th>row</th>"
		    "<th>is</th><th>what differs</th></tr></thead><tbody>");
	json_array_foreach(json_object_get(d, "rows"), i, row)
	{
		if (i == SHOWN_ROWS)
			break;
		text_add(t, "<tr><th scope=\"row\"><code>");
		panel_key(t, row);
		text_add(t, "</code></th><td>");
		panel_field(t, row, "class");
		if (panel_string(row, "state")[0]) {
			text_add(t, ", ");
			panel_field(t, row, "state");
		}
		text_add(t, "</td><td class=\"long\">");
		changed_columns(t, row);
		text_add(t, "</td></tr>");
	}
	text_add(t, "</tbody></table></div>");
}

static void differences(struct text *t, const json_t *doc)
{
	const json_t *table;
	size_t i;
	bool any = false;

	json_array_foreach(json_object_get(doc, "tables"), i, table)
	{
		if (!json_object_get(table, "differences"))
			continue;
		if (!any)
			text_add(t, "<section id=\"differences\"><h2>Differences</h2>");
		any = true;
		difference_table(t, table);
	}
	text_add(t, any ? "</section>" : "");
}

/* --- schema, checklist --- */

static void objects(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "objects"), *kind;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t, "<section id=\"schema\"><h2>Schema</h2><div class=\"scroll\"><table><thead><tr>"
		    "<th>kind</th><th>source</th><th>target</th><th>different</th></tr></"
		    "thead><tbody>");
	json_array_foreach(list, i, kind)
	{
		json_t *pair = json_pack("[O, O, O]", json_object_get(kind, "source"),
					 json_object_get(kind, "target"),
					 json_object_get(kind, "different"));

		text_add(t, "<tr><th scope=\"row\">");
		panel_field(t, kind, "kind");
		text_add(t, "</th>");
		for (size_t c = 0; c < 3; c++)
			count_cell(t, pair, c);
		text_add(t, "</tr>");
		json_decref(pair);
	}
	text_add(t, "</tbody></table></div></section>");
}

static void checklist_row(struct text *t, const json_t *item)
{
	text_add(t, "<tr><td>");
	panel_word(t, panel_string(item, "done"));
	text_add(t, "</td><th scope=\"row\">");
	panel_field(t, item, "item");
	text_add(t, "</th><td class=\"long\">");
	panel_field(t, item, "evidence");
	text_add(t, "</td><td class=\"dim\">");
	brief_time(t, panel_string(item, "at"));
	text_add(t, "</td></tr>");
}

/* The document has it where it was written; else it is made now. */
static void checklist(struct text *t, const json_t *doc)
{
	json_t *list = json_incref(json_object_get(doc, "checklist"));
	const char *last = "";
	const json_t *item;
	size_t i;

	list = list ? list : checklist_make(doc);
	text_add(t,
		 "<section id=\"checklist\"><h2>Checklists</h2><p class=\"dim\">The lines that "
		 "people used to tick by hand, with what this report knows of them. <i>Open</i>: "
		 "not known here, or for people to do.</p>");
	json_array_foreach(list, i, item)
	{
		if (strcmp(last, panel_string(item, "list")) != 0) {
			text_add(t, *last ? "</tbody></table></div><h3>" : "<h3>");
			panel_field(t, item, "list");
			text_add(t, "</h3><div class=\"scroll\"><table class=\"stack "
				    "checklist\"><tbody>");
		}
		last = panel_string(item, "list");
		checklist_row(t, item);
	}
	text_add(t, *last ? "</tbody></table></div></section>" : "</section>");
	json_decref(list);
}

/* --- all of it --- */

static void body(struct text *t, const json_t *doc)
{
	audit_exceptions(t, doc);
	differences(t, doc);
	panel_repair(t, doc);
	audit_scope(t, doc);
	tables(t, doc);
	panel_collections(t, doc);
	audit_totals(t, doc);
	embeddings_render(t, doc);
	panel_search(t, doc);
	panel_functions(t, doc);
	objects(t, doc);
	room_resources(t, doc);
	room_transfer(t, doc);
	checklist(t, doc);
	all_checks(t, doc);
	appendix_render(t, doc);
}

void page_render(struct text *t, const json_t *doc)
{
	AUTO_TEXT struct text parts = TEXT_INIT;

	body(&parts, doc);
	t->failed |= parts.failed;
	text_add(t, "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
		    "<meta name=\"color-scheme\" content=\"light dark\"><title>");
	panel_field(t, doc, "verdict");
	text_add(t, " &ndash; neonferry integrity report</title><style>");
	text_add(t, style_css);
	text_add(t, style_css_more);
	text_add(t, "</style></head><body><main>");
	brief_render(t, doc);
	nav(t, text_str(&parts));
	text_addn(t, text_str(&parts), parts.len);
	text_add(t, "</main></body></html>\n");
}
