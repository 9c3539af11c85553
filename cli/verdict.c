#include "cli/verdict.h"

#include "cli/frame.h"
#include "cli/human.h"
#include "cli/say.h"
#include "cli/show.h"

#include <string.h>

#define SHOWN      60 /* findings; the report has all */
#define NAME_CELLS 40
#define LEAST_NAME 11
#define NARROW     60 /* columns of a terminal that gets narrow numbers */

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

/* Names and numbers are narrower where the terminal is. */
static int number_cells(void)
{
	int columns = say_out_columns();

	return columns && columns < NARROW ? 8 : 12;
}

static int name_cells(void)
{
	int columns = say_out_columns();
	int rest = 2 * (1 + number_cells()) + (int)strlen("  identical");
	int room = columns ? columns - rest : NAME_CELLS;

	return room > NAME_CELLS ? NAME_CELLS : room < LEAST_NAME ? LEAST_NAME : room;
}

/* A dash where the rows are not known: 0 is a number. */
static void print_rows(const json_t *row)
{
	char buf[HUMAN_LEN];

	for (size_t end = 0; end < 2; end++) {
		if (json_is_integer(json_array_get(json_object_get(row, "rows"), end)))
			say_out(" %*s", number_cells(),
				human_count(buf, (uint64_t)rows_of(row, end)));
		else
			say_out(" %*s", number_cells(), "-");
	}
	say_out("  ");
}

/* A name in its column. On a terminal a longer one stands on a line of its own. */
static void print_name(const char *name, int indent)
{
	AUTO_TEXT struct text clean = TEXT_INIT;

	say_add_clean(&clean, name);
	int over = indent + frame_cells(text_str(&clean)) - name_cells();
	bool apart = over > 0 && say_out_columns();
	say_out("%*s%s%s%*s", indent, "", text_str(&clean), apart ? "\n" : "",
		apart      ? name_cells()
		: over < 0 ? -over
			   : 0,
		"");
}

/* Words behind the coloured one that stands on this line already. */
static void print_words(const char *words, int column)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	show_words(&t, words, column, 2);
	say_out("%s", text_str(&t));
}

static void print_collection(const json_t *c)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	const json_t *same = json_object_get(c, "same");
	bool equal = same ? json_is_true(same) : rows_of(c, 0) == rows_of(c, 1);

	print_name(!name ? "(none)" : *name ? name : "\"\"", 2);
	print_rows(c);
	print_word(!equal ? "different" : same ? "identical" : "counted");
	say_out("\n");
}

static void print_tables(const json_t *doc)
{
	const json_t *table, *c;
	size_t i, j;

	if (json_array_size(json_object_get(doc, "tables")) > 0)
		say_out("%-*s %*s %*s\n", name_cells(), "table", number_cells(), "source",
			number_cells(), "target");
	json_array_foreach(json_object_get(doc, "tables"), i, table)
	{
		print_name(text_of(table, "name"), 0);
		print_rows(table);
		print_word(text_of(table, "verdict"));
		say_out("\n");
		json_array_foreach(json_object_get(table, "collections"), j, c) print_collection(c);
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
		AUTO_TEXT struct text words = TEXT_INIT;
		const char *group = text_of(check, "group");
		text_addf(&words, "%s: %s", text_of(check, "object"), text_of(check, "sentence"));
		say_out("  %s  ", group);
		print_words(text_str(&words), (int)(strlen(verdict) + strlen(group)) + 4);
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
	print_words(text_of(doc, "sentence"), (int)strlen(text_of(doc, "verdict")) + 2);
}
