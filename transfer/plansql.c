/* plansql - the SQL that a plan stands for: what is read, where it goes, what a chunk is. */
#include "transfer/chunk.h"
#include "transfer/planpriv.h"

#include <stdlib.h>

static void add_tid(struct text *sql, uint64_t position)
{
	text_addf(sql, "'(%u,%u)'::pg_catalog.tid", (unsigned)chunk_block(position),
		  (unsigned)chunk_offset(position));
}

void plan_collection_expr(const struct plan_table *t, struct text *sql)
{
	text_add_ident(sql, t->collection_column);
	text_add(sql, "::pg_catalog.text COLLATE \"C\"");
}

/*
 * The names of one route, or of all routes that list names. A collection that came up under a later
 * plan travels with the remainder, so that the chunks of earlier plans keep their meaning.
 */
static void add_names(const struct plan_table *t, const struct plan_route *only, struct text *sql)
{
	int n = only ? only->n_collections : t->n_collections;
	bool first = true;

	text_add(sql, "(ARRAY[");
	for (int i = 0; i < n; i++) {
		const struct plan_collection *c = &t->collections[only ? only->collections[i] : i];
		const char *name = c->name;

		if (!name || (!only && t->routes[c->route].remainder))
			continue;
		if (!first)
			text_add(sql, ",");
		text_add_literal(sql, name);
		first = false;
	}
	text_add(sql, "]::pg_catalog.text[])");
}

void plan_predicate(const struct plan_table *t, int route, uint64_t from, uint64_t to,
		    struct text *sql)
{
	const struct plan_route *r = &t->routes[route];

	text_add(sql, "ctid >= ");
	add_tid(sql, from);
	text_add(sql, " AND ctid < ");
	add_tid(sql, to);
	if (!t->collection_column)
		return;
	text_add(sql, " AND (");
	if (r->remainder) {
		text_add_ident(sql, t->collection_column);
		text_add(sql, " IS NULL OR ");
		plan_collection_expr(t, sql);
		text_add(sql, " <> ALL ");
		add_names(t, NULL, sql);
	} else {
		plan_collection_expr(t, sql);
		text_add(sql, " = ANY ");
		add_names(t, r, sql);
	}
	text_add(sql, ")");
}

/* The text form that a column's digest, or the routing, needs beside the column itself. */
static void add_extra_columns(const struct plan_table *t, struct text *sql)
{
	for (int i = 0; i < t->n_columns && t->binary; i++) {
		if (t->columns[i].digest.mode != DIGEST_TEXT)
			continue;
		text_add(sql, ", ");
		digest_sql_column(sql, &t->columns[i].digest, "nf_src");
	}
	if (t->collection_column && !t->collection_is_text) {
		text_add(sql, ", nf_src.");
		text_add_ident(sql, t->collection_column);
		text_add(sql, "::pg_catalog.text");
	}
}

void plan_copy_out(const struct plan_table *t, const struct plan_range *r, uint64_t from,
		   struct text *sql)
{
	text_add(sql, "COPY (SELECT nf_src.ctid");
	for (int i = 0; i < t->n_columns; i++) {
		text_add(sql, ", ");
		if (t->columns[i].cast)
			digest_sql_value(sql, &t->columns[i].digest, "nf_src");
		else
			text_add_qname(sql, "nf_src", t->columns[i].name);
	}
	add_extra_columns(t, sql);
	text_addf(sql, " FROM ONLY %s AS nf_src WHERE nf_src.ctid >= ", t->qname);
	add_tid(sql, from);
	text_add(sql, " AND nf_src.ctid < ");
	add_tid(sql, chunk_position(r->to_block, 0));
	if (t->only_collections) {
		text_add(sql, " AND (");
		plan_collection_expr(t, sql);
		text_add(sql, " = ANY ");
		add_names(t, NULL, sql);
		text_add(sql, ")");
	}
	text_addf(sql, ") TO STDOUT%s", t->binary ? " (FORMAT binary)" : "");
}

void plan_copy_in(const struct plan_table *t, struct text *sql)
{
	text_addf(sql, "COPY %s", t->target_qname);
	if (t->copy_list[0])
		text_addf(sql, " (%s)", t->copy_list);
	text_addf(sql, " FROM STDIN%s", t->binary ? " (FORMAT binary)" : "");
}

struct digest_column *plan_digest_columns(const struct plan_table *t)
{
	size_t n = t->n_columns > 0 ? (size_t)t->n_columns : 1;
	struct digest_column *d = calloc(n, sizeof(*d));

	for (int i = 0; d && i < t->n_columns; i++) {
		d[i] = t->columns[i].digest;
		if (!t->binary) {
			d[i].mode = DIGEST_TEXT;
			d[i].type_oid = DIGEST_OID_TEXT;
		}
	}
	return d;
}
