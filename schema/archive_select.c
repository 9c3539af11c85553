#include "schema/archive_select.h"

#include "schema/pattern.h"

#include <stdlib.h>
#include <string.h>

struct patterns {
	struct pattern *list;
	int n;
};

struct selection {
	struct archive *a;
	struct patterns tables, excluded;
	bool *keep; /* by entry */
	bool *gone; /* a relation that was named as excluded, or is below one */
};

/* --- patterns --- */

static void patterns_done(struct patterns *p)
{
	for (int i = 0; i < p->n; i++)
		pattern_done(&p->list[i]);
	free(p->list);
}

static int patterns_parse(struct patterns *p, const char *const *texts, int n, struct err *e)
{
	p->list = calloc((size_t)n + 1, sizeof *p->list);
	if (!p->list)
		return err_nomem(e);
	for (; p->n < n; p->n++) {
		if (pattern_parse(&p->list[p->n], texts[p->n], e) < 0)
			return -1;
	}
	return 0;
}

static bool matches(const struct patterns *p, const struct archive_entry *entry)
{
	for (int i = 0; i < p->n; i++) {
		if (entry->schema && pattern_matches(&p->list[i], entry->schema, entry->tag))
			return true;
	}
	return false;
}

/* --- what belongs to what --- */

/* The table that owns a sequence, as an entry's index, or -1. */
static int owner_of(const struct archive *a, int i)
{
	const struct archive_entry *entry = &a->entries[i];

	if (strcmp(entry->type, "SEQUENCE") != 0)
		return -1;
	for (int k = 0; k < entry->n_depends; k++) {
		const struct archive_entry *on = archive_by_id(a, entry->depends[k]);
		if (on && archive_is_relation(on))
			return (int)(on - a->entries);
	}
	return -1;
}

/* What an entry goes with: its parent, or for a sequence its owner; -1 when it stands for itself.
 */
static int goes_with(const struct archive *a, int i)
{
	return a->entries[i].parent >= 0 ? a->entries[i].parent : owner_of(a, i);
}

/* For TABLE ATTACH: the parent's entry; -1 otherwise. The entry's own parent is the child. */
static int attached_to(const struct archive *a, int i)
{
	const struct archive_entry *entry = &a->entries[i];

	if (strcmp(entry->type, "TABLE ATTACH") != 0)
		return -1;
	for (int k = 0; k < entry->n_depends; k++) {
		const struct archive_entry *on = archive_by_id(a, entry->depends[k]);
		if (on && archive_is_relation(on) && on - a->entries != entry->parent)
			return (int)(on - a->entries);
	}
	return -1;
}

/* A partition goes with its root: spread a mark from parents to children until nothing changes. */
static void spread_to_partitions(const struct archive *a, bool *mark)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (int i = 0; i < a->n_entries; i++) {
			int parent = attached_to(a, i), child = a->entries[i].parent;
			if (parent >= 0 && child >= 0 && mark[parent] && !mark[child])
				mark[child] = changed = true;
		}
	}
}

/* --- marking --- */

static void keep_with_needs(struct selection *s, int i);

static void keep_needs(struct selection *s, int i)
{
	const struct archive_entry *entry = &s->a->entries[i];

	for (int k = 0; k < entry->n_depends; k++) {
		const struct archive_entry *on = archive_by_id(s->a, entry->depends[k]);
		if (on && on->parent < 0)
			keep_with_needs(s, (int)(on - s->a->entries));
	}
}

/* LIMIT	As deep as the longest chain of dependencies. */
static void keep_with_needs(struct selection *s, int i)
{
	if (s->keep[i] || s->gone[i])
		return;
	s->keep[i] = true;
	keep_needs(s, i);
}

/* The first needed entry that is not carried, or NULL. */
static const struct archive_entry *missing_need(const struct selection *s, int i)
{
	const struct archive_entry *entry = &s->a->entries[i];

	for (int k = 0; k < entry->n_depends; k++) {
		const struct archive_entry *on = archive_by_id(s->a, entry->depends[k]);
		if (!on)
			continue;
		if (!s->keep[on - s->a->entries] || (on->left_out && on->parent < 0))
			return on;
	}
	return NULL;
}

/* Parts follow what they belong to; what they need (a trigger's function) comes along, tables not.
 */
static void keep_parts(struct selection *s)
{
	const struct archive *a = s->a;

	for (int i = 0; i < a->n_entries; i++) {
		int with = goes_with(a, i);
		if (with < 0 || s->keep[i] || !s->keep[with])
			continue;
		s->keep[i] = true;
		for (int k = 0; k < a->entries[i].n_depends; k++) {
			const struct archive_entry *on = archive_by_id(a, a->entries[i].depends[k]);
			if (on && on->parent < 0 && !archive_is_relation(on))
				keep_with_needs(s, (int)(on - a->entries));
		}
	}
}

static void mark(struct selection *s)
{
	const struct archive *a = s->a;

	for (int i = 0; i < a->n_entries; i++)
		s->gone[i] = archive_is_relation(&a->entries[i]) &&
			     matches(&s->excluded, &a->entries[i]);
	spread_to_partitions(a, s->gone);
	if (s->tables.n == 0) {
		for (int i = 0; i < a->n_entries; i++) {
			int with = goes_with(a, i);
			s->keep[i] = !s->gone[i] && (with < 0 || s->keep[with]);
		}
		return;
	}
	bool *wanted = s->keep; /* first only the named ones, then all they need */
	for (int i = 0; i < a->n_entries; i++)
		wanted[i] = !s->gone[i] && archive_is_relation(&a->entries[i]) &&
			    matches(&s->tables, &a->entries[i]);
	spread_to_partitions(a, wanted);
	for (int i = 0; i < a->n_entries; i++) {
		wanted[i] = wanted[i] && !s->gone[i];
		if (wanted[i])
			keep_needs(s, i);
	}
	/* A part may bring a function or sequence that has parts of its own. */
	keep_parts(s);
	keep_parts(s);
}

/* --- applying --- */

static int leave_out(struct selection *s, struct err *e)
{
	for (int i = 0; i < s->a->n_entries; i++) {
		struct archive_entry *entry = &s->a->entries[i];
		const struct archive_entry *missing;
		AUTO_TEXT struct text label = TEXT_INIT;

		if (!s->keep[i] || entry->left_out || !(missing = missing_need(s, i)))
			continue;
		text_add(&label, "it needs ");
		archive_entry_label(missing, &label);
		text_add(&label, ", which is not carried");
		if (!(entry->left_out = text_take(&label, e)))
			return -1;
	}
	return 0;
}

static int compact(struct selection *s, struct err *e)
{
	struct archive *a = s->a;
	AUTO(free) int *place = calloc((size_t)a->n_entries + 1, sizeof *place);
	int n = 0;

	if (!place)
		return err_nomem(e);
	for (int i = 0; i < a->n_entries; i++) {
		place[i] = s->keep[i] ? n : -1;
		if (!s->keep[i])
			archive_entry_done(&a->entries[i]);
		else
			a->entries[n++] = a->entries[i];
	}
	a->n_entries = n;
	for (int i = 0; i < n; i++) {
		if (a->entries[i].parent >= 0)
			a->entries[i].parent = place[a->entries[i].parent];
	}
	return archive_sort_ids(a, e);
}

int archive_select(struct archive *a, const char *const *tables, int n_tables,
		   const char *const *excluded, int n_excluded, struct err *e)
{
	struct selection s = { .a = a };
	int rc = -1;

	if (n_tables == 0 && n_excluded == 0)
		return 0;
	s.keep = calloc((size_t)a->n_entries + 1, sizeof *s.keep);
	s.gone = calloc((size_t)a->n_entries + 1, sizeof *s.gone);
	if (!s.keep || !s.gone)
		err_nomem(e);
	else if (patterns_parse(&s.tables, tables, n_tables, e) == 0 &&
		 patterns_parse(&s.excluded, excluded, n_excluded, e) == 0) {
		mark(&s);
		rc = leave_out(&s, e) < 0 || compact(&s, e) < 0 ? -1 : 0;
	}
	patterns_done(&s.tables);
	patterns_done(&s.excluded);
	free(s.keep);
	free(s.gone);
	return rc;
}
