/* runsnapshot - the run's view of the source: taken, found again, or taken anew and proven. */
#include "transfer/runpriv.h"

#include "common/clock.h"
#include "transfer/existing.h"
#include "transfer/reproof.h"
#include "transfer/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_ATTEMPTS 5
/* Who waits for an exclusive lock stands in front of us, behind the holder: not for ever. */
#define LOCK_WAIT "60s"
#define LOCK_TRY  "3s"

static bool is_locked(const struct table *t)
{
	return t->kind == 'r' || t->kind == 'p';
}

static int list_relations(const struct catalog *c, struct holder_relation **ret, int *ret_n,
			  struct err *e)
{
	struct holder_relation *list = calloc((size_t)c->n_tables + 1, sizeof(*list));
	int n = 0;

	if (!list)
		return err_nomem(e);
	for (int i = 0; i < c->n_tables; i++)
		if (is_locked(&c->tables[i]))
			list[n++] = (struct holder_relation){ c->tables[i].qname, c->tables[i].oid,
							      c->tables[i].relfilenode };
	*ret = list;
	*ret_n = n;
	return 0;
}

static void note_holder(void *ctx, const char *sentence)
{
	struct run *r = ctx;

	event_emit(r->events, EVENT_NOTICE, "snapshot.wait", NULL, "%s", sentence);
}

/* A table made between listing and locking would be in the snapshot but not locked. */
static int check_same_tables(const struct catalog *before, const struct catalog *after, struct err *e)
{
	int known = 0;

	for (int i = 0; i < after->n_tables; i++) {
		const struct table *t = &after->tables[i];
		const struct table *old = catalog_table_by_oid(before, t->oid);

		if (!is_locked(t))
			continue;
		if (!old || old->relfilenode != t->relfilenode)
			known = -1;
		if (known < 0)
			break;
	}
	if (known == 0)
		return 0;
	err_set(e, ERR_SOURCE, "source: tables were created or rewritten while the snapshot was taken");
	e->next = ERR_RETRY;
	return -1;
}

static int import_snapshot(struct run *r, const char *snapshot, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SET TRANSACTION SNAPSHOT ");
	text_add_literal(&sql, snapshot);
	if (pg_begin(r->source_pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e) < 0)
		return -1;
	text_add(&sql, "; SET LOCAL lock_timeout = '" LOCK_WAIT "'");
	return pg_exec(r->source_pg, text_str(&sql), e);
}

static int take_snapshot_once(struct run *r, struct err *e)
{
	AUTO(catalog) struct catalog *before = NULL;
	AUTO(free) struct holder_relation *relations = NULL;
	int n = 0;

	if (run_open_source(r, e) < 0 ||
	    pg_exec(r->source_pg, "SET lock_timeout = '" LOCK_TRY "'", e) < 0 ||
	    run_read_catalog(r, r->source_pg, true, &before, e) < 0 ||
	    plan_check_rights(before, e) < 0 || list_relations(before, &relations, &n, e) < 0)
		return -1;
	if (holder_start(r->dir.path, r->source, r->dir.name, relations, n, r->settings.snapshot_ttl_ms,
			 &r->stop, note_holder, r, &r->holder, e) < 0)
		return -1;
	catalog_free(r->source_catalog);
	r->source_catalog = NULL;
	if (import_snapshot(r, r->holder.snapshot, e) < 0 ||
	    run_read_catalog(r, r->source_pg, true, &r->source_catalog, e) < 0)
		return -1;
	return check_same_tables(before, r->source_catalog, e);
}

/* Reading the catalogs waits for exclusive locks too: as long as it takes, but not without a word. */
static void tell_blocked(struct run *r)
{
	AUTO_TEXT struct text who = TEXT_INIT;

	if (!r->source_pg || !pg_is_alive(r->source_pg))
		return;
	pg_rollback(r->source_pg);
	view_blockers(r->source_pg, 0, &who);
	event_emit(r->events, EVENT_NOTICE, "snapshot.wait", NULL, "waiting for a table lock in the source%s",
		   text_str(&who));
}

/* Leaves source_pg in a transaction with the new snapshot, and source_catalog as it shows it. */
int run_take_snapshot(struct run *r, struct err *e)
{
	for (int attempt = 1;; attempt++) {
		struct err tried = ERR_INIT;

		if (take_snapshot_once(r, &tried) == 0)
			return 0;
		if (strcmp(tried.sqlstate, "55P03") == 0) {
			tell_blocked(r);
			attempt = 0;
		}
		pg_close(r->source_pg);
		r->source_pg = NULL;
		holder_release(r->dir.path);
		if (tried.next == ERR_GIVE_UP || attempt == LIST_ATTEMPTS) {
			*e = tried;
			return -1;
		}
		if (stop_sleep(&r->stop, clock_backoff((unsigned)attempt, 200, 5000), e) < 0)
			return -1;
	}
}

/* --- a lost snapshot --- */

static int adopt_plan(struct run *r, struct plan *p, struct err *e)
{
	(void)snprintf(p->snapshot, sizeof(p->snapshot), "%s", r->holder.snapshot);
	(void)snprintf(p->lsn, sizeof(p->lsn), "%s", r->holder.lsn);
	if (plan_save(p, r->dir.path, e) < 0)
		return -1;
	plan_free(r->plan);
	r->plan = p;
	return 0;
}

static void tell_reproof(struct run *r, const struct reproof *rp)
{
	event_emit(r->events, EVENT_NOTICE, "reproof.done",
		   json_pack("{s:i, s:i, s:i, s:i}", "kept", rp->kept, "grown", rp->grown, "reread",
			     rp->reread, "withdrawn", rp->withdrawn),
		   "proven again under a new snapshot: %d chunks stand as they are, %d must be read again, %d "
		   "of those were withdrawn from the target; the run is now the source as of this new "
		   "snapshot", rp->kept, rp->reread, rp->withdrawn);
	run_fact(r, "snapshots", json_integer(r->plan->no));
}

/* Another server under the same name: nothing of it may be mixed with what was captured. */
static int check_source(const struct run *r, struct err *e)
{
	char now[sizeof(r->plan->source_id)];

	run_source_id(r, now, sizeof(now));
	if (!*r->plan->source_id || strcmp(r->plan->source_id, now) == 0)
		return 0;
	err_set(e, ERR_RESUME, "source: %s is not the database that this run began with (%s, now %s)",
		conn_label(r->source), r->plan->source_id, now);
	return err_hint(e, "resume with the source of the run, or start a new run in another folder");
}

/* Foreign keys that are there already would refuse what is withdrawn, or worse, delete with it. */
static int take_back(void *ctx, struct err *e)
{
	struct run *r = ctx;
	struct ddl d = run_ddl(r);

	return ddl_take_back_foreign(&d, r->settings.post ? r->archive : NULL, e);
}

static int prove_again(struct run *r, struct err *e)
{
	struct reproof rp = { .source = r->source_pg, .target = r->target_pg, .run = r->dir.name,
			      .spill_dir = r->dir.spill, .generation = r->generation,
			      .settings = &r->settings, .events = r->events, .stop = &r->stop,
			      .progress = &r->progress, .change = take_back, .ctx = r };
	struct existing x = { .target = r->target_pg, .source = r->source_pg,
			      .catalog = r->target_catalog, .run = r->dir.name,
			      .settings = &r->settings, .events = r->events };
	AUTO(plan) struct plan *next = NULL;

	if (check_source(r, e) < 0 || reproof_plan(&rp, r->plan, r->source_catalog, &next, e) < 0 ||
	    plan_match_target(next, r->source_catalog, r->target_catalog, &r->settings, false, e) < 0 ||
	    existing_recheck(&x, next, e) < 0 ||
	    reproof_chunks(&rp, r->plan, next, r->known, e) < 0 || run_save_sequences(r, e) < 0 ||
	    run_capture_blobs(r, e) < 0)
		return -1;
	if (adopt_plan(r, next, e) < 0)
		return -1;
	next = NULL;
	tell_reproof(r, &rp);
	return 0;
}

static int recapture(struct run *r, struct err *e)
{
	event_emit(r->events, EVENT_NOTICE, "snapshot.again", NULL,
		   "the snapshot's holder is gone: taking a new snapshot and proving what was captured");
	run_phase(r, PHASE_PLAN);
	holder_release(r->dir.path);
	if (run_take_snapshot(r, e) < 0)
		return -1;
	run_unmark_complete(r);
	if (prove_again(r, e) == 0)
		return 0;
	holder_release(r->dir.path); /* there is no plan for its snapshot */
	return -1;
}

int run_find_snapshot(struct run *r, struct err *e)
{
	int found = holder_find(r->dir.path, r->source_pg, &r->holder, e);

	if (found < 0)
		return -1;
	if (found && strcmp(r->holder.snapshot, r->plan->snapshot) == 0)
		return import_snapshot(r, r->holder.snapshot, e) < 0 ? -1 : run_renew_blobs(r, e);
	return recapture(r, e);
}
