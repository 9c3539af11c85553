#include "transfer/reproof.h"

#include "schema/ledger.h"
#include "transfer/planpriv.h"
#include "transfer/spill.h"
#include "transfer/withdraw.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the next plan --- */

static int changed(struct err *e, const struct plan_table *t, const char *how)
{
	err_set(e, ERR_RESUME, "source: table %s was %s since the run began", t->qname, how);
	return err_hint(e, "neonferry abort removes what this run loaded; then start a new one");
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static int check_columns(const struct plan_table *old, const struct table *now, struct err *e)
{
	struct plan_table fresh = { 0 };
	bool same;
	int rc = plan_copy_columns(&fresh, now, e);

	same = rc == 0 && fresh.n_columns == old->n_columns;
	for (int i = 0; same && i < old->n_columns; i++)
		same = strcmp(fresh.columns[i].name, old->columns[i].name) == 0 &&
		       fresh.columns[i].digest.mode == old->columns[i].digest.mode &&
		       fresh.columns[i].digest.type_oid == old->columns[i].digest.type_oid &&
		       same_text(fresh.columns[i].send_fn, old->columns[i].send_fn) &&
		       same_text(fresh.columns[i].base_type, old->columns[i].base_type);
	plan_table_done(&fresh);
	if (rc < 0)
		return -1;
	return same ? 0 : changed(e, old, "altered");
}

/* Pages beyond the old end become new ranges; a table that shrank keeps its old ones (now empty). */
static int add_ranges(struct plan_table *t, const struct table *now, struct err *e)
{
	uint32_t first = t->n_ranges > 0 ? t->ranges[0].to_block : 0,
		 step = first > 8192 ? first : 8192;
	uint32_t at = t->pages,
		 end = (uint32_t)now->pages; /* of a small table the first range was all */
	struct plan_range *grown;
	int more;

	t->bytes = (uint64_t)now->bytes;
	if (end <= at)
		return 0;
	more = (int)((end - at + step - 1) / step);
	grown = realloc(t->ranges, (size_t)(t->n_ranges + more) * sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	t->ranges = grown;
	for (; at < end; at += step)
		t->ranges[t->n_ranges++] =
			(struct plan_range){ at, end - at > step ? at + step : end };
	t->pages = end;
	return 0;
}

static int remainder_route(const struct plan_table *t)
{
	for (int i = 0; i < t->n_routes; i++)
		if (t->routes[i].remainder)
			return i;
	return 0;
}

/* Routes list collections by number: after a new count the numbers are others. */
static int renumber(struct plan_table *t, const struct plan_table *before, struct err *e)
{
	int rest = remainder_route(t);

	if (t->n_routes == 0 &&
	    t->n_collections > 0) { /* none of the chosen collections had rows here */
		struct plan_route *one = calloc(1, sizeof(*one));

		if (!one)
			return err_nomem(e);
		free(t->routes); /* a list without items is a list */
		t->routes = one;
		t->n_routes = 1;
	}
	for (int r = 0; r < t->n_routes; r++) {
		free(t->routes[r].collections);
		t->routes[r].collections = calloc((size_t)t->n_collections + 1, sizeof(int));
		if (!t->routes[r].collections)
			return err_nomem(e);
		t->routes[r].n_collections = 0;
		t->routes[r].rows = 0;
	}
	for (int i = 0; i < t->n_collections; i++) {
		struct plan_collection *c = &t->collections[i];
		int old = plan_find_collection(before, c->name, c->len);
		struct plan_route *route;

		c->route = old >= 0 ? before->collections[old].route : rest;
		route = &t->routes[c->route];
		route->rows += c->rows;
		if (!route->remainder)
			route->collections[route->n_collections++] = i;
	}
	return 0;
}

/*
 * A listed collection without rows under the new snapshot must stay listed: the remainder's predicate
 * is "everything but the listed ones".
 */
static int keep_listed(struct plan_table *t, const struct plan_table *before, struct err *e)
{
	for (int i = 0; i < before->n_collections; i++) {
		const struct plan_collection *c = &before->collections[i];
		struct plan_collection *grown;
		int at = 0;

		if (!c->name || before->routes[c->route].remainder ||
		    plan_find_collection(t, c->name, c->len) >= 0)
			continue;
		grown = realloc(t->collections, (size_t)(t->n_collections + 1) * sizeof(*grown));
		if (!grown)
			return err_nomem(e);
		t->collections = grown;
		while (at < t->n_collections && t->collections[at].name &&
		       strcmp(t->collections[at].name, c->name) < 0)
			at++;
		memmove(&grown[at + 1], &grown[at], (size_t)(t->n_collections - at) * sizeof(*grown));
		grown[at] = (struct plan_collection){ .name = strdup(c->name), .len = c->len };
		t->n_collections++;
		if (!grown[at].name)
			return err_nomem(e);
	}
	return 0;
}

static int count_table(struct reproof *rp, struct plan_table *t, const struct plan_table *old,
		       struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	t->rows = 0;
	if (t->collection_column) {
		for (int i = 0; i < t->n_collections; i++)
			free(t->collections[i].name);
		free(t->collections);
		t->collections = NULL;
		t->n_collections = 0;
		if (plan_count_collections(t, rp->source, rp->settings, e) < 0 ||
		    keep_listed(t, old, e) < 0)
			return -1;
		return renumber(t, old, e);
	}
	if (pg_queryf(rp->source, &res, e, "SELECT pg_catalog.count(*) FROM ONLY %s", t->qname) < 0)
		return err_note(e, "counting rows in the source");
	t->rows = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	if (t->n_routes > 0)
		t->routes[0].rows = t->rows;
	return 0;
}

static int renew_table(struct reproof *rp, struct plan_table *t, const struct plan_table *old,
		       const struct catalog *source, struct err *e)
{
	const struct table *now = catalog_table(source, t->schema, t->name);

	if (!now)
		return changed(e, t, "dropped or renamed");
	if (check_columns(old, now, e) < 0)
		return -1;
	t->oid = now->oid;
	t->relfilenode = now->relfilenode;
	if (add_ranges(t, now, e) < 0)
		return -1;
	return count_table(rp, t, old, e);
}

static const struct plan_table *planned(const struct plan *p, const struct table *t)
{
	for (int i = 0; i < p->n_tables; i++)
		if (strcmp(p->tables[i].qname, t->qname) == 0)
			return &p->tables[i];
	return NULL;
}

/* Tables made since the run began are not part of it: said, and in the results. */
static int list_new_tables(struct reproof *rp, struct plan *p, const struct catalog *source,
			   struct err *e)
{
	for (int i = 0; i < source->n_tables; i++) {
		const struct table *t = &source->tables[i];

		if (t->kind != 'r' || rp->settings->n_collections > 0 || planned(p, t))
			continue;
		if (rp->settings->no_recapture) {
			err_set(e, ERR_RESUME, "source: table %s is new since the run began", t->qname);
			return err_hint(e, "resume without --no-recapture, or start a new run");
		}
		event_emit(rp->events, EVENT_WARNING, "table.new", NULL,
			   "table %s was created after the run began and is not part of it", t->qname);
		json_array_append_new(p->left_out,
				      json_pack("{s:s, s:s, s:s}", "what", "table", "name", t->qname,
						"why", "created in the source after the run began"));
	}
	return 0;
}

int reproof_plan(struct reproof *rp, const struct plan *old, const struct catalog *source,
		 struct plan **ret, struct err *e)
{
	AUTO(plan) struct plan *p = NULL;
	json_t *j = plan_json(old);
	int rc = j ? plan_parse(&p, j, e) : err_nomem(e);

	json_decref(j);
	if (rc < 0)
		return -1;
	p->no = old->no + 1;
	p->large_objects = source->n_large_objects;
	if (pg_exec(rp->source, "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; "
				"SET LOCAL enable_bitmapscan = off", e) < 0)
		return -1;
	for (int i = 0; i < p->n_tables; i++)
		if (renew_table(rp, &p->tables[i], &old->tables[i], source, e) < 0)
			return -1;
	if (list_new_tables(rp, p, source, e) < 0)
		return -1;
	*ret = GIVE(&p);
	return 0;
}

/* --- the chunks --- */

/* A chunk that does not stand; owned by the registry. */
struct unproven {
	struct registry_entry *entry;
	uint64_t to; /* its rows stand up to here, and others came behind them; 0: they do not */
};

struct verdicts {
	struct reproof *rp;
	const struct plan *old, *p;
	struct unproven *bad;
	int n_bad, cap;
};

/* 1: the chunk, ending at `to`, stands as it is under the new snapshot, 0: it differs. */
static int chunk_stands(struct reproof *rp, const struct plan_table *t, const struct chunk *c,
			uint64_t to, struct err *e)
{
	AUTO(free) struct digest_column *columns = plan_digest_columns(t);
	AUTO_TEXT struct text sql = TEXT_INIT, from = TEXT_INIT, where = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	struct tally now = TALLY_INIT;

	if (!columns)
		return err_nomem(e);
	text_addf(&from, "ONLY %s", t->qname);
	plan_predicate(t, c->route, c->from, to, &where);
	digest_sql_tally(&sql, columns, t->n_columns, text_str(&from), text_str(&where), NULL);
	if (text_check(&sql, e) < 0 || pg_query(rp->source, text_str(&sql), &res, e) < 0)
		return err_note(e, "proving a chunk of %s again", t->qname);
	if (tally_parse(&now, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2), e) < 0)
		return -1;
	return tally_equal(&now, &c->read);
}

/* Where a chunk's last row would stand if others only came behind its rows; 0: fewer are there. */
static int find_end(struct reproof *rp, const struct plan_table *t, const struct chunk *c,
		    uint64_t *ret, struct err *e)
{
	AUTO_TEXT struct text where = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	unsigned block, offset;

	*ret = 0;
	plan_predicate(t, c->route, c->from, c->to, &where);
	if (text_check(&where, e) < 0 ||
	    pg_queryf(rp->source, &res, e, "SELECT ctid FROM ONLY %s WHERE %s ORDER BY ctid OFFSET %" PRIu64
		      " LIMIT 1", t->qname, text_str(&where), c->read.rows - 1) < 0)
		return err_note(e, "proving a chunk of %s again", t->qname);
	if (PQntuples(res) == 1 && sscanf(PQgetvalue(res, 0, 0), "(%u,%u)", &block, &offset) == 2)
		*ret = chunk_position(block, (uint16_t)offset) + 1;
	return 0;
}

/*
 * A table that only grew has new rows behind the last row of a chunk, up to the chunk's end: what was
 * loaded of it stands, with an earlier end, and is not sent again. *ret is that end, or 0.
 */
static int find_grown(struct reproof *rp, const struct plan_table *t, const struct registry_entry *entry,
		      uint64_t *ret, struct err *e)
{
	const struct chunk *c = &entry->chunk;
	uint64_t to = 0;
	int stands;

	*ret = 0;
	if (!entry->loaded || c->read.rows == 0 || rp->settings->no_recapture)
		return 0;
	if (find_end(rp, t, c, &to, e) < 0)
		return -1;
	if (to <= c->from || to >= c->to)
		return 0;
	stands = chunk_stands(rp, t, c, to, e);
	if (stands > 0)
		*ret = to;
	return stands < 0 ? -1 : 0;
}

static int add_bad(struct verdicts *v, struct registry_entry *entry, uint64_t to, struct err *e)
{
	if (v->n_bad == v->cap) {
		int cap = v->cap ? v->cap * 2 : 64;
		struct unproven *grown = realloc(v->bad, (size_t)cap * sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		v->bad = grown;
		v->cap = cap;
	}
	v->bad[v->n_bad++] = (struct unproven){ entry, to };
	return 0;
}

static int judge(void *ctx, struct registry_entry *entry, struct err *e)
{
	struct verdicts *v = ctx;
	const struct plan_table *t = &v->p->tables[entry->chunk.table];
	bool rewritten = t->relfilenode != v->old->tables[entry->chunk.table].relfilenode;
	int stands = rewritten ? 0 : chunk_stands(v->rp, t, &entry->chunk, entry->chunk.to, e);
	uint64_t to = 0;

	if (stands < 0 || (!stands && !rewritten && find_grown(v->rp, t, entry, &to, e) < 0))
		return -1;
	if (stop_level(v->rp->stop) != STOP_NO)
		return stop_err(e);
	atomic_fetch_add(&v->rp->progress->step_done, 1);
	if (!stands && add_bad(v, entry, to, e) < 0)
		return -1;
	if (!stands && to == 0)
		return 0;
	v->rp->kept++;
	v->rp->kept_rows += entry->chunk.read.rows;
	return 0;
}

static int refuse_recapture(const struct verdicts *v, struct err *e)
{
	AUTO_TEXT struct text names = TEXT_INIT;
	const char *last = "";

	for (int i = 0; i < v->n_bad; i++) {
		const char *name = v->p->tables[v->bad[i].entry->chunk.table].qname;

		if (strcmp(name, last) != 0)
			text_addf(&names, "%s%s", *last ? ", " : "", name);
		last = name;
	}
	err_set(e, ERR_RESUME, "source: changed since the snapshot was lost: %s", text_str(&names));
	return err_hint(e, "resume without --no-recapture: what changed is read again, under a new snapshot");
}

/* A table of which the new plan would read what was not captured before, or NULL. */
static const struct plan_table *find_grown_table(const struct verdicts *v)
{
	for (int i = 0; i < v->p->n_tables; i++)
		if (v->p->tables[i].pages > v->old->tables[i].pages)
			return &v->p->tables[i];
	return NULL;
}

static int refuse_new_pages(const struct verdicts *v, struct err *e)
{
	const struct plan_table *t = find_grown_table(v);

	if (!t)
		return 0;
	err_set(e, ERR_RESUME, "source: table %s has grown since the snapshot was lost", t->qname);
	return err_hint(e, "resume without --no-recapture: what is new is read, under a new snapshot");
}

/* One transaction: the chunks' rows, all of them still as they were loaded, and the ledger's. */
static int withdraw_chunks(struct reproof *rp, const char *relation, const struct text *ids,
			   uint64_t rows, struct err *e)
{
	AUTO_TEXT struct text chunks = TEXT_INIT;
	struct withdraw w = {
		.relations = &relation,
		.n_relations = 1,
		.doing = "reading changed rows again of",
		.hint = "remove those rows, or drop the constraint in the target, then resume",
	};
	uint64_t gone = 0;

	text_add(&chunks, "run = ");
	text_add_literal(&chunks, rp->run);
	text_addf(&chunks, " AND chunk IN (%s)", text_str(ids));
	w.chunks = text_str(&chunks);
	if (text_check(&chunks, e) < 0 || pg_begin(rp->target, "", e) < 0 ||
	    ledger_check_fence(rp->target, rp->run, rp->generation, e) < 0 ||
	    withdraw_rows(rp->target, &w, &gone, e) < 0)
		return -1;
	if (gone != rows) {
		err_set(e, ERR_RESUME, "target: %" PRIu64 " rows of %s were to be withdrawn, but %" PRIu64
				       " are there: somebody changed them", rows, relation, gone);
		return err_hint(e, "leave the target's tables alone during a run; neonferry abort, then start "
				   "again");
	}
	return pg_commit(rp->target, e);
}

static int withdraw_table(struct verdicts *v, int table, struct err *e)
{
	AUTO_TEXT struct text ids = TEXT_INIT;
	uint64_t rows = 0;
	int n = 0;

	for (int i = 0; i < v->n_bad; i++) {
		const struct registry_entry *entry = v->bad[i].entry;
		char id[CHUNK_ID_LEN];

		if (entry->chunk.table != table || !entry->loaded || v->bad[i].to > 0)
			continue;
		chunk_id(&entry->chunk, id);
		text_add(&ids, n++ ? "," : "");
		text_add_literal(&ids, id);
		rows += entry->chunk.read.rows;
	}
	if (n == 0)
		return 0;
	if (text_check(&ids, e) < 0)
		return -1;
	if (withdraw_chunks(v->rp, v->p->tables[table].target_qname, &ids, rows, e) < 0) {
		pg_rollback(v->rp->target);
		return err_note(e, "withdrawing %d chunks of %s", n, v->p->tables[table].qname);
	}
	v->rp->withdrawn += n;
	v->rp->withdrawn_rows += rows;
	return 0;
}

/* The ledger's word of where the loaded chunk ends; its id is its beginning, which stays. */
static int shorten_loaded(struct reproof *rp, const struct plan_table *t, const struct chunk *c,
			  uint64_t to, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT, predicate = TEXT_INIT;
	AUTO(free) char *done = NULL;
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	plan_predicate(t, c->route, c->from, to, &predicate);
	text_addf(&sql, "UPDATE neonferry.chunk SET pos_to = %" PRIu64 ", predicate = ", to);
	text_add_literal(&sql, predicate.len < 2000 ? text_str(&predicate) : "");
	text_add(&sql, " WHERE run = ");
	text_add_literal(&sql, rp->run);
	text_add(&sql, " AND chunk = ");
	text_add_literal(&sql, id);
	text_add(&sql, " AND EXISTS ");
	ledger_fence(&sql, rp->run, rp->generation);
	text_add(&sql, " RETURNING 1");
	if (text_check(&sql, e) < 0 || pg_value(rp->target, text_str(&sql), &done, e) < 0)
		return err_note(e, "shortening chunk %s of %s", id, t->qname);
	return done ? 0 : err_set(e, ERR_RESUME, "another process took this run over");
}

/* Takes the chunk out of the registry, and puts the part of it that stands back in. */
static int renew_entry(struct verdicts *v, struct registry *known, const struct unproven *u,
		       struct err *e)
{
	struct chunk *c = &u->entry->chunk;
	AUTO(chunk) struct chunk *kept = NULL;

	if (u->entry->on_disk && spill_remove(v->rp->spill_dir, c, e) < 0)
		return -1;
	if (u->entry->on_disk)
		atomic_fetch_sub(&v->rp->progress->spill_bytes, c->file_bytes);
	if (u->to > 0) {
		if (shorten_loaded(v->rp, &v->p->tables[c->table], c, u->to, e) < 0 ||
		    chunk_copy(&kept, c, e) < 0)
			return -1;
		kept->to = u->to;
		kept->file_bytes = 0;
	}
	registry_remove(known, c);
	return kept ? registry_add(known, kept, false, true, e) : 0;
}

static int forget_bad(struct verdicts *v, struct registry *known, struct err *e)
{
	for (int i = 0; i < v->p->n_tables; i++)
		if (withdraw_table(v, i, e) < 0)
			return -1;
	for (int i = 0; i < v->n_bad; i++) {
		v->rp->grown += v->bad[i].to > 0;
		v->rp->reread += v->bad[i].to == 0;
		if (renew_entry(v, known, &v->bad[i], e) < 0)
			return -1;
	}
	return 0;
}

int reproof_chunks(struct reproof *rp, const struct plan *old, const struct plan *p,
		   struct registry *known, struct err *e)
{
	struct verdicts v = { .rp = rp, .old = old, .p = p };
	int rc = registry_each(known, -1, judge, &v, e);

	if (rc == 0 && rp->settings->no_recapture)
		rc = v.n_bad > 0 ? refuse_recapture(&v, e) : refuse_new_pages(&v, e);
	if (rc == 0 && rp->change && (v.n_bad > 0 || find_grown_table(&v)))
		rc = rp->change(rp->ctx, e);
	if (rc == 0)
		rc = forget_bad(&v, known, e);
	free(v.bad);
	return rc;
}
