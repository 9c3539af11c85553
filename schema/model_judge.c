#include "schema/model_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const severities[] = { "safe", "review", "destructive" };

const char *model_severity_name(enum model_severity severity)
{
	return severities[severity];
}

/* --- the table of rules: first match counts --- */

enum rule_change { CAME, WENT, CHANGED };

static const struct rule {
	enum rule_change change;
	const char *kind;      /* NULL: any */
	const char *attribute; /* of CHANGED; NULL: any */
	const char *to;	       /* the value it has afterwards; NULL: any */
	enum model_severity severity;
	const char *why;
} rules[] = {
	{ WENT, "table", NULL, NULL, MODEL_DESTRUCTIVE, "its rows are lost" },
	{ WENT, "column", NULL, NULL, MODEL_DESTRUCTIVE, "its values are lost" },
	{ WENT, "schema", NULL, NULL, MODEL_DESTRUCTIVE, "everything in it is lost" },
	{ WENT, "sequence", NULL, NULL, MODEL_DESTRUCTIVE, "its value is lost" },
	{ WENT, "type", NULL, NULL, MODEL_DESTRUCTIVE,
	  "columns and functions of it are lost with it" },
	{ WENT, "extension", NULL, NULL, MODEL_DESTRUCTIVE, "what it brought is lost" },
	{ WENT, "materialized view", NULL, NULL, MODEL_REVIEW, "readers of it fail" },
	{ WENT, "foreign table", NULL, NULL, MODEL_REVIEW, "readers of it fail" },
	{ WENT, "view", NULL, NULL, MODEL_REVIEW, "readers of it fail" },
	{ WENT, "function", NULL, NULL, MODEL_REVIEW, "callers of it fail" },
	{ WENT, "index", NULL, NULL, MODEL_REVIEW, "searches may become slow" },
	{ WENT, "constraint", NULL, NULL, MODEL_REVIEW, "what it forbade is allowed" },
	{ WENT, "policy", NULL, NULL, MODEL_REVIEW, "other rows are seen" },
	{ WENT, NULL, NULL, NULL, MODEL_REVIEW, "" },
	{ CAME, "policy", NULL, NULL, MODEL_REVIEW, "other rows are seen" },
	{ CAME, "trigger", NULL, NULL, MODEL_REVIEW, "writing does something more" },
	{ CAME, "rule", NULL, NULL, MODEL_REVIEW, "writing does something else" },
	{ CAME, NULL, NULL, NULL, MODEL_SAFE, "" },
	{ CHANGED, "table", "replaced", NULL, MODEL_DESTRUCTIVE,
	  "dropped and made again: its rows are lost" },
	{ CHANGED, "column", "replaced", NULL, MODEL_DESTRUCTIVE,
	  "dropped and made again: its values are lost" },
	{ CHANGED, "sequence", "replaced", NULL, MODEL_DESTRUCTIVE,
	  "dropped and made again: its value is lost" },
	{ CHANGED, "table", "persistence", "unlogged", MODEL_DESTRUCTIVE,
	  "a restart of the server empties it" },
	{ CHANGED, "table", "row_security", "t", MODEL_REVIEW,
	  "without a policy nobody but the owner sees rows" },
	{ CHANGED, "table", "options", NULL, MODEL_SAFE, "" },
	{ CHANGED, "column", "not_null", "f", MODEL_SAFE, "" },
	{ CHANGED, "column", "not_null", "t", MODEL_REVIEW, "rows without a value are refused" },
	{ CHANGED, "column", "default", NULL, MODEL_SAFE, "" },
	{ CHANGED, "constraint", "validated", "t", MODEL_SAFE, "" },
	{ CHANGED, "index", "valid", "t", MODEL_SAFE, "" },
	{ CHANGED, "index", "options", NULL, MODEL_SAFE, "" },
	{ CHANGED, "index", NULL, NULL, MODEL_REVIEW, "searches may use it otherwise" },
	{ CHANGED, "function", NULL, NULL, MODEL_REVIEW, "callers get other results" },
	{ CHANGED, "view", NULL, NULL, MODEL_REVIEW, "readers get other results" },
	{ CHANGED, NULL, NULL, NULL, MODEL_REVIEW, "" },
};

static bool fits(const char *wanted, const char *s)
{
	return !wanted || (s && strcmp(wanted, s) == 0);
}

static enum rule_change change_of(const struct model_change *c)
{
	return c->attribute ? CHANGED : c->after ? CAME : WENT;
}

static const struct model_object *object_of(const struct model_change *c)
{
	return c->after ? c->after : c->before;
}

static void judge_by_rule(struct model_judgement *j)
{
	const struct model_change *c = &j->change;

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct rule *r = &rules[i];
		if (r->change != change_of(c) || !fits(r->kind, object_of(c)->kind) ||
		    !fits(r->attribute, c->attribute) || !fits(r->to, c->to))
			continue;
		j->severity = r->severity;
		text_add(&j->why, r->why);
		return;
	}
}

/* --- types --- */

/* From narrow to wide: every value of the one is one of those behind it, up to the NULL. */
static const char *const widening[][6] = {
	{ "smallint", "integer", "bigint", "numeric", NULL },
	{ "real", "double precision", NULL },
	{ "character varying", "text", NULL },
	{ "date", "timestamp without time zone", NULL },
	{ "json", "jsonb", NULL },
	{ "varbit", NULL },
};

static int place(const char *const *chain, const char *type)
{
	for (int i = 0; chain[i]; i++)
		if (strcmp(chain[i], type) == 0)
			return i;
	return -1;
}

/*
 * "timestamp(3) with time zone" into its name, which is what stands around the number, and the
 * number; -1 without one.
 */
static long split_type(const char *type, char name[64])
{
	size_t n = strcspn(type, "(");
	const char *behind = strchr(type, ')');

	snprintf(name, 64, "%.*s%s", (int)(n < 63 ? n : 63), type, behind ? behind + 1 : "");
	return type[n] ? strtol(type + n + 1, NULL, 10) : -1;
}

/* The number of vector, halfvec, sparsevec and bit is how long each value is, not the most. */
static bool has_exact_length(const char *name)
{
	return strstr(name, "vec") || strcmp(name, "bit") == 0;
}

/* numeric(p, s): more digits on both sides of the point. */
static bool numeric_widens(const char *from, const char *to)
{
	long p1, s1 = 0, p2, s2 = 0;

	if (sscanf(to, "numeric(%ld,%ld)", &p2, &s2) < 1)
		return strcmp(to, "numeric") == 0;
	return sscanf(from, "numeric(%ld,%ld)", &p1, &s1) >= 1 && s2 >= s1 && p2 - s2 >= p1 - s1;
}

static bool widens(const char *from, const char *to)
{
	char a[64], b[64];
	long n = split_type(from, a), m = split_type(to, b);

	if (strcmp(a, "numeric") == 0 && strcmp(b, "numeric") == 0)
		return numeric_widens(from, to);
	if (strcmp(a, b) == 0)
		return m < 0 || (n >= 0 && m >= n && !has_exact_length(a));
	for (size_t i = 0; i < ARRAY_LEN(widening); i++) {
		int x = place(widening[i], a), y = place(widening[i], b);
		if (x >= 0 && y > x)
			return m < 0;
	}
	return false;
}

static void judge_type(struct model_judgement *j)
{
	const struct model_change *c = &j->change;

	text_clear(&j->why);
	if (!j->rewrites && fits(model_value(c->before, "_type"), model_value(c->after, "_type"))) {
		j->severity = MODEL_REVIEW;
		text_add(&j->why, "the type has another name: programs that use the old one fail");
	} else if (widens(c->from, c->to)) {
		j->severity = j->rewrites ? MODEL_REVIEW : MODEL_SAFE;
	} else {
		j->severity = MODEL_DESTRUCTIVE;
		text_add(&j->why, "values may be changed, cut or refused");
	}
}

/* Every number of the one list stands in the other. */
static bool all_stay(const char *from, const char *to)
{
	for (const char *p = from; p && *p; p += strcspn(p, ","), p += *p == ',') {
		const char *q = to;
		size_t len = strcspn(p, ",");
		while (q && *q && !(strcspn(q, ",") == len && strncmp(p, q, len) == 0))
			q += strcspn(q, ","), q += *q == ',';
		if (!q || !*q)
			return false;
	}
	return from && to;
}

/* Labels can be added and renamed; a type made anew can have lost some. */
static void judge_labels(struct model_judgement *j)
{
	const struct model_change *c = &j->change;
	bool same = all_stay(model_value(c->before, "_labels"), model_value(c->after, "_labels"));
	const char *from = j->change.from ? j->change.from : "", *to = j->change.to ? j->change.to : "";
	bool kept = true;

	for (const char *p = from; *p;) {
		size_t len = strcspn(p, ",");
		AUTO(free) char *label = strndup(p, len);
		kept &= label && strstr(to, label) != NULL;
		p += len;
		p += strspn(p, ", ");
	}
	j->severity = kept ? MODEL_SAFE : same ? MODEL_REVIEW : MODEL_DESTRUCTIVE;
	text_clear(&j->why);
	if (!kept)
		text_add(&j->why, same ? "a label is renamed: programs that use the old one fail"
				       : "a label is gone");
}

/* --- one judgement --- */

/* The table's file is another one afterwards: every row is written anew. */
static bool is_rewritten(const struct model *before, const struct model *after, const char *table)
{
	const struct model_object *a = table ? model_find(before, "table", table) : NULL;
	const struct model_object *b = table ? model_find(after, "table", table) : NULL;
	const char *x = a ? model_value(a, "_filenode") : NULL, *y = b ? model_value(b, "_filenode") : NULL;

	return x && y && strcmp(x, y) != 0 && fits(model_value(a, "_oid"), model_value(b, "_oid"));
}

/* Only what can be the reason of a rewrite says so. */
static bool may_rewrite(const struct model_change *c)
{
	const char *kind = object_of(c)->kind;

	if (strcmp(kind, "column") == 0)
		return c->attribute ? strcmp(c->attribute, "type") == 0 ||
					      strcmp(c->attribute, "generated") == 0 : c->after != NULL;
	return strcmp(kind, "table") == 0 && c->attribute;
}

static void judge_one(struct model_judgement *j, const struct model *before, const struct model *after)
{
	const struct model_change *c = &j->change;
	const struct model_object *o = object_of(c);

	j->rewrites = may_rewrite(c) && is_rewritten(before, after, o->table ? o->table : o->name);
	judge_by_rule(j);
	if (c->attribute && strcmp(o->kind, "column") == 0 && strcmp(c->attribute, "type") == 0)
		judge_type(j);
	if (c->attribute && strcmp(o->kind, "type") == 0 && strcmp(c->attribute, "labels") == 0)
		judge_labels(j);
	if (c->attribute && strcmp(c->attribute, "replaced") == 0 && c->from) {
		j->severity = MODEL_REVIEW;
		text_clear(&j->why);
		text_addf(&j->why, "another one has this name; what it held is in %s", c->from);
	}
	if (j->rewrites && j->severity == MODEL_SAFE)
		j->severity = MODEL_REVIEW;
}

/* --- renames --- */

/* What came with the identity of what went, among those not taken yet. */
static struct model_judgement *twin_of(struct model_judgements *all, const struct model_judgement *went)
{
	const char *oid = model_value(went->change.before, "_oid");

	for (int i = 0; oid && i < all->n; i++) {
		struct model_judgement *j = &all->list[i];
		if (!j->change.attribute && !j->change.before && !j->was &&
		    strcmp(j->change.after->kind, went->change.before->kind) == 0 &&
		    fits(oid, model_value(j->change.after, "_oid")))
			return j;
	}
	return NULL;
}

static void note_rename(struct model_judgement *twin, const char *was)
{
	twin->was = was;
	twin->severity = MODEL_REVIEW;
	text_clear(&twin->why);
	text_add(&twin->why, "programs that use the old name fail");
}

/* It has the name of another one, that went before: its own name is gone, and nothing of it. */
static void note_new_name(struct model_judgement *went, const struct model *after)
{
	const struct model_object *o = went->change.before;
	const struct model_object *now =
		model_find_by(after, o->kind, "_oid", model_value(o, "_oid"));

	if (!now)
		return;
	went->severity = MODEL_REVIEW;
	text_clear(&went->why);
	text_addf(&went->why, "it is called %s now; programs that use the old name fail",
		  now->name);
}

static void join_renames(struct model_judgements *all, const struct model *after)
{
	for (int i = 0; i < all->n;) {
		struct model_judgement *j = &all->list[i], *twin = NULL;
		bool went = !j->change.attribute && !j->change.after;
		bool replaced = j->change.attribute && strcmp(j->change.attribute, "replaced") == 0;
		if (went || replaced)
			twin = twin_of(all, j);
		if (twin)
			note_rename(twin, j->change.before->name);
		else if (went)
			note_new_name(j, after);
		if (!twin || replaced) {
			i++;
			continue;
		}
		text_done(&j->why);
		memmove(j, j + 1, (size_t)(all->n - i - 1) * sizeof(*j));
		all->n--;
	}
}

/* --- all --- */

int model_judge(struct model_judgements *ret, const struct model_changes *changes,
		const struct model *before, const struct model *after, struct err *e)
{
	struct model_judgements all = { .list = calloc((size_t)changes->n + 1, sizeof(*all.list)) };

	if (!all.list)
		return err_nomem(e);
	for (int i = 0; i < changes->n; i++) {
		all.list[all.n] = (struct model_judgement){ .change = changes->list[i], .why = TEXT_INIT };
		judge_one(&all.list[all.n++], before, after);
	}
	join_renames(&all, after);
	model_judgements_count(&all);
	*ret = all;
	return 0;
}

void model_judgements_count(struct model_judgements *j)
{
	memset(j->counts, 0, sizeof(j->counts));
	for (int i = 0; i < j->n; i++)
		j->counts[j->list[i].severity]++;
}

void model_judgements_done(struct model_judgements *j)
{
	for (int i = 0; i < j->n; i++)
		text_done(&j->list[i].why);
	free(j->list);
	*j = (struct model_judgements){ 0 };
}

/* --- as JSON --- */

static json_t *change_json(const struct model_change *c, const char *was)
{
	const struct model_object *o = object_of(c);
	const char *change = was ? "renamed" : c->attribute ? c->attribute : c->after ? "added" : "removed";

	return json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "kind", o->kind, "object", o->name, "change",
			 change, "before", was ? was : c->from, "after", c->to);
}

json_t *model_judgements_json(const struct model_judgements *j)
{
	json_t *list = json_array();

	for (int i = 0; list && i < j->n; i++) {
		json_t *o = change_json(&j->list[i].change, j->list[i].was);
		json_object_set_new(o, "severity", json_string(severities[j->list[i].severity]));
		json_object_set_new(o, "why", json_string(text_str(&j->list[i].why)));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *model_changes_json(const struct model_changes *c)
{
	json_t *list = json_array();

	for (int i = 0; list && i < c->n; i++)
		json_array_append_new(list, change_json(&c->list[i], NULL));
	return list;
}
