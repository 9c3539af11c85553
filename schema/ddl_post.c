#include "schema/ddl_post.h"
#include "schema/ddl_memory.h"

#include <string.h>

static const char settings[] = "SET check_function_bodies = off; SET client_min_messages = warning;"
			       " SET standard_conforming_strings = on";

/* Tables smaller than this share transactions: what they cost is round trips. */
#define SMALL_TABLE ((int64_t)1 << 20)
#define SMALL_ITEMS 64
/* More than this brings B-trees little. */
#define SORT_MEMORY_MAX ((int64_t)1 << 30)

/* --- what is left of a few entries --- */

int ddl_post_refresh(struct ddl_post *p, struct pg *pg, const int *entries, int n, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	text_add(&sql, "SELECT entry FROM neonferry.object WHERE section = ");
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
			p->state.outcome[entry - p->archive->entries] = DDL_APPLIED;
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

/* --- indexes and constraints of one table, or of some small ones --- */

struct task {
	int *entries; /* into the shared list */
	int n;
	int64_t bytes;
};

struct building {
	struct ddl_post *p;
	struct task *tasks;
};

struct task_work {
	struct ddl_post *p;
	const struct task *task;
	int attempt;
};

static int task_items(const struct task_work *w, struct ddl_items *items, struct err *e)
{
	for (int i = 0; i < w->task->n; i++) {
		int entry = w->task->entries[i];
		if (w->p->state.outcome[entry] == DDL_PENDING &&
		    ddl_state_add(items, w->p->d, w->p->archive, entry, ddl_post_section(w->p),
				  DDL_APPLIED, NULL, NULL, e) < 0)
			return -1;
	}
	return 0;
}

static int task_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct task_work *w = ctx;
	struct ddl_items items = { 0 };
	int rc = 0;

	if (w->attempt++ > 0)
		rc = ddl_post_refresh(w->p, s->pg, w->task->entries, w->task->n, e);
	if (rc == 0)
		rc = task_items(w, &items, e);
	if (rc == 0 && w->task->bytes < SMALL_TABLE)
		rc = ddl_batch_run(s, &items, w->p->phase, ddl_post_judge, w->p, e);
	/* Each in a transaction of its own: what has been built stays built. */
	for (int i = 0; rc == 0 && w->task->bytes >= SMALL_TABLE && i < items.n; i++) {
		struct ddl_items one = { .n = 1, .list = &items.list[i] };
		rc = ddl_batch_run(s, &one, w->p->phase, ddl_post_judge, w->p, e);
		if (rc == 0)
			w->p->state.outcome[items.list[i].number] = DDL_APPLIED;
	}
	ddl_items_done(&items);
	return rc;
}

static int build_task(struct ddl_session *s, int i, void *ctx, struct err *e)
{
	struct building *b = ctx;
	struct task_work w = { .p = b->p, .task = &b->tasks[i] };

	if (ddl_session_do(s, task_work, &w, e) < 0)
		return -1;
	for (int k = 0; k < w.task->n; k++) {
		if (b->p->state.outcome[w.task->entries[k]] == DDL_PENDING)
			b->p->state.outcome[w.task->entries[k]] = DDL_APPLIED;
	}
	return 0;
}

/* One entry to be built, with what it is ordered by: the largest table first. */
struct build {
	int entry, parent;
	int64_t bytes;
};

static int by_size(const void *a, const void *b)
{
	const struct build *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

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

/* Cuts the sorted list into tasks: one large table each, small ones together. */
static int make_tasks(const struct build *builds, int n, int *entries, struct task *tasks)
{
	int n_tasks = 0;

	for (int i = 0; i < n; i++) {
		struct task *last = n_tasks > 0 ? &tasks[n_tasks - 1] : NULL;
		bool same = i > 0 && builds[i].parent == builds[i - 1].parent;
		bool small = last && last->bytes < SMALL_TABLE && last->n < SMALL_ITEMS;

		entries[i] = builds[i].entry;
		if (last && (same || small)) {
			last->n++;
			continue;
		}
		tasks[n_tasks++] =
			(struct task){ .entries = &entries[i], .n = 1, .bytes = builds[i].bytes };
	}
	return n_tasks;
}

static int run_builds(struct ddl_post *p, struct build *builds, int n, int64_t memory,
		      struct err *e)
{
	AUTO(free) int *entries = calloc((size_t)n + 1, sizeof *entries);
	AUTO(free) struct task *tasks = calloc((size_t)n + 1, sizeof *tasks);
	struct building b = { .p = p, .tasks = tasks };
	char with_memory[sizeof settings + 64];

	if (!entries || !tasks)
		return err_nomem(e);
	snprintf(with_memory, sizeof with_memory, "%s; SET maintenance_work_mem = '%lldkB'",
		 settings, (long long)memory >> 10);
	qsort(builds, (size_t)n, sizeof *builds, by_size);
	int n_tasks = make_tasks(builds, n, entries, tasks);
	return ddl_parallel(p->d, "index", with_memory, p->d->jobs, n_tasks, build_task, &b, e);
}

static bool is_build(const struct archive_entry *entry)
{
	return strcmp(entry->type, "INDEX") == 0 || strcmp(entry->type, "CONSTRAINT") == 0;
}

/* Sorts of several sessions at once, each with some workers, share what an index build may have. */
static int64_t sort_memory(const struct ddl_server *server, int jobs)
{
	int64_t share = ddl_memory_grant(server, DDL_MEMORY_MAX) / (jobs > 0 ? jobs : 1);

	if (share > SORT_MEMORY_MAX)
		share = SORT_MEMORY_MAX;
	return share < server->work_mem ? server->work_mem : share;
}

static int build_indexes(struct ddl_post *p, const struct sizes *sizes, struct err *e)
{
	const int64_t *bytes = sizes->bytes;
	const struct archive *a = p->archive;
	size_t max = (size_t)a->n_entries + 1;
	AUTO(free) struct build *builds = calloc(max, sizeof *builds);
	AUTO(free) int *vectors = calloc(max, sizeof *vectors);
	int n = 0, n_vectors = 0;

	if (!builds || !vectors)
		return err_nomem(e);
	for (int i = 0; i < a->n_entries; i++) {
		const struct archive_entry *entry = &a->entries[i];
		if (entry->section != ARCHIVE_POST_DATA || p->state.outcome[i] != DDL_PENDING ||
		    !is_build(entry))
			continue;
		if (ddl_vector_is(entry))
			vectors[n_vectors++] = i;
		else
			builds[n++] =
				(struct build){ i, entry->parent,
						entry->parent >= 0 ? bytes[entry->parent] : 0 };
	}
	if (run_builds(p, builds, n, sort_memory(&sizes->server, p->d->jobs), e) < 0)
		return -1;
	return ddl_vector_build(p, vectors, n_vectors, e);
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
	return !is_build(entry) && strcmp(entry->type, "FK CONSTRAINT") != 0;
}

static int run_steps(struct ddl_post *p, struct ddl_session *s, struct err *e)
{
	AUTO(free) int64_t *bytes = calloc((size_t)p->archive->n_entries + 1, sizeof *bytes);
	struct sizes sizes = { .archive = p->archive, .bytes = bytes };

	if (!bytes)
		return err_nomem(e);
	if (run_step(p, s, NULL, e) < 0 || ddl_session_do(s, size_work, &sizes, e) < 0)
		return -1;
	/* The connection would be idle while others build for hours. */
	ddl_session_done(s);
	if (build_indexes(p, &sizes, e) < 0 || run_step(p, s, is_attach, e) < 0)
		return -1;
	ddl_session_done(s);
	if (ddl_foreign_keys(p, e) < 0)
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
	ddl_session_init(&s, p->d, p->d->stop, "ddl", settings);
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
