/*
 * show_table - tables as wide as the terminal. On a narrow one long cells go on in the next line of
 * their column; where not even that is enough, each row becomes lines of "key  value".
 */
#include "cli/frame.h"
#include "cli/say.h"
#include "cli/show.h"

#include <string.h>

#define MAX_COLUMNS 16
#define MAX_CELL    72 /* a column is not wider in a pipe; what is longer is not cut */
#define LEAST_CELL  16 /* a column of words is not narrower */
#define GAP         2

/* Keys and widths of a table; numbers stand to the right. */
struct table_layout {
	int n;
	int columns; /* of the terminal, 0: none */
	int indent;
	const char *keys[MAX_COLUMNS];
	int width[MAX_COLUMNS];
	bool right[MAX_COLUMNS];
};

/* A value as one line: a table has no room for its line ends. */
static void add_plain(struct text *t, const char *key, const json_t *value)
{
	show_scalar(t, key, value);
	for (size_t i = 0; i < t->len; i++)
		if (t->data[i] == '\n' || t->data[i] == '\t')
			t->data[i] = ' ';
}

static void measure(struct table_layout *l, const json_t *array)
{
	for (int c = 0; c < l->n; c++) {
		l->width[c] = (int)strlen(l->keys[c]);
		for (size_t i = 0; i < json_array_size(array); i++) {
			const json_t *value = json_object_get(json_array_get(array, i), l->keys[c]);
			AUTO_TEXT struct text cell = TEXT_INIT;
			add_plain(&cell, l->keys[c], value);
			int cells = frame_cells(text_str(&cell));
			l->width[c] = cells > l->width[c] ? cells : l->width[c];
			l->right[c] |= json_is_number(value);
		}
	}
}

static int total_width(const struct table_layout *l)
{
	int total = l->indent + (l->n - 1) * GAP;

	for (int c = 0; c < l->n; c++)
		total += l->width[c];
	return total;
}

/* The column of words with most room to give, or -1. */
static int widest(const struct table_layout *l)
{
	int found = -1;

	for (int c = 0; c < l->n; c++)
		if (!l->right[c] && l->width[c] > LEAST_CELL &&
		    (found < 0 || l->width[c] > l->width[found]))
			found = c;
	return found;
}

/* Columns without a value in any row go first. */
static void drop_empty(struct table_layout *l, const json_t *array)
{
	int kept = 0;

	for (int c = 0; c < l->n; c++) {
		bool filled = false;
		for (size_t i = 0; i < json_array_size(array) && !filled; i++) {
			AUTO_TEXT struct text cell = TEXT_INIT;
			show_scalar(&cell, l->keys[c],
				    json_object_get(json_array_get(array, i), l->keys[c]));
			filled = cell.len > 0;
		}
		if (!filled)
			continue;
		l->keys[kept] = l->keys[c];
		l->width[kept] = l->width[c];
		l->right[kept++] = l->right[c];
	}
	l->n = kept;
}

/* False: no table of these columns fits. */
static bool fit(struct table_layout *l, const json_t *array)
{
	int c;

	if (!l->columns) {
		for (c = 0; c < l->n - 1; c++)
			l->width[c] = l->width[c] > MAX_CELL ? MAX_CELL : l->width[c];
		return true;
	}
	if (total_width(l) > l->columns)
		drop_empty(l, array);
	while (total_width(l) > l->columns && (c = widest(l)) >= 0)
		l->width[c]--;
	return total_width(l) <= l->columns;
}

/* Takes as much of *s as fits, up to a space where there is one, and moves *s behind it. */
static void take(struct text *piece, const char **s, int width)
{
	const char *start = *s, *end = start + frame_prefix(start, width), *space = end;

	if (*end && *end != ' ') {
		while (space > start && space[-1] != ' ')
			space--;
		end = space > start ? space : end;
	}
	text_addn(piece, start, (size_t)(end - start));
	*s = end + strspn(end, " ");
}

static void add_cell(struct text *t, const struct table_layout *l, int c, const char *s)
{
	int pad = l->width[c] - frame_cells(s);

	pad = pad < 0 ? 0 : pad;
	text_addf(t, "%*s%*s%s%*s", c ? GAP : 0, "", l->right[c] ? pad : 0, "", s,
		  l->right[c] ? 0 : pad, "");
}

/* Ends a line without the spaces that fill its last cell. */
static void end_line(struct text *t)
{
	while (t->len && t->data[t->len - 1] == ' ')
		t->data[--t->len] = '\0';
	text_add(t, "\n");
}

/* One row, on as many lines as its longest cell needs. */
static void add_row(struct text *t, const struct table_layout *l, const char *const *cells)
{
	const char *rest[MAX_COLUMNS];
	bool more = true;

	memcpy(rest, cells, sizeof(rest));
	while (more) {
		more = false;
		text_addf(t, "%*s", l->indent, "");
		for (int c = 0; c < l->n; c++) {
			AUTO_TEXT struct text piece = TEXT_INIT;
			if (l->columns)
				take(&piece, &rest[c], l->width[c]);
			else
				text_add(&piece, rest[c]);
			more |= l->columns && *rest[c];
			add_cell(t, l, c, text_str(&piece));
		}
		end_line(t);
	}
}

/* A row where there is no room for columns: its first value, and the others below it. */
static void add_block(struct text *t, const struct table_layout *l, const char *const *cells)
{
	int name = 0, indent = l->indent + GAP;

	for (int c = 1; c < l->n; c++)
		name = (int)strlen(l->keys[c]) > name ? (int)strlen(l->keys[c]) : name;
	text_addf(t, "%*s", l->indent, "");
	show_words(t, *cells[0] ? cells[0] : "\"\"", l->indent, indent);
	for (int c = 1; c < l->n; c++) {
		if (!*cells[c])
			continue;
		text_addf(t, "%*s%-*s  ", indent, "", name, l->keys[c]);
		show_words(t, cells[c], indent + name + GAP, indent + name + GAP);
	}
}

static void add_values(struct text *t, const struct table_layout *l, const json_t *row, bool table)
{
	struct text cells[MAX_COLUMNS] = { 0 };
	const char *words[MAX_COLUMNS] = { 0 };

	for (int c = 0; c < l->n; c++) {
		add_plain(&cells[c], l->keys[c], json_object_get(row, l->keys[c]));
		words[c] = text_str(&cells[c]);
	}
	if (table)
		add_row(t, l, words);
	else
		add_block(t, l, words);
	for (int c = 0; c < l->n; c++)
		text_done(&cells[c]);
}

void show_table(struct text *t, const json_t *array, const char *const *keys, int indent,
		int max_rows)
{
	struct table_layout l = { .columns = say_out_columns(), .indent = indent };
	size_t n = json_array_size(array);

	for (; keys[l.n] && l.n < MAX_COLUMNS; l.n++)
		l.keys[l.n] = keys[l.n];
	measure(&l, array);
	bool table = fit(&l, array);
	if (table)
		add_row(t, &l, l.keys);
	for (size_t i = 0; i < n && (!max_rows || i < (size_t)max_rows); i++)
		add_values(t, &l, json_array_get(array, i), table);
	if (max_rows && n > (size_t)max_rows)
		text_addf(t, "%*s... and %zu more\n", indent, "", n - (size_t)max_rows);
}
