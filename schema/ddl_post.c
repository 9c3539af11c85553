#include "schema/ddl_post.h"
#include "schema/ddl_builder.h"

#include <string.h>

const char ddl_post_settings[] = "SET check_function_bodies = off; SET client_min_messages = warning;"
			       " SET standard_conforming_strings = on";

/* --- what is left of a few entries --- */

int ddl_post_refresh(struct ddl_post *p, struct pg *pg, const int *entries, int n, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	text_add(&sql, "SELECT entry, outcome FROM neonferry.object WHERE section = ");
	text_add_literal(&sql, ddl_post_section(p));
	text_add(&sql, " AND run = ");
	text_add_literal(&sql, p->d->run);
	text_add(&sql, " AND entry IN (-1");
	for (int i = 0; i < n; i++)
		text_addf(&sql, ", %d", p->archive->entries[entries[i]].dump_id);
	text_add(&sql, ")");
	if (text_check(&sql, e) < 0 || pg_query(pg, text_str(&sql), &res, e) < 0)
		return err_note(e, "reading the ledger");
	for (int i = 0; i < PQntuples(res); i++) {
		const struct archive_entry *entry =
			archive_by_id(p->archive, atoi(PQgetvalue(res, i, 0)));
		if (entry)
			p->state.outcome[entry - p->archive->entries] =
				ddl_outcome_parse(PQgetvalue(res, i, 1));
	}
	return 0;
}

/* --- "already exists" --- */

/* 1: a sound object of that name is there; 0: not; -1: it is an invalid index, which was dropped.
 */
static int look_at_index(struct pg *pg, const struct archive_entry *entry)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO_TEXT struct text name = TEXT_INIT;
	AUTO(free) char *valid = NULL;
	struct err ignored = ERR_INIT;

	text_add_qname(&name, entry->schema ? entry->schema : "", entry->tag);
	text_add(&sql,
		 "SELECT i.indisvalid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON"
		 " c.oid = i.indrelid WHERE i.indexrelid = pg_catalog.to_regclass(");
	text_add_literal(&sql, text_str(&name));
	text_add(&sql, ") AND c.relname = ");
	text_add_literal(&sql, entry->table);
	if (pg_value(pg, text_str(&sql), &valid, &ignored) < 0 || !valid)
		return 0;
	if (*valid == 't')
		return 1;
	return pg_execf(pg, &ignored, "DROP INDEX %s", text_str(&name)) == 0 ? -1 : 0;
}

/* True when the table has a constraint with the name that ends the tag. */
static bool has_constraint(struct pg *pg, const struct archive_entry *entry)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO_TEXT struct text name = TEXT_INIT;
	AUTO(free) char *found = NULL;
	struct err ignored = ERR_INIT;
	size_t skip = strlen(entry->table) + 1;

	if (strlen(entry->tag) <= skip)
		return false;
	text_add_qname(&name, entry->schema ? entry->schema : "", entry->table);
	text_add(&sql, "SELECT 1 FROM pg_catalog.pg_constraint WHERE conname = ");
	text_add_literal(&sql, entry->tag + skip);
	text_add(&sql, " AND conrelid = pg_catalog.to_regclass(");
	text_add_literal(&sql, text_str(&name));
	text_add(&sql, ")");
	return pg_value(pg, text_str(&sql), &found, &ignored) == 0 && found;
}

char *ddl_post_judge(struct ddl_session *s, void *ctx, const struct ddl_item *item, struct err *e)
{
	struct ddl_post *p = ctx;
	const struct archive_entry *entry = &p->archive->entries[item->number];
	bool relation = strcmp(e->sqlstate, "42P07") == 0;
	bool other = strcmp(e->sqlstate, "42710") == 0 || strcmp(e->sqlstate, "42P16") == 0;
	bool present = false;

	if (!relation && !other)
		return NULL;
	if (strcmp(entry->type, "INDEX") == 0 && entry->table) {
		int found = look_at_index(s->pg, entry);
		present = found > 0;
		if (found < 0) { /* the leftover is gone: once more, from the beginning */
			e->next = ERR_RETRY;
			return NULL;
		}
	} else if (strstr(entry->type, "CONSTRAINT") && entry->table) {
		present = has_constraint(s->pg, entry);
		if (!present && relation) {
			e->hint[0] = '\0';
			err_hint(e, "an index has the constraint's name: drop or rename it in the "
				    "target, then resume");
		}
	} else {
		present = strcmp(e->sqlstate, "42710") == 0;
	}
	if (!present)
		return NULL;
	return ddl_state_record(p->d, p->archive, item->number, ddl_post_section(p), DDL_PRESENT,
				"it was there already");
}

/* --- what is to be built --- */

/* Bytes of each relation of the archive, by entry; and what the server has. */
struct sizes {
	const struct archive *archive;
	int64_t *bytes;
	struct ddl_server server;
};

/* Rows are (schema, name, bytes) in byte order of schema and name; 0 where there is none. */
static int64_t find_size(const PGresult *res, const struct archive_entry *entry)
{
	int low = 0, high = PQntuples(res);

	while (low < high) {
		int mid = (low + high) / 2;
		int c = strcmp(entry->schema, PQgetvalue(res, mid, 0));
		if (c == 0)
			c = strcmp(entry->tag, PQgetvalue(res, mid, 1));
		if (c == 0)
			return strtoll(PQgetvalue(res, mid, 2), NULL, 10);
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return 0;
}

static int size_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct sizes *sizes = ctx;
	AUTO(pgresult) PGresult *res = NULL;

	if (pg_query(s->pg,
		     "SELECT n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid)"
		     " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
		     " ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN"
		     " ('pg_catalog', 'information_schema') ORDER BY n.nspname COLLATE \"C\","
		     " c.relname COLLATE \"C\"",
		     &res, e) < 0)
		return err_note(e, "reading the sizes of tables");
	for (int i = 0; i < sizes->archive->n_entries; i++) {
		const struct archive_entry *entry = &sizes->archive->entries[i];
		if (archive_is_relation(entry) && entry->schema)
			sizes->bytes[i] = find_size(res, entry);
	}
	return ddl_memory_server(s->pg, &sizes->server, e);
}

struct asking {
	struct sizes sizes;
	PGresult *partitioned;
};

static int ask_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct asking *asking = ctx;

	PQclear(GIVE(&asking->partitioned));
	if (ddl_foreign_list_partitioned(s->pg, &asking->partitioned, e) < 0)
		return -1;
	return size_work(s, &asking->sizes, e);
}

bool ddl_post_is_build(const struct archive_entry *entry)
{
	return strcmp(entry->type, "INDEX") == 0 || strcmp(entry->type, "CONSTRAINT") == 0;
}

bool ddl_post_is_foreign(const struct archive_entry *entry)
{
	return strcmp(entry->type, "FK CONSTRAINT") == 0;
}

/* --- steps in one session --- */

typedef bool wanted_fn(const struct archive_entry *entry);

struct step {
	struct ddl_post *p;
	wanted_fn *wanted; /* NULL: only what is not applied is recorded */
};

static int add_step_item(struct ddl_post *p, wanted_fn *wanted, int i, struct ddl_items *items,
			 struct err *e)
{
	const char *why = NULL;
	enum ddl_outcome outcome = ddl_state_inherited(&p->state, i, &why);

	if (outcome == DDL_PENDING && (!wanted || !wanted(&p->archive->entries[i])))
		return 0;
	if (outcome == DDL_PENDING)
		outcome = DDL_APPLIED;
	p->state.outcome[i] = outcome;
	return ddl_state_add(items, p->d, p->archive, i, ddl_post_section(p), outcome, why, NULL,
			     e);
}

static int step_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct step *step = ctx;
	struct ddl_post *p = step->p;
	struct ddl_items items = { 0 };
	struct ddl_state state;

	if (ddl_state_load(&state, s->pg, p->d->run, p->archive, p->aside, e) < 0)
		return -1;
	ddl_state_done(&p->state);
	p->state = state;
	int rc = 0;
	for (int i = 0; rc == 0 && i < p->archive->n_entries; i++) {
		if (p->archive->entries[i].section == ARCHIVE_POST_DATA &&
		    p->state.outcome[i] == DDL_PENDING)
			rc = add_step_item(p, step->wanted, i, &items, e);
	}
	if (rc == 0)
		rc = ddl_batch_run(s, &items, p->phase, ddl_post_judge, p, e);
	ddl_items_done(&items);
	return rc;
}

static int run_step(struct ddl_post *p, struct ddl_session *s, wanted_fn *wanted, struct err *e)
{
	struct step step = { .p = p, .wanted = wanted };

	return ddl_session_do(s, step_work, &step, e);
}

static bool is_attach(const struct archive_entry *entry)
{
	return strcmp(entry->type, "INDEX ATTACH") == 0;
}

static bool is_rest(const struct archive_entry *entry)
{
	return !ddl_post_is_build(entry) && !ddl_post_is_foreign(entry);
}

int ddl_post_queue(struct ddl_post *p, struct ddl_build *queue, struct ddl_server *server,
		   struct err *e)
{
	AUTO(free) int64_t *bytes = calloc((size_t)p->archive->n_entries + 1, sizeof *bytes);
	AUTO(pgresult) PGresult *partitioned = NULL;
	struct asking asking = { .sizes = { .archive = p->archive, .bytes = bytes } };
	struct ddl_session s;

	if (!bytes)
		return err_nomem(e);
	ddl_session_init(&s, p->d, p->d->stop, "ddl", ddl_post_settings);
	int rc = run_step(p, &s, NULL, e);
	if (rc == 0)
		rc = ddl_session_do(&s, ask_work, &asking, e);
	partitioned = asking.partitioned;
	ddl_session_done(&s);
	if (rc == 0)
		rc = ddl_build_add(queue, p, bytes, partitioned, e);
	*server = asking.sizes.server;
	return rc;
}

int ddl_post_pending(const struct ddl_post *p)
{
	int n = 0;

	for (int i = 0; i < p->archive->n_entries; i++) {
		const struct archive_entry *entry = &p->archive->entries[i];
		n += entry->section == ARCHIVE_POST_DATA &&
		     (ddl_post_is_build(entry) || ddl_post_is_foreign(entry)) &&
		     p->state.outcome[i] == DDL_PENDING;
	}
	return n;
}

void ddl_post_tell_built(const struct ddl_post *p, int i, uint64_t ms)
{
	const struct archive_entry *entry = &p->archive->entries[i];
	AUTO_TEXT struct text label = TEXT_INIT;
	char ended[16];

	archive_entry_label(entry, &label);
	snprintf(ended, sizeof ended, "%.1f s", (double)ms / 1000);
	event_emit(p->d->events, EVENT_INFO, "index.built",
		   json_pack("{s:s, s:s*, s:s*, s:s, s:I}", "type", entry->type, "schema",
			     entry->schema, "table", entry->table, "name", entry->tag, "ms",
			     (json_int_t)ms),
		   "built %s in %s", text_str(&label), ended);
}

/* What an earlier process, or ddl_early, has done counts as done. */
static int count_settled(const struct ddl_post *p)
{
	int n = 0;

	for (int i = 0; i < p->archive->n_entries; i++)
		n += p->archive->entries[i].section == ARCHIVE_POST_DATA &&
		     p->state.outcome[i] != DDL_PENDING;
	return n;
}

/* All that ddl_build can do, with several sessions. */
static int build_all(struct ddl_post *p, struct err *e)
{
	struct ddl_build *queue = NULL;
	struct ddl_builder *builder = NULL;
	struct ddl_server server;

	if (ddl_build_new(&queue, p->d->jobs, e) < 0)
		return -1;
	if (ddl_post_queue(p, queue, &server, e) < 0) {
		ddl_build_free(queue);
		return -1;
	}
	p->phase->done = count_settled(p);
	ddl_build_all_loaded(queue);
	if (ddl_builder_start(&builder, p->d, queue, &server, NULL, NULL, e) < 0)
		return -1;
	return ddl_builder_end(builder, false, e);
}

static int run_steps(struct ddl_post *p, struct ddl_session *s, struct err *e)
{
	/* Foreign keys that are left take one step. */
	if (build_all(p, e) < 0 || run_step(p, s, is_attach, e) < 0 ||
	    run_step(p, s, ddl_post_is_foreign, e) < 0)
		return -1;
	return run_step(p, s, is_rest, e);
}

int ddl_post_run(struct ddl_post *p, struct err *e)
{
	struct ddl_session s;
	struct ddl_phase phase;
	int total = 0;

	for (int i = 0; i < p->archive->n_entries; i++)
		total += p->archive->entries[i].section == ARCHIVE_POST_DATA;
	ddl_phase_begin(&phase, p->d, "indexes", total);
	p->phase = &phase;
	ddl_session_init(&s, p->d, p->d->stop, "ddl", ddl_post_settings);
	int rc = run_steps(p, &s, e);
	ddl_session_done(&s);
	ddl_phase_end(&phase);
	ddl_state_done(&p->state);
	return rc;
}

int ddl_post_data(const struct ddl *d, const struct archive *a, struct err *e)
{
	struct ddl_post p = { .d = d, .archive = a };

	if (ddl_post_run(&p, e) < 0)
		return err_note(e, "making indexes, constraints and triggers in the target");
	return 0;
}
