#include "verify/searchfn.h"

#include "verify/finding.h"
#include "verify/recall.h"

#include <math.h>
#include <string.h>

#define CALLS     5
#define TOLERANCE 1e-5

struct function {
	const char *name;
	const char *table;
	int n_args;
	const char *draw; /* columns that are the arguments, as text */
	const char *call; /* the argument list */
};

static const struct function functions[] = {
	{ "hybrid_search_opportunities", "public.opportunities", 2, "title, embedding::text",
	  "$1::text, $2::text::public.halfvec" },
	{ "hybrid_search_repositories", "public.repositories", 2,
	  "coalesce(description, full_name), embedding::text",
	  "$1::text, $2::text::public.halfvec" },
	{ "search_similar_users", "public.users", 1, "id::text", "$1::uuid" },
	{ "find_matching_opportunities_for_user", "public.users", 1, "id::text", "$1::uuid" },
	{ "similarity_search", "public.embeddings", 2, "embedding::text, model",
	  "$1::text::public.vector, $2::text" },
	{ "hybrid_search", "public.embeddings", 3, "left(content, 200), embedding::text, model",
	  "$1::text, $2::text::public.vector, $3::text" },
};

/* --- agreement --- */

static bool same_value(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return fabs(json_number_value(a) - json_number_value(b)) <=
		       TOLERANCE * fmax(1, fabs(json_number_value(a)));
	return json_equal(a, b) != 0;
}

static bool same_row(const json_t *a, const json_t *b)
{
	const char *key;
	const json_t *value;

	if (json_object_size(a) != json_object_size(b))
		return false;
	json_object_foreach((json_t *)(uintptr_t)a, key,
			    value) if (!same_value(value, json_object_get(b, key))) return false;
	return true;
}

static const json_t *score_of(const json_t *row)
{
	const json_t *score = json_object_get(row, "score");

	return score ? score : json_object_get(row, "similarity");
}

static bool contains(const json_t *rows, const json_t *row)
{
	const json_t *other;
	size_t i;

	json_array_foreach(rows, i, other) if (same_row(row, other)) return true;
	return false;
}

bool searchfn_agree(const json_t *a, const json_t *b)
{
	size_t n = json_array_size(a);

	if (n != json_array_size(b))
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *x = json_array_get(a, i), *y = json_array_get(b, i);
		const json_t *last = score_of(json_array_get(a, n - 1));

		if (same_row(x, y))
			continue;
		if (!score_of(x) || !same_value(score_of(x), score_of(y)))
			return false;
		/* Equal scores: another order, or at the very end another of the equals. */
		if (!contains(b, x) && !same_value(score_of(x), last))
			return false;
	}
	return true;
}

/* --- calling --- */

static bool is_there(const struct pairs *pairs, const char *table)
{
	for (int i = 0; i < pairs->n; i++)
		if (!strcmp(pairs->pair[i].name, table))
			return pairs->pair[i].end[0] && pairs->pair[i].end[1];
	return false;
}

static int has_function(struct pg *pg, const char *name, bool *ret, struct err *e)
{
	AUTO(free) char *n = NULL;

	if (pg_valuef(pg, &n, e,
		      "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
		      " WHERE n.nspname = 'public' AND p.proname = '%s'",
		      name))
		return -1;
	*ret = n && strcmp(n, "0") != 0;
	return 0;
}

static int call(struct pg *pg, const struct function *f, const PGresult *args, int row,
		json_t **ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	AUTO_TEXT struct text sql = TEXT_INIT;
	const char *values[3];

	for (int i = 0; i < f->n_args; i++)
		values[i] = PQgetvalue(args, row, i);
	text_addf(&sql, "SELECT to_jsonb(r)::text FROM public.%s(%s) r", f->name, f->call);
	if (text_check(&sql, e) || pg_query_params(pg, text_str(&sql), f->n_args, values, &res, e))
		return -1;
	*ret = json_array();
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(*ret, json_loads(PQgetvalue(res, i, 0), 0, NULL));
	return 0;
}

static int draw(struct pg *pg, const struct function *f, uint64_t seed, PGresult **ret,
		struct err *e)
{
	return pg_queryf(pg, ret, e,
			 "SELECT %s FROM %s WHERE embedding IS NOT NULL"
			 " ORDER BY sha256(convert_to(id::text || '/%llu', 'UTF8')) LIMIT %d",
			 f->draw, f->table, (unsigned long long)seed, CALLS);
}

/* *ret_same of the calls agree; *ret_rows rows came back. */
static int compare_calls(struct pg *const pg[2], const struct function *f, const PGresult *args,
			 int *ret_same, int *ret_rows, struct err *e)
{
	for (int i = 0; i < PQntuples(args); i++) {
		json_t *a = NULL, *b = NULL;
		int rc = call(pg[PG_SOURCE], f, args, i, &a, e);

		if (rc == 0)
			rc = call(pg[PG_TARGET], f, args, i, &b, e);
		if (rc == 0) {
			*ret_same += searchfn_agree(a, b);
			*ret_rows += (int)json_array_size(b);
		}
		json_decref(a);
		json_decref(b);
		if (rc)
			return -1;
	}
	return 0;
}

static int compare(struct pg *const pg[2], const struct function *f, uint64_t seed, json_t *checks,
		   json_t *out, struct err *e)
{
	AUTO(pgresult) PGresult *args = NULL;
	int same = 0, rows = 0, calls;

	if (draw(pg[PG_SOURCE], f, seed, &args, e) || compare_calls(pg, f, args, &same, &rows, e))
		return -1;
	calls = PQntuples(args);
	json_array_append_new(out, json_pack("{s:s, s:i, s:i, s:i}", "function", f->name, "calls",
					     calls, "same", same, "rows", rows));
	finding_add(checks, "search", f->name,
		    calls == 0      ? FINDING_INFO
		    : same == calls ? FINDING_PASS
				    : FINDING_FAIL,
		    "%d of %d calls of %s() give the same %d rows on both ends", same, calls,
		    f->name, rows);
	return 0;
}

static int try_function(struct pg *const pg[2], const struct function *f, uint64_t seed,
			json_t *checks, json_t *out, struct err *e)
{
	struct err failed = ERR_INIT;
	bool there[2];

	if (has_function(pg[PG_SOURCE], f->name, &there[PG_SOURCE], e) ||
	    has_function(pg[PG_TARGET], f->name, &there[PG_TARGET], e))
		return -1;
	if (!there[PG_SOURCE] || !there[PG_TARGET])
		return 0; /* missing in the target: the schema's comparison says so */
	if (compare(pg, f, seed, checks, out, &failed) == 0)
		return 0;
	if (failed.next != ERR_GIVE_UP || failed.kind == ERR_STOPPED) {
		*e = failed;
		return -1;
	}
	finding_add(checks, "search", f->name, FINDING_UNKNOWN, "%s() could not be compared: %s",
		    f->name, failed.text);
	return 0;
}

static int use_indexes(struct pg *const pg[2], bool use, struct err *e)
{
	for (int role = 0; role < 2; role++)
		if (use ? recall_reset(pg[role], e)
			: pg_exec(pg[role],
				  "SET enable_indexscan = off; SET enable_bitmapscan = off", e))
			return -1;
	return 0;
}

int searchfn_compare(struct pg *const pg[2], const struct pairs *pairs, uint64_t seed,
		     json_t *checks, json_t *out, struct err *e)
{
	if (use_indexes(pg, false, e))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		if (is_there(pairs, functions[i].table) &&
		    try_function(pg, &functions[i], seed, checks, out, e))
			return -1;
	return use_indexes(pg, true, e);
}
