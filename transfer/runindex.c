/* runindex - indexes and foreign keys of tables that are complete, while others are loaded. */
#include "transfer/runpriv.h"

#include <stdlib.h>
#include <string.h>

struct run_index {
	struct run *run;
	struct ddl_early *early;
	struct stop *round; /* of the engine that copies at the time */
	_Atomic bool *told; /* per table of the plan: its completion was told */
	bool through_root;  /* rows of some table go through the root of its partitions */
};

/* The round ends as on Ctrl-C: what is in flight arrives, what is read reaches the spill. */
static void on_failure(void *ctx)
{
	const struct run_index *x = ctx;

	stop_ask(x->round, STOP_DRAIN);
}

/* Rows that go through the root of a partitioned table can end in any part of it. */
static bool goes_through_root(const struct plan_table *t)
{
	return strcmp(t->target_qname, t->qname) != 0;
}

/*
 * Another table of the plan that also writes into the target's table t, or is part of the same tree
 * and goes through its root, must be complete too.
 */
static bool may_still_write(const struct run *r, const struct plan_table *other,
			    const struct plan_table *t)
{
	if (registry_is_loaded(r->known, other))
		return false;
	if (strcmp(other->target_qname, t->target_qname) == 0)
		return true;
	return goes_through_root(other) && strcmp(other->proof_schema, t->proof_schema) == 0 &&
	       strcmp(other->proof_name, t->proof_name) == 0;
}

static bool is_part(const struct plan_table *t)
{
	return strcmp(t->proof_name, t->name) != 0 || strcmp(t->proof_schema, t->schema) != 0;
}

static bool is_complete(const struct run *r, const struct plan_table *t)
{
	if (!registry_is_loaded(r->known, t))
		return false;
	for (int i = 0; r->index->through_root && is_part(t) && i < r->plan->n_tables; i++)
		if (may_still_write(r, &r->plan->tables[i], t))
			return false;
	return true;
}

/* One table may complete another one of its tree. */
static void tell(struct run *r, const struct plan_table *t)
{
	struct run_index *x = r->index;

	if (!is_complete(r, t) || atomic_exchange(&x->told[t->no], true))
		return;
	event_emit(r->events, EVENT_INFO, "table.loaded",
		   json_pack("{s:s, s:s, s:I}", "schema", t->schema, "table", t->name, "rows",
			     (json_int_t)t->rows),
		   "table %s is loaded", t->qname);
	if (x->early)
		ddl_early_loaded(x->early, t->target_qname, t->bytes);
}

void run_index_loaded(struct run *r, int table)
{
	const struct plan_table *t = &r->plan->tables[table];

	if (!registry_is_loaded(r->known, t))
		return;
	if (!r->index->through_root || !is_part(t)) {
		tell(r, t);
		return;
	}
	for (int i = 0; i < r->plan->n_tables; i++)
		if (is_part(&r->plan->tables[i]))
			tell(r, &r->plan->tables[i]);
}

static int start_early(struct run *r, struct err *e)
{
	struct ddl d = run_ddl(r);

	if (!r->settings.post && r->settings.keep_indexes)
		return 0;
	return ddl_early_start(&r->index->early, &d, r->settings.post ? r->archive : NULL, on_failure,
			       r->index, e);
}

int run_index_start(struct run *r, struct err *e)
{
	struct run_index *x = calloc(1, sizeof(*x));

	if (!x)
		return err_nomem(e);
	x->run = r;
	x->round = &r->engine_stops[atomic_load(&r->rounds) - 1];
	x->told = calloc((size_t)r->plan->n_tables + 1, sizeof(*x->told));
	r->index = x;
	if (!x->told)
		return err_nomem(e);
	for (int i = 0; i < r->plan->n_tables; i++)
		x->through_root |= goes_through_root(&r->plan->tables[i]);
	if (start_early(r, e) < 0)
		return -1;
	for (int i = 0; i < r->plan->n_tables; i++)
		tell(r, &r->plan->tables[i]);
	return 0;
}

int run_index_end(struct run *r, bool loaded, struct err *e)
{
	struct run_index *x = GIVE(&r->index);
	int rc;

	if (!x)
		return 0;
	rc = ddl_early_end(x->early, loaded, e);
	free(x->told);
	free(x);
	return rc;
}
