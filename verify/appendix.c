#include "verify/appendix.h"

#include "verify/brief.h"
#include "verify/chart.h"
#include "verify/panel.h"
#include "verify/queries.h"

#include <stdio.h>
#include <string.h>

#define MAX_QUERIES 400 /* on the page; queries.sql has all */

/* --- identity --- */

static void identity_row(struct text *t, const json_t *doc, const char *key, const char *name)
{
	const json_t *s = json_object_get(doc, "source"), *g = json_object_get(doc, "target");

	if (!panel_string(s, key)[0] && !panel_string(g, key)[0])
		return;
	text_addf(t, "<tr><th scope=\"row\">%s</th><td class=\"long\">", name);
	panel_field(t, s, key);
	text_add(t, "</td><td class=\"long\">");
	panel_field(t, g, key);
	text_add(t, "</td></tr>");
}

static void print_row(struct text *t, const json_t *doc)
{
	const json_t *prints = json_object_get(doc, "fingerprint");

	text_add(t,
		 "<tr><th scope=\"row\">fingerprint of all contents</th><td class=\"long\"><code>");
	panel_field(t, prints, "source");
	text_add(t, "</code></td><td class=\"long\"><code>");
	panel_field(t, prints, "target");
	text_add(t, "</code></td></tr>");
}

static void pair_row(struct text *t, const char *name, const char *value)
{
	if (!*value)
		return;
	text_addf(t, "<tr><th scope=\"row\">%s</th><td class=\"long\">", name);
	chart_escape(t, value);
	text_add(t, "</td></tr>");
}

static void provenance(struct text *t, const json_t *doc)
{
	const json_t *run = json_object_get(json_object_get(doc, "transfer"), "run");
	const json_t *summary = json_object_get(json_object_get(doc, "transfer"), "summary");
	const json_t *tool = json_object_get(doc, "tool"), *o = json_object_get(doc, "operator");

	text_add(t, "<h3>This verification, and the run before it</h3><div class=\"scroll\"><table>"
		    "<tbody>");
	pair_row(t, "program", panel_string(tool, "version"));
	pair_row(t, "SHA-256 of the program", panel_string(tool, "program_sha256"));
	pair_row(t, "account", panel_string(o, "user"));
	pair_row(t, "machine", panel_string(o, "host"));
	pair_row(t, "command", panel_string(doc, "command"));
	pair_row(t, "started", panel_string(doc, "started"));
	pair_row(t, "ended", panel_string(doc, "ended"));
	pair_row(t, "run", panel_string(doc, "run"));
	pair_row(t, "run started", panel_string(run, "started"));
	pair_row(t, "run ended", panel_string(summary, "ended"));
	pair_row(t, "snapshot of the run", panel_string(run, "snapshot"));
	pair_row(t, "its position in the source's log (LSN)", panel_string(run, "lsn"));
	pair_row(t, "target's LSN before the first write",
		 panel_string(json_object_get(json_object_get(summary, "facts"), "restore_point"),
			      "lsn"));
	text_add(t, "</tbody></table></div>");
}

static void identity(struct text *t, const json_t *doc)
{
	static const char *const keys[][2] = {
		{ "label", "connection" },
		{ "database", "database" },
		{ "role", "role" },
		{ "tls", "encrypted by" },
		{ "server_version", "server" },
		{ "server_started", "server started" },
		{ "system_identifier", "system identifier" },
		{ "pgvector", "pgvector" },
		{ "encoding", "encoding" },
		{ "collate", "sort order" },
		{ "collation_version", "its version" },
		{ "snapshot", "snapshot" },
		{ "isolation", "isolation" },
		{ "lsn", "position in the log (LSN)" },
		{ "shared_buffers", "shared_buffers" },
		{ "effective_cache_size", "effective_cache_size" },
		{ "max_connections", "max_connections" },
	};

	text_add(t,
		 "<section id=\"who\"><h2>Identity and provenance</h2><div class=\"scroll\"><table>"
		 "<thead><tr><th></th><th>source</th><th>target</th></tr></thead><tbody>");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		identity_row(t, doc, keys[i][0], keys[i][1]);
	print_row(t, doc);
	text_add(t, "</tbody></table></div>");
	provenance(t, doc);
	text_add(t, "</section>");
}

/* --- method --- */

static const char method_text[] =
	"<section id=\"method\"><h2>Method and statistics</h2>"
	"<p><b>Contents.</b> A row's digest is the SHA-256 of its columns' binary send output in "
	"the order of their names; a table's is the number of rows and the exact sums of two "
	"64-bit words of those hashes. Two tables with the same digest hold the same rows, "
	"whatever their order; a wrong row goes unseen with a probability of about "
	"2<sup>-128</sup>. The servers compute it, or the copier from the stream it reads; only "
	"sums cross the network. Counts come from scans of their own, so that a range never read "
	"cannot be missing on both sides unseen. The fingerprint is the SHA-256 over name, count "
	"and digest of all tables.</p>"
	"<p><b>Independence.</b> Counts, control totals and digests are three computations by the "
	"databases' own functions; the SQL of each is below. Nothing of them is taken from the "
	"program that moved the rows, but where a table's method is <i>stream</i>.</p>"
	"<p><b>Searches.</b> Exact neighbours are computed in double precision. An answer counts "
	"as right when it is as near as the k-th exact one, within t = "
	"4&middot;&radic;dimensions&middot;2<sup>-24</sup>&middot;scale, which is what float "
	"arithmetic allows (10<sup>-3</sup>&middot;scale where vectors became halfvec, which keeps "
	"11 bits); equal distances are no difference. Recall is the share of the k exact "
	"neighbours found; its interval is mean &plusmn; t<sub>n-1</sub>&middot;s/&radic;n with "
	"the query as the unit. The target passes when the lower bound (one-sided, 95&nbsp;%) of "
	"the mean paired difference is above &minus;margin.</p>"
	"<p><b>What a sample cannot prove.</b> For contents every row was read. Searches were "
	"sampled: n queries without a failure show, with 95&nbsp;% confidence, that at least "
	"0.05<sup>1/n</sup> of such queries pass (99.5&nbsp;% for 600), not that all do. What "
	"could not be looked at is listed as unknown and never passes.</p>";

static void index_row(struct text *t, const json_t *index)
{
	const json_t *point = json_array_get(json_object_get(index, "recall"), 0);
	const json_t *paired = json_object_get(point, "paired");

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, index, "index");
	text_addf(
		t,
		"</th><td class=\"n\">%.0f</td><td class=\"n\">%.0f</td><td class=\"n\">%.0f</td>",
		panel_number(index, "queries"), panel_number(index, "seed"),
		panel_number(index, "k"));
	text_addf(t, "<td class=\"n\">%.2g</td>", panel_number(index, "tolerance"));
	if (json_is_object(paired))
		text_addf(t, "<td class=\"n\">%+.4f to %+.4f</td></tr>",
			  panel_number(paired, "lower95"), panel_number(paired, "upper95"));
	else
		text_add(t, "<td class=\"n\">&ndash;</td></tr>");
}

static void method(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "search"), *index;
	size_t i;

	text_add(t, method_text);
	if (json_array_size(list) > 0) {
		text_addf(t,
			  "<p>Margin: %.3g. Of each index:</p><div "
			  "class=\"scroll\"><table><thead><tr>"
			  "<th>index</th><th class=\"n\">queries</th><th class=\"n\">seed</th>"
			  "<th class=\"n\">k</th><th class=\"n\">tolerance</th>"
			  "<th class=\"n\">difference of recall, 90&nbsp;%% "
			  "interval</th></tr></thead>"
			  "<tbody>",
			  panel_number(json_object_get(doc, "settings"), "margin") > 0
				  ? panel_number(json_object_get(doc, "settings"), "margin")
				  : 0.01);
		json_array_foreach(list, i, index) index_row(t, index);
		text_add(t, "</tbody></table></div>");
	}
	text_add(t, "</section>");
}

/* --- reproduce --- */

static void query(struct text *t, const json_t *q)
{
	text_add(t, "<details><summary>");
	panel_field(t, q, "check");
	text_add(t, " <code>");
	panel_field(t, q, "object");
	text_add(t, "</code> <span class=\"dim\">");
	text_add(t, !strcmp(panel_string(q, "end"), "both") ? "both ends" : panel_string(q, "end"));
	text_add(t, "</span></summary><pre>");
	panel_field(t, q, "sql");
	text_add(t, "</pre></details>");
}

/* The run's own report is of a transfer that is over: verifying it is the command then. */
static void again(struct text *t, const json_t *doc)
{
	const char *run = panel_string(doc, "run");

	text_add(t, "<p>To check again:</p><pre>");
	if (strncmp(panel_string(doc, "command"), "neonferry verify", 16) == 0) {
		panel_field(t, doc, "command");
	} else {
		text_add(t, "neonferry verify --source \"$SOURCE_DATABASE_URL\" --target "
			    "\"$NEON_DATABASE_URL\" --report DIR");
		if (*run)
			text_add(t, "\n# against what the run read, where the source is gone:\n"
				    "neonferry verify --report DIR --against-run ");
		chart_escape(t, run);
	}
	text_add(t, "</pre>");
}

static void reproduce(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "queries"), *q;
	size_t i;

	text_add(t, "<section id=\"reproduce\"><h2>Reproduce</h2>");
	again(t, doc);
	if (json_array_size(list) > 0) {
		text_add(t,
			 "<p>By hand, with psql: <code>queries.sql</code> beside this report holds "
			 "every query that the servers were asked. A click marks one whole. The "
			 "session is set so:</p><pre>");
		chart_escape(t, queries_session());
		text_add(t, "</pre>");
	}
	json_array_foreach(list, i, q) if (i < MAX_QUERIES) query(t, q);
	if (json_array_size(list) > MAX_QUERIES)
		text_addf(t, "<p class=\"dim\">The first %d of %zu.</p>", MAX_QUERIES,
			  json_array_size(list));
	text_add(t, "</section>");
}

/* --- evidence --- */

static void evidence(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "artifacts"), *file;
	size_t i;

	text_add(t, "<section id=\"evidence\"><h2>Evidence</h2>");
	if (json_array_size(list) > 0)
		text_add(t,
			 "<p>The files of this report. <code>SHA256SUMS</code> holds these and the "
			 "sum of this page itself; <code>sha256sum -c SHA256SUMS</code> checks "
			 "them, and a signature over that one file covers all.</p>"
			 "<div class=\"scroll\"><table><tbody>");
	json_array_foreach(list, i, file)
	{
		text_add(t, "<tr><th scope=\"row\">");
		panel_field(t, file, "path");
		text_add(t, "</th><td class=\"long\"><code>");
		panel_field(t, file, "sha256");
		text_add(t, "</code></td></tr>");
	}
	text_add(t, json_array_size(list) > 0 ? "</tbody></table></div>" : "");
	text_add(t, "<div class=\"sign\"><div>Verified by, date</div>"
		    "<div>Approved by, date</div></div></section>");
}

void appendix_render(struct text *t, const json_t *doc)
{
	identity(t, doc);
	method(t, doc);
	reproduce(t, doc);
	evidence(t, doc);
}
