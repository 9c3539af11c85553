/*
 * report - the document of a verification (verify/verify.h) in the forms people and programs read.
 *
 * All from the same JSON document, so that no form says more than another: HTML (one file, no
 * network, no script), JUnit XML (a test case a check; what is only worth reading is its output),
 * Markdown (for a pull request), and the JSON itself. Rendering never fails for a document that
 * lacks a part: the part is left out.
 */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include "common/text.h"

#include <jansson.h>

/* Appends to t; text_check() afterwards. */
void report_html(struct text *t, const json_t *doc);
void report_junit(struct text *t, const json_t *doc);
void report_markdown(struct text *t, const json_t *doc);

/*
 * Writes report.html, report.json, report.junit.xml, report.md, queries.sql and SHA256SUMS into dir
 * (made if missing), each replaced whole. doc gets "checklist", and "artifacts": the names and
 * SHA-256 of the other files, and of diff_file and repair_file (each may be NULL, or missing),
 * which are copied into dir where they are not in it.
 */
int report_write(const char *dir, json_t *doc, const char *diff_file, const char *repair_file,
		 struct err *e) MUST_CHECK;

/*
 * Adds "transfer" to the document of a run: its summary document as it is, samples of the rate, and
 * what its folder tells of it ("run"): any may be NULL. Borrowed.
 */
void report_add_transfer(json_t *doc, const json_t *summary, const json_t *samples,
			 const json_t *run);

#endif
