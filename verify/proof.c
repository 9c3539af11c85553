#include "verify/proof.h"

#include "common/clock.h"
#include "verify/session.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* --- the tally of one table --- */

void proof_collections_free(struct proof_collection *c, int n)
{
	for (int i = 0; c && i < n; i++)
		free(c[i].name);
	free(c);
}

/* Every column by its output function: how a table that travelled as text was hashed. */
static void columns_as_text(struct digest_column *columns, int n)
{
	for (int i = 0; i < n; i++) {
		columns[i].mode = DIGEST_TEXT;
		columns[i].type_oid = DIGEST_OID_TEXT;
		columns[i].base_type = NULL;
		columns[i].send_fn = NULL;
	}
}

/* A partitioned root is read with its partitions, anything else alone. */
static void add_from(struct text *t, const struct table *table)
{
	text_addf(t, "%s%s", table->kind == 'p' ? "" : "ONLY ", table->qname);
}

static bool is_listed(const char *name, const struct proof_table *p)
{
	for (int i = 0; i < p->n_columns; i++)
		if (strcmp(name, p->columns[i]) == 0)
			return true;
	return !p->columns;
}

/* Leaves the columns that were sent; one of those that the target has not is an error. */
static int keep_listed(struct digest_column *columns, int *n, const struct table *t,
		       const struct proof_table *p, struct err *e)
{
	int kept = 0;

	for (int i = 0; i < *n; i++)
		if (is_listed(columns[i].name, p))
			columns[kept++] = columns[i];
	*n = kept;
	if (p->columns && kept != p->n_columns)
		return err_set(e, ERR_TARGET, "table %s has not all columns that were sent",
			       t->qname);
	return 0;
}

/* The rows that were asked for: those of the listed collections. */
static void add_wanted(struct text *where, const struct proof_table *p)
{
	bool null = false, first = true;

	text_add_ident(where, p->collection_column);
	text_add(where, "::pg_catalog.text COLLATE \"C\" = ANY (ARRAY[");
	for (int i = 0; i < p->n_collections; i++) {
		if (!p->collections[i].name) {
			null = true;
			continue;
		}
		text_add(where, first ? "" : ",");
		text_add_literal(where, p->collections[i].name);
		first = false;
	}
	text_add(where, "]::pg_catalog.text[])");
	if (null) {
		text_add(where, " OR ");
		text_add_ident(where, p->collection_column);
		text_add(where, " IS NULL");
	}
}

static int tally_sql(struct text *sql, const struct table *t, const struct proof_table *p,
		     struct err *e)
{
	AUTO_TEXT struct text from = TEXT_INIT, where = TEXT_INIT;
	AUTO(free) struct digest_column *columns = NULL;
	int n;

	if (table_digest_columns(t, false, &columns, &n, e) || keep_listed(columns, &n, t, p, e))
		return -1;
	if (p->text_mode)
		columns_as_text(columns, n);
	add_from(&from, t);
	if (p->only_collections && p->collection_column)
		add_wanted(&where, p);
	if (text_check(&from, e) || text_check(&where, e))
		return -1;
	digest_sql_tally(sql, columns, n, text_str(&from), where.len ? text_str(&where) : NULL,
			 p->collection_column);
	return text_check(sql, e);
}

static const char *field(const PGresult *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

static int read_collections(const PGresult *res, struct proof_collection *c, struct tally *sum,
			    struct err *e)
{
	for (int i = 0; i < PQntuples(res); i++) {
		const char *name = field(res, i, 0);

		if (name && !(c[i].name = strdup(name)))
			return err_nomem(e);
		if (tally_parse(&c[i].target, field(res, i, 1), field(res, i, 2), field(res, i, 3),
				e))
			return -1;
		tally_add(sum, &c[i].target);
	}
	return 0;
}

static int read_grouped(const PGresult *res, struct tally *ret, struct proof_collection **ret_c,
			int *ret_n, struct err *e)
{
	int n = PQntuples(res);
	struct proof_collection *c = calloc((size_t)n + 1, sizeof(*c));
	struct tally sum = TALLY_INIT;

	if (!c)
		return err_nomem(e);
	if (read_collections(res, c, &sum, e)) {
		proof_collections_free(c, n);
		return -1;
	}
	*ret = sum;
	*ret_c = c;
	*ret_n = n;
	return 0;
}

/* The tally of what p says of a table: its columns and rows. */
static int tally_of(struct pg *pg, const struct table *t, const struct proof_table *p,
		    struct tally *ret, struct proof_collection **ret_collections, int *ret_n,
		    struct err *e)
{
	const char *collection_column = p->collection_column;
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (collection_column && !table_column(t, collection_column))
		return err_set(e, ERR_USAGE, "table %s has no column \"%s\" to divide it by",
			       t->qname, collection_column);
	if (tally_sql(&sql, t, p, e) || pg_query(pg, text_str(&sql), &res, e))
		return err_note(e, "computing the digest of %s", t->qname);
	if (collection_column)
		return read_grouped(res, ret, ret_collections, ret_n, e);
	if (PQntuples(res) != 1)
		return err_set(e, ERR_INTERNAL, "the digest of %s came back as %d rows", t->qname,
			       PQntuples(res));
	if (tally_parse(ret, field(res, 0, 0), field(res, 0, 1), field(res, 0, 2), e))
		return -1;
	*ret_collections = NULL;
	*ret_n = 0;
	return 0;
}

int proof_tally(struct pg *pg, const struct table *t, const char *collection_column, bool text_mode,
		struct tally *ret, struct proof_collection **ret_collections, int *ret_n,
		struct err *e)
{
	AUTO(free) char *column = collection_column ? strdup(collection_column) : NULL;
	struct proof_table all = { .collection_column = column, .text_mode = text_mode };

	if (collection_column && !column)
		return err_nomem(e);
	return tally_of(pg, t, &all, ret, ret_collections, ret_n, e);
}

/* --- comparing --- */

static void unproven(struct proof_table *t, const char *why)
{
	t->verdict = PROOF_UNPROVEN;
	snprintf(t->why, sizeof(t->why), "%.255s", why);
}

PRINTF_LIKE(2, 3) static void different(struct proof_table *t, const char *fmt, ...)
{
	va_list ap;

	if (t->verdict != PROOF_SAME)
		return;
	t->verdict = PROOF_DIFFERENT;
	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
}

/* NULL, the rows without a collection, sorts first. */
static int compare_names(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int compare_collections(const void *a, const void *b)
{
	return compare_names(((const struct proof_collection *)a)->name,
			     ((const struct proof_collection *)b)->name);
}

static void judge_collection(struct proof_table *t, struct proof_collection *c)
{
	const char *name = c->name ? c->name : "(none)";

	c->verdict = PROOF_SAME;
	if (c->stream.rows != c->counted && t->has_count) {
		c->verdict = PROOF_DIFFERENT;
		different(t, "collection %s: %llu rows were read, but the source holds %llu", name,
			  (unsigned long long)c->stream.rows, (unsigned long long)c->counted);
	} else if (c->stream.rows != c->target.rows) {
		c->verdict = PROOF_DIFFERENT;
		different(t, "collection %s: %llu rows expected, %llu in the target", name,
			  (unsigned long long)c->stream.rows, (unsigned long long)c->target.rows);
	} else if (!tally_equal(&c->stream, &c->target)) {
		c->verdict = PROOF_DIFFERENT;
		different(t, "collection %s: the rows have other contents", name);
	} else if (!t->has_count) {
		c->verdict = PROOF_UNPROVEN;
	}
}

/* Takes the found tallies over into the expected collections; names one that nobody expects. */
static void match_collections(struct proof_table *t, struct proof_collection *found, int n)
{
	struct proof_collection *hit;

	qsort(found, (size_t)n, sizeof(*found), compare_collections);
	for (int i = 0; i < t->n_collections; i++) {
		struct proof_collection *c = &t->collections[i];

		hit = bsearch(c, found, (size_t)n, sizeof(*found), compare_collections);
		c->target = hit ? hit->target : TALLY_INIT;
		if (hit)
			hit->counted = 1; /* expected: a mark of our own in the found list */
		judge_collection(t, c);
	}
	for (int i = 0; i < n; i++)
		if (!found[i].counted)
			different(t, "collection %s: not expected, %llu rows in the target",
				  found[i].name ? found[i].name : "(none)",
				  (unsigned long long)found[i].target.rows);
}

static void judge_table(struct proof_table *t)
{
	struct tally expected = t->stream;

	tally_add(&expected, &t->before);
	if (t->has_count && t->stream.rows != t->counted)
		different(t, "%llu rows were read, but the source holds %llu",
			  (unsigned long long)t->stream.rows, (unsigned long long)t->counted);
	if (expected.rows != t->target.rows)
		different(t, "%llu rows expected, %llu in the target",
			  (unsigned long long)expected.rows, (unsigned long long)t->target.rows);
	if (!tally_equal(&expected, &t->target))
		different(t, "the rows have other contents");
	if (t->verdict == PROOF_SAME && !t->has_count)
		unproven(t, "there is no independent count of the source's rows");
}

static void judge(struct proof_table *t, const struct tally *target, struct proof_collection *found,
		  int n)
{
	t->target = *target;
	t->verdict = PROOF_SAME;
	t->why[0] = '\0';
	/* With rows from before, collections overlap with what was there: the sum alone is exact.
	 */
	if (t->collection_column && t->before.rows == 0)
		match_collections(t, found, n);
	judge_table(t);
	for (int i = 0; t->before.rows && i < t->n_collections; i++)
		t->collections[i].verdict = t->verdict;
}

/* --- the threads --- */

struct proof {
	const struct conn *target;
	const struct catalog *catalog;
	struct proof_table *tables;
	int *order; /* indexes of tables, largest first */
	int n;
	struct stop *stop;
	struct events *events;
	void (*progress)(void *ctx, int done, int total);
	void *progress_ctx;
	pthread_mutex_t lock; /* leaf: next, done, the progress call */
	int next, done;
};

static int prove_once(const struct proof *p, struct pg **pg, struct proof_table *t, struct err *e)
{
	const struct table *table = catalog_table(p->catalog, t->schema, t->name);
	struct proof_collection *found = NULL;
	struct tally tally = TALLY_INIT;
	int n = 0;

	if (!table)
		return err_set(e, ERR_TARGET, "table \"%s\".\"%s\" does not exist in the target",
			       t->schema, t->name);
	if (*pg && !pg_is_alive(*pg)) {
		pg_close(*pg);
		*pg = NULL;
	}
	if (!*pg && (session_open(pg, p->target, "proof", p->stop, clock_ms(), e) ||
		     session_for_scans(*pg, e)))
		return -1;
	if (tally_of(*pg, table, t, &tally, &found, &n, e))
		return -1;
	judge(t, &tally, found, n);
	proof_collections_free(found, n);
	return 0;
}

static void report(const struct proof *p, const struct proof_table *t)
{
	static const char *const words[] = { "same", "different", "unproven" };
	bool ok = t->verdict == PROOF_SAME;

	event_emit(p->events, ok ? EVENT_INFO : EVENT_WARNING, "proof.table",
		   json_pack("{s:s, s:s, s:s, s:I, s:I}", "schema", t->schema, "table", t->name,
			     "verdict", words[t->verdict], "rows", (json_int_t)t->target.rows, "ms",
			     (json_int_t)t->ms),
		   "%s.%s: %s%s%s", t->schema, t->name, words[t->verdict], ok ? "" : ": ", t->why);
}

static void prove(const struct proof *p, struct pg **pg, struct proof_table *t)
{
	uint64_t start = clock_ms(), deadline = start + SESSION_PATIENCE_MS;
	unsigned attempt = 1;
	struct err e;

	for (;;) {
		e = ERR_INIT;
		if (prove_once(p, pg, t, &e) == 0)
			break;
		if (!session_again(&e, &attempt, deadline, p->stop)) {
			unproven(t, e.text);
			break;
		}
		event_emit(p->events, EVENT_NOTICE, "proof.retry", NULL,
			   "digest of %s.%s is computed again: %s", t->schema, t->name, e.text);
	}
	t->ms = clock_ms() - start;
	report(p, t);
}

static bool stopped(const struct proof *p)
{
	return p->stop && stop_level(p->stop) != STOP_NO;
}

static struct proof_table *take(struct proof *p)
{
	struct proof_table *t = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->next < p->n && !stopped(p))
		t = &p->tables[p->order[p->next++]];
	pthread_mutex_unlock(&p->lock);
	return t;
}

static void *worker(void *arg)
{
	AUTO(pg) struct pg *pg = NULL;
	struct proof *p = arg;
	struct proof_table *t;

	while ((t = take(p))) {
		prove(p, &pg, t);
		pthread_mutex_lock(&p->lock);
		p->done++;
		if (p->progress)
			p->progress(p->progress_ctx, p->done, p->n);
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

static int64_t size_of(const struct proof *p, int i)
{
	const struct table *t = catalog_table(p->catalog, p->tables[i].schema, p->tables[i].name);

	if (!t)
		return 0;
	/* A root has no bytes of its own; its rows say how it compares with the others. */
	return t->kind == 'p' ? (int64_t)p->tables[i].stream.rows * 1024 : t->bytes;
}

static int larger_first(const void *a, const void *b, void *arg)
{
	int64_t x = size_of(arg, *(const int *)a), y = size_of(arg, *(const int *)b);

	return (x < y) - (x > y);
}

/* The caller is one of the workers, so that the proof goes on where no thread can be started. */
static void run_workers(struct proof *p, int jobs)
{
	pthread_t threads[64];
	int started = 0;

	if (jobs > p->n)
		jobs = p->n;
	while (started < jobs - 1 && started < (int)ARRAY_LEN(threads) &&
	       pthread_create(&threads[started], NULL, worker, p) == 0)
		started++;
	worker(p);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static int read_catalog(struct catalog **ret, const struct conn *target, struct stop *stop,
			struct err *e)
{
	uint64_t deadline = clock_ms() + SESSION_PATIENCE_MS;
	unsigned attempt = 1;
	struct err failed;

	for (;;) {
		AUTO(pg) struct pg *pg = NULL;

		failed = ERR_INIT;
		if (session_open(&pg, target, "proof", stop, deadline, &failed) == 0 &&
		    catalog_read(ret, pg, NULL, &failed) == 0)
			return 0;
		if (!session_again(&failed, &attempt, deadline, stop)) {
			*e = failed;
			return err_note(e, "reading the target's catalog for the proof");
		}
	}
}

int proof_run(const struct conn *target, struct proof_table *tables, int n, int jobs,
	      struct stop *stop, struct events *events,
	      void (*progress)(void *ctx, int done, int total), void *ctx, struct err *e)
{
	struct proof p = { .target = target,
			   .tables = tables,
			   .n = n,
			   .stop = stop,
			   .events = events,
			   .progress = progress,
			   .progress_ctx = ctx };
	AUTO(catalog) struct catalog *catalog = NULL;
	AUTO(free) int *order = calloc((size_t)n + 1, sizeof(*order));

	if (!order)
		return err_nomem(e);
	if (read_catalog(&catalog, target, stop, e))
		return -1;
	p.catalog = catalog;
	p.order = order;
	for (int i = 0; i < n; i++) {
		order[i] = i;
		unproven(&tables[i], "the proof was stopped before this table");
	}
	qsort_r(order, (size_t)n, sizeof(*order), larger_first, &p);
	pthread_mutex_init(&p.lock, NULL);
	run_workers(&p, jobs);
	pthread_mutex_destroy(&p.lock);
	return stopped(&p) ? stop_err(e) : 0;
}
