#include "cli/runreport.h"

#include "cli/against.h"
#include "cli/runfacts.h"
#include "cli/summary.h"
#include "common/clock.h"
#include "common/file.h"
#include "transfer/statistics.h"
#include "verify/report.h"
#include "verify/verify.h"

#include <stdlib.h>

/* A list of the run's settings, borrowed from it; NULL where it is empty. */
static const char **list_of(const json_t *settings, const char *key, int *ret_n)
{
	const json_t *list = json_object_get(settings, key), *item;
	const char **words;
	size_t i;

	*ret_n = 0;
	if (json_array_size(list) == 0)
		return NULL;
	words = calloc(json_array_size(list) + 1, sizeof(*words));
	json_array_foreach(list, i, item) if (words && json_is_string(item)) words[(*ret_n)++] =
		json_string_value(item);
	return words;
}

struct lists {
	const char **tables, **excluded, **collections, **division;
};

static void take_lists(struct verify_settings *s, struct lists *l, const json_t *settings)
{
	l->tables = list_of(settings, "tables", &s->filter.n_tables);
	l->excluded = list_of(settings, "excluded", &s->filter.n_excluded);
	l->collections = list_of(settings, "collections", &s->n_collections);
	l->division = list_of(settings, "collection_columns", &s->n_division);
	s->filter.tables = l->tables;
	s->filter.excluded = l->excluded;
	s->collections = l->collections;
	s->division = l->division;
}

static void free_lists(struct lists *l)
{
	free(l->tables);
	free(l->excluded);
	free(l->collections);
	free(l->division);
}

/* The same of the target, now; left out where it does not answer. */
static void add_statistics(struct pg *target, json_t *statistics)
{
	const json_t *tables = json_object_get(json_object_get(statistics, "source"), "tables"), *table;
	int n = (int)json_array_size(tables);
	AUTO(free) const char **names = calloc((size_t)n + 1, sizeof(*names));
	struct err ignored = ERR_INIT;
	json_t *now = NULL;
	size_t i;

	if (!names || n == 0)
		return;
	json_array_foreach(tables, i, table)
	{
		names[i] = json_string_value(json_object_get(table, "target"));
		if (!names[i])
			return;
	}
	if (target && statistics_read(target, names, n, &now, &ignored) == 0)
		json_object_set_new(statistics, "target", now);
}

/* Whether definitions were looked at, as part of what was asked for. */
static const char *definitions(bool has_source, const json_t *facts)
{
	if (!json_is_true(json_object_get(json_object_get(facts, "settings"), "schema")))
		return "not asked for";
	return has_source ? "compared" : "not compared";
}

static int write_report(const struct runreport *r, struct verify_result *v, json_t *summary,
			const json_t *facts, bool has_source, struct err *e)
{
	AUTO(free) char *dir = file_path(r->dir, "report");
	AUTO(free) char *page = dir ? file_path(dir, "report.html") : NULL;
	AUTO(pg) struct pg *pg = NULL;
	struct err ignored = ERR_INIT;

	if (!page)
		return err_nomem(e);
	(void)!pg_open(&pg, r->ends->target, "report", NULL, &ignored);
	json_t *rates = against_rates(pg, r->run);
	add_statistics(pg, json_object_get(facts, "statistics"));
	json_object_set_new(summary, "report",
			    json_pack("{s:s, s:s, s:s, s:s}", "path", page, "verdict",
				      verify_verdict_name(v->verdict), "sentence", v->sentence,
				      "definitions", definitions(has_source, facts)));
	summary_weigh_report(summary); /* the report tells how the run ended, too */
	report_add_transfer(v->doc, summary, rates, facts);
	json_decref(rates);
	int failed = report_write(dir, v->doc, NULL, NULL, e);
	if (failed)
		json_object_del(summary, "report");
	return failed;
}

int runreport_write(const struct runreport *r, json_t *summary, struct err *e)
{
	struct verify_settings settings = VERIFY_SETTINGS_INIT;
	AUTO(verify_result) struct verify_result *result = NULL;
	json_t *facts = runfacts_read(r->dir);
	struct err gone = ERR_INIT;
	/* It may be switched off by now: then the target is looked at alone. */
	const struct conn *source =
		endpoints_source_answers(r->ends, r->stop, &gone) ? r->ends->source : NULL;
	struct lists lists = { .tables = NULL };
	int rc;

	settings.levels = VERIFY_SCHEMA | VERIFY_COUNTS | VERIFY_DIGEST;
	settings.expected = r->proofs;
	settings.n_expected = r->n;
	settings.proven = true;
	take_lists(&settings, &lists, json_object_get(facts, "settings"));
	settings.tool_version = NEONFERRY_VERSION;
	settings.command = r->command;
	settings.run = r->run;
	settings.stop = r->stop;
	/* Names of the source alone need not exist in the target; what was moved is known anyway. */
	if (!source)
		settings.filter = (struct catalog_filter){ .n_tables = 0 };
	rc = verify_run(source, r->ends->target, &settings, &result, e);
	if (rc == 0)
		rc = write_report(r, result, summary, facts, source != NULL, e);
	free_lists(&lists);
	json_decref(facts);
	return rc ? err_note(e, "writing the report of the run") : 0;
}
