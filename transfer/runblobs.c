/* runblobs - the large objects of a run: when they are read, checked, loaded, proven and removed.
 */
#include "transfer/blob.h"
#include "transfer/blobfile.h"
#include "transfer/runpriv.h"

#include "common/clock.h"
#include "common/file.h"

#define LOAD_ATTEMPTS 30

static struct blob_job job_of(struct run *r)
{
	return (struct blob_job){ .dir = r->dir.path,
				  .run = r->dir.name,
				  .key = r->settings.spill_key,
				  .generation = r->generation,
				  .existing = r->settings.existing,
				  .stop = &r->stop,
				  .events = r->events };
}

/* They belong to no table, so they go only where the whole database goes. */
static bool are_wanted(const struct run *r)
{
	return r->settings.data && r->settings.n_tables == 0 && r->settings.n_collections == 0;
}

static void leave_out(struct run *r)
{
	int64_t n = r->source_catalog ? r->source_catalog->n_large_objects : 0;

	if (n == 0)
		return;
	run_fact(r, "large_objects_left_out", json_integer(n));
	event_emit(r->events, EVENT_NOTICE, "blob.left_out",
		   json_pack("{s:I}", "objects", (json_int_t)n),
		   "%lld large objects are not carried: only some tables are moved", (long long)n);
}

int run_capture_blobs(struct run *r, struct err *e)
{
	struct blob_job j = job_of(r);

	if (are_wanted(r))
		return blob_capture(&j, r->source_pg, e);
	leave_out(r);
	return 0;
}

int run_renew_blobs(struct run *r, struct err *e)
{
	AUTO(free) char *path = rundir_file(&r->dir, BLOBFILE_INDEX);

	if (!path)
		return err_nomem(e);
	return !are_wanted(r) || file_exists(path) ? 0 : run_capture_blobs(r, e);
}

int run_check_blobs(struct run *r, struct err *e)
{
	struct blob_job j = job_of(r);

	return are_wanted(r) ? blob_check(&j, r->target_pg, e) : 0;
}

/* A target that goes away in between is waited for, as the senders do. */
int run_load_blobs(struct run *r, struct err *e)
{
	struct blob_job j = job_of(r);

	if (!are_wanted(r))
		return 0;
	for (unsigned attempt = 1;; attempt++) {
		struct err tried = ERR_INIT;

		if (run_renew_target(r, e) < 0)
			return -1;
		if (blob_load(&j, r->target_pg, &tried) == 0)
			return 0;
		if (tried.next == ERR_GIVE_UP || attempt == LOAD_ATTEMPTS) {
			*e = tried;
			return -1;
		}
		event_emit(r->events, EVENT_NOTICE, "blob.retry", NULL,
			   "large objects are loaded again: %s", tried.text);
		if (stop_sleep(&r->stop, clock_backoff(attempt, 500, 30000), e) < 0)
			return -1;
	}
}

/* Every object of the capture is hashed in the target; those that differ count as unproven. */
int run_prove_blobs(struct run *r, int64_t *ret_unproven, struct err *e)
{
	struct blob_job j = job_of(r);
	int64_t n = 0, wrong = 0;

	*ret_unproven = 0;
	if (!are_wanted(r))
		return 0;
	if (run_renew_target(r, e) < 0 || blob_prove(&j, r->target_pg, &n, &wrong, e) < 0)
		return -1;
	if (n > 0)
		run_fact(r, "large_objects", json_integer(n));
	/* The plan counted them by itself: a capture that missed some must not prove itself. */
	if (r->plan->large_objects > n)
		wrong += r->plan->large_objects - n;
	*ret_unproven = wrong;
	return 0;
}
