/* runresults - what the stream was, table by table, for whoever proves it. */
#include "transfer/runpriv.h"

#include "common/file.h"

#include <stdlib.h>
#include <string.h>

static struct run_table_result *find(struct run_results *res, const struct plan_table *t)
{
	for (int i = 0; i < res->n_tables; i++)
		if (strcmp(res->tables[i].schema, t->proof_schema) == 0 &&
		    strcmp(res->tables[i].name, t->proof_name) == 0)
			return &res->tables[i];
	return NULL;
}

static char *dup(const char *s)
{
	return s ? strdup(s) : NULL;
}

static struct run_table_result *start(struct run_results *res, const struct plan_table *t)
{
	struct run_table_result *to = &res->tables[res->n_tables++];

	to->schema = dup(t->proof_schema);
	to->name = dup(t->proof_name);
	to->collection_column = dup(t->collection_column);
	to->binary = t->binary;
	to->not_binary_why = dup(t->not_binary_why);
	to->already_there = t->already_there;
	to->only_collections = t->only_collections;
	to->columns = calloc((size_t)t->n_columns + 1, sizeof(*to->columns));
	for (int i = 0; to->columns && i < t->n_columns; i++) {
		to->columns[to->n_columns] = dup(t->columns[i].name);
		to->n_columns += to->columns[to->n_columns] != NULL;
	}
	return to;
}

/* Among the first `known`; else a new one at the end. */
static struct run_collection_result *find_collection(struct run_table_result *to, int known,
						     const char *name)
{
	struct run_collection_result *grown;

	for (int i = 0; i < known; i++) {
		const char *there = to->collections[i].name;

		if ((!there && !name) || (there && name && strcmp(there, name) == 0))
			return &to->collections[i];
	}
	grown = realloc(to->collections, (size_t)(to->n_collections + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	to->collections = grown;
	grown[to->n_collections] = (struct run_collection_result){ .name = dup(name) };
	return &grown[to->n_collections++];
}

struct summing {
	struct run_table_result *to;
	const struct plan_table *t;
	int *slot; /* index into to->collections of each collection of t */
};

static int add_chunk(void *ctx, struct registry_entry *entry, struct err *e)
{
	struct summing *s = ctx;
	const struct chunk *c = &entry->chunk;

	tally_add(&s->to->stream, &c->sent);
	s->to->bytes += c->raw_bytes;
	for (int i = 0; i < c->n_parts; i++) {
		const char *name = c->parts[i].collection;
		int at = plan_find_collection(s->t, name, name ? strlen(name) : 0);

		if (at < 0)
			return err_set(e, ERR_INTERNAL, "a chunk of %s has a collection that is not planned",
				       s->t->qname);
		tally_add(&s->to->collections[s->slot[at]].stream, &c->parts[i].tally);
	}
	return 0;
}

static int sum_table(struct run *r, struct run_table_result *to, const struct plan_table *t,
		     struct err *e)
{
	AUTO(free) int *slot = calloc((size_t)t->n_collections + 1, sizeof(int));
	struct summing s = { to, t, slot };
	int known = to->n_collections; /* of earlier leaves: one leaf names each collection once */

	if (!slot)
		return err_nomem(e);
	to->counted += t->rows;
	for (int i = 0; i < t->n_collections; i++) {
		struct run_collection_result *c = find_collection(to, known, t->collections[i].name);

		if (!c)
			return err_nomem(e);
		c->counted += t->collections[i].rows;
		slot[i] = (int)(c - to->collections);
	}
	return registry_each(r->known, t->no, add_chunk, &s, e);
}

/* What stood in the target before: once for each relation, also where several leaves share it. */
static int add_before(struct run *r, struct run_results *res, struct err *e)
{
	json_t *rows = NULL;
	const json_t *row;
	size_t i;
	int rc = 0;

	if (ledger_rows(r->target_pg, r->dir.name, "relation", &rows, e) < 0)
		return -1;
	json_array_foreach(rows, i, row) {
		json_int_t no = json_integer_value(json_object_get(row, "tbl"));
		json_int_t n = json_integer_value(json_object_get(row, "before_rows"));
		const char *a = json_string_value(json_object_get(row, "before0"));
		const char *b = json_string_value(json_object_get(row, "before1"));
		struct run_table_result *to;
		struct tally before = TALLY_INIT;
		char count[32];

		if (no < 0 || no >= r->plan->n_tables)
			continue;
		(void)snprintf(count, sizeof(count), "%" JSON_INTEGER_FORMAT, n);
		rc = tally_parse(&before, count, a, b, e);
		if (rc < 0)
			break;
		to = find(res, &r->plan->tables[no]);
		if (to && r->plan->tables[no].already_there)
			tally_add(&to->stream, &before);
		else if (to)
			tally_add(&to->before, &before);
	}
	json_decref(rows);
	return rc;
}

static json_t *left_out_json(struct run *r)
{
	json_t *list = r->plan ? json_deep_copy(r->plan->left_out) : json_array();
	json_t *schema = r->archive ? archive_left_out(r->archive) : json_array();

	if (!list || !schema || json_array_extend(list, schema) < 0) {
		json_decref(list);
		list = NULL;
	}
	json_decref(schema);
	return list;
}

/* What was made before the run: the backup, and the point that the target can be set back to. */
static void add_kept(struct run *r, const char *key, const char *name)
{
	AUTO(free) char *path = rundir_file(&r->dir, name);
	struct err ignored = ERR_INIT;
	json_t *document = NULL;

	if (path && file_exists(path) && file_read_json(path, &document, &ignored) == 0)
		run_fact(r, key, document);
}

static int fill(struct run *r, struct run_results *res, struct err *e)
{
	int n = r->plan ? r->plan->n_tables : 0;

	res->tables = calloc((size_t)n + 1, sizeof(*res->tables));
	res->left_out = left_out_json(r);
	add_kept(r, "backup", RUNDIR_BACKUP);
	add_kept(r, "restore_point", RUNDIR_RESTORE_POINT);
	run_fact(r, "bytes_sent", json_integer((json_int_t)atomic_load(&r->progress.bytes_sent)));
	if (r->plan && json_array_size(r->plan->losses) > 0)
		run_fact(r, "halfvec", json_incref(r->plan->losses));
	res->facts = json_deep_copy(r->facts);
	if (!res->tables || !res->left_out || !res->facts)
		return err_nomem(e);
	for (int i = 0; i < n; i++) {
		const struct plan_table *t = &r->plan->tables[i];
		struct run_table_result *to = find(res, t);

		if (!to)
			to = start(res, t);
		to->binary &= t->binary;
		to->already_there &= t->already_there;
		if (sum_table(r, to, t, e) < 0)
			return -1;
	}
	return n > 0 ? add_before(r, res, e) : 0;
}

int run_results(struct run *r, struct run_results **ret, struct err *e)
{
	struct run_results *res = calloc(1, sizeof(*res));

	if (!res)
		return err_nomem(e);
	if (run_prove_blobs(r, &res->large_objects_unproven, e) < 0 || fill(r, res, e) < 0) {
		run_results_free(res);
		return -1;
	}
	*ret = res;
	return 0;
}

void run_results_free(struct run_results *res)
{
	if (!res)
		return;
	for (int i = 0; i < res->n_tables; i++) {
		struct run_table_result *t = &res->tables[i];

		for (int k = 0; k < t->n_collections; k++)
			free(t->collections[k].name);
		free(t->collections);
		for (int k = 0; k < t->n_columns; k++)
			free((void *)(uintptr_t)t->columns[k]);
		free(t->columns);
		free(t->schema);
		free(t->name);
		free(t->collection_column);
		free(t->not_binary_why);
	}
	free(res->tables);
	json_decref(res->left_out);
	json_decref(res->facts);
	free(res);
}
