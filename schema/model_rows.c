#include "schema/model_rows.h"

#include "schema/sqltext.h"

#include <stdlib.h>
#include <string.h>

struct rows {
	struct model_judgements *all;
	const struct scratch_notes *notes;
	const struct model *before, *after;
	const char *const *ignore;
};

static bool equal(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool is_ignored(const struct rows *r, const char *name)
{
	for (const char *const *i = r->ignore; i && *i; i++)
		if (strcmp(*i, name) == 0)
			return true;
	return false;
}

static int add(struct rows *r, struct model_change change, enum model_severity severity,
	       struct text *why, struct err *e)
{
	struct model_judgements *all = r->all;
	struct model_judgement *grown = realloc(all->list, ((size_t)all->n + 1) * sizeof(*grown));

	if (!grown)
		return err_nomem(e);
	all->list = grown;
	all->list[all->n++] =
		(struct model_judgement){ .change = change, .severity = severity, .why = *why };
	*why = TEXT_INIT;
	return 0;
}

/* --- statements --- */

static const char *note_text(const json_t *note, const char *key)
{
	return json_string_value(json_object_get(note, key));
}

/* The words stand in the statement, outside of strings and comments. What a function does is not
 * there. */
static bool says(const char *statement, const char *word)
{
	struct sqltext_token t;

	while (statement && (t = sqltext_next(&statement)).kind != SQLTEXT_END)
		if (sqltext_is(&t, word))
			return true;
	return false;
}

static enum model_severity judge_op(const json_t *note, const char *op, struct text *why)
{
	const char *statement = note_text(note, "statement");
	long long n = json_integer_value(json_object_get(note, "rows"));

	if (strcmp(op, "TRUNCATE") == 0) {
		text_add(why, "all its rows are lost");
		return MODEL_DESTRUCTIVE;
	}
	if (strcmp(op, "UNSEEN") == 0) {
		text_add(why,
			 "its triggers were turned off: what was done to rows then is not seen");
		return MODEL_REVIEW;
	}
	if (strcmp(op, "UPDATE") == 0) {
		if (!statement)
			text_addf(why, "%lld rows are overwritten", n);
		else
			text_add(why, "values are overwritten, in which rows is not seen");
		return MODEL_REVIEW;
	}
	if (!statement) {
		text_addf(why, "%lld rows are deleted", n);
	} else if (says(statement, "delete") &&
		   (says(statement, "where") || says(statement, "merge"))) {
		text_add(why, "rows are deleted, which ones is not seen");
		return MODEL_REVIEW;
	} else {
		text_add(why, says(statement, "delete")
				      ? "rows are deleted, with no WHERE"
				      : "a function deletes rows, which ones is not seen");
	}
	return MODEL_DESTRUCTIVE;
}

/* The table itself, or one above it. */
static bool is_within(const struct rows *r, const char *name, const char *table)
{
	for (int depth = 0; name && depth < 32; depth++) {
		if (strcmp(name, table) == 0)
			return true;
		const struct model_object *o = model_find(r->after, "table", name);
		name = o ? model_value(o, "parents") : NULL;
	}
	return false;
}

/*
 * What is judged of the same table: other rows are there when it comes to it. Rows that are added
 * mend nothing of those that are there, but may be what they refer to.
 */
static void mark(struct rows *r, const char *table, bool added)
{
	for (int i = 0; i < r->all->n; i++) {
		struct model_judgement *j = &r->all->list[i];
		const struct model_object *a = j->change.before, *b = j->change.after;
		const char *references = b ? model_value(b, "_references") : NULL;
		bool own = is_within(r, a ? a->table : NULL, table) ||
			   is_within(r, b ? b->table : NULL, table);
		if ((own && !added) || equal(references, table))
			j->rows_change = true;
	}
}

static int judge_note(struct rows *r, const json_t *note, struct err *e)
{
	AUTO_TEXT struct text why = TEXT_INIT;
	const char *oid = note_text(note, "relation"), *op = note_text(note, "op");
	const struct model_object *a = model_find_by(r->before, "table", "_oid", oid);
	const struct model_object *b = model_find_by(r->after, "table", "_oid", oid);

	if (!a || is_ignored(r, a->name))
		return 0;
	bool added = strcmp(op, "INSERT") == 0;
	mark(r, a->name, added);
	if (b)
		mark(r, b->name, added);
	if (added || !b) /* gone afterwards: that is said already */
		return 0;
	struct model_change change = { .before = a, .after = b, .attribute = "rows", .to = op };
	enum model_severity severity = judge_op(note, op, &why);
	return add(r, change, severity, &why, e);
}

/* --- files --- */

/* Something that was judged already is the reason that the file is another one. */
static bool is_explained(const struct rows *r, const struct model_object *a,
			 const struct model_object *b)
{
	for (int i = 0; i < r->all->n; i++) {
		const struct model_judgement *j = &r->all->list[i];
		const struct model_object *o = j->change.after ? j->change.after : j->change.before;
		const char *table = o->table ? o->table : o->name;
		bool same = equal(table, a->name) || equal(table, b->name);
		if (same && (j->rewrites || (equal(j->change.attribute, "rows") &&
					     equal(j->change.to, "TRUNCATE"))))
			return true;
	}
	return false;
}

static int judge_file(struct rows *r, const struct model_object *a, const struct model_object *b,
		      struct err *e)
{
	AUTO_TEXT struct text why = TEXT_INIT;
	struct model_change change = { .before = a, .after = b, .attribute = "rewritten" };
	bool unknown = r->notes->counted;

	if (equal(model_value(a, "_filenode"), model_value(b, "_filenode")) ||
	    is_explained(r, a, b))
		return 0;
	text_add(&why, unknown ? "its file is another one: emptied, or every row written anew"
		       : r->notes->computes
			       ? "every row is written anew, with values that USING computes"
			       : "every row is written anew");
	return add(r, change, unknown || r->notes->computes ? MODEL_DESTRUCTIVE : MODEL_REVIEW,
		   &why, e);
}

/* A wider type keeps every value only where nothing but a cast makes the new one. */
static void judge_computed(struct rows *r)
{
	for (int i = 0; r->notes->computes && i < r->all->n; i++) {
		struct model_judgement *j = &r->all->list[i];
		if (!j->rewrites || !equal(j->change.attribute, "type") ||
		    j->severity == MODEL_DESTRUCTIVE)
			continue;
		j->severity = MODEL_DESTRUCTIVE;
		text_add(&j->why, "USING computes the new values");
	}
}

/* --- sequences --- */

static bool goes_back(const struct model_object *a, const struct model_object *b)
{
	const char *was = model_value(a, "_last"), *is = model_value(b, "_last");
	const char *increment = model_value(b, "increment");

	if (!was || equal(was, is))
		return false;
	if (!is)
		return true; /* as if no number had been given */
	bool down = increment && increment[0] == '-';
	return down ? strtoll(is, NULL, 10) > strtoll(was, NULL, 10)
		    : strtoll(is, NULL, 10) < strtoll(was, NULL, 10);
}

static int judge_sequence(struct rows *r, const struct model_object *a,
			  const struct model_object *b, struct err *e)
{
	AUTO_TEXT struct text why = TEXT_INIT;
	struct model_change change = { .before = a,
				       .after = b,
				       .attribute = "value",
				       .from = model_value(a, "_last"),
				       .to = model_value(b, "_last") };

	if (!goes_back(a, b))
		return 0;
	text_addf(&why, "it goes back%s: numbers that are in use would be given again",
		  r->notes->counted ? "" : ", in a database without rows");
	return add(r, change, MODEL_REVIEW, &why, e);
}

/* --- all --- */

/* The same one afterwards: under its name nearly always. */
static const struct model_object *same_after(const struct rows *r, const struct model_object *a)
{
	const struct model_object *b = model_find(r->after, a->kind, a->name);

	if (b && equal(model_value(a, "_oid"), model_value(b, "_oid")))
		return b;
	return model_find_by(r->after, a->kind, "_oid", model_value(a, "_oid"));
}

static int judge_objects(struct rows *r, struct err *e)
{
	for (int i = 0; i < r->before->n; i++) {
		const struct model_object *a = &r->before->list[i], *b;
		bool table = strcmp(a->kind, "table") == 0;
		if ((!table && strcmp(a->kind, "sequence") != 0) || is_ignored(r, a->name))
			continue;
		b = same_after(r, a);
		if (b && (table ? judge_file(r, a, b, e) : judge_sequence(r, a, b, e)))
			return -1;
	}
	return 0;
}

int model_judge_rows(struct model_judgements *all, const struct scratch_notes *notes,
		     const struct model *before, const struct model *after,
		     const char *const *ignore, struct err *e)
{
	struct rows r = { all, notes, before, after, ignore };
	size_t i;
	json_t *note;

	judge_computed(&r);
	json_array_foreach(notes->rows, i, note) if (judge_note(&r, note, e)) return -1;
	if (judge_objects(&r, e))
		return -1;
	model_judgements_count(all);
	return 0;
}
