#include "verify/pair.h"

#include "schema/halfvec.h"

#include <stdio.h>
#include <string.h>

static const char *const role_word[] = { "source", "target" };

/* --- columns --- */

static void columns_free(struct pair_columns *c)
{
	for (int i = 0; i < 2; i++) {
		free(c->end[i]);
		free(c->column[i]);
	}
}

static int columns_room(struct pair_columns *c, int max, struct err *e)
{
	for (int i = 0; i < 2; i++) {
		c->end[i] = calloc((size_t)max + 1, sizeof(*c->end[i]));
		c->column[i] = calloc((size_t)max + 1, sizeof(*c->column[i]));
		if (!c->end[i] || !c->column[i])
			return err_nomem(e);
	}
	return 0;
}

static void columns_add(struct pair_columns *c, const struct column *source,
			const struct column *target)
{
	if (source)
		c->end[PG_SOURCE][c->n] = source->digest;
	if (target)
		c->end[PG_TARGET][c->n] = target->digest;
	c->column[PG_SOURCE][c->n] = source;
	c->column[PG_TARGET][c->n++] = target;
}

/* "public.vector(1536)" and "vector(3)" are both "vector"; "integer" stays. */
static size_t type_core(const char *type, const char **ret)
{
	size_t end = strcspn(type, "(");
	const char *start = type;

	for (size_t i = 0; i < end; i++)
		if (type[i] == '.')
			start = type + i + 1;
	*ret = start;
	return (size_t)(type + end - start);
}

static bool same_core(const char *a, const char *b)
{
	const char *x, *y;
	size_t n = type_core(a, &x), m = type_core(b, &y);

	return n == m && memcmp(x, y, n) == 0;
}

static bool is_core(const char *type, const char *core)
{
	return same_core(type, core);
}

/*
 * vector in the source, halfvec in the target: the cast moves to the source. The source's cast uses
 * the schema that its own vector type and functions live in.
 */
static int convert_column(struct pair *p, struct digest_column *source, const struct column *from,
			  const struct column *to, struct err *e)
{
	char **cast = &p->casts[p->n_casts], **send = cast + 1;

	if (halfvec_functions(source->send_fn, cast, send, e) < 0)
		return -1;
	p->n_casts += 2;
	source->cast_fmt = *cast;
	source->send_fn = *send;
	p->converted = true;
	snprintf(p->conversion, sizeof(p->conversion), "%.40s: %.30s to %.30s", from->name,
		 from->type, to->type);
	return 0;
}

static void why_not(struct pair *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void why_not(struct pair *p, const char *fmt, ...)
{
	va_list ap;

	if (p->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
}

/* Same bytes in the digest for the same value? Else the two digests could never be equal. */
static void check_types(struct pair *p, const struct column *s, const struct column *t)
{
	const struct digest_column *a = &s->digest, *b = &t->digest;

	if (a->mode != b->mode || a->type_oid != b->type_oid ||
	    (a->mode == DIGEST_SEND && !a->base_type && !same_core(s->type, t->type)))
		why_not(p, "column \"%s\" is %s in the source and %s in the target", s->name,
			s->type, t->type);
}

static int pair_column(struct pair *p, struct pair_columns *c, const struct column *s,
		       const struct column *t, struct err *e)
{
	columns_add(c, s, t);
	if (!s || !t)
		return 0;
	if (is_core(s->type, "vector") && is_core(t->type, "halfvec"))
		return convert_column(p, &c->end[PG_SOURCE][c->n - 1], s, t, e);
	check_types(p, s, t);
	return 0;
}

static int pair_one_column(struct pair *p, const struct column *s, struct err *e)
{
	const struct column *t = NULL;
	bool generated = s->generated != '\0';

	if (p->end[PG_TARGET] && p->end[PG_SOURCE]) {
		t = table_column(p->end[PG_TARGET], s->name);
		if (!t) {
			why_not(p, "column \"%s\" is missing in the target", s->name);
			return 0;
		}
		if ((t->generated != '\0') != generated)
			why_not(p, "column \"%s\" is generated in the %s only", s->name,
				role_word[generated ? PG_SOURCE : PG_TARGET]);
	}
	return pair_column(p, generated ? &p->generated : &p->stored, s, t, e);
}

static int pair_columns(struct pair *p, struct err *e)
{
	const struct table *s = p->end[PG_SOURCE], *t = p->end[PG_TARGET];
	const struct table *lead = s ? s : t;

	if (columns_room(&p->stored, lead->n_columns, e) ||
	    columns_room(&p->generated, lead->n_columns, e) ||
	    columns_room(&p->key, lead->n_columns, e))
		return -1;
	for (int i = 0; i < lead->n_columns; i++)
		if (s ? pair_one_column(p, &s->columns[i], e)
		      : pair_column(p, t->columns[i].generated ? &p->generated : &p->stored, NULL,
				    &t->columns[i], e))
			return -1;
	for (int i = 0; s && t && i < t->n_columns; i++)
		if (!table_column(s, t->columns[i].name))
			why_not(p, "column \"%s\" is only in the target", t->columns[i].name);
	return 0;
}

/* --- keys --- */

static const char key_sql[] =
	"SELECT i.indrelid, i.indexrelid, a.attname FROM pg_catalog.pg_index i"
	" CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[])"
	"  WITH ORDINALITY k(attnum, place)"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
	" WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid"
	"  AND k.place <= i.indnkeyatts AND i.indrelid >= 16384"
	"  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute n WHERE n.attrelid = i.indrelid"
	"   AND n.attnum = ANY (i.indkey) AND NOT n.attnotnull)"
	" ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid, k.place";

static int column_place(const struct pair_columns *c, enum pg_role role, const char *name)
{
	for (int i = 0; i < c->n; i++)
		if (c->column[role][i] && !strcmp(c->column[role][i]->name, name))
			return i;
	return -1;
}

static bool add_key_column(struct pair *p, enum pg_role role, const char *name)
{
	int i = column_place(&p->stored, role, name);

	if (i < 0)
		return false;
	for (int r = 0; r < 2; r++) {
		p->key.end[r][p->key.n] = p->stored.end[r][i];
		p->key.column[r][p->key.n] = p->stored.column[r][i];
	}
	p->key.n++;
	return true;
}

/* The first unique index of a table in the answer is the best one; rows [row, end) are its own. */
static int take_key(struct pair *p, enum pg_role role, const PGresult *res, int row)
{
	const char *index = PQgetvalue(res, row, 1);
	bool ok = true;

	for (; row < PQntuples(res) && !strcmp(PQgetvalue(res, row, 1), index); row++)
		ok = ok && add_key_column(p, role, PQgetvalue(res, row, 2));
	if (!ok)
		p->key.n = 0;
	return row;
}

static struct pair *pair_by_oid(struct pairs *all, enum pg_role role, uint32_t oid)
{
	for (int i = 0; i < all->n; i++)
		if (all->pair[i].end[role] && all->pair[i].end[role]->oid == oid)
			return &all->pair[i];
	return NULL;
}

static int read_keys(struct pairs *all, enum pg_role role, struct pg *pg, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	if (pg_query(pg, key_sql, &res, e))
		return err_note(e, "reading the keys of the tables");
	for (int row = 0; row < PQntuples(res);) {
		uint32_t oid = (uint32_t)strtoul(PQgetvalue(res, row, 0), NULL, 10);
		struct pair *p = pair_by_oid(all, role, oid);

		if (p && p->key.n == 0)
			row = take_key(p, role, res, row);
		else
			row++;
	}
	return 0;
}

/* --- pairs --- */

static bool counts_as_table(const struct table *t)
{
	return strchr("rpm", t->kind) && !t->is_partition;
}

/* "users" and "public.users" both name public.users. */
static bool rule_fits(const struct table *t, const char *rule, size_t len)
{
	size_t schema = strlen(t->schema), name = strlen(t->name);

	if (len == name)
		return !strncmp(rule, t->name, len);
	return len == schema + 1 + name && !strncmp(rule, t->schema, schema) &&
	       rule[schema] == '.' && !strncmp(rule + schema + 1, t->name, name);
}

static const char *collection_column(const struct table *t, const struct pair_division *division)
{
	const char *column = division->otherwise;

	for (int i = 0; i < division->n_rules; i++) {
		const char *equals = strrchr(division->rules[i], '=');

		if (equals &&
		    rule_fits(t, division->rules[i], (size_t)(equals - division->rules[i])))
			column = equals + 1;
	}
	return column && table_column(t, column) ? column : NULL;
}

/* The first table that the rule is for; NULL: none. */
static const struct table *table_of_rule(const struct pairs *all, const char *rule, size_t len)
{
	for (int i = 0; i < all->n; i++) {
		const struct pair *p = &all->pair[i];
		const struct table *t = p->end[PG_SOURCE] ? p->end[PG_SOURCE] : p->end[PG_TARGET];

		if (rule_fits(t, rule, len))
			return t;
	}
	return NULL;
}

int pairs_check_division(const struct pairs *p, const struct pair_division *division, struct err *e)
{
	for (int i = 0; i < division->n_rules; i++) {
		const char *rule = division->rules[i], *equals = strrchr(rule, '=');
		const struct table *t;

		if (!equals) {
			err_set(e, ERR_USAGE, "\"%s\" does not say which column", rule);
			return err_hint(e, "write TABLE=COLUMN, as in public.documents=topic");
		}
		t = table_of_rule(p, rule, (size_t)(equals - rule));
		if (t && table_column(t, equals + 1))
			continue;
		if (t)
			err_set(e, ERR_USAGE, "table %s.%s has no column %s", t->schema, t->name,
				equals + 1);
		else
			err_set(e, ERR_USAGE, "no table that is compared is named %.*s",
				(int)(equals - rule), rule);
		return err_hint(e, "a rule for collections names a table and its column: "
				   "TABLE=COLUMN, as in public.documents=topic");
	}
	return 0;
}

static int make_pair(struct pair *p, const struct table *s, const struct table *t,
		     const struct pair_division *division, struct err *e)
{
	const struct table *any = s ? s : t;

	p->end[PG_SOURCE] = s;
	p->end[PG_TARGET] = t;
	if (asprintf(&p->name, "%s.%s", any->schema, any->name) < 0)
		return err_nomem(e);
	p->casts = calloc(2 * (size_t)any->n_columns + 1, sizeof(*p->casts));
	if (!p->casts)
		return err_nomem(e);
	if (pair_columns(p, e))
		return -1;
	p->collection_column = collection_column(any, division);
	if (p->collection_column && t && !table_column(t, p->collection_column))
		p->collection_column = NULL;
	return 0;
}

static int add_pair(struct pairs *all, const struct table *s, const struct table *t,
		    const struct pair_division *division, struct err *e)
{
	return make_pair(&all->pair[all->n++], s, t, division, e);
}

static int fill_pairs(struct pairs *all, const struct catalog *const catalogs[2],
		      const struct pair_division *division, bool only_source, struct err *e)
{
	const struct catalog *s = catalogs[PG_SOURCE], *t = catalogs[PG_TARGET];

	for (int i = 0; s && i < s->n_tables; i++) {
		const struct table *a = &s->tables[i];

		if (counts_as_table(a) &&
		    add_pair(all, a, catalog_table(t, a->schema, a->name), division, e))
			return -1;
	}
	for (int i = 0; !(s && only_source) && i < t->n_tables; i++) {
		const struct table *b = &t->tables[i];

		if (counts_as_table(b) && !(s && catalog_table(s, b->schema, b->name)) &&
		    add_pair(all, NULL, b, division, e))
			return -1;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

int pairs_make(struct pairs *ret, const struct catalog *const catalogs[2], struct pg *const pg[2],
	       const struct pair_division *division, bool only_source, struct err *e)
{
	const struct catalog *s = catalogs[PG_SOURCE];
	struct pairs all = { .n = 0 };
	int max = catalogs[PG_TARGET]->n_tables + (s ? s->n_tables : 0);

	all.pair = calloc((size_t)max + 1, sizeof(*all.pair));
	if (!all.pair)
		return err_nomem(e);
	if (fill_pairs(&all, catalogs, division, only_source, e)) {
		pairs_free(&all);
		return -1;
	}
	qsort(all.pair, (size_t)all.n, sizeof(*all.pair), by_name);
	for (int role = 0; role < 2; role++)
		if (pg[role] && read_keys(&all, (enum pg_role)role, pg[role], e)) {
			pairs_free(&all);
			return -1;
		}
	*ret = all;
	return 0;
}

void pairs_free(struct pairs *all)
{
	for (int i = 0; i < all->n; i++) {
		struct pair *p = &all->pair[i];

		for (int j = 0; p->casts && p->casts[j]; j++)
			free(p->casts[j]);
		free(p->casts);
		free(p->name);
		columns_free(&p->stored);
		columns_free(&p->generated);
		columns_free(&p->key);
	}
	free(all->pair);
	*all = (struct pairs){ .n = 0 };
}

static void columns_append(struct pair_columns *to, const struct pair_columns *from)
{
	for (int i = 0; i < from->n; i++, to->n++)
		for (int role = 0; role < 2; role++) {
			to->end[role][to->n] = from->end[role][i];
			to->column[role][to->n] = from->column[role][i];
		}
}

int pair_with_generated(struct pair *ret, const struct pair *p, struct err *e)
{
	struct pair both = *p;

	both.stored = (struct pair_columns){ .n = 0 };
	if (columns_room(&both.stored, p->stored.n + p->generated.n, e)) {
		columns_free(&both.stored);
		return -1;
	}
	columns_append(&both.stored, &p->stored);
	columns_append(&both.stored, &p->generated);
	*ret = both;
	return 0;
}

void pair_with_generated_done(struct pair *p)
{
	columns_free(&p->stored);
	*p = (struct pair){ .name = NULL };
}

bool pair_comparable(const struct pair *p)
{
	return p->end[PG_SOURCE] && p->end[PG_TARGET] && !p->why[0];
}

void pair_from(struct text *t, const struct pair *p, enum pg_role role)
{
	const struct table *table = p->end[role];

	text_addf(t, "%s%s", table->kind == 'p' ? "" : "ONLY ", table->qname);
}

#define OID_FLOAT4  700
#define OID_FLOAT8  701
#define OID_NUMERIC 1700

bool pair_key_is_loose(const struct pair *p, int i)
{
	const struct digest_column *c = &p->key.end[PG_TARGET][i];

	return c->mode == DIGEST_SELF && (c->type_oid == OID_NUMERIC || c->type_oid == OID_FLOAT4 ||
					  c->type_oid == OID_FLOAT8);
}

/* Without trailing zeros; + 0 makes 0 of -0. */
static void add_key_column_bytes(struct text *t, const struct digest_column *c, const char *alias)
{
	bool numeric = c->type_oid == OID_NUMERIC;

	text_add(t, numeric ? "pg_catalog.trim_scale(" : "(");
	digest_sql_column(t, c, alias);
	if (!numeric)
		text_addf(t, " OPERATOR(pg_catalog.+) 0::pg_catalog.%s",
			  c->type_oid == OID_FLOAT4 ? "float4" : "float8");
	text_add(t, ")");
}

void pair_key_bytes(struct text *t, const struct pair *p, enum pg_role role, const char *alias)
{
	text_add(t, "pg_catalog.record_send(ROW(");
	for (int i = 0; i < p->key.n; i++) {
		text_add(t, i > 0 ? ", " : "");
		if (pair_key_is_loose(p, i))
			add_key_column_bytes(t, &p->key.end[role][i], alias);
		else
			digest_sql_column(t, &p->key.end[role][i], alias);
	}
	text_add(t, "))");
}

void pair_key_text(struct text *t, const struct pair *p, enum pg_role role, const char *alias)
{
	text_add(t, "pg_catalog.format('");
	for (int i = 0; i < p->key.n; i++)
		text_add(t, i > 0 ? ", %s" : "%s");
	text_add(t, "'");
	for (int i = 0; i < p->key.n; i++) {
		text_add(t, ", ");
		text_add_qname(t, alias, p->key.end[role][i].name);
	}
	text_add(t, ")");
}
