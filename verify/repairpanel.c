#include "verify/panel.h"

#include <string.h>

#define SHOWN_ROWS 50 /* rows of a table on the page; repaired.ndjson has all */

static void count(struct text *t, const json_t *table, const char *key)
{
	text_add(t, "<td class=\"n\">");
	panel_int(t, json_integer_value(json_object_get(table, key)));
	text_add(t, "</td>");
}

static void table_row(struct text *t, const json_t *table)
{
	static const char *const keys[] = { "inserted", "updated",      "deleted", "left",
					    "stale",    "source_moved", "refused" };

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, table, "table");
	if (panel_string(table, "why_not")[0]) {
		text_add(t, "<br><span class=\"dim\">");
		panel_field(t, table, "why_not");
		text_add(t, "</span>");
	}
	text_add(t, "</th>");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		count(t, table, keys[i]);
	text_add(t, "</tr>");
}

static void rows(struct text *t, const json_t *table)
{
	const json_t *list = json_object_get(table, "rows"), *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t, "<details><summary>Rows of ");
	panel_field(t, table, "table");
	text_add(t, "</summary><div class=\"scroll\"><table class=\"stack\"><tbody>");
	json_array_foreach(list, i, row)
	{
		if (i == SHOWN_ROWS)
			break;
		text_add(t, "<tr><th scope=\"row\"><code>");
		panel_key(t, row);
		text_add(t, "</code></th><td>");
		panel_field(t, row, "class");
		text_add(t, "</td><td class=\"long\">");
		panel_field(t, row, "why");
		text_add(t, "</td></tr>");
	}
	text_add(t, "</tbody></table></div></details>");
}

void panel_repair(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(json_object_get(doc, "repair"), "tables"), *table;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(
		t,
		"<section id=\"repair\"><h2>Repair</h2><p>Written into the target before what this "
		"report says of it was looked at.</p><div class=\"scroll\"><table><thead><tr>"
		"<th>table</th><th>inserted</th><th>written over</th><th>deleted</th>"
		"<th>left</th><th>written since</th><th>source moved</th><th>refused</th>"
		"</tr></thead><tbody>");
	json_array_foreach(list, i, table) table_row(t, table);
	text_add(t, "</tbody></table></div>");
	json_array_foreach(list, i, table) rows(t, table);
	text_add(t, "</section>");
}
