/*
 * phases - drives ledger, archive and schema phases one by one, for tests/integration.
 *
 *   phases SOURCE TARGET FOLDER RUN COMMAND [ARGUMENT...]
 *
 * Prints JSON on success; on failure the error as JSON {error, hint, sqlstate, kind} and status 1.
 * Events go to standard error, one sentence a line.
 */
#include "common/file.h"
#include "schema/ddl.h"

#include <stdio.h>
#include <string.h>

struct lab {
	struct conn *source, *target;
	const char *folder;
	char *dump, *sequences;
	struct ddl d;
	struct stop stop;
	struct events *events;
	struct archive *archive;
	char **argv;
	int argc;
};

static void on_event(void *ctx, enum event_level level, const char *name, const char *sentence,
		     const json_t *facts)
{
	(void)ctx;
	(void)level;
	(void)facts;
	fprintf(stderr, "%s: %s\n", name, sentence);
}

static void on_progress(void *ctx, const char *phase, int done, int total, const char *now)
{
	(void)ctx;
	if (getenv("PHASES_PROGRESS") && now)
		fprintf(stderr, "%s %d/%d %s\n", phase, done, total, now);
}

static int print_json(json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(1) | JSON_ENCODE_ANY);
	puts("");
	json_decref(value);
	return 0;
}

static int open_target(struct lab *lab, struct pg **ret, struct err *e)
{
	return pg_open(ret, lab->target, "phases", &lab->stop, e);
}

static int need_archive(struct lab *lab, struct err *e)
{
	return archive_read(&lab->archive, lab->dump, 150000, &lab->stop, e);
}

static int do_begin(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;

	if (open_target(lab, &pg, e) < 0 || ledger_install(pg, e) < 0)
		return -1;
	return ledger_begin(pg, lab->d.run, "test", NULL, e);
}

static int do_take_over(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	int64_t generation;

	if (open_target(lab, &pg, e) < 0 || ledger_take_over(pg, lab->d.run, &generation, e) < 0)
		return -1;
	return print_json(json_integer(generation));
}

/* dump [TABLE...] [-- EXCLUDED...] */
static int do_dump(struct lab *lab, struct err *e)
{
	int n = 0;

	while (n < lab->argc && strcmp(lab->argv[n], "--") != 0)
		n++;
	struct archive_options o = {
		.tables = (const char *const *)lab->argv,
		.n_tables = n,
		.excluded = (const char *const *)lab->argv + n + 1,
		.n_excluded = n < lab->argc ? lab->argc - n - 1 : 0,
	};
	return archive_dump(lab->source, 150000, &o, lab->dump, &lab->stop, e);
}

static int do_left_out(struct lab *lab, struct err *e)
{
	return need_archive(lab, e) < 0 ? -1 : print_json(archive_left_out(lab->archive));
}

static int do_pre(struct lab *lab, struct err *e)
{
	return need_archive(lab, e) < 0 ? -1 : ddl_pre_data(&lab->d, lab->archive, e);
}

static int do_post(struct lab *lab, struct err *e)
{
	return need_archive(lab, e) < 0 ? -1 : ddl_post_data(&lab->d, lab->archive, e);
}

static int do_aside(struct lab *lab, struct err *e)
{
	return ddl_set_aside(&lab->d, (const char *const *)lab->argv, lab->argc, e);
}

static int do_restore(struct lab *lab, struct err *e)
{
	return ddl_restore_aside(&lab->d, e);
}

static int do_refresh(struct lab *lab, struct err *e)
{
	return need_archive(lab, e) < 0 ? -1 : ddl_refresh_views(&lab->d, lab->archive, e);
}

static int do_vacuum(struct lab *lab, struct err *e)
{
	return ddl_vacuum(&lab->d, (const char *const *)lab->argv, lab->argc, e);
}

static int do_sequences(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	json_t *values = NULL;

	if (pg_open(&pg, lab->source, "phases", &lab->stop, e) < 0 ||
	    ddl_read_sequences(pg, &values, e) < 0)
		return -1;
	int rc = ddl_set_sequences(&lab->d, values, e);
	return rc < 0 ? json_decref(values), -1 : print_json(values);
}

static int do_created(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	json_t *list = NULL;

	if (open_target(lab, &pg, e) < 0 || ddl_list_created(pg, lab->d.run, &list, e) < 0)
		return -1;
	return print_json(list);
}

static int do_drop(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;

	return open_target(lab, &pg, e) < 0 ? -1 : ddl_drop_created(pg, lab->d.run, e);
}

static int do_rows(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;
	json_t *list = NULL;

	if (open_target(lab, &pg, e) < 0 || ledger_rows(pg, lab->d.run, lab->argv[0], &list, e) < 0)
		return -1;
	return print_json(list);
}

static int do_state(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;

	if (open_target(lab, &pg, e) < 0)
		return -1;
	return ledger_set_state(pg, lab->d.run, lab->d.generation, lab->argv[0], e);
}

static int do_forget(struct lab *lab, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;

	return open_target(lab, &pg, e) < 0 ? -1 : ledger_forget(pg, lab->d.run, e);
}

static const struct {
	const char *name;
	int (*run)(struct lab *lab, struct err *e);
} commands[] = {
	{ "begin", do_begin },
	{ "take-over", do_take_over },
	{ "dump", do_dump },
	{ "left-out", do_left_out },
	{ "pre", do_pre },
	{ "post", do_post },
	{ "aside", do_aside },
	{ "restore", do_restore },
	{ "refresh", do_refresh },
	{ "vacuum", do_vacuum },
	{ "sequences", do_sequences },
	{ "created", do_created },
	{ "drop-created", do_drop },
	{ "rows", do_rows },
	{ "state", do_state },
	{ "forget", do_forget },
};

static int fail(const struct err *e)
{
	print_json(json_pack("{s:s, s:s, s:s, s:s}", "error", e->text, "hint", e->hint, "sqlstate",
			     e->sqlstate, "kind", err_kind_name(e->kind)));
	return 1;
}

static int run(struct lab *lab, const char *command, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, command) == 0)
			return commands[i].run(lab, e);
	}
	return err_set(e, ERR_USAGE, "no command %s", command);
}

int main(int argc, char **argv)
{
	struct lab lab = { 0 };
	struct err e = ERR_INIT;
	const char *generation = getenv("PHASES_GENERATION"), *jobs = getenv("PHASES_JOBS");

	if (argc < 6)
		return 2;
	lab.folder = argv[3];
	lab.dump = file_path(lab.folder, "schema.dump");
	lab.argv = argv + 6;
	lab.argc = argc - 6;
	int rc = -1;
	if (stop_init(&lab.stop, &e) == 0 &&
	    events_open(&lab.events, NULL, on_event, NULL, &e) == 0 &&
	    conn_parse(&lab.source, PG_SOURCE, argv[1], &e) == 0 &&
	    conn_parse(&lab.target, PG_TARGET, argv[2], &e) == 0) {
		lab.d = (struct ddl){ .target = lab.target,
				      .run = argv[4],
				      .stop = &lab.stop,
				      .events = lab.events,
				      .progress = on_progress,
				      .generation = generation ? atoi(generation) : 1,
				      .jobs = jobs ? atoi(jobs) : 2 };
		rc = run(&lab, argv[5], &e);
	}
	if (rc < 0)
		fail(&e);
	archive_free(lab.archive);
	events_close(lab.events);
	conn_free(lab.source);
	conn_free(lab.target);
	stop_done(&lab.stop);
	free(lab.dump);
	return rc < 0;
}
