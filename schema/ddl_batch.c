#include "schema/ddl_batch.h"

#include <string.h>

/* A transaction's statements also stay below this. */
#define BATCH_BYTES ((size_t)2 << 20)

void ddl_items_done(struct ddl_items *items)
{
	for (int i = 0; i < items->n; i++) {
		free(items->list[i].label);
		free(items->list[i].record);
		free(items->list[i].sql);
	}
	free(items->list);
	*items = (struct ddl_items){ 0 };
}

int ddl_items_add(struct ddl_items *items, int number, char *label, char *record, char *sql,
		  struct err *e)
{
	if (items->n == items->cap) {
		int cap = items->cap ? items->cap * 2 : 64;
		struct ddl_item *grown = reallocarray(items->list, (size_t)cap, sizeof *grown);
		if (grown) {
			items->list = grown;
			items->cap = cap;
		}
	}
	if (!label || !record || items->n == items->cap) {
		free(label);
		free(record);
		free(sql);
		return err_nomem(e);
	}
	items->list[items->n++] = (struct ddl_item){ label, record, sql, number };
	return 0;
}

void ddl_object_record(struct text *t, const struct ddl *d, const char *section, int entry,
		       const char *tag, const char *outcome, json_t *detail)
{
	AUTO(free) char *json = detail ? json_dumps(detail, JSON_COMPACT) : NULL;

	json_decref(detail);
	text_add(t, "INSERT INTO neonferry.object (run, section, entry, generation, tag, outcome,"
		    " detail) VALUES (");
	text_add_literal(t, d->run);
	text_add(t, ", ");
	text_add_literal(t, section);
	text_addf(t, ", %d, ", entry);
	ledger_fence(t, d->run, d->generation);
	text_add(t, ", ");
	text_add_literal(t, tag);
	text_add(t, ", ");
	text_add_literal(t, outcome);
	text_add(t, ", ");
	text_add_literal(t, json);
	text_add(t, ");");
}

/* --- running --- */

static void add_statement(struct text *t, const char *sql)
{
	size_t len = strlen(sql);

	text_addn(t, sql, len);
	/* An empty statement does no harm; a comment at the end must not swallow what follows. */
	text_add(t, len > 0 && sql[len - 1] == ';' ? "\n" : "\n;\n");
}

static void add_item(struct text *t, const struct ddl_item *item)
{
	add_statement(t, item->record);
	if (item->sql)
		add_statement(t, item->sql);
}

static bool is_claimed(const struct err *e)
{
	return strcmp(e->sqlstate, "23505") == 0 &&
	       (strcmp(e->constraint, LEDGER_OBJECT_KEY) == 0 ||
		strcmp(e->constraint, LEDGER_ASIDE_KEY) == 0);
}

/* Runs BEGIN ... COMMIT in one round trip. */
static int run_transaction(struct ddl_session *s, const char *sql, struct err *e)
{
	if (pg_exec(s->pg, sql, e) == 0) {
		ddl_session_progress(s);
		return 0;
	}
	if (pg_is_alive(s->pg))
		pg_rollback(s->pg);
	/* Somebody (our own lost backend, most likely) has done it: look at the ledger again. */
	if (is_claimed(e))
		e->next = ERR_RETRY_ASK;
	return ledger_explain(e);
}

int ddl_batch_one(struct ddl_session *s, const struct ddl_item *item, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t, "BEGIN;\n");
	add_item(&t, item);
	text_add(&t, "COMMIT;");
	if (text_check(&t, e) < 0)
		return -1;
	return run_transaction(s, text_str(&t), e);
}

static int settle(struct ddl_session *s, const struct ddl_item *item, ddl_judge *judge, void *ctx,
		  struct err *e)
{
	AUTO(free) char *other = judge ? judge(s, ctx, item, e) : NULL;

	if (!other)
		return err_note(e, "applying %s", item->label);
	*e = ERR_INIT;
	return ddl_batch_one(s, &(struct ddl_item){ item->label, other, NULL, item->number }, e);
}

static int run_one_by_one(struct ddl_session *s, const struct ddl_item *items, int n,
			  struct ddl_phase *phase, ddl_judge *judge, void *ctx, struct err *e)
{
	for (int i = 0; i < n; i++) {
		if (ddl_session_check(s, e) < 0)
			return -1;
		if (ddl_batch_one(s, &items[i], e) < 0) {
			if (e->next != ERR_GIVE_UP || e->kind == ERR_RESUME ||
			    e->kind == ERR_STOPPED)
				return err_note(e, "applying %s", items[i].label);
			if (settle(s, &items[i], judge, ctx, e) < 0)
				return -1;
		}
		ddl_phase_step(phase, 1, items[i].label);
	}
	return 0;
}

/* How many items from `from` make the next transaction; fills t. */
static int fill_batch(const struct ddl_items *items, int from, struct text *t)
{
	int n = 0;

	text_clear(t);
	text_add(t, "BEGIN;\n");
	while (from + n < items->n && n < DDL_BATCH && t->len < BATCH_BYTES)
		add_item(t, &items->list[from + n++]);
	text_add(t, "COMMIT;");
	return n;
}

int ddl_batch_run(struct ddl_session *s, const struct ddl_items *items, struct ddl_phase *phase,
		  ddl_judge *judge, void *ctx, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	for (int from = 0, n; from < items->n; from += n) {
		const struct ddl_item *first = &items->list[from];
		struct err why = ERR_INIT;

		n = fill_batch(items, from, &t);
		if (text_check(&t, e) < 0 || ddl_session_check(s, e) < 0)
			return -1;
		ddl_phase_step(phase, 0, first->label);
		if (run_transaction(s, text_str(&t), &why) == 0) {
			ddl_phase_step(phase, n, NULL);
			continue;
		}
		if (why.next != ERR_GIVE_UP || why.kind == ERR_RESUME || why.kind == ERR_STOPPED) {
			*e = why;
			return err_note(e, "applying %s and the %d after it", first->label, n - 1);
		}
		if (run_one_by_one(s, first, n, phase, judge, ctx, e) < 0)
			return -1;
	}
	return 0;
}
