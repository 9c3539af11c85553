#include "verify/chart.h"

#include "verify/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 440 /* of every picture, in its own units; about a phone's */
#define LEFT  128 /* room for labels */
#define RIGHT 64  /* room for values */

void chart_escape(struct text *t, const char *s)
{
	for (; s && *s; s++) {
		switch (*s) {
		case '<':
			text_add(t, "&lt;");
			break;
		case '>':
			text_add(t, "&gt;");
			break;
		case '&':
			text_add(t, "&amp;");
			break;
		case '"':
			text_add(t, "&quot;");
			break;
		default:
			text_addn(t, s, 1);
		}
	}
}

static void begin(struct text *t, const char *title, double height)
{
	text_addf(t, "<svg viewBox=\"0 0 %d %.0f\" role=\"img\"><title>", WIDTH, height);
	chart_escape(t, title);
	text_add(t, "</title>");
}

static void label(struct text *t, double x, double y, const char *anchor, const char *s)
{
	text_addf(t, "<text class=\"a\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	chart_escape(t, s);
	text_add(t, "</text>");
}

/* Cut at a whole UTF-8 character, so that it fits before the bars. */
static void short_label(struct text *t, double x, double y, const char *s)
{
	char buf[64];
	size_t n = 0, shown = 0;

	while (s[n] && shown < 20 && n + 4 < sizeof(buf)) {
		n++;
		while (((unsigned char)s[n] & 0xc0) == 0x80 && n + 4 < sizeof(buf))
			n++;
		shown++;
	}
	memcpy(buf, s, n);
	memcpy(buf + n, s[n] ? "\xe2\x80\xa6" : "", s[n] ? 4 : 1);
	label(t, x, y, "end", buf);
}

static void number(char *buf, size_t size, double v)
{
	if (v == floor(v) && fabs(v) < 1e15)
		snprintf(buf, size, "%.0f", v);
	else
		snprintf(buf, size, "%.4g", v);
}

static void line(struct text *t, const char *class, double x1, double y1, double x2, double y2)
{
	text_addf(t, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class,
		  x1, y1, x2, y2);
}

static void rect(struct text *t, const char *class, double x, double y, double w, double h)
{
	text_addf(t,
		  "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\""
		  " rx=\"1.5\"/>",
		  class, x, y, fmax(w, 0.5), h);
}

/* --- bars --- */

static void bar(struct text *t, const char *class, double y, double value, double largest)
{
	double width = WIDTH - LEFT - RIGHT;
	char buf[32];

	if (value < 0)
		return;
	number(buf, sizeof(buf), value);
	rect(t, class, LEFT, y, largest > 0 ? width * value / largest : 0, 10);
	label(t, LEFT + (largest > 0 ? width * value / largest : 0) + 4, y + 9, "start", buf);
}

void chart_bars(struct text *t, const char *title, const struct chart_pair *rows, int n)
{
	double largest = 0;

	for (int i = 0; i < n; i++)
		largest = fmax(largest, fmax(rows[i].source, rows[i].target));
	begin(t, title, 30.0 * n + 4);
	for (int i = 0; i < n; i++) {
		short_label(t, LEFT - 6, 30 * i + 17, rows[i].label);
		bar(t, "s", 30 * i + 3, rows[i].source, largest);
		bar(t, "t", 30 * i + 14, rows[i].target, largest);
	}
	text_add(t, "</svg>");
}

/* --- lines --- */

struct frame {
	double left, top, width, height, low, high;
};

static double frame_y(const struct frame *f, double v)
{
	return f->top + f->height * (f->high - v) / (f->high - f->low);
}

static double frame_x(const struct frame *f, int i, int n)
{
	return n > 1 ? f->left + f->width * (i + 0.5) / n : f->left + f->width / 2;
}

static double lowest(const struct chart_point *p, int n)
{
	double low = 1;

	for (int i = 0; i < n; i++) {
		if (p[i].source >= 0)
			low = fmin(low, p[i].source - p[i].source_half);
		if (p[i].target >= 0)
			low = fmin(low, p[i].target - p[i].target_half);
	}
	return fmax(0, floor(low * 20 - 0.2) / 20);
}

static void series(struct text *t, const struct frame *f, const struct chart_point *p, int n,
		   bool target)
{
	const char *class = target ? "t" : "s";
	double shift = target ? 3 : -3; /* so that whiskers do not hide each other */

	text_addf(t, "<polyline class=\"%sl\" points=\"", class);
	for (int i = 0; i < n; i++)
		if ((target ? p[i].target : p[i].source) >= 0)
			text_addf(t, "%.1f,%.1f ", frame_x(f, i, n) + shift,
				  frame_y(f, target ? p[i].target : p[i].source));
	text_add(t, "\"/>");
	for (int i = 0; i < n; i++) {
		double v = target ? p[i].target : p[i].source;
		double half = target ? p[i].target_half : p[i].source_half;
		double x = frame_x(f, i, n) + shift;

		if (v < 0)
			continue;
		text_addf(t,
			  "<line class=\"%sl\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
			  class, x, frame_y(f, fmin(1, v + half)), x,
			  frame_y(f, fmax(f->low, v - half)));
		text_addf(t, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>", class, x,
			  frame_y(f, v));
	}
}

void chart_lines(struct text *t, const char *title, const struct chart_point *points, int n)
{
	struct frame f = { 44, 8, WIDTH - 56, 140, lowest(points, n), 1 };
	char buf[32];

	begin(t, title, 176);
	for (int i = 0; i <= 4; i++) {
		double v = f.low + (f.high - f.low) * i / 4;

		line(t, "g", f.left, frame_y(&f, v), f.left + f.width, frame_y(&f, v));
		snprintf(buf, sizeof(buf), "%.3g", v);
		label(t, f.left - 5, frame_y(&f, v) + 3, "end", buf);
	}
	for (int i = 0; i < n; i++)
		label(t, frame_x(&f, i, n), 166, "middle", points[i].label);
	series(t, &f, points, n, false);
	series(t, &f, points, n, true);
	text_add(t, "</svg>");
}

/* --- dots on a logarithmic axis --- */

struct axis {
	double low, high; /* powers of ten */
};

static double axis_x(const struct axis *a, double v)
{
	double at = (log10(fmax(v, 1e-6)) - a->low) / (a->high - a->low);

	return 56 + (WIDTH - 72) * fmin(1, fmax(0, at));
}

static struct axis axis_of(const double *a, int n, const double *b, int m)
{
	double low = INFINITY, high = -INFINITY;

	for (int i = 0; i < n + m; i++) {
		double v = log10(fmax(i < n ? a[i] : b[i - n], 1e-6));

		low = fmin(low, v);
		high = fmax(high, v);
	}
	if (!(high > low))
		return (struct axis){ 0, 1 };
	return (struct axis){ floor(low * 4) / 4, ceil(high * 4) / 4 };
}

static void dots(struct text *t, const struct axis *a, const char *class, const char *name,
		 double y, const double *v, int n)
{
	struct stats s = stats_of(v, n);

	label(t, 48, y + 4, "end", name);
	for (int i = 0; i < n; i++)
		text_addf(t, "<circle class=\"%s d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", class,
			  axis_x(a, v[i]), y + (i * 7 % 11) - 5);
	if (n == 0)
		return;
	line(t, "m", axis_x(a, s.median), y - 11, axis_x(a, s.median), y + 11);
	line(t, "m", axis_x(a, s.p95), y - 7, axis_x(a, s.p95), y + 7);
}

void chart_dots(struct text *t, const char *title, const char *unit, const double *source,
		int n_source, const double *target, int n_target)
{
	struct axis a = axis_of(source, n_source, target, n_target);
	char buf[48];

	begin(t, title, 96);
	for (int i = 0; i <= 4; i++) {
		double v = pow(10, a.low + (a.high - a.low) * i / 4);

		line(t, "g", axis_x(&a, v), 6, axis_x(&a, v), 74);
		snprintf(buf, sizeof(buf), "%.3g%s%s", v, i == 4 ? " " : "", i == 4 ? unit : "");
		label(t, axis_x(&a, v), 88, i == 4 ? "end" : "middle", buf);
	}
	dots(t, &a, "s", "source", 22, source, n_source);
	dots(t, &a, "t", "target", 56, target, n_target);
	text_add(t, "</svg>");
}

/* --- boxes --- */

static double span_x(double low, double high, double v)
{
	return LEFT + (WIDTH - LEFT - 16) * (high > low ? (v - low) / (high - low) : 0.5);
}

static void box(struct text *t, const char *class, double y, double low, double high,
		const double *q)
{
	double x25 = span_x(low, high, q[5]), x75 = span_x(low, high, q[15]);

	text_addf(t, "<line class=\"%sl\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class,
		  span_x(low, high, q[1]), y + 4, span_x(low, high, q[19]), y + 4);
	rect(t, class, x25, y, fmax(x75 - x25, 1.5), 8);
	line(t, "m", span_x(low, high, q[10]), y - 1, span_x(low, high, q[10]), y + 9);
}

void chart_boxes(struct text *t, const char *title, const struct chart_box *rows, int n)
{
	double low = INFINITY, high = -INFINITY;
	char buf[32];

	for (int i = 0; i < n; i++)
		for (int end = 0; end < 2; end++) {
			const double *q = end ? rows[i].target : rows[i].source;

			low = q ? fmin(low, q[0]) : low;
			high = q ? fmax(high, q[20]) : high;
		}
	begin(t, title, 28.0 * n + 18);
	for (int i = 0; i < n; i++) {
		short_label(t, LEFT - 6, 28 * i + 16, rows[i].label);
		if (rows[i].source)
			box(t, "s", 28 * i + 3, low, high, rows[i].source);
		if (rows[i].target)
			box(t, "t", 28 * i + 14, low, high, rows[i].target);
	}
	snprintf(buf, sizeof(buf), "%.4g", isfinite(low) ? low : 0);
	label(t, LEFT, 28.0 * n + 13, "start", buf);
	snprintf(buf, sizeof(buf), "%.4g", isfinite(high) ? high : 0);
	label(t, WIDTH - 16, 28.0 * n + 13, "end", buf);
	text_add(t, "</svg>");
}

/* --- histograms --- */

/* The outline of the bars, from left to right; closed to the ground where it is filled. */
static void outline(struct text *t, const struct frame *f, const struct chart_bars *b, double low,
		    double high, bool target)
{
	double width = high > low ? f->width / (high - low) : 0;
	double step = (b->high - b->low) / b->n;

	text_addf(t, target ? "<polyline class=\"tl\" points=\"" : "<polygon class=\"s d\" points=\"");
	for (int i = 0; i < b->n; i++) {
		double x = f->left + width * (b->low + step * i - low);
		double next = f->left + width * (b->low + step * (i + 1) - low);

		if (width <= 0) { /* all vectors of one length: one bar in the middle */
			x = f->left + f->width * 0.48;
			next = f->left + f->width * 0.52;
			if (b->share[i] <= 0)
				continue;
		}
		text_addf(t, "%.1f,%.1f %.1f,%.1f %.1f,%.1f ", x, frame_y(f, i == 0 ? 0 : b->share[i]),
			  x, frame_y(f, b->share[i]), next, frame_y(f, b->share[i]));
		if (i == b->n - 1)
			text_addf(t, "%.1f,%.1f %.1f,%.1f", next, frame_y(f, 0),
				  target ? next : f->left + width * (b->low - low), frame_y(f, 0));
	}
	text_add(t, "\"/>");
}

void chart_histogram(struct text *t, const char *title, const struct chart_bars *source,
		     const struct chart_bars *target)
{
	struct frame f = { 34, 8, WIDTH - 46, 90, 0, 0 };
	const struct chart_bars *ends[2] = { source, target };
	double low = INFINITY, high = -INFINITY;
	char buf[32];

	for (int end = 0; end < 2; end++)
		for (int i = 0; i < ends[end]->n; i++) {
			low = fmin(low, ends[end]->low);
			high = fmax(high, ends[end]->high);
			f.high = fmax(f.high, ends[end]->share[i]);
		}
	begin(t, title, 118);
	line(t, "g", f.left, frame_y(&f, 0), f.left + f.width, frame_y(&f, 0));
	line(t, "g", f.left, frame_y(&f, f.high), f.left + f.width, frame_y(&f, f.high));
	snprintf(buf, sizeof(buf), "%.3g %%", 100 * f.high);
	label(t, f.left - 2, frame_y(&f, f.high) + 3, "end", buf);
	if (source->n > 0)
		outline(t, &f, source, low, high, false);
	if (target->n > 0)
		outline(t, &f, target, low, high, true);
	snprintf(buf, sizeof(buf), "%.4g", low);
	label(t, f.left, 112, "start", buf);
	snprintf(buf, sizeof(buf), "%.4g", high);
	label(t, f.left + f.width, 112, "end", buf);
	text_add(t, "</svg>");
}

/* --- an area --- */

void chart_area(struct text *t, const char *title, const char *x_unit, const char *y_unit,
		const double *x, const double *y, int n)
{
	struct frame f = { 52, 8, WIDTH - 64, 110, 0, 0 };
	double end = n > 0 && x[n - 1] > 0 ? x[n - 1] : 1;
	char buf[48];

	for (int i = 0; i < n; i++)
		f.high = fmax(f.high, y[i]);
	if (!(f.high > 0))
		f.high = 1;
	begin(t, title, 142);
	for (int i = 0; i <= 2; i++) {
		line(t, "g", f.left, frame_y(&f, f.high * i / 2), f.left + f.width,
		     frame_y(&f, f.high * i / 2));
		snprintf(buf, sizeof(buf), "%.3g", f.high * i / 2);
		label(t, f.left - 5, frame_y(&f, f.high * i / 2) + 3, "end", buf);
	}
	text_addf(t, "<polygon class=\"t d\" points=\"%.1f,%.1f ", f.left, frame_y(&f, 0));
	for (int i = 0; i < n; i++)
		text_addf(t, "%.1f,%.1f ", f.left + f.width * x[i] / end, frame_y(&f, y[i]));
	text_addf(t, "%.1f,%.1f\"/>", f.left + f.width, frame_y(&f, 0));
	snprintf(buf, sizeof(buf), "%.3g %s", end, x_unit);
	label(t, f.left + f.width, 134, "end", buf);
	label(t, f.left, 134, "start", y_unit);
	text_add(t, "</svg>");
}
