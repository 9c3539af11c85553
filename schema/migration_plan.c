#include "schema/migration_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
	[MIGRATION_APPLIED] = "applied",
	[MIGRATION_CHANGED] = "changed",
	[MIGRATION_UNCHECKED] = "unchecked",
	[MIGRATION_PENDING] = "pending",
	[MIGRATION_OUT_OF_ORDER] = "out of order",
	[MIGRATION_UNFINISHED] = "unfinished",
	[MIGRATION_HALF_UNDONE] = "half rolled back",
	[MIGRATION_MISSING] = "missing",
};

const char *migration_state_name(enum migration_state state)
{
	return names[state];
}

bool migration_is_pending(const struct migration_item *i)
{
	return i->state == MIGRATION_PENDING || i->state == MIGRATION_OUT_OF_ORDER ||
	       i->state == MIGRATION_UNFINISHED;
}

int migration_plan_pending(const struct migration_plan *p)
{
	return p->counts[MIGRATION_PENDING] + p->counts[MIGRATION_OUT_OF_ORDER] +
	       p->counts[MIGRATION_UNFINISHED];
}

static enum migration_state state_of(const struct migration_item *i, const char *newest)
{
	if (i->row && !i->migration)
		return MIGRATION_MISSING;
	if (i->row && i->down_begun)
		return MIGRATION_HALF_UNDONE;
	if (i->row && !i->row->checksum[0])
		return MIGRATION_UNCHECKED;
	if (i->row)
		return strcmp(i->row->checksum, i->migration->up.checksum) == 0 ? MIGRATION_APPLIED
									       : MIGRATION_CHANGED;
	if (i->begun)
		return MIGRATION_UNFINISHED;
	return newest && migration_version_compare(i->version, newest) < 0 ? MIGRATION_OUT_OF_ORDER
									    : MIGRATION_PENDING;
}

static void add(struct migration_plan *p, const struct history *h, const char *version,
		const char *description, const struct migration *m)
{
	struct migration_item *i = &p->items[p->n++];
	char down[96];

	*i = (struct migration_item){ .version = version, .description = description,
				      .migration = m, .row = history_find(h, version),
				      .begun = history_find_progress(h, version) };
	snprintf(down, sizeof(down), "%.80s down", i->row ? i->row->version : version);
	i->down_begun = history_find_progress(h, down) != NULL;
	i->state = state_of(i, history_newest(h));
	p->counts[i->state]++;
}

static int by_version(const void *a, const void *b)
{
	return migration_version_compare(((const struct migration_item *)a)->version,
					 ((const struct migration_item *)b)->version);
}

int migration_plan_make(struct migration_plan *ret, const struct migration_folder *f,
			const struct history *h, struct err *e)
{
	struct migration_plan p = { 0 };

	p.items = calloc((size_t)f->n + (size_t)h->n + 1, sizeof(*p.items));
	if (!p.items)
		return err_nomem(e);
	for (int i = 0; i < f->n; i++)
		add(&p, h, f->list[i].version, f->list[i].description, &f->list[i]);
	for (int i = 0; i < h->n; i++)
		if (!migration_find(f, h->rows[i].version))
			add(&p, h, h->rows[i].version, h->rows[i].description, NULL);
	qsort(p.items, (size_t)p.n, sizeof(*p.items), by_version);
	*ret = p;
	return 0;
}

int migration_plan_check_version(const struct migration_plan *p, const char *version, struct err *e)
{
	AUTO_TEXT struct text known = TEXT_INIT;

	for (int i = 0; i < p->n; i++) {
		if (migration_version_compare(p->items[i].version, version) == 0)
			return 0;
		text_addf(&known, "%s%s", i ? ", " : "", p->items[i].version);
	}
	err_set(e, ERR_USAGE, "there is no migration of version %s", version);
	return err_hint(e, "A version is the number alone. There %s: %s.", p->n == 1 ? "is" : "are",
			p->n ? text_str(&known) : "none");
}

void migration_plan_done(struct migration_plan *p)
{
	free(p->items);
	*p = (struct migration_plan){ 0 };
}

/* --- as JSON --- */

static json_t *item_json(const struct migration_item *i)
{
	json_t *o = json_pack("{s:s, s:s, s:s?, s:s?}", "version", i->version, "state", names[i->state],
			      "applied_at", i->row ? i->row->applied_at : NULL, "description",
			      i->description);

	if (!o)
		return NULL;
	if (i->row)
		json_object_set_new(o, "execution_ms", json_integer((json_int_t)i->row->execution_ms));
	if (i->migration) {
		json_object_set_new(o, "file", json_string(i->migration->up.name));
		json_object_set_new(o, "checksum", json_string(i->migration->up.checksum));
		json_object_set_new(o, "down", json_boolean(i->migration->down.path != NULL));
	}
	if (i->down_begun)
		json_object_set_new(o, "down_begun", json_true());
	return o;
}

static json_t *strings_json(char *const *list, int n)
{
	json_t *a = json_array();

	for (int i = 0; a && i < n; i++)
		json_array_append_new(a, json_string(list[i]));
	return a;
}

static json_t *progress_json(const struct history *h)
{
	json_t *a = json_array();

	for (int i = 0; a && i < h->n_progress; i++) {
		const struct history_progress *p = &h->progress[i];
		json_array_append_new(a, json_pack(
			"{s:s, s:i, s:I, s:I, s:s?, s:s?}", "version", p->version, "statements_done",
			p->statement, "rounds", (json_int_t)p->rounds, "rows", (json_int_t)p->rows,
			"updated_at", p->updated_at, "error", p->error));
	}
	return a;
}

static json_t *others_json(const struct history *h)
{
	json_t *a = json_array();

	for (int i = 0; a && i < h->n_others; i++)
		json_array_append_new(a, json_pack("{s:s, s:s, s:I, s:I, s:s?}", "tool",
						   h->others[i].tool, "table", h->others[i].table,
						   "entries", (json_int_t)h->others[i].rows,
						   "failed", (json_int_t)h->others[i].failed,
						   "latest", h->others[i].latest));
	return a;
}

json_t *migration_plan_json(const struct migration_plan *p, const struct migration_folder *f,
			    const struct history *h)
{
	json_t *items = json_array();

	for (int i = 0; items && i < p->n; i++)
		json_array_append_new(items, item_json(&p->items[i]));
	return json_pack("{s:s, s:b, s:s, s:o, s:i, s:o, s:o, s:o, s:o}", "history", h->label,
			 "history_exists", h->exists, "folder", f->dir, "migrations", items, "pending",
			 migration_plan_pending(p), "unfinished", progress_json(h), "others", others_json(h),
			 "gaps", strings_json(f->gaps, f->n_gaps), "ignored",
			 strings_json(f->ignored, f->n_ignored));
}
