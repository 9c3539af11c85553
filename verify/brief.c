#include "verify/brief.h"

#include "verify/chart.h"
#include "verify/panel.h"

#include <stdio.h>
#include <string.h>

static const json_t *summary_of(const json_t *doc)
{
	return json_object_get(json_object_get(doc, "transfer"), "summary");
}

static const json_t *run_of(const json_t *doc)
{
	return json_object_get(json_object_get(doc, "transfer"), "run");
}

void brief_time(struct text *t, const char *iso)
{
	if (strlen(iso) < 19) {
		chart_escape(t, iso);
		return;
	}
	text_addf(t, "%.10s&nbsp;%.8s&nbsp;UTC", iso, iso + 11);
}

/* --- the verdict --- */

static const char *verdict_class(const char *verdict)
{
	if (!strcmp(verdict, "PASS"))
		return "pass";
	if (!strcmp(verdict, "FAIL"))
		return "fail";
	return !strcmp(verdict, "INCONCLUSIVE") ? "inconclusive" : "exceptions";
}

static void banner(struct text *t, const json_t *doc)
{
	const char *verdict = panel_string(doc, "verdict");

	text_add(t, "<header><h1>Integrity report</h1><p class=\"dim\">");
	panel_field(t, json_object_get(doc, "source"), "database");
	if (panel_string(json_object_get(doc, "source"), "database")[0])
		text_add(t, " &rarr; ");
	panel_field(t, json_object_get(doc, "target"), "database");
	if (panel_string(doc, "run")[0]) {
		text_add(t, ", run ");
		panel_field(t, doc, "run");
	}
	text_add(t, ", ");
	brief_time(t, panel_string(doc, "ended"));
	text_addf(t, "</p></header><div class=\"verdict %s\"><b>", verdict_class(verdict));
	chart_escape(t, verdict);
	text_add(t, "</b><p>");
	panel_field(t, doc, "sentence");
	text_add(t, "</p></div>");
}

/* --- the seven lines --- */

static void line(struct text *t, const char *question)
{
	text_addf(t, "<dt>%s</dt><dd>", question);
}

static void more(struct text *t, const char *id, const char *words)
{
	text_addf(t, " <a href=\"#%s\">%s</a></dd>", id, words);
}

static void what(struct text *t, const json_t *doc)
{
	const json_t *c = json_object_get(doc, "coverage");
	const json_t *facts = json_object_get(summary_of(doc), "facts");

	line(t, json_is_object(summary_of(doc)) ? "What was moved" : "What was compared");
	panel_int(t, json_integer_value(json_object_get(c, "tables")));
	text_add(t, " tables with ");
	panel_int(t, json_integer_value(json_object_get(c, "rows")));
	text_add(t, " rows");
	if (json_is_integer(json_object_get(facts, "bytes_sent"))) {
		text_add(t, ", ");
		panel_bytes(t, panel_number(facts, "bytes_sent"));
	}
	text_add(t, ", from ");
	panel_field(t, json_object_get(doc, "source"), "label");
	if (!json_is_object(json_object_get(doc, "source")))
		panel_field(t, summary_of(doc), "source");
	text_add(t, " to ");
	panel_field(t, json_object_get(doc, "target"), "label");
	more(t, "tables", "tables");
}

static void who(struct text *t, const json_t *doc)
{
	const json_t *o = json_object_get(doc, "operator"), *tool = json_object_get(doc, "tool");

	line(t, "By whom");
	if (json_is_object(o)) {
		panel_field(t, o, "user");
		text_add(t, " on ");
		panel_field(t, o, "host");
		text_add(t, ", with ");
	}
	panel_field(t, tool, "name");
	text_add(t, " ");
	panel_field(t, tool, "version");
	more(t, "who", "identity");
}

static void when(struct text *t, const json_t *doc)
{
	line(t, "When");
	if (panel_string(run_of(doc), "started")[0]) {
		text_add(t, "moved from ");
		brief_time(t, panel_string(run_of(doc), "started"));
		text_add(t, " to ");
		brief_time(t, panel_string(summary_of(doc), "ended"));
		text_add(t, "; ");
	}
	text_add(t, "verified from ");
	brief_time(t, panel_string(doc, "started"));
	text_add(t, " to ");
	brief_time(t, panel_string(doc, "ended"));
	more(t, json_is_object(summary_of(doc)) ? "transfer" : "who", "times");
}

static void snapshot(struct text *t, const json_t *doc)
{
	const json_t *run = run_of(doc), *source = json_object_get(doc, "source");
	bool moved = panel_string(run, "snapshot")[0] != '\0';

	line(t, "From which snapshot");
	if (!moved && !panel_string(source, "snapshot")[0]) {
		text_add(t, "the source was not read");
		more(t, "who", "identity");
		return;
	}
	text_add(t, "one snapshot of the source for all tables, <code>");
	panel_field(t, moved ? run : source, "snapshot");
	text_add(t, "</code>, at log position <code>");
	panel_field(t, moved ? run : source, "lsn");
	text_add(t, "</code>");
	more(t, "who", "identity");
}

static void left_out(struct text *t, const json_t *doc)
{
	const json_t *c = json_object_get(doc, "coverage"), *s = json_object_get(doc, "settings");
	size_t objects = json_array_size(json_object_get(summary_of(doc), "left_out"));
	size_t skipped = json_array_size(json_object_get(c, "skipped"));
	bool part = json_array_size(json_object_get(s, "tables")) +
			    json_array_size(json_object_get(s, "excluded")) +
			    json_array_size(json_object_get(s, "collections")) >
		    0;

	line(t, "What was left out, and why");
	if (part)
		text_add(t, "only a part of the database was asked for");
	if (skipped > 0)
		text_addf(t, "%s<b>%zu tables were not compared by content</b>", part ? "; " : "",
			  skipped);
	if (objects > 0)
		text_addf(t, "%s%zu definitions were not carried as they are",
			  part || skipped > 0 ? "; " : "", objects);
	if (!part && skipped + objects == 0)
		text_add(t, "nothing of what was asked for");
	more(t, "scope", "the list with reasons");
}

static void proof(struct text *t, const json_t *doc)
{
	const json_t *c = json_object_get(doc, "coverage");
	const json_t *prints = json_object_get(doc, "fingerprint");
	double rows = panel_number(c, "rows"), checked = panel_number(c, "rows_content_checked");
	const char *s = panel_string(prints, "source"), *g = panel_string(prints, "target");

	line(t, "How it is proven");
	if (json_is_object(c) && checked > 0)
		text_addf(t,
			  "%.4g&nbsp;%% of the rows compared by the SHA-256 of all their columns",
			  rows > 0 ? 100 * checked / rows : 100);
	else
		text_add(t, "contents were not compared");
	if (s[0] && g[0])
		text_addf(t, "; fingerprints of both ends <b>%s</b>: <code>%.23s&hellip;</code>",
			  strcmp(s, g) ? "differ" : "are equal", g);
	more(t, "method", "method");
	line(t, "What it costs to check again");
	text_add(t, "one command, or the queries by hand");
	more(t, "reproduce", "reproduce");
}

/* --- numbers --- */

static void fact_int(struct text *t, json_int_t n, const char *words)
{
	text_add(t, "<div><b>");
	panel_int(t, n);
	text_addf(t, "</b><span>%s</span></div>", words);
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
		text_addf(t,
			  "<div><b>%.2f&nbsp;%%</b><span>lowest recall of an index in the "
			  "target</span></div>",
			  100 * recall);
	if (ratio > 0)
		text_addf(t,
			  "<div><b>%.2f&times;</b><span>time of the slowest search, target to "
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

static json_int_t totals_of(const json_t *doc)
{
	const json_t *table;
	json_int_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(doc, "totals"), i, table) n +=
		(json_int_t)json_array_size(json_object_get(table, "columns"));
	return n;
}

static void facts(struct text *t, const json_t *doc)
{
	const json_t *c = json_object_get(doc, "coverage");

	text_add(t, "<div class=\"facts\">");
	fact_int(t, json_integer_value(json_object_get(c, "rows_content_checked")),
		 "rows compared by content");
	if (json_array_size(json_object_get(doc, "embeddings")) > 0)
		fact_int(t, embeddings_of(doc), "embeddings");
	if (totals_of(doc) > 0)
		fact_int(t, totals_of(doc), "columns with control totals");
	fact_int(t, (json_int_t)json_array_size(json_object_get(doc, "checks")), "findings");
	search_facts(t, doc);
	text_add(t, "</div>");
}

void brief_render(struct text *t, const json_t *doc)
{
	banner(t, doc);
	text_add(t, "<dl class=\"brief\">");
	what(t, doc);
	who(t, doc);
	when(t, doc);
	snapshot(t, doc);
	left_out(t, doc);
	proof(t, doc);
	text_add(t, "</dl>");
	facts(t, doc);
}
