#include "common/program.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* After a polite request to end, so long until SIGKILL. */
#define PROGRAM_END_MS 3000

/* What the parent holds of a running program. Descriptors are -1 once closed. */
struct child {
	pid_t pid;
	int out, err;  /* pipes */
	int failed;    /* errno of a failed exec arrives here */
	uint64_t kill; /* when to kill it for good; CLOCK_NEVER while nobody asked it to end */
	bool stopped;
	char tail[PROGRAM_ERR_LEN * 2]; /* the end of standard error */
	size_t tail_len;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* --- the child's side: only async-signal-safe calls between fork and exec --- */

static _Noreturn void child_main(const struct program *p, const int out[2], const int err[2],
				 const int failed[2], pid_t parent)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, 0);
	dup2(out[1], 1);
	dup2(err[1], 2);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	/* exec takes char *const[] for historical reasons and changes nothing. */
	union {
		const char *const *in;
		char *const *out;
	} argv = { .in = p->argv };
	execvpe(p->argv[0], argv.out, p->env ? p->env : environ);
	int why = errno;
	ssize_t ignored = write(failed[1], &why, sizeof why);
	(void)ignored;
	_exit(127);
}

static int start(const struct program *p, struct child *c, struct err *e)
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 }, failed[2] = { -1, -1 };
	pid_t parent = getpid();

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 ||
	    pipe2(failed, O_CLOEXEC) < 0 || (c->pid = fork()) < 0) {
		int why = errno;
		for (int i = 0; i < 2; i++) {
			close_fd(&out[i]);
			close_fd(&err[i]);
			close_fd(&failed[i]);
		}
		return err_sys(e, ERR_INTERNAL, why, "cannot start %s", p->argv[0]);
	}
	if (c->pid == 0)
		child_main(p, out, err, failed, parent);
	close_fd(&out[1]);
	close_fd(&err[1]);
	close_fd(&failed[1]);
	c->out = out[0];
	c->err = err[0];
	c->failed = failed[0];
	return 0;
}

/* --- the parent's side --- */

static void keep_tail(struct child *c, const char *data, size_t len)
{
	if (len > PROGRAM_ERR_LEN) {
		data += len - PROGRAM_ERR_LEN;
		len = PROGRAM_ERR_LEN;
	}
	if (c->tail_len + len > sizeof c->tail) {
		memmove(c->tail, c->tail + c->tail_len - PROGRAM_ERR_LEN, PROGRAM_ERR_LEN);
		c->tail_len = PROGRAM_ERR_LEN;
	}
	memcpy(c->tail + c->tail_len, data, len);
	c->tail_len += len;
}

static void read_pipe(struct child *c, int *fd, struct text *out)
{
	char buf[65536];
	ssize_t n = read(*fd, buf, sizeof buf);

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0)
		close_fd(fd);
	else if (fd == &c->err)
		keep_tail(c, buf, (size_t)n);
	else if (out)
		text_addn(out, buf, (size_t)n);
}

static void end_child(struct child *c)
{
	if (c->kill == CLOCK_NEVER) {
		kill(c->pid, SIGTERM);
		c->kill = clock_deadline(PROGRAM_END_MS);
	} else if (clock_left(c->kill) == 0) {
		kill(c->pid, SIGKILL);
		c->kill = clock_deadline(PROGRAM_END_MS);
	}
}

/* Until both pipes are closed, which is when the program has ended. */
static void collect(const struct program *p, struct child *c, struct text *out)
{
	while (c->out >= 0 || c->err >= 0) {
		struct pollfd fds[3] = {
			{ .fd = c->out, .events = POLLIN },
			{ .fd = c->err, .events = POLLIN },
			{ .fd = p->stop && !c->stopped ? p->stop->drain_fd : -1, .events = POLLIN },
		};
		if (poll(fds, 3, clock_left(c->kill)) < 0 && errno != EINTR)
			break;
		if (p->stop && stop_level(p->stop) != STOP_NO)
			c->stopped = true;
		if (c->stopped)
			end_child(c);
		if (fds[0].revents)
			read_pipe(c, &c->out, out);
		if (fds[1].revents)
			read_pipe(c, &c->err, NULL);
	}
}

/* The last lines of standard error on one line. */
static void tail_line(struct child *c, char buf[PROGRAM_ERR_LEN + 1])
{
	size_t from = c->tail_len > PROGRAM_ERR_LEN ? c->tail_len - PROGRAM_ERR_LEN : 0;
	size_t len = c->tail_len - from;

	memcpy(buf, c->tail + from, len);
	while (len > 0 && (buf[len - 1] == '\n' || buf[len - 1] == ' '))
		len--;
	buf[len] = '\0';
	for (char *s = buf; (s = strchr(s, '\n'));)
		*s = ' ';
}

static int judge(const struct program *p, struct child *c, int status, struct err *e)
{
	const char *slash = strrchr(p->argv[0], '/');
	const char *name = slash ? slash + 1 : p->argv[0];
	char said[PROGRAM_ERR_LEN + 1];
	int why;

	if (read(c->failed, &why, sizeof why) == (ssize_t)sizeof why)
		return err_sys(e, ERR_USAGE, why, "cannot run %s", p->argv[0]);
	if (c->stopped)
		return stop_err(e);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	tail_line(c, said);
	if (WIFSIGNALED(status))
		return err_set(e, p->blame, "%s was ended by signal %d%s%s", name, WTERMSIG(status),
			       *said ? ": " : "", said);
	return err_set(e, p->blame, "%s failed with status %d%s%s", name, WEXITSTATUS(status),
		       *said ? ": " : "", said);
}

int program_run(const struct program *p, struct text *out, struct err *e)
{
	struct child c = { .out = -1, .err = -1, .failed = -1, .kill = CLOCK_NEVER };
	int status = 0;

	if (p->stop && stop_level(p->stop) != STOP_NO)
		return stop_err(e);
	if (start(p, &c, e) < 0)
		return -1;
	collect(p, &c, out);
	close_fd(&c.out);
	close_fd(&c.err);
	while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
		;
	int rc = judge(p, &c, status, e);
	close_fd(&c.failed);
	return rc == 0 && out ? text_check(out, e) : rc;
}
