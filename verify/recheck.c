#include "verify/recheck.h"

#include "common/clock.h"
#include "common/stop.h"
#include "verify/rowdiff.h"
#include "verify/session.h"

#include <string.h>

/* One table in one round. */
struct round {
	struct databases *ends;
	const struct recheck_settings *settings;
	const struct recheck *was; /* as the round before left it */
	struct recheck now;
	bool last;
};

/* --- telling --- */

static const char *class_of(const struct flagged_sums *s)
{
	if (s->changed > 0)
		return "changed";
	if (s->missing > 0)
		return "missing";
	return s->extra > 0 ? "extra" : "doubled";
}

/* was: how it differed when it differed last. */
static void tell(const struct round *r, const struct flagged_row *row,
		 const struct flagged_sums *was)
{
	const char *state = flagged_state_word(row->state);
	uint64_t copies = was->changed + was->missing + was->extra + was->doubled;
	json_t *line;

	if (row->shown >= 0)
		json_object_set_new(json_array_get(r->was->rows, (size_t)row->shown), "state",
				    json_string(state));
	if (!r->settings->all || r->was->silent)
		return;
	line = rowdiff_row(r->was->p, row, class_of(was), copies);
	json_object_set_new(line, "state", json_string(state));
	json_dumpf(line, r->settings->all, JSON_COMPACT);
	fputc('\n', r->settings->all);
	json_decref(line);
}

/* --- one round --- */

/* Whether the row is what it was at the look before, on both ends. */
static bool is_same(const struct flagged_row *now, const struct flagged_copies *before,
		    int n_before)
{
	for (int i = 0; i < now->n_copies; i++) {
		const uint64_t *was = i < n_before ? before[i].n : (const uint64_t[]){ 0, 0 };

		if (now->copies[i].n[0] != was[0] || now->copies[i].n[1] != was[1])
			return false;
	}
	return true;
}

static int judge(struct round *r, struct flagged_row *now, const struct flagged_row *before,
		 struct err *e)
{
	struct flagged_sums was = { 0 };

	if (!flagged_differs(now)) {
		now->state = FLAGGED_TRANSIENT;
		flagged_sum(&was, before);
		r->now.transient++;
		tell(r, now, &was);
		return 0;
	}
	now->state =
		is_same(now, before->copies, before->n_copies) ? FLAGGED_LASTING : FLAGGED_MOVING;
	if (!r->last)
		return flagged_add(&r->now.list, now, e);
	flagged_sum(&was, now);
	tell(r, now, &was);
	if (now->state == FLAGGED_MOVING) {
		r->now.moving++;
		return 0;
	}
	r->now.lasting++;
	flagged_sum(&r->now.sums, now);
	return flagged_add(&r->now.list, now, e);
}

static int copy_counts(struct flagged_row *to, const struct flagged_row *from, struct err *e)
{
	*to = (struct flagged_row){ .shown = -1 };
	if (from->n_copies == 0)
		return 0;
	to->copies = calloc((size_t)from->n_copies, sizeof(*to->copies));
	if (!to->copies)
		return err_nomem(e);
	memcpy(to->copies, from->copies, (size_t)from->n_copies * sizeof(*to->copies));
	to->n_copies = from->n_copies;
	return 0;
}

static int look_both(const struct round *r, struct flagged_row *rows, int n, struct err *e)
{
	struct pg *pg[2] = { r->ends->snapshot_session, r->ends->plain[PG_TARGET] };

	for (int role = 0; role < 2; role++)
		if (look_again(pg[role], r->was->p, (enum pg_role)role, &r->settings->filter, rows,
			       n, e))
			return -1;
	return 0;
}

static int check_batch(struct round *r, struct flagged_row *rows, int n, struct err *e)
{
	struct flagged_row *before = calloc((size_t)n, sizeof(*before));
	int rc = before ? 0 : err_nomem(e);

	for (int i = 0; i < n && rc == 0; i++)
		rc = copy_counts(&before[i], &rows[i], e);
	if (rc == 0)
		rc = look_both(r, rows, n, e);
	for (int i = 0; i < n && rc == 0; i++)
		rc = judge(r, &rows[i], &before[i], e);
	if (before)
		flagged_rows_done(before, n);
	free(before);
	return rc;
}

static int check_table(struct round *r, struct flagged *list, struct err *e)
{
	int max = look_batch(r->was->p), n = 0;
	struct flagged_row *rows = calloc((size_t)max, sizeof(*rows));
	int rc = rows ? 0 : err_nomem(e);

	flagged_rewind(list);
	while (rc == 0) {
		rc = flagged_next(list, rows, max, &n, e);
		if (rc || n == 0)
			break;
		rc = check_batch(r, rows, n, e);
		flagged_rows_done(rows, n);
	}
	free(rows);
	return rc;
}

/* --- all rounds --- */

/* From its beginning again where an end went away meanwhile. */
static int run_table(struct round *r, struct err *e)
{
	uint64_t deadline = clock_ms() + r->ends->patience_ms;
	unsigned attempt = 1;

	for (;;) {
		struct flagged list = r->was->list;
		struct err lost = ERR_INIT;

		*e = ERR_INIT;
		r->now = *r->was;
		r->now.list = flagged_list(list.store);
		if (check_table(r, &list, e) == 0)
			return 0;
		if (databases_mend(r->ends, r->settings->stop, &lost)) {
			*e = lost;
			return -1;
		}
		if (!session_again(e, &attempt, deadline, r->settings->stop))
			return -1;
	}
}

static int run_round(struct recheck *tables, int n, struct databases *ends,
		     const struct recheck_settings *settings, bool last, struct err *e)
{
	for (int i = 0; i < n; i++) {
		struct round r = {
			.ends = ends, .settings = settings, .was = &tables[i], .last = last
		};

		if (tables[i].list.n == 0)
			continue;
		if (run_table(&r, e))
			return err_note(e, "looking at the differing rows of %s again",
					tables[i].p->name);
		tables[i] = r.now;
	}
	return 0;
}

static uint64_t count_open(const struct recheck *tables, int n)
{
	uint64_t open = 0;

	for (int i = 0; i < n; i++)
		open += tables[i].list.n;
	return open;
}

int recheck_run(struct recheck *tables, int n, struct databases *ends,
		const struct recheck_settings *settings, struct err *e)
{
	uint64_t open = count_open(tables, n);

	for (int round = 1; round <= settings->rounds && open > 0; round++) {
		event_emit(settings->events, EVENT_INFO, "verify.recheck", NULL,
			   "%llu rows differ: looking at them again, round %d of %d",
			   (unsigned long long)open, round, settings->rounds);
		if (stop_sleep(settings->stop, settings->wait_ms, e) ||
		    databases_renew(ends, settings->stop, e) ||
		    run_round(tables, n, ends, settings, round == settings->rounds, e))
			return -1;
		open = count_open(tables, n);
	}
	return 0;
}
