/*
 * verify - compares two databases table by table: counts and digests computed in each server.
 *
 * Each thread has a session with both ends and takes one table after the other.
 */
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/summary.h"
#include "common/clock.h"
#include "schema/catalog.h"
#include "verify/proof.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_JOBS 2

/* One table of either end. Both NULL is impossible; one NULL: it is missing there. */
struct pair {
	const struct table *source, *target;
	const char *column; /* collections, or NULL */
	struct tally source_tally;
	struct proof_table proof;
};

struct verify {
	const struct opts *o;
	struct endpoints ends;
	struct stop *stop;
	struct catalog *source, *target;
	struct pair *pairs;
	int n;
	pthread_mutex_t lock; /* leaf: next */
	int next;
};

static int read_catalog(struct verify *v, const struct conn *conn, bool filtered,
			struct catalog **ret, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	const struct opt_value *values = v->o->values;
	struct catalog_filter filter = {
		.tables = values[OPT_ID_TABLE].list, .n_tables = values[OPT_ID_TABLE].n_list,
		.excluded = values[OPT_ID_EXCLUDE_TABLE].list,
		.n_excluded = values[OPT_ID_EXCLUDE_TABLE].n_list,
	};

	if (pg_open(&pg, conn, "verify", v->stop, e))
		return -1;
	return catalog_read(ret, pg, filtered ? &filter : NULL, e);
}

/* Tables with rows of their own; of a partitioned tree the root alone. */
static bool is_compared(const struct table *t)
{
	return (t->kind == 'r' || t->kind == 'p' || t->kind == 'm') && !t->is_partition;
}

static bool name_fits(const struct table *t, const char *name, size_t len)
{
	AUTO_TEXT struct text full = TEXT_INIT;

	text_addf(&full, "%s.%s", t->schema, t->name);
	return (strlen(t->name) == len && strncmp(t->name, name, len) == 0) ||
	       (full.len == len && strncmp(text_str(&full), name, len) == 0);
}

/* What --collection-column says, else collection_name of vector_documents. */
static const char *collection_column(const struct opts *o, const struct table *t)
{
	const struct opt_value *v = &o->values[OPT_ID_COLLECTION_COLUMN];

	for (int i = 0; i < v->n_list; i++) {
		const char *equals = strrchr(v->list[i], '=');
		if (equals && name_fits(t, v->list[i], (size_t)(equals - v->list[i])))
			return equals + 1;
	}
	if (strcmp(t->name, "vector_documents") == 0 && table_column(t, "collection_name"))
		return "collection_name";
	return NULL;
}

/* proof_table wants names that it could change; it does not. */
static char *borrow(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void add_pair(struct verify *v, struct table *source, struct table *target)
{
	struct table *t = source ? source : target;
	struct pair *p = &v->pairs[v->n++];

	*p = (struct pair){ .source = source, .target = target,
			    .column = collection_column(v->o, t) };
	p->proof = (struct proof_table){ .schema = borrow(t->schema), .name = borrow(t->name) };
}

/* Every table of the source, and, where all are compared, those that only the target has. */
static int make_pairs(struct verify *v, struct err *e)
{
	size_t most = (size_t)v->source->n_tables + (size_t)v->target->n_tables + 1;
	bool all = v->o->values[OPT_ID_TABLE].n_list == 0;

	v->pairs = calloc(most, sizeof(*v->pairs));
	if (!v->pairs)
		return err_nomem(e);
	for (int i = 0; i < v->source->n_tables; i++) {
		struct table *t = &v->source->tables[i];
		if (is_compared(t))
			add_pair(v, t, catalog_table(v->target, t->schema, t->name));
	}
	for (int i = 0; all && i < v->target->n_tables; i++) {
		struct table *t = &v->target->tables[i];
		if (is_compared(t) && !catalog_table(v->source, t->schema, t->name))
			add_pair(v, NULL, t);
	}
	return 0;
}

/* --- one table --- */

PRINTF_LIKE(3, 4)
static void judge_as(struct pair *p, enum proof_verdict verdict, const char *fmt, ...)
{
	va_list ap;

	p->proof.verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(p->proof.why, sizeof(p->proof.why), fmt, ap);
	va_end(ap);
}

/* A digest says nothing where the columns differ. */
static bool columns_agree(struct pair *p)
{
	for (int i = 0; i < p->source->n_columns; i++) {
		const struct column *a = &p->source->columns[i];
		const struct column *b = table_column(p->target, a->name);
		if (!b)
			judge_as(p, PROOF_DIFFERENT, "column %s is missing in the target", a->name);
		else if (strcmp(a->type, b->type) != 0)
			judge_as(p, PROOF_UNPROVEN, "column %s is %s in the source, %s in the target",
				 a->name, a->type, b->type);
		if (p->proof.why[0])
			return false;
	}
	if (p->target->n_columns > p->source->n_columns) {
		judge_as(p, PROOF_DIFFERENT, "the target has columns that the source does not have");
		return false;
	}
	return true;
}

static const struct proof_collection *find_collection(const struct proof_collection *c, int n,
						      const char *name)
{
	for (int i = 0; i < n; i++)
		if ((!name && !c[i].name) || (name && c[i].name && strcmp(name, c[i].name) == 0))
			return &c[i];
	return NULL;
}

/* The rows without a collection come last. */
static int by_name(const void *a, const void *b)
{
	const char *x = ((const struct proof_collection *)a)->name;
	const char *y = ((const struct proof_collection *)b)->name;

	return x && y ? strcmp(x, y) : (x == NULL) - (y == NULL);
}

/* Both ends' collections in one list: those of the source with what was found, then the others. */
static int merge(struct pair *p, struct proof_collection *a, int n_a,
		 const struct proof_collection *b, int n_b, struct err *e)
{
	struct proof_collection *all = calloc((size_t)(n_a + n_b) + 1, sizeof(*all));
	int n = 0;

	if (!all)
		return err_nomem(e);
	for (int i = 0; i < n_a; i++) {
		const struct proof_collection *hit = find_collection(b, n_b, a[i].name);
		all[n] = (struct proof_collection){ .name = GIVE(&a[i].name), .stream = a[i].target };
		all[n].target = hit ? hit->target : TALLY_INIT;
		all[n].verdict = hit && tally_equal(&all[n].stream, &all[n].target)
					 ? PROOF_SAME : PROOF_DIFFERENT;
		n++;
	}
	for (int i = 0; i < n_b; i++) {
		if (find_collection(all, n_a, b[i].name))
			continue;
		all[n] = (struct proof_collection){ .target = b[i].target,
						    .verdict = PROOF_DIFFERENT };
		all[n].name = b[i].name ? strdup(b[i].name) : NULL;
		n++;
	}
	qsort(all, (size_t)n, sizeof(*all), by_name);
	p->proof.collections = all;
	p->proof.n_collections = n;
	return 0;
}

static void judge(struct pair *p)
{
	const struct tally *a = &p->proof.stream, *b = &p->proof.target;

	p->proof.counted = a->rows;
	if (a->rows != b->rows)
		judge_as(p, PROOF_DIFFERENT, "%llu rows in the source, %llu in the target",
			 (unsigned long long)a->rows, (unsigned long long)b->rows);
	else if (!tally_equal(a, b))
		judge_as(p, PROOF_DIFFERENT, "the rows have other contents");
	else
		p->proof.verdict = PROOF_SAME;
}

static int tally_both(struct pair *p, struct pg *source, struct pg *target, struct err *e)
{
	struct proof_collection *a = NULL, *b = NULL;
	int n_a = 0, n_b = 0;

	int failed = proof_tally(source, p->source, p->column, false, &p->proof.stream, &a, &n_a, e) ||
		     proof_tally(target, p->target, p->column, false, &p->proof.target, &b, &n_b, e);
	if (!failed && p->column)
		failed = merge(p, a, n_a, b, n_b, e);
	proof_collections_free(a, n_a);
	proof_collections_free(b, n_b);
	return failed;
}

static void compare(struct pair *p, struct pg *source, struct pg *target)
{
	struct err e = ERR_INIT;
	uint64_t start = clock_ms();

	if (!p->target)
		judge_as(p, PROOF_DIFFERENT, "the table is missing in the target");
	else if (!p->source)
		judge_as(p, PROOF_DIFFERENT, "the table is missing in the source");
	else if (columns_agree(p) && tally_both(p, source, target, &e))
		judge_as(p, PROOF_UNPROVEN, "%.250s", e.text);
	else if (!p->proof.why[0])
		judge(p);
	p->proof.ms = clock_ms() - start;
	say_note("%s.%s: %s", p->proof.schema, p->proof.name,
		 p->proof.verdict == PROOF_SAME ? "same" : p->proof.why);
}

/* --- all tables --- */

static struct pair *take(struct verify *v)
{
	struct pair *p = NULL;

	pthread_mutex_lock(&v->lock);
	if (v->next < v->n && stop_level(v->stop) == STOP_NO)
		p = &v->pairs[v->next++];
	pthread_mutex_unlock(&v->lock);
	return p;
}

static void *work(void *arg)
{
	AUTO(pg) struct pg *source = NULL;
	AUTO(pg) struct pg *target = NULL;
	struct verify *v = arg;
	struct err e = ERR_INIT;
	struct pair *p;

	while ((p = take(v))) {
		if ((!source && pg_open(&source, v->ends.source, "verify", v->stop, &e)) ||
		    (!target && pg_open(&target, v->ends.target, "verify", v->stop, &e))) {
			judge_as(p, PROOF_UNPROVEN, "%.250s", e.text);
			continue;
		}
		compare(p, source, target);
	}
	return NULL;
}

static void compare_all(struct verify *v)
{
	int jobs = (int)opt_number(v->o, OPT_ID_JOBS);
	pthread_t threads[64];
	int n = 0;

	jobs = jobs ? jobs : DEFAULT_JOBS;
	while (n < jobs && n < (int)ARRAY_LEN(threads) && n < v->n &&
	       pthread_create(&threads[n], NULL, work, v) == 0)
		n++;
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static int prepare(struct verify *v, struct err *e)
{
	if (endpoints_find(&v->ends, v->o, ENDPOINT_NEEDED, ENDPOINT_NEEDED, e))
		return -1;
	if (read_catalog(v, v->ends.source, true, &v->source, e) ||
	    read_catalog(v, v->ends.target, false, &v->target, e))
		return -1;
	return make_pairs(v, e);
}

static int run(struct verify *v, struct err *e)
{
	if (prepare(v, e))
		return -1;
	compare_all(v);
	return stop_level(v->stop) == STOP_NO ? 0 : stop_err(e);
}

/* --- the answer --- */

/* The summary wants results as a run gives them. Strings stay the catalogs'. */
static struct run_table_result *as_results(const struct verify *v)
{
	struct run_table_result *tables = calloc((size_t)v->n + 1, sizeof(*tables));

	for (int i = 0; tables && i < v->n; i++) {
		const struct proof_table *p = &v->pairs[i].proof;
		struct run_table_result *r = &tables[i];

		*r = (struct run_table_result){ .schema = p->schema, .name = p->name, .binary = true,
						.stream = p->stream, .counted = p->stream.rows };
		r->collections = calloc((size_t)p->n_collections + 1, sizeof(*r->collections));
		r->n_collections = r->collections ? p->n_collections : 0;
		for (int k = 0; k < r->n_collections; k++)
			r->collections[k] = (struct run_collection_result){
				.name = p->collections[k].name, .stream = p->collections[k].stream,
				.counted = p->collections[k].stream.rows };
	}
	return tables;
}

/* What a verification does not know: bytes moved, a reason to switch over. */
static void trim(json_t *document)
{
	json_t *row;
	size_t i;

	json_object_del(document, "application");
	json_array_foreach(json_object_get(document, "tables"), i, row)
	{
		json_object_del(row, "bytes");
		json_object_del(row, "binary");
	}
}

static enum exit_status answer(const struct verify *v, const struct err *e, uint64_t started)
{
	struct proof_table *proofs = calloc((size_t)v->n + 1, sizeof(*proofs));
	struct run_results results = { .n_tables = v->n, .tables = as_results(v) };
	int different, unproven;

	for (int i = 0; proofs && i < v->n; i++)
		proofs[i] = v->pairs[i].proof;
	struct summary s = { .command = "verify", .source = v->ends.source, .target = v->ends.target,
			     .results = &results, .proofs = proofs, .error = e,
			     .ms = clock_ms() - started };
	summary_count(&s, &different, &unproven);
	s.status = e ? exit_of_error(e, false) : exit_of_proof(different, unproven);
	json_t *document = summary_json(&s);
	trim(document);
	if (e)
		say_error(e);
	summary_print(document);
	say_json(document, false);
	json_decref(document);
	for (int i = 0; results.tables && i < v->n; i++)
		free(results.tables[i].collections);
	free(results.tables);
	free(proofs);
	return s.status;
}

static void release(struct verify *v)
{
	for (int i = 0; i < v->n; i++)
		proof_collections_free(v->pairs[i].proof.collections, v->pairs[i].proof.n_collections);
	free(v->pairs);
	catalog_free(v->source);
	catalog_free(v->target);
	endpoints_done(&v->ends);
	pthread_mutex_destroy(&v->lock);
}

int cmd_verify(const struct opts *o)
{
	uint64_t started = clock_ms();
	struct verify v = { .o = o };
	struct err e = ERR_INIT;
	struct stop stop;

	if (stop_init(&stop, &e)) {
		say_error(&e);
		return EXIT_INTERNAL;
	}
	v.stop = &stop;
	pthread_mutex_init(&v.lock, NULL);
	signals_aim(&stop, NULL);
	int failed = run(&v, &e);
	signals_aim(NULL, NULL);
	int status = (int)answer(&v, failed ? &e : NULL, started);
	release(&v);
	stop_done(&stop);
	return status;
}
