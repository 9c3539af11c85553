/*
 * check - looks at both ends for what would stop a run. Each finding is one row: which end, what
 * was looked at, ok / note / stop, and in words.
 */
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/room.h"
#include "cli/say.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "common/pg.h"
#include "schema/archive.h"
#include "schema/migration_session.h"
#include "transfer/sessions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SOURCE_OLDEST = 14, TARGET_OLDEST = 15, NEWEST = 18 };

struct check {
	struct pg *source, *target;
	struct stop *stop;
	json_t *rows;
	int n_stops;
	bool locks; /* --locks */
};

PRINTF_LIKE(5, 6)
static void found(struct check *c, const char *end, const char *what, const char *state,
		  const char *fmt, ...)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	va_list ap;

	va_start(ap, fmt);
	text_addv(&t, fmt, ap);
	va_end(ap);
	c->n_stops += strcmp(state, "stop") == 0;
	json_array_append_new(c->rows, json_pack("{s:s, s:s, s:s, s:o}", "end", end, "what", what,
						 "state", state, "text", say_string(text_str(&t))));
}

static void failed(struct check *c, const char *end, const char *what, const struct err *e)
{
	found(c, end, what, "stop", "%s%s%s", e->text, *e->hint ? "; hint: " : "", e->hint);
}

static void check_version(struct check *c, const char *end, const struct pg *pg, int oldest)
{
	int major = pg_version(pg) / 10000;
	bool known = major >= oldest && major <= NEWEST;

	found(c, end, "version", known ? "ok" : "stop",
	      known ? "PostgreSQL %d.%d" : "PostgreSQL %d.%d is not supported", major,
	      pg_version(pg) % 10000);
}

static void check_tls(struct check *c, const char *end, struct pg *pg)
{
	const char *host = PQhost(pg_conn(pg));
	bool local = !host || host[0] == '/' || strcmp(host, "localhost") == 0 ||
		     strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0;

	if (PQsslInUse(pg_conn(pg)))
		found(c, end, "encryption", "ok", "%s", PQsslAttribute(pg_conn(pg), "protocol"));
	else
		found(c, end, "encryption", local ? "ok" : "note",
		      local ? "none, on this machine"
			    : "none: rows and passwords travel in the "
			      "clear; add sslmode=require");
}

static void check_end(struct check *c, const struct conn *conn, struct pg **ret)
{
	const char *end = pg_role_name(conn_role(conn));
	struct err e = ERR_INIT;

	if (pg_open(ret, conn, "check", c->stop, &e)) {
		failed(c, end, "connection", &e);
		return;
	}
	found(c, end, "connection", "ok", "%s (from %s)", conn_label(conn), conn_origin(conn));
	check_version(c, end, *ret, conn_role(conn) == PG_SOURCE ? SOURCE_OLDEST : TARGET_OLDEST);
	check_tls(c, end, *ret);
}

/* A fact that one query gives; false where it failed, which is said. */
static bool ask(struct check *c, struct pg *pg, const char *what, const char *sql, char **ret)
{
	struct err e = ERR_INIT;

	if (pg_value(pg, sql, ret, &e) == 0)
		return true;
	failed(c, pg_role_name(pg_role(pg)), what, &e);
	return false;
}

static void check_source_size(struct check *c)
{
	AUTO(free) char *size = NULL;

	if (ask(c, c->source, "size",
		"SELECT pg_catalog.pg_size_pretty(pg_catalog.pg_database_size("
		"pg_catalog.current_database()))",
		&size) &&
	    size)
		found(c, "source", "size", "ok", "%s on disk, indexes included", size);
}

/* The role must be able to read every table of the user's. */
static void check_source_rights(struct check *c)
{
	AUTO(free) char *blocked = NULL;
	static const char sql[] =
		"SELECT pg_catalog.string_agg(c.oid::pg_catalog.regclass::text, ', ') FROM "
		"pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
		"WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> "
		"'information_schema' AND (NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') OR "
		"pg_catalog.row_security_active(c.oid))";

	if (!ask(c, c->source, "rights", sql, &blocked))
		return;
	if (blocked)
		found(c, "source", "rights", "stop",
		      "cannot read all rows of %s; use the owner or a "
		      "role with BYPASSRLS and SELECT",
		      blocked);
	else
		found(c, "source", "rights", "ok", "every table can be read");
}

static void check_target_rights(struct check *c)
{
	AUTO(free) char *may = NULL;

	if (!ask(c, c->target, "rights",
		 "SELECT pg_catalog.has_database_privilege("
		 "pg_catalog.current_database(), 'CREATE')",
		 &may) ||
	    !may)
		return;
	if (strcmp(may, "t") == 0)
		found(c, "target", "rights", "ok", "may create schemas");
	else
		found(c, "target", "rights", "stop",
		      "may not create schemas in this database; "
		      "GRANT CREATE ON DATABASE to the role");
}

static void check_target_sessions(struct check *c)
{
	struct err e = ERR_INIT;
	int n;

	if (sessions_free(c->target, &n, &e))
		failed(c, "target", "sessions", &e);
	else
		found(c, "target", "sessions", n >= 4 ? "ok" : "note",
		      "%d more sessions are possible now", n);
}

static void check_extension(struct check *c, const char *name, const char *version)
{
	AUTO(pgresult) PGresult *res = NULL;
	const char *values[] = { name };
	struct err e = ERR_INIT;

	if (pg_query_params(c->target,
			    "SELECT coalesce(a.installed_version, ''), a.default_version, "
			    "a.installed_version IS NULL AND NOT v.trusted AND NOT "
			    "(SELECT rolsuper FROM pg_catalog.pg_roles "
			    "WHERE rolname = current_user) "
			    "AND coalesce(pg_catalog.current_setting('neon.timeline_id', true), "
			    "pg_catalog.current_setting('neon.endpoint_id', true)) IS NULL "
			    "FROM pg_catalog.pg_available_extensions a JOIN "
			    "pg_catalog.pg_available_extension_versions v ON v.name = a.name "
			    "AND v.version = a.default_version WHERE a.name = $1",
			    1, values, &res, &e)) {
		failed(c, "target", "extension", &e);
		return;
	}
	if (PQntuples(res) == 0) {
		found(c, "target", "extension", "stop", "%s %s is not available there", name,
		      version);
		return;
	}
	if (strcmp(PQgetvalue(res, 0, 2), "t") == 0) {
		found(c, "target", "extension", "stop",
		      "%s %s: only a superuser may create it there: CREATE "
		      "EXTENSION %s as one, before the run",
		      name, version, name);
		return;
	}
	const char *installed = PQgetvalue(res, 0, 0);
	const char *there = *installed ? installed : PQgetvalue(res, 0, 1);
	bool equal = strcmp(there, version) == 0;
	found(c, "target", "extension", equal ? "ok" : "note", "%s: %s in the source, %s %s", name,
	      version, there, *installed ? "in the target" : "can be created in the target");
}

static void check_extensions(struct check *c)
{
	AUTO(pgresult) PGresult *res = NULL;
	struct err e = ERR_INIT;

	if (pg_query(c->source,
		     "SELECT extname, extversion FROM pg_catalog.pg_extension "
		     "WHERE extname <> 'plpgsql' ORDER BY 1",
		     &res, &e)) {
		failed(c, "source", "extensions", &e);
		return;
	}
	for (int i = 0; i < PQntuples(res); i++)
		check_extension(c, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1));
}

/* Settings of the database or the role are not carried, and searches feel these. */
static void check_search_settings(struct check *c)
{
	AUTO(free) char *source = NULL;
	AUTO(free) char *target = NULL;
	static const char sql[] =
		"SELECT coalesce(pg_catalog.string_agg(s, ', ' ORDER BY s), 'none') "
		"FROM pg_catalog.pg_db_role_setting d "
		"CROSS JOIN LATERAL pg_catalog.unnest(d.setconfig) s "
		"WHERE d.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database "
		"WHERE datname = pg_catalog.current_database())) AND d.setrole IN (0, "
		"(SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)) "
		"AND s ~ '^(hnsw|ivfflat)[.]'";

	if (!ask(c, c->source, "search settings", sql, &source) ||
	    !ask(c, c->target, "search settings", sql, &target))
		return;
	bool equal = strcmp(source, target) == 0;
	found(c, "target", "search settings", equal ? "ok" : "note",
	      equal ? "%s"
		    : "%s; in the source: %s. Set them there before the run, for searches would "
		      "find other neighbours, which ends it with 7: "
		      "SELECT '[1]'::vector; ALTER DATABASE ... SET",
	      target, source);
}

/*
 * Names of hosts prove nothing. A lock on a random key in the one is free in the other, unless they
 * are the same database.
 */
static void check_not_same(struct check *c)
{
	AUTO(free) char *locked = NULL;
	AUTO(free) char *got = NULL;
	int64_t key = 0;
	struct err e = ERR_INIT;

	(void)!getrandom(&key, sizeof(key), 0);
	if (pg_valuef(c->source, &locked, &e, "SELECT pg_catalog.pg_try_advisory_lock(%lld)",
		      (long long)key) ||
	    pg_valuef(c->target, &got, &e, "SELECT pg_catalog.pg_try_advisory_lock(%lld)",
		      (long long)key)) {
		failed(c, "both", "different databases", &e);
		return;
	}
	bool same = locked && got && strcmp(got, "f") == 0;
	found(c, "both", "different databases", same ? "stop" : "ok",
	      same ? "source and target are the same database" : "they are");
}

static void check_programs(struct check *c)
{
	AUTO(free) char *dump = NULL;
	AUTO(free) char *restore = NULL;
	struct err e = ERR_INIT;

	if (archive_find_tools(pg_version(c->source) / 10000, &dump, &restore, &e))
		failed(c, "here", "programs", &e);
	else
		found(c, "here", "programs", "ok", "%s, %s", dump, restore);
}

static const char *word(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s ? s : "";
}

/* Whoever holds a lock may be in the way of the snapshot, or of the schema. */
static void check_locks(struct check *c, struct pg *pg)
{
	const char *end = pg_role_name(pg_role(pg));
	struct err e = ERR_INIT;
	json_t *list = NULL, *row;
	size_t i;

	if (migration_locks_read(pg, &list, &e)) {
		failed(c, end, "locks", &e);
		return;
	}
	json_array_foreach(list, i, row)
	{
		found(c, end, "locks", "note",
		      "pid %lld (%s, %s) %s, in its transaction for %lld s, holds %s; its last statement: %s",
		      json_integer_value(json_object_get(row, "pid")), word(row, "user"),
		      word(row, "application"), word(row, "state"),
		      json_integer_value(json_object_get(row, "seconds")), word(row, "locks"),
		      word(row, "query"));
	}
	if (json_array_size(list) == 0)
		found(c, end, "locks", "ok", "no session of others holds a lock on a table");
	json_decref(list);
}

static void found_room(struct check *c, const char *end, struct room *room, int rc, const struct err *e)
{
	if (rc < 0)
		failed(c, end, "room", e);
	else
		found(c, end, "room", room->fits ? "ok" : "note", "%s", text_str(&room->text));
	text_done(&room->text);
}

static void check_room(struct check *c)
{
	struct room here = { 0 }, there = { 0 };
	struct err e = ERR_INIT;
	uint64_t needed = 0;

	if (room_needed(c->source, &needed, &e)) {
		failed(c, "source", "room", &e);
		return;
	}
	int rc = room_here(".", needed, &here, &e);
	found_room(c, "here", &here, rc, &e);
	if (!c->target)
		return;
	rc = room_target(c->target, needed, &there, &e);
	found_room(c, "target", &there, rc, &e);
}

/* What would make the snapshot wait. */
static void check_blockers(struct check *c)
{
	AUTO(free) char *who = NULL;
	static const char sql[] =
		"SELECT pg_catalog.string_agg(pg_catalog.format('pid %s (%s, %s for %s s) on %s', a.pid, "
		"a.usename, a.state, pg_catalog.floor(extract(epoch FROM pg_catalog.now() - a.xact_start)), "
		"l.relation::pg_catalog.regclass), '; ') FROM pg_catalog.pg_locks l JOIN "
		"pg_catalog.pg_stat_activity a ON a.pid = l.pid JOIN pg_catalog.pg_class c ON c.oid = l.relation "
		"WHERE l.mode = 'AccessExclusiveLock' AND a.datname = pg_catalog.current_database() AND "
		"c.relkind IN ('r', 'p') AND l.pid <> pg_catalog.pg_backend_pid()";

	if (!ask(c, c->source, "blockers", sql, &who))
		return;
	if (who)
		found(c, "source", "blockers", "note",
		      "a run would wait for exclusive locks: %s; let them end, or end them", who);
	else
		found(c, "source", "blockers", "ok", "no exclusive lock is held or asked for");
}

static void check_all(struct check *c, const struct endpoints *ends)
{
	check_end(c, ends->source, &c->source);
	if (c->source) {
		check_source_rights(c);
		check_source_size(c);
		check_blockers(c);
		check_programs(c);
	}
	check_end(c, ends->target, &c->target);
	if (c->target) {
		check_target_rights(c);
		check_target_sessions(c);
	}
	if (c->source)
		check_room(c);
	if (c->source && c->target) {
		check_not_same(c);
		check_extensions(c);
		check_search_settings(c);
	}
	if (c->locks && c->source)
		check_locks(c, c->source);
	if (c->locks && c->target)
		check_locks(c, c->target);
}

/* The words behind the columns, on a narrow terminal below them. */
static void add_words(struct text *ret, const char *words)
{
	enum { COLUMN = 35, LEAST = 30, INDENT = 6 };
	int columns = say_out_columns();

	if (columns == 0 || columns >= COLUMN + LEAST) {
		show_words(ret, words, COLUMN, COLUMN);
	} else {
		text_addf(ret, "\n%*s", INDENT, "");
		show_words(ret, words, INDENT, INDENT);
	}
}

static void print(const struct check *c)
{
	size_t i;
	json_t *row;

	json_array_foreach(c->rows, i, row)
	{
		const char *state = json_string_value(json_object_get(row, "state"));
		AUTO_TEXT struct text t = TEXT_INIT;
		enum say_color color = state[0] == 's'   ? SAY_RED
				       : state[0] == 'n' ? SAY_YELLOW
							 : SAY_GREEN;

		if (say_is_quiet() && state[0] != 's')
			continue;
		add_words(&t, json_string_value(json_object_get(row, "text")));
		say_out("%s%-4s%s  %-6s  %-19s  %s", say_color_out(color), state,
			say_color_out(SAY_PLAIN), json_string_value(json_object_get(row, "end")),
			json_string_value(json_object_get(row, "what")), text_str(&t));
	}
	if (c->n_stops)
		say_out("%d of these would stop a run\n", c->n_stops);
	else
		say_out("nothing found that would stop a run\n");
}

static int look(const struct opts *o, struct check *c, struct err *e)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };

	if (endpoints_find(&ends, o, ENDPOINT_NEEDED, ENDPOINT_NEEDED, e))
		return -1;
	check_all(c, &ends);
	pg_close(c->source);
	pg_close(c->target);
	return stop_level(c->stop) == STOP_NO ? 0 : stop_err(e);
}

int cmd_check(const struct opts *o)
{
	struct err e = ERR_INIT;
	struct stop stop;
	struct check c = { .stop = &stop, .locks = opt_flag(o, OPT_ID_LOCKS) };

	if (stop_init(&stop, &e)) {
		say_error(&e);
		return EXIT_INTERNAL;
	}
	c.rows = json_array();
	signals_aim(&stop, NULL);
	int failed_early = look(o, &c, &e);
	signals_aim(NULL, NULL);
	stop_done(&stop);
	if (failed_early) {
		say_error(&e);
	} else {
		print(&c);
		say_json(c.rows, false);
	}
	json_decref(c.rows);
	if (failed_early)
		return (int)exit_of_error(&e, false);
	return c.n_stops ? EXIT_REFUSED : EXIT_DONE;
}
