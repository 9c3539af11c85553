#include "schema/migration_apply.h"

#include "schema/migration_run.h"
#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

/* --- what is not valid --- */

static const char invalid_sql[] =
	"SELECT pg_catalog.format('index %I.%I is not valid', n.nspname, c.relname) FROM"
	" pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN"
	" pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT (i.indisvalid AND i.indisready)"
	" AND c.relkind = 'i' AND n.nspname !~ '^pg_' ORDER BY 1";

/* The names as one text, a line each; "" where all is well. */
static int read_invalid(struct pg *pg, struct text *ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	if (pg_query(pg, invalid_sql, &res, e))
		return -1;
	for (int i = 0; i < PQntuples(res); i++)
		text_addf(ret, "%s\n", query_text(res, i, 0));
	return text_check(ret, e);
}

/* The first line of `after` that is not in `before`. */
static int check_invalid(const char *before, const char *after, const char *name, struct err *e)
{
	while (*after) {
		size_t len = strcspn(after, "\n");
		AUTO(free) char *line = strndup(after, len + 1);
		if (!line)
			return err_nomem(e);
		if (!strstr(before, line)) {
			line[len] = '\0';
			err_set(e, ERR_TARGET, "%s was applied, but the %s", name, line);
			return err_hint(e, "Look at the rows that it covers; then DROP INDEX and build it again.");
		}
		after += len + 1;
	}
	return 0;
}

static int check_recorded(struct pg *pg, const struct history *h, const struct migration *m,
			  bool expected, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql, "SELECT checksum FROM %s WHERE version = ", h->qname);
	text_add_literal(&sql, m->version);
	if (text_check(&sql, e) || pg_query(pg, text_str(&sql), &res, e))
		return -1;
	bool there = PQntuples(res) == 1;
	if (there == expected &&
	    (!there || strcmp(PQgetvalue(res, 0, 0), m->up.checksum) == 0))
		return 0;
	return err_set(e, ERR_TARGET, "%s: its row in %s is not as it was written", m->up.name, h->label);
}

/* One migration with the look before and after. */
struct step {
	struct migration_session *s;
	const struct history *h;
	const struct migration *m;
	bool down, force;
	int64_t ms;
};

static int do_step(struct step *st, struct err *e)
{
	struct pg *pg = migration_session_pg(st->s);
	AUTO_TEXT struct text before = TEXT_INIT;
	AUTO_TEXT struct text after = TEXT_INIT;
	const char *name = st->down ? st->m->down.name : st->m->up.name;

	event_emit(migration_session_events(st->s), EVENT_INFO, "schema.begin", NULL, "%s", name);
	if (read_invalid(pg, &before, e))
		return -1;
	int failed = st->down ? migration_run_down(st->s, st->h, st->m, st->force, e)
			      : migration_run_up(st->s, st->h, st->m, st->force, &st->ms, e);
	if (failed || check_recorded(pg, st->h, st->m, !st->down, e) || read_invalid(pg, &after, e))
		return -1;
	return check_invalid(text_str(&before), text_str(&after), name, e);
}

static int report(struct step *st, json_t *list, struct err *e)
{
	if (json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "version", st->m->version,
						  "description", st->m->description, "ms",
						  (json_int_t)st->ms)))
		return err_nomem(e);
	event_emit(migration_session_events(st->s), EVENT_INFO, "schema.done", NULL, "%s %s: verified",
		   st->down ? st->m->down.name : st->m->up.name, st->down ? "undone" : "applied");
	return 0;
}

/* --- forwards --- */

int migration_refuse_changed(const struct migration_plan *p, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	for (int i = 0; i < p->n; i++)
		if (p->items[i].state == MIGRATION_CHANGED)
			text_addf(&t, "%s%s", t.len ? ", " : "", p->items[i].migration->up.name);
	if (!t.len)
		return 0;
	err_set(e, ERR_REFUSED, "changed since applied (the checksum differs): %s", text_str(&t));
	return err_hint(e, "Put the file back and write a new migration; or --force takes the file as "
			   "it is now for what was applied.");
}

/* With --force: the checksum of what stands in the folder now. */
static int record_changed(struct migration_session *s, const struct history *h,
			  const struct migration_plan *p, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	for (int i = 0; i < p->n; i++) {
		const struct migration_item *item = &p->items[i];
		if (item->state != MIGRATION_CHANGED && item->state != MIGRATION_UNCHECKED)
			continue;
		history_add_checksum(&sql, h, item->row->version, item->migration->up.checksum);
		event_emit(migration_session_events(s), EVENT_WARNING, "schema.forced", NULL,
			   "%s: the checksum of the file as it is now is recorded", item->migration->up.name);
	}
	if (!sql.len)
		return 0;
	return text_check(&sql, e) ? -1 : pg_exec(migration_session_pg(s), text_str(&sql), e);
}

static void warn(struct migration_session *s, const struct migration_plan *p)
{
	for (int i = 0; i < p->n; i++) {
		const struct migration_item *item = &p->items[i];
		if (item->state == MIGRATION_OUT_OF_ORDER)
			event_emit(migration_session_events(s), EVENT_WARNING, "schema.order", NULL,
				   "%s is out of order: a later one is applied already",
				   item->migration->up.name);
		if (item->state == MIGRATION_HALF_UNDONE)
			event_emit(migration_session_events(s), EVENT_WARNING, "schema.half_undone",
				   NULL,
				   "%s is half rolled back: its down script stopped on the way; "
				   "`neonferry schema rollback` goes on",
				   item->version);
		if (item->state == MIGRATION_MISSING)
			event_emit(migration_session_events(s), EVENT_WARNING, "schema.missing", NULL,
				   "version %s is applied, but its file is not in the folder", item->version);
	}
}

static int apply_one(struct migration_session *s, const struct history *h,
		     const struct migration_item *item, bool force, json_t *list, struct err *e)
{
	struct step st = { .s = s, .h = h, .m = item->migration, .force = force };

	return do_step(&st, e) || report(&st, list, e) ? -1 : 0;
}

static int apply_pending(struct migration_session *s, const struct history *h,
			 const struct migration_plan *p, const struct migration_apply_options *o,
			 json_t *list, struct err *e)
{
	struct stop *stop = migration_session_stop(s);

	for (int i = 0; i < p->n; i++) {
		if (!migration_is_pending(&p->items[i]))
			continue;
		if (o->to && migration_version_compare(p->items[i].version, o->to) > 0)
			continue;
		if (stop && stop_level(stop) != STOP_NO)
			return stop_err(e);
		if (apply_one(s, h, &p->items[i], o->force, list, e))
			return -1;
	}
	return 0;
}

static int apply(struct migration_session *s, struct history *h, const struct migration_folder *f,
		 const struct migration_apply_options *o, json_t *list, struct err *e)
{
	AUTO_MIGRATION_PLAN struct migration_plan p = { 0 };

	if (migration_plan_make(&p, f, h, e) ||
	    (o->to && migration_plan_check_version(&p, o->to, e)) ||
	    (!o->force && migration_refuse_changed(&p, e)))
		return -1;
	warn(s, &p);
	if (migration_plan_pending(&p) == 0 && !o->force)
		return 0;
	if (history_create(h, migration_session_pg(s), e) || (o->force && record_changed(s, h, &p, e)))
		return -1;
	return apply_pending(s, h, &p, o, list, e);
}

int migration_apply(struct migration_session *s, const struct migration_folder *f,
		    const struct migration_apply_options *o, json_t **ret, struct err *e)
{
	AUTO(history) struct history *h = NULL;

	*ret = json_array();
	if (!*ret)
		return err_nomem(e);
	if (history_read(&h, migration_session_pg(s), o->history_table, e))
		return -1;
	return apply(s, h, f, o, *ret, e);
}

/* --- back --- */

static bool is_undone(const struct migration_item *i, const char *version)
{
	return i->row && migration_version_compare(i->version, version) > 0;
}

static int check_down(const struct migration_item *i, struct err *e)
{
	if (!i->migration)
		err_set(e, ERR_REFUSED, "version %s is applied, but its files are not in the folder", i->version);
	else if (!i->migration->down.path)
		err_set(e, ERR_REFUSED, "%s has no down script", i->migration->up.name);
	else
		return 0;
	return err_hint(e, "Nothing was undone. Write the script (%s_....down.sql), or a new migration "
			   "that does the opposite.", i->version);
}

int migration_rollback_list(const struct migration_plan *p, const char *version, json_t **ret,
			    struct err *e)
{
	json_t *list = json_array();
	bool known = migration_version_compare(version, "0") == 0;

	for (int i = p->n - 1; list && i >= 0; i--) {
		const struct migration_item *item = &p->items[i];
		known |= item->row && migration_version_compare(item->version, version) == 0;
		if (!is_undone(item, version))
			continue;
		if (check_down(item, e)) {
			json_decref(list);
			return -1;
		}
		json_array_append_new(list, json_pack("{s:s, s:s?, s:s?, s:s}", "version", item->version,
						      "applied_at", item->row->applied_at, "description",
						      item->description, "down", item->migration->down.name));
	}
	if (!list)
		return err_nomem(e);
	if (!known) {
		json_decref(list);
		err_set(e, ERR_USAGE, "version %s is not applied", version);
		return err_hint(e, "`neonferry schema status` lists the versions; 0 undoes everything.");
	}
	*ret = list;
	return 0;
}

static int roll_back(struct migration_session *s, const struct history *h,
		     const struct migration_plan *p, const char *version, bool force, json_t *list,
		     struct err *e)
{
	struct stop *stop = migration_session_stop(s);

	for (int i = p->n - 1; i >= 0; i--) {
		struct step st = {
			.s = s, .h = h, .m = p->items[i].migration, .down = true, .force = force
		};
		if (!is_undone(&p->items[i], version))
			continue;
		if (stop && stop_level(stop) != STOP_NO)
			return stop_err(e);
		if (do_step(&st, e) || report(&st, list, e))
			return -1;
	}
	return 0;
}

int migration_rollback(struct migration_session *s, const struct migration_folder *f,
		       const char *history_table, const char *version, bool force, json_t **ret,
		       struct err *e)
{
	AUTO(history) struct history *h = NULL;
	AUTO_MIGRATION_PLAN struct migration_plan p = { 0 };
	json_t *checked = NULL;

	*ret = json_array();
	if (!*ret)
		return err_nomem(e);
	if (history_read(&h, migration_session_pg(s), history_table, e) ||
	    migration_plan_make(&p, f, h, e) || migration_rollback_list(&p, version, &checked, e))
		return -1;
	json_decref(checked);
	if (history_create(h, migration_session_pg(s), e)) /* for the progress of down scripts */
		return -1;
	return roll_back(s, h, &p, version, force, *ret, e);
}
