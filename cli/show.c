#include "cli/show.h"

#include "cli/frame.h"
#include "cli/help.h"
#include "cli/human.h"
#include "cli/say.h"

#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 16
#define NAME_CELLS  22 /* of "name  value" */
#define NARROW      60 /* columns of a terminal where long values stand below their names */
#define LEAST_WRAP  12 /* cells in which words can be broken */

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

void show_words(struct text *t, const char *words, int column, int indent)
{
	AUTO_TEXT struct text clean = TEXT_INIT;
	int columns = say_out_columns();

	say_add_clean(&clean, words);
	if (columns >= LEAST_WRAP + indent)
		help_wrap(t, text_str(&clean), column, indent, columns);
	else
		text_addf(t, "%s\n", text_str(&clean));
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
	int columns = say_out_columns();
	AUTO_TEXT struct text words = TEXT_INIT;

	if (is_empty(value))
		return;
	if (nested) {
		text_addf(t, "%*s%s:\n", indent, "", key);
		show_value(t, value, indent + 2);
		return;
	}
	show_scalar(&words, key, value);
	if (columns && columns < NARROW && frame_cells(text_str(&words)) >= columns - NAME_CELLS) {
		text_addf(t, "%*s%s\n%*s", indent, "", key, indent + 2, "");
		show_words(t, text_str(&words), indent + 2, indent + 2);
		return;
	}
	text_addf(t, "%*s%-*s ", indent, "", NAME_CELLS - indent, key);
	show_words(t, text_str(&words), NAME_CELLS + 1, NAME_CELLS + 1);
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
		AUTO_TEXT struct text words = TEXT_INIT;
		text_addf(t, "%*s", indent, "");
		show_scalar(&words, "", value);
		show_words(t, text_str(&words), indent, indent);
	}
}
