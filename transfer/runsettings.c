/* runsettings - defaults, and what of a run's settings is kept in its folder. */
#include "transfer/runpriv.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void run_fill_defaults(struct run_settings *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int n = cpus > 0 && cpus < 64 ? (int)cpus : 2;

	if (s->jobs <= 0)
		s->jobs = n <= 2 ? 1 : (n < 8 ? n / 2 : 4);
	if (s->workers <= 0)
		s->workers = n <= 2 ? 2 : (n < 8 ? n : 8);
	if (s->senders <= 0)
		s->senders = n <= 2 ? 2 : (n < 8 ? n : 8);
	if (s->chunk_size == 0)
		s->chunk_size = (uint64_t)16 << 20;
	if (s->memory == 0)
		s->memory = (uint64_t)256 << 20;
	if (s->snapshot_ttl_ms == 0)
		s->snapshot_ttl_ms = (uint64_t)24 * 3600 * 1000;
}

static const char *const spill_names[] = { "always", "overflow", "none" };
static const char *const existing_names[] = { "refuse", "truncate", "append" };
static const char *const format_names[] = { "auto", "binary", "text" };

static json_t *list_json(const char *const *list, int n)
{
	json_t *a = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(a, json_string(list[i]));
	return a;
}

/* By which the key is known again; not the key. */
static int add_key_mark(json_t *j, const struct seal_key *key)
{
	char mark[SEAL_MARK];
	struct err ignored = ERR_INIT;

	if (!key)
		return 0;
	if (seal_key_mark(key, mark, &ignored) < 0)
		return -1;
	return json_object_set_new(j, "spill_key", json_string(mark));
}

/* Who the run is: what must not change between its processes. No password in it. */
json_t *run_identity_json(const struct conn *source, const struct conn *target,
			     const struct run_settings *s)
{
	AUTO(free) char *from = conn_public_string(source), *to = conn_public_string(target);
	char now[CLOCK_ISO_LEN];
	json_t *j;

	clock_iso(now);
	if (!from || !to)
		return NULL;
	j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "format", 1, "started", now, "source", from,
		      "target", to, "spill", spill_names[s->spill], "existing",
		      existing_names[s->existing]);
	json_object_set_new(j, "schema", json_boolean(s->schema));
	json_object_set_new(j, "data", json_boolean(s->data));
	json_object_set_new(j, "post", json_boolean(s->post));
	json_object_set_new(j, "keep_indexes", json_boolean(s->keep_indexes));
	json_object_set_new(j, "allow_unlogged", json_boolean(s->allow_unlogged));
	json_object_set_new(j, "columns_format", json_string(format_names[s->format]));
	json_object_set_new(j, "tables", list_json(s->tables, s->n_tables));
	json_object_set_new(j, "excluded", list_json(s->excluded, s->n_excluded));
	json_object_set_new(j, "collections", list_json(s->collections, s->n_collections));
	json_object_set_new(j, "collection_columns",
			    list_json(s->collection_columns, s->n_collection_columns));
	json_object_set_new(j, "halfvec", list_json(s->halfvec, s->n_halfvec));
	if (add_key_mark(j, s->spill_key) < 0) {
		json_decref(j);
		return NULL;
	}
	return j;
}

/* Borrowed from the identity, so that a resume works on what the run was begun with. */
static int take_list(const json_t *j, const char *key, const char *const **ret, int *ret_n,
		     struct err *e)
{
	const json_t *list = json_object_get(j, key), *item;
	const char **names = calloc(json_array_size(list) + 1, sizeof(*names));
	size_t i;

	if (!names)
		return err_nomem(e);
	json_array_foreach(list, i, item)
		names[i] = json_string_value(item) ? json_string_value(item) : "";
	*ret = names;
	*ret_n = (int)json_array_size(list);
	return 0;
}

static int index_of(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (name && strcmp(name, names[i]) == 0)
			return i;
	return 0;
}

int run_take_identity(struct run *r, struct err *e)
{
	const json_t *j = r->dir.identity;
	struct run_settings *s = &r->settings;

	s->tables = s->excluded = s->collections = s->collection_columns = s->halfvec = NULL;
	s->n_tables = s->n_excluded = s->n_collections = s->n_collection_columns = s->n_halfvec = 0;
	r->owns_lists = true;
	s->schema = json_is_true(json_object_get(j, "schema"));
	s->data = json_is_true(json_object_get(j, "data"));
	s->post = json_is_true(json_object_get(j, "post"));
	s->spill = (enum run_spill)index_of(json_string_value(json_object_get(j, "spill")), spill_names, 3);
	s->existing = (enum run_existing)index_of(json_string_value(json_object_get(j, "existing")),
						  existing_names, 3);
	s->format = (enum run_format)index_of(json_string_value(json_object_get(j, "columns_format")),
					      format_names, 3);
	s->keep_indexes = json_is_true(json_object_get(j, "keep_indexes"));
	s->allow_unlogged = json_is_true(json_object_get(j, "allow_unlogged"));
	if (take_list(j, "tables", &s->tables, &s->n_tables, e) < 0 ||
	    take_list(j, "excluded", &s->excluded, &s->n_excluded, e) < 0 ||
	    take_list(j, "collections", &s->collections, &s->n_collections, e) < 0 ||
	    take_list(j, "collection_columns", &s->collection_columns, &s->n_collection_columns,
		      e) < 0 ||
	    take_list(j, "halfvec", &s->halfvec, &s->n_halfvec, e) < 0)
		return -1;
	return 0;
}

/*
 * What a run was begun with and keeps. It keeps the mode of its spill, too, but another one is no
 * reason to refuse: the rows are the same.
 */
static const char *const fixed_settings[] = {
	"existing",           "schema",         "data",   "post",     "keep_indexes",
	"allow_unlogged",     "columns_format", "tables", "excluded", "collections",
	"collection_columns", "halfvec",
};

int run_check_key(const struct run *r, struct err *e)
{
	const char *mark = json_string_value(json_object_get(r->dir.identity, "spill_key"));
	const char *dir = r->dir.path;
	int same;

	if (!mark && !r->settings.spill_key)
		return 0;
	if (!mark) {
		err_set(e, ERR_RESUME, "a key for the spill is given, and the run in %s was begun without one",
			dir);
		return err_hint(e, "unset NEONFERRY_SPILL_KEY and resume; or neonferry abort %s, then a new run "
				   "with the key", dir);
	}
	if (!r->settings.spill_key) {
		err_set(e, ERR_RESUME, "the spill of the run in %s is encrypted, and no key is given", dir);
		return err_hint(e, "set NEONFERRY_SPILL_KEY to the key of that run; if it is lost: neonferry "
				   "abort %s, then a new run", dir);
	}
	same = seal_key_is(r->settings.spill_key, mark, e);
	if (same != 0)
		return same < 0 ? -1 : 0;
	err_set(e, ERR_RESUME, "the spill of the run in %s is encrypted with another key than the one given", dir);
	return err_hint(e, "set NEONFERRY_SPILL_KEY to the key that the run was begun with");
}

int run_refuse_other_settings(const struct run *r, const json_t *wanted, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed_settings); i++) {
		const char *key = fixed_settings[i];

		if (json_equal(json_object_get(wanted, key), json_object_get(r->dir.identity, key)))
			continue;
		err_set(e, ERR_USAGE, "the run in %s was begun with another setting of \"%s\"", r->dir.path,
			key);
		return err_hint(e, "neonferry resume %s goes on with what it was begun with; neonferry abort %s "
				   "takes it back", r->dir.path, r->dir.path);
	}
	return 0;
}
