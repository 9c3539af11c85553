/*
 * verify_tool - verify_run() from the command line, for tests: prints the report's document.
 *
 *   verify_tool SOURCE|- TARGET [level=N] [table=T]... [collection=C]... [KEY=VALUE]...
 *
 * keys: jobs, sample, seed, patience (ms), max_rows, diff, values, ratio, margin, waivers (a file),
 * report (a folder), live (rounds), wait (ms), repair (1, or 2: and delete), repaired (a file).
 * Exits as the verdict says, 3 where there is no report.
 */
#include "common/file.h"
#include "verify/report.h"
#include "verify/verify.h"

#include <stdio.h>
#include <string.h>

#define MAX_LIST 32

struct args {
	struct verify_settings settings;
	const char *tables[MAX_LIST], *collections[MAX_LIST];
	json_t *waivers;
	struct verify_repair repair;
	const char *report;
};

static int take(struct args *a, const char *arg, struct err *e)
{
	struct verify_settings *s = &a->settings;
	const char *value = strchr(arg, '=');
	size_t n = value ? (size_t)(value++ - arg) : 0;

#define IS(word) (n == strlen(word) && !strncmp(arg, word, n))
	if (IS("table") && s->filter.n_tables < MAX_LIST)
		a->tables[s->filter.n_tables++] = value;
	else if (IS("collection") && s->n_collections < MAX_LIST)
		a->collections[s->n_collections++] = value;
	else if (IS("level"))
		s->levels = (unsigned)strtoul(value, NULL, 0);
	else if (IS("jobs"))
		s->jobs = (int)strtol(value, NULL, 10);
	else if (IS("sample"))
		s->sample = (int)strtol(value, NULL, 10);
	else if (IS("patience"))
		s->patience_ms = strtoull(value, NULL, 10);
	else if (IS("seed"))
		s->seed = strtoull(value, NULL, 10);
	else if (IS("max_rows"))
		s->max_rows = (int)strtol(value, NULL, 10);
	else if (IS("diff"))
		s->diff_file = value;
	else if (IS("values"))
		s->include_values = value[0] == '1';
	else if (IS("ratio"))
		s->max_latency_ratio = strtod(value, NULL);
	else if (IS("live")) {
		s->live = true;
		s->rounds = (int)strtol(value, NULL, 10);
	} else if (IS("wait"))
		s->round_wait_ms = strtoull(value, NULL, 10);
	else if (IS("repair")) {
		a->repair.delete_extra = value[0] == '2';
		s->repair = &a->repair;
	} else if (IS("repaired"))
		a->repair.file = value;
	else if (IS("report"))
		a->report = value;
	else if (IS("margin"))
		s->margin = strtod(value, NULL);
	else if (IS("waivers"))
		return file_read_json(value, &a->waivers, e);
	else
		return err_set(e, ERR_USAGE, "what is %s?", arg);
#undef IS
	return 0;
}

static int run(int argc, char **argv, struct verify_result **ret, struct err *e)
{
	AUTO(conn) struct conn *source = NULL;
	AUTO(conn) struct conn *target = NULL;
	struct args a = { .settings = VERIFY_SETTINGS_INIT };
	int rc;

	a.settings.filter.tables = a.tables;
	a.settings.collections = a.collections;
	for (int i = 3; i < argc; i++)
		if (take(&a, argv[i], e))
			return -1;
	a.settings.waivers = a.waivers;
	if (strcmp(argv[1], "-") != 0 && conn_parse(&source, PG_SOURCE, argv[1], e))
		return -1;
	if (conn_parse(&target, PG_TARGET, argv[2], e))
		return -1;
	rc = verify_run(source, target, &a.settings, ret, e);
	json_decref(a.waivers);
	if (rc == 0 && a.report)
		rc = report_write(a.report, (*ret)->doc, a.settings.diff_file, a.repair.file, e);
	return rc;
}

int main(int argc, char **argv)
{
	AUTO(verify_result) struct verify_result *result = NULL;
	struct err e = ERR_INIT;

	if (argc < 3)
		return 2;
	if (run(argc, argv, &result, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 3;
	}
	json_dumpf(result->doc, stdout, JSON_INDENT(1));
	return verify_exit_status(result->verdict);
}
