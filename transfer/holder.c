/* holder - the copier's side: start the process, find it again, end it. */
#include "transfer/holder.h"

#include "common/clock.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_MS ((uint64_t)4000)

static json_t *task_json(const char *dir, const char *run, const struct holder_relation *relations,
			 int n, uint64_t ttl_ms)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_pack("[s,I,I]", relations[i].qname,
						      (json_int_t)relations[i].oid,
						      (json_int_t)relations[i].relfilenode));
	return json_pack("{s:s, s:s, s:I, s:o}", "dir", dir, "run", run, "ttl_ms", (json_int_t)ttl_ms,
			 "relations", list);
}

static int make_pipes(int in[2], int out[2], struct err *e)
{
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, ERR_INTERNAL, errno, "cannot make a pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return err_sys(e, ERR_INTERNAL, errno, "cannot make a pipe");
	}
	return 0;
}

/* The password travels in the child's environment, as for pg_dump: never in its arguments. */
static int spawn(const struct conn *source, int in, int out, pid_t *ret, struct err *e)
{
	char name[] = "neonferry", command[] = "__hold";
	char *argv[] = { name, command, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char **env = NULL;
	int rc;

	if (conn_env(source, &env, e) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	rc = posix_spawn(ret, "/proc/self/exe", &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	conn_free_env(env);
	if (rc != 0)
		return err_sys(e, ERR_INTERNAL, rc, "cannot start the snapshot holder");
	return 0;
}

static int write_all(int fd, const char *data, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_INTERNAL, errno, "cannot tell the snapshot holder its task");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static void copy_text(const json_t *j, const char *key, char *buf, size_t size)
{
	const char *s = json_string_value(json_object_get(j, key));

	(void)snprintf(buf, size, "%s", s ? s : "");
}

static void read_info(const json_t *j, struct holder_info *ret)
{
	copy_text(j, "snapshot", ret->snapshot, sizeof(ret->snapshot));
	copy_text(j, "lsn", ret->lsn, sizeof(ret->lsn));
	ret->backend_pid = (int)json_integer_value(json_object_get(j, "backend_pid"));
	ret->pid = (long)json_integer_value(json_object_get(j, "pid"));
}

static int read_error(const json_t *j, struct err *e)
{
	const char *text = json_string_value(json_object_get(j, "error"));
	const char *hint = json_string_value(json_object_get(j, "hint"));

	err_set(e, (enum err_kind)json_integer_value(json_object_get(j, "kind")), "%s", text);
	e->next = (enum err_next)json_integer_value(json_object_get(j, "next"));
	copy_text(j, "sqlstate", e->sqlstate, sizeof(e->sqlstate));
	if (hint && *hint)
		err_hint(e, "%s", hint);
	return err_note(e, "taking the snapshot");
}

/* One line of the holder: 1 = the snapshot stands, 0 = a note, -1 = it failed. */
static int take_line(const char *line, holder_note_fn *note, void *ctx, struct holder_info *ret,
		     struct err *e)
{
	json_t *j = json_loads(line, 0, NULL);
	const char *sentence = json_string_value(json_object_get(j, "note"));
	int rc = 0;

	if (json_object_get(j, "snapshot")) {
		read_info(j, ret);
		rc = 1;
	} else if (json_object_get(j, "error")) {
		rc = read_error(j, e);
	} else if (sentence && note) {
		note(ctx, sentence);
	}
	json_decref(j);
	return rc;
}

/* Reads lines until the snapshot stands, an error, or the end. */
static int listen_to(int fd, struct stop *stop, holder_note_fn *note, void *ctx,
		     struct holder_info *ret, struct err *e)
{
	char buf[8192];
	size_t len = 0;

	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
				       { .fd = stop ? stop->drain_fd : -1, .events = POLLIN } };
		ssize_t n;
		char *end;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, ERR_INTERNAL, errno, "cannot wait for the snapshot holder");
		if (p[1].revents)
			return stop_err(e);
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_INTERNAL, "the snapshot holder ended without a word");
		len += (size_t)n;
		buf[len] = '\0';
		while ((end = strchr(buf, '\n'))) {
			int rc;

			*end = '\0';
			rc = take_line(buf, note, ctx, ret, e);
			if (rc != 0)
				return rc < 0 ? -1 : 0;
			len -= (size_t)(end + 1 - buf);
			memmove(buf, end + 1, len + 1);
		}
		if (len == sizeof(buf) - 1)
			return err_set(e, ERR_INTERNAL, "the snapshot holder sent an endless line");
	}
}

int holder_start(const char *dir, const struct conn *source, const char *run,
		 const struct holder_relation *relations, int n, uint64_t ttl_ms, struct stop *stop,
		 holder_note_fn *note, void *ctx, struct holder_info *ret, struct err *e)
{
	json_t *task = task_json(dir, run, relations, n, ttl_ms);
	AUTO(free) char *text = task ? json_dumps(task, JSON_COMPACT) : NULL;
	int in[2], out[2], rc;
	pid_t pid = 0;

	json_decref(task);
	if (!text)
		return err_nomem(e);
	if (make_pipes(in, out, e) < 0)
		return -1;
	rc = spawn(source, in[0], out[1], &pid, e);
	close(in[0]);
	close(out[1]);
	if (rc == 0)
		rc = write_all(in[1], text, strlen(text), e);
	close(in[1]);
	if (rc == 0)
		rc = listen_to(out[0], stop, note, ctx, ret, e);
	close(out[0]);
	if (rc < 0 && pid > 0) {
		kill(pid, SIGKILL); /* it holds nothing yet, and may be waiting for a lock */
		waitpid(pid, NULL, 0);
	}
	return rc;
}

/* Who has holder.lock: a pid, 0 where that cannot be told (another machine's), -1: nobody. */
static pid_t holder_pid(const char *dir)
{
	AUTO(free) char *path = file_path(dir, "holder.lock");
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	int rc;

	if (fd < 0)
		return -1;
	rc = fcntl(fd, F_GETLK, &lock);
	close(fd);
	if (rc < 0 || lock.l_type == F_UNLCK)
		return -1;
	return lock.l_pid > 1 ? lock.l_pid : 0;
}

bool holder_lives(const char *dir)
{
	return holder_pid(dir) >= 0;
}

static int load_info(const char *dir, struct holder_info *ret)
{
	AUTO(free) char *path = file_path(dir, "holder.json");
	struct err ignored = ERR_INIT;
	json_t *j = NULL;

	*ret = (struct holder_info){ 0 };
	if (!path || file_read_json(path, &j, &ignored) < 0)
		return -1;
	read_info(j, ret);
	json_decref(j);
	return 0;
}

int holder_find(const char *dir, struct pg *pg, struct holder_info *ret, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	struct holder_info info;
	struct err tried = ERR_INIT;

	if (!holder_lives(dir) || load_info(dir, &info) < 0)
		return 0;
	if (pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", e) < 0)
		return -1;
	text_add(&sql, "SET TRANSACTION SNAPSHOT ");
	text_add_literal(&sql, info.snapshot);
	if (pg_exec(pg, text_str(&sql), &tried) < 0) {
		pg_rollback(pg);
		/* Only the server knows that it is gone; a stop, say, tells nothing. */
		if (tried.next == ERR_GIVE_UP && tried.sqlstate[0])
			return 0;
		*e = tried;
		return -1;
	}
	pg_rollback(pg);
	*ret = info;
	return 1;
}

/* A holder that waits for a lock hears SIGTERM after some seconds only: so long, then it is killed. */
void holder_release(const char *dir)
{
	uint64_t deadline = clock_deadline(END_MS), last = clock_deadline(2 * END_MS);
	pid_t pid;

	while ((pid = holder_pid(dir)) >= 0 && clock_left(last) > 0) {
		struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

		if (pid > 0) {
			kill(pid, clock_left(deadline) > 0 ? SIGTERM : SIGKILL);
			(void)waitpid(pid, NULL, WNOHANG); /* it may be our child */
		}
		nanosleep(&pause, NULL);
	}
}
