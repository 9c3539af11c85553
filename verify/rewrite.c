#include "verify/rewrite.h"

#include "schema/fit.h"
#include "verify/orders.h"

#include <stdlib.h>
#include <string.h>

/* --- what kind of table it is --- */

const char *rewrite_why_not(const struct pair *p)
{
	if (p->end[PG_TARGET]->kind == 'm')
		return "it is a materialized view: refresh it";
	return p->stored.n == 0 ? "it has no columns" : NULL;
}

static bool is_key_column(const struct pair *p, const char *name)
{
	for (int i = 0; i < p->key.n; i++)
		if (!strcmp(p->key.end[PG_TARGET][i].name, name))
			return true;
	return false;
}

/* Part of the key, and the same bytes in the row that is updated and in the new one. */
static bool is_kept(const struct pair *p, const char *name)
{
	for (int i = 0; i < p->key.n; i++)
		if (!strcmp(p->key.end[PG_TARGET][i].name, name))
			return !pair_key_is_loose(p, i);
	return false;
}

/* GENERATED ALWAYS AS IDENTITY: an UPDATE may not name it. */
static bool is_always(const struct pair *p, int i)
{
	return p->stored.column[PG_TARGET][i]->identity == 'a';
}

static bool has_identity_beside_key(const struct pair *p)
{
	for (int i = 0; i < p->stored.n; i++)
		if (is_always(p, i) && !is_key_column(p, p->stored.end[PG_TARGET][i].name))
			return true;
	return false;
}

static const char trigger_sql[] =
	"SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname), pg_catalog.format('%%s %%I',"
	" t.kind, t.name), t.enabled = 'A' FROM (SELECT 'TRIGGER' AS kind, tgname AS name,"
	" tgrelid AS relid, tgenabled AS enabled FROM pg_catalog.pg_trigger WHERE NOT tgisinternal"
	" UNION ALL SELECT 'RULE', rulename, ev_class, ev_enabled FROM pg_catalog.pg_rewrite"
	" WHERE ev_type <> '1') t"
	" JOIN pg_catalog.pg_class c ON c.oid = t.relid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE t.enabled IN ('O', 'A') AND (c.oid = %u OR c.oid IN"
	" (SELECT relid FROM pg_catalog.pg_partition_tree(%u))) ORDER BY 1, 2";

/* Each trigger and rule of the table and its partitions, off and on again as it was. */
static int read_triggers(struct rewrite *w, struct pg *target, struct err *e)
{
	const struct table *t = w->p->end[PG_TARGET];
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text off = TEXT_INIT;
	AUTO_TEXT struct text on = TEXT_INIT;

	if (pg_queryf(target, &res, e, trigger_sql, t->oid, t->oid))
		return -1;
	w->triggers_fire = PQntuples(res) > 0 && !t->is_owner;
	for (int i = 0; i < PQntuples(res) && t->is_owner; i++) {
		const char *table = PQgetvalue(res, i, 0), *name = PQgetvalue(res, i, 1);

		text_addf(&off, "ALTER TABLE ONLY %s DISABLE %s;", table, name);
		text_addf(&on, "ALTER TABLE ONLY %s ENABLE %s%s;", table,
			  PQgetvalue(res, i, 2)[0] == 't' ? "ALWAYS " : "", name);
	}
	w->triggers_off = text_take(&off, e);
	w->triggers_on = w->triggers_off ? text_take(&on, e) : NULL;
	return w->triggers_on ? 0 : -1;
}

int rewrite_prepare(struct rewrite *ret, const struct pair *p,
		    const struct catalog *const catalogs[2], struct pg *target, bool delete_extra,
		    struct err *e)
{
	struct rewrite w = { .p = p, .delete_extra = delete_extra };

	w.binary = !p->converted && fit_is_binary(catalogs[PG_SOURCE], p->end[PG_SOURCE],
						  catalogs[PG_TARGET], p->end[PG_TARGET], NULL);
	w.replace = has_identity_beside_key(p) && !p->end[PG_TARGET]->is_referenced;
	if (read_triggers(&w, target, e) ||
	    reach_read(&w.reach, target, p->end[PG_TARGET]->oid, e)) {
		rewrite_done(&w);
		return err_note(e, "reading the triggers and foreign keys of %s", p->name);
	}
	*ret = w;
	return 0;
}

void rewrite_done(struct rewrite *w)
{
	free(w->triggers_off);
	free(w->triggers_on);
	actions_done(&w->reach);
	*w = (struct rewrite){ .p = NULL };
}

/* --- SQL of the copy beside the table --- */

static void add_columns(struct text *sql, const struct pair *p, const char *alias)
{
	for (int i = 0; i < p->stored.n; i++) {
		text_add(sql, i > 0 ? ", " : "");
		if (alias)
			text_add_qname(sql, alias, p->stored.end[PG_TARGET][i].name);
		else
			text_add_ident(sql, p->stored.end[PG_TARGET][i].name);
	}
}

static void add_beside(struct text *sql, const struct pair *p)
{
	text_addf(sql, "pg_temp.nf_repair_%u", p->end[PG_TARGET]->oid);
}

static int make_beside(const struct rewrite *w, struct pg *target, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql,
		  "CREATE TEMPORARY TABLE IF NOT EXISTS nf_repair_%u"
		  " ON COMMIT DELETE ROWS AS SELECT ",
		  w->p->end[PG_TARGET]->oid);
	add_columns(&sql, w->p, "nf_src");
	text_add(&sql, " FROM ");
	pair_from(&sql, w->p, PG_TARGET);
	text_add(&sql, " AS nf_src WITH NO DATA");
	return text_check(&sql, e) ? -1 : pg_exec(target, text_str(&sql), e);
}

/* A column as the target stores it. */
static void add_source_column(struct text *sql, const struct pair *p, int i)
{
	const struct digest_column *c = &p->stored.end[PG_SOURCE][i];
	AUTO_TEXT struct text name = TEXT_INIT;

	text_add_qname(&name, "nf_src", c->name);
	sql->failed |= name.failed;
	text_addf(sql, c->cast_fmt ? c->cast_fmt : "%s", text_str(&name));
}

/* Of equal rows one is enough: it is written as often as it is missing. */
static bool add_source_rows(struct text *sql, const struct pair *p, const struct flagged_row *rows,
			    const bool *want, int n)
{
	bool any;

	text_add(sql, "SELECT ");
	for (int i = 0; i < p->stored.n; i++)
		text_addf(sql, "%sc%d", i > 0 ? ", " : "", i);
	text_add(sql, " FROM (SELECT ");
	for (int i = 0; i < p->stored.n; i++) {
		add_source_column(sql, p, i);
		text_addf(sql, " AS c%d, ", i);
	}
	if (p->key.n > 0) {
		text_add(sql, "1 AS copy");
	} else {
		text_add(sql, "pg_catalog.row_number() OVER (PARTITION BY ");
		look_digest(sql, p, PG_SOURCE, "nf_src");
		text_add(sql, ") AS copy");
	}
	any = look_from(sql, p, PG_SOURCE, rows, want, n);
	text_add(sql, ") q WHERE copy = 1");
	return any;
}

/* --- the source's rows, into the target --- */

static int pour(struct pg *source, struct pg *target, struct err *e)
{
	char *row = NULL;
	int len, got;

	while ((got = pg_copy_row(source, &row, &len, e)) > 0) {
		int rc = pg_copy_put(target, row, (size_t)len, e);

		PQfreemem(row);
		if (rc)
			return -1;
	}
	return got;
}

/* The source's answer is read to its end, or its snapshot would be lost with the session. */
static void drain(struct pg *source)
{
	struct err ignored = ERR_INIT;
	char *row = NULL;
	int len;

	while (pg_copy_row(source, &row, &len, &ignored) > 0)
		PQfreemem(row);
}

static int copy_rows(const struct rewrite *w, struct pg *const pg[2], const char *select,
		     struct err *e)
{
	const char *format = w->binary ? "binary" : "text";
	AUTO_TEXT struct text out = TEXT_INIT;
	AUTO_TEXT struct text in = TEXT_INIT;
	uint64_t copied;

	text_addf(&out, "COPY (%s) TO STDOUT (FORMAT %s)", select, format);
	text_add(&in, "COPY ");
	add_beside(&in, w->p);
	text_add(&in, " (");
	add_columns(&in, w->p, NULL);
	text_addf(&in, ") FROM STDIN (FORMAT %s)", format);
	if (text_check(&out, e) || text_check(&in, e) ||
	    pg_copy_out(pg[PG_SOURCE], text_str(&out), e))
		return -1;
	if (pg_copy_in(pg[PG_TARGET], text_str(&in), e) || pour(pg[PG_SOURCE], pg[PG_TARGET], e)) {
		drain(pg[PG_SOURCE]);
		return -1;
	}
	return pg_copy_end(pg[PG_TARGET], &copied, NULL, e);
}

static bool lacks(const struct flagged_row *row)
{
	for (int i = 0; i < row->n_copies; i++)
		if (row->copies[i].n[PG_SOURCE] > row->copies[i].n[PG_TARGET])
			return true;
	return false;
}

static int fetch(const struct rewrite *w, struct pg *const pg[2], const struct flagged_row *rows,
		 int n, struct err *e)
{
	AUTO(free) bool *want = calloc((size_t)n + 1, sizeof(*want));
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (!want)
		return err_nomem(e);
	for (int i = 0; i < n; i++)
		want[i] = lacks(&rows[i]);
	if (make_beside(w, pg[PG_TARGET], e))
		return -1;
	if (!add_source_rows(&sql, w->p, rows, want, n))
		return 0;
	return text_check(&sql, e) ? -1 : copy_rows(w, pg, text_str(&sql), e);
}

/* --- what is where --- */

static void add_places(struct text *sql, const struct pair *p)
{
	text_add(sql, "SELECT ");
	look_id(sql, p, PG_TARGET, "nf_src");
	text_add(sql, ", ");
	look_digest(sql, p, PG_TARGET, "nf_src");
	text_add(sql, ", nf_src.ctid, nf_src.tableoid::pg_catalog.oid");
}

static int read_beside(const struct rewrite *w, struct pg *target, PGresult **ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	add_places(&sql, w->p);
	text_add(&sql, " FROM ");
	add_beside(&sql, w->p);
	text_add(&sql, " AS nf_src");
	return text_check(&sql, e) ? -1 : pg_query(target, text_str(&sql), ret, e);
}

static int lock_rows(const struct rewrite *w, struct pg *target, const struct flagged_row *rows,
		     int n, PGresult **ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	add_places(&sql, w->p);
	(void)look_from(&sql, w->p, PG_TARGET, rows, NULL, n);
	text_add(&sql, " FOR UPDATE OF nf_src");
	return text_check(&sql, e) ? -1 : pg_query(target, text_str(&sql), ret, e);
}

/* --- doing it --- */

/* A trigger or rule that swallows a row must not pass for a success. */
static int run_counted(struct pg *target, const struct text *sql, uint64_t expected, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	uint64_t done;

	if (text_check(sql, e) || pg_query(target, text_str(sql), &res, e))
		return -1;
	done = strtoull(PQcmdTuples(res), NULL, 10);
	if (done != expected)
		return err_set(e, ERR_DATA, "%llu rows were written where %llu were meant",
			       (unsigned long long)done, (unsigned long long)expected);
	return 0;
}

static int run_deletes(const struct rewrite *w, const struct orders *o, struct pg *target,
		       struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (o->deletes == 0)
		return 0;
	text_add(&sql, "DELETE FROM ");
	pair_from(&sql, w->p, PG_TARGET);
	text_addf(&sql,
		  " AS nf_old USING (VALUES %s) AS nf_v(t, p)"
		  " WHERE nf_old.ctid = nf_v.p AND nf_old.tableoid = nf_v.t",
		  text_str(&o->delete));
	return run_counted(target, &sql, o->deletes, e);
}

static void add_assignments(struct text *sql, const struct pair *p)
{
	bool any = false;

	for (int i = 0; i < p->stored.n; i++) {
		const char *name = p->stored.end[PG_TARGET][i].name;

		if (is_kept(p, name) || is_always(p, i))
			continue;
		text_add(sql, any ? ", " : "");
		text_add_ident(sql, name);
		text_add(sql, " = ");
		text_add_qname(sql, "nf_new", name);
		any = true;
	}
}

static int run_updates(const struct rewrite *w, const struct orders *o, struct pg *target,
		       struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (o->updates == 0)
		return 0;
	text_add(&sql, "UPDATE ");
	pair_from(&sql, w->p, PG_TARGET);
	text_add(&sql, " AS nf_old SET ");
	add_assignments(&sql, w->p);
	text_add(&sql, " FROM ");
	add_beside(&sql, w->p);
	text_addf(&sql,
		  " AS nf_new, (VALUES %s) AS nf_v(t, p, q) WHERE nf_new.ctid = nf_v.q"
		  " AND nf_old.ctid = nf_v.p AND nf_old.tableoid = nf_v.t",
		  text_str(&o->update));
	return run_counted(target, &sql, o->updates, e);
}

static int run_inserts(const struct rewrite *w, const struct orders *o, struct pg *target,
		       struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (o->inserts == 0)
		return 0;
	text_addf(&sql, "INSERT INTO %s (", w->p->end[PG_TARGET]->qname);
	add_columns(&sql, w->p, NULL);
	text_add(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
	add_columns(&sql, w->p, "nf_new");
	text_add(&sql, " FROM ");
	add_beside(&sql, w->p);
	text_addf(&sql,
		  " AS nf_new JOIN (VALUES %s) AS nf_v(q, n) ON nf_new.ctid = nf_v.q"
		  " CROSS JOIN LATERAL pg_catalog.generate_series(1, nf_v.n)",
		  text_str(&o->insert));
	return run_counted(target, &sql, o->inserts, e);
}

/* Rows of other tables are none of a repair's business. */
static int check_reach(const struct rewrite *w, const struct orders *o, struct pg *target,
		       struct err *e)
{
	AUTO_TEXT struct text beside = TEXT_INIT;

	add_beside(&beside, w->p);
	if (text_check(&beside, e))
		return -1;
	if (o->deletes > 0 && reach_check_delete(&w->reach, target, text_str(&o->delete), e))
		return -1;
	return o->updates == 0 ? 0
			       : reach_check_update(&w->reach, target, text_str(&beside),
						    text_str(&o->update), e);
}

/* By their places, never by a scan of the table. Checks that wait are due before triggers change.
 */
static int carry_out(const struct rewrite *w, const struct orders *o, struct pg *target,
		     struct err *e)
{
	if (pg_exec(target,
		    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;"
		    "SET LOCAL enable_mergejoin = off",
		    e) ||
	    run_deletes(w, o, target, e) || run_updates(w, o, target, e) ||
	    run_inserts(w, o, target, e))
		return -1;
	return pg_execf(target, e, "SET CONSTRAINTS ALL IMMEDIATE; %s", w->triggers_on);
}

static int decide_and_do(const struct rewrite *w, struct pg *target, struct flagged_row *rows,
			 int n, struct rewrite_row *results, struct err *e)
{
	AUTO(pgresult) PGresult *beside = NULL;
	AUTO(pgresult) PGresult *places = NULL;
	struct orders orders;
	int rc;

	if (read_beside(w, target, &beside, e) || lock_rows(w, target, rows, n, &places, e) ||
	    orders_decide(&orders, w, beside, places, rows, n, results, e))
		return -1;
	rc = check_reach(w, &orders, target, e) ? -1 : carry_out(w, &orders, target, e);
	orders_done(&orders);
	return rc;
}

static int run_batch(const struct rewrite *w, struct pg *const pg[2], struct flagged_row *rows,
		     int n, struct rewrite_row *results, struct err *e)
{
	struct pg *target = pg[PG_TARGET];

	if (pg_begin(target, "ISOLATION LEVEL READ COMMITTED READ WRITE", e) ||
	    pg_execf(target, e, "SET LOCAL lock_timeout = '10s'; %s", w->triggers_off) ||
	    fetch(w, pg, rows, n, e) || decide_and_do(w, target, rows, n, results, e))
		return -1;
	return pg_commit(target, e);
}

int rewrite_batch(const struct rewrite *w, struct pg *const pg[2], struct flagged_row *rows, int n,
		  struct rewrite_row *results, struct err *e)
{
	if (run_batch(w, pg, rows, n, results, e) == 0)
		return 0;
	pg_rollback(pg[PG_TARGET]);
	return err_note(e, "repairing %s", w->p->name);
}
