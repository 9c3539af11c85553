#include "schema/ddl_session.h"

#include <string.h>

/* One sequence of either end. Strings belong to the result of the listing query. */
struct seq {
	const char *schema, *name;
	long long increment, start;
	bool may; /* read it in the source, set it in the target */
	bool may_read;
	long long last;
	bool called;
};

struct seqs {
	PGresult *res; /* holds the strings */
	struct seq *list;
	int n;
};

static void seqs_done(struct seqs *all)
{
	PQclear(all->res);
	free(all->list);
	*all = (struct seqs){ 0 };
}

static const char list_sql[] =
	"SELECT n.nspname, c.relname, s.seqincrement, s.seqstart,"
	" pg_catalog.has_sequence_privilege(c.oid, '%s'),"
	" pg_catalog.has_sequence_privilege(c.oid, 'SELECT')"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid"
	" WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog',"
	" 'information_schema', 'neonferry', 'neon', 'neon_migration') AND NOT EXISTS (SELECT 1"
	" FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
	" AND d.objid = c.oid AND d.deptype = 'e')"
	" ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

static int list_all(struct pg *pg, const char *privilege, struct seqs *ret, struct err *e)
{
	struct seqs all = { 0 };

	if (pg_queryf(pg, &all.res, e, list_sql, privilege) < 0)
		return err_note(e, "listing sequences");
	all.n = PQntuples(all.res);
	all.list = calloc((size_t)all.n + 1, sizeof *all.list);
	if (!all.list) {
		seqs_done(&all);
		return err_nomem(e);
	}
	for (int i = 0; i < all.n; i++) {
		all.list[i] = (struct seq){
			.schema = PQgetvalue(all.res, i, 0),
			.name = PQgetvalue(all.res, i, 1),
			.increment = strtoll(PQgetvalue(all.res, i, 2), NULL, 10),
			.start = strtoll(PQgetvalue(all.res, i, 3), NULL, 10),
			.may = *PQgetvalue(all.res, i, 4) == 't',
			.may_read = *PQgetvalue(all.res, i, 5) == 't',
		};
	}
	*ret = all;
	return 0;
}

/* Reads the values of up to DDL_BATCH sequences from `from` on in one query. */
static int read_some(struct pg *pg, struct seqs *all, int from, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;
	int n = 0;

	for (int i = from; i < all->n && i < from + DDL_BATCH; i++) {
		if (!all->list[i].may_read)
			continue;
		text_addf(&sql, "%sSELECT %d, last_value, is_called FROM ",
			  n++ ? " UNION ALL " : "", i);
		text_add_qname(&sql, all->list[i].schema, all->list[i].name);
	}
	if (n == 0)
		return 0;
	if (text_check(&sql, e) < 0 || pg_query(pg, text_str(&sql), &res, e) < 0)
		return err_note(e, "reading the values of sequences");
	for (int r = 0; r < PQntuples(res); r++) {
		struct seq *s = &all->list[atoi(PQgetvalue(res, r, 0))];
		s->last = strtoll(PQgetvalue(res, r, 1), NULL, 10);
		s->called = *PQgetvalue(res, r, 2) == 't';
	}
	return 0;
}

/* Up to ten names of those that may not be touched; their number. */
static int name_forbidden(const struct seqs *all, const bool *wanted, struct text *names)
{
	int n = 0;

	for (int i = 0; i < all->n; i++) {
		if (all->list[i].may || (wanted && !wanted[i]))
			continue;
		if (n++ < 10)
			text_addf(names, "%s%s.%s", n > 1 ? ", " : "", all->list[i].schema,
				  all->list[i].name);
	}
	if (n > 10)
		text_add(names, ", ...");
	return n;
}

static json_t *to_json(const struct seqs *all)
{
	json_t *list = json_array();

	for (int i = 0; list && i < all->n; i++) {
		const struct seq *s = &all->list[i];
		json_t *item =
			json_pack("{s:s, s:s, s:I, s:b}", "schema", s->schema, "name", s->name,
				  "last_value", (json_int_t)s->last, "is_called", (int)s->called);
		if (json_array_append_new(list, item) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int ddl_read_sequences(struct pg *source, json_t **ret, struct err *e)
{
	AUTO_TEXT struct text names = TEXT_INIT;
	struct seqs all = { 0 };
	int rc = -1, n;

	if (list_all(source, "SELECT", &all, e) < 0)
		return -1;
	if ((n = name_forbidden(&all, NULL, &names)) > 0) {
		err_set(e, ERR_SOURCE, "the role may not read %d sequences of the source: %s", n,
			text_str(&names));
		err_hint(e, "GRANT SELECT ON SEQUENCE ... TO the role, or use their owner");
		goto out;
	}
	for (int from = 0; from < all.n; from += DDL_BATCH) {
		if (read_some(source, &all, from, e) < 0)
			goto out;
	}
	json_t *list = to_json(&all);
	if (list)
		*ret = list;
	rc = list ? 0 : err_nomem(e);
out:
	seqs_done(&all);
	return rc;
}

/* --- setting --- */

struct setting {
	const struct ddl *d;
	const json_t *values;
	struct ddl_phase *phase;
	bool *wanted; /* per sequence of the target: the source has a value for it */
};

/* Sequences are listed in byte order of schema and name. */
static int find_seq(const struct seqs *all, const char *schema, const char *name)
{
	int low = 0, high = all->n;

	while (low < high) {
		int mid = (low + high) / 2;
		int c = strcmp(schema, all->list[mid].schema);
		if (c == 0)
			c = strcmp(name, all->list[mid].name);
		if (c == 0)
			return mid;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -1;
}

/* A sequence that was in use before the run must never be set back: its numbers are taken. */
static bool is_ahead(const struct seq *s, long long value, bool called)
{
	if (!s->may_read || (!s->called && s->last == s->start))
		return false;
	if (s->last == value)
		return s->called && !called;
	return s->increment > 0 ? s->last > value : s->last < value;
}

static void add_setval(struct text *sql, const struct seq *s, long long value, bool called)
{
	AUTO_TEXT struct text name = TEXT_INIT;

	text_add_qname(&name, s->schema, s->name);
	text_add(sql, "SELECT pg_catalog.setval(");
	text_add_literal(sql, text_str(&name));
	text_addf(sql, "::pg_catalog.regclass, %lld, %s);\n", value, called ? "true" : "false");
}

static void set_one(struct setting *st, struct seqs *all, const json_t *item, struct text *sql)
{
	const char *schema = json_string_value(json_object_get(item, "schema"));
	const char *name = json_string_value(json_object_get(item, "name"));
	long long value = json_integer_value(json_object_get(item, "last_value"));
	bool called = json_is_true(json_object_get(item, "is_called"));
	int i = schema && name ? find_seq(all, schema, name) : -1;

	if (i < 0) {
		event_emit(st->d->events, EVENT_NOTICE, "sequence.absent", NULL,
			   "sequence %s.%s is not in the target: its value is not carried",
			   schema ? schema : "?", name ? name : "?");
		return;
	}
	st->wanted[i] = true;
	if (is_ahead(&all->list[i], value, called))
		event_emit(st->d->events, EVENT_NOTICE, "sequence.kept", NULL,
			   "sequence %s.%s of the target is further (%lld) than the source's"
			   " (%lld): left as it is",
			   schema, name, all->list[i].last, value);
	else if (all->list[i].may)
		add_setval(sql, &all->list[i], value, called);
}

static int set_some(struct setting *st, struct pg *pg, struct seqs *all, size_t from, size_t to,
		    struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_add(&sql, "BEGIN;\n");
	for (size_t i = from; i < to; i++)
		set_one(st, all, json_array_get(st->values, i), &sql);
	text_add(&sql, "COMMIT;");
	if (text_check(&sql, e) < 0)
		return -1;
	if (pg_exec(pg, text_str(&sql), e) < 0) {
		pg_rollback(pg);
		return err_note(e, "setting sequences");
	}
	return 0;
}

static int set_all(struct setting *st, struct ddl_session *s, struct seqs *all, struct err *e)
{
	AUTO_TEXT struct text names = TEXT_INIT;
	size_t total = json_array_size(st->values);

	for (int from = 0; from < all->n; from += DDL_BATCH) {
		if (read_some(s->pg, all, from, e) < 0)
			return -1;
	}
	st->phase->done = 0;
	for (size_t from = 0; from < total; from += DDL_BATCH) {
		size_t to = from + DDL_BATCH < total ? from + DDL_BATCH : total;
		if (ddl_session_check(s, e) < 0 || set_some(st, s->pg, all, from, to, e) < 0)
			return -1;
		ddl_session_progress(s);
		ddl_phase_step(st->phase, (int)(to - from), NULL);
	}
	int n = name_forbidden(all, st->wanted, &names);
	if (n == 0)
		return 0;
	err_set(e, ERR_TARGET, "the role may not set %d sequences of the target: %s", n,
		text_str(&names));
	return err_hint(e, "GRANT UPDATE ON SEQUENCE ... TO the role, or use their owner, then "
			   "resume");
}

static int set_work(struct ddl_session *s, void *ctx, struct err *e)
{
	struct setting *st = ctx;
	struct seqs all = { 0 };

	if (list_all(s->pg, "UPDATE", &all, e) < 0)
		return -1;
	st->wanted = calloc((size_t)all.n + 1, sizeof *st->wanted);
	int rc = st->wanted ? set_all(st, s, &all, e) : err_nomem(e);
	free(st->wanted);
	st->wanted = NULL;
	seqs_done(&all);
	return rc;
}

int ddl_set_sequences(const struct ddl *d, const json_t *values, struct err *e)
{
	struct ddl_session s;
	struct ddl_phase phase;
	struct setting st = { .d = d, .values = values, .phase = &phase };

	ddl_phase_begin(&phase, d, "sequences", (int)json_array_size(values));
	ddl_session_init(&s, d, d->stop, "ddl", NULL);
	int rc = ddl_session_do(&s, set_work, &st, e);
	ddl_session_done(&s);
	ddl_phase_end(&phase);
	return rc;
}
