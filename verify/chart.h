/*
 * chart - small pictures for the report, as inline SVG: readable without colour, on paper, on a
 * phone.
 *
 * Colours are CSS classes of the page (.s source, .t target, .g grid, .a axis text), so that dark
 * and light follow the page. Every picture has a title; the numbers stand in a table beside it.
 */
#ifndef VERIFY_CHART_H
#define VERIFY_CHART_H

#include "common/text.h"

/* HTML-escapes s into t. NULL adds nothing. */
void chart_escape(struct text *t, const char *s);

/* One value an end; a negative one is not drawn. */
struct chart_pair {
	const char *label;
	double source, target;
};

/* Horizontal bars, two a row, with their values. */
void chart_bars(struct text *t, const char *title, const struct chart_pair *rows, int n);

/* A line an end over labelled steps, with the half widths of intervals; y from low to 1. */
struct chart_point {
	const char *label;
	double source, target; /* negative: none */
	double source_half, target_half;
};
void chart_lines(struct text *t, const char *title, const struct chart_point *points, int n);

/* Values of both ends as dots on one logarithmic axis, with the median and the 95th percentile. */
void chart_dots(struct text *t, const char *title, const char *unit, const double *source,
		int n_source, const double *target, int n_target);

/* A box a row and end from 21 quantiles (0, 5, ..., 100 %): whiskers 5 to 95, box 25 to 75. */
struct chart_box {
	const char *label;
	const double *source, *target; /* NULL: none */
};
void chart_boxes(struct text *t, const char *title, const struct chart_box *rows, int n);

/* A histogram an end: bars of one width from low to high, each the share of all. n 0: none. */
#define CHART_MAX_BARS 64
struct chart_bars {
	double low, high;
	int n;
	double share[CHART_MAX_BARS];
};
void chart_histogram(struct text *t, const char *title, const struct chart_bars *source,
		     const struct chart_bars *target);

/* y over x, filled. */
void chart_area(struct text *t, const char *title, const char *x_unit, const char *y_unit,
		const double *x, const double *y, int n);

#endif
