/* What can be built while other tables are still loaded: of the archive, and of what was set aside. */
#include "schema/ddl_builder.h"

#include <string.h>

struct ddl_early {
	struct ddl d;
	struct ddl_phase phase;
	struct archive *aside; /* owned */
	struct ddl_post posts[2];
	int n_posts;
	struct ddl_build *queue; /* the builder's */
	struct ddl_builder *builder;
};

static void add_post(struct ddl_early *x, const struct archive *a, bool aside)
{
	if (a && a->n_entries > 0)
		x->posts[x->n_posts++] = (struct ddl_post){
			.d = &x->d, .archive = a, .phase = &x->phase, .aside = aside
		};
}

static int prepare(struct ddl_early *x, const struct archive *a, struct ddl_server *server,
		   struct err *e)
{
	int total = 0;

	ddl_phase_begin(&x->phase, &x->d, "indexes", 0);
	if (ddl_aside_archive(&x->d, &x->aside, e) < 0)
		return -1;
	add_post(x, a, false);
	add_post(x, x->aside, true);
	if (ddl_build_new(&x->queue, x->d.jobs, e) < 0)
		return -1;
	for (int i = 0; i < x->n_posts; i++) {
		if (ddl_post_queue(&x->posts[i], x->queue, server, e) < 0)
			return -1;
		total += ddl_post_pending(&x->posts[i]);
	}
	x->phase.total = total;
	return 0;
}

static void free_all(struct ddl_early *x)
{
	for (int i = 0; i < x->n_posts; i++)
		ddl_state_done(&x->posts[i].state);
	ddl_phase_end(&x->phase);
	archive_free(x->aside);
	free(x);
}

int ddl_early_start(struct ddl_early **ret, const struct ddl *d, const struct archive *a,
		    void (*on_failure)(void *ctx), void *ctx, struct err *e)
{
	struct ddl_early *x = calloc(1, sizeof(*x));
	struct ddl_server server;

	if (!x)
		return err_nomem(e);
	x->d = *d;
	if (prepare(x, a, &server, e) < 0) {
		ddl_build_free(x->queue);
		free_all(x);
		return err_note(e, "looking at the indexes to build");
	}
	if (x->n_posts == 0)
		ddl_build_free(GIVE(&x->queue));
	else if (ddl_builder_start(&x->builder, &x->d, x->queue, &server, on_failure, ctx, e) < 0) {
		free_all(x);
		return -1;
	}
	*ret = x;
	return 0;
}

void ddl_early_loaded(struct ddl_early *x, const char *qname, uint64_t bytes)
{
	if (x->queue)
		ddl_build_loaded(x->queue, qname, (int64_t)bytes);
}

int ddl_early_end(struct ddl_early *x, bool loaded, struct err *e)
{
	int rc;

	if (!x)
		return 0;
	if (loaded && x->queue)
		ddl_build_all_loaded(x->queue);
	rc = ddl_builder_end(x->builder, !loaded, e);
	free_all(x);
	return rc < 0 ? err_note(e, "making indexes and constraints in the target") : 0;
}

/* --- taking back --- */

struct taking {
	struct ddl_post post;
	int n;
};

static void add_take_back(const struct ddl_post *p, int i, struct text *sql)
{
	const struct archive_entry *entry = &p->archive->entries[i];

	text_add(sql, "ALTER TABLE ");
	text_add_qname(sql, entry->schema, entry->table);
	text_add(sql, " DROP CONSTRAINT IF EXISTS ");
	text_add_ident(sql, entry->tag + strlen(entry->table) + 1);
	text_addf(sql, "; DELETE FROM neonferry.object WHERE section IN ('%s', '%s') AND run = ",
		  p->aside ? DDL_ASIDE : DDL_POST, p->aside ? DDL_ASIDE_VALIDATE : DDL_VALIDATE);
	text_add_literal(sql, p->d->run);
	text_addf(sql, " AND entry = %d; ", entry->dump_id);
	if (!p->aside)
		return;
	text_add(sql, "UPDATE neonferry.set_aside SET restored = NULL WHERE run = ");
	text_add_literal(sql, p->d->run);
	text_addf(sql, " AND seq = %d; ", entry->dump_id);
}

static int take_back_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct taking *t = ctx;
	struct ddl_post *p = &t->post;
	AUTO_TEXT struct text sql = TEXT_INIT;

	ddl_state_done(&p->state);
	t->n = 0;
	if (ddl_state_load(&p->state, s->pg, p->d->run, p->archive, p->aside, e) < 0)
		return -1;
	for (int i = 0; i < p->archive->n_entries; i++)
		if (ddl_post_is_foreign(&p->archive->entries[i]) &&
		    p->state.outcome[i] == DDL_APPLIED) {
			add_take_back(p, i, &sql);
			t->n++;
		}
	if (t->n == 0)
		return 0;
	if (text_check(&sql, e) == 0 && pg_begin(s->pg, "", e) == 0 &&
	    ledger_check_fence(s->pg, s->d->run, s->d->generation, e) == 0 &&
	    pg_exec(s->pg, text_str(&sql), e) == 0 && pg_commit(s->pg, e) == 0)
		return 0;
	if (s->pg && pg_is_alive(s->pg))
		pg_rollback(s->pg);
	return -1;
}

static int take_back(const struct ddl *d, const struct archive *a, bool aside, int *n, struct err *e)
{
	struct taking t = { .post = { .d = d, .archive = a, .aside = aside } };
	struct ddl_session s;

	if (!a || a->n_entries == 0)
		return 0;
	ddl_session_init(&s, d, d->stop, "ddl", ddl_post_settings);
	int rc = ddl_session_do(&s, take_back_work, &t, e);
	ddl_session_done(&s);
	ddl_state_done(&t.post.state);
	*n += t.n;
	return rc;
}

int ddl_take_back_foreign(const struct ddl *d, const struct archive *a, struct err *e)
{
	AUTO(archive) struct archive *aside = NULL;
	int n = 0;

	if (ddl_aside_archive(d, &aside, e) < 0 || take_back(d, a, false, &n, e) < 0 ||
	    take_back(d, aside, true, &n, e) < 0)
		return err_note(e, "taking foreign keys away again");
	if (n > 0)
		event_emit(d->events, EVENT_NOTICE, "index.taken_back", json_pack("{s:i}", "n", n),
			   "%d foreign keys are taken away again: rows of their tables must be loaded anew",
			   n);
	return 0;
}
