#include "schema/history_other.h"

#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

/* How a tool's table is known: its name, and columns that it must have (space-separated). */
static const struct tool {
	const char *table, *columns, *name;
	const char *latest; /* SQL over the table t, or NULL */
} tools[] = {
	{ "_sqlx_migrations", "version checksum", "sqlx",
	  "SELECT pg_catalog.max(t.version)::pg_catalog.text" },
	{ "_prisma_migrations", "migration_name checksum finished_at", "Prisma",
	  "SELECT pg_catalog.max(t.migration_name COLLATE \"C\")" },
	{ "__drizzle_migrations", "hash created_at", "Drizzle",
	  "SELECT pg_catalog.max(t.id)::pg_catalog.text" },
	{ "alembic_version", "version_num", "Alembic", "SELECT pg_catalog.max(t.version_num)" },
	{ "flyway_schema_history", "installed_rank version script", "Flyway",
	  "SELECT (pg_catalog.array_agg(t.version ORDER BY t.installed_rank DESC))[1]" },
	{ "databasechangelog", "id author filename", "Liquibase",
	  "SELECT (pg_catalog.array_agg(t.id ORDER BY t.orderexecuted DESC))[1]" },
	{ "knex_migrations", "name batch", "Knex", "SELECT pg_catalog.max(t.name)" },
	{ "django_migrations", "app name applied", "Django", NULL },
	{ "goose_db_version", "version_id is_applied", "goose",
	  "SELECT pg_catalog.max(t.version_id)::pg_catalog.text" },
	{ "schema_migrations", "version dirty", "golang-migrate",
	  "SELECT pg_catalog.max(t.version)::pg_catalog.text" },
	/* Rails and dbmate have the version alone; ours has four columns more. */
	{ "schema_migrations", "version", "Rails or dbmate",
	  "SELECT pg_catalog.max(t.version::pg_catalog.text COLLATE \"C\")" },
	{ "schema_migrations", "", "another tool", NULL },
};

/* Where a tool's table has the column: which entries were applied to their end. */
static const struct {
	const char *tool, *column, *done;
} done_rules[] = {
	{ "sqlx", "success", "t.success" },
	{ "Prisma", "finished_at", "t.finished_at IS NOT NULL" },
	{ "Flyway", "success", "t.success" },
	{ "golang-migrate", "dirty", "NOT t.dirty" },
};

/* Every candidate with its columns, ours excluded by the caller. */
static const char candidates[] =
	"SELECT n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname),"
	" (SELECT pg_catalog.string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a"
	" WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),"
	" pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
	" AND pg_catalog.has_table_privilege(c.oid, 'SELECT')"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND c.relname = ANY ($1)"
	" ORDER BY 1, 2";

static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *p = list; *p; p += strcspn(p, " "), p += *p == ' ')
		if (strcspn(p, " ") == len && strncmp(p, word, len) == 0)
			return true;
	return false;
}

static bool has_all(const char *columns, const char *wanted)
{
	while (*wanted) {
		size_t len = strcspn(wanted, " ");
		if (!has_word(columns, wanted, len))
			return false;
		wanted += len;
		wanted += *wanted == ' ';
	}
	return true;
}

static const struct tool *tool_of(const char *table, const char *columns)
{
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		if (strcmp(tools[i].table, table) == 0 && has_all(columns, tools[i].columns))
			return &tools[i];
	return NULL;
}

static const char *done_of(const struct tool *tool, const char *columns)
{
	for (size_t i = 0; i < ARRAY_LEN(done_rules); i++)
		if (strcmp(done_rules[i].tool, tool->name) == 0 &&
		    has_all(columns, done_rules[i].column))
			return done_rules[i].done;
	return "true";
}

static int read_one(struct pg *pg, const struct tool *tool, const char *qname, const char *columns,
		    struct history_other *ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	const char *done = done_of(tool, columns);

	if (pg_queryf(pg, &res, e,
		      "SELECT pg_catalog.count(*) FILTER (WHERE %s), pg_catalog.count(*) FROM %s t",
		      done, qname))
		return -1;
	ret->rows = query_int(res, 0, 0);
	ret->failed = query_int(res, 0, 1) - ret->rows;
	if (!tool->latest)
		return 0;
	return pg_valuef(pg, &ret->latest, e, "%s FROM %s t WHERE %s", tool->latest, qname, done);
}

static int add_other(struct history *h, struct pg *pg, const PGresult *res, int row, struct err *e)
{
	const char *table = query_text(res, row, 2);
	const struct tool *tool = tool_of(query_text(res, row, 1), query_text(res, row, 3));

	if (!tool || strcmp(table, h->label) == 0)
		return 0;
	if (strcmp(tool->columns, "") == 0 &&
	    has_all(query_text(res, row, 3), "version applied_at description checksum execution_ms"))
		return 0; /* ours, of another runner's --history-table */
	struct history_other *o = &h->others[h->n_others];
	*o = (struct history_other){ .tool = tool->name, .table = strdup(table), .rows = -1 };
	h->n_others++;
	if (!o->table)
		return err_nomem(e);
	return query_bool(res, row, 4) ? read_one(pg, tool, table, query_text(res, row, 3), o, e)
				       : 0;
}

int history_read_others(struct history *h, struct pg *pg, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text names = TEXT_INIT;

	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		text_addf(&names, "%s%s", i ? "," : "{", tools[i].table);
	text_add(&names, "}");
	const char *value = text_str(&names);
	if (pg_query_params(pg, candidates, 1, &value, &res, e))
		return -1;
	h->others = calloc((size_t)PQntuples(res) + 1, sizeof(*h->others));
	if (!h->others)
		return err_nomem(e);
	for (int i = 0; i < PQntuples(res); i++)
		if (add_other(h, pg, res, i, e))
			return -1;
	return 0;
}
