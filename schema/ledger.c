#include "schema/ledger.h"

#include "common/clock.h"

#include <ctype.h>
#include <string.h>

/* Serializes installing and removing: two runs may begin at the same moment. */
#define LEDGER_LOCK "SELECT pg_catalog.pg_advisory_xact_lock(7813597312094671)"

/* How long an ended backend may take to be gone before the row lock has to wait for it. */
#define LEDGER_END_MS 10000

static const char *const ledger_tables[] = {
	"CREATE TABLE IF NOT EXISTS neonferry.run ("
	" run text PRIMARY KEY,"
	" generation bigint NOT NULL,"
	" state text NOT NULL,"
	" started timestamptz NOT NULL DEFAULT clock_timestamp(),"
	" ended timestamptz,"
	" tool text,"
	" source text,"
	" detail jsonb)",

	"CREATE TABLE IF NOT EXISTS neonferry.chunk ("
	" run text NOT NULL,"
	" chunk text NOT NULL,"
	" generation bigint NOT NULL,"
	" plan int, tbl int, rng int, route int,"
	" pos_from bigint, pos_to bigint,"
	" relation text, predicate text,"
	" rows bigint, bytes bigint,"
	" read0 numeric, read1 numeric, sent0 numeric, sent1 numeric,"
	" parts jsonb,"
	" xid xid8 NOT NULL DEFAULT pg_current_xact_id(),"
	" loaded timestamptz NOT NULL DEFAULT clock_timestamp(),"
	" CONSTRAINT " LEDGER_CHUNK_KEY " PRIMARY KEY (run, chunk))",

	"CREATE TABLE IF NOT EXISTS neonferry.object ("
	" run text NOT NULL,"
	" section text NOT NULL,"
	" entry int NOT NULL,"
	" generation bigint NOT NULL,"
	" tag text,"
	" outcome text NOT NULL,"
	" detail jsonb,"
	" seq bigint GENERATED ALWAYS AS IDENTITY,"
	" at timestamptz NOT NULL DEFAULT clock_timestamp(),"
	" CONSTRAINT " LEDGER_OBJECT_KEY " PRIMARY KEY (run, section, entry))",

	"CREATE TABLE IF NOT EXISTS neonferry.set_aside ("
	" run text NOT NULL,"
	" kind text NOT NULL,"
	" relation text NOT NULL,"
	" name text NOT NULL,"
	" generation bigint NOT NULL,"
	" detail jsonb NOT NULL,"
	" seq bigint GENERATED ALWAYS AS IDENTITY,"
	" at timestamptz NOT NULL DEFAULT clock_timestamp(),"
	" restored timestamptz,"
	" CONSTRAINT " LEDGER_ASIDE_KEY " PRIMARY KEY (run, kind, relation, name))",

	"CREATE TABLE IF NOT EXISTS neonferry.relation ("
	" run text NOT NULL,"
	" relation text NOT NULL,"
	" tbl int,"
	" how text NOT NULL,"
	" before_rows bigint, before0 numeric, before1 numeric,"
	" detail jsonb,"
	" CONSTRAINT relation_found PRIMARY KEY (run, relation))",

	"CREATE TABLE IF NOT EXISTS neonferry.format (version int NOT NULL)",
};

/* Table names of a run's rows, and the order in which they are read. */
static const struct {
	const char *name, *order;
} ledger_parts[] = {
	{ "chunk", "loaded, chunk" },    { "object", "seq" }, { "set_aside", "seq" },
	{ "relation", "tbl, relation" }, { "run", "run" },
};

bool ledger_run_name_ok(const char *run)
{
	size_t len = run ? strlen(run) : 0;

	return len >= 1 && len <= 40 && strspn(run, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int check_name(const char *run, struct err *e)
{
	if (ledger_run_name_ok(run))
		return 0;
	err_set(e, ERR_USAGE, "\"%s\" is not the name of a run", run ? run : "");
	return err_hint(e, "names are 1 to 40 lower-case letters, digits and hyphens");
}

/* --- install --- */

/* 0 with *ret_version 0 where there is no ledger yet. */
static int read_format(struct pg *pg, int *ret_version, struct err *e)
{
	AUTO(free) char *there = NULL;
	AUTO(free) char *version = NULL;

	if (pg_value(pg,
		     "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
		     " ON n.oid = c.relnamespace WHERE n.nspname = 'neonferry'"
		     " AND c.relname = 'format'",
		     &there, e) < 0)
		return -1;
	if (there && pg_value(pg, "SELECT max(version) FROM neonferry.format", &version, e) < 0)
		return -1;
	*ret_version = version ? atoi(version) : 0;
	return 0;
}

static int check_format(int version, struct err *e)
{
	if (version <= LEDGER_FORMAT)
		return 0;
	err_set(e, ERR_REFUSED,
		"the ledger in the target (schema neonferry) has format %d; this neonferry knows "
		"up to %d",
		version, LEDGER_FORMAT);
	return err_hint(e, "use the newer neonferry that wrote it, or remove its runs with that");
}

static int create_schema(struct pg *pg, struct err *e)
{
	AUTO(free) char *there = NULL;

	/* Looked up first: IF NOT EXISTS asks for the right to create before it looks. */
	if (pg_value(pg, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'neonferry'",
		     &there, e) < 0)
		return -1;
	if (!there && pg_exec(pg, "CREATE SCHEMA neonferry", e) < 0) {
		e->hint[0] = '\0'; /* the general one for 42501 says less */
		err_hint(e,
			 "the role needs CREATE on the target database: GRANT CREATE ON DATABASE "
			 "... TO ...");
		return -1;
	}
	return 0;
}

static int create_all(struct pg *pg, struct err *e)
{
	int version;

	if (pg_exec(pg, LEDGER_LOCK, e) < 0 || create_schema(pg, e) < 0 ||
	    read_format(pg, &version, e) < 0 || check_format(version, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(ledger_tables); i++) {
		if (pg_exec(pg, ledger_tables[i], e) < 0)
			return -1;
	}
	if (version < LEDGER_FORMAT &&
	    pg_execf(pg, e, "INSERT INTO neonferry.format VALUES (%d)", LEDGER_FORMAT) < 0)
		return -1;
	return 0;
}

int ledger_install(struct pg *pg, struct err *e)
{
	int version;

	if (read_format(pg, &version, e) < 0 || check_format(version, e) < 0)
		return err_note(e, "looking for the ledger");
	if (version == LEDGER_FORMAT)
		return 0;
	if (pg_begin(pg, "", e) < 0)
		return err_note(e, "making the ledger");
	if (pg_exec(pg, "SET LOCAL client_min_messages = warning", e) < 0 ||
	    create_all(pg, e) < 0 || pg_commit(pg, e) < 0) {
		pg_rollback(pg);
		return err_note(e, "making the ledger (schema neonferry) in the target");
	}
	return 0;
}

/* --- runs --- */

int ledger_begin(struct pg *pg, const char *run, const char *tool, const json_t *detail,
		 struct err *e)
{
	AUTO(free) char *json = NULL;
	PGresult *res = NULL;

	if (check_name(run, e) < 0)
		return -1;
	json = detail ? json_dumps(detail, JSON_COMPACT) : NULL;
	if (detail && !json)
		return err_nomem(e);
	if (pg_query_params(
		    pg,
		    "INSERT INTO neonferry.run (run, generation, state, tool, detail, source)"
		    " VALUES ($1, 1, 'running', $2, $3::jsonb, $3::jsonb ->> 'source')",
		    3, (const char *const[]){ run, tool, json }, &res, e) < 0) {
		if (strcmp(e->sqlstate, "23505") != 0)
			return err_note(e, "registering the run in the ledger");
		*e = ERR_INIT;
		err_set(e, ERR_USAGE, "the target already has a run named \"%s\"", run);
		return err_hint(e, "resume it, or remove it with abort or forget");
	}
	PQclear(res);
	return 0;
}

/* Asks the backends of earlier copiers to end; *ret_left is how many are still there. */
static int end_backends(struct pg *pg, const char *run, int *ret_left, struct err *e)
{
	PGresult *res = NULL;

	if (pg_query_params(
		    pg,
		    "SELECT pg_catalog.pg_terminate_backend(pid)"
		    " FROM pg_catalog.pg_stat_activity"
		    " WHERE usename = current_user AND pid <> pg_catalog.pg_backend_pid()"
		    " AND datname = pg_catalog.current_database()" /* the source may be beside it */
		    " AND (application_name = 'neonferry ' || $1"
		    " OR pg_catalog.starts_with(application_name, 'neonferry ' || $1 || ' '))",
		    1, &run, &res, e) < 0)
		return -1;
	*ret_left = PQntuples(res);
	PQclear(res);
	return 0;
}

static int end_all_backends(struct pg *pg, const char *run, struct err *e)
{
	uint64_t deadline = clock_deadline(LEDGER_END_MS);
	int left = 0;

	do {
		if (end_backends(pg, run, &left, e) < 0)
			return -1;
		if (left && pg_exec(pg, "SELECT pg_catalog.pg_sleep(0.1)", e) < 0)
			return -1;
	} while (left && clock_left(deadline) > 0);
	return 0;
}

static int unknown_run(const char *run, struct err *e)
{
	err_set(e, ERR_RESUME, "the target's ledger does not know the run \"%s\"", run);
	return err_hint(e, "check that this is the same target; an aborted run cannot be resumed");
}

int ledger_take_over(struct pg *pg, const char *run, int64_t *ret_generation, struct err *e)
{
	int version;
	PGresult *res = NULL;

	if (check_name(run, e) < 0)
		return -1;
	if (read_format(pg, &version, e) < 0 || check_format(version, e) < 0)
		return err_note(e, "looking for the ledger");
	if (version == 0)
		return unknown_run(run, e);
	if (end_all_backends(pg, run, e) < 0 ||
	    pg_query_params(pg,
			    "UPDATE neonferry.run SET generation = generation + 1 WHERE run = $1"
			    " RETURNING generation",
			    1, &run, &res, e) < 0)
		return err_note(e, "taking over the run %s", run);
	if (PQntuples(res) != 1) {
		PQclear(res);
		return unknown_run(run, e);
	}
	*ret_generation = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	return 0;
}

static int stale(struct err *e)
{
	*e = ERR_INIT;
	err_set(e, ERR_RESUME, "this run was taken over or removed by another neonferry");
	return err_hint(e, "let the other one finish; status shows it");
}

int ledger_set_state(struct pg *pg, const char *run, int64_t generation, const char *state,
		     struct err *e)
{
	char number[24];
	PGresult *res = NULL;

	snprintf(number, sizeof number, "%lld", (long long)generation);
	if (pg_query_params(pg,
			    "UPDATE neonferry.run SET state = $3, ended = CASE WHEN $3 IN"
			    " ('done', 'aborted') THEN clock_timestamp() END"
			    " WHERE run = $1 AND generation = $2::bigint RETURNING 1",
			    3, (const char *const[]){ run, number, state }, &res, e) < 0)
		return err_note(e, "setting the state of the run in the ledger");
	bool found = PQntuples(res) == 1;
	PQclear(res);
	return found ? 0 : stale(e);
}

void ledger_fence(struct text *sql, const char *run, int64_t generation)
{
	text_add(sql, "(SELECT generation FROM neonferry.run WHERE run = ");
	text_add_literal(sql, run);
	text_addf(sql, " AND generation = %lld FOR SHARE)", (long long)generation);
}

int ledger_check_fence(struct pg *target, const char *run, int64_t generation, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(free) char *found = NULL;

	text_add(&sql, "SELECT ");
	ledger_fence(&sql, run, generation);
	if (text_check(&sql, e) < 0 || pg_value(target, text_str(&sql), &found, e) < 0)
		return -1;
	return found ? 0 : stale(e);
}

int ledger_explain(struct err *e)
{
	if (strcmp(e->sqlstate, "23502") == 0 && strstr(e->text, "\"generation\""))
		return stale(e);
	return -1;
}

/* --- reading --- */

/* OIDs of the types that the ledger uses, as pg_type.dat has them. */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT4 = 23, OID_JSONB = 3802 };

static json_t *cell(const PGresult *res, int row, int column)
{
	const char *s = PQgetvalue(res, row, column);

	if (PQgetisnull(res, row, column))
		return json_null();
	switch (PQftype(res, column)) {
	case OID_BOOL:
		return json_boolean(*s == 't');
	case OID_INT4:
	case OID_INT8:
		return json_integer(strtoll(s, NULL, 10));
	case OID_JSONB:
		return json_loads(s, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	default: /* numeric too: 128-bit sums do not fit a JSON number */
		return json_string(s);
	}
}

static json_t *rows_json(const PGresult *res)
{
	json_t *rows = json_array();

	for (int i = 0; rows && i < PQntuples(res); i++) {
		json_t *row = json_object();
		int bad = !row;

		for (int c = 0; !bad && c < PQnfields(res); c++)
			bad = json_object_set_new(row, PQfname(res, c), cell(res, i, c)) < 0;
		if (bad)
			json_decref(row);
		if (bad || json_array_append_new(rows, row) < 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}

static const char *order_of(const char *table)
{
	for (size_t i = 0; i < ARRAY_LEN(ledger_parts); i++) {
		if (strcmp(ledger_parts[i].name, table) == 0)
			return ledger_parts[i].order;
	}
	return NULL;
}

int ledger_rows(struct pg *pg, const char *run, const char *table, json_t **ret, struct err *e)
{
	char sql[160];
	int version;
	PGresult *res = NULL;
	const char *order = order_of(table);

	if (!order)
		return err_set(e, ERR_INTERNAL, "the ledger has no table \"%s\"", table);
	if (read_format(pg, &version, e) < 0 || check_format(version, e) < 0)
		return err_note(e, "reading the ledger");
	if (version == 0)
		return unknown_run(run, e);
	snprintf(sql, sizeof sql, "SELECT * FROM neonferry.%s WHERE run = $1 ORDER BY %s", table,
		 order);
	if (pg_query_params(pg, sql, 1, &run, &res, e) < 0)
		return err_note(e, "reading the ledger");
	json_t *rows = rows_json(res);
	PQclear(res);
	if (!rows)
		return err_nomem(e);
	*ret = rows;
	return 0;
}

/* --- forgetting --- */

static int drop_ledger(struct pg *pg, struct err *e)
{
	AUTO(free) char *others = NULL;

	if (pg_exec(pg,
		    "DROP TABLE neonferry.chunk, neonferry.object, neonferry.set_aside,"
		    " neonferry.relation, neonferry.run, neonferry.format",
		    e) < 0)
		return -1;
	if (pg_value(pg,
		     "SELECT 1 FROM pg_catalog.pg_depend WHERE refclassid ="
		     " 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid ="
		     " 'neonferry'::pg_catalog.regnamespace LIMIT 1",
		     &others, e) < 0)
		return -1;
	return others ? 0 : pg_exec(pg, "DROP SCHEMA neonferry", e);
}

static int forget_rows(struct pg *pg, const char *run, struct err *e)
{
	AUTO(free) char *left = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	for (size_t i = 0; i < ARRAY_LEN(ledger_parts); i++) {
		text_addf(&sql, "DELETE FROM neonferry.%s WHERE run = ", ledger_parts[i].name);
		text_add_literal(&sql, run);
		text_add(&sql, ";");
	}
	if (text_check(&sql, e) < 0 || pg_exec(pg, LEDGER_LOCK, e) < 0 ||
	    pg_exec(pg, text_str(&sql), e) < 0 ||
	    pg_value(pg, "SELECT 1 FROM neonferry.run LIMIT 1", &left, e) < 0)
		return -1;
	return left ? 0 : drop_ledger(pg, e);
}

int ledger_forget(struct pg *pg, const char *run, struct err *e)
{
	int version;

	if (check_name(run, e) < 0)
		return -1;
	if (read_format(pg, &version, e) < 0 || check_format(version, e) < 0)
		return err_note(e, "looking for the ledger");
	if (version == 0)
		return 0;
	if (pg_begin(pg, "", e) < 0)
		return err_note(e, "removing the run from the ledger");
	if (forget_rows(pg, run, e) < 0 || pg_commit(pg, e) < 0) {
		pg_rollback(pg);
		return err_note(e, "removing the run %s from the ledger", run);
	}
	return 0;
}
