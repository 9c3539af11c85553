/* summary_text - the summary's document as lines on standard output. */
#include "cli/frame.h"
#include "cli/human.h"
#include "cli/say.h"
#include "cli/show.h"
#include "cli/summary.h"

#include <string.h>

#define MAX_COLLECTIONS 30 /* shown of a table; the document has them all */
#define MAX_LEFT_OUT    20
#define DIGEST_CELLS    16

/* Cells of the columns of the table. */
struct widths {
	int name, rows, bytes, digest, verdict;
};

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

/* A name in its column; where it is longer, on a line of its own. */
static void add_name_cell(struct text *t, const char *name, int indent, int cells)
{
	AUTO_TEXT struct text clean = TEXT_INIT;

	say_add_clean(&clean, name);
	int over = indent + frame_cells(text_str(&clean)) - cells;
	text_addf(t, "%*s%s", indent, "", text_str(&clean));
	text_addf(t, "%s%*s", over > 0 ? "\n" : "", over > 0 ? cells : -over, "");
}

/* Name, rows, bytes, digest, verdict: of a table or of a collection below it. */
static void add_row(struct text *t, const json_t *row, const char *name, int indent,
		    const struct widths *w)
{
	char buf[HUMAN_LEN];
	const char *verdict = get_string(row, "verdict");

	add_name_cell(t, name, indent, w->name);
	text_addf(t, " %*s", w->rows, human_count(buf, get_number(row, "rows")));
	if (w->bytes)
		text_addf(t, " %*s", w->bytes,
			  json_object_get(row, "bytes") ? human_bytes(buf, get_number(row, "bytes"))
							: "");
	if (w->digest)
		text_addf(t, "  %-*s", w->digest,
			  get_string(json_object_get(row, "digest"), "short"));
	text_addf(t, "  %s%s%s\n", verdict_color(verdict), *verdict ? verdict : "-",
		  say_color_out(SAY_PLAIN));
}

static void add_collections(struct text *t, const json_t *collections, const struct widths *w)
{
	size_t n = json_array_size(collections), shown = 0;

	for (size_t i = 0; i < n; i++) {
		const json_t *row = json_array_get(collections, i);
		const char *name = json_string_value(json_object_get(row, "collection"));
		bool same = strcmp(get_string(row, "verdict"), "same") == 0;

		if (same && shown >= MAX_COLLECTIONS)
			continue;
		name = !name ? "(no collection)" : *name ? name : "\"\"";
		add_row(t, row, name, 2, w);
		shown++;
	}
	if (shown < n)
		text_addf(t, "  and %zu more, all the same\n", n - shown);
}

/* schema.table, as one name on one line. */
static void add_name(struct text *t, const json_t *row)
{
	AUTO_TEXT struct text name = TEXT_INIT;

	text_addf(&name, "%s.%s", get_string(row, "schema"), get_string(row, "table"));
	for (const char *p = text_str(&name); *p; p++)
		text_addn(t, *p == '\n' || *p == '\t' ? "?" : p, 1);
}

static int most(int a, int b)
{
	return a > b ? a : b;
}

/* What the columns need at least, for these rows. */
static void measure(struct widths *w, const json_t *rows)
{
	char buf[HUMAN_LEN];
	uint64_t n = 0, bytes = 0;
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		AUTO_TEXT struct text name = TEXT_INIT;
		add_name(&name, row);
		w->name = most(w->name, frame_cells(text_str(&name)));
		w->verdict = most(w->verdict, (int)strlen(get_string(row, "verdict")));
		n += get_number(row, "rows");
		bytes += get_number(row, "bytes");
		w->bytes = most(w->bytes, (int)strlen(human_bytes(buf, get_number(row, "bytes"))));
	}
	w->rows = most(w->rows, (int)strlen(human_count(buf, n)));
	w->bytes = most(w->bytes, (int)strlen(human_bytes(buf, bytes)));
}

static int beside_name(const struct widths *w)
{
	return 1 + w->rows + (w->bytes ? 1 + w->bytes : 0) + (w->digest ? 2 + w->digest : 0) + 2 +
	       w->verdict;
}

/* A narrow terminal gets narrow columns, and at last no digest and no bytes. */
static struct widths widths_of(const json_t *tables)
{
	enum { WIDEST = 50, VERDICT = 13, LEAST = 12 };
	struct widths need = { 20, 4, 5, DIGEST_CELLS, 5 };
	int columns = say_out_columns();

	measure(&need, tables);
	need.name = need.name > WIDEST ? WIDEST : need.name;
	struct widths wide = { need.name, 14, 10, DIGEST_CELLS, VERDICT };
	if (!columns || wide.name + beside_name(&wide) <= columns)
		return wide;
	if (need.name + beside_name(&need) > columns)
		need.digest = 0;
	if (need.name + beside_name(&need) > columns)
		need.bytes = 0;
	if (need.name + beside_name(&need) > columns)
		need.name = most(columns - beside_name(&need), LEAST);
	return need;
}

static void add_note(struct text *t, const char *s)
{
	text_add(t, "  ");
	show_words(t, s, 2, 4);
}

static void add_total(struct text *t, const json_t *tables, const struct widths *w)
{
	char buf[HUMAN_LEN];
	uint64_t rows = 0, bytes = 0;
	size_t i;
	json_t *row;

	json_array_foreach(tables, i, row)
	{
		rows += get_number(row, "rows");
		bytes += get_number(row, "bytes");
	}
	text_addf(t, "%-*s %*s", w->name, "total", w->rows, human_count(buf, rows));
	if (bytes && w->bytes)
		text_addf(t, " %*s", w->bytes, human_bytes(buf, bytes));
	text_add(t, "\n");
}

static void add_head(struct text *t, const struct widths *w)
{
	text_addf(t, "\n%-*s %*s", w->name, "table", w->rows, "rows");
	if (w->bytes)
		text_addf(t, " %*s", w->bytes, "bytes");
	if (w->digest)
		text_addf(t, "  %-*s", w->digest, "digest");
	text_add(t, "  proof\n");
}

static void add_tables(struct text *t, const json_t *tables)
{
	struct widths w = widths_of(tables);
	size_t i;
	json_t *row;

	if (json_array_size(tables) == 0)
		return;
	add_head(t, &w);
	json_array_foreach(tables, i, row)
	{
		AUTO_TEXT struct text name = TEXT_INIT;
		add_name(&name, row);
		add_row(t, row, text_str(&name), 0, &w);
		if (*get_string(row, "why"))
			add_note(t, get_string(row, "why"));
		add_collections(t, json_object_get(row, "collections"), &w);
	}
	add_total(t, tables, &w);
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
	const char *phase, *separator = "";
	AUTO_TEXT struct text words = TEXT_INIT;
	char buf[HUMAN_LEN];
	json_t *ms;

	json_object_foreach(timings, phase, ms)
	{
		text_addf(&words, "%s%s %s", separator, phase,
			  human_duration(buf, (uint64_t)json_integer_value(ms)));
		separator = ", ";
	}
	if (!words.len)
		return;
	text_add(t, "\ntimings: ");
	show_words(t, text_str(&words), 9, 2);
}

static void add_facts(struct text *t, const json_t *facts)
{
	if (json_object_size(facts) == 0)
		return;
	text_add(t, "\nfacts:\n");
	show_value(t, facts, 2);
}

/* The address stays on one line, so that it can be taken from there. */
static void add_setting(struct text *t, const char *url)
{
	text_add(t, "\n");
	show_words(t, "new setting of the application (the password is yours to add):", 0, 2);
	text_addf(t, "  DATABASE_URL=%s\n", url);
}

static void add_report(struct text *t, const json_t *report)
{
	if (!report)
		return;
	text_addf(t, "report:  %s\n", get_string(report, "path"));
	if (strcmp(get_string(report, "verdict"), "PASS") != 0) {
		AUTO_TEXT struct text words = TEXT_INIT;
		text_addf(&words, "%s: %s", get_string(report, "verdict"),
			  get_string(report, "sentence"));
		text_add(t, "         ");
		show_words(t, text_str(&words), 9, 9);
	}
}

static void add_last_line(struct text *t, const json_t *document)
{
	const char *run = json_string_value(json_object_get(document, "run"));
	int status = (int)get_number(document, "exit_status");
	char buf[HUMAN_LEN];

	AUTO_TEXT struct text words = TEXT_INIT;
	text_addf(&words, "%s%s%s after %s: %s%s%s (exit status %d)",
		  get_string(document, "command"), run ? " " : "", run ? run : "",
		  human_duration(buf, get_number(document, "ms")), get_string(document, "means"),
		  status == EXIT_DONE ? "" : " ",
		  status == EXIT_DONE ? "" : get_string(document, "next"), status);
	show_words(t, text_str(&words), 0, 2);
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
			add_setting(&t, get_string(application, "DATABASE_URL"));
		if (*folder)
			text_addf(&t, "\nrecords: %s\n", folder);
		add_report(&t, json_object_get(document, "report"));
	}
	add_last_line(&t, document);
	say_out("%s", text_str(&t));
}
