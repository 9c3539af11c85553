/* summary_text - the summary's document as lines on standard output. */
#include "cli/frame.h"
#include "cli/human.h"
#include "cli/say.h"
#include "cli/show.h"
#include "cli/summary.h"

#include <string.h>

#define MAX_COLLECTIONS 30 /* shown of a table; the document has them all */
#define MAX_LEFT_OUT    20

static const char *get_string(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static uint64_t get_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *verdict_color(const char *verdict)
{
	if (strcmp(verdict, "different") == 0)
		return say_color_out(SAY_RED);
	if (strcmp(verdict, "unproven") == 0)
		return say_color_out(SAY_YELLOW);
	return *verdict ? say_color_out(SAY_GREEN) : "";
}

/* Name, rows, bytes, digest, verdict: of a table or of a collection below it. */
static void add_row(struct text *t, const json_t *row, const char *name, int indent, int name_cells)
{
	char buf[HUMAN_LEN];
	const char *verdict = get_string(row, "verdict");

	text_addf(t, "%*s", indent, "");
	frame_fit(t, name, name_cells - indent, say_is_utf8());
	text_addf(t, " %14s", human_count(buf, get_number(row, "rows")));
	text_addf(t, " %10s",
		  json_object_get(row, "bytes") ? human_bytes(buf, get_number(row, "bytes")) : "");
	text_addf(t, "  %-16s", get_string(json_object_get(row, "digest"), "short"));
	text_addf(t, "  %s%s%s\n", verdict_color(verdict), *verdict ? verdict : "-",
		  say_color_out(SAY_PLAIN));
}

static void add_collections(struct text *t, const json_t *collections, int name_cells)
{
	size_t n = json_array_size(collections), shown = 0;

	for (size_t i = 0; i < n; i++) {
		const json_t *row = json_array_get(collections, i);
		const char *name = json_string_value(json_object_get(row, "collection"));
		bool same = strcmp(get_string(row, "verdict"), "same") == 0;

		if (same && shown >= MAX_COLLECTIONS)
			continue;
		name = !name ? "(no collection)" : *name ? name : "\"\"";
		add_row(t, row, name, 2, name_cells);
		shown++;
	}
	if (shown < n)
		text_addf(t, "  and %zu more, all the same\n", n - shown);
}

/* schema.table, as one name. */
static void add_name(struct text *t, const json_t *row)
{
	text_addf(t, "%s.%s", get_string(row, "schema"), get_string(row, "table"));
}

static int name_width(const json_t *tables)
{
	size_t widest = 20, i;
	json_t *row;

	json_array_foreach(tables, i, row)
	{
		AUTO_TEXT struct text name = TEXT_INIT;
		add_name(&name, row);
		widest = name.len > widest ? name.len : widest;
	}
	return widest > 50 ? 50 : (int)widest;
}

static void add_note(struct text *t, const char *s)
{
	text_add(t, "  ");
	say_add_clean(t, s);
	text_add(t, "\n");
}

static void add_total(struct text *t, const json_t *tables, int cells)
{
	char rows_text[HUMAN_LEN], bytes_text[HUMAN_LEN];
	uint64_t rows = 0, bytes = 0;
	size_t i;
	json_t *row;

	json_array_foreach(tables, i, row)
	{
		rows += get_number(row, "rows");
		bytes += get_number(row, "bytes");
	}
	text_addf(t, "%-*s %14s", cells, "total", human_count(rows_text, rows));
	if (bytes)
		text_addf(t, " %10s", human_bytes(bytes_text, bytes));
	text_add(t, "\n");
}

static void add_tables(struct text *t, const json_t *tables)
{
	int cells = name_width(tables);
	size_t i;
	json_t *row;

	if (json_array_size(tables) == 0)
		return;
	text_addf(t, "\n%-*s %14s %10s  %-16s  proof\n", cells, "table", "rows", "bytes", "digest");
	json_array_foreach(tables, i, row)
	{
		AUTO_TEXT struct text name = TEXT_INIT;
		add_name(&name, row);
		add_row(t, row, text_str(&name), 0, cells);
		if (*get_string(row, "why"))
			add_note(t, get_string(row, "why"));
		add_collections(t, json_object_get(row, "collections"), cells);
	}
	add_total(t, tables, cells);
}

static void add_left_out(struct text *t, const json_t *left_out)
{
	size_t n = json_array_size(left_out);

	if (n == 0)
		return;
	text_add(t, "\nleft out:\n");
	for (size_t i = 0; i < n && i < MAX_LEFT_OUT; i++) {
		const json_t *row = json_array_get(left_out, i);
		AUTO_TEXT struct text note = TEXT_INIT;
		text_addf(&note, "%s %s: %s", get_string(row, "what"), get_string(row, "name"),
			  get_string(row, "why"));
		add_note(t, text_str(&note));
	}
	if (n > MAX_LEFT_OUT)
		text_addf(t, "  and %zu more: see summary.json\n", n - MAX_LEFT_OUT);
}

/* "schema 0.3 s, copy 12.0 s, ..." */
static void add_timings(struct text *t, json_t *timings)
{
	const char *phase, *separator = "\ntimings: ";
	char buf[HUMAN_LEN];
	json_t *ms;

	json_object_foreach(timings, phase, ms)
	{
		text_addf(t, "%s%s %s", separator, phase,
			  human_duration(buf, (uint64_t)json_integer_value(ms)));
		separator = ", ";
	}
	if (json_object_size(timings))
		text_add(t, "\n");
}

static void add_facts(struct text *t, const json_t *facts)
{
	if (json_object_size(facts) == 0)
		return;
	text_add(t, "\nfacts:\n");
	show_value(t, facts, 2);
}

static void add_report(struct text *t, const json_t *report)
{
	if (!report)
		return;
	text_addf(t, "report:  %s\n", get_string(report, "path"));
	if (strcmp(get_string(report, "verdict"), "PASS") != 0) {
		text_addf(t, "         %s: ", get_string(report, "verdict"));
		say_add_clean(t, get_string(report, "sentence"));
		text_add(t, "\n");
	}
}

static void add_last_line(struct text *t, const json_t *document)
{
	const char *run = json_string_value(json_object_get(document, "run"));
	int status = (int)get_number(document, "exit_status");
	char buf[HUMAN_LEN];

	text_addf(t, "%s%s%s after %s: %s%s%s (exit status %d)\n", get_string(document, "command"),
		  run ? " " : "", run ? run : "", human_duration(buf, get_number(document, "ms")),
		  get_string(document, "means"), status == EXIT_DONE ? "" : " ",
		  status == EXIT_DONE ? "" : get_string(document, "next"), status);
}

void summary_print(const json_t *document)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	const json_t *application = json_object_get(document, "application");
	const char *folder = get_string(document, "folder");

	if (!say_is_quiet()) {
		add_tables(&t, json_object_get(document, "tables"));
		add_left_out(&t, json_object_get(document, "left_out"));
		add_timings(&t, json_object_get(document, "timings_ms"));
		if (!json_object_get(document, "error"))
			add_facts(&t, json_object_get(document, "facts"));
		if (application)
			text_addf(
				&t,
				"\nnew setting of the application (the password is yours to add):\n"
				"  DATABASE_URL=%s\n",
				get_string(application, "DATABASE_URL"));
		if (*folder)
			text_addf(&t, "\nrecords: %s\n", folder);
		add_report(&t, json_object_get(document, "report"));
	}
	add_last_line(&t, document);
	say_out("%s", text_str(&t));
}
