/* plantarget - where each planned table goes in the target, and whether it may. */
#include "schema/fit.h"
#include "transfer/planpriv.h"

#include <stdlib.h>
#include <string.h>

/*
 * Of a partition by hash it says nothing: an enum is hashed by its OID, a text by its encoding, and
 * both may be others in the target.
 */
static bool same_bound(const struct table *a, const struct table *b)
{
	static const char hash[] = "FOR VALUES WITH";

	return a->partition_bound && b->partition_bound &&
	       strcmp(a->partition_bound, b->partition_bound) == 0 &&
	       strncmp(a->partition_bound, hash, strlen(hash)) != 0;
}

/* The target's table that rows of `from` go to: the same name, or the partition root. */
static const struct table *find_target(const struct table *from, const struct catalog *target)
{
	const struct table *same = catalog_table(target, from->schema, from->name);

	if (!from->root_name || (same && same_bound(from, same)))
		return same;
	return catalog_table(target, from->root_schema, from->root_name);
}

/* All that is wrong with one table, as one error: the first is the text, the others follow. */
static int refuse_differences(const struct comparison *c, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	const char *hint = NULL;

	for (int i = 0; i < c->n; i++) {
		const struct difference *d = &c->list[i];

		if (d->severity != DIFFERENCE_ERROR)
			continue;
		text_addf(&t, "%s%s: %s", t.len ? "; " : "", d->object, d->text);
		if (!hint)
			hint = d->hint;
	}
	err_set(e, ERR_REFUSED, "target: %s", text_str(&t));
	return hint ? err_hint(e, "%s", hint) : -1;
}

/* What holds for all tables: encoding, extensions. */
static int check_databases(const struct catalog *source, const struct catalog *target,
			   const struct run_settings *s, struct err *e)
{
	struct fit_options options = { .data_only = !s->schema };
	struct comparison c = COMPARISON_INIT;
	int rc = fit_databases(&c, source, target, e);

	if (rc == 0)
		rc = fit_extensions(&c, source, target, &options, e);
	if (rc == 0 && c.n_errors > 0)
		rc = refuse_differences(&c, e);
	comparison_done(&c);
	return rc;
}

static int check_differences(const struct catalog *source, const struct table *from,
			     const struct catalog *target, const struct table *to,
			     const struct run_settings *s, struct err *e)
{
	struct fit_options options = { .data_only = true, .allow_unlogged = s->allow_unlogged };
	struct comparison c = COMPARISON_INIT;
	int rc = fit_tables(&c, source, from, target, to, &options, e);

	if (rc == 0 && c.n_errors > 0)
		rc = refuse_differences(&c, e);
	comparison_done(&c);
	return rc;
}

static int agree_on_format(struct plan_table *p, const struct catalog *source,
			   const struct table *from, const struct catalog *target,
			   const struct table *to, struct err *e)
{
	AUTO_TEXT struct text why = TEXT_INIT;

	if (!p->binary)
		return 0;
	p->binary = fit_is_binary(source, from, target, to, &why);
	if (p->binary)
		return 0;
	p->not_binary_why = text_take(&why, e);
	return p->not_binary_why ? 0 : -1;
}

static int match_table(struct plan_table *p, const struct catalog *source, const struct table *from,
		       const struct catalog *target, const struct table *to,
		       const struct run_settings *s, struct err *e)
{
	char *qname;

	if (check_differences(source, from, target, to, s, e) < 0 ||
	    agree_on_format(p, source, from, target, to, e) < 0)
		return -1;
	qname = strdup(to->qname);
	if (!qname)
		return err_nomem(e);
	free(p->target_qname);
	p->target_qname = qname;
	return 0;
}

static int missing(const struct table *from, struct err *e)
{
	err_set(e, ERR_REFUSED, "target: there is no table %s", from->qname);
	return err_hint(e, "create it first (neonferry run without --data-only does), or leave it out with "
			   "--exclude-table");
}

/* A partition can only be made below a partitioned table; rows alone may go into a plain one. */
static int check_roots(const struct catalog *source, const struct catalog *target, struct err *e)
{
	for (int i = 0; i < source->n_tables; i++) {
		const struct table *from = &source->tables[i];
		const struct table *to = from->kind == 'p' && from->has_children
						 ? catalog_table(target, from->schema, from->name)
						 : NULL;

		if (!to || to->kind == 'p')
			continue;
		err_set(e, ERR_REFUSED,
			"target: %s is not partitioned, as it is in the source, so its partitions "
			"cannot be made",
			from->qname);
		return err_hint(e, "move its rows into it with --data-only, drop it in the target, "
				   "or leave it out with --exclude-table");
	}
	return 0;
}

int plan_match_target(struct plan *p, const struct catalog *source, const struct catalog *target,
		      const struct run_settings *s, bool may_be_missing, struct err *e)
{
	if (check_databases(source, target, s, e) < 0 ||
	    (s->schema && check_roots(source, target, e) < 0))
		return -1;
	for (int i = 0; i < p->n_tables; i++) {
		struct plan_table *t = &p->tables[i];
		const struct table *from = catalog_table(source, t->schema, t->name);
		const struct table *to = from ? find_target(from, target) : NULL;

		if (!from)
			return err_set(e, ERR_INTERNAL, "table %s is planned but not in the catalog",
				       t->qname);
		if (!to && may_be_missing)
			continue;
		if (!to)
			return missing(from, e);
		if (match_table(t, source, from, target, to, s, e) < 0)
			return -1;
	}
	return 0;
}
