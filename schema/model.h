/*
 * model - what a database looks like, as objects with attributes, and one compare over them.
 *
 * Every object of the user's is a row: kind, name, the table it belongs to, attributes by name.
 * Read in one query a kind, however many objects there are. Names are written as SQL would quote
 * them; definitions are the server's own text under an empty search_path.
 *
 * Kinds: schema, extension, type, table, view, materialized view, foreign table, sequence, column,
 * constraint, index, function, trigger, rule, policy, statistics (extended), setting.
 *
 * INVARIANT	Objects are sorted by (kind, name) in byte order.
 * OWNER	model_free() frees all; every string inside is the model's.
 * THREADS	Read-only once read.
 */
#ifndef SCHEMA_MODEL_H
#define SCHEMA_MODEL_H

#include "common/pg.h"

struct model_object {
	const char *kind, *name;
	const char *table; /* of what belongs to one, such as columns and rules; else NULL */
	const PGresult *res;
	int row;
};

struct model {
	int n;
	struct model_object *list;
	int n_results;
	PGresult **results;
};

/*
 * In the session's transaction, or one of its own. The session has an empty search_path. Where
 * sequences stand (the fact _last) is read only where the session has neonferry.values on: it opens
 * every one.
 */
int model_read(struct model **ret, struct pg *pg, struct err *e) MUST_CHECK;
void model_free(struct model *m);

const struct model_object *model_find(const struct model *m, const char *kind, const char *name);
/* An attribute or, with "_" in front, a fact that is not compared; NULL: none, or SQL NULL. */
const char *model_value(const struct model_object *o, const char *attribute);

/* One difference. Strings belong to the models. */
struct model_change {
	const struct model_object *before, *after; /* NULL: it is not there */
	const char *attribute; /* what differs; NULL: the object as a whole came or went */
	const char *from, *to; /* the attribute's values; NULL: none */
};

struct model_changes {
	int n;
	struct model_change *list; /* in the models' order */
};

/*
 * Differences from `before` to `after`. What belongs to a table that came or went as a whole is not
 * listed beside it. ignore: names of tables (as in the models) that are not looked at, NULL-ended;
 * may be NULL. kinds: only these, NULL-ended; NULL: all but settings.
 */
int model_compare(struct model_changes *ret, const struct model *before, const struct model *after,
		  const char *const *ignore, const char *const *kinds, struct err *e) MUST_CHECK;
/*
 * Adds what is there in both under one name and is not the same: a table, a column or a sequence
 * that was dropped and made again, as a change of the attribute "replaced" (from: what the old one
 * is called now, or NULL). And columns that went from a table that was renamed. Both are of the
 * same database.
 */
int model_compare_identity(struct model_changes *changes, const struct model *before,
			   const struct model *after, const char *const *ignore,
			   struct err *e) MUST_CHECK;
/* The object of this kind with this value of a fact, or NULL. */
const struct model_object *model_find_by(const struct model *m, const char *kind, const char *fact,
					 const char *value);
void model_changes_done(struct model_changes *c);

AUTO_DEFINE(model, struct model *, model_free);
#define AUTO_MODEL_CHANGES __attribute__((cleanup(model_changes_done)))

#endif
