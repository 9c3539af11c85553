#include "verify/checklist.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*
 * A line is answered by the findings of one group whose sentence or object has a word: yes where
 * all passed, no where one failed, open where there are none.
 */
struct item {
	const char *list, *item, *group, *word; /* word NULL: all of the group */
};

static const struct item items[] = {
	{ "before", "extensions are there, in the same versions", "schema", "extension" },
	{ "before", "the schema is complete: tables, columns, keys", "schema", NULL },
	{ "after", "every table has the same number of rows", "counts", NULL },
	{ "after", "every collection has the same number of rows", "counts", "collection" },
	{ "after", "every row has the same content", "digest", NULL },
	{ "after", "every row that had an embedding has one", "presence", NULL },
	{ "after", "vector indexes are there, valid, of the same operator class", "schema",
	  "index" },
	{ "after", "sequences go on after the source's values", "schema", "sequence" },
	{ "after", "settings of searches are the same", "schema", "search setting" },
	{ "after", "searches give the same neighbours", "search", "exact searches" },
	{ "after", "the index finds as much as the source's", "search", "recall" },
	{ "after", "the search functions give the same answers", "search", "calls of" },
	{ "after", "searches take less than twice as long as locally", "latency", NULL },
	{ "application", "a document can be added, found, deleted", "smoke", NULL },
	{ "cut-over", "point the application to the target", NULL, NULL },
	{ "cut-over", "watch latency, errors and connections for a day", NULL, NULL },
	{ "cut-over", "keep the source and its backup until then", NULL, NULL },
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
	const char *evidence;
};

static void count(struct answer *a, const json_t *check)
{
	const char *v = text_of(check, "verdict");
	bool bad = !strcmp(v, "fail"), unknown = !strcmp(v, "unknown");

	a->pass += !strcmp(v, "pass") || !strcmp(v, "info") || !strcmp(v, "warning");
	a->unknown += unknown;
	if ((bad && a->bad++ == 0) || (unknown && !a->bad) || !a->evidence)
		a->evidence = text_of(check, "sentence");
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

static json_t *answer_item(const json_t *doc, const struct item *it)
{
	struct answer a = { .evidence = NULL };
	const char *done = "open";
	char buf[256] = "";
	const json_t *check;
	size_t i;

	json_array_foreach(json_object_get(doc, "checks"), i, check) if (belongs(it, check))
		count(&a, check);
	if (it->group && !strcmp(it->group, "latency"))
		done = latency_answer(doc, buf, sizeof(buf));
	else if (a.bad > 0)
		done = "no";
	else if (a.pass > 0 && a.unknown == 0)
		done = "yes";
	else if (kind_agrees(doc, it, buf, sizeof(buf)))
		done = "yes";
	if (!buf[0] && a.pass > 1 && a.bad == 0 && a.unknown == 0)
		snprintf(buf, sizeof(buf), "%d checks", a.pass);
	return json_pack("{s:s, s:s, s:s, s:s}", "list", it->list, "item", it->item, "done", done,
			 "evidence",
			 buf[0]       ? buf
			 : a.evidence ? a.evidence
				      : "");
}

json_t *checklist_make(const json_t *doc)
{
	json_t *all = json_array();

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		json_array_append_new(all, answer_item(doc, &items[i]));
	return all;
}
