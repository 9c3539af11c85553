#include "verify/report.h"

#include "common/file.h"
#include "verify/chart.h"
#include "verify/checklist.h"
#include "verify/page.h"
#include "verify/panel.h"
#include "verify/queries.h"

#include <stdlib.h>
#include <string.h>

void report_html(struct text *t, const json_t *doc)
{
	page_render(t, doc);
}

/* --- JUnit --- */

static int count_verdict(const json_t *doc, const char *verdict)
{
	const json_t *check;
	size_t i;
	int n = 0;

	json_array_foreach(json_object_get(doc, "checks"), i, check) n +=
		!strcmp(panel_string(check, "verdict"), verdict);
	return n;
}

/* XML 1.0 has no control characters but tab and line ends. */
static void xml_field(struct text *t, const json_t *object, const char *key)
{
	AUTO(free) char *copy = strdup(panel_string(object, key));

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < 0x20 && *p != '\t' && *p != '\n')
			*p = ' ';
	chart_escape(t, copy);
}

static void junit_case(struct text *t, const json_t *check)
{
	const char *v = panel_string(check, "verdict");
	const char *element = !strcmp(v, "fail")      ? "failure"
			      : !strcmp(v, "unknown") ? "error"
						      : NULL;

	text_add(t, "  <testcase classname=\"neonferry.");
	xml_field(t, check, "group");
	text_add(t, "\" name=\"");
	xml_field(t, check, "object");
	text_add(t, ": ");
	xml_field(t, check, "sentence");
	if (!element) {
		text_add(t, "\"/>\n");
		return;
	}
	text_addf(t, "\">\n   <%s message=\"", element);
	xml_field(t, check, "sentence");
	text_add(t, "\"/>\n  </testcase>\n");
}

/* What is judged neither way is no test, and counts for none, as in the verdict's sentence. */
static void junit_info(struct text *t, const json_t *checks)
{
	const json_t *check;
	size_t i;

	text_add(t, "  <system-out>");
	json_array_foreach(checks, i, check)
	{
		if (strcmp(panel_string(check, "verdict"), "info") != 0)
			continue;
		xml_field(t, check, "group");
		text_add(t, "  ");
		xml_field(t, check, "object");
		text_add(t, ": ");
		xml_field(t, check, "sentence");
		text_add(t, "\n");
	}
	text_add(t, "</system-out>\n");
}

void report_junit(struct text *t, const json_t *doc)
{
	const json_t *checks = json_object_get(doc, "checks"), *check;
	size_t i;

	text_addf(t,
		  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		  "<testsuites>\n <testsuite name=\"neonferry verify\" tests=\"%d\" failures=\"%d\""
		  " errors=\"%d\" timestamp=\"%.19s\">\n",
		  (int)json_array_size(checks) - count_verdict(doc, "info"),
		  count_verdict(doc, "fail"), count_verdict(doc, "unknown"),
		  panel_string(doc, "started"));
	json_array_foreach(checks, i, check)
	{
		if (strcmp(panel_string(check, "verdict"), "info") != 0)
			junit_case(t, check);
	}
	junit_info(t, checks);
	text_add(t, " </testsuite>\n</testsuites>\n");
}

/* --- Markdown --- */

/* In a table's cell: no line ends, no bars. */
static void cell(struct text *t, const char *s)
{
	for (; *s; s++) {
		if (*s == '|' || *s == '\\' || *s == '<')
			text_add(t, "\\");
		text_addn(t, *s == '\n' ? " " : s, 1);
	}
}

static void markdown_checks(struct text *t, const json_t *doc, const char *verdict)
{
	const json_t *check;
	size_t i;

	json_array_foreach(json_object_get(doc, "checks"), i, check)
	{
		if (strcmp(panel_string(check, "verdict"), verdict) != 0)
			continue;
		text_addf(t, "| %s | ", verdict);
		cell(t, panel_string(check, "group"));
		text_add(t, " | ");
		cell(t, panel_string(check, "object"));
		text_add(t, " | ");
		cell(t, panel_string(check, "sentence"));
		text_add(t, " |\n");
	}
}

static void markdown_table(struct text *t, const json_t *table)
{
	const json_t *rows = json_object_get(table, "rows");

	text_add(t, "| ");
	cell(t, panel_string(table, "name"));
	text_add(t, " | ");
	for (size_t end = 0; end < 2; end++) {
		const json_t *n = json_array_get(rows, end);

		if (json_is_integer(n))
			panel_int(t, json_integer_value(n));
		text_add(t, " | ");
	}
	text_addf(t, "%s |\n", panel_string(table, "verdict"));
}

static void markdown_proof(struct text *t, const json_t *doc)
{
	const json_t *c = json_object_get(doc, "coverage");
	const json_t *prints = json_object_get(doc, "fingerprint");
	const char *s = panel_string(prints, "source"), *g = panel_string(prints, "target");

	if (json_is_object(c)) {
		text_add(t, "\nCompared by content: ");
		panel_int(t, json_integer_value(json_object_get(c, "rows_content_checked")));
		text_add(t, " of ");
		panel_int(t, json_integer_value(json_object_get(c, "rows")));
		text_addf(t, " rows; control totals of %zu tables.",
			  json_array_size(json_object_get(doc, "totals")));
	}
	if (g[0])
		text_addf(t, "\nFingerprint%s: `%s`%s%s%s\n",
			  s[0] && !strcmp(s, g) ? " of both ends" : " of the target", g,
			  s[0] && strcmp(s, g) != 0 ? ", of the source: `" : "",
			  s[0] && strcmp(s, g) != 0 ? s : "", s[0] && strcmp(s, g) != 0 ? "`" : "");
}

void report_markdown(struct text *t, const json_t *doc)
{
	const json_t *table;
	size_t i;

	text_add(t, "# neonferry: ");
	cell(t, panel_string(doc, "verdict"));
	text_add(t, "\n\n");
	cell(t, panel_string(doc, "sentence"));
	text_add(t, "\n\n");
	if (count_verdict(doc, "fail") + count_verdict(doc, "unknown") +
		    count_verdict(doc, "warning") >
	    0) {
		text_add(t, "| verdict | what | object | finding |\n|---|---|---|---|\n");
		markdown_checks(t, doc, "fail");
		markdown_checks(t, doc, "unknown");
		markdown_checks(t, doc, "warning");
		text_add(t, "\n");
	}
	text_add(t, "| table | rows, source | rows, target | contents |\n|---|--:|--:|---|\n");
	json_array_foreach(json_object_get(doc, "tables"), i, table) markdown_table(t, table);
	markdown_proof(t, doc);
	text_addf(t, "\n%d checks passed. Started %s, ended %s.\n", count_verdict(doc, "pass"),
		  panel_string(doc, "started"), panel_string(doc, "ended"));
}

/* --- files --- */

static int note_file(json_t *list, const char *path, struct err *e)
{
	const char *name = strrchr(path, '/');
	char hex[65];

	if (file_sha256(path, hex, e))
		return -1;
	json_array_append_new(
		list, json_pack("{s:s, s:s}", "path", name ? name + 1 : path, "sha256", hex));
	return 0;
}

static int write_one(const char *dir, const char *name,
		     void (*render)(struct text *, const json_t *), const json_t *doc, json_t *list,
		     struct err *e)
{
	AUTO(free) char *path = file_path(dir, name);
	AUTO_TEXT struct text t = TEXT_INIT;

	if (!path)
		return err_nomem(e);
	render(&t, doc);
	if (text_check(&t, e) || file_write(path, text_str(&t), t.len, e))
		return -1;
	return list ? note_file(list, path, e) : 0;
}

static void render_queries(struct text *t, const json_t *doc)
{
	queries_file(t, json_object_get(doc, "queries"));
}

/* What belongs to a report is beside it, also where it is rendered into another folder. */
static int bring(const char *dir, const char *file, json_t *list, struct err *e)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	AUTO(free) char *there = file ? file_path(dir, slash ? slash + 1 : file) : NULL;

	if (!file || !file_exists(file))
		return 0;
	if (!there)
		return err_nomem(e);
	return file_copy(file, there, e) ? -1 : note_file(list, there, e);
}

/* As sha256sum writes and checks it; the page itself included, which cannot name its own sum. */
static int write_sums(const char *dir, const json_t *list, struct err *e)
{
	AUTO(free) char *page = file_path(dir, "report.html");
	AUTO(free) char *path = file_path(dir, "SHA256SUMS");
	AUTO_TEXT struct text t = TEXT_INIT;
	const json_t *file;
	char hex[65];
	size_t i;

	if (!page || !path)
		return err_nomem(e);
	if (file_sha256(page, hex, e))
		return -1;
	json_array_foreach(list, i, file)
	{
		text_addf(&t, "%s  %s\n", panel_string(file, "sha256"), panel_string(file, "path"));
	}
	text_addf(&t, "%s  report.html\n", hex);
	return text_check(&t, e) ? -1 : file_write(path, text_str(&t), t.len, e);
}

int report_write(const char *dir, json_t *doc, const char *diff_file, const char *repair_file,
		 struct err *e)
{
	AUTO(free) char *json = file_path(dir, "report.json");
	json_t *list = json_array();

	json_object_set_new(doc, "artifacts", list);
	json_object_set_new(doc, "checklist", checklist_make(doc));
	if (!json)
		return err_nomem(e);
	if (file_mkdir(dir, e) || bring(dir, diff_file, list, e) ||
	    bring(dir, repair_file, list, e) ||
	    write_one(dir, "queries.sql", render_queries, doc, list, e) ||
	    write_one(dir, "report.junit.xml", report_junit, doc, list, e) ||
	    write_one(dir, "report.md", report_markdown, doc, list, e) ||
	    file_write_json(json, doc, e) || note_file(list, json, e) ||
	    write_one(dir, "report.html", report_html, doc, NULL, e) || write_sums(dir, list, e))
		return err_note(e, "writing the report into %s", dir);
	return 0;
}

void report_add_transfer(json_t *doc, const json_t *summary, const json_t *samples,
			 const json_t *run)
{
	json_object_set_new(doc, "transfer",
			    json_pack("{s:o, s:o, s:o}", "summary",
				      summary ? json_deep_copy(summary) : json_null(), "samples",
				      samples ? json_deep_copy(samples) : json_array(), "run",
				      run ? json_deep_copy(run) : json_null()));
}
