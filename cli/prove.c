#include "cli/prove.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_JOBS 2

static int fill_collections(struct proof_table *p, const struct run_table_result *r, struct err *e)
{
	if (r->n_collections == 0)
		return 0;
	p->collections = calloc((size_t)r->n_collections, sizeof(*p->collections));
	if (!p->collections)
		return err_nomem(e);
	p->n_collections = r->n_collections;
	for (int i = 0; i < r->n_collections; i++) {
		p->collections[i].name = r->collections[i].name;
		p->collections[i].stream = r->collections[i].stream;
		p->collections[i].counted = r->collections[i].counted;
		p->collections[i].target = r->collections[i].stream; /* until the proof says else */
	}
	return 0;
}

static int fill(struct proof_table *p, const struct run_table_result *r, struct err *e)
{
	*p = (struct proof_table){
		.schema = r->schema,
		.name = r->name,
		.collection_column = r->collection_column,
		.stream = r->stream,
		.before = r->before,
		.target = r->stream,
		.has_count = true,
		.counted = r->counted,
		.text_mode = !r->binary,
		.columns = r->columns,
		.n_columns = r->n_columns,
		.only_collections = r->only_collections,
		.verdict = PROOF_SAME,
	};
	return fill_collections(p, r, e);
}

static void show_progress(void *ctx, int done, int total)
{
	struct progress *p = ctx;

	atomic_store_explicit(&p->step_total, total, memory_order_relaxed);
	atomic_store_explicit(&p->step_done, done, memory_order_relaxed);
}

/* proof_run() wants those to be proven side by side. */
static int prove_moved(const struct conn *target, const struct run_results *res, int jobs,
		       struct stop *stop, struct events *events, struct progress *p,
		       struct proof_table *proofs, struct err *e)
{
	struct proof_table *some = calloc((size_t)res->n_tables + 1, sizeof(*some));
	int n = 0, failed = 0;

	if (!some)
		return err_nomem(e);
	for (int i = 0; i < res->n_tables; i++)
		if (!res->tables[i].already_there)
			some[n++] = proofs[i];
	if (n > 0)
		failed = proof_run(target, some, n, jobs > 0 ? jobs : DEFAULT_JOBS, stop, events,
				   show_progress, p, e);
	n = 0;
	for (int i = 0; i < res->n_tables; i++)
		if (!res->tables[i].already_there)
			proofs[i] = some[n++];
	free(some);
	return failed;
}

int prove_run(const struct conn *target, const struct run_results *res, int jobs, struct stop *stop,
	      struct events *events, struct progress *p, struct proof_table **ret, struct err *e)
{
	struct proof_table *proofs = calloc((size_t)res->n_tables + 1, sizeof(*proofs));
	int failed = 0;

	if (!proofs)
		return err_nomem(e);
	atomic_store(&p->step_done, 0);
	atomic_store(&p->step_total, 0);
	atomic_store(&p->phase, PHASE_PROOF);
	for (int i = 0; i < res->n_tables && !failed; i++)
		failed = fill(&proofs[i], &res->tables[i], e);
	if (!failed)
		failed = prove_moved(target, res, jobs, stop, events, p, proofs, e);
	if (failed) {
		prove_free(proofs, res->n_tables);
		return err_note(e, "proving what arrived");
	}
	*ret = proofs;
	return 0;
}

void prove_free(struct proof_table *proofs, int n)
{
	for (int i = 0; proofs && i < n; i++)
		free(proofs[i].collections);
	free(proofs);
}
