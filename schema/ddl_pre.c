#include "schema/ddl_state.h"

#include <string.h>

/*
 * What pg_dump's own script sets. default_toast_compression stays the target's. Bodies of functions
 * are not checked: they may name what comes later.
 */
static const char settings[] = "SET check_function_bodies = off; SET client_min_messages = warning;"
			       " SET xmloption = content; SET default_table_access_method = heap;"
			       " SET standard_conforming_strings = on";

struct pre {
	const struct ddl *d;
	const struct archive *archive;
	struct ddl_phase *phase;
	bool told; /* what is left out has been reported */
};

static void tell_left_out(struct pre *p)
{
	json_t *list = p->told ? NULL : archive_left_out(p->archive), *fact;
	size_t i;

	p->told = true;
	json_array_foreach(list, i, fact) event_emit(
		p->d->events, EVENT_NOTICE, "schema.left_out", json_incref(fact),
		"not carried as it is: %s %s: %s", json_string_value(json_object_get(fact, "what")),
		json_string_value(json_object_get(fact, "name")),
		json_string_value(json_object_get(fact, "why")));
	json_decref(list);
}

/* Decides every entry of the section that the ledger does not know yet. */
static int plan(const struct pre *p, struct ddl_state *state, const struct ddl_present *present,
		struct ddl_items *items, struct err *e)
{
	const struct archive *a = p->archive;

	for (int i = 0; i < a->n_entries; i++) {
		const char *why = NULL;
		enum ddl_outcome outcome;

		if (a->entries[i].section != ARCHIVE_PRE_DATA || state->outcome[i] != DDL_PENDING)
			continue;
		outcome = ddl_state_inherited(state, i, &why);
		if (outcome == DDL_PENDING)
			outcome = ddl_present_has(present, &a->entries[i]) ? DDL_PRESENT
									   : DDL_APPLIED;
		state->outcome[i] = outcome; /* later entries inherit it */
		if (ddl_state_add(items, p->d, a, i, DDL_PRE, outcome, why, NULL, e) < 0)
			return -1;
	}
	return 0;
}

static bool is_duplicate(const struct err *e)
{
	static const char *const states[] = { "42710", "42723", "42P07" };

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (strcmp(e->sqlstate, states[i]) == 0)
			return true;
	}
	/* Some kinds are caught only by the unique index of their catalog. */
	return strcmp(e->sqlstate, "23505") == 0 && strncmp(e->constraint, "pg_", 3) == 0;
}

/* Operators, casts and the like have no name of their own to look for beforehand. */
static char *judge(struct ddl_session *s, void *ctx, const struct ddl_item *item, struct err *e)
{
	struct pre *p = ctx;
	const struct archive_entry *entry = &p->archive->entries[item->number];

	(void)s;
	if (ddl_present_asks_server(entry) && is_duplicate(e))
		return ddl_state_record(p->d, p->archive, item->number, DDL_PRE, DDL_PRESENT, NULL);
	if (strcmp(entry->type, "EXTENSION") == 0) {
		e->hint[0] = '\0';
		err_hint(e,
			 "create the extension %s in the target as a role that may (on Neon the "
			 "console's own role may), then resume",
			 entry->tag);
	}
	return NULL;
}

static int apply(struct ddl_session *s, void *ctx, struct err *e)
{
	struct pre *p = ctx;
	struct ddl_state state = { 0 };
	struct ddl_items items = { 0 };
	AUTO(ddl_present) struct ddl_present *present = NULL;

	int rc = ddl_state_load(&state, s->pg, p->d->run, p->archive, false, e);
	if (rc == 0)
		rc = ddl_present_load(&present, s->pg, e);
	if (rc == 0)
		rc = plan(p, &state, present, &items, e);
	if (rc == 0) {
		tell_left_out(p);
		p->phase->done = p->phase->total - items.n;
		rc = ddl_batch_run(s, &items, p->phase, judge, p, e);
	}
	ddl_items_done(&items);
	ddl_state_done(&state);
	return rc;
}

static int count_section(const struct archive *a, enum archive_section section)
{
	int n = 0;

	for (int i = 0; i < a->n_entries; i++)
		n += a->entries[i].section == section;
	return n;
}

int ddl_pre_data(const struct ddl *d, const struct archive *a, struct err *e)
{
	struct ddl_session s;
	struct ddl_phase phase;
	struct pre p = { .d = d, .archive = a, .phase = &phase };

	ddl_phase_begin(&phase, d, "schema", count_section(a, ARCHIVE_PRE_DATA));
	ddl_session_init(&s, d, d->stop, "ddl", settings);
	int rc = ddl_session_do(&s, apply, &p, e);
	ddl_session_done(&s);
	ddl_phase_end(&phase);
	return rc < 0 ? err_note(e, "making tables and other objects in the target") : 0;
}
