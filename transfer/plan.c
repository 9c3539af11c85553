#include "transfer/planpriv.h"

#include <stdlib.h>
#include <string.h>

/* Most collections listed of one table; a column with more is no collection column. */
#define MAX_COLLECTIONS 100000
#define COUNT_BATCH 200 /* tables counted in one round trip and transaction */

static void route_done(struct plan_route *r)
{
	free(r->collections);
}

static void column_done(struct plan_column *c)
{
	free(c->name);
	free(c->base_type);
	free(c->send_fn);
	free(c->cast);
}

void plan_table_done(struct plan_table *t)
{
	for (int i = 0; i < t->n_columns && t->columns; i++)
		column_done(&t->columns[i]);
	for (int i = 0; i < t->n_collections && t->collections; i++)
		free(t->collections[i].name);
	for (int i = 0; i < t->n_routes && t->routes; i++)
		route_done(&t->routes[i]);
	free(t->schema);
	free(t->name);
	free(t->qname);
	free(t->target_qname);
	free(t->proof_schema);
	free(t->proof_name);
	free(t->not_binary_why);
	free(t->columns);
	free(t->copy_list);
	free(t->collection_column);
	free(t->collections);
	free(t->routes);
	free(t->ranges);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (int i = 0; i < p->n_tables && p->tables; i++)
		plan_table_done(&p->tables[i]);
	free(p->tables);
	json_decref(p->left_out);
	json_decref(p->losses);
	free(p);
}

int plan_find_collection(const struct plan_table *t, const char *name, size_t len)
{
	int lo = 0, hi = t->n_collections;

	if (hi > 0 && !t->collections[hi - 1].name) {
		if (!name)
			return hi - 1;
		hi--;
	} else if (!name) {
		return -1;
	}
	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;
		const struct plan_collection *c = &t->collections[mid];
		int d = memcmp(name, c->name, len < c->len ? len : c->len);

		if (d == 0)
			d = (len > c->len) - (len < c->len);
		if (d == 0)
			return mid;
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -1;
}

/* --- making a plan --- */

static bool lists_null(const struct plan_table *t)
{
	return t->n_collections > 0 && !t->collections[t->n_collections - 1].name;
}

static int refuse(struct err *e, const char *what, const char *name, const char *hint)
{
	err_set(e, ERR_REFUSED, "source: table %s %s", name, what);
	return err_hint(e, "%s", hint);
}

static int refuse_reading(const struct table *t, struct err *e)
{
	return refuse(e, "may not be read by this role", t->qname,
		      "GRANT SELECT on it (and USAGE on its schema) to the role, or leave it out with "
		      "--exclude-table");
}

static int check_source(const struct table *t, struct err *e)
{
	if (t->kind == 'f')
		return refuse(e, "is a foreign table", t->qname,
			      "its rows live in another server; leave it out with --exclude-table");
	if (t->access_method && strcmp(t->access_method, "heap") != 0)
		return refuse(e, "is not a heap table, so it cannot be read in ranges", t->qname,
			      "leave it out with --exclude-table, or convert it to heap first");
	if (!t->can_select)
		return refuse_reading(t, e);
	if (t->rls_blocks_us)
		return refuse(e, "has row-level security that applies to this role, "
				 "so rows would silently be missing", t->qname,
			      "connect as the owner or as a role with BYPASSRLS");
	return 0;
}

int plan_check_rights(const struct catalog *source, struct err *e)
{
	for (int i = 0; i < source->n_tables; i++) {
		const struct table *t = &source->tables[i];

		if ((t->kind == 'r' || t->kind == 'p') && !t->can_select)
			return refuse_reading(t, e);
	}
	return 0;
}

static char *dup(const char *s, bool *failed)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		*failed = true;
	return copy;
}

static int copy_column(struct plan_column *to, const struct column *from, struct err *e)
{
	bool failed = false;

	to->name = dup(from->name, &failed);
	to->base_type = dup(from->digest.base_type, &failed);
	to->send_fn = dup(from->digest.send_fn, &failed);
	to->cast = dup(from->digest.cast_fmt, &failed);
	to->vector = from->is_vector && !to->cast;
	to->digest = from->digest;
	to->digest.name = to->name;
	to->digest.base_type = to->base_type;
	to->digest.send_fn = to->send_fn;
	to->digest.cast_fmt = to->cast;
	return failed ? err_nomem(e) : 0;
}

int plan_copy_columns(struct plan_table *p, const struct table *t, struct err *e)
{
	AUTO(free) int *order = calloc((size_t)t->n_columns + 1, sizeof(int));
	int n;

	if (!order)
		return err_nomem(e);
	n = table_copy_columns(t, order);
	p->columns = calloc((size_t)n + 1, sizeof(*p->columns));
	if (!p->columns)
		return err_nomem(e);
	p->n_columns = n;
	p->binary = true;
	for (int i = 0; i < n; i++) {
		const struct column *c = &t->columns[order[i]];

		if (copy_column(&p->columns[i], c, e) < 0)
			return -1;
		if (!c->binary && p->binary) {
			AUTO_TEXT struct text why = TEXT_INIT;

			p->binary = false;
			text_addf(&why, "column %s: %s", c->name,
				  c->not_binary_why ? c->not_binary_why : "no binary form");
			p->not_binary_why = text_take(&why, e);
			if (!p->not_binary_why)
				return -1;
		}
	}
	return 0;
}

static int copy_names(struct plan_table *p, const struct table *t, struct err *e)
{
	AUTO_TEXT struct text list = TEXT_INIT;
	bool failed = false;

	p->schema = dup(t->schema, &failed);
	p->name = dup(t->name, &failed);
	p->qname = dup(t->qname, &failed);
	p->target_qname = dup(t->qname, &failed);
	p->proof_schema = dup(t->root_schema ? t->root_schema : t->schema, &failed);
	p->proof_name = dup(t->root_name ? t->root_name : t->name, &failed);
	table_copy_list(t, &list);
	p->copy_list = text_take(&list, e);
	if (!p->copy_list)
		return -1;
	return failed ? err_nomem(e) : 0;
}

/* The column in "table=column" where the table is this one, or NULL. */
static const char *column_asked(const struct table *t, const char *arg)
{
	const char *eq = strrchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : 0;
	AUTO_TEXT struct text full = TEXT_INIT;

	text_addf(&full, "%s.%s", t->schema, t->name);
	if (eq && ((strlen(t->name) == len && strncmp(arg, t->name, len) == 0) ||
		   (strlen(text_str(&full)) == len && strncmp(arg, text_str(&full), len) == 0) ||
		   (strlen(t->qname) == len && strncmp(arg, t->qname, len) == 0)))
		return eq + 1;
	return NULL;
}

/* The value of --collection-column for this table, or NULL. */
static const char *asked_collection_column(const struct table *t, const struct run_settings *s)
{
	const char *column = NULL;

	for (int i = 0; i < s->n_collection_columns && !column; i++)
		column = column_asked(t, s->collection_columns[i]);
	return column;
}

static int check_divisions(const struct catalog *source, const struct run_settings *s,
			   struct err *e)
{
	for (int i = 0; i < s->n_collection_columns; i++) {
		bool found = false;

		for (int k = 0; k < source->n_tables && !found; k++)
			found = column_asked(&source->tables[k], s->collection_columns[i]) != NULL;
		if (found)
			continue;
		err_set(e, ERR_USAGE,
			"option --collection-column: no table that is moved has the name in %s",
			s->collection_columns[i]);
		return err_hint(e, "write table=column or schema.table=column");
	}
	return 0;
}

static int choose_collection_column(struct plan_table *p, const struct table *t,
				    const struct run_settings *s, struct err *e)
{
	const char *asked = asked_collection_column(t, s);
	const char *name = asked;
	const struct column *c;

	if (!name && strcmp(t->name, "vector_documents") == 0)
		name = "collection_name";
	if (!name || !*name)
		return 0;
	c = table_column(t, name);
	if (!c || c->generated) {
		if (!asked)
			return 0;
		err_set(e, ERR_USAGE, "table %s has no column %s to divide it by", t->qname, name);
		return err_hint(e, "name an ordinary column in --collection-column %s=COLUMN", t->name);
	}
	p->collection_column = strdup(name);
	if (!p->collection_column)
		return err_nomem(e);
	p->collection_is_text = c->digest.mode == DIGEST_SELF &&
				(c->digest.type_oid == 25 || c->digest.type_oid == 1043);
	if (!p->binary)
		plan_route_by_text(p, t);
	return 0;
}

void plan_route_by_text(struct plan_table *p, const struct table *t)
{
	const struct column *c = p->collection_column ? table_column(t, p->collection_column) : NULL;

	p->collection_is_text = c && (strcmp(c->type, "text") == 0 ||
				      strncmp(c->type, "character varying", 17) == 0);
}

static bool is_wanted(const char *name, const struct run_settings *s)
{
	for (int i = 0; i < s->n_collections; i++)
		if (name && strcmp(name, s->collections[i]) == 0)
			return true;
	return s->n_collections == 0;
}

/* The independent count of every collection: a plain scan that shares nothing with the reader. */
int plan_count_collections(struct plan_table *p, struct pg *pg, const struct run_settings *s,
			   struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	int n;

	text_add(&sql, "SELECT ");
	plan_collection_expr(p, &sql);
	text_addf(&sql, ", pg_catalog.count(*) FROM ONLY %s GROUP BY 1 ORDER BY 1 NULLS LAST",
		  p->qname);
	if (text_check(&sql, e) < 0 || pg_query(pg, text_str(&sql), &res, e) < 0)
		return err_note(e, "counting the collections of %s", p->qname);
	n = PQntuples(res);
	if (n > MAX_COLLECTIONS) {
		err_set(e, ERR_USAGE, "table %s has %d different values of %s, at most %d make sense",
			p->qname, n, p->collection_column, MAX_COLLECTIONS);
		return err_hint(e, "choose another column with --collection-column");
	}
	p->collections = calloc((size_t)n + 1, sizeof(*p->collections));
	if (!p->collections)
		return err_nomem(e);
	for (int i = 0; i < n; i++) {
		const char *name = PQgetisnull(res, i, 0) ? NULL : PQgetvalue(res, i, 0);
		struct plan_collection *c = &p->collections[p->n_collections];

		if (!is_wanted(name, s))
			continue;
		c->name = name ? strdup(name) : NULL;
		if (name && !c->name)
			return err_nomem(e);
		c->len = name ? strlen(name) : 0;
		c->rows = strtoull(PQgetvalue(res, i, 1), NULL, 10);
		p->rows += c->rows;
		p->n_collections++;
	}
	return 0;
}

/* Largest collection first, each into the emptiest route; the remainder comes last. */
static int pack_routes(struct plan_table *p, int workers, struct err *e)
{
	int named = p->n_collections - (lists_null(p) ? 1 : 0);
	int n = named < workers ? named : workers;
	AUTO(free) int *by_rows = calloc((size_t)named + 1, sizeof(int));

	p->routes = calloc((size_t)n + 1, sizeof(*p->routes));
	if (!p->routes || !by_rows)
		return err_nomem(e);
	for (int i = 0; i < named; i++) {
		int at = i;

		while (at > 0 && p->collections[by_rows[at - 1]].rows < p->collections[i].rows) {
			by_rows[at] = by_rows[at - 1];
			at--;
		}
		by_rows[at] = i;
	}
	for (int r = 0; r < n; r++) {
		p->routes[r].collections = calloc((size_t)named, sizeof(int));
		if (!p->routes[r].collections)
			return err_nomem(e);
	}
	for (int i = 0; i < named; i++) {
		struct plan_route *least = &p->routes[0];

		for (int r = 1; r < n; r++)
			if (p->routes[r].rows < least->rows)
				least = &p->routes[r];
		least->collections[least->n_collections++] = by_rows[i];
		least->rows += p->collections[by_rows[i]].rows;
		p->collections[by_rows[i]].route = (int)(least - p->routes);
	}
	p->n_routes = n;
	if (p->only_collections)
		return 0;
	p->routes[n].remainder = true;
	if (lists_null(p)) {
		p->collections[named].route = n;
		p->routes[n].rows = p->collections[named].rows;
	}
	p->n_routes = n + 1;
	return 0;
}

static int cut_ranges(struct plan_table *p, uint64_t range_bytes, struct err *e)
{
	uint64_t per_page, step, n;

	if (p->pages == 0)
		return 0;
	per_page = p->bytes / p->pages > 8192 ? p->bytes / p->pages : 8192;
	step = range_bytes / per_page > 0 ? range_bytes / per_page : 1;
	n = (p->pages + step - 1) / step;
	p->ranges = calloc(n, sizeof(*p->ranges));
	if (!p->ranges)
		return err_nomem(e);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t to = (i + 1) * step;

		p->ranges[i].from_block = (uint32_t)(i * step);
		p->ranges[i].to_block = (uint32_t)(to < p->pages ? to : p->pages);
	}
	p->n_ranges = (int)n;
	return 0;
}

static int one_route(struct plan_table *p, struct err *e)
{
	p->routes = calloc(1, sizeof(*p->routes));
	if (!p->routes)
		return err_nomem(e);
	p->routes[0].remainder = true;
	p->routes[0].rows = p->rows;
	p->n_routes = 1;
	return 0;
}

static int make_table(struct plan_table *p, const struct table *t, const struct run_settings *s,
		      struct err *e)
{
	if (check_source(t, e) < 0 || copy_names(p, t, e) < 0 || plan_copy_columns(p, t, e) < 0)
		return -1;
	p->oid = t->oid;
	p->relfilenode = t->relfilenode;
	p->pages = (uint32_t)t->pages;
	p->bytes = (uint64_t)t->bytes;
	p->unlogged = t->persistence == 'u';
	if (s->format == RUN_FORMAT_TEXT && p->binary && p->n_columns > 0) {
		p->binary = false;
		p->not_binary_why = strdup("--format text was asked for");
	}
	if (s->format == RUN_FORMAT_BINARY && !p->binary) {
		err_set(e, ERR_REFUSED, "table %s cannot travel in binary: %s", t->qname,
			p->not_binary_why);
		return err_hint(e, "leave out --format binary: text is used where it must be");
	}
	return choose_collection_column(p, t, s, e);
}

/* Counts of tables without collections, many in one round trip. */
static int count_tables(struct plan *p, struct pg *pg, int first, int n, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	int asked = 0;

	for (int i = first; i < first + n; i++) {
		const struct plan_table *t = &p->tables[i];

		if (t->collection_column || t->pages == 0)
			continue;
		text_addf(&sql, "%sSELECT %d AS i, pg_catalog.count(*) FROM ONLY %s",
			  asked++ ? " UNION ALL " : "", i, t->qname);
	}
	if (asked == 0)
		return 0;
	if (text_check(&sql, e) < 0 || pg_query(pg, text_str(&sql), &res, e) < 0)
		return err_note(e, "counting rows in the source");
	for (int i = 0; i < PQntuples(res); i++)
		p->tables[atoi(PQgetvalue(res, i, 0))].rows =
			strtoull(PQgetvalue(res, i, 1), NULL, 10);
	return 0;
}

int plan_renew(struct pg *pg, const char *snapshot, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	if (snapshot) {
		text_add(&sql, "; SET TRANSACTION SNAPSHOT ");
		text_add_literal(&sql, snapshot);
		text_add(&sql, "; SET LOCAL lock_timeout = '60s'"); /* as before, see runsnapshot.c */
	}
	return text_check(&sql, e) < 0 ? -1 : pg_exec(pg, text_str(&sql), e);
}

/* Gives back the locks of the tables counted so far; plain scans only, which share no index. */
static int begin_counting(struct pg *pg, const char *snapshot, bool again, struct err *e)
{
	if (again && plan_renew(pg, snapshot, e) < 0)
		return -1;
	return pg_exec(pg, "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; "
			   "SET LOCAL enable_bitmapscan = off", e);
}

static int count_and_route(struct plan *p, struct pg *pg, const char *snapshot,
			   const struct run_settings *s, struct err *e)
{
	for (int i = 0; i < p->n_tables; i += COUNT_BATCH)
		if (begin_counting(pg, snapshot, i > 0, e) < 0 ||
		    count_tables(p, pg, i, p->n_tables - i < COUNT_BATCH ? p->n_tables - i : COUNT_BATCH,
				 e) < 0)
			return -1;
	for (int i = 0; i < p->n_tables; i++) {
		struct plan_table *t = &p->tables[i];

		if (!t->collection_column) {
			if (one_route(t, e) < 0)
				return -1;
			continue;
		}
		t->only_collections = s->n_collections > 0;
		if (plan_count_collections(t, pg, s, e) < 0 || pack_routes(t, s->workers, e) < 0)
			return -1;
	}
	return 0;
}

/* With --collection only divided tables take part, and each name must exist somewhere. */
static int check_wanted(struct plan *p, const struct run_settings *s, struct err *e)
{
	for (int i = 0; i < s->n_collections; i++) {
		bool found = false;

		for (int k = 0; k < p->n_tables && !found; k++)
			found = plan_find_collection(&p->tables[k], s->collections[i],
						     strlen(s->collections[i])) >= 0;
		if (!found) {
			err_set(e, ERR_USAGE, "no table has a collection named \"%s\"",
				s->collections[i]);
			return err_hint(e, "neonferry plan lists the collections");
		}
	}
	return 0;
}

/* Longest job first: bytes to move, and again for an index on vectors that must be built after. */
static int by_cost(const void *a, const void *b)
{
	const struct plan_table *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->qname, y->qname);
}

static uint64_t range_bytes(const struct plan *p, const struct run_settings *s)
{
	uint64_t total = 0, bytes;

	for (int i = 0; i < p->n_tables; i++)
		total += p->tables[i].bytes;
	bytes = total / (uint64_t)(s->jobs * 4);
	if (bytes < (uint64_t)64 << 20)
		bytes = (uint64_t)64 << 20;
	return bytes > (uint64_t)1 << 30 ? (uint64_t)1 << 30 : bytes;
}

static bool takes_part(const struct table *t, const struct run_settings *s)
{
	if (t->kind != 'r' && t->kind != 'f')
		return false;
	if (s->n_collections == 0)
		return true;
	return asked_collection_column(t, s) || strcmp(t->name, "vector_documents") == 0;
}

static int choose_tables(struct plan *p, const struct catalog *source,
			 const struct run_settings *s, struct err *e)
{
	p->tables = calloc((size_t)source->n_tables + 1, sizeof(*p->tables));
	p->left_out = json_array();
	p->losses = json_array();
	if (!p->tables || !p->left_out || !p->losses)
		return err_nomem(e);
	for (int i = 0; i < source->n_tables; i++) {
		const struct table *t = &source->tables[i];

		if (!takes_part(t, s))
			continue;
		if (make_table(&p->tables[p->n_tables++], t, s, e) < 0)
			return -1;
	}
	return 0;
}

int plan_make(struct plan **ret, int no, struct pg *pg, const char *snapshot,
	      const struct catalog *source, const struct run_settings *s, struct err *e)
{
	AUTO(plan) struct plan *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(e);
	p->no = no;
	p->large_objects = source->n_large_objects;
	if (check_divisions(source, s, e) < 0 || choose_tables(p, source, s, e) < 0)
		return -1;
	if (p->n_tables > 1)
		qsort(p->tables, (size_t)p->n_tables, sizeof(*p->tables), by_cost);
	for (int i = 0; i < p->n_tables; i++)
		p->tables[i].no = i;
	/* The format first: it decides how a collection is found in the stream, and so what is counted. */
	if (plan_choose_formats(p, pg, snapshot, source, s, e) < 0 ||
	    count_and_route(p, pg, snapshot, s, e) < 0 || check_wanted(p, s, e) < 0)
		return -1;
	for (int i = 0; i < p->n_tables; i++)
		if (cut_ranges(&p->tables[i], range_bytes(p, s), e) < 0)
			return -1;
	*ret = GIVE(&p);
	return 0;
}
