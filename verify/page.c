#include "verify/page.h"

#include "verify/chart.h"
#include "verify/checklist.h"
#include "verify/panel.h"
#include "verify/style.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_ROWS 50 /* differing rows of a table on the page; the JSON has more */

static const char *verdict_class(const char *verdict)
{
	if (!strcmp(verdict, "PASS"))
		return "pass";
	if (!strcmp(verdict, "FAIL"))
		return "fail";
	return !strcmp(verdict, "INCONCLUSIVE") ? "inconclusive" : "exceptions";
}

static void word(struct text *t, const char *w)
{
	text_add(t, "<span class=\"w w-");
	chart_escape(t, w);
	text_add(t, "\">");
	chart_escape(t, w);
	text_add(t, "</span>");
}

/* --- the top --- */

static void fact_int(struct text *t, json_int_t n, const char *what)
{
	text_add(t, "<div><b>");
	panel_int(t, n);
	text_addf(t, "</b><span>%s</span></div>", what);
}

static void search_facts(struct text *t, const json_t *doc)
{
	const json_t *index;
	double recall = 2, ratio = -1;
	size_t i;

	json_array_foreach(json_object_get(doc, "search"), i, index)
	{
		const json_t *point = json_array_get(json_object_get(index, "recall"), 0);
		const json_t *stats = json_object_get(point, "target");
		const json_t *r = json_object_get(json_object_get(index, "latency"), "ratio");

		if (json_is_object(stats) && panel_number(stats, "mean") < recall)
			recall = panel_number(stats, "mean");
		if (json_is_object(r) && panel_number(r, "median") > ratio)
			ratio = panel_number(r, "median");
	}
	if (recall <= 1)
		text_addf(t, "<div><b>%.2f %%</b><span>lowest recall in the target</span></div>",
			  100 * recall);
	if (ratio > 0)
		text_addf(t,
			  "<div><b>%.2f&times;</b><span>slowest search, target to "
			  "source</span></div>",
			  ratio);
}

static json_int_t embeddings_of(const json_t *doc)
{
	const json_t *row;
	json_int_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(doc, "embeddings"), i, row) n +=
		json_integer_value(json_object_get(json_object_get(row, "target"), "with"));
	return n;
}

static void facts(struct text *t, const json_t *doc)
{
	const json_t *c = json_object_get(doc, "coverage");

	text_add(t, "<div class=\"facts\">");
	fact_int(t, json_integer_value(json_object_get(c, "tables")), "tables");
	fact_int(t, json_integer_value(json_object_get(c, "rows")), "rows in the target");
	fact_int(t, json_integer_value(json_object_get(c, "rows_content_checked")),
		 "rows compared by content");
	if (json_array_size(json_object_get(doc, "embeddings")) > 0)
		fact_int(t, embeddings_of(doc), "embeddings");
	search_facts(t, doc);
	text_add(t, "</div>");
}

static void banner(struct text *t, const json_t *doc)
{
	const char *verdict = panel_string(doc, "verdict");

	text_add(t, "<h1>neonferry: integrity report");
	if (panel_string(doc, "run")[0]) {
		text_add(t, " of run ");
		panel_field(t, doc, "run");
	}
	text_addf(t, "</h1><div class=\"verdict %s\"><b>", verdict_class(verdict));
	chart_escape(t, verdict);
	text_add(t, "</b><p>");
	panel_field(t, doc, "sentence");
	text_add(t, "</p></div>");
}

static void nav(struct text *t)
{
	static const char *const parts[][2] = {
		{ "attention", "What needs attention" },
		{ "tables", "Tables" },
		{ "collections", "Collections" },
		{ "embeddings", "Embeddings" },
		{ "differences", "Differences" },
		{ "repair", "Repair" },
		{ "search", "Search" },
		{ "functions", "Functions" },
		{ "schema", "Schema" },
		{ "resources", "Space" },
		{ "checklist", "Checklist" },
		{ "checks", "All checks" },
		{ "who", "Identity" },
		{ "method", "Method" },
	};

	text_add(t, "<nav>");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		text_addf(t, "<a href=\"#%s\">%s</a>", parts[i][0], parts[i][1]);
	text_add(t, "</nav>");
}

/* --- findings --- */

static void check_row(struct text *t, const json_t *check)
{
	const json_t *waived = json_object_get(check, "waived");

	text_add(t, "<tr><td>");
	word(t, panel_string(check, "verdict"));
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

static int check_rows(struct text *t, const json_t *doc, const char *verdict)
{
	const json_t *check;
	size_t i;
	int n = 0;

	json_array_foreach(json_object_get(doc, "checks"), i,
			   check) if (!strcmp(panel_string(check, "verdict"), verdict))
	{
		check_row(t, check);
		n++;
	}
	return n;
}

static const char check_head[] =
	"<div class=\"scroll\"><table "
	"class=\"stack\"><thead><tr><th>verdict</th><th>what</th><th>object</th>"
	"<th>finding</th></tr></thead><tbody>";

static void attention(struct text *t, const json_t *doc)
{
	struct text rows = TEXT_INIT;
	int n = check_rows(&rows, doc, "fail") + check_rows(&rows, doc, "unknown") +
		check_rows(&rows, doc, "warning");

	text_add(t, "<section id=\"attention\"><h2>What needs attention</h2>");
	if (n == 0)
		text_add(t, "<p>Nothing.</p>");
	else
		text_addf(t, "%s%s</tbody></table></div>", check_head, text_str(&rows));
	t->failed |= rows.failed;
	text_done(&rows);
	text_add(t, "</section>");
}

static void all_checks(struct text *t, const json_t *doc)
{
	text_addf(t,
		  "<section id=\"checks\"><h2>All checks</h2><details><summary>%zu checks, "
		  "passed ones and notes included</summary>%s",
		  json_array_size(json_object_get(doc, "checks")), check_head);
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
	word(t, panel_string(table, "verdict"));
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
		 "<th>table</th><th>contents</th><th>rows, source</th><th>rows, target</th>"
		 "<th>digest, source</th><th>digest, target</th><th>size</th><th>ms</th><th>ms</th>"
		 "<th>by</th></tr></thead><tbody>");
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

static void row_key(struct text *t, const json_t *row)
{
	const json_t *part;
	size_t i;

	json_array_foreach(json_object_get(row, "key"), i, part)
	{
		text_add(t, i > 0 ? ", " : "");
		chart_escape(t, json_string_value(part));
	}
	panel_field(t, row, "row_digest");
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
		row_key(t, row);
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

static void checklist(struct text *t, const json_t *doc)
{
	json_t *list = checklist_make(doc);
	const json_t *item;
	size_t i;

	text_add(t, "<section id=\"checklist\"><h2>Checklist</h2><div class=\"scroll\"><table "
		    "class=\"stack\"><tbody>");
	json_array_foreach(list, i, item)
	{
		text_add(t, "<tr><td>");
		word(t, panel_string(item, "done"));
		text_add(t, "</td><td class=\"dim\">");
		panel_field(t, item, "list");
		text_add(t, "</td><th scope=\"row\">");
		panel_field(t, item, "item");
		text_add(t, "</th><td class=\"long\">");
		panel_field(t, item, "evidence");
		text_add(t, "</td></tr>");
	}
	text_add(t, "</tbody></table></div></section>");
	json_decref(list);
}

/* --- who, how --- */

static void identity_row(struct text *t, const json_t *doc, const char *key, const char *name)
{
	const json_t *s = json_object_get(doc, "source"), *g = json_object_get(doc, "target");

	text_addf(t, "<tr><th scope=\"row\">%s</th><td class=\"long\">", name);
	panel_field(t, s, key);
	text_add(t, "</td><td class=\"long\">");
	panel_field(t, g, key);
	text_add(t, "</td></tr>");
}

static void identity(struct text *t, const json_t *doc)
{
	static const char *const keys[][2] = {
		{ "label", "connection" },      { "database", "database" },
		{ "server_version", "server" }, { "system_identifier", "system identifier" },
		{ "pgvector", "pgvector" },     { "encoding", "encoding" },
		{ "collate", "sort order" },    { "lsn", "position in the log (LSN)" },
	};
	const json_t *prints = json_object_get(doc, "fingerprint");

	text_add(t, "<section id=\"who\"><h2>Identity</h2><div "
		    "class=\"scroll\"><table><thead><tr><th></th>"
		    "<th>source</th><th>target</th></tr></thead><tbody>");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		identity_row(t, doc, keys[i][0], keys[i][1]);
	text_add(t,
		 "<tr><th scope=\"row\">fingerprint of all contents</th><td class=\"long\"><code>");
	panel_field(t, prints, "source");
	text_add(t, "</code></td><td class=\"long\"><code>");
	panel_field(t, prints, "target");
	text_add(t, "</code></td></tr></tbody></table></div><p class=\"dim\">");
	panel_field(t, json_object_get(doc, "tool"), "name");
	text_add(t, " ");
	panel_field(t, json_object_get(doc, "tool"), "version");
	text_add(t, ", ");
	panel_field(t, doc, "started");
	text_add(t, " to ");
	panel_field(t, doc, "ended");
	text_add(t, " (UTC)");
	if (panel_string(doc, "command")[0]) {
		text_add(t, ", <code>");
		panel_field(t, doc, "command");
		text_add(t, "</code>");
	}
	text_add(t, "</p></section>");
}

static const char method_text[] =
	"<section id=\"method\"><h2>Method</h2>"
	"<p>A row's digest is the SHA-256 of its columns' binary send output in the order of their "
	"names; a table's is the number of rows and the exact sums of two 64-bit words of those "
	"hashes. Two tables with the same digest hold the same rows, whatever their order; a wrong "
	"row "
	"goes unseen with a probability of about 2<sup>-128</sup>. Both servers compute it; only "
	"sums "
	"cross the network. Counts come from scans of their own.</p>"
	"<p>Exact neighbours are computed in double precision; an answer counts as right when it "
	"is as "
	"near as the k-th exact one, within what float arithmetic allows, so equal distances are "
	"no "
	"difference. Intervals of recall take the query as the unit. The target's recall passes "
	"when "
	"it is with 95&nbsp;% confidence not more than the margin below the source's.</p>"
	"<p>A sample cannot prove that a rare difference is absent: for contents every row was "
	"read; "
	"searches were sampled. What could not be looked at is listed as unknown and never passes. "
	"Values of rows are left out unless they were asked for.</p>";

static void method(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "artifacts"), *file;
	size_t i;

	text_add(t, method_text);
	if (json_array_size(list) > 0)
		text_add(t, "<h3>Files of this report</h3>");
	json_array_foreach(list, i, file)
	{
		text_add(t, "<p>");
		panel_field(t, file, "path");
		text_add(t, " <code>sha256:");
		panel_field(t, file, "sha256");
		text_add(t, "</code></p>");
	}
	text_add(t, "</section>");
}

void page_render(struct text *t, const json_t *doc)
{
	text_add(t, "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
		    "<meta name=\"color-scheme\" content=\"light dark\"><title>");
	panel_field(t, doc, "verdict");
	text_add(t, " &ndash; neonferry integrity report</title><style>");
	text_add(t, style_css);
	text_add(t, "</style></head><body><main>");
	banner(t, doc);
	facts(t, doc);
	nav(t);
	attention(t, doc);
	tables(t, doc);
	panel_collections(t, doc);
	panel_embeddings(t, doc);
	differences(t, doc);
	panel_repair(t, doc);
	panel_search(t, doc);
	panel_functions(t, doc);
	objects(t, doc);
	panel_resources(t, doc);
	panel_transfer(t, doc);
	checklist(t, doc);
	all_checks(t, doc);
	identity(t, doc);
	method(t, doc);
	text_add(t, "</main></body></html>\n");
}
