/*
 * sender - one chunk, one transaction, exactly once.
 *
 *   BEGIN; INSERT INTO neonferry.chunk ... (the claim); COPY ... FROM STDIN; COMMIT
 *
 * goes out as one query. The claim is the first statement that writes: a second attempt waits on its
 * key for a transaction that outlived its client, and then meets its verdict. So after an unknown
 * COMMIT the answer of the claim is the truth:
 *   it succeeds            nothing arrived before: load
 *   23505 on chunk_claim   it arrived; the row read back must have the same plan, rows and digest
 *   NULL generation        another copier took the run over: stop
 *
 * A sender never gives up on a target that is merely away: it says so and waits, with backoff.
 */
#include "common/clock.h"
#include "transfer/engine.h"
#include "transfer/spill.h"
#include "schema/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* After this long without any success a sender stops; the spill and the ledger keep everything. */
#define GIVE_UP_MS ((uint64_t)30 * 60 * 1000)

struct sender {
	struct engine *g;
	struct pg *pg;
	int no;
	int backend_pid;	 /* of the session in use or last in use, 0: none yet */
	char backend_start[64];
	bool may_linger;	 /* the last session broke in mid transaction */
};

/* --- session --- */

/* A backend of ours that survived its client would hold the claim: end it first. */
static int end_survivor(struct sender *s, struct err *e)
{
	if (!s->may_linger || s->backend_pid == 0)
		return 0;
	s->may_linger = false;
	return pg_execf(s->pg, e, "SELECT pg_catalog.pg_terminate_backend(pid) FROM "
				  "pg_catalog.pg_stat_activity WHERE pid = %d AND backend_start = '%s' AND "
				  "usename = current_user", s->backend_pid, s->backend_start);
}

static int note_backend(struct sender *s, struct err *e)
{
	AUTO(free) char *start = NULL;

	if (pg_value(s->pg, "SELECT backend_start FROM pg_catalog.pg_stat_activity WHERE pid = "
			    "pg_catalog.pg_backend_pid()", &start, e) < 0)
		return -1;
	s->backend_pid = pg_backend_pid(s->pg);
	s->backend_start[0] = '\0';
	if (start && strlen(start) < sizeof(s->backend_start))
		memcpy(s->backend_start, start, strlen(start) + 1);
	return 0;
}

static int open_session(struct sender *s, struct err *e)
{
	const struct conn *pooler = s->g->settings->pooler;
	AUTO_TEXT struct text name = TEXT_INIT;

	if (s->pg && pg_is_alive(s->pg))
		return 0;
	pg_close(s->pg);
	s->pg = NULL;
	text_addf(&name, "%s sender %d", s->g->run, s->no);
	if (pg_open(&s->pg, pooler ? pooler : s->g->target, text_str(&name), s->g->stop, e) < 0)
		return -1;
	if (pooler) /* the backend is another one for each transaction; a survivor is waited for */
		return 0;
	if (end_survivor(s, e) < 0)
		return -1;
	return note_backend(s, e);
}

/* --- the claim --- */

static void add_parts(struct text *sql, const struct chunk *c)
{
	json_t *list = json_array();
	char *dumped;

	for (int i = 0; i < c->n_parts; i++) {
		const struct chunk_part *p = &c->parts[i];
		char a[TALLY_TEXT], b[TALLY_TEXT];

		tally_text(&p->tally, 0, a);
		tally_text(&p->tally, 1, b);
		json_array_append_new(list, json_pack("[o,I,s,s]", p->collection ? json_string(p->collection) :
									       json_null(),
						      (json_int_t)p->tally.rows, a, b));
	}
	dumped = json_dumps(list, JSON_COMPACT);
	text_add_literal(sql, dumped ? dumped : "[]");
	free(dumped);
	json_decref(list);
}

static void add_tally(struct text *sql, const struct tally *t)
{
	char a[TALLY_TEXT], b[TALLY_TEXT];

	tally_text(t, 0, a);
	tally_text(t, 1, b);
	text_addf(sql, "%s, %s, ", a, b);
}

static void add_claim(struct sender *s, const struct chunk *c, struct text *sql)
{
	const struct plan_table *t = &s->g->plan->tables[c->table];
	AUTO_TEXT struct text predicate = TEXT_INIT;
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	plan_predicate(t, c->route, c->from, c->to, &predicate);
	text_add(sql, "INSERT INTO neonferry.chunk (run, chunk, generation, plan, tbl, rng, route, pos_from, "
		      "pos_to, relation, rows, bytes, read0, read1, sent0, sent1, parts, predicate) "
		      "VALUES (");
	text_add_literal(sql, s->g->run);
	text_add(sql, ", ");
	text_add_literal(sql, id);
	text_add(sql, ", ");
	ledger_fence(sql, s->g->run, s->g->generation);
	text_addf(sql, ", %d, %d, %d, %d, %" PRIu64 ", %" PRIu64 ", ", c->plan, c->table, c->range,
		  c->route, c->from, c->to);
	text_add_literal(sql, t->target_qname);
	text_addf(sql, ", %" PRIu64 ", %" PRIu64 ", ", c->read.rows, c->raw_bytes);
	add_tally(sql, &c->read);
	add_tally(sql, &c->sent);
	add_parts(sql, c);
	text_add(sql, ", ");
	/* The list of a remainder can be long; the plan file has it. */
	text_add_literal(sql, text_str(&predicate)[0] && predicate.len < 2000 ? text_str(&predicate) : "");
	text_add(sql, ")");
}

/* The chunk's claim was there already: the same chunk, or something is very wrong. */
static int compare_claim(struct sender *s, const struct chunk *c, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct tally there = TALLY_INIT;
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	text_add(&sql, "SELECT rows, read0, read1 FROM neonferry.chunk WHERE run = ");
	text_add_literal(&sql, s->g->run);
	text_add(&sql, " AND chunk = ");
	text_add_literal(&sql, id);
	if (text_check(&sql, e) < 0 || pg_query(s->pg, text_str(&sql), &res, e) < 0)
		return -1;
	if (PQntuples(res) == 1 && tally_parse(&there, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1),
					       PQgetvalue(res, 0, 2), e) < 0)
		return -1;
	if (PQntuples(res) == 1 && tally_equal(&there, &c->read))
		return 0;
	err_set(e, ERR_DATA, "target: same chunk id with another digest: %s is in the ledger with %" PRIu64
			     " rows, here it has %" PRIu64, id, there.rows, c->read.rows);
	return err_hint(e, "the run folder and the target's ledger are not of the same run: neonferry abort, "
			   "then start again");
}

/* --- one attempt --- */

static int check_answer(const struct chunk *c, uint64_t rows, const char *tag, struct err *e)
{
	if (strcmp(tag, "COMMIT") != 0)
		return err_set(e, ERR_TARGET, "target: COMMIT was answered by %s", tag);
	if (c->len > 0 && rows != c->read.rows)
		return err_set(e, ERR_INTERNAL, "target: %" PRIu64 " rows were taken of %" PRIu64, rows,
			       c->read.rows);
	return 0;
}

static int send_rows(struct sender *s, const struct chunk *c, struct text *sql, struct err *e)
{
	uint64_t rows = 0;
	char tag[32] = "";

	plan_copy_in(&s->g->plan->tables[c->table], sql);
	text_add(sql, "; COMMIT");
	if (text_check(sql, e) < 0 || pg_copy_in(s->pg, text_str(sql), e) < 0)
		return -1;
	if (c->binary && pg_copy_put(s->pg, copyrow_header, COPYROW_HEADER_LEN, e) < 0)
		return -1;
	if (pg_copy_put(s->pg, c->data, c->len, e) < 0)
		return -1;
	if (c->binary && pg_copy_put(s->pg, copyrow_trailer, COPYROW_TRAILER_LEN, e) < 0)
		return -1;
	if (pg_copy_end(s->pg, &rows, tag, e) < 0)
		return -1;
	return check_answer(c, rows, tag, e);
}

static int send_once(struct sender *s, const struct chunk *c, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (open_session(s, e) < 0)
		return -1;
	s->may_linger = true;
	text_add(&sql, s->g->settings->pooler ? pg_begin_pooled : "BEGIN; ");
	text_add(&sql, "SET LOCAL lock_timeout = '60s'; ");
	add_claim(s, c, &sql);
	text_add(&sql, "; ");
	if (c->read.rows > 0)
		return send_rows(s, c, &sql, e);
	text_add(&sql, "COMMIT");
	if (text_check(&sql, e) < 0)
		return -1;
	return pg_exec(s->pg, text_str(&sql), e);
}

static bool is_our_claim(const struct err *e)
{
	return strcmp(e->sqlstate, "23505") == 0 && strcmp(e->constraint, "chunk_claim") == 0;
}

static bool is_fenced(const struct err *e)
{
	return strcmp(e->sqlstate, "23502") == 0 && strstr(e->text, "\"generation\"") != NULL;
}

static int fenced(struct err *e)
{
	err_set(e, ERR_RESUME, "another process took this run over; this one may not write any more");
	return err_hint(e, "neonferry status shows which process works on it");
}

/* 1: loaded (now or before), 0: try again, -1: stop. */
static int judge(struct sender *s, const struct chunk *c, struct err *tried, struct err *e)
{
	if (s->pg && pg_is_alive(s->pg)) {
		pg_rollback(s->pg);
		s->may_linger = false;
	}
	if (is_our_claim(tried)) {
		if (compare_claim(s, c, e) < 0)
			return e->next == ERR_GIVE_UP ? -1 : 0;
		return 1;
	}
	if (is_fenced(tried))
		return fenced(e);
	*e = *tried;
	return tried->next == ERR_GIVE_UP ? -1 : 0;
}

static int wait_for_target(struct sender *s, unsigned attempt, const struct err *why, struct err *e)
{
	uint64_t ms = clock_backoff(attempt, 250, 30000);
	struct err stopped = ERR_INIT;
	int rc;

	atomic_fetch_add(&s->g->progress->retries, 1);
	if (attempt == 1 || attempt % 8 == 0)
		event_emit(s->g->events, EVENT_NOTICE, "target.wait", NULL,
			   "waiting for the target, attempt %u: %s", attempt, why->text);
	atomic_fetch_add(&s->g->progress->waiting, 1);
	rc = stop_sleep(s->g->stop, ms, &stopped);
	atomic_fetch_sub(&s->g->progress->waiting, 1);
	if (rc < 0)
		*e = stopped;
	return rc;
}

static int send_chunk(struct sender *s, const struct chunk *c, struct err *e)
{
	uint64_t since = clock_ms();
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	for (unsigned attempt = 1;; attempt++) {
		struct err tried = ERR_INIT;
		int verdict;

		if (send_once(s, c, &tried) == 0)
			return 0;
		verdict = judge(s, c, &tried, e);
		if (verdict > 0) {
			*e = ERR_INIT;
			return 0;
		}
		if (verdict < 0 || clock_ms() - since > GIVE_UP_MS)
			return err_note(e, "loading chunk %s of %s", id,
					s->g->plan->tables[c->table].qname);
		if (!s->pg || !pg_is_alive(s->pg)) {
			pg_close(s->pg);
			s->pg = NULL;
		}
		if (wait_for_target(s, attempt, &tried, e) < 0)
			return -1;
		*e = ERR_INIT;
	}
}

/* --- chunk by chunk --- */

/* 1: the bytes are there. 0: the file does not check; its chunk is a gap again and will be reread. -1. */
static int bring_back(struct sender *s, struct chunk *c, struct err *e)
{
	struct err why = ERR_INIT;

	if (c->data || c->raw_bytes == 0)
		return 1;
	c->shelf = s->g->shelf;
	if (spill_read_data(s->g->spill_dir, s->g->run, s->g->settings->spill_key, c, &why) == 0)
		return 1;
	if (!spill_is_damage(&why)) {
		*e = why;
		return -1;
	}
	registry_remove(s->g->known, c);
	spill_put_aside(s->g->spill_dir, c);
	atomic_fetch_sub(&s->g->progress->spill_bytes, c->file_bytes);
	event_emit(s->g->events, EVENT_WARNING, "spill.damaged", NULL,
		   "a spill file of %s is not used: %s; its rows will be read again",
		   s->g->plan->tables[c->table].qname, why.text);
	return 0;
}

/* With a bounded or full disk a loaded chunk's file makes room for the next. */
static void make_room(struct engine *g, const struct chunk *c)
{
	struct err ignored = ERR_INIT;

	if (c->file_bytes == 0 || (g->settings->spill_limit == 0 && !atomic_load(&g->disk_was_full)))
		return;
	if (spill_remove(g->spill_dir, c, &ignored) == 0) {
		registry_file_gone(g->known, c);
		atomic_fetch_sub(&g->progress->spill_bytes, c->file_bytes);
		atomic_fetch_sub(&g->progress->spill_files, 1);
	}
}

static void count_loaded(struct engine *g, const struct chunk *c)
{
	struct progress_line *line = engine_line(g, c->table, c->route);

	atomic_fetch_add_explicit(&line->rows_loaded, c->read.rows, memory_order_relaxed);
	atomic_fetch_add_explicit(&line->bytes_loaded, c->raw_bytes, memory_order_relaxed);
	atomic_fetch_add(&g->progress->rows_loaded, c->read.rows);
	atomic_fetch_add(&g->progress->bytes_loaded, c->raw_bytes);
	atomic_fetch_add(&g->progress->bytes_sent, c->raw_bytes);
	atomic_fetch_add(&g->progress->chunks_loaded, 1);
}

static int deliver(struct sender *s, struct chunk *c, struct err *e)
{
	int there = bring_back(s, c, e);

	if (there <= 0)
		return there;
	if (send_chunk(s, c, e) < 0 ||
	    registry_add(s->g->known, c, c->file_bytes > 0, true, e) < 0)
		return -1;
	count_loaded(s->g, c);
	make_room(s->g, c);
	if (s->g->loaded)
		s->g->loaded(s->g->ctx, c->table);
	return 0;
}

/*
 * Takes the chunk over. One larger than a chunk should be is a single row, and comes back from disk
 * when no other such row is in memory.
 */
static int deliver_alone(struct sender *s, struct chunk *given, struct err *e)
{
	AUTO(chunk) struct chunk *c = given;
	bool alone = !c->data && c->raw_bytes > s->g->chunk_limit;
	int rc;

	if (alone)
		pthread_mutex_lock(&s->g->large);
	rc = deliver(s, c, e);
	if (alone) {
		chunk_drop_data(c);
		pthread_mutex_unlock(&s->g->large);
	}
	return rc;
}

int sender_main(struct engine *g, int no, struct err *e)
{
	struct sender s = { .g = g, .no = no };
	int rc = 0;

	while (rc == 0) {
		AUTO(chunk) struct chunk *c = NULL;
		enum queue_result r;

		if (stop_level(g->stop) != STOP_NO) {
			rc = stop_err(e);
			break;
		}
		r = outbox_take(g->outbox, &c);
		if (r == QUEUE_END)
			break;
		rc = r == QUEUE_STOPPED ? stop_err(e) : deliver_alone(&s, GIVE(&c), e);
	}
	pg_close(s.pg);
	return rc;
}
