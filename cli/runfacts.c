#include "cli/runfacts.h"

#include "common/attr.h"
#include "common/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 200

/* Parsed, or NULL: the report does without. */
static json_t *read_file(const char *dir, const char *name)
{
	AUTO(free) char *path = file_path(dir, name);
	struct err ignored = ERR_INIT;
	json_t *doc = NULL;

	if (!path || !file_exists(path) || file_read_json(path, &doc, &ignored))
		return NULL;
	return doc;
}

static void copy(json_t *to, const json_t *from, const char *key, const char *as)
{
	json_t *value = json_object_get(from, key);

	if (value)
		json_object_set(to, as, value);
}

/* The last plan is the one whose snapshot the rows are of. */
static void add_plan(json_t *facts, const char *dir)
{
	json_t *plan = NULL;

	for (int no = 1;; no++) {
		char name[32];
		json_t *next;

		snprintf(name, sizeof(name), "plan.%d.json", no);
		next = read_file(dir, name);
		if (!next)
			break;
		json_decref(plan);
		plan = next;
	}
	copy(facts, plan, "snapshot", "snapshot");
	copy(facts, plan, "lsn", "lsn");
	copy(facts, plan, "source_id", "source_id");
	copy(facts, plan, "no", "generation");
	json_decref(plan);
}

static void add_settings(json_t *facts, const char *dir)
{
	static const char *const kept[] = {
		"spill",  "existing",     "schema",         "data",
		"post",   "keep_indexes", "allow_unlogged", "columns_format",
		"tables", "excluded",     "collections",    "collection_columns",
	};
	json_t *run = read_file(dir, "run.json"), *settings = json_object();

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		copy(settings, run, kept[i], kept[i]);
	copy(facts, run, "started", "started");
	json_object_set_new(facts, "settings", settings);
	json_decref(run);
}

static bool is_step(const char *name)
{
	return name && (!strcmp(name, "phase") || !strcmp(name, "capture.complete") ||
			!strcmp(name, "index.build"));
}

static void add_step(json_t *steps, const char *line)
{
	json_t *event = json_loads(line, 0, NULL), *step;

	if (is_step(json_string_value(json_object_get(event, "name")))) {
		step = json_object();
		copy(step, event, "time", "time");
		copy(step, event, "name", "name");
		copy(step, event, "text", "text");
		json_array_append_new(steps, step);
	}
	json_decref(event);
}

static void add_steps(json_t *facts, const char *dir)
{
	AUTO(free) char *path = file_path(dir, "events.jsonl");
	FILE *f = path ? fopen(path, "re") : NULL;
	json_t *steps = json_array();
	char *line = NULL;
	size_t room = 0;

	while (f && json_array_size(steps) < MAX_STEPS && getline(&line, &room, f) > 0)
		add_step(steps, line);
	free(line);
	if (f)
		(void)fclose(f);
	json_object_set_new(facts, "steps", steps);
}

static void add_statistics(json_t *facts, const char *dir)
{
	json_t *source = read_file(dir, "statistics.json");

	if (source)
		json_object_set_new(facts, "statistics", json_pack("{s:o}", "source", source));
}

json_t *runfacts_read(const char *dir)
{
	json_t *facts = json_object();

	add_settings(facts, dir);
	add_plan(facts, dir);
	add_steps(facts, dir);
	add_statistics(facts, dir);
	return facts;
}
