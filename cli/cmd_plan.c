#include "cli/choose.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/say.h"
#include "cli/show.h"
#include "cli/signals.h"
#include "common/file.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_COLLECTIONS 30 /* shown of a table; --json has them all */

static int new_plan(const struct opts *o, json_t **ret, struct err *e)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	struct run_settings settings;
	struct stop stop;

	if (endpoints_settings(o, &settings, e) ||
	    endpoints_find(&ends, o, ENDPOINT_NEEDED, ENDPOINT_OPTIONAL, e) || stop_init(&stop, e))
		return -1;
	signals_aim(&stop, NULL);
	int failed = run_plan_only(ends.source, ends.target, &settings, &stop, ret, e);
	signals_aim(NULL, NULL);
	stop_done(&stop);
	return failed;
}

/* The newest plan of a run, as it stands in its folder. */
static int plan_of_run(const struct opts *o, json_t **ret, struct err *e)
{
	AUTO(free) char *dir = NULL;
	json_t *status = NULL;
	char name[32];

	if (choose_run(&dir, o, CHOOSE_NAMED, e) || run_status(dir, &status, e))
		return -1;
	json_int_t no = json_integer_value(json_object_get(json_object_get(status, "plan"), "no"));
	json_decref(status);
	if (no < 1) {
		err_set(e, ERR_USAGE, "the run in %s has no plan yet", dir);
		return err_hint(e, "`neonferry resume %s` makes it", dir);
	}
	snprintf(name, sizeof(name), "plan.%d.json", (int)no);
	AUTO(free) char *path = file_path(dir, name);
	return path ? file_read_json(path, ret, e) : err_nomem(e);
}

/* What people want to know of a table. New reference. */
static json_t *table_row(const json_t *t)
{
	const char *why = json_string_value(json_object_get(t, "not_binary_why"));
	bool binary = json_is_true(json_object_get(t, "binary"));
	bool there = json_is_true(json_object_get(t, "already_there"));
	AUTO_TEXT struct text name = TEXT_INIT, note = TEXT_INIT;

	text_addf(&name, "%s.%s", json_string_value(json_object_get(t, "schema")),
		  json_string_value(json_object_get(t, "name")));
	if (there)
		text_add(&note, "already there");
	else if (!binary && why)
		text_addf(&note, "text: %s", why);
	return json_pack("{s:s, s:O, s:O, s:s, s:I, s:I, s:s}", "table", text_str(&name), "rows",
			 json_object_get(t, "rows"), "bytes", json_object_get(t, "bytes"), "format",
			 binary ? "binary" : "text", "ranges",
			 (json_int_t)json_array_size(json_object_get(t, "ranges")), "collections",
			 (json_int_t)json_array_size(json_object_get(t, "collections")), "note",
			 text_str(&note));
}

static void add_collections(struct text *out, const json_t *t)
{
	static const char *const keys[] = { "collection", "rows", NULL };
	const json_t *collections = json_object_get(t, "collections");
	json_t *rows = json_array();

	for (size_t i = 0; i < json_array_size(collections); i++) {
		const json_t *c = json_array_get(collections, i);
		const char *name = json_string_value(json_object_get(c, "name"));
		name = !name ? "(no collection)" : *name ? name : "\"\"";
		json_array_append_new(rows, json_pack("{s:s, s:O}", "collection", name, "rows",
						      json_object_get(c, "rows")));
	}
	text_add(out, "\n");
	say_add_clean(out, json_string_value(json_object_get(t, "name")));
	text_add(out, " by ");
	say_add_clean(out, json_string_value(json_object_get(t, "collection_column")));
	text_add(out, ":\n");
	show_table(out, rows, keys, 2, MAX_COLLECTIONS);
	json_decref(rows);
}

static void print(const json_t *plan)
{
	static const char *const keys[] = { "table",  "rows",        "bytes", "format",
					    "ranges", "collections", "note",  NULL };
	static const char *const loss_keys[] = { "table",
						 "column",
						 "vectors",
						 "out_of_range",
						 "zeroed",
						 "max_relative_error",
						 "mean_relative_error",
						 "max_cosine_distance",
						 NULL };
	static const char *const left_keys[] = { "what", "name", "why", NULL };
	const json_t *tables = json_object_get(plan, "tables");
	const json_t *left_out = json_object_get(plan, "left_out");
	const json_t *losses = json_object_get(plan, "halfvec");
	AUTO_TEXT struct text t = TEXT_INIT;
	json_t *rows = json_array();

	for (size_t i = 0; i < json_array_size(tables); i++)
		json_array_append_new(rows, table_row(json_array_get(tables, i)));
	show_table(&t, rows, keys, 0, 0);
	for (size_t i = 0; i < json_array_size(tables); i++)
		if (json_array_size(json_object_get(json_array_get(tables, i), "collections")))
			add_collections(&t, json_array_get(tables, i));
	if (json_array_size(losses)) {
		text_add(&t, "\nwhat vectors lose as halfvec:\n");
		show_table(&t, losses, loss_keys, 2, 0);
	}
	if (json_array_size(left_out)) {
		text_add(&t, "\nleft out:\n");
		show_table(&t, left_out, left_keys, 2, 0);
	}
	say_out("%s", text_str(&t));
	json_decref(rows);
}

int cmd_plan(const struct opts *o)
{
	struct err e = ERR_INIT;
	json_t *plan = NULL;

	if (o->n_args ? plan_of_run(o, &plan, &e) : new_plan(o, &plan, &e)) {
		say_error(&e);
		return (int)exit_of_error(&e, false);
	}
	print(plan);
	say_json(plan, false);
	json_decref(plan);
	return EXIT_DONE;
}
