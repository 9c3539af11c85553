#include "verify/checklist.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*
 * A line is answered by the findings of one group whose sentence or object has a word: yes where
 * all passed, no where one failed, open where there are none. Groups in brackets are answered by
 * other parts of the document; a line without group is for people, its word says what to do.
 */
struct item {
	const char *list, *item, *group, *word; /* word NULL: all of the group */
};

#define BEFORE  "before the migration (P-008)"
#define DURING  "migration (P-008)"
#define AFTER   "after the migration (P-008)"
#define CUTOVER "cut-over (P-113)"
#define SUCCESS "success criteria (P-120)"
#define WATCH   "24 to 48 hours after the cut-over (P-113)"

static const struct item items[] = {
	{ BEFORE, "a way back exists: branch or restore point of the target", "(restore)", NULL },
	{ BEFORE, "schema changes tested on the development branch", NULL,
	  "neonferry schema apply --env dev" },
	{ BEFORE, "all indexes are created, valid, of the same operator class", "schema", "index" },
	{ BEFORE, "the hybrid search functions give the same answers", "search", "calls of" },
	{ BEFORE, "performance benchmarks run", "latency", NULL },
	{ DURING, "current schema and data backed up", "(backup)", NULL },
	{ DURING, "migration applied to the testing branch", NULL,
	  "neonferry schema apply --env test" },
	{ DURING, "full test suite run", NULL, "the application's own tests, against the target" },
	{ DURING, "extensions are there, in the same versions", "schema", "extension" },
	{ DURING, "data integrity: every row has the same content", "digest", NULL },
	{ DURING, "control totals of every column agree", "totals", NULL },
	{ DURING, "sequences go on after the source's values", "schema", "sequence" },
	{ DURING, "query performance checked", "latency", NULL },
	{ AFTER, "database performance monitored", NULL, "for a day, in Neon's console" },
	{ AFTER, "application functionality: a document can be added, found, deleted", "smoke",
	  NULL },
	{ AFTER, "connection pool metrics checked", "(pool)", NULL },
	{ AFTER, "settings of searches are the same", "schema", "search setting" },
	{ AFTER, "searches give the same neighbours", "search", "exact searches" },
	{ AFTER, "the index finds as much as the source's", "search", "recall" },
	{ CUTOVER, "all data migrated and verified", "digest", NULL },
	{ CUTOVER, "application tested with the target", "smoke", NULL },
	{ CUTOVER, "performance acceptable: less than twice the source's latency", "latency",
	  NULL },
	{ CUTOVER, "backup of the source created", "(backup)", NULL },
	{ CUTOVER, "rollback plan documented", NULL,
	  "docs/rollback.md: the same engine, source and target exchanged" },
	{ CUTOVER, "team notified of the migration window", NULL, "by people" },
	{ SUCCESS, "record counts match", "counts", NULL },
	{ SUCCESS, "records per collection match", "counts", "collection" },
	{ SUCCESS, "every row that had an embedding has one", "presence", NULL },
	{ SUCCESS, "the target takes connections", "(connect)", NULL },
	{ SUCCESS, "create, read and delete work", "smoke", NULL },
	{ SUCCESS, "vector similarity search works", "search", "exact searches" },
	{ SUCCESS, "no errors in the application's log", NULL, "by people" },
	{ WATCH, "application functionality", NULL, "by people" },
	{ WATCH, "query performance", NULL, "neonferry verify --level search" },
	{ WATCH, "error rates", NULL, "by people" },
	{ WATCH, "connection pool usage", NULL, "in Neon's console" },
	{ WATCH, "the source and its backup are kept", NULL, "for 30 days" },
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static bool belongs(const struct item *it, const json_t *check)
{
	if (!it->group || strcmp(it->group, text_of(check, "group")) != 0)
		return false;
	return !it->word || strstr(text_of(check, "sentence"), it->word) ||
	       strstr(text_of(check, "object"), it->word);
}

struct answer {
	int pass, bad, unknown;
	const char *evidence, *at;
};

/*
 * A failure that a person accepted is one still; one that was softened is neither seen nor excluded.
 * "info" is no answer.
 */
static void count(struct answer *a, const json_t *check)
{
	const char *v = text_of(check, "verdict"), *was = text_of(check, "was");
	bool waived = json_object_get(check, "waived") != NULL;
	bool bad = !strcmp(waived ? was : v, "fail");
	bool unknown = !bad && (*was || !strcmp(v, "unknown"));

	a->pass += !bad && !unknown && (!strcmp(v, "pass") || !strcmp(v, "warning"));
	a->unknown += unknown;
	if ((bad && a->bad++ == 0) || (unknown && !a->bad) || !a->evidence)
		a->evidence = text_of(check, "sentence");
	a->at = text_of(check, "at");
}

/* Definitions that agree leave no finding of their own: the counted kind is the evidence. */
static bool kind_agrees(const json_t *doc, const struct item *it, char *buf, size_t size)
{
	const json_t *kind;
	size_t i;

	json_array_foreach(json_object_get(doc, "objects"), i,
			   kind) if (it->word && !strcmp(it->word, text_of(kind, "kind")) &&
				     json_integer_value(json_object_get(kind, "different")) == 0 &&
				     json_is_integer(json_object_get(kind, "source")))
	{
		snprintf(buf, size, "%lld compared, no difference",
			 (long long)json_integer_value(json_object_get(kind, "target")));
		return true;
	}
	return false;
}

static const char *latency_answer(const json_t *doc, char *buf, size_t size)
{
	const json_t *index;
	double worst = -1;
	size_t i;

	json_array_foreach(json_object_get(doc, "search"), i, index)
	{
		const json_t *r = json_object_get(json_object_get(index, "latency"), "ratio");
		double ratio = json_number_value(json_object_get(r, "median"));

		worst = ratio > worst ? ratio : worst;
	}
	if (worst <= 0)
		return "open";
	snprintf(buf, size, "%.2f times at most, network included", worst);
	return worst < 2 ? "yes" : "no";
}

/* --- what other parts of the document answer --- */

/* What the run's summary keeps of what was made before it; NULL where there is none. */
static const json_t *kept(const json_t *doc, const char *name)
{
	const json_t *summary = json_object_get(json_object_get(doc, "transfer"), "summary");

	return json_object_get(json_object_get(summary, "facts"), name);
}

static const char *backup_answer(const json_t *doc, struct answer *a, char *buf, size_t size)
{
	const json_t *backup = kept(doc, "backup");

	if (!json_is_object(backup)) {
		a->evidence = "neonferry backup makes one and proves it readable";
		return "open";
	}
	a->at = text_of(backup, "began");
	snprintf(buf, size, "%.150s, read again, SHA-256 %.64s", text_of(backup, "file"),
		 text_of(backup, "sha256"));
	return "yes";
}

static const char *restore_answer(const json_t *doc, struct answer *a, char *buf, size_t size)
{
	const json_t *point = kept(doc, "restore_point");

	if (!text_of(point, "lsn")[0])
		return "open";
	a->at = text_of(point, "at");
	snprintf(buf, size, "restore point: the target stood at LSN %.20s before the first write",
		 text_of(point, "lsn"));
	return "yes";
}

static const char *connect_answer(const json_t *doc, struct answer *a, char *buf, size_t size)
{
	const json_t *target = json_object_get(doc, "target");

	if (!text_of(target, "server_version")[0])
		return "open";
	a->at = text_of(doc, "started");
	snprintf(buf, size, "connected as %.60s%s%.60s", text_of(target, "role"),
		 text_of(target, "tls")[0] ? ", " : ", without TLS", text_of(target, "tls"));
	return "yes";
}

static const char *pool_answer(const json_t *doc, struct answer *a, char *buf, size_t size)
{
	const json_t *all = json_object_get(json_object_get(doc, "resources"), "sessions");
	const json_t *s = json_object_get(all, "target");

	if (!json_is_object(s))
		return "open";
	a->at = text_of(doc, "ended");
	snprintf(buf, size, "%lld of %lld connections in use, %lld of them idle in a transaction",
		 (long long)json_integer_value(json_object_get(s, "used")),
		 (long long)json_integer_value(json_object_get(s, "limit")),
		 (long long)json_integer_value(json_object_get(s, "idle_in_transaction")));
	return "yes";
}

static const char *other_answer(const json_t *doc, const struct item *it, struct answer *a,
				char *buf, size_t size)
{
	if (!strcmp(it->group, "(backup)"))
		return backup_answer(doc, a, buf, size);
	if (!strcmp(it->group, "(restore)"))
		return restore_answer(doc, a, buf, size);
	if (!strcmp(it->group, "(connect)"))
		return connect_answer(doc, a, buf, size);
	return pool_answer(doc, a, buf, size);
}

/* --- a line --- */

static const char *check_answer(const json_t *doc, const struct item *it, struct answer *a,
				char *buf, size_t size)
{
	const char *done = "open";
	const json_t *check;
	size_t i;

	json_array_foreach(json_object_get(doc, "checks"), i, check) if (belongs(it, check))
		count(a, check);
	if (!strcmp(it->group, "latency")) {
		done = latency_answer(doc, buf, size);
		a->at = *buf ? text_of(doc, "ended") : NULL;
	} else if (a->bad > 0) {
		return "no";
	} else if (a->pass > 0 && a->unknown == 0) {
		done = "yes";
	} else if (a->pass + a->unknown == 0 && kind_agrees(doc, it, buf, size)) {
		done = "yes";
		a->at = text_of(doc, "started");
	}
	if (!buf[0] && a->pass > 1 && a->unknown == 0)
		snprintf(buf, size, "%d checks", a->pass);
	return done;
}

static json_t *answer_item(const json_t *doc, const struct item *it)
{
	struct answer a = { .evidence = NULL };
	const char *done = "open";
	char buf[256] = "";
	json_t *row;

	if (!it->group)
		a.evidence = it->word;
	else if (it->group[0] == '(')
		done = other_answer(doc, it, &a, buf, sizeof(buf));
	else
		done = check_answer(doc, it, &a, buf, sizeof(buf));
	row = json_pack("{s:s, s:s, s:s, s:s}", "list", it->list, "item", it->item, "done", done,
			"evidence",
			buf[0]       ? buf
			: a.evidence ? a.evidence
				     : "");
	if (a.at && a.at[0])
		json_object_set_new(row, "at", json_string(a.at));
	return row;
}

json_t *checklist_make(const json_t *doc)
{
	json_t *all = json_array();

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		json_array_append_new(all, answer_item(doc, &items[i]));
	return all;
}
