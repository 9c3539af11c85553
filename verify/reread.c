#include "verify/reread.h"

#include "common/file.h"
#include "verify/finding.h"
#include "verify/judge.h"
#include "verify/verify.h"

#include <stdlib.h>
#include <string.h>

#define SUMS_LIMIT (1u << 20)

static int refuse(struct err *e)
{
	return err_hint(e, "a report is rendered only as it was written: verify again, or take an "
			   "unchanged copy of the folder");
}

/* --- the sums --- */

/* "<64 digits>  <name>", a line a file. NULL: the name is in no line. */
static const char *sum_of(const char *sums, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = sums; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, "\n");

		if (len == 66 + n && !strncmp(line + 64, "  ", 2) && !strncmp(line + 66, name, n))
			return line;
	}
	return NULL;
}

/* needed: it must be there, and in the sums. */
static int check_file(const char *dir, const char *sums, const char *name, bool needed,
		      struct err *e)
{
	AUTO(free) char *path = file_path(dir, name);
	const char *sum = sum_of(sums, name);
	char hex[65];

	if (!path)
		return err_nomem(e);
	if (!needed && !sum && !file_exists(path))
		return 0;
	if (file_sha256(path, hex, e))
		return refuse(e);
	if (sum && !strncmp(sum, hex, 64))
		return 0;
	err_set(e, ERR_USAGE, "%s is not as it was written: SHA256SUMS beside it %s", path,
		sum ? "has another checksum of it" : "does not name it");
	return refuse(e);
}

/* The other files are made anew. */
static int check_sums(const char *dir, struct err *e)
{
	AUTO(free) char *path = file_path(dir, "SHA256SUMS");
	AUTO(free) char *sums = NULL;
	size_t len;

	if (!path)
		return err_nomem(e);
	if (!file_exists(path)) {
		err_set(e, ERR_USAGE,
			"there is no SHA256SUMS in %s: nothing tells that report.json is as it was "
			"written",
			dir);
		return refuse(e);
	}
	if (file_read(path, SUMS_LIMIT, &sums, &len, e))
		return -1;
	return check_file(dir, sums, "report.json", true, e) ||
			       check_file(dir, sums, "differences.ndjson", false, e) ||
			       check_file(dir, sums, "repaired.ndjson", false, e)
		       ? -1
		       : 0;
}

/* --- the document --- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static bool is_finding(const json_t *check)
{
	const char *word = text_of(check, "verdict");

	if (!finding_is_group(text_of(check, "group")) ||
	    !json_is_string(json_object_get(check, "object")) ||
	    !json_is_string(json_object_get(check, "sentence")))
		return false;
	for (int v = FINDING_PASS; v <= FINDING_UNKNOWN; v++)
		if (!strcmp(word, finding_word((enum finding_verdict)v)))
			return true;
	return false;
}

static bool is_report(const json_t *doc)
{
	const json_t *checks = json_object_get(doc, "checks"), *check;
	size_t i;

	if (strcmp(text_of(doc, "schema"), VERIFY_SCHEMA_VERSION) != 0 || !json_is_array(checks))
		return false;
	json_array_foreach(checks, i, check) if (!is_finding(check)) return false;
	return true;
}

static int judge(const char *path, json_t *doc, struct err *e)
{
	enum verify_verdict v;
	char sentence[512];

	if (!is_report(doc)) {
		err_set(e, ERR_USAGE, "%s is no report of this version (%s)", path,
			VERIFY_SCHEMA_VERSION);
		return refuse(e);
	}
	v = judge_verdict(json_object_get(doc, "checks"), sentence, sizeof(sentence));
	if (strcmp(text_of(doc, "verdict"), verify_verdict_name(v)) != 0) {
		err_set(e, ERR_USAGE, "%s says %s, but its findings give %s", path,
			text_of(doc, "verdict"), verify_verdict_name(v));
		return refuse(e);
	}
	json_object_set_new(doc, "sentence", finding_string(sentence));
	json_object_set_new(doc, "exit_status", json_integer(verify_exit_status(v)));
	return 0;
}

int reread_document(const char *dir, json_t **ret, struct err *e)
{
	AUTO(free) char *path = file_path(dir, "report.json");
	json_t *doc = NULL;

	if (!path)
		return err_nomem(e);
	if (check_sums(dir, e) || file_read_json(path, &doc, e))
		return -1;
	if (judge(path, doc, e)) {
		json_decref(doc);
		return -1;
	}
	*ret = doc;
	return 0;
}
