/*
 * pg_tool - one session of common/pg.h, by command lines from standard input.
 *
 *	pg_tool source|target URI
 *
 * Each line is a command and perhaps a number or SQL; the answer is one line of JSON: "ok", how
 * long it took in ms, what it gave, the server's notices; or the parts of the error. For tests.
 */
#include "common/clock.h"
#include "common/conn.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct tool {
	struct conn *conn;
	struct pg *pg;
	struct stop stop;
	json_t *answer, *notices;
	uint64_t next_row; /* number of the next row that "put" makes */
};

/* --- from another thread, later --- */

struct later {
	struct tool *tool;
	unsigned ms;
	void (*run)(struct tool *t);
};

static void *sleep_then_run(void *arg)
{
	struct later *l = arg;

	usleep(l->ms * 1000);
	l->run(l->tool);
	free(l);
	return NULL;
}

static void cancel_it(struct tool *t)
{
	pg_cancel(t->pg);
}

static void stop_it(struct tool *t)
{
	stop_ask(&t->stop, STOP_NOW);
}

static int run_later(struct tool *t, const char *ms, void (*run)(struct tool *), struct err *e)
{
	struct later *l = malloc(sizeof(*l));
	pthread_t thread;

	if (!l)
		return err_nomem(e);
	*l = (struct later){ t, (unsigned)strtoul(ms, NULL, 10), run };
	if (pthread_create(&thread, NULL, sleep_then_run, l)) {
		free(l);
		return err_set(e, ERR_INTERNAL, "no thread");
	}
	pthread_detach(thread);
	return 0;
}

/* --- commands --- */

static void on_notice(void *ctx, const char *severity, const char *sqlstate, const char *message)
{
	struct tool *t = ctx;

	json_array_append_new(t->notices, json_pack("[sss]", severity, sqlstate, message));
}

static int do_open(struct tool *t, const char *name, struct err *e)
{
	if (pg_open(&t->pg, t->conn, name[0] ? name : NULL, &t->stop, e))
		return -1;
	pg_on_notice(t->pg, on_notice, t);
	return 0;
}

static int do_close(struct tool *t, const char *arg, struct err *e)
{
	(void)arg, (void)e;
	pg_close(GIVE(&t->pg));
	return 0;
}

static int do_exec(struct tool *t, const char *sql, struct err *e)
{
	return pg_exec(t->pg, sql, e);
}

static int do_value(struct tool *t, const char *sql, struct err *e)
{
	AUTO(free) char *value = NULL;

	if (pg_value(t->pg, sql, &value, e))
		return -1;
	json_object_set_new(t->answer, "value", value ? json_string(value) : json_null());
	return 0;
}

static int do_begin(struct tool *t, const char *modes, struct err *e)
{
	return pg_begin(t->pg, modes, e);
}

static int do_commit(struct tool *t, const char *arg, struct err *e)
{
	(void)arg;
	return pg_commit(t->pg, e);
}

static int do_rollback(struct tool *t, const char *arg, struct err *e)
{
	(void)arg, (void)e;
	pg_rollback(t->pg);
	return 0;
}

static int do_timeout(struct tool *t, const char *ms, struct err *e)
{
	(void)e;
	pg_set_timeout(t->pg, ms[0] ? strtoull(ms, NULL, 10) : CLOCK_NEVER);
	return 0;
}

static int do_cancel(struct tool *t, const char *ms, struct err *e)
{
	return run_later(t, ms, cancel_it, e);
}

static int do_stop(struct tool *t, const char *ms, struct err *e)
{
	return run_later(t, ms, stop_it, e);
}

static int do_copy_in(struct tool *t, const char *sql, struct err *e)
{
	return pg_copy_in(t->pg, sql, e);
}

/* Rows of "<number>\t<pad>" until at least so many KB are sent. */
static int do_put(struct tool *t, const char *kb, struct err *e)
{
	static char block[200000];
	uint64_t wanted = strtoull(kb, NULL, 10) << 10, sent = 0;

	while (sent < wanted) {
		size_t n = 0;
		while (n < sizeof(block) - 200 && sent + n < wanted)
			n += (size_t)sprintf(block + n, "%llu\t%060d\n",
					     (unsigned long long)t->next_row++, 0);
		if (pg_copy_put(t->pg, block, n, e))
			return -1;
		sent += n;
		json_object_set_new(t->answer, "sent", json_integer((json_int_t)sent));
	}
	return 0;
}

static int do_end(struct tool *t, const char *arg, struct err *e)
{
	uint64_t rows;
	char tag[32];

	(void)arg;
	if (pg_copy_end(t->pg, &rows, tag, e))
		return -1;
	json_object_set_new(t->answer, "rows", json_integer((json_int_t)rows));
	json_object_set_new(t->answer, "tag", json_string(tag));
	return 0;
}

static int do_copy_out(struct tool *t, const char *sql, struct err *e)
{
	return pg_copy_out(t->pg, sql, e);
}

/* At most so many rows (all, without a number). */
static int do_rows(struct tool *t, const char *max, struct err *e)
{
	uint64_t left = max[0] ? strtoull(max, NULL, 10) : UINT64_MAX, rows = 0, bytes = 0;
	int more = 1, len;
	char *row;

	while (left-- > 0 && (more = pg_copy_row(t->pg, &row, &len, e)) == 1) {
		rows++;
		bytes += (uint64_t)len;
		PQfreemem(row);
	}
	json_object_set_new(t->answer, "rows", json_integer((json_int_t)rows));
	json_object_set_new(t->answer, "bytes", json_integer((json_int_t)bytes));
	json_object_set_new(t->answer, "more", json_boolean(more == 1));
	return more < 0 ? -1 : 0;
}

static const struct {
	const char *name;
	int (*run)(struct tool *t, const char *arg, struct err *e);
} commands[] = {
	{ "open", do_open },         { "close", do_close },       { "exec", do_exec },
	{ "value", do_value },       { "begin", do_begin },       { "commit", do_commit },
	{ "rollback", do_rollback }, { "timeout", do_timeout },   { "cancel", do_cancel },
	{ "stop", do_stop },         { "copy_in", do_copy_in },   { "put", do_put },
	{ "end", do_end },           { "copy_out", do_copy_out }, { "rows", do_rows },
};

/* --- one line in, one line out --- */

static int run(struct tool *t, const char *name, const char *arg, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		if (!t->pg && commands[i].run != do_open && commands[i].run != do_stop)
			return err_set(e, ERR_USAGE, "no session is open");
		return commands[i].run(t, arg, e);
	}
	return err_set(e, ERR_USAGE, "no such command: %s", name);
}

static void answer_line(struct tool *t, char *line)
{
	static const char *const nexts[] = { "give up", "retry", "ask" };
	struct err e = ERR_INIT;
	char *arg = line + strcspn(line, " \n");
	uint64_t begin = clock_ms();

	arg[strcspn(arg, "\n")] = '\0';
	if (*arg)
		*arg++ = '\0';
	t->answer = json_object();
	t->notices = json_array();
	int failed = run(t, line, arg, &e);
	json_object_set_new(t->answer, "ok", json_boolean(!failed));
	json_object_set_new(t->answer, "ms", json_integer((json_int_t)(clock_ms() - begin)));
	json_object_set_new(t->answer, "alive", json_boolean(t->pg && pg_is_alive(t->pg)));
	json_object_set_new(t->answer, "pid", json_integer(t->pg ? pg_backend_pid(t->pg) : 0));
	json_object_set_new(t->answer, "notices", GIVE(&t->notices));
	if (failed)
		json_object_set_new(t->answer, "error",
				    json_pack("{ss ss ss ss ss ss}", "kind", err_kind_name(e.kind),
					      "next", nexts[e.next], "sqlstate", e.sqlstate,
					      "constraint", e.constraint, "text", e.text, "hint",
					      e.hint));
	json_dumpf(t->answer, stdout, 0);
	putchar('\n');
	fflush(stdout);
	json_decref(GIVE(&t->answer));
}

int main(int argc, char **argv)
{
	struct tool t = { .next_row = 1 };
	struct err e = ERR_INIT;
	char *line = NULL;
	size_t room = 0;

	if (argc != 3 || stop_init(&t.stop, &e) ||
	    conn_parse(&t.conn, strcmp(argv[1], "source") ? PG_TARGET : PG_SOURCE, argv[2], &e)) {
		fprintf(stderr, "%s\n", argc == 3 ? e.text : "pg_tool source|target URI");
		return 2;
	}
	while (getline(&line, &room, stdin) > 0)
		answer_line(&t, line);
	free(line);
	pg_close(t.pg);
	conn_free(t.conn);
	stop_done(&t.stop);
	return 0;
}
