#include "schema/ddl_build.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a session waits for work before it is asked whether it keeps its connection. */
#define WAIT_S 5

struct unit {
	char *qname;
	int64_t bytes;
	bool loaded, busy;
	int sharing; /* hands that build an index beside others */
	int pending; /* indexes and constraints to come, vectors not counted */
};

enum job_state { WAITING, TAKEN, ENDED };

struct job {
	enum ddl_build_kind kind;
	enum job_state state;
	struct ddl_post *post;
	int entry;
	int unit, other; /* foreign keys: the table they refer to, or -1 */
	int after;       /* the job that must have ended, or -1 */
	bool plain;      /* an index and nothing else: its lock lets others be built beside it */
	bool sharing;    /* taken as such */
};

struct ddl_build {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int limit; /* sessions at once, once all is loaded */
	int n_units, cap_units, n_jobs, cap_jobs;
	struct unit *units; /* sorted once all are added */
	struct job *jobs;
	bool all_loaded, ended;
	int active;       /* sessions at work, vectors not counted */
	int full_sorts;   /* sorts with workers */
	bool vector_turn; /* a vector index is built, or waits for full_sorts to end */
	int vectors;
};

int ddl_build_new(struct ddl_build **ret, int jobs, struct err *e)
{
	struct ddl_build *b = calloc(1, sizeof(*b));
	pthread_condattr_t attr;

	if (!b)
		return err_nomem(e);
	b->limit = jobs > 0 ? jobs : 1;
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->wake, &attr);
	pthread_condattr_destroy(&attr);
	*ret = b;
	return 0;
}

void ddl_build_free(struct ddl_build *b)
{
	if (!b)
		return;
	for (int i = 0; i < b->n_units; i++)
		free(b->units[i].qname);
	free(b->units);
	free(b->jobs);
	pthread_cond_destroy(&b->wake);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* --- what there is to do --- */

static int find_unit(const struct ddl_build *b, const char *qname)
{
	for (int i = b->n_units; i-- > 0;)
		if (strcmp(b->units[i].qname, qname) == 0)
			return i;
	return -1;
}

static void *room(void *list, int n, int *cap, size_t size)
{
	if (n < *cap)
		return list;
	void *grown = reallocarray(list, (size_t)(*cap ? *cap * 2 : 64), size);
	if (grown)
		*cap = *cap ? *cap * 2 : 64;
	return grown;
}

/* The unit of a table, made where it is new; -1 without memory. */
static int need_unit(struct ddl_build *b, const char *qname, int64_t bytes)
{
	int i = find_unit(b, qname);

	if (i < 0) {
		struct unit *units = room(b->units, b->n_units, &b->cap_units, sizeof(*units));
		if (!units)
			return -1;
		b->units = units;
		units[b->n_units] = (struct unit){ .qname = strdup(qname) };
		if (!units[b->n_units].qname)
			return -1;
		i = b->n_units++;
	}
	if (bytes > b->units[i].bytes)
		b->units[i].bytes = bytes;
	return i;
}

static int add_job(struct ddl_build *b, struct job job, struct err *e)
{
	struct job *jobs = room(b->jobs, b->n_jobs, &b->cap_jobs, sizeof(*jobs));

	if (!jobs)
		return err_nomem(e);
	b->jobs = jobs;
	jobs[b->n_jobs++] = job;
	return 0;
}

/* The table that an entry is part of; what is part of none waits for the end of the load. */
static int unit_of(struct ddl_build *b, const struct ddl_post *p, int i, const int64_t *bytes,
		   struct err *e)
{
	const struct archive_entry *entry = &p->archive->entries[i];
	AUTO_TEXT struct text name = TEXT_INIT;

	if (entry->schema && entry->table)
		text_add_qname(&name, entry->schema, entry->table);
	if (text_check(&name, e) < 0)
		return -1;
	int unit = need_unit(b, text_str(&name), entry->parent >= 0 ? bytes[entry->parent] : 0);
	return unit < 0 ? err_nomem(e) : unit;
}

/* What comes with some (REPLICA IDENTITY, CLUSTER ON) wants a stronger lock. */
static bool is_plain(const struct archive_entry *entry)
{
	return strcmp(entry->type, "INDEX") == 0 && !strstr(entry->sql, "ALTER ");
}

static int add_index(struct ddl_build *b, struct ddl_post *p, int i, const int64_t *bytes,
		     struct err *e)
{
	bool vector = ddl_vector_is(&p->archive->entries[i]);
	struct job job = { .kind = vector ? DDL_BUILD_VECTOR : DDL_BUILD_INDEX,
			   .post = p,
			   .entry = i,
			   .unit = unit_of(b, p, i, bytes, e),
			   .other = -1,
			   .after = -1,
			   .plain = !vector && is_plain(&p->archive->entries[i]) };

	if (job.unit < 0)
		return -1;
	b->vectors += vector;
	b->units[job.unit].pending += !vector;
	return add_job(b, job, e);
}

/* Adding and validating; or the second alone, where the first is done. */
static int add_foreign(struct ddl_build *b, struct ddl_post *p, int i, const int64_t *bytes,
		       const PGresult *partitioned, struct err *e)
{
	AUTO_TEXT struct text other = TEXT_INIT;
	struct job job = { .kind = DDL_BUILD_ADD, .post = p, .entry = i, .other = -1, .after = -1 };

	if (!ddl_foreign_has_steps(&p->archive->entries[i], partitioned, &other))
		return 0;
	job.unit = unit_of(b, p, i, bytes, e);
	if (job.unit < 0 || text_check(&other, e) < 0)
		return -1;
	job.other = need_unit(b, text_str(&other), 0);
	if (job.other < 0)
		return err_nomem(e);
	if (p->state.outcome[i] == DDL_PENDING) {
		if (add_job(b, job, e) < 0)
			return -1;
		job.after = b->n_jobs - 1;
	}
	job.kind = DDL_BUILD_VALIDATE;
	return add_job(b, job, e);
}

int ddl_build_add(struct ddl_build *b, struct ddl_post *p, const int64_t *bytes,
		  const PGresult *partitioned, struct err *e)
{
	for (int i = 0; i < p->archive->n_entries; i++) {
		const struct archive_entry *entry = &p->archive->entries[i];
		enum ddl_outcome outcome = p->state.outcome[i];
		int rc = 0;

		if (entry->section != ARCHIVE_POST_DATA)
			continue;
		if (ddl_post_is_build(entry) && outcome == DDL_PENDING)
			rc = add_index(b, p, i, bytes, e);
		else if (ddl_post_is_foreign(entry) &&
			 (outcome == DDL_PENDING ||
			  (outcome == DDL_APPLIED && !p->state.validated[i])))
			rc = add_foreign(b, p, i, bytes, partitioned, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

bool ddl_build_has_vectors(const struct ddl_build *b)
{
	return b->vectors > 0;
}

void ddl_build_loaded(struct ddl_build *b, const char *qname, int64_t bytes)
{
	pthread_mutex_lock(&b->lock);
	int i = find_unit(b, qname);
	if (i >= 0) {
		b->units[i].loaded = true;
		if (bytes > b->units[i].bytes)
			b->units[i].bytes = bytes;
	}
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
}

void ddl_build_all_loaded(struct ddl_build *b)
{
	pthread_mutex_lock(&b->lock);
	b->all_loaded = true;
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
}

void ddl_build_end(struct ddl_build *b)
{
	pthread_mutex_lock(&b->lock);
	b->ended = true;
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
}

/* --- whose turn it is; the lock is held --- */

static bool is_loaded(const struct ddl_build *b, int unit)
{
	return b->all_loaded || b->units[unit].loaded;
}

static bool is_free(const struct ddl_build *b, int unit)
{
	return unit < 0 || (is_loaded(b, unit) && !b->units[unit].busy && !b->units[unit].sharing);
}

/* Small tables are built together by one session. */
static bool may_share(const struct ddl_build *b, const struct job *job)
{
	return job->plain && b->units[job->unit].bytes >= DDL_SMALL_TABLE;
}

static bool has_indexes(const struct ddl_build *b, int unit)
{
	return unit < 0 || b->units[unit].pending == 0;
}

static bool may_begin(const struct ddl_build *b, const struct job *job)
{
	if (job->state != WAITING)
		return false;
	if (may_share(b, job))
		return is_loaded(b, job->unit) && !b->units[job->unit].busy;
	if (!is_free(b, job->unit))
		return false;
	switch (job->kind) {
	case DDL_BUILD_INDEX:
		return true;
	case DDL_BUILD_ADD:
		return is_free(b, job->other) && has_indexes(b, job->unit) &&
		       has_indexes(b, job->other);
	case DDL_BUILD_VALIDATE:
		/* Reads the other table beside whatever is built there, but needs all its rows. */
		return is_loaded(b, job->other) &&
		       (job->after < 0 || b->jobs[job->after].state == ENDED);
	case DDL_BUILD_VECTOR:
	default:
		return has_indexes(b, job->unit);
	}
}

/* The largest that may begin, or -1. */
static int best(const struct ddl_build *b, enum ddl_build_kind kind)
{
	int found = -1;

	for (int i = 0; i < b->n_jobs; i++)
		if (b->jobs[i].kind == kind && may_begin(b, &b->jobs[i]) &&
		    (found < 0 ||
		     b->units[b->jobs[i].unit].bytes > b->units[b->jobs[found].unit].bytes))
			found = i;
	return found;
}

/* What goes with the first of a hand: the rest of its table; small tables; foreign keys. */
static bool goes_with(const struct ddl_build *b, const struct job *first, const struct job *job)
{
	if (job == first)
		return true;
	if (job->kind != first->kind || job->post != first->post || may_share(b, first) ||
	    may_share(b, job) || !may_begin(b, job))
		return false;
	if (job->kind == DDL_BUILD_ADD)
		return true;
	return job->kind == DDL_BUILD_INDEX &&
	       (job->unit == first->unit || (b->units[first->unit].bytes < DDL_SMALL_TABLE &&
					     b->units[job->unit].bytes < DDL_SMALL_TABLE));
}

static void set_busy(struct ddl_build *b, const struct job *job, bool busy)
{
	if (job->sharing) {
		b->units[job->unit].sharing += busy ? 1 : -1;
		return;
	}
	b->units[job->unit].busy = busy;
	if (job->kind == DDL_BUILD_ADD && job->other >= 0)
		b->units[job->other].busy = busy;
}

static bool take(struct ddl_build *b, int first, struct ddl_build_hand *ret)
{
	const struct job *f = &b->jobs[first];
	struct ddl_build_hand hand = { .kind = f->kind, .post = f->post };

	hand.entries = calloc(DDL_BUILD_ENTRIES, sizeof(int));
	hand.jobs = calloc(DDL_BUILD_ENTRIES, sizeof(int));
	if (!hand.entries || !hand.jobs) {
		free(hand.entries);
		free(hand.jobs);
		return false;
	}
	hand.small = f->kind == DDL_BUILD_ADD ||
		     (f->kind == DDL_BUILD_INDEX && b->units[f->unit].bytes < DDL_SMALL_TABLE);
	for (int i = 0; i < b->n_jobs && hand.n < DDL_BUILD_ENTRIES; i++)
		if (goes_with(b, f, &b->jobs[i])) {
			hand.entries[hand.n] = b->jobs[i].entry;
			hand.jobs[hand.n++] = i;
		}
	for (int i = 0; i < hand.n; i++) {
		b->jobs[hand.jobs[i]].state = TAKEN;
		b->jobs[hand.jobs[i]].sharing = may_share(b, &b->jobs[hand.jobs[i]]);
		set_busy(b, &b->jobs[hand.jobs[i]], true);
	}
	*ret = hand;
	return true;
}

/* Indexes first: foreign keys need them. */
static bool take_any(struct ddl_build *b, struct ddl_build_hand *ret)
{
	static const enum ddl_build_kind order[] = { DDL_BUILD_INDEX, DDL_BUILD_ADD,
						     DDL_BUILD_VALIDATE };

	if (b->active >= (b->all_loaded ? b->limit : 1))
		return false;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		int found = best(b, order[i]);
		if (found >= 0 && take(b, found, ret)) {
			b->active++;
			return true;
		}
	}
	return false;
}

static bool take_vector(struct ddl_build *b, struct ddl_build_hand *ret)
{
	int found = best(b, DDL_BUILD_VECTOR);

	b->vector_turn = found >= 0;
	if (found < 0 || !take(b, found, ret))
		return false;
	while (b->full_sorts > 0 && !b->ended)
		pthread_cond_wait(&b->wake, &b->lock);
	return true;
}

static bool any_left(const struct ddl_build *b, bool vectors)
{
	for (int i = 0; i < b->n_jobs; i++)
		if (b->jobs[i].state == WAITING && (b->jobs[i].kind == DDL_BUILD_VECTOR) == vectors)
			return true;
	return false;
}

int ddl_build_next(struct ddl_build *b, bool vectors, struct ddl_build_hand *ret)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&b->lock);
	do {
		if (b->ended || !any_left(b, vectors))
			rc = -1;
		else if (vectors ? take_vector(b, ret) : take_any(b, ret))
			rc = 1;
		else if (pthread_cond_timedwait(&b->wake, &b->lock, &until) != 0)
			break;
	} while (rc == 0);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* What the ledger says was not added by us need not be validated by us. */
static void settle_validations(struct ddl_build *b, int add)
{
	for (int i = add + 1; i < b->n_jobs; i++)
		if (b->jobs[i].after == add &&
		    b->jobs[i].post->state.outcome[b->jobs[i].entry] != DDL_APPLIED)
			b->jobs[i].state = ENDED;
}

void ddl_build_done(struct ddl_build *b, struct ddl_build_hand *hand)
{
	pthread_mutex_lock(&b->lock);
	for (int i = 0; i < hand->n; i++) {
		struct job *job = &b->jobs[hand->jobs[i]];

		job->state = ENDED;
		set_busy(b, job, false);
		b->units[job->unit].pending -= job->kind == DDL_BUILD_INDEX;
		if (job->kind == DDL_BUILD_ADD)
			settle_validations(b, hand->jobs[i]);
	}
	if (hand->kind == DDL_BUILD_VECTOR)
		b->vector_turn = best(b, DDL_BUILD_VECTOR) >= 0;
	else
		b->active--;
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
	free(hand->entries);
	free(hand->jobs);
	*hand = (struct ddl_build_hand){ 0 };
}

bool ddl_build_sort_begin(struct ddl_build *b)
{
	pthread_mutex_lock(&b->lock);
	bool full = b->all_loaded && !b->vector_turn;
	b->full_sorts += full;
	pthread_mutex_unlock(&b->lock);
	return full;
}

void ddl_build_sort_end(struct ddl_build *b, bool full)
{
	pthread_mutex_lock(&b->lock);
	b->full_sorts -= full;
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
}
