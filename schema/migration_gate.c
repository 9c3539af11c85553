#include "schema/migration_gate.h"

#include "schema/migration_plan.h"

#include <stdlib.h>
#include <string.h>

#define VERIFIED "neonferry.schema_verified"

static int create(struct pg *pg, struct err *e)
{
	AUTO(free) char *schema = NULL;
	AUTO(free) char *table = NULL;

	if (pg_value(pg, "SELECT pg_catalog.to_regnamespace('neonferry')", &schema, e) ||
	    (!schema && pg_exec(pg, "CREATE SCHEMA neonferry", e)) ||
	    pg_value(pg, "SELECT pg_catalog.to_regclass('" VERIFIED "')", &table, e))
		return -1;
	if (table)
		return 0;
	return pg_exec(pg, "CREATE TABLE " VERIFIED " (history text PRIMARY KEY, state text NOT NULL,"
			   " passed_at timestamptz NOT NULL DEFAULT pg_catalog.now())", e);
}

/* What the history says, in one value: it changes with everything that is applied or undone. */
static int read_state(struct pg *pg, const struct history *h, char **ret, struct err *e)
{
	return pg_valuef(pg, ret, e, "SELECT pg_catalog.md5(pg_catalog.string_agg(version || ' ' ||"
				     " coalesce(checksum, '') || ' ' || applied_at, ',' ORDER BY version COLLATE"
				     " \"C\")) FROM %s", h->qname);
}

int migration_gate_pass(struct pg *pg, const struct history *h, struct err *e)
{
	AUTO(free) char *state = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (!h->exists || h->n == 0)
		return 0;
	if (create(pg, e) || read_state(pg, h, &state, e))
		return err_note(e, "remembering that the verify has passed");
	text_add(&sql, "INSERT INTO " VERIFIED " (history, state) VALUES (");
	text_add_literal(&sql, h->label);
	text_addf(&sql, ", '%s') ON CONFLICT (history) DO UPDATE SET state = excluded.state,"
			" passed_at = pg_catalog.now()", state ? state : "");
	return text_check(&sql, e) ? -1 : pg_exec(pg, text_str(&sql), e);
}

static int refuse(struct err *e, const char *hint)
{
	return err_hint(e, "%s", hint);
}

static int check_migrations(const struct migration_folder *f, const struct history *h, const char *to,
			    struct err *e)
{
	for (int i = 0; i < f->n; i++) {
		const struct migration *m = &f->list[i];
		const struct history_row *row = history_find(h, m->version);
		if (to && migration_version_compare(m->version, to) > 0)
			continue;
		if (!row)
			err_set(e, ERR_REFUSED, "%s has not been applied to test", m->up.name);
		else if (strcmp(row->checksum, m->up.checksum) != 0)
			err_set(e, ERR_REFUSED, "%s was applied to test with another checksum", m->up.name);
		else
			continue;
		return refuse(e, "First `neonferry schema apply --env test` and `neonferry schema verify --env test`.");
	}
	return 0;
}

static int check_verified(struct pg *test, const struct history *h, struct err *e)
{
	AUTO(free) char *there = NULL;
	AUTO(free) char *state = NULL;
	AUTO(free) char *passed = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	if (pg_value(test, "SELECT pg_catalog.to_regclass('" VERIFIED "')", &there, e))
		return -1;
	text_add(&sql, "SELECT state FROM " VERIFIED " WHERE history = ");
	text_add_literal(&sql, h->label);
	if (there && (text_check(&sql, e) || pg_value(test, text_str(&sql), &passed, e) ||
		      read_state(test, h, &state, e)))
		return -1;
	if (passed && state && strcmp(passed, state) == 0)
		return 0;
	err_set(e, ERR_REFUSED, passed ? "test was changed since its last passed verify"
				       : "test has no passed verify");
	return refuse(e, "First `neonferry schema verify --env test`.");
}

int migration_gate_check(struct pg *test, const struct migration_folder *f, const char *history_table,
			 const char *to, struct err *e)
{
	AUTO(history) struct history *h = NULL;
	AUTO_MIGRATION_PLAN struct migration_plan p = { 0 };

	if (history_read(&h, test, history_table, e))
		return err_note(e, "looking at test");
	if (migration_plan_make(&p, f, h, e) || (to && migration_plan_check_version(&p, to, e)))
		return -1;
	return check_migrations(f, h, to, e) || check_verified(test, h, e) ? -1 : 0;
}
