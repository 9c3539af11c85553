/*
 * What hinders a load into tables that were there before: foreign keys, non-unique indexes, user
 * triggers. Each goes to the ledger with all that is needed to make it again, in the transaction
 * that drops or disables it.
 */
#include "schema/ddl_post.h"

#include <string.h>

/*
 * Tables of the list that the run did not make itself: oid, names, kind, whether the role owns it.
 * A partitioned table brings its partitions; all partitions bring their root.
 * %s: the array of names, the run as a literal.
 */
static const char tables_sql[] =
	"WITH listed AS (SELECT DISTINCT pg_catalog.to_regclass(t)::pg_catalog.oid AS oid FROM"
	" pg_catalog.unnest(%s::text[]) AS t),"
	" below AS (SELECT oid FROM listed UNION SELECT p.relid FROM listed,"
	" pg_catalog.pg_partition_tree(listed.oid) p),"
	" named AS (SELECT oid FROM below UNION SELECT up.relid FROM below,"
	" pg_catalog.pg_partition_ancestors(below.oid) up WHERE NOT EXISTS (SELECT 1 FROM"
	" pg_catalog.pg_partition_tree(up.relid) p WHERE p.isleaf AND p.relid NOT IN"
	" (SELECT oid FROM below))),"
	" done AS (SELECT kind, relation, name FROM neonferry.set_aside WHERE run = %s),"
	" tab AS (SELECT c.oid, n.nspname, c.relname, c.relkind,"
	" pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS qname,"
	" pg_catalog.pg_has_role(c.relowner, 'USAGE') AS mine"
	" FROM named JOIN pg_catalog.pg_class c ON c.oid = named.oid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM neonferry.object o WHERE"
	" o.run = %s AND o.section = 'pre-data' AND o.outcome = 'applied' AND o.tag = c.relname AND"
	" o.detail ->> 'type' = 'TABLE' AND o.detail ->> 'schema' = n.nspname)) ";

/*
 * Columns of each of the following: kind, relation, name, type, schema, table, tag, the statement
 * that drops or disables, the statements that restore, why it is kept (or NULL), group (the same
 * for what one statement drops).
 */
static const char foreign_sql[] =
	"SELECT 'foreign key', t.qname, con.conname, 'FK CONSTRAINT', t.nspname, t.relname,"
	" t.relname || ' ' || con.conname,"
	" pg_catalog.format('ALTER TABLE %I.%I DROP CONSTRAINT %I', t.nspname, t.relname,"
	" con.conname),"
	" pg_catalog.format('ALTER TABLE %s%I.%I ADD CONSTRAINT %I %s;', CASE t.relkind WHEN 'r'"
	" THEN 'ONLY ' ELSE '' END, t.nspname, t.relname, con.conname,"
	" pg_catalog.pg_get_constraintdef(con.oid)) || coalesce(pg_catalog.format("
	" ' COMMENT ON CONSTRAINT %I ON %I.%I IS %L;', con.conname, t.nspname, t.relname,"
	" pg_catalog.obj_description(con.oid, 'pg_constraint')), ''),"
	" CASE WHEN NOT t.mine THEN 'the role does not own the table'"
	" WHEN con.conparentid <> 0 AND (SELECT p.conrelid FROM pg_catalog.pg_constraint p WHERE"
	" p.oid = con.conparentid) NOT IN (SELECT oid FROM tab)"
	" THEN 'it belongs to a partitioned table that is not loaded' END, con.oid"
	" FROM tab t JOIN pg_catalog.pg_constraint con ON con.conrelid = t.oid"
	" WHERE con.contype = 'f' AND NOT (con.conparentid <> 0 AND (SELECT p.conrelid FROM"
	" pg_catalog.pg_constraint p WHERE p.oid = con.conparentid) IN (SELECT oid FROM tab))"
	" AND ('foreign key', t.qname, con.conname::text) NOT IN (SELECT kind, relation, name FROM"
	" done) ORDER BY 2, 3";

/*
 * An index of a partitioned table is dropped with all its parts, so it goes only if all of them are
 * on tables of the list. Parts first, so that attaching finds them.
 */
static const char index_sql[] =
	"SELECT 'index', t.qname, ic.relname, 'INDEX', t.nspname, t.relname, ic.relname,"
	" CASE WHEN NOT ic.relispartition THEN pg_catalog.format('DROP INDEX %I.%I', t.nspname,"
	" ic.relname) END,"
	" pg_catalog.pg_get_indexdef(i.indexrelid) || ';'"
	" || coalesce((SELECT pg_catalog.string_agg(pg_catalog.format(' ALTER INDEX %I.%I ALTER"
	" COLUMN %s SET STATISTICS %s;', t.nspname, ic.relname, a.attnum, a.attstattarget), ''"
	" ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indexrelid AND"
	" a.attstattarget >= 0), '')"
	" || CASE WHEN i.indisclustered THEN pg_catalog.format(' ALTER TABLE %I.%I CLUSTER ON %I;',"
	" t.nspname, t.relname, ic.relname) ELSE '' END"
	" || coalesce(pg_catalog.format(' COMMENT ON INDEX %I.%I IS %L;', t.nspname, ic.relname,"
	" pg_catalog.obj_description(i.indexrelid, 'pg_class')), ''),"
	" CASE WHEN NOT t.mine THEN 'the role does not own the table'"
	" WHEN i.indisreplident THEN 'it is the replica identity of its table'"
	" WHEN NOT i.indisvalid AND ic.relkind = 'i' THEN 'it is not valid: drop or rebuild it'"
	" WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_partition_tree(root.oid) p JOIN"
	" pg_catalog.pg_index pi ON pi.indexrelid = p.relid WHERE pi.indrelid NOT IN (SELECT oid"
	" FROM tab WHERE mine)) THEN 'parts of it are on tables that are not loaded' END, root.oid,"
	" CASE WHEN ic.relispartition THEN (SELECT pg_catalog.format('ALTER INDEX %I.%I ATTACH"
	" PARTITION %I.%I;', pn.nspname, pc.relname, t.nspname, ic.relname) FROM"
	" pg_catalog.pg_inherits h JOIN pg_catalog.pg_class pc ON pc.oid = h.inhparent JOIN"
	" pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace WHERE h.inhrelid = i.indexrelid)"
	" END FROM tab t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid"
	" JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid,"
	" LATERAL (SELECT CASE WHEN ic.relispartition OR ic.relkind = 'I' THEN"
	" pg_catalog.pg_partition_root(ic.oid)::pg_catalog.oid ELSE ic.oid END AS oid) root"
	" WHERE NOT i.indisunique AND NOT i.indisprimary AND NOT i.indisexclusion"
	" AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint con WHERE con.conindid ="
	" i.indexrelid AND con.contype IN ('p', 'u', 'x'))"
	" AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend dep WHERE dep.classid ="
	" 'pg_catalog.pg_class'::pg_catalog.regclass AND dep.objid = i.indexrelid AND dep.deptype ="
	" 'e')"
	" AND ('index', t.qname, ic.relname::text) NOT IN (SELECT kind, relation, name FROM done)"
	" ORDER BY root.oid, ic.relispartition DESC, 2, 3";

static const char trigger_sql[] =
	"SELECT 'trigger', t.qname, g.tgname, 'TRIGGER', t.nspname, t.relname,"
	" t.relname || ' ' || g.tgname,"
	" pg_catalog.format('ALTER TABLE ONLY %I.%I DISABLE TRIGGER %I', t.nspname, t.relname,"
	" g.tgname),"
	" pg_catalog.format('ALTER TABLE ONLY %I.%I ENABLE %s TRIGGER %I;', t.nspname, t.relname,"
	" CASE g.tgenabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, g.tgname),"
	" CASE WHEN NOT t.mine THEN 'the role does not own the table' END, g.oid"
	" FROM tab t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid"
	" WHERE NOT g.tgisinternal AND g.tgenabled <> 'D'"
	" AND ('trigger', t.qname, g.tgname::text) NOT IN (SELECT kind, relation, name FROM done)"
	" ORDER BY 2, 3";

enum { KIND, RELATION, NAME, TYPE, SCHEMA, TABLE, TAG, DROP, RESTORE, KEPT, GROUP, ATTACH };

struct aside {
	const struct ddl *d;
	const char *const *tables;
	int n;
	struct ddl_phase *phase;
};

static void tell_kept(const struct aside *a, const char *kind, const char *relation,
		      const char *name, const char *why)
{
	event_emit(a->d->events, EVENT_NOTICE, "aside.kept",
		   json_pack("{s:s, s:s, s:s, s:s}", "kind", kind, "relation", relation, "name",
			     name, "why", why),
		   "%s %s of %s stays during the load: %s", kind, name, relation, why);
}

/* The row of the ledger. restored at once where nothing has been taken away. */
static void add_record(struct text *t, const struct ddl *d, const char *kind, const char *relation,
		       const char *name, json_t *detail, bool kept)
{
	AUTO(free) char *json = detail ? json_dumps(detail, JSON_COMPACT) : NULL;

	json_decref(detail);
	text_add(t,
		 "INSERT INTO neonferry.set_aside (run, kind, relation, name, generation, detail,"
		 " restored) VALUES (");
	const char *const values[] = { d->run, kind, relation, name };
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		text_add_literal(t, values[i]);
		text_add(t, ", ");
	}
	ledger_fence(t, d->run, d->generation);
	text_add(t, ", ");
	text_add_literal(t, json);
	text_addf(t, ", %s);", kept ? "clock_timestamp()" : "NULL");
}

static void record_row(struct text *t, const struct ddl *d, const PGresult *res, int row,
		       const char *kept)
{
	json_t *detail = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s*}", "type", PQgetvalue(res, row, TYPE), "schema",
		PQgetvalue(res, row, SCHEMA), "table", PQgetvalue(res, row, TABLE), "tag",
		PQgetvalue(res, row, TAG), "sql", PQgetvalue(res, row, RESTORE), "kept", kept);

	add_record(t, d, PQgetvalue(res, row, KIND), PQgetvalue(res, row, RELATION),
		   PQgetvalue(res, row, NAME), detail, kept);
	if (kept || PQnfields(res) <= ATTACH || PQgetisnull(res, row, ATTACH))
		return;
	/* A part of a partitioned index is attached again once both are there. */
	detail = json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "INDEX ATTACH", "schema",
			   PQgetvalue(res, row, SCHEMA), "table", PQgetvalue(res, row, TABLE),
			   "tag", PQgetvalue(res, row, TAG), "sql", PQgetvalue(res, row, ATTACH));
	add_record(t, d, "attach", PQgetvalue(res, row, RELATION), PQgetvalue(res, row, NAME),
		   detail, false);
}

/* Rows [from, to) are one group: records of all, and the one statement that drops them. */
static int add_group(const struct aside *a, const PGresult *res, int from, int to,
		     struct ddl_items *items, struct err *e)
{
	AUTO_TEXT struct text record = TEXT_INIT;
	AUTO_TEXT struct text label = TEXT_INIT;
	const char *drop = NULL, *kept = NULL;

	for (int i = from; i < to && !kept; i++)
		kept = PQgetisnull(res, i, KEPT) ? NULL : PQgetvalue(res, i, KEPT);
	for (int i = from; i < to; i++) {
		record_row(&record, a->d, res, i, kept);
		if (kept)
			tell_kept(a, PQgetvalue(res, i, KIND), PQgetvalue(res, i, RELATION),
				  PQgetvalue(res, i, NAME), kept);
		else if (!PQgetisnull(res, i, DROP))
			drop = PQgetvalue(res, i, DROP);
	}
	text_addf(&label, "%s %s of %s", PQgetvalue(res, to - 1, KIND),
		  PQgetvalue(res, to - 1, NAME), PQgetvalue(res, to - 1, RELATION));
	char *name = text_take(&label, e), *sql = drop ? strdup(drop) : NULL;
	return ddl_items_add(items, to - 1, name, text_take(&record, e), sql, e);
}

/* What could not be dropped stays; the reason goes to the ledger, so it is not tried again. */
struct judging {
	const struct aside *a;
	const PGresult *res;
};

static char *judge(struct ddl_session *s, void *ctx, const struct ddl_item *item, struct err *e)
{
	static const char *const states[] = { "42501", "2BP01", "0A000", "55006", "42809" };
	const struct judging *j = ctx;
	AUTO_TEXT struct text record = TEXT_INIT;
	struct err ignored = ERR_INIT;
	const char *kind = PQgetvalue(j->res, item->number, KIND);
	const char *relation = PQgetvalue(j->res, item->number, RELATION);
	const char *name = PQgetvalue(j->res, item->number, NAME);

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (strcmp(e->sqlstate, states[i]) != 0)
			continue;
		tell_kept(j->a, kind, relation, name, e->text);
		add_record(&record, j->a->d, kind, relation, name,
			   json_pack("{s:s}", "kept", e->text), true);
		return text_take(&record, &ignored);
	}
	return NULL;
}

static void add_tables(struct text *t, const struct aside *a)
{
	text_add(t, "ARRAY[");
	for (int i = 0; i < a->n; i++) {
		text_add(t, i ? ", " : "");
		text_add_literal(t, a->tables[i]);
	}
	text_add(t, "]");
}

/* One kind: all of it in the tables of the list. */
static int set_kind_aside(struct aside *a, struct ddl_session *s, const char *which, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO_TEXT struct text tables = TEXT_INIT;
	AUTO_TEXT struct text run = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	struct ddl_items items = { 0 };
	int rc = 0;

	add_tables(&tables, a);
	text_add_literal(&run, a->d->run);
	text_addf(&sql, tables_sql, text_str(&tables), text_str(&run), text_str(&run));
	text_add(&sql, which);
	if (text_check(&sql, e) < 0 || pg_query(s->pg, text_str(&sql), &res, e) < 0)
		return err_note(e, "reading the indexes and constraints of the target");
	for (int i = 0, to; rc == 0 && i < PQntuples(res); i = to) {
		for (to = i + 1; to < PQntuples(res) &&
				 strcmp(PQgetvalue(res, i, GROUP), PQgetvalue(res, to, GROUP)) == 0;
		     to++)
			;
		rc = add_group(a, res, i, to, &items, e);
	}
	struct judging j = { .a = a, .res = res };
	if (rc == 0)
		rc = ddl_batch_run(s, &items, a->phase, judge, &j, e);
	ddl_items_done(&items);
	return rc;
}

static int aside_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct aside *a = ctx;

	if (set_kind_aside(a, s, foreign_sql, e) < 0 || set_kind_aside(a, s, index_sql, e) < 0)
		return -1;
	return set_kind_aside(a, s, trigger_sql, e);
}

int ddl_set_aside(const struct ddl *d, const char *const *tables, int n, struct err *e)
{
	struct ddl_session s;
	struct ddl_phase phase;
	struct aside a = { .d = d, .tables = tables, .n = n, .phase = &phase };

	if (n == 0)
		return 0;
	ddl_phase_begin(&phase, d, "aside", 0);
	ddl_session_init(&s, d, d->stop, "ddl", "SET client_min_messages = warning");
	int rc = ddl_session_do(&s, aside_work, &a, e);
	ddl_session_done(&s);
	ddl_phase_end(&phase);
	return rc < 0 ? err_note(e, "setting indexes, foreign keys and triggers aside") : 0;
}
