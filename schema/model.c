#include "schema/model.h"

#include "schema/model_query.h"
#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMN_KIND, COLUMN_NAME, COLUMN_TABLE, COLUMN_FIRST };

/* --- reading --- */

static int compare_names(const char *kind, const char *name, const struct model_object *o)
{
	int c = strcmp(kind, o->kind);

	return c ? c : strcmp(name, o->name);
}

static int by_name(const void *a, const void *b)
{
	const struct model_object *x = a;

	return compare_names(x->kind, x->name, b);
}

static int add_result(struct model *m, PGresult *res, struct err *e)
{
	int n = PQntuples(res);
	struct model_object *grown = realloc(m->list, ((size_t)m->n + (size_t)n + 1) * sizeof(*grown));

	m->results[m->n_results++] = res;
	if (!grown)
		return err_nomem(e);
	m->list = grown;
	for (int i = 0; i < n; i++)
		m->list[m->n++] = (struct model_object){
			.kind = query_text(res, i, COLUMN_KIND), .name = query_text(res, i, COLUMN_NAME),
			.table = query_text(res, i, COLUMN_TABLE), .res = res, .row = i,
		};
	return 0;
}

static int read_all(struct model *m, struct pg *pg, struct err *e)
{
	PGresult *res;

	for (int i = 0; model_queries[i]; i++)
		if (pg_query(pg, model_queries[i], &res, e) || add_result(m, res, e))
			return -1;
	return 0;
}

/* All queries see one state of the catalogs, as far as the catalogs' functions allow. */
static int read_in_transaction(struct model *m, struct pg *pg, struct err *e)
{
	bool own = PQtransactionStatus(pg_conn(pg)) == PQTRANS_IDLE;

	if (own && pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e))
		return -1;
	int failed = read_all(m, pg, e);
	if (own && !failed)
		failed = pg_commit(pg, e);
	if (own && failed)
		pg_rollback(pg);
	return failed;
}

int model_read(struct model **ret, struct pg *pg, struct err *e)
{
	AUTO(model) struct model *m = calloc(1, sizeof(*m));
	size_t n = 0;

	while (model_queries[n])
		n++;
	if (!m || !(m->results = calloc(n, sizeof(PGresult *))))
		return err_nomem(e);
	if (read_in_transaction(m, pg, e))
		return err_note(e, "reading what the database looks like");
	qsort(m->list, (size_t)m->n, sizeof(*m->list), by_name);
	*ret = GIVE(&m);
	return 0;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	for (int i = 0; i < m->n_results; i++)
		PQclear(m->results[i]);
	free(m->results);
	free(m->list);
	free(m);
}

const struct model_object *model_find(const struct model *m, const char *kind, const char *name)
{
	int low = 0, high = m->n;

	while (low < high) {
		int middle = low + (high - low) / 2;
		int c = compare_names(kind, name, &m->list[middle]);
		if (c == 0)
			return &m->list[middle];
		if (c > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *model_value(const struct model_object *o, const char *attribute)
{
	for (int i = COLUMN_FIRST; i < PQnfields(o->res); i++)
		if (strcmp(PQfname(o->res, i), attribute) == 0)
			return query_text(o->res, o->row, i);
	return NULL;
}

/* --- comparing --- */

struct comparer {
	struct model_changes *changes;
	const struct model *before, *after;
	const char *const *ignore, *const *kinds;
	int room;
	const char *table, *table_now; /* name_now()'s last answer */
};

static bool contains(const char *const *list, const char *s)
{
	for (; list && *list; list++)
		if (s && strcmp(*list, s) == 0)
			return true;
	return false;
}

static int add(struct comparer *c, struct model_change change, struct err *e)
{
	struct model_changes *all = c->changes;

	if (all->n == c->room) {
		int room = c->room ? c->room * 2 : 16;
		struct model_change *grown = realloc(all->list, (size_t)room * sizeof(*grown));
		if (!grown)
			return err_nomem(e);
		all->list = grown;
		c->room = room;
	}
	all->list[all->n++] = change;
	return 0;
}

/* A table of any sort. */
static bool has_table(const struct model *m, const char *name)
{
	return model_find(m, "table", name) || model_find(m, "view", name) ||
	       model_find(m, "materialized view", name) || model_find(m, "foreign table", name);
}

static bool is_skipped(const struct comparer *c, const struct model_object *o)
{
	if (contains(c->ignore, o->name) || contains(c->ignore, o->table))
		return true;
	return c->kinds ? !contains(c->kinds, o->kind) : strcmp(o->kind, "setting") == 0;
}

/* It came or went. Nothing to add where its whole table did, or its constraint says it already. */
static int one_side(struct comparer *c, const struct model_object *o, bool came, struct err *e)
{
	const char *constraint = model_value(o, "_constraint");

	if (o->table && !has_table(came ? c->before : c->after, o->table))
		return 0;
	if (constraint && constraint[0] == 't')
		return 0;
	struct model_change change = { .before = came ? NULL : o, .after = came ? o : NULL };
	return add(c, change, e);
}

static bool equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int both_sides(struct comparer *c, const struct model_object *a, const struct model_object *b,
		      struct err *e)
{
	for (int i = COLUMN_FIRST; i < PQnfields(a->res); i++) {
		struct model_change change = {
			.before = a, .after = b, .attribute = PQfname(a->res, i),
			.from = query_text(a->res, a->row, i), .to = query_text(b->res, b->row, i),
		};
		if (change.attribute[0] != '_' && !equal(change.from, change.to) && add(c, change, e))
			return -1;
	}
	return 0;
}

static int compare(struct comparer *c, struct err *e)
{
	int i = 0, j = 0, failed = 0;

	while (!failed && (i < c->before->n || j < c->after->n)) {
		const struct model_object *a = i < c->before->n ? &c->before->list[i] : NULL;
		const struct model_object *b = j < c->after->n ? &c->after->list[j] : NULL;
		int order = !a ? 1 : !b ? -1 : compare_names(a->kind, a->name, b);

		i += order <= 0;
		j += order >= 0;
		if (is_skipped(c, order <= 0 ? a : b))
			continue;
		if (order == 0)
			failed = both_sides(c, a, b, e);
		else
			failed = one_side(c, order < 0 ? a : b, order > 0, e);
	}
	return failed;
}

int model_compare(struct model_changes *ret, const struct model *before, const struct model *after,
		  const char *const *ignore, const char *const *kinds, struct err *e)
{
	struct model_changes changes = { 0 };
	struct comparer c = { &changes, before, after, ignore, kinds, 0, NULL, NULL };

	if (compare(&c, e)) {
		model_changes_done(&changes);
		return -1;
	}
	*ret = changes;
	return 0;
}

/* --- what has its name, but is another object --- */

const struct model_object *model_find_by(const struct model *m, const char *kind, const char *fact,
					 const char *value)
{
	for (int i = 0; value && i < m->n; i++) {
		const char *v =
			strcmp(m->list[i].kind, kind) == 0 ? model_value(&m->list[i], fact) : NULL;
		if (v && strcmp(v, value) == 0)
			return &m->list[i];
	}
	return NULL;
}

static bool has_rows(const struct model_object *o)
{
	const char *kind = model_value(o, "_kind");

	if (strcmp(o->kind, "column") == 0)
		return kind && strchr("rp", kind[0]);
	return strcmp(o->kind, "table") == 0 || strcmp(o->kind, "sequence") == 0;
}

/* A column of a table that was made anew goes with it: its number alone does not tell. */
static bool is_replaced(const struct model_object *a, const struct model_object *b)
{
	const char *x = model_value(a, "_oid"), *y = model_value(b, "_oid");

	if (!x || !y || strcmp(x, y) == 0)
		return false;
	size_t table = strcspn(x, ".");
	return !x[table] || strncmp(x, y, table + 1) == 0;
}

/* What a table that is not there under its name is called now; of many columns in a row asked once.
 */
static const char *name_now(struct comparer *c, const char *table)
{
	if (c->table && strcmp(c->table, table) == 0)
		return c->table_now;
	const struct model_object *a = model_find(c->before, "table", table);
	const struct model_object *b =
		a ? model_find_by(c->after, "table", "_oid", model_value(a, "_oid")) : NULL;
	c->table = table;
	c->table_now = b ? b->name : NULL;
	return c->table_now;
}

/* A column that went from a table whose name changed: the table came and went, and is still there.
 */
static bool went_from_renamed(struct comparer *c, const struct model_object *a)
{
	AUTO_TEXT struct text name = TEXT_INIT;
	const char *oid = model_value(a, "_oid");

	if (strcmp(a->kind, "column") != 0 || has_table(c->after, a->table))
		return false;
	const char *now = name_now(c, a->table);
	if (!now)
		return false;
	text_addf(&name, "%s%s", now, a->name + strlen(a->table));
	const struct model_object *b = model_find(c->after, "column", text_str(&name));
	return !(b && equal(model_value(b, "_oid"), oid)) &&
	       !model_find_by(c->after, "column", "_oid", oid);
}

static int compare_one_identity(struct comparer *c, const struct model_object *a, struct err *e)
{
	const struct model_object *b = model_find(c->after, a->kind, a->name), *now;
	struct model_change change = { .before = a, .after = b };

	if (!b)
		return went_from_renamed(c, a) ? add(c, change, e) : 0;
	if (!is_replaced(a, b))
		return 0;
	now = model_find_by(c->after, a->kind, "_oid", model_value(a, "_oid"));
	change.attribute = "replaced";
	change.from = now ? now->name : NULL;
	return add(c, change, e);
}

int model_compare_identity(struct model_changes *changes, const struct model *before,
			   const struct model *after, const char *const *ignore, struct err *e)
{
	struct comparer c = { changes, before, after, ignore, NULL, changes->n, NULL, NULL };

	for (int i = 0; i < before->n; i++) {
		const struct model_object *a = &before->list[i];
		if (!has_rows(a) || is_skipped(&c, a))
			continue;
		if (compare_one_identity(&c, a, e))
			return -1;
	}
	return 0;
}

void model_changes_done(struct model_changes *c)
{
	free(c->list);
	*c = (struct model_changes){ 0 };
}
