/* The end of a load: materialized views filled, statistics and visibility map made. */
#include "schema/ddl_state.h"

#include <string.h>

/* Tables in one VACUUM statement: each is a transaction of its own, all are one round trip. */
#define VACUUM_TABLES 32

/* --- materialized views --- */

struct refresh {
	const struct ddl *d;
	const struct archive *archive;
	struct ddl_phase *phase;
};

static char *skip_view(struct ddl_session *s, void *ctx, const struct ddl_item *item, struct err *e)
{
	struct refresh *r = ctx;

	(void)s;
	/* A view that was there before may belong to somebody else, or need what is not there. */
	if (strcmp(e->sqlstate, "42501") != 0)
		return NULL;
	event_emit(r->d->events, EVENT_WARNING, "view.stale", NULL,
		   "%s was not refreshed: the role may not; its owner should", item->label);
	return ddl_state_record(r->d, r->archive, item->number, DDL_REFRESH, DDL_LEFT_OUT,
				"the role may not refresh it");
}

/* In the archive's order, in which a view follows what it reads. */
static int plan_refresh(struct refresh *r, const struct ddl_state *state, struct ddl_items *items,
			struct err *e)
{
	const struct archive *a = r->archive;

	for (int i = 0; i < a->n_entries; i++) {
		const struct archive_entry *entry = &a->entries[i];
		AUTO_TEXT struct text sql = TEXT_INIT;

		if (strcmp(entry->type, "MATERIALIZED VIEW") != 0 || entry->left_out ||
		    entry->unfilled || state->refreshed[i])
			continue;
		text_add(&sql, "REFRESH MATERIALIZED VIEW ");
		text_add_qname(&sql, entry->schema, entry->tag);
		char *refresh = text_take(&sql, e);
		if (!refresh || ddl_state_add(items, r->d, a, i, DDL_REFRESH, DDL_APPLIED, NULL,
					      refresh, e) < 0)
			return -1;
	}
	return 0;
}

static int refresh_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct refresh *r = ctx;
	struct ddl_state state = { 0 };
	struct ddl_items items = { 0 };

	int rc = ddl_state_load(&state, s->pg, r->d->run, r->archive, false, e);
	if (rc == 0)
		rc = plan_refresh(r, &state, &items, e);
	/* One transaction each: a refresh may take long, and what is done should stay done. */
	for (int i = 0; rc == 0 && i < items.n; i++) {
		struct ddl_items one = { .n = 1, .list = &items.list[i] };
		rc = ddl_batch_run(s, &one, r->phase, skip_view, r, e);
	}
	ddl_items_done(&items);
	ddl_state_done(&state);
	return rc;
}

int ddl_refresh_views(const struct ddl *d, const struct archive *a, struct err *e)
{
	struct ddl_session s;
	struct ddl_phase phase;
	struct refresh r = { .d = d, .archive = a, .phase = &phase };
	int total = 0;

	for (int i = 0; i < a->n_entries; i++)
		total += strcmp(a->entries[i].type, "MATERIALIZED VIEW") == 0;
	if (total == 0)
		return 0;
	ddl_phase_begin(&phase, d, "views", total);
	ddl_session_init(&s, d, d->stop, "ddl", NULL);
	int rc = ddl_session_do(&s, refresh_work, &r, e);
	ddl_session_done(&s);
	ddl_phase_end(&phase);
	return rc < 0 ? err_note(e, "refreshing materialized views") : 0;
}

/* --- vacuum --- */

struct vacuum {
	const struct ddl *d;
	const char *const *tables;
	int n;
	int step;        /* tables in one statement */
	bool *is_root;   /* partitioned: nothing to vacuum, but statistics of its own */
	PGresult *above; /* roots that are not in the list, of partitions that are */
	struct ddl_phase *phase;
};

static void add_list(struct text *sql, const struct vacuum *v)
{
	text_add(sql, "ARRAY[NULL");
	for (int i = 0; i < v->n; i++) {
		text_add(sql, ", ");
		text_add_literal(sql, v->tables[i]);
	}
	text_add(sql, "]::text[]");
}

/* A root has no rows of its own, but the planner wants statistics of the whole. */
static int find_above(struct ddl_session *s, struct vacuum *v, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql,
		 "WITH listed AS (SELECT pg_catalog.to_regclass(t)::pg_catalog.oid AS oid FROM"
		 " pg_catalog.unnest(");
	add_list(&sql, v);
	text_add(&sql,
		 ") t) SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM"
		 " listed, pg_catalog.pg_partition_ancestors(listed.oid) up JOIN"
		 " pg_catalog.pg_class c ON c.oid = up.relid JOIN pg_catalog.pg_namespace n ON"
		 " n.oid = c.relnamespace WHERE c.relkind = 'p' AND c.oid NOT IN (SELECT oid FROM"
		 " listed WHERE oid IS NOT NULL)");
	PQclear(v->above);
	v->above = NULL;
	if (text_check(&sql, e) < 0)
		return -1;
	return pg_query(s->pg, text_str(&sql), &v->above, e);
}

static int find_roots(struct ddl_session *s, void *ctx, struct err *e)
{
	struct vacuum *v = ctx;
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SELECT i - 1 FROM pg_catalog.unnest(");
	add_list(&sql, v);
	text_add(&sql, ") WITH ORDINALITY AS u(t, i) JOIN pg_catalog.pg_class c"
		       " ON c.oid = pg_catalog.to_regclass(t) WHERE c.relkind = 'p'");
	if (text_check(&sql, e) < 0 || pg_query(s->pg, text_str(&sql), &res, e) < 0)
		return -1;
	/* The NULL in front (which gives an empty list its type) is number 1 of the ordinality. */
	for (int i = 0; i < PQntuples(res); i++)
		v->is_root[atoi(PQgetvalue(res, i, 0)) - 1] = true;
	return find_above(s, v, e);
}

static int analyze_above(struct ddl_session *s, void *ctx, struct err *e)
{
	const struct vacuum *v = ctx;

	for (int i = 0; i < PQntuples(v->above); i++) {
		if (ddl_session_check(s, e) < 0 ||
		    pg_execf(s->pg, e, "ANALYZE %s", PQgetvalue(v->above, i, 0)) < 0)
			return err_note(e, "ANALYZE of partitioned tables");
	}
	return 0;
}

struct vacuum_some {
	struct vacuum *v;
	int from, to;
};

static void add_tables(struct text *sql, const struct vacuum_some *w, const char *command,
		       bool root)
{
	int n = 0;

	for (int i = w->from; i < w->to; i++) {
		if (w->v->is_root[i] == root)
			text_addf(sql, "%s%s", n++ ? ", " : command, w->v->tables[i]);
	}
}

/*
 * Without what is stored beside the table: no index and no plan asks it whether it is visible to
 * all, and to read it again (vectors, nearly all of the bytes) costs more than the rest. Autovacuum
 * comes to it in its own time.
 *
 * Nothing in the ledger: it may be done twice, and a target that was restarted needs it again.
 */
static int vacuum_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct vacuum_some *w = ctx;
	AUTO_TEXT struct text sql = TEXT_INIT;

	add_tables(&sql, w, "VACUUM (ANALYZE, PROCESS_TOAST false) ", false);
	if (sql.len > 0 && (text_check(&sql, e) < 0 || pg_exec(s->pg, text_str(&sql), e) < 0))
		return err_note(e, "VACUUM (ANALYZE) of %s", w->v->tables[w->from]);
	text_clear(&sql);
	add_tables(&sql, w, "ANALYZE ", true);
	if (sql.len > 0 && (text_check(&sql, e) < 0 || pg_exec(s->pg, text_str(&sql), e) < 0))
		return err_note(e, "ANALYZE of partitioned tables");
	return 0;
}

static int vacuum_task(struct ddl_session *s, int i, void *ctx, struct err *e)
{
	struct vacuum *v = ctx;
	struct vacuum_some w = { .v = v, .from = i * v->step, .to = (i + 1) * v->step };

	if (w.to > v->n)
		w.to = v->n;
	ddl_phase_step(v->phase, 0, v->tables[w.from]);
	if (ddl_session_do(s, vacuum_work, &w, e) < 0)
		return -1;
	ddl_phase_step(v->phase, w.to - w.from, NULL);
	return 0;
}

int ddl_vacuum(const struct ddl *d, const char *const *tables, int n, struct err *e)
{
	struct ddl_session s;
	struct ddl_phase phase;
	struct vacuum v = { .d = d, .tables = tables, .n = n, .phase = &phase };

	if (n == 0)
		return 0;
	AUTO(free) bool *is_root = calloc((size_t)n, sizeof *is_root);
	if (!is_root)
		return err_nomem(e);
	v.is_root = is_root;
	v.step = n / (2 * (d->jobs > 0 ? d->jobs : 1)) + 1;
	if (v.step > VACUUM_TABLES)
		v.step = VACUUM_TABLES;
	ddl_session_init(&s, d, d->stop, "ddl", NULL);
	int rc = ddl_session_do(&s, find_roots, &v, e);
	ddl_session_done(&s);
	ddl_phase_begin(&phase, d, "vacuum", n);
	if (rc == 0)
		rc = ddl_parallel(d, "vacuum", NULL, d->jobs, (n + v.step - 1) / v.step,
				  vacuum_task, &v, e);
	if (rc == 0 && PQntuples(v.above) > 0) {
		ddl_session_init(&s, d, d->stop, "ddl", NULL);
		rc = ddl_session_do(&s, analyze_above, &v, e);
		ddl_session_done(&s);
	}
	PQclear(v.above);
	ddl_phase_end(&phase);
	return rc;
}
