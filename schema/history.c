#include "schema/history.h"

#include "schema/history_other.h"
#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

#define TABLE "schema_migrations"
#define COLUMNS "version applied_at description checksum execution_ms"
#define PROGRESS "neonferry.schema_progress"

static char *copy(const PGresult *res, int row, int column)
{
	const char *s = query_text(res, row, column);

	return s ? strdup(s) : NULL;
}

/* --- where ours is --- */

/* 1: a table with our columns; 0: there is none; 2: a table of another shape. -1 on error. */
static int shape_of(struct pg *pg, const char *schema, const char *name, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	const char *values[] = { schema, name };

	if (pg_query_params(pg,
			    "SELECT pg_catalog.count(*) FILTER (WHERE a.attname = ANY"
			    " (pg_catalog.string_to_array('" COLUMNS "', ' ')))"
			    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
			    " ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_attribute a"
			    " ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
			    " WHERE n.nspname = $1 AND c.relname = $2 GROUP BY c.oid", 2, values, &res, e))
		return -1;
	if (PQntuples(res) == 0)
		return 0;
	return query_int(res, 0, 0) == 5 ? 1 : 2;
}

static int set_names(struct history *h, const char *schema, const char *name, struct err *e)
{
	AUTO_TEXT struct text qname = TEXT_INIT;
	AUTO_TEXT struct text label = TEXT_INIT;

	text_add_qname(&qname, schema, name);
	text_addf(&label, "%s.%s", schema, name);
	h->qname = text_take(&qname, e);
	h->label = h->qname ? text_take(&label, e) : NULL;
	return h->label ? 0 : -1;
}

static int use(struct history *h, const char *schema, const char *name, int shape, struct err *e)
{
	h->exists = shape == 1;
	return set_names(h, schema, name, e);
}

static int use_given(struct history *h, struct pg *pg, const char *table, struct err *e)
{
	const char *dot = strchr(table, '.');
	AUTO(free) char *schema = dot ? strndup(table, (size_t)(dot - table)) : strdup("public");

	if (!schema)
		return err_nomem(e);
	int shape = shape_of(pg, schema, dot ? dot + 1 : table, e);
	if (shape < 0)
		return -1;
	if (shape == 2) {
		err_set(e, ERR_USAGE, "the table %s has not the columns of a history: " COLUMNS, table);
		return err_hint(e, "Name another one with --history-table, or leave it out.");
	}
	return use(h, schema, dot ? dot + 1 : table, shape, e);
}

static int find_table(struct history *h, struct pg *pg, const char *table, struct err *e)
{
	if (table)
		return use_given(h, pg, table, e);
	int moved = shape_of(pg, "neonferry", TABLE, e);
	int usual = moved < 0 ? -1 : shape_of(pg, "public", TABLE, e);
	if (usual < 0)
		return -1;
	if (moved == 1 || usual == 2)
		return use(h, "neonferry", TABLE, moved, e);
	return use(h, "public", TABLE, usual, e);
}

/* --- reading --- */

static int by_version(const void *a, const void *b)
{
	return migration_version_compare(((const struct history_row *)a)->version,
					 ((const struct history_row *)b)->version);
}

static int read_rows(struct history *h, struct pg *pg, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	if (!h->exists)
		return 0;
	if (pg_queryf(pg, &res, e, "SELECT version, description, coalesce(checksum, ''),"
				   " pg_catalog.date_trunc('second', applied_at),"
				   " coalesce(execution_ms, 0) FROM %s", h->qname))
		return -1;
	h->rows = calloc((size_t)PQntuples(res) + 1, sizeof(*h->rows));
	if (!h->rows)
		return err_nomem(e);
	for (int i = 0; i < PQntuples(res); i++) {
		struct history_row *r = &h->rows[h->n++];
		*r = (struct history_row){ copy(res, i, 0), copy(res, i, 1), copy(res, i, 2),
					   copy(res, i, 3), query_int(res, i, 4) };
		if (!r->version || !r->checksum)
			return err_nomem(e);
	}
	if (h->n)
		qsort(h->rows, (size_t)h->n, sizeof(*h->rows), by_version);
	return 0;
}

static int read_progress(struct history *h, struct pg *pg, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	int shape = shape_of(pg, "neonferry", "schema_progress", e);

	if (shape <= 0)
		return shape;
	if (pg_query_params(pg, "SELECT version, checksum, statement, rounds, rows,"
				" pg_catalog.date_trunc('second', updated_at), error FROM " PROGRESS
				" WHERE history = $1 ORDER BY version", 1,
			    (const char *const *)&h->label, &res, e))
		return -1;
	h->progress = calloc((size_t)PQntuples(res) + 1, sizeof(*h->progress));
	if (!h->progress)
		return err_nomem(e);
	for (int i = 0; i < PQntuples(res); i++) {
		struct history_progress *p = &h->progress[h->n_progress++];
		*p = (struct history_progress){ copy(res, i, 0), copy(res, i, 1),
						(int)query_int(res, i, 2), query_int(res, i, 3),
						query_int(res, i, 4), copy(res, i, 5), copy(res, i, 6) };
		if (!p->version || !p->checksum)
			return err_nomem(e);
	}
	return 0;
}

int history_read(struct history **ret, struct pg *pg, const char *table, struct err *e)
{
	AUTO(history) struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return err_nomem(e);
	if (find_table(h, pg, table, e) || read_rows(h, pg, e) || read_progress(h, pg, e) ||
	    history_read_others(h, pg, e))
		return err_note(e, "reading the history of migrations");
	*ret = GIVE(&h);
	return 0;
}

void history_free(struct history *h)
{
	if (!h)
		return;
	for (int i = 0; i < h->n; i++) {
		free(h->rows[i].version);
		free(h->rows[i].description);
		free(h->rows[i].checksum);
		free(h->rows[i].applied_at);
	}
	for (int i = 0; i < h->n_others; i++) {
		free(h->others[i].table);
		free(h->others[i].latest);
	}
	for (int i = 0; i < h->n_progress; i++) {
		free(h->progress[i].version);
		free(h->progress[i].checksum);
		free(h->progress[i].updated_at);
		free(h->progress[i].error);
	}
	free(h->rows);
	free(h->others);
	free(h->progress);
	free(h->qname);
	free(h->label);
	free(h);
}

const struct history_row *history_find(const struct history *h, const char *version)
{
	for (int i = 0; i < h->n; i++)
		if (migration_version_compare(h->rows[i].version, version) == 0)
			return &h->rows[i];
	return NULL;
}

const struct history_progress *history_find_progress(const struct history *h, const char *version)
{
	for (int i = 0; i < h->n_progress; i++)
		if (migration_version_compare(h->progress[i].version, version) == 0)
			return &h->progress[i];
	return NULL;
}

const char *history_newest(const struct history *h)
{
	return h->n ? h->rows[h->n - 1].version : NULL;
}

/* --- writing --- */

/* CREATE SCHEMA IF NOT EXISTS asks for rights even where it exists. */
static int create_schema(struct pg *pg, struct err *e)
{
	AUTO(free) char *there = NULL;

	if (pg_value(pg, "SELECT pg_catalog.to_regnamespace('neonferry')", &there, e))
		return -1;
	return there ? 0 : pg_exec(pg, "CREATE SCHEMA neonferry", e);
}

static int create_progress(struct pg *pg, struct err *e)
{
	AUTO(free) char *there = NULL;

	if (create_schema(pg, e) || pg_value(pg, "SELECT pg_catalog.to_regclass('" PROGRESS "')", &there, e))
		return -1;
	if (there)
		return 0;
	return pg_exec(pg, "CREATE TABLE " PROGRESS " (history text NOT NULL, version text NOT NULL,"
			   " checksum text NOT NULL, statement integer NOT NULL DEFAULT 0,"
			   " rounds bigint NOT NULL DEFAULT 0, rows bigint NOT NULL DEFAULT 0,"
			   " started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),"
			   " updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(), error text,"
			   " PRIMARY KEY (history, version))", e);
}

int history_create(struct history *h, struct pg *pg, struct err *e)
{
	if (create_progress(pg, e))
		return err_note(e, "making the table " PROGRESS);
	if (h->exists)
		return 0;
	if (pg_execf(pg, e, "CREATE TABLE %s (version text PRIMARY KEY,"
			    " applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),"
			    " description text NOT NULL, checksum text, execution_ms bigint)", h->qname))
		return err_note(e, "making the history table %s", h->label);
	h->exists = true;
	return 0;
}

void history_add_insert(struct text *sql, const struct history *h, const struct migration *m,
			int64_t ms)
{
	text_addf(sql, "INSERT INTO %s (version, description, checksum, execution_ms) VALUES (", h->qname);
	text_add_literal(sql, m->version);
	text_add(sql, ", ");
	text_add_literal(sql, m->description);
	text_addf(sql, ", '%s', %lld);", m->up.checksum, (long long)ms);
}

void history_add_delete(struct text *sql, const struct history *h, const char *version)
{
	text_addf(sql, "DELETE FROM %s WHERE version = ", h->qname);
	text_add_literal(sql, version);
	text_add(sql, ";");
}

void history_add_checksum(struct text *sql, const struct history *h, const char *version,
			  const char *checksum)
{
	text_addf(sql, "UPDATE %s SET checksum = '%s' WHERE version = ", h->qname, checksum);
	text_add_literal(sql, version);
	text_add(sql, ";");
}

static void add_where(struct text *sql, const struct history *h, const char *version)
{
	text_add(sql, " WHERE history = ");
	text_add_literal(sql, h->label);
	text_add(sql, " AND version = ");
	text_add_literal(sql, version);
	text_add(sql, ";");
}

void history_add_begin(struct text *sql, const struct history *h, const char *version,
		       const char *checksum)
{
	text_add(sql, "INSERT INTO " PROGRESS " (history, version, checksum) VALUES (");
	text_add_literal(sql, h->label);
	text_add(sql, ", ");
	text_add_literal(sql, version);
	text_addf(sql, ", '%s') ON CONFLICT (history, version) DO NOTHING;", checksum);
}

void history_add_step(struct text *sql, const struct history *h, const char *version, int statement)
{
	text_addf(sql, "UPDATE " PROGRESS " SET statement = %d, error = NULL,"
		       " updated_at = pg_catalog.clock_timestamp()", statement);
	add_where(sql, h, version);
}

void history_add_round(struct text *sql, const struct history *h, const char *version, int64_t rows)
{
	text_addf(sql, "UPDATE " PROGRESS " SET rounds = rounds + 1, rows = rows + %lld, error = NULL,"
		       " updated_at = pg_catalog.clock_timestamp()", (long long)rows);
	add_where(sql, h, version);
}

void history_add_error(struct text *sql, const struct history *h, const char *version,
		       const char *error)
{
	text_add(sql, "UPDATE " PROGRESS " SET updated_at = pg_catalog.clock_timestamp(), error = ");
	text_add_literal(sql, error);
	add_where(sql, h, version);
}

void history_add_end(struct text *sql, const struct history *h, const char *version)
{
	text_add(sql, "DELETE FROM " PROGRESS);
	add_where(sql, h, version);
}
