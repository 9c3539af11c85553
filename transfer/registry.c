#include "transfer/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct list {
	int n, cap;
	int unloaded;	  /* entries that are not in the target */
	uint64_t covered; /* positions that the entries cover; they never overlap */
	struct registry_entry **entries; /* sorted by range, route, from */
};

struct registry {
	pthread_mutex_t mu;
	int n_tables;
	struct list *tables;
};

static void entry_free(struct registry_entry *entry)
{
	for (int i = 0; i < entry->chunk.n_parts; i++)
		free(entry->chunk.parts[i].collection);
	free(entry->chunk.parts);
	free(entry);
}

int registry_new(struct registry **ret, int n_tables, struct err *e)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(e);
	r->tables = calloc((size_t)n_tables + 1, sizeof(*r->tables));
	if (!r->tables) {
		free(r);
		return err_nomem(e);
	}
	r->n_tables = n_tables;
	pthread_mutex_init(&r->mu, NULL);
	*ret = r;
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n_tables; i++) {
		for (int k = 0; k < r->tables[i].n; k++)
			entry_free(r->tables[i].entries[k]);
		free(r->tables[i].entries);
	}
	free(r->tables);
	pthread_mutex_destroy(&r->mu);
	free(r);
}

static int compare(const struct chunk *a, const struct chunk *b)
{
	if (a->range != b->range)
		return a->range < b->range ? -1 : 1;
	if (a->route != b->route)
		return a->route < b->route ? -1 : 1;
	return (a->from > b->from) - (a->from < b->from);
}

/* Index of the first entry that is not before c. */
static int lower_bound(const struct list *l, const struct chunk *c)
{
	int lo = 0, hi = l->n;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (compare(&l->entries[mid]->chunk, c) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool same_place(const struct chunk *a, const struct chunk *b)
{
	return compare(a, b) == 0 && a->to == b->to;
}

static bool overlaps(const struct chunk *a, const struct chunk *b)
{
	return a->range == b->range && a->route == b->route && a->from < b->to && b->from < a->to;
}

static int copy_parts(struct chunk *to, const struct chunk *from, struct err *e)
{
	to->parts = NULL;
	to->n_parts = 0;
	if (from->n_parts == 0)
		return 0;
	to->parts = calloc((size_t)from->n_parts, sizeof(*to->parts));
	if (!to->parts)
		return err_nomem(e);
	for (int i = 0; i < from->n_parts; i++) {
		to->parts[i].tally = from->parts[i].tally;
		if (from->parts[i].collection) {
			to->parts[i].collection = strdup(from->parts[i].collection);
			if (!to->parts[i].collection)
				return err_nomem(e);
		}
		to->n_parts++;
	}
	return 0;
}

static struct registry_entry *new_entry(const struct chunk *c, bool on_disk, bool loaded,
					struct err *e)
{
	struct registry_entry *entry = calloc(1, sizeof(*entry));

	if (!entry) {
		err_nomem(e);
		return NULL;
	}
	entry->chunk = *c;
	entry->chunk.data = NULL;
	entry->chunk.budget = NULL;
	entry->chunk.shelf = NULL;
	entry->chunk.charged = 0;
	entry->chunk.cap = 0;
	entry->on_disk = on_disk;
	entry->loaded = loaded;
	if (copy_parts(&entry->chunk, c, e) < 0) {
		entry_free(entry);
		return NULL;
	}
	return entry;
}

static int insert(struct list *l, int at, struct registry_entry *entry, struct err *e)
{
	if (l->n == l->cap) {
		int cap = l->cap ? l->cap * 2 : 8;
		struct registry_entry **grown = realloc(l->entries, (size_t)cap * sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		l->entries = grown;
		l->cap = cap;
	}
	memmove(&l->entries[at + 1], &l->entries[at], (size_t)(l->n - at) * sizeof(*l->entries));
	l->entries[at] = entry;
	l->n++;
	l->unloaded += !entry->loaded;
	l->covered += entry->chunk.to - entry->chunk.from;
	return 0;
}

static int merge(struct list *l, struct registry_entry *known, const struct chunk *c, bool on_disk,
		 bool loaded, struct err *e)
{
	char id[CHUNK_ID_LEN];

	if (!tally_equal(&known->chunk.read, &c->read)) {
		chunk_id(c, id);
		err_set(e, ERR_DATA, "same chunk id with another digest: %s has %llu rows here and %llu "
				     "there", id, (unsigned long long)c->read.rows,
			(unsigned long long)known->chunk.read.rows);
		return err_hint(e, "the spill folder and the target's ledger are not of the same run: "
				   "neonferry abort, then start again");
	}
	if (loaded && !known->loaded) {
		known->loaded = true;
		l->unloaded--;
	}
	known->on_disk |= on_disk;
	if (c->file_bytes)
		known->chunk.file_bytes = c->file_bytes;
	return 0;
}

static int add_locked(struct list *l, const struct chunk *c, bool on_disk, bool loaded, struct err *e)
{
	int at = lower_bound(l, c);
	struct registry_entry *entry;
	char id[CHUNK_ID_LEN];

	if (at < l->n && same_place(&l->entries[at]->chunk, c))
		return merge(l, l->entries[at], c, on_disk, loaded, e);
	if ((at < l->n && overlaps(&l->entries[at]->chunk, c)) ||
	    (at > 0 && overlaps(&l->entries[at - 1]->chunk, c))) {
		chunk_id(c, id);
		err_set(e, ERR_DATA, "chunk %s overlaps another one of the run", id);
		return err_hint(e, "the spill folder and the target's ledger are not of the same run: "
				   "neonferry abort, then start again");
	}
	entry = new_entry(c, on_disk, loaded, e);
	if (!entry)
		return -1;
	if (insert(l, at, entry, e) < 0) {
		entry_free(entry);
		return -1;
	}
	return 0;
}

int registry_add(struct registry *r, const struct chunk *c, bool on_disk, bool loaded, struct err *e)
{
	int rc;

	if (c->table < 0 || c->table >= r->n_tables)
		return err_set(e, ERR_DATA, "a chunk names table %d of %d", c->table, r->n_tables);
	if (c->to <= c->from)
		return err_set(e, ERR_DATA, "a chunk of table %d ends before it begins", c->table);
	pthread_mutex_lock(&r->mu);
	rc = add_locked(&r->tables[c->table], c, on_disk, loaded, e);
	pthread_mutex_unlock(&r->mu);
	return rc;
}

int registry_add_found(struct registry *r, const struct chunk *c, struct err *e)
{
	struct list *l;
	int at;

	if (registry_add(r, c, true, false, e) < 0)
		return -1;
	pthread_mutex_lock(&r->mu);
	l = &r->tables[c->table];
	at = lower_bound(l, c);
	l->entries[at]->found = true;
	pthread_mutex_unlock(&r->mu);
	return 0;
}

void registry_mark_whole(struct registry *r, const struct chunk *c)
{
	struct list *l = &r->tables[c->table];
	int at;

	pthread_mutex_lock(&r->mu);
	at = lower_bound(l, c);
	if (at < l->n && same_place(&l->entries[at]->chunk, c))
		l->entries[at]->found = false;
	pthread_mutex_unlock(&r->mu);
}

void registry_file_gone(struct registry *r, const struct chunk *c)
{
	struct list *l = &r->tables[c->table];
	int at;

	pthread_mutex_lock(&r->mu);
	at = lower_bound(l, c);
	if (at < l->n && same_place(&l->entries[at]->chunk, c)) {
		l->entries[at]->on_disk = false;
		l->entries[at]->chunk.file_bytes = 0;
	}
	pthread_mutex_unlock(&r->mu);
}

static int copy_found(const struct list *l, struct chunk ***list, int *n, struct err *e)
{
	struct chunk **grown;

	if (l->n == 0)
		return 0;
	grown = realloc(*list, (size_t)(*n + l->n) * sizeof(struct chunk *));
	if (!grown)
		return err_nomem(e);
	*list = grown;
	for (int i = 0; i < l->n; i++) {
		if (!l->entries[i]->found || l->entries[i]->loaded)
			continue;
		if (chunk_copy(&grown[*n], &l->entries[i]->chunk, e) < 0)
			return -1;
		(*n)++;
	}
	return 0;
}

int registry_list_found(struct registry *r, struct chunk ***ret, int *ret_n, struct err *e)
{
	struct chunk **list = NULL;
	int n = 0, rc = 0;

	pthread_mutex_lock(&r->mu);
	for (int i = 0; i < r->n_tables && rc == 0; i++)
		rc = copy_found(&r->tables[i], &list, &n, e);
	pthread_mutex_unlock(&r->mu);
	if (rc < 0) {
		while (n > 0)
			chunk_free(list[--n]);
		free(list);
		return -1;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

static void remove_at(struct list *l, int at)
{
	struct registry_entry *gone = l->entries[at];

	memmove(&l->entries[at], &l->entries[at + 1], (size_t)(l->n - at - 1) * sizeof(*l->entries));
	l->n--;
	l->unloaded -= !gone->loaded;
	l->covered -= gone->chunk.to - gone->chunk.from;
	entry_free(gone);
}

static bool remove_chunk(struct registry *r, const struct chunk *c, bool only_found)
{
	struct list *l = &r->tables[c->table];
	bool gone;
	int at;

	pthread_mutex_lock(&r->mu);
	at = lower_bound(l, c);
	gone = at < l->n && same_place(&l->entries[at]->chunk, c) &&
	       (!only_found || (l->entries[at]->found && !l->entries[at]->loaded));
	if (gone)
		remove_at(l, at);
	pthread_mutex_unlock(&r->mu);
	return gone;
}

bool registry_drop_found(struct registry *r, const struct chunk *c)
{
	return remove_chunk(r, c, true);
}

void registry_remove(struct registry *r, const struct chunk *c)
{
	(void)remove_chunk(r, c, false);
}

/* Walks the known chunks of a range and route and writes down what lies between them. */
static int collect_gaps(const struct list *l, const struct plan_range *range, int range_no, int route,
			struct registry_gap **ret, int *ret_n, struct err *e)
{
	struct chunk key = { .range = range_no, .route = route };
	uint64_t at = chunk_position(range->from_block, 0);
	uint64_t end = chunk_position(range->to_block, 0);
	int first = lower_bound(l, &key), n = 0, last = first;
	struct registry_gap *gaps;

	while (last < l->n && l->entries[last]->chunk.range == range_no &&
	       l->entries[last]->chunk.route == route)
		last++;
	gaps = calloc((size_t)(last - first) + 1, sizeof(*gaps));
	if (!gaps)
		return err_nomem(e);
	for (int i = first; i < last; i++) {
		const struct chunk *c = &l->entries[i]->chunk;

		if (c->from > at)
			gaps[n++] = (struct registry_gap){ at, c->from };
		at = c->to;
	}
	if (at < end)
		gaps[n++] = (struct registry_gap){ at, end };
	*ret = gaps;
	*ret_n = n;
	return 0;
}

int registry_gaps(struct registry *r, const struct plan_table *t, int range, int route,
		  struct registry_gap **ret, int *ret_n, struct err *e)
{
	int rc;

	pthread_mutex_lock(&r->mu);
	rc = collect_gaps(&r->tables[t->no], &t->ranges[range], range, route, ret, ret_n, e);
	pthread_mutex_unlock(&r->mu);
	return rc;
}

int registry_is_complete(struct registry *r, const struct plan *p, int table, bool *ret,
			 struct err *e)
{
	for (int i = 0; i < p->n_tables; i++) {
		const struct plan_table *t = &p->tables[i];

		if (table >= 0 && table != i)
			continue;
		for (int k = 0; k < t->n_ranges * t->n_routes && !t->already_there; k++) {
			AUTO(free) struct registry_gap *gaps = NULL;
			int n = 0;

			if (registry_gaps(r, t, k / t->n_routes, k % t->n_routes, &gaps, &n, e) < 0)
				return -1;
			if (n > 0) {
				*ret = false;
				return 0;
			}
		}
	}
	*ret = true;
	return 0;
}

bool registry_is_loaded(struct registry *r, const struct plan_table *t)
{
	const struct list *l = &r->tables[t->no];
	uint64_t blocks = 0, covered;
	int unloaded;

	if (t->already_there)
		return true;
	for (int i = 0; i < t->n_ranges; i++)
		blocks += t->ranges[i].to_block - t->ranges[i].from_block;
	pthread_mutex_lock(&r->mu);
	unloaded = l->unloaded;
	covered = l->covered;
	pthread_mutex_unlock(&r->mu);
	/* Chunks lie within their ranges and never overlap, so the sum tells whether one is missing. */
	return unloaded == 0 && covered == (blocks << 16) * (uint64_t)t->n_routes;
}

int registry_each(struct registry *r, int table,
		  int (*fn)(void *ctx, struct registry_entry *entry, struct err *e), void *ctx,
		  struct err *e)
{
	for (int i = 0; i < r->n_tables; i++) {
		if (table >= 0 && table != i)
			continue;
		for (int k = 0; k < r->tables[i].n; k++)
			if (fn(ctx, r->tables[i].entries[k], e) < 0)
				return -1;
	}
	return 0;
}
