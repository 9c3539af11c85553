#include "cli/show.h"

#include "cli/frame.h"
#include "cli/human.h"
#include "cli/say.h"

#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 16
#define MAX_CELL    72
#define NAME_CELLS  22 /* of "name  value" */

static bool ends_in(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && strcmp(s + a - b, end) == 0;
}

static void add_number(struct text *t, const char *key, json_int_t n)
{
	char buf[HUMAN_LEN];

	if (n < 0)
		text_addf(t, "%lld", (long long)n);
	else if (ends_in(key, "bytes"))
		text_add(t, human_bytes(buf, (uint64_t)n));
	else if (ends_in(key, "ms"))
		text_add(t, human_duration(buf, (uint64_t)n));
	else if (ends_in(key, "pid") || ends_in(key, "version"))
		text_addf(t, "%lld", (long long)n);
	else
		text_add(t, human_count(buf, (uint64_t)n));
}

/* "a, b, c" of an array of plain values. */
static void add_list(struct text *t, const char *key, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			text_add(t, ", ");
		show_scalar(t, key, json_array_get(array, i));
	}
}

void show_scalar(struct text *t, const char *key, const json_t *value)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		say_add_clean(t, json_string_value(value));
		break;
	case JSON_INTEGER:
		add_number(t, key, json_integer_value(value));
		break;
	case JSON_REAL:
		text_addf(t, "%.3g", json_real_value(value));
		break;
	case JSON_TRUE:
		text_add(t, "yes");
		break;
	case JSON_FALSE:
		text_add(t, "no");
		break;
	case JSON_ARRAY:
		add_list(t, key, value);
		break;
	case JSON_OBJECT:
		text_addf(t, "(%zu)", json_object_size(value));
		break;
	case JSON_NULL:
	default:
		break;
	}
}

/* Keys and widths of a table; numbers stand to the right. */
struct table_layout {
	int n;
	const char *keys[MAX_COLUMNS];
	int width[MAX_COLUMNS];
	bool right[MAX_COLUMNS];
};

static int min_int(int a, int b)
{
	return a < b ? a : b;
}

static void measure(struct table_layout *l, const json_t *array)
{
	for (int c = 0; c < l->n; c++) {
		l->width[c] = (int)strlen(l->keys[c]);
		for (size_t i = 0; i < json_array_size(array); i++) {
			const json_t *value = json_object_get(json_array_get(array, i), l->keys[c]);
			AUTO_TEXT struct text cell = TEXT_INIT;
			show_scalar(&cell, l->keys[c], value);
			int len = min_int((int)cell.len, MAX_CELL);
			l->width[c] = len > l->width[c] ? len : l->width[c];
			l->right[c] |= json_is_number(value);
		}
	}
}

static void add_cell(struct text *t, const struct table_layout *l, int c, const char *s)
{
	bool last = c == l->n - 1 && !l->right[c];

	text_add(t, c ? "  " : "");
	if (l->right[c])
		text_addf(t, "%*s", l->width[c], s);
	else if (last)
		text_add(t, s);
	else
		frame_fit(t, s, l->width[c], say_is_utf8());
}

/* Ends a line without the spaces that fill its last cell. */
static void end_line(struct text *t)
{
	while (t->len && t->data[t->len - 1] == ' ')
		t->data[--t->len] = '\0';
	text_add(t, "\n");
}

static void add_rows(struct text *t, const struct table_layout *l, const json_t *array, int indent,
		     int max_rows)
{
	size_t n = json_array_size(array);

	text_addf(t, "%*s", indent, "");
	for (int c = 0; c < l->n; c++)
		add_cell(t, l, c, l->keys[c]);
	end_line(t);
	for (size_t i = 0; i < n && (!max_rows || i < (size_t)max_rows); i++) {
		text_addf(t, "%*s", indent, "");
		for (int c = 0; c < l->n; c++) {
			AUTO_TEXT struct text cell = TEXT_INIT;
			show_scalar(&cell, l->keys[c],
				    json_object_get(json_array_get(array, i), l->keys[c]));
			add_cell(t, l, c, text_str(&cell));
		}
		end_line(t);
	}
	if (max_rows && n > (size_t)max_rows)
		text_addf(t, "%*s... and %zu more\n", indent, "", n - (size_t)max_rows);
}

void show_table(struct text *t, const json_t *array, const char *const *keys, int indent,
		int max_rows)
{
	struct table_layout l = { 0 };

	for (; keys[l.n] && l.n < MAX_COLUMNS; l.n++)
		l.keys[l.n] = keys[l.n];
	measure(&l, array);
	add_rows(t, &l, array, indent, max_rows);
}

static void show_objects(struct text *t, const json_t *array, int indent)
{
	const char *keys[MAX_COLUMNS + 1] = { 0 };
	const char *key;
	json_t *value, *first = json_array_get(array, 0);
	int n = 0;

	json_object_foreach(first, key, value)
	{
		if (n < MAX_COLUMNS)
			keys[n++] = key;
	}
	show_table(t, array, keys, indent, 0);
}

static bool is_empty(const json_t *value)
{
	return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
	       (json_is_object(value) && json_object_size(value) == 0) ||
	       (json_is_string(value) && !*json_string_value(value));
}

static void show_member(struct text *t, const char *key, const json_t *value, int indent)
{
	bool nested = json_is_object(value) || json_is_object(json_array_get(value, 0));

	if (is_empty(value))
		return;
	if (nested) {
		text_addf(t, "%*s%s:\n", indent, "", key);
		show_value(t, value, indent + 2);
		return;
	}
	text_addf(t, "%*s%-*s ", indent, "", NAME_CELLS - indent, key);
	show_scalar(t, key, value);
	text_add(t, "\n");
}

void show_value(struct text *t, const json_t *value, int indent)
{
	if (json_is_object(value)) {
		json_t *copy = json_deep_copy(value); /* iterating needs a value that may change */
		const char *key;
		json_t *member;
		json_object_foreach(copy, key, member) show_member(t, key, member, indent);
		json_decref(copy);
	} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
		show_objects(t, value, indent);
	} else if (value) {
		text_addf(t, "%*s", indent, "");
		show_scalar(t, "", value);
		text_add(t, "\n");
	}
}
