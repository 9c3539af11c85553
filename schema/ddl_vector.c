#include "schema/ddl_memory.h"
#include "schema/ddl_post.h"
#include "schema/ddl_watch.h"

#include "common/clock.h"
#include "schema/sqltext.h"

#include <string.h>

#define DEFAULT_M     16
#define DEFAULT_LISTS 100
/* pgvector's limit for vector: what to assume where nothing is declared. */
#define DEFAULT_DIMENSIONS 2000

/* NOTICEs are read here: one says that the graph has outgrown its memory. */
const char ddl_vector_settings[] = "SET client_min_messages = notice; SET check_function_bodies = off";

bool ddl_vector_is(const struct archive_entry *entry)
{
	const char *p = entry->sql;
	struct sqltext_token t;
	bool after_using = false;

	if (strcmp(entry->type, "INDEX") != 0)
		return false;
	while ((t = sqltext_next(&p)).kind != SQLTEXT_END) {
		if (after_using)
			return sqltext_is(&t, "hnsw") || sqltext_is(&t, "ivfflat");
		after_using = sqltext_is(&t, "USING");
	}
	return false;
}

/* --- what the statement says --- */

struct parsed {
	struct ddl_vector_index index;
	struct text column; /* the indexed column as SQL; empty for an expression */
	bool has_cast;      /* the expression names type and dimensions */
	bool is_parent;     /* ON ONLY: an index of a partitioned table, without rows */
};

static const struct {
	const char *name;
	enum ddl_vector_kind kind;
} vector_types[] = {
	{ "vector", DDL_VECTOR }, { "halfvec", DDL_HALFVEC },     { "bit", DDL_BIT },
	{ "varbit", DDL_BIT },    { "sparsevec", DDL_SPARSEVEC },
};

static bool find_type(const char *name, size_t len, enum ddl_vector_kind *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(vector_types); i++) {
		if (strlen(vector_types[i].name) == len &&
		    strncmp(name, vector_types[i].name, len) == 0) {
			*ret = vector_types[i].kind;
			return true;
		}
	}
	return false;
}

/* "type ( 64 )" where t is the type's token. */
static void take_cast(struct parsed *q, const struct sqltext_token *t, const char *p)
{
	enum ddl_vector_kind kind;

	if (t->kind != SQLTEXT_WORD || !find_type(t->at, t->len, &kind))
		return;
	struct sqltext_token open = sqltext_next(&p), number = sqltext_next(&p);
	if (!sqltext_is_sign(&open, '('))
		return;
	q->index.kind = kind;
	q->index.dimensions = atoi(number.at);
	q->has_cast = q->index.dimensions > 0;
}

/* "m='16'" or "lists=4" where t is the option's token. */
static void take_option(struct parsed *q, const struct sqltext_token *t, const char *p)
{
	int *to = sqltext_is(t, "m")       ? &q->index.m
		  : sqltext_is(t, "lists") ? &q->index.lists
					   : NULL;
	struct sqltext_token sign = sqltext_next(&p), value = sqltext_next(&p);

	if (to && sqltext_is_sign(&sign, '='))
		*to = atoi(value.at + (*value.at == '\''));
}

static void parse_index(const char *sql, struct parsed *q)
{
	const char *p = sql;
	struct sqltext_token t, before = { 0 };
	bool with = false;
	int depth = 0;

	q->index.m = DEFAULT_M;
	q->index.lists = DEFAULT_LISTS;
	while ((t = sqltext_next(&p)).kind != SQLTEXT_END && !sqltext_is_sign(&t, ';')) {
		if (depth == 0 && sqltext_is(&t, "hnsw"))
			q->index.is_hnsw = true;
		else if (depth == 0 && sqltext_is(&before, "ON") && sqltext_is(&t, "ONLY"))
			q->is_parent = true;
		else if (depth == 0 && sqltext_is(&t, "WITH"))
			with = true;
		else if (depth == 1 && !with && q->column.len == 0 &&
			 sqltext_is_sign(&before, '(') &&
			 (t.kind == SQLTEXT_WORD || t.kind == SQLTEXT_IDENT))
			text_addn(&q->column, t.at, t.len);
		else if (with)
			take_option(q, &t, p);
		else
			take_cast(q, &t, p);
		depth += sqltext_is_sign(&t, '(') - sqltext_is_sign(&t, ')');
		before = t;
	}
}

/* --- what the target says --- */

/* "public.vector(1536)" */
static void take_type(struct ddl_vector_index *index, const char *type)
{
	const char *dot = strrchr(type, '.');
	const char *name = dot ? dot + 1 : type;
	size_t len = strcspn(name, "(");

	(void)find_type(name, len, &index->kind);
	index->dimensions = name[len] == '(' ? atoi(name + len + 1) : DEFAULT_DIMENSIONS;
}

static int ask_target(struct pg *pg, const struct archive_entry *entry, struct parsed *q,
		      struct err *e)
{
	AUTO_TEXT struct text table = TEXT_INIT;
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *type = NULL;
	AUTO(free) char *rows = NULL;

	q->index.dimensions = q->has_cast ? q->index.dimensions : DEFAULT_DIMENSIONS;
	if (!entry->table || q->is_parent)
		return 0;
	text_add_qname(&table, entry->schema, entry->table);
	if (!q->has_cast && q->column.len > 0) {
		text_add(&sql, "SELECT pg_catalog.format_type(atttypid, atttypmod) FROM"
			       " pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass(");
		text_add_literal(&sql, text_str(&table));
		text_add(&sql, ") AND attname = (pg_catalog.parse_ident(");
		text_add_literal(&sql, text_str(&q->column));
		text_add(&sql, "))[1]");
		if (pg_value(pg, text_str(&sql), &type, e) < 0)
			return -1;
		if (type)
			take_type(&q->index, type);
	}
	/* A scan, but little beside the build, and statistics are not there yet. */
	if (pg_valuef(pg, &rows, e, "SELECT count(*) FROM ONLY %s", text_str(&table)) < 0)
		return -1;
	q->index.rows = rows ? strtoll(rows, NULL, 10) : 0;
	return 0;
}

/* --- building --- */

struct vector_work {
	struct ddl_post *p;
	int entry, attempt;
	int64_t need, grant, rows;
	int workers;
};

static void on_notice(void *ctx, const char *message)
{
	const struct vector_work *w = ctx;
	const struct ddl_post *p = w->p;

	if (!strstr(message, "no longer fits into maintenance_work_mem")) {
		event_emit(p->d->events, EVENT_INFO, "schema.notice", NULL, "the target says: %s",
			   message);
		return;
	}
	event_emit(p->d->events, EVENT_WARNING, "index.memory",
		   json_pack("{s:s, s:I, s:I}", "index", p->archive->entries[w->entry].tag,
			     "granted", (json_int_t)w->grant, "needed", (json_int_t)w->need),
		   "index %s has outgrown its memory and is built slowly from here: %lld MB were "
		   "given, about %lld MB are needed; a larger compute builds it faster (%s)",
		   p->archive->entries[w->entry].tag, (long long)w->grant >> 20,
		   (long long)w->need >> 20, message);
}

static int estimate(struct vector_work *w, struct pg *pg, struct err *e)
{
	const struct archive_entry *entry = &w->p->archive->entries[w->entry];
	struct parsed q = { 0 };
	struct ddl_server server;
	int rc = -1;

	parse_index(entry->sql, &q);
	if (ddl_memory_server(pg, &server, e) == 0 && ask_target(pg, entry, &q, e) == 0) {
		w->rows = q.index.rows;
		w->need = ddl_memory_need(&q.index);
		w->grant = ddl_memory_grant(&server, w->need);
		w->workers = ddl_memory_workers(&server);
		rc = 0;
	}
	text_done(&q.column);
	return rc;
}

/* Half the memory, then none in common: a serial build needs no shared memory. True: try again. */
static bool smaller(struct vector_work *w, const struct err *e)
{
	if (strcmp(e->sqlstate, "53100") != 0 || !strstr(e->text, "shared memory") ||
	    w->workers == 0)
		return false;
	if (w->grant / 2 >= DDL_MEMORY_MIN)
		w->grant /= 2;
	else
		w->workers = 0;
	event_emit(w->p->d->events, EVENT_NOTICE, "index.smaller", NULL,
		   "index %s: not enough shared memory, again with %lld MB and %d workers",
		   w->p->archive->entries[w->entry].tag, (long long)w->grant >> 20, w->workers);
	return true;
}

static int build(struct ddl_session *s, struct vector_work *w, struct ddl_items *items,
		 struct err *e)
{
	do {
		*e = ERR_INIT;
		/* Workers are counted by the size of the heap, which is small where vectors are not
		 * in it. */
		if (pg_execf(s->pg, e,
			     "SET maintenance_work_mem = '%lldkB'; SET min_parallel_table_scan_size"
			     " = 0; SET max_parallel_maintenance_workers = %d",
			     (long long)w->grant >> 10, w->workers) < 0)
			return -1;
		struct ddl_watch *watch = ddl_watch_start(w->p->phase, items->list[0].label,
							  pg_backend_pid(s->pg), w->rows);
		int rc = ddl_batch_run(s, items, w->p->phase, ddl_post_judge, w->p, e);
		ddl_watch_end(watch);
		if (rc == 0)
			return 0;
	} while (smaller(w, e));
	return -1;
}

static int vector_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct vector_work *w = ctx;
	struct ddl_post *p = w->p;
	struct ddl_items items = { 0 };
	int rc = 0;

	if (w->attempt++ > 0)
		rc = ddl_post_refresh(p, s->pg, &w->entry, 1, e);
	if (rc < 0 || p->state.outcome[w->entry] != DDL_PENDING)
		return rc;
	rc = estimate(w, s->pg, e);
	if (rc == 0)
		rc = ddl_state_add(&items, p->d, p->archive, w->entry, ddl_post_section(p),
				   DDL_APPLIED, NULL, NULL, e);
	if (rc == 0) {
		event_emit(p->d->events, EVENT_INFO, "index.build",
			   json_pack("{s:s, s:I, s:I, s:i}", "index",
				     p->archive->entries[w->entry].tag, "granted",
				     (json_int_t)w->grant, "needed", (json_int_t)w->need, "workers",
				     w->workers),
			   "building index %s with %lld MB and up to %d workers",
			   p->archive->entries[w->entry].tag, (long long)w->grant >> 20,
			   w->workers);
		rc = build(s, w, &items, e);
	}
	ddl_items_done(&items);
	return rc;
}

int ddl_vector_build(struct ddl_post *p, struct ddl_session *s, int entry, struct err *e)
{
	struct vector_work w = { .p = p, .entry = entry };
	uint64_t began = clock_ms();

	s->on_notice = on_notice;
	s->notice_ctx = &w;
	int rc = ddl_session_do(s, vector_work, &w, e);
	s->on_notice = NULL;
	if (rc < 0)
		return -1;
	if (p->state.outcome[entry] == DDL_PENDING)
		ddl_post_tell_built(p, entry, clock_ms() - began);
	p->state.outcome[entry] = DDL_APPLIED;
	return 0;
}
