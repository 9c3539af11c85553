/* planjson - a plan as a file: plan.<no>.json. */
#include "transfer/plan.h"

#include "common/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAN_FORMAT 1

/* --- writing --- */

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *column_json(const struct plan_column *c)
{
	return json_pack("{s:s, s:i, s:I, s:o, s:o, s:o, s:b}", "name", c->name, "mode",
			 (int)c->digest.mode, "oid", (json_int_t)c->digest.type_oid, "base",
			 text_or_null(c->base_type), "send", text_or_null(c->send_fn), "cast",
			 text_or_null(c->cast), "vector", c->vector);
}

static json_t *columns_json(const struct plan_table *t)
{
	json_t *a = json_array();

	for (int i = 0; i < t->n_columns; i++)
		json_array_append_new(a, column_json(&t->columns[i]));
	return a;
}

static json_t *collections_json(const struct plan_table *t)
{
	json_t *a = json_array();

	for (int i = 0; i < t->n_collections; i++)
		json_array_append_new(a, json_pack("{s:o, s:I, s:i}", "name",
						   text_or_null(t->collections[i].name), "rows",
						   (json_int_t)t->collections[i].rows, "route",
						   t->collections[i].route));
	return a;
}

static json_t *routes_json(const struct plan_table *t)
{
	json_t *a = json_array();

	for (int i = 0; i < t->n_routes; i++) {
		json_t *list = json_array();

		for (int k = 0; k < t->routes[i].n_collections; k++)
			json_array_append_new(list, json_integer(t->routes[i].collections[k]));
		json_array_append_new(a, json_pack("{s:o, s:b, s:I}", "collections", list,
						   "remainder", t->routes[i].remainder, "rows",
						   (json_int_t)t->routes[i].rows));
	}
	return a;
}

static json_t *ranges_json(const struct plan_table *t)
{
	json_t *a = json_array();

	for (int i = 0; i < t->n_ranges; i++)
		json_array_append_new(a, json_pack("[I,I]", (json_int_t)t->ranges[i].from_block,
						   (json_int_t)t->ranges[i].to_block));
	return a;
}

static json_t *table_json(const struct plan_table *t)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "schema",
			      t->schema, "name", t->name, "qname", t->qname, "target",
			      t->target_qname, "proof_schema", t->proof_schema, "proof_name",
			      t->proof_name, "oid", (json_int_t)t->oid, "relfilenode",
			      (json_int_t)t->relfilenode, "pages", (json_int_t)t->pages, "bytes",
			      (json_int_t)t->bytes, "rows", (json_int_t)t->rows);

	json_object_set_new(j, "binary", json_boolean(t->binary));
	json_object_set_new(j, "not_binary_why", text_or_null(t->not_binary_why));
	json_object_set_new(j, "unlogged", json_boolean(t->unlogged));
	json_object_set_new(j, "already_there", json_boolean(t->already_there));
	json_object_set_new(j, "copy_list", json_string(t->copy_list));
	json_object_set_new(j, "collection_column", text_or_null(t->collection_column));
	json_object_set_new(j, "collection_is_text", json_boolean(t->collection_is_text));
	json_object_set_new(j, "only_collections", json_boolean(t->only_collections));
	json_object_set_new(j, "columns", columns_json(t));
	json_object_set_new(j, "collections", collections_json(t));
	json_object_set_new(j, "routes", routes_json(t));
	json_object_set_new(j, "ranges", ranges_json(t));
	return j;
}

json_t *plan_json(const struct plan *p)
{
	json_t *tables = json_array();

	for (int i = 0; i < p->n_tables; i++)
		json_array_append_new(tables, table_json(&p->tables[i]));
	return json_pack("{s:i, s:i, s:s, s:s, s:s, s:I, s:o, s:O, s:O}", "format", PLAN_FORMAT,
			 "no", p->no, "snapshot", p->snapshot, "lsn", p->lsn, "source_id",
			 p->source_id, "large_objects", (json_int_t)p->large_objects, "tables",
			 tables, "left_out", p->left_out, "halfvec", p->losses);
}

static char *plan_path(const char *dir, int no)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "plan.%d.json", no);
	return file_path(dir, name);
}

int plan_save(const struct plan *p, const char *dir, struct err *e)
{
	AUTO(free) char *path = plan_path(dir, p->no);
	json_t *j = plan_json(p);
	int rc;

	rc = j && path ? file_write_json(path, j, e) : err_nomem(e);
	json_decref(j);
	return rc;
}

/* --- reading: every field is checked, a damaged plan must not make us read or write nonsense --- */

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_DISK, "the plan has no sound field \"%s\"", what);
}

static int take_text(const json_t *j, const char *key, bool may_be_null, char **ret, struct err *e)
{
	const json_t *v = json_object_get(j, key);

	if (may_be_null && (!v || json_is_null(v)))
		return 0;
	if (!json_is_string(v))
		return bad(e, key);
	*ret = strdup(json_string_value(v));
	return *ret ? 0 : err_nomem(e);
}

static void take_short(const json_t *j, const char *key, char *buf, size_t size)
{
	const char *s = json_string_value(json_object_get(j, key));

	(void)snprintf(buf, size, "%s", s ? s : "");
}

static int take_number(const json_t *j, const char *key, uint64_t max, uint64_t *ret, struct err *e)
{
	const json_t *v = json_object_get(j, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return bad(e, key);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int take_array(const json_t *j, const char *key, size_t item, void **ret, int *ret_n,
		      struct err *e)
{
	const json_t *v = json_object_get(j, key);
	size_t n = json_array_size(v);

	if (!json_is_array(v) || n > (1U << 24))
		return bad(e, key);
	*ret = calloc(n + 1, item);
	if (!*ret)
		return err_nomem(e);
	*ret_n = (int)n;
	return 0;
}

static int load_column(const json_t *j, struct plan_column *c, struct err *e)
{
	uint64_t mode, oid;

	if (take_text(j, "name", false, &c->name, e) < 0 ||
	    take_text(j, "base", true, &c->base_type, e) < 0 ||
	    take_text(j, "send", true, &c->send_fn, e) < 0 ||
	    take_text(j, "cast", true, &c->cast, e) < 0 ||
	    take_number(j, "mode", DIGEST_TEXT, &mode, e) < 0 ||
	    take_number(j, "oid", UINT32_MAX, &oid, e) < 0)
		return -1;
	c->vector = json_is_true(json_object_get(j, "vector"));
	c->digest = (struct digest_column){ .name = c->name,
					    .mode = (enum digest_mode)mode,
					    .type_oid = (uint32_t)oid,
					    .base_type = c->base_type,
					    .send_fn = c->send_fn,
					    .cast_fmt = c->cast };
	return 0;
}

static int load_collection(const json_t *j, const struct plan_table *t, struct plan_collection *c,
			   struct err *e)
{
	uint64_t route;

	if (take_text(j, "name", true, &c->name, e) < 0 ||
	    take_number(j, "rows", INT64_MAX, &c->rows, e) < 0 ||
	    take_number(j, "route", (uint64_t)(t->n_routes - 1), &route, e) < 0)
		return -1;
	c->len = c->name ? strlen(c->name) : 0;
	c->route = (int)route;
	return 0;
}

static int load_route(const json_t *j, int n_collections, struct plan_route *r, struct err *e)
{
	const json_t *list = json_object_get(j, "collections");

	if (take_number(j, "rows", INT64_MAX, &r->rows, e) < 0 ||
	    take_array(j, "collections", sizeof(int), (void **)&r->collections, &r->n_collections,
		       e) < 0)
		return -1;
	r->remainder = json_is_true(json_object_get(j, "remainder"));
	for (int i = 0; i < r->n_collections; i++) {
		json_int_t v = json_integer_value(json_array_get(list, (size_t)i));

		if (v < 0 || v >= n_collections)
			return bad(e, "routes.collections");
		r->collections[i] = (int)v;
	}
	return 0;
}

static int load_ranges(const json_t *j, struct plan_table *t, struct err *e)
{
	const json_t *list = json_object_get(j, "ranges");
	uint32_t at = 0;

	if (take_array(j, "ranges", sizeof(*t->ranges), (void **)&t->ranges, &t->n_ranges, e) < 0)
		return -1;
	for (int i = 0; i < t->n_ranges; i++) {
		const json_t *pair = json_array_get(list, (size_t)i);
		json_int_t from = json_integer_value(json_array_get(pair, 0));
		json_int_t to = json_integer_value(json_array_get(pair, 1));

		if (from != (json_int_t)at || to <= from || to > (json_int_t)t->pages)
			return bad(e, "ranges");
		t->ranges[i] = (struct plan_range){ (uint32_t)from, (uint32_t)to };
		at = (uint32_t)to;
	}
	return at == t->pages ? 0 : bad(e, "ranges");
}

static int load_lists(const json_t *j, struct plan_table *t, struct err *e)
{
	const json_t *columns = json_object_get(j, "columns");
	const json_t *collections = json_object_get(j, "collections");
	const json_t *routes = json_object_get(j, "routes");

	if (take_array(j, "columns", sizeof(*t->columns), (void **)&t->columns, &t->n_columns, e) < 0 ||
	    take_array(j, "collections", sizeof(*t->collections), (void **)&t->collections,
		       &t->n_collections, e) < 0 ||
	    take_array(j, "routes", sizeof(*t->routes), (void **)&t->routes, &t->n_routes, e) < 0)
		return -1;
	if (t->n_routes == 0 && t->n_collections > 0)
		return bad(e, "routes");
	for (int i = 0; i < t->n_columns; i++)
		if (load_column(json_array_get(columns, (size_t)i), &t->columns[i], e) < 0)
			return -1;
	for (int i = 0; i < t->n_collections; i++)
		if (load_collection(json_array_get(collections, (size_t)i), t, &t->collections[i],
				    e) < 0)
			return -1;
	for (int i = 0; i < t->n_routes; i++)
		if (load_route(json_array_get(routes, (size_t)i), t->n_collections, &t->routes[i],
			       e) < 0)
			return -1;
	return load_ranges(j, t, e);
}

static int load_table(const json_t *j, struct plan_table *t, struct err *e)
{
	uint64_t oid, node, pages;

	if (take_text(j, "schema", false, &t->schema, e) < 0 ||
	    take_text(j, "name", false, &t->name, e) < 0 ||
	    take_text(j, "qname", false, &t->qname, e) < 0 ||
	    take_text(j, "target", false, &t->target_qname, e) < 0 ||
	    take_text(j, "proof_schema", false, &t->proof_schema, e) < 0 ||
	    take_text(j, "proof_name", false, &t->proof_name, e) < 0 ||
	    take_text(j, "copy_list", false, &t->copy_list, e) < 0 ||
	    take_text(j, "not_binary_why", true, &t->not_binary_why, e) < 0 ||
	    take_text(j, "collection_column", true, &t->collection_column, e) < 0 ||
	    take_number(j, "oid", UINT32_MAX, &oid, e) < 0 ||
	    take_number(j, "relfilenode", UINT32_MAX, &node, e) < 0 ||
	    take_number(j, "pages", UINT32_MAX, &pages, e) < 0 ||
	    take_number(j, "bytes", INT64_MAX, &t->bytes, e) < 0 ||
	    take_number(j, "rows", INT64_MAX, &t->rows, e) < 0)
		return -1;
	t->oid = (uint32_t)oid;
	t->relfilenode = (uint32_t)node;
	t->pages = (uint32_t)pages;
	t->binary = json_is_true(json_object_get(j, "binary"));
	t->unlogged = json_is_true(json_object_get(j, "unlogged"));
	t->already_there = json_is_true(json_object_get(j, "already_there"));
	t->collection_is_text = json_is_true(json_object_get(j, "collection_is_text"));
	t->only_collections = json_is_true(json_object_get(j, "only_collections"));
	return load_lists(j, t, e);
}

static int load_plan(const json_t *j, struct plan *p, struct err *e)
{
	const json_t *list = json_object_get(j, "tables");
	uint64_t format, no;

	if (take_number(j, "format", INT32_MAX, &format, e) < 0 ||
	    take_number(j, "no", INT32_MAX, &no, e) < 0)
		return -1;
	if (format != PLAN_FORMAT)
		return err_set(e, ERR_DISK, "the plan has format %d, this program knows %d", (int)format,
			       PLAN_FORMAT);
	p->no = (int)no;
	take_short(j, "snapshot", p->snapshot, sizeof(p->snapshot));
	take_short(j, "lsn", p->lsn, sizeof(p->lsn));
	take_short(j, "source_id", p->source_id, sizeof(p->source_id));
	p->large_objects = json_integer_value(json_object_get(j, "large_objects"));
	p->left_out = json_incref(json_object_get(j, "left_out"));
	if (!json_is_array(p->left_out))
		return bad(e, "left_out");
	p->losses = json_incref(json_object_get(j, "halfvec"));
	if (!p->losses) /* of a version without conversions */
		p->losses = json_array();
	if (!json_is_array(p->losses))
		return bad(e, "halfvec");
	if (take_array(j, "tables", sizeof(*p->tables), (void **)&p->tables, &p->n_tables, e) < 0)
		return -1;
	for (int i = 0; i < p->n_tables; i++) {
		p->tables[i].no = i;
		if (load_table(json_array_get(list, (size_t)i), &p->tables[i], e) < 0)
			return err_note(e, "reading table %d of the plan", i);
	}
	return 0;
}

int plan_newest(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int newest = 0;

	while (d && (entry = readdir(d))) {
		int no = 0, len = 0;

		if (sscanf(entry->d_name, "plan.%d.json%n", &no, &len) == 1 && len > 0 &&
		    entry->d_name[len] == '\0' && no > newest)
			newest = no;
	}
	if (d)
		closedir(d);
	return newest;
}

int plan_parse(struct plan **ret, const json_t *j, struct err *e)
{
	AUTO(plan) struct plan *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(e);
	if (load_plan(j, p, e) < 0)
		return -1;
	*ret = GIVE(&p);
	return 0;
}

int plan_load(struct plan **ret, const char *dir, int no, struct err *e)
{
	AUTO(free) char *path = plan_path(dir, no > 0 ? no : plan_newest(dir));
	json_t *j = NULL;
	int rc;

	if (!path)
		return err_nomem(e);
	if (file_read_json(path, &j, e) < 0)
		return err_hint(e, "without a sound plan the run cannot go on: neonferry abort removes "
				   "it, then start again");
	rc = plan_parse(ret, j, e);
	json_decref(j);
	if (rc == 0)
		return 0;
	err_note(e, "reading %s", path);
	return err_hint(e, "without a sound plan the run cannot go on: neonferry abort removes it, then "
			   "start again");
}
