#include "cli/against.h"

#include "common/file.h"
#include "common/pg.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 40

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint64_t count_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* proof_table wants names that it could change; it does not. */
static char *borrow(const char *s)
{
	return (char *)(uintptr_t)s;
}

static int read_tally(struct tally *ret, const json_t *row, struct err *e)
{
	const json_t *sums = json_object_get(json_object_get(row, "digest"), "sums");
	const char *a = json_string_value(json_array_get(sums, 0));
	const char *b = json_string_value(json_array_get(sums, 1));
	char rows[32];

	if (!a || !b)
		return err_set(e, ERR_USAGE, "the summary of the run holds no digests");
	snprintf(rows, sizeof(rows), "%llu", (unsigned long long)count_of(row, "rows"));
	return tally_parse(ret, rows, a, b, e);
}

static int read_collections(struct proof_table *t, const json_t *list, struct err *e)
{
	const json_t *row;
	size_t i;

	t->collections = calloc(json_array_size(list) + 1, sizeof(*t->collections));
	if (!t->collections)
		return err_nomem(e);
	json_array_foreach(list, i, row)
	{
		struct proof_collection *c = &t->collections[t->n_collections++];

		c->name = borrow(text_of(row, "collection"));
		c->counted = count_of(row, "counted");
		if (read_tally(&c->stream, row, e))
			return -1;
	}
	return 0;
}

static int read_table(struct against *a, const json_t *row, struct err *e)
{
	struct proof_table *t = &a->tables[a->n];
	const json_t *collections = json_object_get(row, "collections");

	if (!text_of(row, "schema") || !text_of(row, "table"))
		return 0;
	*t = (struct proof_table){ .schema = borrow(text_of(row, "schema")),
				   .name = borrow(text_of(row, "table")),
				   .has_count = json_is_integer(json_object_get(row, "counted")),
				   .counted = count_of(row, "counted"),
				   .text_mode = json_is_false(json_object_get(row, "binary")),
				   .untold = count_of(row, "rows_before") > 0 };
	a->n++;
	if (json_array_size(collections) > 0)
		t->collection_column = borrow("collection_name");
	return read_tally(&t->stream, row, e) || read_collections(t, collections, e) ? -1 : 0;
}

int against_read(struct against *ret, const char *dir, struct err *e)
{
	AUTO(free) char *path = file_path(dir, "summary.json");
	struct against a = { .n = 0 };
	const json_t *list, *row;
	size_t i;

	if (!path)
		return err_nomem(e);
	if (file_read_json(path, &a.summary, e))
		return err_note(e, "reading what the run in %s sent", dir);
	list = json_object_get(a.summary, "tables");
	a.tables = calloc(json_array_size(list) + 1, sizeof(*a.tables));
	json_array_foreach(list, i, row) if (a.tables && read_table(&a, row, e))
	{
		against_done(&a);
		return -1;
	}
	if (!a.tables) {
		against_done(&a);
		return err_nomem(e);
	}
	*ret = a;
	return 0;
}

static bool is_listed(const char *name, const char *const *list, int n)
{
	for (int i = 0; i < n; i++)
		if (name && !strcmp(name, list[i]))
			return true;
	return false;
}

static void choose_collections(struct proof_table *t, const char *const *names, int n)
{
	int kept = 0;

	t->stream = TALLY_INIT;
	t->counted = 0;
	for (int i = 0; i < t->n_collections; i++) {
		if (!is_listed(t->collections[i].name, names, n))
			continue;
		tally_add(&t->stream, &t->collections[i].stream);
		t->counted += t->collections[i].counted;
		t->collections[kept++] = t->collections[i];
	}
	t->n_collections = kept;
}

void against_choose(struct against *a, const char *const *collections, int n)
{
	int kept = 0;

	for (int i = 0; i < a->n && n > 0; i++) {
		struct proof_table *t = &a->tables[i];

		if (t->n_collections == 0) {
			free(t->collections);
			continue;
		}
		choose_collections(t, collections, n);
		a->tables[kept++] = *t;
	}
	if (n > 0)
		a->n = kept;
}

void against_done(struct against *a)
{
	for (int i = 0; a->tables && i < a->n; i++)
		free(a->tables[i].collections);
	free(a->tables);
	json_decref(a->summary);
	*a = (struct against){ .n = 0 };
}

static int query_rates(struct pg *pg, const char *run, PGresult **ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;

	text_addf(&sql,
		  "WITH c AS (SELECT loaded, bytes, min(loaded) OVER () AS first,"
		  " greatest(extract(epoch FROM max(loaded) OVER () - min(loaded) OVER ()), 0.001)"
		  "::float8 AS s FROM neonferry.chunk WHERE run = ");
	text_add_literal(&sql, run);
	text_addf(&sql,
		  "), b AS (SELECT least(floor(extract(epoch FROM loaded - first)::float8 / s *"
		  " %d), %d) AS n, s, bytes FROM c) SELECT (n + 0.5) * s / %d,"
		  " sum(bytes) * %d / s / 1e6 FROM b GROUP BY n, s ORDER BY n",
		  SAMPLES, SAMPLES - 1, SAMPLES, SAMPLES);
	return text_check(&sql, e) ? -1 : pg_query(pg, text_str(&sql), ret, e);
}

json_t *against_rates(struct pg *target, const char *run)
{
	AUTO(pgresult) PGresult *res = NULL;
	struct err ignored = ERR_INIT;
	json_t *samples = json_array();

	if (!run || !target || query_rates(target, run, &res, &ignored))
		return samples;
	for (int i = 0; i < PQntuples(res); i++)
		json_array_append_new(samples,
				      json_pack("[f, f]", strtod(PQgetvalue(res, i, 0), NULL),
						strtod(PQgetvalue(res, i, 1), NULL)));
	return samples;
}
