#include "schema/migration_check.h"

#include "schema/model_effect.h"
#include "schema/model_rows.h"
#include "schema/query.h"
#include "schema/scratch_rows.h"

#include <stdlib.h>
#include <string.h>

struct check {
	const struct conn *target;
	const struct migration_plan *plan;
	const struct migration_check_options *o;
	const char *ignore[2];
	struct scratch_notes notes;
	struct pg *pg; /* looks at the target */
};

static bool is_tried(const struct check *c, const struct migration_item *i)
{
	if (!migration_is_pending(i))
		return false;
	return !c->o->to || migration_version_compare(i->version, c->o->to) <= 0;
}

static int count_pending(const struct check *c)
{
	int n = 0;

	for (int i = 0; i < c->plan->n; i++)
		n += is_tried(c, &c->plan->items[i]);
	return n;
}

static bool is_locked(const struct check *c, const char *relation)
{
	size_t i;
	json_t *lock;

	json_array_foreach(c->notes.locks, i, lock)
		if (strcmp(json_string_value(json_object_get(lock, "relation")), relation) == 0)
			return true;
	return false;
}

/* An index that is not built CONCURRENTLY keeps writers out as long as it takes. */
static void judge_builds(struct check *c, struct model_judgements *all)
{
	for (int i = 0; i < all->n; i++) {
		struct model_judgement *j = &all->list[i];
		if (j->change.before || j->change.attribute || strcmp(j->change.after->kind, "index") != 0 ||
		    !is_locked(c, j->change.after->table) || j->severity != MODEL_SAFE)
			continue;
		j->severity = MODEL_REVIEW;
		text_add(&j->why, "writers wait while it is built (CREATE INDEX CONCURRENTLY does without)");
	}
}

static int judge(struct check *c, struct migration_check *ret, const struct model *before,
		 const struct model *after, struct err *e)
{
	AUTO_MODEL_CHANGES struct model_changes changes = { 0 };
	AUTO_MODEL_JUDGEMENTS struct model_judgements j = { 0 };

	if (model_compare(&changes, before, after, c->ignore, NULL, e) ||
	    model_compare_identity(&changes, before, after, c->ignore, e) ||
	    model_judge(&j, &changes, before, after, e) ||
	    model_judge_rows(&j, &c->notes, before, after, c->ignore, e))
		return -1;
	judge_builds(c, &j);
	if (model_effects(&j, c->pg, e))
		return -1;
	ret->changes = model_judgements_json(&j);
	ret->safe = j.counts[MODEL_SAFE];
	ret->review = j.counts[MODEL_REVIEW];
	ret->destructive = j.counts[MODEL_DESTRUCTIVE];
	return ret->changes ? 0 : err_nomem(e);
}

static int read_model(struct model **ret, struct pg *pg, struct err *e)
{
	if (pg_exec(pg, "SELECT pg_catalog.set_config('neonferry.values', 'on', false)", e))
		return -1;
	return model_read(ret, pg, e);
}

/* --- in a scratch database --- */

static int try_all(struct check *c, struct scratch *s, struct err *e)
{
	for (int i = 0; i < c->plan->n; i++) {
		const struct migration_item *item = &c->plan->items[i];
		if (!is_tried(c, item))
			continue;
		/* begun: a part of it is in the target's schema already */
		if (item->begun)
			json_array_append_new(c->notes.skipped, json_pack(
				"{s:s, s:i, s:s}", "migration", item->migration->up.name, "line", 1,
				"statement", "(all: it was begun already)"));
		else if (scratch_try(s, item->migration, &c->notes, e))
			return -1;
	}
	return 0;
}

static int check_apart(struct check *c, struct migration_check *ret, struct err *e)
{
	AUTO(scratch) struct scratch *s = NULL;
	AUTO(model) struct model *before = NULL;
	AUTO(model) struct model *after = NULL;

	if (scratch_open(&s, c->target, &c->o->scratch, e))
		return -1;
	if (scratch_copy_schema(s, c->target, c->pg, e)) {
		err_hint(e, "The role must be able to read every table's definition; --in-place does not need "
			    "that.");
		return -1;
	}
	if (read_model(&before, scratch_pg(s), e))
		return -1;
	if (try_all(c, s, e)) {
		err_hint(e, "It failed in a scratch database without rows; nothing was changed in the target. "
			    "If it needs rows that are there, try --in-place.");
		return -1;
	}
	return read_model(&after, scratch_pg(s), e) ? -1 : judge(c, ret, before, after, e);
}

/* --- in the target, rolled back --- */

static int try_here(struct check *c, struct pg *pg, struct err *e)
{
	for (int i = 0; i < c->plan->n; i++) {
		const struct migration_item *item = &c->plan->items[i];
		if (is_tried(c, item) && scratch_try_in(pg, item->migration, &c->notes, e))
			return -1;
	}
	return pg_exec(pg, "SELECT pg_catalog.set_config('search_path', '', true)", e) ||
	       scratch_rows_count(pg, &c->notes, e) ? -1 : 0;
}

static int begin_here(struct check *c, struct pg *pg, struct err *e)
{
	int dimensions = c->o->scratch.vector_dimensions;

	if (dimensions && pg_execf(pg, e, "SET neonferry.vector_dimensions TO %d", dimensions))
		return -1;
	return pg_begin(pg, "", e) || pg_exec(pg, "SET LOCAL lock_timeout TO '2s'", e) ? -1 : 0;
}

static int check_here(struct check *c, struct migration_check *ret, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	AUTO(model) struct model *before = NULL;
	AUTO(model) struct model *after = NULL;

	if (pg_open(&pg, c->target, "schema", c->o->scratch.stop, e) || begin_here(c, pg, e))
		return -1;
	int failed = read_model(&before, pg, e) || try_here(c, pg, e) || read_model(&after, pg, e);
	pg_rollback(pg); /* before the questions: they would wait for the locks */
	return failed ? -1 : judge(c, ret, before, after, e);
}

/* --- all --- */

static int run(struct check *c, struct migration_check *ret, struct err *e)
{
	if (pg_open(&c->pg, c->target, "schema", c->o->scratch.stop, e) || scratch_notes_init(&c->notes, e))
		return -1;
	if (c->o->in_place ? check_here(c, ret, e) : check_apart(c, ret, e))
		return -1;
	ret->locks = json_incref(c->notes.locks);
	ret->skipped = json_incref(c->notes.skipped);
	return 0;
}

int migration_check_run(struct migration_check *ret, const struct conn *target,
			const struct migration_plan *p, const char *history_label,
			const struct migration_check_options *o, struct err *e)
{
	struct check c = { .target = target, .plan = p, .o = o, .ignore = { history_label, NULL } };
	int failed = 0;

	*ret = (struct migration_check){ .n_pending = count_pending(&c),
					 .n_half = p->counts[MIGRATION_HALF_UNDONE] };
	if (ret->n_pending)
		failed = run(&c, ret, e);
	scratch_notes_done(&c.notes);
	pg_close(c.pg);
	if (failed)
		migration_check_done(ret);
	return failed;
}

void migration_check_done(struct migration_check *c)
{
	json_decref(c->changes);
	json_decref(c->locks);
	json_decref(c->skipped);
	*c = (struct migration_check){ 0 };
}
