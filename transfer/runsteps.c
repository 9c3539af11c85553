/* runsteps - connecting both ends, and entering the ledger. */
#include "transfer/runpriv.h"

#include "common/clock.h"
#include "common/file.h"
#include "schema/restore_point.h"
#include "transfer/sessions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#ifndef NEONFERRY_VERSION
#define NEONFERRY_VERSION "dev"
#endif

/* A first connection that fails is mostly a wrong address: try a little, then say so. */
#define FIRST_ATTEMPTS 4

void run_phase(struct run *r, enum phase phase)
{
	static const char *const names[] = { "connect", "schema", "plan",  "copy",
					     "index",   "finish", "proof", "done" };

	atomic_store(&r->progress.phase, (int)phase);
	atomic_store(&r->progress.step_done, 0);
	atomic_store(&r->progress.step_total, 0);
	event_emit(r->events, EVENT_INFO, "phase", json_pack("{s:s}", "phase", names[phase]),
		   "phase: %s", names[phase]);
	run_fact(r, "phase", json_string(names[phase]));
}

void run_fact(struct run *r, const char *key, json_t *value)
{
	json_object_set_new(r->facts, key, value);
}

static int open_end(struct run *r, const struct conn *conn, const char *what, struct pg **ret,
		    struct err *e)
{
	AUTO_TEXT struct text name = TEXT_INIT;
	bool patient = conn == r->source ? r->had_source : r->written;

	text_addf(&name, "%s %s", r->dir.name, what);
	for (unsigned attempt = 1;; attempt++) {
		struct err tried = ERR_INIT;

		if (pg_open(ret, conn, text_str(&name), r->watched, &tried) == 0)
			return 0;
		if (tried.next == ERR_GIVE_UP || (!patient && attempt >= FIRST_ATTEMPTS) ||
		    attempt > 60) {
			*e = tried;
			return -1;
		}
		event_emit(r->events, EVENT_NOTICE, "connect.wait", NULL, "waiting for the %s: %s",
			   pg_role_name(conn_role(conn)), tried.text);
		if (stop_sleep(r->watched, clock_backoff(attempt, 500, 30000), e) < 0)
			return -1;
	}
}

/* Fewer sessions than the limit allows, instead of failing at it again and again. */
static int fit_sessions(struct run *r, struct err *e)
{
	int possible, wanted = r->settings.senders, senders;

	if (wanted <= 1)
		return 0;
	if (sessions_free(r->target_pg, &possible, e) < 0)
		return -1;
	senders = sessions_share(possible, wanted);
	if (senders == wanted)
		return 0;
	r->settings.senders = senders;
	event_emit(r->events, EVENT_NOTICE, "sessions.fewer",
		   json_pack("{s:i, s:i}", "possible", possible, "senders", senders),
		   "the target allows %d more sessions now: senders %d instead of %d", possible,
		   senders, wanted);
	return 0;
}

int run_open_target(struct run *r, struct err *e)
{
	if (r->target_pg)
		return 0;
	if (open_end(r, r->target, "control", &r->target_pg, e) < 0)
		return -1;
	return fit_sessions(r, e);
}

int run_open_source(struct run *r, struct err *e)
{
	if (r->source_pg && pg_is_alive(r->source_pg))
		return 0;
	pg_close(r->source_pg);
	r->source_pg = NULL;
	if (!r->source) {
		err_set(e, ERR_RESUME, "the capture is not complete, so the source is needed");
		return err_hint(e, "name it with --source");
	}
	if (open_end(r, r->source, "plan", &r->source_pg, e) < 0)
		return -1;
	r->had_source = true;
	return 0;
}

/* Names and addresses prove nothing: a lock taken on one end must not be seen on the other. */
int run_refuse_same_database(struct run *r, struct err *e)
{
	AUTO(free) char *taken = NULL;
	int64_t key = 0;
	struct err ignored = ERR_INIT;
	int rc;

	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		return err_set(e, ERR_INTERNAL, "no random numbers");
	if (pg_execf(r->source_pg, e, "SELECT pg_catalog.pg_advisory_lock(%" PRId64 ")", key) < 0)
		return -1;
	rc = pg_valuef(r->target_pg, &taken, e,
		       "SELECT pg_catalog.pg_try_advisory_lock(%" PRId64 ")", key);
	if (rc == 0 && taken && strcmp(taken, "t") == 0)
		rc = pg_execf(r->target_pg, e, "SELECT pg_catalog.pg_advisory_unlock(%" PRId64 ")",
			      key);
	if (pg_execf(r->source_pg, &ignored, "SELECT pg_catalog.pg_advisory_unlock(%" PRId64 ")",
		     key) < 0 &&
	    rc == 0)
		rc = -1, *e = ignored;
	if (rc < 0)
		return -1;
	if (taken && strcmp(taken, "t") == 0)
		return 0;
	err_set(e, ERR_REFUSED, "source and target are the same database (%s and %s)",
		conn_label(r->source), conn_label(r->target));
	return err_hint(e, "name another database with --target");
}

static void show_steps(void *ctx, const char *phase, int done, int total, const char *now)
{
	struct run *r = ctx;

	(void)phase;
	(void)now; /* what takes long is told by events */
	atomic_store(&r->progress.step_total, total);
	atomic_store(&r->progress.step_done, done);
}

struct ddl run_ddl(struct run *r)
{
	return (struct ddl){ .target = r->target,
			     .run = r->dir.name,
			     .generation = r->generation,
			     .stop = &r->stop,
			     .events = r->events,
			     .jobs = r->settings.senders,
			     .spare = &r->spare,
			     .progress = show_steps,
			     .progress_ctx = r };
}

static json_t *ledger_detail(const struct run *r)
{
	return json_pack("{s:s, s:s}", "source",
			 r->source ? conn_label(r->source)
				   : json_string_value(json_object_get(r->dir.identity, "source")),
			 "folder", r->dir.path);
}

static int run_is_known(struct run *r, bool *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *there = NULL;

	text_add(&sql, "SELECT 1 FROM neonferry.run WHERE run = ");
	text_add_literal(&sql, r->dir.name);
	if (pg_value(r->target_pg, text_str(&sql), &there, e) < 0)
		return -1;
	*ret = there != NULL;
	return 0;
}

int run_has_objects(struct run *r, bool *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *there = NULL;

	if (pg_value(r->target_pg, "SELECT pg_catalog.to_regclass('neonferry.object')", &there, e) <
	    0)
		return -1;
	*ret = false;
	if (!there)
		return 0;
	free(GIVE(&there));
	text_add(&sql, "SELECT 1 FROM neonferry.object WHERE run = ");
	text_add_literal(&sql, r->dir.name);
	text_add(&sql, " LIMIT 1");
	if (text_check(&sql, e) < 0 || pg_value(r->target_pg, text_str(&sql), &there, e) < 0)
		return -1;
	*ret = there != NULL;
	return 0;
}

/*
 * Where the target stood before the first write. Kept in the folder, so that a resume does not take
 * a later one for it; one that `neonferry restore-point` left there is older, and as good.
 */
static void keep_restore_point(struct run *r)
{
	AUTO(free) char *path = rundir_file(&r->dir, RUNDIR_RESTORE_POINT);
	struct err ignored = ERR_INIT;
	json_t *point = NULL;

	if (!path || file_exists(path) ||
	    restore_point_read(&point, r->target_pg, r->target, &ignored) < 0)
		return;
	if (file_write_json(path, point, &ignored) < 0)
		event_emit(r->events, EVENT_WARNING, "restore-point.lost", NULL,
			   "the target's position before the run could not be kept: %s",
			   ignored.text);
	json_decref(point);
}

/* A new run is registered; one that was there is taken over, which fences off its earlier process.
 */
int run_enter_ledger(struct run *r, struct err *e)
{
	json_t *detail;
	bool known = false;
	int rc;

	if (!r->plan)
		keep_restore_point(r);
	r->written = true;
	if (ledger_install(r->target_pg, e) < 0 || run_is_known(r, &known, e) < 0) {
		r->written = r->plan || !e->sqlstate[0]; /* the server said no: nothing is there */
		return err_note(e, "preparing the ledger in the target");
	}
	if (known)
		return ledger_take_over(r->target_pg, r->dir.name, &r->generation, e);
	if (r->plan) {
		err_set(e, ERR_RESUME, "target: its ledger does not know the run %s", r->dir.name);
		return err_hint(e, "the target was restored or its schema neonferry dropped: start "
				   "a new run in another folder, with --on-existing as needed");
	}
	detail = ledger_detail(r);
	rc = ledger_begin(r->target_pg, r->dir.name, NEONFERRY_VERSION, detail, e);
	json_decref(detail);
	r->generation = 1;
	return rc;
}
