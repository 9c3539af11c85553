#include "cli/endpoints.h"

#include "cli/say.h"
#include "common/file.h"
#include "common/pg.h"

#include <stdio.h>
#include <string.h>

/* The pooled address once more, for the rows. */
static int keep_pooler(struct endpoints *ends, const struct opts *o, const struct conn *c,
		       struct err *e)
{
	if (conn_role(c) != PG_TARGET || !opt_flag(o, OPT_ID_ALLOW_POOLER))
		return 0;
	say_note("target: rows are loaded through the pooler %s", conn_host(c));
	return conn_other_database(&ends->pooler, c, conn_dbname(c), e);
}

/* Says who it is; a pooler's address becomes the direct one. Takes c over in any case. */
static int take_end(struct endpoints *ends, const struct opts *o, struct conn **ret,
		    struct conn *given, struct err *e)
{
	AUTO(conn) struct conn *c = given;
	const char *role = pg_role_name(conn_role(c));

	if (conn_is_pooled(c)) {
		say_note("%s: %s is a pooler; the direct endpoint is used instead", role,
			 conn_host(c));
		if (keep_pooler(ends, o, c, e) || conn_unpool(&c, e))
			return -1;
	}
	bool remembered = strcmp(conn_origin(c), "given") == 0; /* not by option or environment */
	say_note("%s: %s (from %s)", role, conn_label(c),
		 remembered ? "the run folder" : conn_origin(c));
	*ret = GIVE(&c);
	return 0;
}

/* NULL where it is optional and not named: only that is fine, a malformed one never is. */
static int find_end(struct conn **ret, const struct opts *o, enum pg_role role,
		    enum endpoint_need need, bool *ret_ask, struct err *e)
{
	enum opt_id id = role == PG_SOURCE ? OPT_ID_SOURCE : OPT_ID_TARGET;
	struct err why = ERR_INIT;

	if (need == ENDPOINT_NONE || conn_resolve(ret, role, opt_text(o, id), ret_ask, &why) == 0)
		return 0;
	if (need == ENDPOINT_OPTIONAL && !opt_given(o, id) && strstr(why.text, "is given"))
		return 0;
	*e = why;
	return -1;
}

/* Both are found before anything is said. Takes both over in any case. */
static int take_ends(struct endpoints *ends, const struct opts *o, struct conn *source,
		     struct conn *target, struct err *e)
{
	AUTO(conn) struct conn *a = source;
	AUTO(conn) struct conn *b = target;

	if (a && take_end(ends, o, &ends->source, GIVE(&a), e))
		return -1;
	return b ? take_end(ends, o, &ends->target, GIVE(&b), e) : 0;
}

int endpoints_find(struct endpoints *ends, const struct opts *o, enum endpoint_need source,
		   enum endpoint_need target, struct err *e)
{
	AUTO(conn) struct conn *a = NULL;
	AUTO(conn) struct conn *b = NULL;
	bool ask = false;

	*ends = (struct endpoints){ 0 };
	if (find_end(&a, o, PG_SOURCE, source, NULL, e) ||
	    find_end(&b, o, PG_TARGET, target, &ask, e) ||
	    take_ends(ends, o, GIVE(&a), GIVE(&b), e))
		return -1;
	if (!ask)
		return 0;
	if (say_ask(o, e,
		    "The target is %s, from DATABASE_URL, which usually names the old database. "
		    "Is it the new one?",
		    conn_label(ends->target)))
		return 0;
	err_hint(e, "name the target with --target or NEON_DATABASE_URL");
	return -1;
}

/* True where c is the end that the run folder remembers. Takes c over. */
static bool is_remembered(struct conn *c, const char *remembered)
{
	struct err ignored = ERR_INIT;
	AUTO(conn) struct conn *now = c;
	AUTO(conn) struct conn *then = NULL;

	if (conn_unpool(&now, &ignored) || conn_parse(&then, conn_role(now), remembered, &ignored))
		return false;
	return strcmp(conn_label(now), conn_label(then)) == 0;
}

/* The environment may name another database by now, for example after the change-over. */
static int find_again(struct conn **ret, const struct opts *o, enum pg_role role,
		      const char *remembered, struct err *e)
{
	enum opt_id id = role == PG_SOURCE ? OPT_ID_SOURCE : OPT_ID_TARGET;
	struct err ignored = ERR_INIT;
	struct conn *c = NULL;

	if (opt_given(o, id) || !remembered)
		return find_end(ret, o, role, ENDPOINT_NEEDED, NULL, e);
	if (conn_resolve(&c, role, NULL, NULL, &ignored) == 0 && is_remembered(c, remembered))
		return find_end(ret, o, role, ENDPOINT_NEEDED, NULL, e);
	return conn_parse(ret, role, remembered, e);
}

int endpoints_of_run(struct endpoints *ends, const struct opts *o, const char *dir,
		     bool with_source, struct err *e)
{
	AUTO(free) char *path = file_path(dir, "run.json");
	AUTO(conn) struct conn *a = NULL;
	AUTO(conn) struct conn *b = NULL;
	json_t *run = NULL;

	*ends = (struct endpoints){ 0 };
	if (!path)
		return err_nomem(e);
	if (file_read_json(path, &run, e))
		return -1;
	const char *source = json_string_value(json_object_get(run, "source"));
	const char *target = json_string_value(json_object_get(run, "target"));
	int failed = (with_source && find_again(&a, o, PG_SOURCE, source, e)) ||
		     find_again(&b, o, PG_TARGET, target, e);
	json_decref(run);
	return failed ? -1 : take_ends(ends, o, GIVE(&a), GIVE(&b), e);
}

void endpoints_done(struct endpoints *ends)
{
	conn_free(ends->source);
	conn_free(ends->target);
	conn_free(ends->pooler);
	*ends = (struct endpoints){ 0 };
}

bool endpoints_source_answers(const struct endpoints *ends, struct stop *stop, struct err *why)
{
	AUTO(pg) struct pg *pg = NULL;

	return ends->source && pg_open(&pg, ends->source, "source", stop, why) == 0;
}

static int check_collection_columns(const struct opt_value *v, struct err *e)
{
	for (int i = 0; i < v->n_list; i++) {
		const char *equals = strrchr(v->list[i], '=');
		if (equals && equals != v->list[i] && equals[1])
			continue;
		err_set(e, ERR_USAGE, "option --collection-column: \"%s\" is not TABLE=COLUMN",
			v->list[i]);
		return err_hint(e, "for example --collection-column documents=tenant");
	}
	return 0;
}

int endpoints_settings(const struct opts *o, struct run_settings *ret, struct err *e)
{
	const struct opt_value *v = o->values;

	if (check_collection_columns(&v[OPT_ID_COLLECTION_COLUMN], e))
		return -1;
	*ret = (struct run_settings){
		.jobs = (int)opt_number(o, OPT_ID_JOBS),
		.workers = (int)opt_number(o, OPT_ID_WORKERS),
		.senders = (int)opt_number(o, OPT_ID_SENDERS),
		.chunk_size = opt_number(o, OPT_ID_CHUNK_SIZE),
		.memory = opt_number(o, OPT_ID_MEMORY),
		.spill = (enum run_spill)opt_number(o, OPT_ID_SPILL),
		.spill_limit = opt_number(o, OPT_ID_SPILL_LIMIT),
		.snapshot_ttl_ms = opt_number(o, OPT_ID_SNAPSHOT_TTL),
		.existing = (enum run_existing)opt_number(o, OPT_ID_ON_EXISTING),
		.format = (enum run_format)opt_number(o, OPT_ID_FORMAT),
		.schema = !opt_flag(o, OPT_ID_DATA_ONLY),
		.data = !opt_flag(o, OPT_ID_SCHEMA_ONLY),
		.post = true,
		.keep_indexes = opt_flag(o, OPT_ID_KEEP_INDEXES),
		.no_recapture = opt_flag(o, OPT_ID_NO_RECAPTURE),
		.allow_unlogged = opt_flag(o, OPT_ID_ALLOW_UNLOGGED),
		.tables = v[OPT_ID_TABLE].list,
		.n_tables = v[OPT_ID_TABLE].n_list,
		.excluded = v[OPT_ID_EXCLUDE_TABLE].list,
		.n_excluded = v[OPT_ID_EXCLUDE_TABLE].n_list,
		.collections = v[OPT_ID_COLLECTION].list,
		.n_collections = v[OPT_ID_COLLECTION].n_list,
		.collection_columns = v[OPT_ID_COLLECTION_COLUMN].list,
		.n_collection_columns = v[OPT_ID_COLLECTION_COLUMN].n_list,
		.halfvec = v[OPT_ID_HALFVEC].list,
		.n_halfvec = v[OPT_ID_HALFVEC].n_list,
	};
	return 0;
}

static void say_given(const struct opts *o, enum opt_id id)
{
	const struct opt_spec *spec = &opt_table[id];
	const struct opt_value *v = &o->values[id];
	char origin[96];

	opt_origin_text(o, id, origin, sizeof(origin));
	for (int i = 0; i < v->n_list; i++)
		say_note("%s: %s (from %s)", spec->name, v->list[i], origin);
	if (spec->type == OPT_FLAG)
		say_note("%s (from %s)", spec->name, origin);
	else if (v->text)
		say_note("%s: %s (from %s)", spec->name, v->text, origin);
}

void endpoints_say_settings(const struct opts *o)
{
	AUTO_TEXT struct text defaults = TEXT_INIT;

	for (int id = 0; id < OPT_N; id++) {
		const struct opt_spec *spec = &opt_table[id];

		if (spec->group == OPT_GROUP_OUTPUT || spec->type == OPT_SECRET)
			continue;
		if (opt_given(o, (enum opt_id)id))
			say_given(o, (enum opt_id)id);
		else if (o->values[id].text)
			text_addf(&defaults, "%s%s %s", defaults.len ? ", " : "", spec->name,
				  o->values[id].text);
	}
	if (defaults.len)
		say_note("defaults: %s", text_str(&defaults));
}
