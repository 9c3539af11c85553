#include "cli/verdict.h"

#include "cli/say.h"

#include <string.h>

#define SHOWN 60 /* findings; the report has all */

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static enum say_color color_of(const char *word)
{
	if (!strcmp(word, "fail") || !strcmp(word, "different") || !strcmp(word, "missing") ||
	    !strcmp(word, "FAIL"))
		return SAY_RED;
	if (!strcmp(word, "identical") || !strcmp(word, "PASS"))
		return SAY_GREEN;
	return SAY_YELLOW;
}

static void print_word(const char *word)
{
	say_out("%s%s%s", say_color_out(color_of(word)), word, say_color_out(SAY_PLAIN));
}

static json_int_t rows_of(const json_t *row, size_t end)
{
	return json_integer_value(json_array_get(json_object_get(row, "rows"), end));
}

/* A dash where the rows are not known: 0 is a number. */
static void print_rows(const json_t *row)
{
	for (size_t end = 0; end < 2; end++) {
		if (json_is_integer(json_array_get(json_object_get(row, "rows"), end)))
			say_out(" %12lld", (long long)rows_of(row, end));
		else
			say_out(" %12s", "-");
	}
	say_out("  ");
}

static void print_name(const char *name, int width)
{
	AUTO_TEXT struct text clean = TEXT_INIT;

	say_add_clean(&clean, name);
	for (const char *p = text_str(&clean); *p; p++)
		width -= ((unsigned char)*p & 0xc0) != 0x80;
	say_out("%s%*s", text_str(&clean), width > 0 ? width : 0, "");
}

static void print_collection(const json_t *c)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	const json_t *same = json_object_get(c, "same");
	bool equal = same ? json_is_true(same) : rows_of(c, 0) == rows_of(c, 1);

	say_out("  ");
	print_name(name ? name : "(none)", 38);
	print_rows(c);
	print_word(!equal ? "different" : same ? "identical" : "counted");
	say_out("\n");
}

static void print_tables(const json_t *doc)
{
	const json_t *table, *c;
	size_t i, j;

	if (json_array_size(json_object_get(doc, "tables")) > 0)
		say_out("%-40s %12s %12s\n", "table", "source", "target");
	json_array_foreach(json_object_get(doc, "tables"), i, table)
	{
		print_name(text_of(table, "name"), 40);
		print_rows(table);
		print_word(text_of(table, "verdict"));
		say_out("\n");
		json_array_foreach(json_object_get(table, "collections"), j, c)
			print_collection(c);
	}
}

static int print_findings(const json_t *doc, const char *verdict, int shown)
{
	const json_t *check;
	size_t i;

	json_array_foreach(json_object_get(doc, "checks"), i, check)
	{
		if (strcmp(text_of(check, "verdict"), verdict) != 0)
			continue;
		if (shown++ >= SHOWN)
			continue;
		print_word(verdict);
		say_out("  %s  ", text_of(check, "group"));
		print_name(text_of(check, "object"), 0);
		say_out(": ");
		print_name(text_of(check, "sentence"), 0);
		say_out("\n");
	}
	return shown;
}

void verdict_print(const json_t *doc)
{
	int shown;

	if (!say_is_quiet()) {
		print_tables(doc);
		shown = print_findings(doc, "fail", 0);
		shown = print_findings(doc, "unknown", shown);
		shown = print_findings(doc, "warning", shown);
		if (shown > SHOWN)
			say_out("... and %d more\n", shown - SHOWN);
	}
	print_word(text_of(doc, "verdict"));
	say_out(": ");
	print_name(text_of(doc, "sentence"), 0);
	say_out("\n");
}
