/*
 * model_judge - how dangerous a change is: for what stands in the database, and for its users.
 *
 * By the catalog, before and after; never by looking at SQL.
 */
#ifndef SCHEMA_MODEL_JUDGE_H
#define SCHEMA_MODEL_JUDGE_H

#include "schema/model.h"

#include <jansson.h>

enum model_severity {
	MODEL_SAFE,	   /* nothing is lost, nobody waits */
	MODEL_REVIEW,	   /* look at it: programs may notice, or it takes long */
	MODEL_DESTRUCTIVE, /* rows or values are lost, or the change fails on the rows that are there */
};

struct model_judgement {
	struct model_change change;
	enum model_severity severity;
	const char *was;   /* the former name of a table or column that was renamed, or NULL */
	bool rewrites;	   /* the table's file is written anew */
	bool rows_change;  /* statements change rows of its table, too */
	struct text why;   /* one sentence, or "" */
};

struct model_judgements {
	int n;
	struct model_judgement *list;
	int counts[MODEL_DESTRUCTIVE + 1];
};

/*
 * Judges every change. What went and came again with the same identity is one rename. before and
 * after are of the same database.
 */
int model_judge(struct model_judgements *ret, const struct model_changes *changes,
		const struct model *before, const struct model *after, struct err *e) MUST_CHECK;
/* Counts the severities anew: after some were raised. */
void model_judgements_count(struct model_judgements *j);
void model_judgements_done(struct model_judgements *j);

const char *model_severity_name(enum model_severity severity);
/* [{severity, kind, object, change, before, after, why}]. New reference, or NULL. */
json_t *model_judgements_json(const struct model_judgements *j);
/* The same of changes that nobody judged: [{kind, object, change, before, after}]. */
json_t *model_changes_json(const struct model_changes *c);

#define AUTO_MODEL_JUDGEMENTS __attribute__((cleanup(model_judgements_done)))

#endif
