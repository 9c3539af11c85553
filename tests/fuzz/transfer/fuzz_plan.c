/*
 * A plan file of any bytes: refused as damaged, or a plan whose ranges and routes can be used as
 * they stand: every route of every collection is there, ranges follow each other to the last page.
 */
#include "fuzz.h"

#include "transfer/plan.h"

#include <string.h>

static void check_routes(const struct plan_table *t)
{
	for (int i = 0; i < t->n_collections; i++)
		MUST(t->collections[i].route >= 0 && t->collections[i].route < t->n_routes);
	for (int i = 0; i < t->n_routes; i++) {
		AUTO_TEXT struct text predicate = TEXT_INIT;

		for (int k = 0; k < t->routes[i].n_collections; k++)
			MUST(t->routes[i].collections[k] >= 0 &&
			     t->routes[i].collections[k] < t->n_collections);
		plan_predicate(t, i, 0, 1, &predicate);
		MUST(strlen(text_str(&predicate)) == predicate.len);
	}
}

static void check_table(const struct plan_table *t)
{
	AUTO_TEXT struct text copy = TEXT_INIT;
	uint32_t at = 0;

	MUST(t->qname && t->target_qname && t->copy_list);
	for (int i = 0; i < t->n_ranges; i++) {
		MUST(t->ranges[i].from_block == at && t->ranges[i].to_block > at);
		at = t->ranges[i].to_block;
	}
	MUST(at == t->pages);
	check_routes(t);
	plan_copy_in(t, &copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(plan) struct plan *p = NULL;
	struct err e = ERR_INIT;
	json_t *j = json_loadb((const char *)data, len, 0, NULL);

	if (!j)
		return 0;
	if (plan_parse(&p, j, &e))
		MUST(!p && e.len > 0);
	for (int i = 0; p && i < p->n_tables; i++)
		check_table(&p->tables[i]);
	json_decref(j);
	return 0;
}
