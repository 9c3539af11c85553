/* plantarget - where each planned table goes in the target, and whether it may. */
#include "transfer/plan.h"

#include <stdlib.h>
#include <string.h>

static int refuse(struct err *e, const char *hint, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct err *e, const char *hint, const char *fmt, ...)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_addv(&t, fmt, ap);
	va_end(ap);
	err_set(e, ERR_REFUSED, "target: %s", text_str(&t));
	return err_hint(e, "%s", hint);
}

/* "public.vector(1536)" and "extensions.vector(1536)" are the same type in other schemas. */
static const char *bare_type(const struct column *c)
{
	const char *dot = strrchr(c->type, '.');

	return c->is_vector_like && dot ? dot + 1 : c->type;
}

static int check_column(const struct table *t, const struct column *from, const struct column *to,
			struct err *e)
{
	if (!to)
		return refuse(e, "add the column to the target's table, or drop the target's table and "
				 "let the run create it", "table %s has no column \"%s\"", t->qname,
			      from->name);
	if (to->generated)
		return refuse(e, "make it an ordinary column in the target, or generated in both",
			      "column \"%s\" of %s is generated, but not in the source", to->name,
			      t->qname);
	if (strcmp(bare_type(from), bare_type(to)) == 0)
		return 0;
	if (from->is_vector_like && to->is_vector_like)
		return refuse(e, "the target's column must have the source's type and number of dimensions",
			      "vector dimension mismatch: column \"%s\" of %s is %s in the source and %s "
			      "in the target", from->name, t->qname, from->type, to->type);
	return refuse(e, "give the target's column the source's type",
		      "column \"%s\" of %s is %s in the source and %s in the target", from->name,
		      t->qname, from->type, to->type);
}

static int check_columns(const struct table *from, const struct table *to, struct err *e)
{
	for (int i = 0; i < from->n_columns; i++) {
		const struct column *c = &from->columns[i];

		if (c->generated)
			continue;
		if (check_column(from, c, table_column(to, c->name), e) < 0)
			return -1;
	}
	for (int i = 0; i < to->n_columns; i++) {
		const struct column *c = &to->columns[i];

		if (c->not_null && !c->default_expr && !c->identity && !c->generated &&
		    !table_column(from, c->name))
			return refuse(e, "give it a default, or make it nullable for the load",
				      "column \"%s\" of %s must not be NULL, has no default, and the "
				      "source has no such column", c->name, to->qname);
	}
	return 0;
}

static int check_rights(const struct table *to, const struct run_settings *s, struct err *e)
{
	if (!to->can_insert)
		return refuse(e, "GRANT INSERT, SELECT on it to the role, or connect as its owner",
			      "table %s may not be written by this role", to->qname);
	if (!to->can_select)
		return refuse(e, "GRANT SELECT on it to the role: the proof must read what arrived",
			      "table %s may not be read by this role", to->qname);
	if (to->rls_blocks_us)
		return refuse(e, "connect as a role with BYPASSRLS, or turn it off for the load: ALTER "
				 "TABLE ... NO FORCE ROW LEVEL SECURITY",
			      "table %s has row-level security that applies to this role", to->qname);
	if (to->persistence == 'u' && !s->allow_unlogged)
		return refuse(e, "ALTER TABLE ... SET LOGGED first, or pass --allow-unlogged",
			      "table %s is unlogged: a restart of the target empties it", to->qname);
	return 0;
}

static bool same_bound(const struct table *a, const struct table *b)
{
	return a->partition_bound && b->partition_bound &&
	       strcmp(a->partition_bound, b->partition_bound) == 0;
}

/* The target's table that rows of `from` go to: the same name, or the partition root. */
static const struct table *find_target(const struct table *from, const struct catalog *target)
{
	const struct table *same = catalog_table(target, from->schema, from->name);

	if (!from->root_name)
		return same;
	if (same && same_bound(from, same))
		return same;
	return catalog_table(target, from->root_schema, from->root_name);
}

/* Why column c cannot go in binary between these two ends, or NULL. */
static const char *no_binary(const struct column *from, const struct column *to)
{
	if (!from->binary)
		return from->not_binary_why;
	return to->binary ? NULL : to->not_binary_why;
}

static int agree_on_format(struct plan_table *p, const struct table *from, const struct table *to,
			   struct err *e)
{
	for (int i = 0; i < p->n_columns && p->binary; i++) {
		const struct column *a = table_column(from, p->columns[i].name);
		const struct column *b = table_column(to, p->columns[i].name);
		const char *why = a && b ? no_binary(a, b) : NULL;

		if (!why)
			continue;
		p->binary = false;
		p->not_binary_why = strdup(why);
		if (!p->not_binary_why)
			return err_nomem(e);
	}
	return 0;
}

static int match_table(struct plan_table *p, const struct table *from, const struct catalog *target,
		       const struct run_settings *s, struct err *e)
{
	const struct table *to = find_target(from, target);
	char *qname;

	if (!to)
		return refuse(e, "create it first (neonferry run without --data-only does), or leave it out "
				 "with --exclude-table", "there is no table %s", from->qname);
	if (to->kind != 'r' && to->kind != 'p')
		return refuse(e, "rename or drop it, or leave the table out with --exclude-table",
			      "%s is not a table there", to->qname);
	if (check_rights(to, s, e) < 0 || check_columns(from, to, e) < 0 ||
	    agree_on_format(p, from, to, e) < 0)
		return -1;
	qname = strdup(to->qname);
	if (!qname)
		return err_nomem(e);
	free(p->target_qname);
	p->target_qname = qname;
	return 0;
}

int plan_match_target(struct plan *p, const struct catalog *source, const struct catalog *target,
		      const struct run_settings *s, struct err *e)
{
	for (int i = 0; i < p->n_tables; i++) {
		struct plan_table *t = &p->tables[i];
		const struct table *from = catalog_table(source, t->schema, t->name);

		if (!from)
			return err_set(e, ERR_INTERNAL, "table %s is planned but not in the catalog",
				       t->qname);
		if (match_table(t, from, target, s, e) < 0)
			return -1;
	}
	return 0;
}
