#include "verify/embeddings.h"

#include "verify/chart.h"
#include "verify/panel.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BARS       40 /* boxes in one picture */
#define MAX_HISTOGRAMS 6

/* --- the table, and boxes --- */

static void embedding_row(struct text *t, const json_t *row)
{
	const json_t *s = json_object_get(row, "source"), *g = json_object_get(row, "target");
	static const char *const keys[] = { "with", "without", "zero", "duplicates", "unit" };

	text_add(t, "<tr><th scope=\"row\">");
	panel_field(t, row, "table");
	text_add(t, ".");
	panel_field(t, row, "column");
	text_add(t, "</th><td>");
	chart_escape(t, json_is_true(json_object_get(row, "divided"))
				? panel_collection(row, "collection")
				: "");
	text_add(t, "</td>");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		panel_integer_cell(t, json_object_get(s, keys[i]));
		panel_integer_cell(t, json_object_get(g, keys[i]));
	}
	panel_integer_cell(t, json_object_get(g, "max_dims"));
	text_add(t, "</tr>");
}

static const double *quantiles(const json_t *end, double *room)
{
	const json_t *q = json_object_get(end, "norm_quantiles");

	if (json_array_size(q) != 21)
		return NULL;
	for (size_t i = 0; i < 21; i++)
		room[i] = json_number_value(json_array_get(q, i));
	return room;
}

static bool same_column(const json_t *a, const json_t *b)
{
	return !strcmp(panel_string(a, "table"), panel_string(b, "table")) &&
	       !strcmp(panel_string(a, "column"), panel_string(b, "column"));
}

/* The groups of one column from `first` on, on an axis of their own. Returns the next column's. */
static size_t norm_chart(struct text *t, const json_t *list, size_t first)
{
	double *room = calloc((size_t)MAX_BARS * 42, sizeof(*room));
	const json_t *lead = json_array_get(list, first);
	struct chart_box boxes[MAX_BARS];
	size_t i = first;
	int n = 0;

	for (; i < json_array_size(list) && same_column(lead, json_array_get(list, i)); i++) {
		const json_t *row = json_array_get(list, i);
		double *s = room + (size_t)n * 42;

		if (!room || n == MAX_BARS)
			continue;
		boxes[n].label = json_is_true(json_object_get(row, "divided"))
					 ? panel_collection(row, "collection")
					 : panel_string(row, "column");
		boxes[n].source = quantiles(json_object_get(row, "source"), s);
		boxes[n].target = quantiles(json_object_get(row, "target"), s + 21);
		n += boxes[n].source || boxes[n].target;
	}
	if (n > 0) {
		text_add(t, "<h3>Lengths of the vectors of ");
		panel_field(t, lead, "table");
		text_add(t, "</h3><figure>");
		chart_boxes(t, "norm of the vectors: 5 to 95 percent, box 25 to 75, line 50", boxes,
			    n);
		text_add(t, "</figure>");
	}
	free(room);
	return i;
}

/* --- histograms --- */

static bool read_bars(struct chart_bars *ret, const json_t *end)
{
	const json_t *h = json_object_get(end, "norm_histogram");
	const json_t *shares = json_object_get(h, "shares");
	size_t n = json_array_size(shares);

	if (n == 0 || n > CHART_MAX_BARS)
		return false;
	ret->low = panel_number(h, "low");
	ret->high = panel_number(h, "high");
	ret->n = (int)n;
	for (size_t i = 0; i < n; i++)
		ret->share[i] = json_number_value(json_array_get(shares, i));
	return true;
}

static void histogram(struct text *t, const json_t *row)
{
	struct chart_bars s = { .n = 0 }, g = { .n = 0 };
	bool any = read_bars(&s, json_object_get(row, "source"));

	any |= read_bars(&g, json_object_get(row, "target"));
	if (!any)
		return;
	text_add(t, "<figure>");
	chart_histogram(t, "how the lengths of the vectors are spread", &s, &g);
	text_add(t, "<figcaption>");
	panel_field(t, row, "table");
	text_add(t, ".");
	panel_field(t, row, "column");
	if (json_is_true(json_object_get(row, "divided"))) {
		text_add(t, ", ");
		chart_escape(t, panel_collection(row, "collection"));
	}
	text_add(t, "</figcaption></figure>");
}

static json_int_t vectors_of(const json_t *row)
{
	return json_integer_value(json_object_get(json_object_get(row, "target"), "with"));
}

/* The groups with the most vectors, in their order. */
static void histograms(struct text *t, const json_t *list)
{
	json_int_t least = 0;
	const json_t *row;
	int shown = 0;
	size_t i, j;

	json_array_foreach(list, i, row)
	{
		size_t larger = 0;

		for (j = 0; j < json_array_size(list); j++)
			larger += vectors_of(json_array_get(list, j)) > vectors_of(row);
		if (larger < MAX_HISTOGRAMS && (least == 0 || vectors_of(row) < least))
			least = vectors_of(row);
	}
	text_add(t, "<h3>Histograms of the lengths</h3><div class=\"figures\">");
	json_array_foreach(list, i, row) if (vectors_of(row) >= least && vectors_of(row) > 0 &&
					     shown < MAX_HISTOGRAMS)
	{
		histogram(t, row);
		shown++;
	}
	text_add(t, "</div>");
}

void embeddings_render(struct text *t, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "embeddings"), *row;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	text_add(t, "<section id=\"embeddings\"><h2>Embeddings</h2>");
	panel_legend(t);
	text_add(t, "<div class=\"scroll\"><table><thead><tr><th>column</th><th>collection</th>"
		    "<th colspan=\"2\">with</th><th colspan=\"2\">without</th>"
		    "<th colspan=\"2\">zero</th><th colspan=\"2\">duplicates</th>"
		    "<th colspan=\"2\">length&nbsp;1</th><th>dimensions</th></tr></thead><tbody>");
	json_array_foreach(list, i, row) embedding_row(t, row);
	text_add(t, "</tbody></table></div><p class=\"dim\">Source left, target right.</p>");
	histograms(t, list);
	text_add(t, "<details><summary>Quantiles of the lengths, of every collection</summary>");
	for (i = 0; i < json_array_size(list);)
		i = norm_chart(t, list, i);
	text_add(t, "</details>");
	text_add(t, "</section>");
}
