#include "verify/room.h"

#include "verify/brief.h"
#include "verify/chart.h"
#include "verify/panel.h"

#include <stdint.h>
#include <stdlib.h>

/* --- resources --- */

static void size_cell(struct text *t, const json_t *value)
{
	text_add(t, "<td class=\"n\">");
	if (json_is_number(value))
		panel_bytes(t, json_number_value(value));
	else
		text_add(t, "&ndash;");
	text_add(t, "</td>");
}

static void resource_row(struct text *t, const json_t *row)
{
	const json_t *heap = json_object_get(row, "heap"), *index = json_object_get(row, "indexes");

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, row, "table");
	text_add(t, "</th>");
	size_cell(t, json_array_get(heap, 0));
	size_cell(t, json_array_get(heap, 1));
	size_cell(t, json_array_get(index, 0));
	size_cell(t, json_array_get(index, 1));
	size_cell(t, json_object_get(row, "as_vector"));
	size_cell(t, json_object_get(row, "as_halfvec"));
	text_add(t, "</tr>");
}

static void vector_index_row(struct text *t, const json_t *row)
{
	const json_t *bytes = json_object_get(row, "bytes");

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, row, "index");
	text_add(t, "<br><span class=\"dim\">");
	panel_field(t, row, "method");
	text_add(t, " of ");
	panel_field(t, row, "type");
	text_addf(t, "(%.0f)</span></th>", panel_number(row, "dims"));
	panel_integer_cell(t, json_object_get(row, "rows"));
	size_cell(t, json_array_get(bytes, 0));
	size_cell(t, json_array_get(bytes, 1));
	size_cell(t, json_object_get(row, "as_vector"));
	size_cell(t, json_object_get(row, "as_halfvec"));
	text_add(t, "</tr>");
}

static void vector_indexes(struct text *t, const json_t *list)
{
	const json_t *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t, "<h3>Vector indexes</h3><div class=\"scroll\"><table><thead><tr><th>index</th>"
		    "<th class=\"n\">vectors</th><th class=\"n\">source</th>"
		    "<th class=\"n\">target</th><th class=\"n\">would be as vector</th>"
		    "<th class=\"n\">as halfvec</th></tr></thead><tbody>");
	json_array_foreach(list, i, row) vector_index_row(t, row);
	text_add(
		t,
		"</tbody></table></div><p class=\"dim\">The last two by pgvector's page layout; an "
		"HNSW index serves quickly while this much of it stays in memory.</p>");
}

static void session_row(struct text *t, const json_t *all, const char *end)
{
	static const char *const keys[] = { "used",     "limit", "reserved",
					    "active",   "idle",  "idle_in_transaction",
					    "neonferry" };
	const json_t *s = json_object_get(all, end);

	if (!json_is_object(s))
		return;
	text_addf(t, "<tr><th scope=\"row\">%s</th>", end);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		panel_integer_cell(t, json_object_get(s, keys[i]));
	text_addf(t, "<td class=\"n\">%.0f of %.0f</td></tr>", panel_number(s, "slots"),
		  panel_number(s, "slots_limit"));
}

static void session_table(struct text *t, const json_t *r)
{
	const json_t *all = json_object_get(r, "sessions");

	if (!json_is_object(all))
		return;
	text_add(t, "<h3>Connections</h3><div class=\"scroll\"><table><thead><tr><th></th>"
		    "<th class=\"n\">in use</th><th class=\"n\">limit</th>"
		    "<th class=\"n\">reserved</th><th class=\"n\">active</th>"
		    "<th class=\"n\">idle</th><th class=\"n\">idle in transaction</th>"
		    "<th class=\"n\">neonferry's</th><th class=\"n\">replication slots</th></tr>"
		    "</thead><tbody>");
	session_row(t, all, "source");
	session_row(t, all, "target");
	text_addf(t,
		  "</tbody></table></div><p class=\"dim\">At the end of the verification, which "
		  "opens at most %.0f sessions an end.</p>",
		  panel_number(r, "jobs") + 2);
}

static void space_table(struct text *t, const json_t *list)
{
	const json_t *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t, "<div class=\"scroll\"><table><thead><tr><th>table</th>"
		    "<th class=\"n\">heap, source</th><th class=\"n\">target</th>"
		    "<th class=\"n\">indexes, source</th><th class=\"n\">target</th>"
		    "<th class=\"n\">its embeddings as vector</th><th class=\"n\">as halfvec</th>"
		    "</tr></thead><tbody>");
	json_array_foreach(list, i, row) resource_row(t, row);
	text_add(t, "</tbody></table></div>");
}

void room_resources(struct text *t, const json_t *doc)
{
	const json_t *r = json_object_get(doc, "resources");

	if (!json_is_object(r))
		return;
	text_add(t, "<section id=\"resources\"><h2>Space and connections</h2>");
	space_table(t, json_object_get(r, "tables"));
	vector_indexes(t, json_object_get(r, "vector_indexes"));
	session_table(t, r);
	text_add(t, "</section>");
}

/* --- the transfer, where the report is of a run --- */

static void rate_chart(struct text *t, const json_t *samples)
{
	size_t n = json_array_size(samples);
	double *x = calloc(2 * n + 2, sizeof(*x)), *y = x ? x + n + 1 : NULL;

	for (size_t i = 0; x && i < n; i++) {
		const json_t *sample = json_array_get(samples, i);

		x[i] = json_number_value(json_array_get(sample, 0));
		y[i] = json_number_value(json_array_get(sample, 1));
	}
	if (x && n > 1) {
		text_add(t, "<figure>");
		chart_area(t, "throughput over the run", "s", "MB/s", x, y, (int)n);
		text_add(t, "</figure>");
	}
	free(x);
}

static void timings(struct text *t, const json_t *list)
{
	const char *phase;
	const json_t *ms;

	if (json_object_size(list) == 0)
		return;
	text_add(t, "<div class=\"scroll\"><table class=\"small\"><thead><tr><th>phase</th>"
		    "<th class=\"n\">seconds</th></tr></thead><tbody>");
	json_object_foreach((json_t *)(uintptr_t)list, phase, ms)
	{
		text_add(t, "<tr><th scope=\"row\">");
		chart_escape(t, phase);
		text_addf(t, "</th><td class=\"n\">%.2f</td></tr>", json_number_value(ms) / 1e3);
	}
	text_add(t, "</tbody></table></div>");
}

static void steps(struct text *t, const json_t *list)
{
	const json_t *step;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t, "<details><summary>Steps of the run, with their times</summary><div "
		    "class=\"scroll\"><table class=\"stack\"><tbody>");
	json_array_foreach(list, i, step)
	{
		text_add(t, "<tr><td class=\"dim\">");
		brief_time(t, panel_string(step, "time"));
		text_add(t, "</td><td class=\"long\">");
		panel_field(t, step, "text");
		text_add(t, "</td></tr>");
	}
	text_add(t, "</tbody></table></div></details>");
}

static void statistics_cells(struct text *t, const json_t *table)
{
	const json_t *indexes = json_object_get(table, "indexes");

	size_cell(t, json_object_get(table, "bytes"));
	text_addf(t, "<td class=\"n\">%zu</td>", json_array_size(indexes));
	size_cell(t, json_object_get(table, "index_bytes"));
}

static void statistics_end(struct text *t, const json_t *end, const char *title)
{
	const json_t *version;
	const char *name;

	if (!end)
		return;
	text_addf(t, "<li>%s: PostgreSQL ", title);
	panel_field(t, end, "version");
	text_add(t, ", ");
	panel_bytes(t, panel_number(end, "database_bytes"));
	text_add(t, " in all; extensions");
	json_object_foreach(json_object_get(end, "extensions"), name, version)
	{
		text_add(t, " ");
		chart_escape(t, name);
		text_add(t, " ");
		chart_escape(t, json_string_value(version));
	}
	text_add(t, "</li>");
}

/* What the source held when the run began, beside the target when it ended. */
static void statistics(struct text *t, const json_t *list)
{
	const json_t *source = json_object_get(list, "source"), *target = json_object_get(list, "target");
	const json_t *tables = json_object_get(source, "tables"), *table;
	size_t i;

	if (json_array_size(tables) == 0)
		return;
	text_add(t, "<details><summary>Before the run, and after it: sizes, indexes, extensions</summary><ul>");
	statistics_end(t, source, "source before");
	statistics_end(t, target, "target after");
	text_add(t, "</ul><div class=\"scroll\"><table class=\"small\"><thead><tr><th>table</th>"
		    "<th class=\"n\">source</th><th class=\"n\">indexes</th><th class=\"n\">their size</th>"
		    "<th class=\"n\">target</th><th class=\"n\">indexes</th><th class=\"n\">their size</th>"
		    "</tr></thead><tbody>");
	json_array_foreach(tables, i, table)
	{
		text_add(t, "<tr><th scope=\"row\">");
		panel_field(t, table, "table");
		text_add(t, "</th>");
		statistics_cells(t, table);
		statistics_cells(t, json_array_get(json_object_get(target, "tables"), i));
		text_add(t, "</tr>");
	}
	text_add(t, "</tbody></table></div></details>");
}

void room_transfer(struct text *t, const json_t *doc)
{
	const json_t *transfer = json_object_get(doc, "transfer");

	if (!json_is_object(transfer))
		return;
	text_add(t, "<section id=\"transfer\"><h2>The run</h2>");
	rate_chart(t, json_object_get(transfer, "samples"));
	timings(t, json_object_get(json_object_get(transfer, "summary"), "timings_ms"));
	statistics(t, json_object_get(json_object_get(transfer, "run"), "statistics"));
	steps(t, json_object_get(json_object_get(transfer, "run"), "steps"));
	text_add(t, "</section>");
}
