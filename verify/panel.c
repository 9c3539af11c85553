#include "verify/panel.h"

#include "verify/chart.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BARS    40
#define MAX_SAMPLES 400

const char *panel_string(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

double panel_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

void panel_int(struct text *t, json_int_t n)
{
	char digits[32];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)(n < 0 ? -n : n));

	text_add(t, n < 0 ? "-" : "");
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			text_add(t, ",");
		text_addn(t, digits + i, 1);
	}
}

void panel_bytes(struct text *t, double bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	size_t u = 0;

	while (bytes >= 1000 && u + 1 < ARRAY_LEN(units)) {
		bytes /= 1000;
		u++;
	}
	text_addf(t, u == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[u]);
}

void panel_field(struct text *t, const json_t *object, const char *key)
{
	chart_escape(t, panel_string(object, key));
}

void panel_word(struct text *t, const char *w)
{
	text_add(t, "<span class=\"w w-");
	chart_escape(t, w);
	text_add(t, "\">");
	chart_escape(t, w);
	text_add(t, "</span>");
}

void panel_digits(struct text *t, const char *number)
{
	const char *p = number + (*number == '-');
	size_t whole = strspn(p, "0123456789");

	text_addn(t, number, (size_t)(p - number));
	if (whole == 0) /* NaN, Infinity */
		chart_escape(t, p);
	for (size_t i = 0; i < whole; i++) {
		text_add(t, i > 0 && (whole - i) % 3 == 0 ? "," : "");
		text_addn(t, p + i, 1);
	}
	if (whole > 0)
		chart_escape(t, p + whole);
}

void panel_legend(struct text *t)
{
	text_add(t,
		 "<p class=\"legend\"><i class=\"ks\"></i> source <i class=\"kt\"></i> target</p>");
}

void panel_integer_cell(struct text *t, const json_t *value)
{
	text_add(t, "<td class=\"n\">");
	if (json_is_integer(value))
		panel_int(t, json_integer_value(value));
	else
		text_add(t, "&ndash;");
	text_add(t, "</td>");
}

static void number_cell(struct text *t, const char *fmt, const json_t *value)
{
	char buf[64] = "&ndash;";

	if (json_is_number(value))
		snprintf(buf, sizeof(buf), fmt, json_number_value(value));
	text_addf(t, "<td class=\"n\">%s</td>", buf);
}

const char *panel_collection(const json_t *row, const char *key)
{
	const char *name = json_string_value(json_object_get(row, key));

	return !name ? "(none)" : *name ? name : "(empty name)";
}

void panel_key(struct text *t, const json_t *row)
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

/* --- rows per collection --- */

static double row_count(const json_t *row, size_t end)
{
	const json_t *n = json_array_get(json_object_get(row, "rows"), end);

	return json_is_integer(n) ? (double)json_integer_value(n) : -1;
}

static void table_collections(struct text *t, const json_t *table)
{
	const json_t *list = json_object_get(table, "collections");
	struct chart_pair rows[MAX_BARS];
	size_t n = json_array_size(list);

	if (n < 2)
		return;
	for (size_t i = 0; i < n && i < MAX_BARS; i++) {
		const json_t *c = json_array_get(list, i);

		rows[i] = (struct chart_pair){ panel_collection(c, "name"), row_count(c, 0),
					       row_count(c, 1) };
	}
	text_add(t, "<h3>");
	panel_field(t, table, "name");
	text_add(t, "</h3><figure>");
	chart_bars(t, "rows per collection on both ends", rows, (int)(n < MAX_BARS ? n : MAX_BARS));
	text_add(t, "</figure>");
	if (n > MAX_BARS)
		text_addf(t,
			  "<p class=\"dim\">The first %d of %zu collections; all are in the "
			  "JSON.</p>",
			  MAX_BARS, n);
}

void panel_collections(struct text *t, const json_t *doc)
{
	const json_t *table;
	size_t i;
	bool any = false;

	json_array_foreach(json_object_get(doc, "tables"), i, table) any |=
		json_array_size(json_object_get(table, "collections")) > 1;
	if (!any)
		return;
	text_add(t, "<section id=\"collections\"><h2>Rows per collection</h2>");
	panel_legend(t);
	json_array_foreach(json_object_get(doc, "tables"), i, table) table_collections(t, table);
	text_add(t, "</section>");
}

/* --- search --- */

static double mean_of(const json_t *point, const char *end)
{
	const json_t *stats = json_object_get(point, end);

	return json_is_object(stats) ? panel_number(stats, "mean") : -1;
}

static const char *step_label(const json_t *point)
{
	const char *setting = panel_string(point, "setting"), *equals = strrchr(setting, ' ');

	return equals ? equals + 1 : setting;
}

static void recall_chart(struct text *t, const json_t *index)
{
	const json_t *list = json_object_get(index, "recall"), *point;
	struct chart_point points[16];
	size_t i;
	int n = 0;

	json_array_foreach(list, i, point)
	{
		if (n == (int)ARRAY_LEN(points))
			break;
		points[n++] = (struct chart_point){
			step_label(point), mean_of(point, "source"), mean_of(point, "target"),
			panel_number(json_object_get(point, "source"), "half95"),
			panel_number(json_object_get(point, "target"), "half95")
		};
	}
	if (n == 0)
		return;
	text_add(t, "<figure>");
	chart_lines(t, "recall of both ends, at their own setting and at fixed ones", points, n);
	text_addf(t,
		  "<figcaption>Recall at %.0f against %s; whiskers: 95 %% interval.</figcaption>"
		  "</figure>",
		  panel_number(index, "k"),
		  strcmp(panel_string(index, "method"), "hnsw") == 0 ? "ef_search" : "probes");
}

static void recall_row(struct text *t, const json_t *point)
{
	static const char *const keys[] = { "mean", "p5", "min" };
	const json_t *s = json_object_get(point, "source"), *g = json_object_get(point, "target");
	const json_t *paired = json_object_get(point, "paired");

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, point, "setting");
	text_add(t, "</th>");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		number_cell(t, "%.4f", json_object_get(s, keys[i]));
		number_cell(t, "%.4f", json_object_get(g, keys[i]));
	}
	panel_integer_cell(t, json_object_get(s, "zero"));
	panel_integer_cell(t, json_object_get(g, "zero"));
	number_cell(t, "%+.4f", json_object_get(paired, "mean"));
	number_cell(t, "%+.4f", json_object_get(paired, "lower95"));
	text_add(t, "</tr>");
}

static void recall_table(struct text *t, const json_t *index)
{
	const json_t *point;
	size_t i;

	text_add(t, "<div class=\"scroll\"><table><thead><tr><th>setting</th><th "
		    "colspan=\"2\">mean</th>"
		    "<th colspan=\"2\">5th percentile</th><th colspan=\"2\">worst</th>"
		    "<th colspan=\"2\">nothing found</th><th>target &minus; source</th>"
		    "<th>at least (95 %)</th></tr></thead><tbody>");
	json_array_foreach(json_object_get(index, "recall"), i, point) recall_row(t, point);
	text_add(t, "</tbody></table></div>");
}

static int values_of(const json_t *latency, const char *end, double *ret, int max)
{
	const json_t *ms = json_object_get(json_object_get(latency, end), "ms"), *v;
	size_t i;
	int n = 0;

	json_array_foreach(ms, i, v) if (n < max) ret[n++] = json_number_value(v);
	return n;
}

static void latency_chart(struct text *t, const json_t *index)
{
	const json_t *latency = json_object_get(index, "latency");
	const json_t *s = json_object_get(latency, "source"),
		     *g = json_object_get(latency, "target");
	const json_t *ratio = json_object_get(latency, "ratio");
	double source[MAX_SAMPLES], target[MAX_SAMPLES];
	int n, m;

	if (!json_is_object(latency))
		return;
	n = values_of(latency, "source", source, MAX_SAMPLES);
	m = values_of(latency, "target", target, MAX_SAMPLES);
	text_add(t, "<figure>");
	chart_dots(t, "how long the same searches took on both ends", "ms", source, n, target, m);
	text_addf(t,
		  "<figcaption>One dot a search; long lines: median, short: 95 %%. Target: median "
		  "%.2f ms, 95 %% %.2f ms, of it %.2f ms round trip.",
		  panel_number(g, "p50"), panel_number(g, "p95"), panel_number(g, "rtt"));
	if (json_is_object(s))
		text_addf(t, " Source: %.2f, %.2f, %.2f ms.", panel_number(s, "p50"),
			  panel_number(s, "p95"), panel_number(s, "rtt"));
	if (json_is_object(ratio))
		text_addf(t, " Ratio of the medians %.2f (95 %% interval %.2f to %.2f).",
			  panel_number(ratio, "median"), panel_number(ratio, "low95"),
			  panel_number(ratio, "high95"));
	text_add(t, "</figcaption></figure>");
}

static void hits_cell(struct text *t, const json_t *hits)
{
	const json_t *hit;
	size_t i;

	text_add(t, "<td><ol>");
	json_array_foreach(hits, i, hit)
	{
		text_add(t, "<li><code>");
		chart_escape(t, json_string_value(json_array_get(hit, 0)));
		text_addf(t, "</code> %.6f</li>", json_number_value(json_array_get(hit, 1)));
	}
	text_add(t, "</ol></td>");
}

static void examples(struct text *t, const json_t *index)
{
	static const char *const words[] = { "best", "middle", "worst" };
	const json_t *list = json_object_get(index, "examples"), *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(
		t,
		"<details><summary>The best, the middle and the worst query, side by side</summary>"
		"<div class=\"scroll\"><table><thead><tr>"
		"<th>query</th><th>exact</th><th>source</th><th>target</th></tr></thead><tbody>");
	json_array_foreach(list, i, row)
	{
		text_addf(t, "<tr><th scope=\"row\">%s<br><code>", i < 3 ? words[i] : "");
		panel_field(t, row, "key");
		text_add(t, "</code></th>");
		hits_cell(t, json_object_get(row, "exact"));
		hits_cell(t, json_object_get(row, "source_hits"));
		hits_cell(t, json_object_get(row, "target_hits"));
		text_add(t, "</tr>");
	}
	text_add(t, "</tbody></table></div></details>");
}

static void plan_words(struct text *t, const json_t *index, const char *end)
{
	const json_t *p = json_object_get(json_object_get(index, "plans"), end);

	if (!p)
		return;
	text_addf(t, " %s: ", end);
	panel_field(t, p, "node");
	if (!json_is_true(json_object_get(p, "uses_index")))
		text_add(t, ", <b>not the index</b>");
	else if (!json_is_true(json_object_get(p, "by_choice")))
		text_add(t, " (made to; by itself the planner reads the small table)");
	text_add(t, ".");
}

static void self_words(struct text *t, const json_t *index, const char *end, const char *before)
{
	const json_t *self = json_object_get(json_object_get(index, "self"), end);

	if (json_array_size(self) == 2)
		text_addf(t, "%s %s %lld of %lld", before, end,
			  (long long)json_integer_value(json_array_get(self, 0)),
			  (long long)json_integer_value(json_array_get(self, 1)));
}

static void index_part(struct text *t, const json_t *index)
{
	text_add(t, "<h3>");
	panel_field(t, index, "index");
	text_add(t, "</h3><p>");
	panel_field(t, index, "method");
	text_addf(t, ", %.0f dimensions, ", panel_number(index, "dims"));
	panel_field(t, index, "metric");
	text_add(t, ". ");
	panel_int(t, json_integer_value(json_object_get(index, "queries")));
	text_addf(t, " queries (seed %lld); exact neighbours ",
		  (long long)json_integer_value(json_object_get(index, "seed")));
	panel_field(t, index, "truth");
	text_addf(t, ", tolerance %.2g.", panel_number(index, "tolerance"));
	plan_words(t, index, "source");
	plan_words(t, index, "target");
	text_add(t, " Rows that find themselves:");
	bool both = json_is_array(json_object_get(json_object_get(index, "self"), "source"));
	self_words(t, index, "source", "");
	self_words(t, index, "target", both ? "," : "");
	text_add(t, ".</p>");
	panel_legend(t);
	recall_chart(t, index);
	recall_table(t, index);
	latency_chart(t, index);
	examples(t, index);
}

void panel_search(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "search"), *index;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t, "<section id=\"search\"><h2>Search</h2>");
	json_array_foreach(list, i, index) index_part(t, index);
	text_add(t, "</section>");
}

/* --- functions --- */

void panel_functions(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "functions"), *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t,
		 "<section id=\"functions\"><h2>Search functions</h2><div class=\"scroll\"><table>"
		 "<thead><tr><th>function</th><th>calls</th><th>same answer</th><th>rows</th></tr>"
		 "</thead><tbody>");
	json_array_foreach(list, i, row)
	{
		text_add(t, "<tr><th scope=\"row\">");
		panel_field(t, row, "function");
		text_add(t, "()</th>");
		panel_integer_cell(t, json_object_get(row, "calls"));
		panel_integer_cell(t, json_object_get(row, "same"));
		panel_integer_cell(t, json_object_get(row, "rows"));
		text_add(t, "</tr>");
	}
	text_add(t, "</tbody></table></div></section>");
}
