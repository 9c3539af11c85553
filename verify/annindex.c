#include "verify/annindex.h"

#include "verify/alike.h"
#include "verify/finding.h"

#include <stdio.h>
#include <string.h>

/* Indexes of partitions that a valid one of the table above stands for are searched with it. */
static const char index_sql[] =
	"SELECT r.oid, c.relname, m.amname, o.opcname,"
	" CASE WHEN i.indkey[0] = 0 THEN pg_get_indexdef(c.oid, 1, true)"
	"  ELSE (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = t.oid"
	"   AND a.attnum = i.indkey[0]) END,"
	" pg_get_expr(i.indpred, i.indrelid),"
	" (SELECT format('%I.%I', yn.nspname, y.typname) FROM pg_type y JOIN pg_namespace yn"
	"   ON yn.oid = y.typnamespace WHERE y.oid = o.opcintype),"
	" (SELECT quote_ident(q.nspname) FROM pg_namespace q WHERE q.oid = o.opcnamespace),"
	" a.atttypmod,"
	" CASE WHEN t.relispartition THEN format('%I.%I', n.nspname, t.relname) END"
	" FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam"
	" JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
	" JOIN pg_class r ON r.oid = coalesce(pg_partition_root(t.oid), t.oid)"
	" JOIN pg_namespace rn ON rn.oid = r.relnamespace"
	" JOIN pg_opclass o ON o.oid = i.indclass[0]"
	" JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1"
	" WHERE m.amname IN ('hnsw', 'ivfflat') AND i.indisvalid"
	" AND NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_index above ON above.indexrelid ="
	" h.inhparent AND above.indisvalid WHERE h.inhrelid = c.oid)"
	" ORDER BY rn.nspname, r.relname, 5, 4, 2";

enum { TABLE, NAME, METHOD, CLASS, OPERAND, PREDICATE, TYPE, SCHEMA, TYPMOD, PART };

/* Not of bits and sparse vectors, and whatever comes later. */
static bool metric_of(const char *class, enum knn_metric *ret, const char **ret_operator)
{
	static const struct {
		const char *end;
		enum knn_metric metric;
		const char *operator;
	} all[] = { { "_cosine_ops", KNN_COSINE, "<=>" },
		    { "_l2_ops", KNN_L2, "<->" },
		    { "_ip_ops", KNN_IP, "<#>" },
		    { "_l1_ops", KNN_L1, "<+>" } };

	if (strncmp(class, "vector_", 7) != 0 && strncmp(class, "halfvec_", 8) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strstr(class, all[i].end)) {
			*ret = all[i].metric;
			*ret_operator = all[i].operator;
			return true;
		}
	return false;
}

static void end_free(struct annindex_end *end)
{
	free(end->name);
	free(end->operand);
	free(end->type);
	free(end->operator);
	free(end->predicate);
}

void annindex_free(struct annindex_list *l)
{
	for (int i = 0; i < l->n; i++) {
		end_free(&l->items[i].end[0]);
		end_free(&l->items[i].end[1]);
		free(l->items[i].label);
		free(l->items[i].part);
		free(l->items[i].method);
	}
	free(l->items);
	*l = (struct annindex_list){ .n = 0 };
}

static int fill_end(struct annindex_end *end, const PGresult *res, int row, const char *operator,
		    bool is_there, struct err *e)
{
	const char *predicate = PQgetvalue(res, row, PREDICATE);

	end->name = is_there ? strdup(PQgetvalue(res, row, NAME)) : NULL;
	end->operand = strdup(PQgetvalue(res, row, OPERAND));
	end->type = strdup(PQgetvalue(res, row, TYPE));
	end->predicate = predicate[0] ? strdup(predicate) : NULL;
	if (asprintf(&end->operator, "OPERATOR(%s.%s)", PQgetvalue(res, row, SCHEMA), operator) < 0)
		end->operator= NULL;
	if (!end->operand || !end->type || !end->operator||(is_there && !end->name))
		return err_nomem(e);
	return 0;
}

static const struct pair *pair_of(const struct pairs *pairs, enum pg_role role, const char *oid)
{
	uint32_t n = (uint32_t)strtoul(oid, NULL, 10);

	for (int i = 0; i < pairs->n; i++)
		if (pairs->pair[i].end[role] && pairs->pair[i].end[role]->oid == n)
			return &pairs->pair[i];
	return NULL;
}

static bool same_or_none(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : !a && !b;
}

/* NULL for an empty field. */
static const char *field(const PGresult *res, int row, int column)
{
	const char *s = PQgetvalue(res, row, column);

	return s[0] ? s : NULL;
}

/* Where vectors became halfvec, an index on the cast is one on the column there. */
static bool same_operand(const struct pair *p, enum pg_role role, const char *here,
			 const char *there)
{
	if (!p->converted)
		return !strcmp(here, there);
	return role == PG_TARGET ? alike_operand(there, here) : alike_operand(here, there);
}

/* The item of the same table, operand and metric whose `role` end is still empty. */
static struct annindex *match(struct annindex_list *l, const struct pair *p, enum pg_role role,
			      enum knn_metric metric, const PGresult *res, int row)
{
	for (int i = 0; i < l->n; i++) {
		struct annindex *x = &l->items[i];
		const struct annindex_end *other =
			&x->end[role == PG_SOURCE ? PG_TARGET : PG_SOURCE];

		if (x->pair == p && x->metric == metric && !x->end[role].name && other->operand &&
		    !strcmp(x->method, PQgetvalue(res, row, METHOD)) &&
		    same_operand(p, role, PQgetvalue(res, row, OPERAND), other->operand) &&
		    same_or_none(x->part, field(res, row, PART)) &&
		    same_or_none(other->predicate, field(res, row, PREDICATE)))
			return x;
	}
	return NULL;
}

static struct annindex *add_item(struct annindex_list *l, const struct pair *p,
				 enum knn_metric metric, const PGresult *res, int row)
{
	struct annindex *more = realloc(l->items, ((size_t)l->n + 1) * sizeof(*more));
	struct annindex *x;

	if (!more)
		return NULL;
	l->items = more;
	x = &l->items[l->n++];
	*x = (struct annindex){ .pair = p, .metric = metric };
	x->method = strdup(PQgetvalue(res, row, METHOD));
	x->dims = (int)strtol(PQgetvalue(res, row, TYPMOD), NULL, 10);
	x->expression = strchr(PQgetvalue(res, row, OPERAND), '(') != NULL;
	if (asprintf(&x->label, "%s.%s", p->name, PQgetvalue(res, row, NAME)) < 0)
		x->label = NULL;
	if (field(res, row, PART) && !(x->part = strdup(field(res, row, PART))))
		return NULL;
	return x->method && x->label ? x : NULL;
}

/* One that only the source has is missing in the target, which is told with the definitions. */
static int tell_skipped(const struct pair *p, enum pg_role role, const PGresult *res, int row,
			json_t *checks, struct err *e)
{
	AUTO_TEXT struct text label = TEXT_INIT;

	if (role == PG_SOURCE)
		return 0;
	text_addf(&label, "%s.%s", p->name, PQgetvalue(res, row, NAME));
	if (text_check(&label, e))
		return -1;
	finding_add(checks, "search", text_str(&label), FINDING_UNKNOWN,
		    "searches through %s are not looked at: its operator class is %s, and only "
		    "vector and halfvec are searched",
		    text_str(&label), PQgetvalue(res, row, CLASS));
	return 0;
}

static int take_row(struct annindex_list *l, const struct pairs *pairs, enum pg_role role,
		    const PGresult *res, int row, json_t *checks, struct err *e)
{
	const struct pair *p = pair_of(pairs, role, PQgetvalue(res, row, TABLE));
	enum knn_metric metric;
	const char *operator;
	struct annindex *x;

	if (!p || !p->end[PG_TARGET])
		return 0;
	if (!metric_of(PQgetvalue(res, row, CLASS), &metric, &operator))
		return tell_skipped(p, role, res, row, checks, e);
	x = match(l, p, role, metric, res, row);
	if (!x)
		x = add_item(l, p, metric, res, row);
	if (!x)
		return err_nomem(e);
	end_free(&x->end[role]);
	x->end[role] = (struct annindex_end){ .name = NULL };
	if (role == PG_TARGET)
		x->half = !strncmp(PQgetvalue(res, row, CLASS), "halfvec_", 8);
	return fill_end(&x->end[role], res, row, operator, true, e);
}

/* The end without the index is searched for the same thing, by the types it has itself. */
static int copy_end(struct annindex *x, enum pg_role role, struct err *e)
{
	const struct annindex_end *from = &x->end[role == PG_SOURCE ? PG_TARGET : PG_SOURCE];
	struct annindex_end *to = &x->end[role];

	if (to->operand)
		return 0;
	to->operand = strdup(from->operand);
	to->type = strdup(from->type);
	to->operator= strdup(from->operator);
	to->predicate = from->predicate ? strdup(from->predicate) : NULL;
	return to->operand && to->type && to->operator? 0 : err_nomem(e);
}

int annindex_read(struct annindex_list *ret, struct pg *const pg[2], const struct pairs *pairs,
		  json_t *checks, struct err *e)
{
	struct annindex_list list = { .n = 0 };
	int rc = 0;

	for (int role = 0; role < 2 && rc == 0; role++) {
		AUTO(pgresult) PGresult *res = NULL;

		if (!pg[role])
			continue;
		rc = pg_query(pg[role], index_sql, &res, e);
		for (int row = 0; rc == 0 && row < PQntuples(res); row++)
			rc = take_row(&list, pairs, (enum pg_role)role, res, row, checks, e);
	}
	for (int i = 0; rc == 0 && i < list.n; i++)
		for (int role = 0; rc == 0 && role < 2; role++)
			if (pg[role])
				rc = copy_end(&list.items[i], (enum pg_role)role, e);
	if (rc) {
		annindex_free(&list);
		return err_note(e, "reading the vector indexes");
	}
	*ret = list;
	return 0;
}

void annindex_add_key(struct text *sql, const struct annindex *x, enum pg_role role,
		      const char *alias)
{
	if (x->pair->key.n > 0) {
		pair_key_text(sql, x->pair, role, alias);
		return;
	}
	text_add(sql, "substr(encode(");
	digest_sql_hash(sql, x->pair->stored.end[role], x->pair->stored.n, alias);
	text_add(sql, ", 'hex'), 1, 32)");
}

void annindex_add_from(struct text *sql, const struct annindex *x, enum pg_role role)
{
	text_add(sql, " FROM ");
	if (x->part)
		text_add(sql, x->part);
	else
		pair_from(sql, x->pair, role);
	text_add(sql, " AS nf_src");
	if (x->end[role].predicate)
		text_addf(sql, " WHERE (%s)", x->end[role].predicate);
}

void annindex_add_search(struct text *sql, const struct annindex *x, enum pg_role role,
			 const char *vector, int k)
{
	const struct annindex_end *end = &x->end[role];

	text_add(sql, "SELECT ");
	annindex_add_key(sql, x, role, "nf_src");
	text_addf(sql, " AS key, %s %s %s AS d", end->operand, end->operator, vector);
	annindex_add_from(sql, x, role);
	text_addf(sql, " ORDER BY %s %s %s LIMIT %d", end->operand, end->operator, vector, k);
}
