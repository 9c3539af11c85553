#include "schema/scratch.h"

#include "schema/archive.h"
#include "schema/query.h"
#include "schema/scratch_rows.h"
#include "schema/scratch_try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define CREATE_ATTEMPTS 20
#define CREATE_PAUSE_MS 500

#define PREFIX	 "neonferry_scratch_"
#define BATCH	 200  /* entries in one transaction: the lock table has its bounds */
#define STALE_S	 3600

struct scratch {
	struct scratch_options o;
	struct conn *target, *conn; /* target: borrowed by nobody else: a copy */
	struct pg *pg;
	char *name; /* of the database that was made, or NULL */
};

struct pg *scratch_pg(struct scratch *s)
{
	return s->pg;
}

/* --- a database of our own --- */

/* The time stands in the name, so that what a killed process left can be told from what lives. */
static char *make_name(void)
{
	unsigned number = 0;
	char *name = NULL;

	(void)!getrandom(&number, sizeof(number), 0);
	return asprintf(&name, PREFIX "%lld_%08x", (long long)time(NULL), number) < 0 ? NULL : name;
}

static void drop_stale(struct pg *pg)
{
	AUTO(pgresult) PGresult *res = NULL;
	struct err ignored = ERR_INIT;

	if (pg_queryf(pg, &res, &ignored,
		      "SELECT pg_catalog.quote_ident(d.datname) FROM pg_catalog.pg_database d WHERE"
		      " d.datname ~ '^" PREFIX "[0-9]{1,18}_[0-9a-f]{8}$' AND"
		      " pg_catalog.pg_has_role(d.datdba, 'USAGE') AND NOT EXISTS (SELECT FROM"
		      " pg_catalog.pg_stat_activity a WHERE a.datname = d.datname) AND"
		      " pg_catalog.split_part(d.datname, '_', 3)::pg_catalog.int8 < %lld",
		      (long long)time(NULL) - STALE_S))
		return;
	for (int i = 0; i < PQntuples(res); i++)
		(void)!pg_execf(pg, &ignored, "DROP DATABASE IF EXISTS %s", query_text(res, i, 0));
}

/* A database can only be made while nobody is connected to the template: somebody may be, shortly. */
static int create_patiently(struct scratch *s, struct pg *pg, const char *name, struct err *e)
{
	for (int attempt = 0;; attempt++) {
		*e = ERR_INIT;
		if (pg_execf(pg, e, "CREATE DATABASE \"%s\"", name) == 0)
			return 0;
		if (strcmp(e->sqlstate, "55006") != 0 || attempt == CREATE_ATTEMPTS)
			return -1;
		if (stop_sleep(s->o.stop, CREATE_PAUSE_MS, e) < 0)
			return -1;
	}
}

/*
 * What ALTER DATABASE has set in the target for every session holds in the scratch database, too:
 * a time without its zone is another one elsewhere, and a name without its schema.
 */
static int take_settings(struct pg *pg, const char *name, struct err *e)
{
	static const char *const settings[] = { "timezone", "datestyle", "intervalstyle",
						"search_path" };

	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (pg_execf(pg, e, "RESET %s; ALTER DATABASE \"%s\" SET %s FROM CURRENT",
			     settings[i], name, settings[i]))
			return err_note(e, "setting up a scratch database");
	return 0;
}

static int create(struct scratch *s, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	AUTO(free) char *name = make_name();

	if (!name)
		return err_nomem(e);
	if (pg_open(&pg, s->target, "schema", s->o.stop, e))
		return -1;
	drop_stale(pg);
	if (create_patiently(s, pg, name, e) < 0) {
		if (strcmp(e->sqlstate, "42501") == 0)
			e->kind = ERR_REFUSED;
		err_note(e, "making a scratch database");
		e->hint[0] = '\0';
		return err_hint(e, "Name an empty database with --scratch URI, or let the role create one "
				   "(ALTER ROLE ... CREATEDB).");
	}
	s->name = GIVE(&name);
	if (take_settings(pg, s->name, e))
		return -1;
	return conn_other_database(&s->conn, s->target, s->name, e);
}

static void drop(struct scratch *s)
{
	AUTO(pg) struct pg *pg = NULL;
	struct err ignored = ERR_INIT;

	/* without the stop: also a call that was stopped cleans up */
	if (pg_open(&pg, s->target, "schema", NULL, &ignored) == 0)
		(void)!pg_execf(pg, &ignored, "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", s->name);
}

/* --- the user's database --- */

/* What an extension brought is not the user's. */
#define OWN_SCHEMA                                                                                 \
	"n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'neon', "                 \
	"'neon_migration') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = "  \
	"n.tableoid AND d.objid = n.oid AND d.deptype = 'e')"
#define OWN_OBJECT                                                                                 \
	OWN_SCHEMA " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = "        \
		   "o.tableoid AND d.objid = o.oid AND d.deptype = 'e')"

/* Whatever emptying would drop. */
static const char count_objects[] =
	"SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_namespace n WHERE " OWN_SCHEMA
	" AND n.nspname <> 'public') + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class o JOIN"
	" pg_catalog.pg_namespace n ON n.oid = o.relnamespace WHERE " OWN_OBJECT
	" AND o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')) + (SELECT pg_catalog.count(*) FROM"
	" pg_catalog.pg_proc o JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace"
	" WHERE " OWN_OBJECT ") + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_type o JOIN"
	" pg_catalog.pg_namespace n ON n.oid = o.typnamespace LEFT JOIN pg_catalog.pg_class c ON"
	" c.oid = o.typrelid WHERE " OWN_OBJECT " AND o.typtype IN ('e', 'd', 'c', 'r') AND"
	" (c.relkind IS NULL OR c.relkind = 'c'))";

static int check_empty(struct scratch *s, struct err *e)
{
	AUTO(free) char *n = NULL;

	if (pg_value(s->pg, count_objects, &n, e))
		return -1;
	if (!n || strcmp(n, "0") == 0)
		return 0;
	err_set(e, ERR_REFUSED, "the scratch database %s is not empty", conn_label(s->conn));
	return err_hint(e, "--scratch wants a database that nothing is kept in: it is emptied afterwards.");
}

/* Every schema but public, and what stands in public. */
static const char empty_it[] =
	"DO $scratch$ DECLARE s text; BEGIN"
	" FOR s IN SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_namespace n"
	" WHERE " OWN_SCHEMA " AND n.nspname <> 'public' LOOP"
	" EXECUTE 'DROP SCHEMA ' || s || ' CASCADE'; END LOOP;"
	" FOR s IN SELECT CASE c.relkind WHEN 'v' THEN 'VIEW ' WHEN 'm' THEN 'MATERIALIZED VIEW '"
	" WHEN 'S' THEN 'SEQUENCE ' WHEN 'f' THEN 'FOREIGN TABLE ' ELSE 'TABLE ' END ||"
	" c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c"
	" WHERE c.relnamespace = 'public'::pg_catalog.regnamespace"
	" AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT EXISTS (SELECT FROM"
	" pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'i')) LOOP"
	" BEGIN EXECUTE 'DROP ' || s || ' CASCADE'; EXCEPTION WHEN undefined_table THEN NULL; END;"
	" END LOOP;"
	" FOR s IN SELECT p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc p"
	" WHERE p.pronamespace = 'public'::pg_catalog.regnamespace AND NOT EXISTS (SELECT FROM"
	" pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') LOOP"
	" BEGIN EXECUTE 'DROP ROUTINE ' || s || ' CASCADE';"
	" EXCEPTION WHEN undefined_function THEN NULL; END;"
	" END LOOP;"
	" FOR s IN SELECT t.oid::pg_catalog.regtype FROM pg_catalog.pg_type t"
	" LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid"
	" WHERE t.typnamespace = 'public'::pg_catalog.regnamespace"
	" AND t.typtype IN ('e', 'd', 'c', 'r') AND (c.relkind IS NULL OR c.relkind = 'c')"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = t.oid"
	" AND d.deptype = 'e') LOOP"
	" BEGIN EXECUTE 'DROP TYPE ' || s || ' CASCADE';"
	" EXCEPTION WHEN undefined_object THEN NULL; END;"
	" END LOOP; END $scratch$";

static int use_given(struct scratch *s, struct err *e)
{
	if (conn_parse(&s->conn, PG_TARGET, s->o.uri, e))
		return err_note(e, "reading --scratch");
	if (strcmp(conn_label(s->conn), conn_label(s->target)) == 0)
		return err_set(e, ERR_REFUSED, "--scratch names the target itself");
	return 0;
}

/* --- both --- */

int scratch_open(struct scratch **ret, const struct conn *target, const struct scratch_options *o,
		 struct err *e)
{
	AUTO(scratch) struct scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->o = *o;
	if (conn_other_database(&s->target, target, conn_dbname(target), e) ||
	    (o->uri ? use_given(s, e) : create(s, e)) || pg_open(&s->pg, s->conn, "scratch", o->stop, e))
		return -1;
	if (o->uri && check_empty(s, e)) {
		pg_close(GIVE(&s->pg)); /* not ours to empty */
		return -1;
	}
	*ret = GIVE(&s);
	return 0;
}

void scratch_close(struct scratch *s)
{
	struct err ignored = ERR_INIT;

	if (!s)
		return;
	if (s->pg && !s->name) {
		pg_rollback(s->pg);
		(void)!pg_exec(s->pg, empty_it, &ignored);
	}
	pg_close(s->pg);
	if (s->name)
		drop(s);
	conn_free(s->conn);
	conn_free(s->target);
	free(s->name);
	free(s);
}

/* --- the target's schema --- */

static int restore_batch(struct scratch *s, const struct archive *a, int from, int to, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "SET check_function_bodies TO off; BEGIN;");
	for (int i = from; i < to; i++)
		if (!a->entries[i].left_out && a->entries[i].sql[0])
			text_addf(&sql, "%s\n;", a->entries[i].sql);
	text_add(&sql, "COMMIT; RESET check_function_bodies;");
	if (text_check(&sql, e) == 0 && pg_exec(s->pg, text_str(&sql), e) == 0)
		return 0;
	pg_rollback(s->pg);
	return err_note(e, "copying the target's schema into the scratch database");
}

static int restore(struct scratch *s, const struct archive *a, struct err *e)
{
	for (int i = 0; i < a->n_entries; i += BATCH)
		if (restore_batch(s, a, i, i + BATCH < a->n_entries ? i + BATCH : a->n_entries, e))
			return -1;
	/* a dump sets what its statements need */
	return pg_exec(s->pg, "SELECT pg_catalog.set_config('search_path', '', false)", e);
}

/* ALTER SEQUENCE is refused by the value, rows that are put in get the numbers that they would get.
 */
static int copy_sequences(struct scratch *s, struct pg *pg, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (pg_query(pg,
		     "SELECT pg_catalog.format('%I.%I', q.schemaname, q.sequencename), q.last_value"
		     " FROM pg_catalog.pg_sequences q WHERE q.last_value IS NOT NULL"
		     " AND q.schemaname !~ '^pg_'",
		     &res, e))
		return err_note(e, "reading where the target's sequences stand");
	text_add(&sql, "SELECT pg_catalog.setval(c.oid, v.n) FROM (VALUES (NULL::pg_catalog.text, "
		       "0::pg_catalog.int8)");
	for (int i = 0; i < PQntuples(res); i++) {
		text_add(&sql, ", (");
		text_add_literal(&sql, query_text(res, i, 0));
		text_addf(&sql, ", %s)", query_text(res, i, 1));
	}
	text_add(&sql, ") v(name, n) JOIN pg_catalog.pg_class c ON c.oid ="
		       " pg_catalog.to_regclass(v.name) WHERE"
		       " pg_catalog.has_sequence_privilege(c.oid, 'UPDATE')");
	return text_check(&sql, e) ? -1 : pg_exec(s->pg, text_str(&sql), e);
}

int scratch_copy_schema(struct scratch *s, const struct conn *target, struct pg *pg, struct err *e)
{
	int version = pg_version(pg);

	AUTO(archive) struct archive *a = NULL;
	char path[] = "/tmp/neonferry-schema-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return err_set(e, ERR_DISK, "cannot make a file in /tmp");
	close(fd);
	int failed = archive_dump(target, version, NULL, path, s->o.stop, e) ||
		     archive_read(&a, path, version, s->o.stop, e) || restore(s, a, e) ||
		     copy_sequences(s, pg, e) || scratch_rows_watch(s->pg, e);
	unlink(path);
	return failed ? -1 : 0;
}

int scratch_try(struct scratch *s, const struct migration *m, struct scratch_notes *notes,
		struct err *e)
{
	return scratch_try_apart(s->pg, m, s->o.vector_dimensions, notes, e);
}
