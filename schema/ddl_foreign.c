#include "schema/ddl_post.h"

#include "common/clock.h"
#include "schema/sqltext.h"

#include <string.h>

/* How many broken keys are named. */
#define OFFENDERS 10

/* --- the statement --- */

/*
 * Looks for NOT VALID and NOT ENFORCED in what follows pos, for the other table, and for the
 * statement's end.
 */
static bool is_unchecked(const char *pos, struct text *references, const char **ret_end)
{
	struct sqltext_token t;
	bool not_before = false, found = false;
	int depth = 0;

	*ret_end = pos;
	while ((t = sqltext_next(&pos)).kind != SQLTEXT_END) {
		depth += sqltext_is_sign(&t, '(') - sqltext_is_sign(&t, ')');
		if (depth == 0 && sqltext_is_sign(&t, ';'))
			break;
		if (depth == 0 && not_before &&
		    (sqltext_is(&t, "VALID") || sqltext_is(&t, "ENFORCED")))
			found = true;
		not_before = sqltext_is(&t, "NOT");
		if (depth == 0 && references && sqltext_is(&t, "REFERENCES"))
			(void)sqltext_qname(&pos, references);
		*ret_end = t.at + t.len;
	}
	return found;
}

bool ddl_foreign_split(const char *sql, char **ret_add, char **ret_validate,
		       struct text *ret_references)
{
	const char *p = sql, *end;
	AUTO_TEXT struct text table = TEXT_INIT;
	AUTO_TEXT struct text name = TEXT_INIT;
	char *add = NULL, *validate = NULL;

	/* Without ONLY it is a partitioned table, which takes no NOT VALID. */
	if (!sqltext_words(&p, (const char *const[]){ "ALTER", "TABLE", "ONLY", NULL }) ||
	    !sqltext_qname(&p, &table) ||
	    !sqltext_words(&p, (const char *const[]){ "ADD", "CONSTRAINT", NULL }) ||
	    !sqltext_qname(&p, &name) ||
	    !sqltext_words(&p, (const char *const[]){ "FOREIGN", "KEY", NULL }) ||
	    is_unchecked(p, ret_references, &end))
		return false;
	if (asprintf(&add, "%.*s NOT VALID%s", (int)(end - sql), sql, end) < 0)
		return false;
	if (asprintf(&validate, "ALTER TABLE %s VALIDATE CONSTRAINT %s;", text_str(&table),
		     text_str(&name)) < 0) {
		free(add);
		return false;
	}
	*ret_add = add;
	*ret_validate = validate;
	return true;
}

/* --- what breaks it --- */

/* A query that lists the broken keys, written by the server from its catalog. */
static const char offenders_sql[] =
	"SELECT pg_catalog.format('SELECT DISTINCT ROW(%%s)::text FROM ONLY %%s f WHERE %%s AND NOT"
	" EXISTS (SELECT 1 FROM %%s p WHERE %%s) LIMIT %d',"
	" pg_catalog.string_agg(pg_catalog.format('f.%%I', fa.attname), ', ' ORDER BY k.i),"
	" c.conrelid::pg_catalog.regclass,"
	" pg_catalog.string_agg(pg_catalog.format('f.%%I IS NOT NULL', fa.attname), ' AND '),"
	" c.confrelid::pg_catalog.regclass,"
	" pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) f.%%I', pa.attname,"
	" n.nspname, o.oprname, fa.attname), ' AND '))"
	" FROM pg_catalog.pg_constraint c,"
	" LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey),"
	" pg_catalog.unnest(c.conpfeqop)) WITH ORDINALITY AS k(f, p, op, i)"
	" JOIN pg_catalog.pg_attribute fa ON fa.attnum = k.f"
	" JOIN pg_catalog.pg_attribute pa ON pa.attnum = k.p"
	" JOIN pg_catalog.pg_operator o ON o.oid = k.op"
	" JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace"
	" WHERE fa.attrelid = c.conrelid AND pa.attrelid = c.confrelid AND c.contype = 'f' AND (%s)"
	" GROUP BY c.oid, c.conrelid, c.confrelid";

void ddl_foreign_offenders(struct pg *pg, const char *constraint, struct text *ret)
{
	AUTO(free) char *sql = NULL;
	AUTO(pgresult) PGresult *res = NULL;
	struct err ignored = ERR_INIT;

	if (pg_valuef(pg, &sql, &ignored, offenders_sql, OFFENDERS + 1, constraint) < 0 || !sql ||
	    pg_query(pg, sql, &res, &ignored) < 0)
		return;
	for (int i = 0; i < PQntuples(res); i++)
		text_addf(ret, "%s%s", i ? ", " : "",
			  i < OFFENDERS ? PQgetvalue(res, i, 0) : "...");
}

static void name_offenders(struct ddl_session *s, const struct archive_entry *entry, struct err *e)
{
	AUTO_TEXT struct text where = TEXT_INIT;
	AUTO_TEXT struct text keys = TEXT_INIT;
	AUTO_TEXT struct text table = TEXT_INIT;

	text_add_qname(&table, entry->schema, entry->table);
	text_add(&where, "c.conname = ");
	text_add_literal(&where, entry->tag + strlen(entry->table) + 1);
	text_add(&where, " AND c.conrelid = pg_catalog.to_regclass(");
	text_add_literal(&where, text_str(&table));
	text_add(&where, ")");
	ddl_foreign_offenders(s->pg, text_str(&where), &keys);
	if (keys.len > 0)
		err_note(e, "checking the keys %s", text_str(&keys));
	e->hint[0] = '\0';
	err_hint(e, "correct these rows in the source, or drop the foreign key there, then begin "
		    "anew: a run keeps its snapshot (neonferry abort, neonferry run)");
}

/* --- the steps --- */

/*
 * Validating a foreign key leaves the parts of it that belong to the partitions of the other table
 * as not valid (PostgreSQL 15), so one that refers to a partitioned table is added whole.
 */
static bool split(const struct archive_entry *entry, const PGresult *partitioned,
		  struct text *references, char **ret_add, char **ret_validate)
{
	if (!ddl_foreign_split(entry->sql, ret_add, ret_validate, references))
		return false;
	for (int i = 0; i < PQntuples(partitioned); i++) {
		if (strcmp(PQgetvalue(partitioned, i, 0), text_str(references)) != 0)
			continue;
		free(*ret_add);
		free(*ret_validate);
		*ret_add = *ret_validate = NULL;
		return false;
	}
	return true;
}

int ddl_foreign_list_partitioned(struct pg *pg, PGresult **ret, struct err *e)
{
	if (pg_query(pg,
		     "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)"
		     " FROM pg_catalog.pg_class c"
		     " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		     " WHERE c.relkind = 'p'",
		     ret, e) < 0)
		return err_note(e, "listing partitioned tables");
	return 0;
}

/* "public.t" or "public.""T""", as it stands, with all parts quoted. */
static void quote_parts(const char *raw, struct text *ret)
{
	struct sqltext_token t;

	while ((t = sqltext_next(&raw)).kind != SQLTEXT_END) {
		if (t.kind == SQLTEXT_WORD)
			text_add(ret, "\"");
		text_addn(ret, t.at, t.len);
		if (t.kind == SQLTEXT_WORD)
			text_add(ret, "\"");
	}
}

bool ddl_foreign_has_steps(const struct archive_entry *entry, const PGresult *partitioned,
			   struct text *ret_other)
{
	AUTO_TEXT struct text references = TEXT_INIT;
	AUTO(free) char *add = NULL, *validate = NULL;

	if (!split(entry, partitioned, &references, &add, &validate))
		return false;
	quote_parts(text_str(&references), ret_other);
	return true;
}

int ddl_foreign_add(struct ddl_post *p, struct ddl_session *s, const int *entries, int n,
		    struct err *e)
{
	struct ddl_items items = { 0 };
	int rc = 0;

	for (int i = 0; rc == 0 && i < n; i++) {
		char *add = NULL, *validate = NULL;
		if (p->state.outcome[entries[i]] != DDL_PENDING)
			continue;
		(void)ddl_foreign_split(p->archive->entries[entries[i]].sql, &add, &validate, NULL);
		free(validate);
		rc = ddl_state_add(&items, p->d, p->archive, entries[i], ddl_post_section(p),
				   DDL_APPLIED, NULL, add, e);
	}
	if (rc == 0)
		rc = ddl_batch_run(s, &items, p->phase, ddl_post_judge, p, e);
	ddl_items_done(&items);
	return rc;
}

static int validate(struct ddl_post *p, struct ddl_session *s, const struct ddl_item *item,
		    struct err *e)
{
	uint64_t began = clock_ms();

	ddl_phase_step(p->phase, 0, item->label);
	if (ddl_batch_one(s, item, e) == 0) {
		ddl_post_tell_built(p, item->number, clock_ms() - began);
		return 0;
	}
	/* A lost reply: the earlier attempt's claim is there, so it is done. */
	if (strcmp(e->constraint, LEDGER_OBJECT_KEY) == 0) {
		*e = ERR_INIT;
		return 0;
	}
	if (strcmp(e->sqlstate, "23503") == 0)
		name_offenders(s, &p->archive->entries[item->number], e);
	return err_note(e, "validating %s", item->label);
}

int ddl_foreign_validate(struct ddl_post *p, struct ddl_session *s, int entry, struct err *e)
{
	struct ddl_items items = { 0 };
	char *add = NULL, *sql = NULL;

	(void)ddl_foreign_split(p->archive->entries[entry].sql, &add, &sql, NULL);
	free(add);
	int rc = sql ? ddl_state_add(&items, p->d, p->archive, entry,
				     p->aside ? DDL_ASIDE_VALIDATE : DDL_VALIDATE, DDL_APPLIED,
				     NULL, sql, e)
		     : err_nomem(e);
	if (rc == 0)
		rc = validate(p, s, items.list, e);
	ddl_items_done(&items);
	return rc;
}
