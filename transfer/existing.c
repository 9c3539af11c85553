#include "transfer/existing.h"

#include "schema/ledger.h"
#include "transfer/cascade.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 200

/* The target's table behind a planned one; NULL while it does not exist yet. */
static const struct table *target_table(const struct existing *x, const struct plan_table *t)
{
	for (int i = 0; i < x->catalog->n_tables; i++)
		if (strcmp(x->catalog->tables[i].qname, t->target_qname) == 0)
			return &x->catalog->tables[i];
	return NULL;
}

/* A partitioned root has its rows below it; everything else is looked at alone. */
static void add_from(struct text *sql, const struct table *to)
{
	text_addf(sql, "%s%s", to->kind == 'p' ? "" : "ONLY ", to->qname);
}

static void add_wanted(struct text *sql, const struct plan_table *t)
{
	bool first = true;

	if (!t->only_collections)
		return;
	text_add(sql, " WHERE ");
	text_add_ident(sql, t->collection_column);
	text_add(sql, "::pg_catalog.text COLLATE \"C\" = ANY (ARRAY[");
	for (int i = 0; i < t->n_collections; i++) {
		if (!t->collections[i].name)
			continue;
		text_add(sql, first ? "" : ",");
		text_add_literal(sql, t->collections[i].name);
		first = false;
	}
	text_add(sql, "]::pg_catalog.text[])");
}

/* Which of tables [first, first + n) hold wanted rows; sets holds[]. */
static int look(const struct existing *x, struct plan *p, int first, int n, bool *holds, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	int asked = 0;

	for (int i = first; i < first + n; i++) {
		const struct table *to = target_table(x, &p->tables[i]);

		if (!to)
			continue;
		text_addf(&sql, "%sSELECT %d WHERE EXISTS (SELECT 1 FROM ", asked++ ? " UNION ALL " : "", i);
		add_from(&sql, to);
		add_wanted(&sql, &p->tables[i]);
		text_add(&sql, ")");
	}
	if (asked == 0)
		return 0;
	if (text_check(&sql, e) < 0 || pg_query(x->target, text_str(&sql), &res, e) < 0)
		return err_note(e, "looking for rows in the target's tables");
	for (int i = 0; i < PQntuples(res); i++)
		holds[atoi(PQgetvalue(res, i, 0))] = true;
	return 0;
}

/* Digest columns of the planned columns by the rules of one end's catalog. */
static int tally_of(struct pg *pg, const struct plan_table *t, const struct table *of,
		    struct tally *ret, struct err *e)
{
	AUTO(free) struct digest_column *columns = plan_digest_columns(t);
	AUTO_TEXT struct text sql = TEXT_INIT, from = TEXT_INIT, where = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	if (!columns)
		return err_nomem(e);
	for (int i = 0; of && i < t->n_columns; i++) {
		const struct column *c = table_column(of, t->columns[i].name);

		if (c && t->binary)
			columns[i] = c->digest;
		columns[i].cast_fmt = NULL; /* it is what the source does */
	}
	if (of)
		add_from(&from, of);
	else
		text_addf(&from, "ONLY %s", t->qname);
	add_wanted(&where, t);
	digest_sql_tally(&sql, columns, t->n_columns, text_str(&from),
			 where.len ? text_str(&where) + strlen(" WHERE ") : NULL, NULL);
	if (text_check(&sql, e) < 0 || pg_query(pg, text_str(&sql), &res, e) < 0)
		return err_note(e, "computing the digest of %s", t->qname);
	return tally_parse(ret, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2), e);
}

static int count_target(const struct existing *x, const struct plan_table *t, const struct table *to,
			uint64_t *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	text_add(&sql, "SELECT pg_catalog.count(*) FROM ");
	add_from(&sql, to);
	add_wanted(&sql, t);
	if (text_check(&sql, e) < 0 || pg_query(x->target, text_str(&sql), &res, e) < 0)
		return err_note(e, "counting the rows of %s in the target", t->target_qname);
	*ret = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	return 0;
}

/* Equal rows are not moved again: a migration history, or a table of an earlier run. */
static int same_as_source(const struct existing *x, const struct plan_table *t, const struct table *to,
			  struct tally *ret, bool *ret_same, struct err *e)
{
	struct tally source = TALLY_INIT;
	uint64_t rows;

	*ret_same = false;
	if (count_target(x, t, to, &rows, e) < 0)
		return -1;
	if (rows != t->rows || strcmp(t->target_qname, t->qname) != 0)
		return 0;
	if (tally_of(x->target, t, to, ret, e) < 0 || tally_of(x->source, t, NULL, &source, e) < 0)
		return -1;
	*ret_same = tally_equal(ret, &source);
	return 0;
}

static int refuse(const struct existing *x, const struct plan_table *t, const struct table *to,
		  struct err *e)
{
	uint64_t rows = 0;

	if (count_target(x, t, to, &rows, e) < 0)
		return -1;
	err_set(e, ERR_REFUSED, "target: table %s already holds %" PRIu64 " rows%s", t->target_qname, rows,
		t->only_collections ? " of these collections" : "");
	return err_hint(e, "--on-existing append adds to them, --on-existing truncate removes them first, "
			   "--exclude-table leaves the table out");
}

static int look_at_all(const struct existing *x, struct plan *p, bool **ret, struct err *e)
{
	bool *holds = calloc((size_t)p->n_tables + 1, sizeof(bool));

	if (!holds)
		return err_nomem(e);
	for (int i = 0; i < p->n_tables; i += BATCH)
		if (look(x, p, i, p->n_tables - i < BATCH ? p->n_tables - i : BATCH, holds, e) < 0) {
			free(holds);
			return -1;
		}
	*ret = holds;
	return 0;
}

/*
 * Tables whose rows an emptied table may take along: before anything is set aside, all that the run
 * loads (their foreign keys will be gone by then); after that, those that it empties.
 */
static int list_spared(const struct existing *x, const struct plan *p, bool early,
		       const char ***ret, int *ret_n, struct err *e)
{
	bool all = early && !x->settings->keep_indexes;

	*ret = calloc((size_t)p->n_tables + 1, sizeof(**ret));
	*ret_n = 0;
	if (!*ret)
		return err_nomem(e);
	for (int i = 0; i < p->n_tables; i++)
		if (all || (!p->tables[i].already_there && !p->tables[i].only_collections))
			(*ret)[(*ret_n)++] = p->tables[i].target_qname;
	return 0;
}

/* Emptying a table must not take rows of others along that the run does not bring. */
static int check_cascade(const struct existing *x, const struct plan_table *t,
			 const char *const *spared, int n, bool early, struct err *e)
{
	const struct table *to = target_table(x, t);
	AUTO_TEXT struct text rows = TEXT_INIT;
	struct cascade c = {
		.relation = t->target_qname,
		.doing = "emptying",
		.spared = spared,
		.n_spared = n,
		.lock = !early,
		.hint = "take that table along, use --on-existing append, or drop the constraint "
			"in the target first",
	};

	if (!to || !to->is_referenced)
		return 0;
	text_add(&rows, "FROM ");
	add_from(&rows, to);
	add_wanted(&rows, t);
	c.rows = text_str(&rows);
	return text_check(&rows, e) < 0 ? -1 : cascade_check(x->target, &c, e);
}

/* Of the tables that are emptied: those that hold other rows. */
static int check_cascades(const struct existing *x, const struct plan *p, const bool *emptied,
			  bool early, struct err *e)
{
	AUTO(free) const char **spared = NULL;
	int n;

	if (list_spared(x, p, early, &spared, &n, e) < 0)
		return -1;
	for (int i = 0; i < p->n_tables; i++)
		if (emptied[i] && !p->tables[i].already_there &&
		    check_cascade(x, &p->tables[i], spared, n, early, e) < 0)
			return -1;
	return 0;
}

static void add_targets(struct text *sql, const struct plan *p)
{
	for (int i = 0; i < p->n_tables; i++) {
		text_add(sql, i ? ", " : "");
		text_add_literal(sql, p->tables[i].target_qname);
	}
}

/* What another run set aside for its load and never put back would be missing after this one, too.
 */
static int check_aside(const struct existing *x, const struct plan *p, struct err *e)
{
	AUTO(free) char *ledger = NULL;
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (pg_value(x->target, "SELECT pg_catalog.to_regclass('neonferry.set_aside')", &ledger,
		     e) < 0)
		return -1;
	if (!ledger)
		return 0;
	text_add(&sql, "SELECT run, relation, pg_catalog.count(*) FROM neonferry.set_aside WHERE "
		       "restored IS NULL AND run <> ");
	text_add_literal(&sql, x->run);
	text_add(&sql,
		 " AND pg_catalog.to_regclass(relation) IN (SELECT pg_catalog.to_regclass(t) FROM "
		 "pg_catalog.unnest(ARRAY[");
	add_targets(&sql, p);
	text_add(&sql, "]::text[]) AS t) GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 1");
	if (text_check(&sql, e) < 0 || pg_query(x->target, text_str(&sql), &res, e) < 0)
		return err_note(e, "looking for what other runs set aside");
	if (PQntuples(res) == 0)
		return 0;
	err_set(e, ERR_REFUSED,
		"target: run %s set %s indexes, constraints or triggers of %s aside for its load "
		"and has not put them back",
		PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 2), PQgetvalue(res, 0, 1));
	return err_hint(e, "resume that run, or abort it (neonferry abort %s), then begin this one",
			PQgetvalue(res, 0, 0));
}

int existing_check(const struct existing *x, struct plan *p, struct err *e)
{
	AUTO(free) bool *holds = NULL;

	if (check_aside(x, p, e) < 0 || look_at_all(x, p, &holds, e) < 0)
		return -1;
	for (int i = 0; i < p->n_tables; i++) {
		struct plan_table *t = &p->tables[i];
		const struct table *to = target_table(x, t);
		struct tally tally = TALLY_INIT;
		bool same = false;

		if (!holds[i])
			continue;
		if (same_as_source(x, t, to, &tally, &same, e) < 0)
			return -1;
		t->already_there = same;
		if (!same && x->settings->existing == RUN_EXISTING_REFUSE)
			return refuse(x, t, to, e);
	}
	return x->settings->existing == RUN_EXISTING_TRUNCATE ? check_cascades(x, p, holds, true, e)
							      : 0;
}

int existing_recheck(const struct existing *x, const struct plan *p, struct err *e)
{
	for (int i = 0; i < p->n_tables; i++) {
		const struct plan_table *t = &p->tables[i];
		const struct table *to = t->already_there ? target_table(x, t) : NULL;
		struct tally tally = TALLY_INIT;
		bool same = false;

		if (!t->already_there)
			continue;
		if (to && same_as_source(x, t, to, &tally, &same, e) < 0)
			return -1;
		if (same)
			continue;
		err_set(e, ERR_RESUME, "source: table %s was already there when the run began, and has changed "
				       "since", t->qname);
		return err_hint(e, "neonferry abort, then start again: with --on-existing truncate its rows are "
				   "moved anew");
	}
	return 0;
}

/* --- acting --- */

static void add_relation(const struct existing *x, const struct plan_table *t, const char *how,
			 const struct tally *before, struct text *sql)
{
	char a[TALLY_TEXT], b[TALLY_TEXT];

	tally_text(before, 0, a);
	tally_text(before, 1, b);
	text_add(sql, "INSERT INTO neonferry.relation (run, relation, tbl, how, before_rows, before0, "
		      "before1) VALUES (");
	text_add_literal(sql, x->run);
	text_add(sql, ", ");
	text_add_literal(sql, t->target_qname);
	text_addf(sql, ", %d, '%s', %" PRIu64 ", %s, %s) ON CONFLICT DO NOTHING; ", t->no, how,
		  before->rows, a, b);
}

/* DELETE is the slow but always permitted way; TRUNCATE must not reach other tables. */
static void add_emptying(const struct plan_table *t, const struct table *to, struct text *sql)
{
	if (!t->only_collections && to->can_truncate && !to->is_referenced && !to->has_children &&
	    to->kind == 'r') {
		text_addf(sql, "TRUNCATE ONLY %s; ", to->qname);
		return;
	}
	text_add(sql, "DELETE FROM ");
	add_from(sql, to);
	add_wanted(sql, t);
	text_add(sql, "; ");
}

static int act(const struct existing *x, struct plan_table *t, bool holds, struct text *sql,
	       struct err *e)
{
	const struct table *to = target_table(x, t);
	struct tally before = TALLY_INIT;
	bool same = false;

	if (!to)
		return err_set(e, ERR_INTERNAL, "table %s is not in the target's catalog", t->target_qname);
	if (!holds) {
		t->already_there = false; /* also where it was emptied since it was planned */
		add_relation(x, t, "empty", &before, sql);
		return 0;
	}
	if (same_as_source(x, t, to, &before, &same, e) < 0)
		return -1;
	t->already_there = same;
	if (same) {
		add_relation(x, t, "already", &before, sql);
		return 0;
	}
	if (x->settings->existing == RUN_EXISTING_REFUSE)
		return refuse(x, t, to, e);
	if (x->settings->existing == RUN_EXISTING_TRUNCATE) {
		event_emit(x->events, EVENT_NOTICE, "target.emptied", NULL,
			   "removing the rows%s of %s in the target (--on-existing truncate)",
			   t->only_collections ? " of the chosen collections" : "", t->target_qname);
		add_emptying(t, to, sql);
		add_relation(x, t, "emptied", &(struct tally){ 0 }, sql);
		return 0;
	}
	if (tally_of(x->target, t, to, &before, e) < 0)
		return -1;
	add_relation(x, t, "appended", &before, sql);
	return 0;
}

static const json_t *known_relation(const json_t *relations, const struct plan_table *t)
{
	size_t i;
	const json_t *row;

	json_array_foreach(relations, i, row) {
		const char *name = json_string_value(json_object_get(row, "relation"));

		if (name && strcmp(name, t->target_qname) == 0)
			return row;
	}
	return NULL;
}

static int commit(const struct existing *x, const struct plan *p, const bool *emptied,
		  const struct text *sql, struct err *e)
{
	if (text_check(sql, e) < 0)
		return -1;
	if (pg_begin(x->target, "", e) == 0 &&
	    ledger_check_fence(x->target, x->run, x->generation, e) == 0 &&
	    (!emptied || check_cascades(x, p, emptied, false, e) == 0) &&
	    pg_exec(x->target, text_str(sql), e) == 0 && pg_commit(x->target, e) == 0)
		return 0;
	pg_rollback(x->target);
	return err_note(e, "preparing the target's tables");
}

int existing_prepare(const struct existing *x, struct plan *p, const json_t *relations, struct err *e)
{
	bool truncate = x->settings->existing == RUN_EXISTING_TRUNCATE;
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) bool *holds = NULL;

	if (json_array_size(relations) < (size_t)p->n_tables && look_at_all(x, p, &holds, e) < 0)
		return -1;
	for (int i = 0; i < p->n_tables; i++) {
		struct plan_table *t = &p->tables[i];
		const json_t *row = known_relation(relations, t);

		if (row) {
			const char *how = json_string_value(json_object_get(row, "how"));

			t->already_there = how && strcmp(how, "already") == 0;
			if (holds)
				holds[i] = false; /* its rows are the run's own */
			continue;
		}
		if (act(x, t, holds && holds[i], &sql, e) < 0)
			return -1;
	}
	return sql.len > 0 ? commit(x, p, truncate ? holds : NULL, &sql, e) : 0;
}
