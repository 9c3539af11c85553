/*
 * What was set aside is put back as if it were an archive: the same steps, the same ledger rows, in
 * a section of its own.
 */
#include "schema/ddl_post.h"

#include <string.h>

struct restoring {
	const struct ddl *d;
	struct archive *archive;
};

static char *copy_member(const json_t *detail, const char *name)
{
	const char *s = json_string_value(json_object_get(detail, name));

	return strdup(s ? s : "");
}

/* The entry of the table; made where it is the first of its table. Its index, or -1. */
static int find_table(struct archive *a, const char *schema, const char *table)
{
	for (int i = a->n_entries; i-- > 0;) {
		const struct archive_entry *entry = &a->entries[i];
		if (entry->section == ARCHIVE_PRE_DATA && strcmp(entry->schema, schema) == 0 &&
		    strcmp(entry->tag, table) == 0)
			return i;
	}
	a->entries[a->n_entries] = (struct archive_entry){
		.dump_id = -a->n_entries - 1,
		.type = strdup("TABLE"),
		.schema = strdup(schema),
		.tag = strdup(table),
		.sql = strdup(""),
		.section = ARCHIVE_PRE_DATA,
		.parent = -1,
	};
	return a->n_entries++;
}

static void add_row(struct archive *a, int seq, const json_t *detail)
{
	struct archive_entry entry = {
		.dump_id = seq,
		.type = copy_member(detail, "type"),
		.schema = copy_member(detail, "schema"),
		.table = copy_member(detail, "table"),
		.tag = copy_member(detail, "tag"),
		.sql = copy_member(detail, "sql"),
		.section = ARCHIVE_POST_DATA,
	};

	entry.parent = entry.schema && entry.table ? find_table(a, entry.schema, entry.table) : -1;
	a->entries[a->n_entries++] = entry;
}

/* Rows of the ledger that hold something to restore, also those that are restored already. */
static int load_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct restoring *r = ctx;
	AUTO(pgresult) PGresult *res = NULL;
	AUTO(archive) struct archive *a = calloc(1, sizeof *a);
	PGresult *found = NULL;

	if (pg_query_params(s->pg,
			    "SELECT seq, detail FROM neonferry.set_aside WHERE run = $1"
			    " AND NOT detail ? 'kept' ORDER BY seq",
			    1, &r->d->run, &found, e) < 0)
		return err_note(e, "reading the ledger");
	res = found;
	size_t n = (size_t)PQntuples(res);
	if (!a || !(a->entries = calloc(2 * n + 1, sizeof *a->entries)))
		return err_nomem(e);
	for (int i = 0; i < PQntuples(res); i++) {
		json_t *detail = json_loads(PQgetvalue(res, i, 1), 0, NULL);
		if (!detail)
			return err_nomem(e);
		add_row(a, atoi(PQgetvalue(res, i, 0)), detail);
		json_decref(detail);
	}
	if (archive_sort_ids(a, e) < 0)
		return -1;
	archive_free(r->archive);
	r->archive = GIVE(&a);
	return 0;
}

int ddl_aside_archive(const struct ddl *d, struct archive **ret, struct err *e)
{
	struct ddl_session s;
	struct restoring r = { .d = d };

	ddl_session_init(&s, d, d->stop, "ddl", NULL);
	int rc = ddl_session_do(&s, load_work, &r, e);
	ddl_session_done(&s);
	*ret = r.archive;
	return rc;
}

int ddl_restore_aside(const struct ddl *d, struct err *e)
{
	AUTO(archive) struct archive *a = NULL;
	int rc = ddl_aside_archive(d, &a, e);

	if (rc == 0 && a->n_entries > 0) {
		struct ddl_post p = { .d = d, .archive = a, .aside = true };
		rc = ddl_post_run(&p, e);
	}
	return rc < 0 ? err_note(e, "putting back what was set aside") : 0;
}
