/*
 * badio - a disk that fails as a test wants it to; loaded in front of the C library.
 *
 *   LD_PRELOAD=badio.so BADIO='pwrite EIO /spill/ 3 1; pread short /spill/' neonferry ...
 *
 * A rule is: call, what happens, a part of the file's path, the first call that it meets (1) and how
 * many from there on (all). Calls: pwrite, pread, write, read, open, access, rename, fsync, fdatasync.
 * What happens: EIO, ENOSPC, EROFS, EINTR (every second call, so that whoever tries again gets on),
 * short: a third of the bytes is done, or wait: done a second later. Calls are counted over all
 * threads. Other programs that a test starts are left alone: rules hold only where the program's name
 * is BADIO_PROGRAM (neonferry).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define RULES_MOST 16
#define SHORT      (-1)
#define WAIT       (-2)

struct rule {
	char call[16], path[64];
	int happens; /* an errno, SHORT or WAIT */
	long first, times;
	_Atomic long seen;
};

static struct rule rules[RULES_MOST];
static int n_rules;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int errno_of(const char *name)
{
	static const struct {
		const char *name;
		int value;
	} known[] = { { "EIO", EIO },     { "ENOSPC", ENOSPC }, { "EROFS", EROFS },
		      { "EINTR", EINTR }, { "short", SHORT },   { "wait", WAIT } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, name))
			return known[i].value;
	fprintf(stderr, "badio: \"%s\" cannot happen\n", name);
	abort();
}

static void add_rule(const char *text)
{
	struct rule *r = &rules[n_rules];
	char happens[16];

	r->first = 1;
	r->times = LONG_MAX / 2;
	if (n_rules == RULES_MOST ||
	    sscanf(text, " %15s %15s %63s %ld %ld", r->call, happens, r->path, &r->first, &r->times) < 3) {
		fprintf(stderr, "badio: \"%s\" is no rule\n", text);
		abort();
	}
	r->happens = errno_of(happens);
	n_rules++;
}

static bool is_meant(void)
{
	const char *wanted = getenv("BADIO_PROGRAM");

	return !strcmp(program_invocation_short_name, wanted ? wanted : "neonferry");
}

static void read_rules(void)
{
	const char *given = getenv("BADIO");
	char *copy = given && is_meant() ? strdup(given) : NULL, *rest = copy, *one;

	while ((one = strsep(&rest, ";")))
		if (one[strspn(one, " ")])
			add_rule(one);
	free(copy);
}

static int wait_a_moment(void)
{
	nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	return 0;
}

/* What happens to this call: 0 (nothing more), an errno, or SHORT. */
static int verdict(const char *call, const char *path)
{
	for (int i = 0; i < n_rules; i++) {
		struct rule *r = &rules[i];
		long no;

		if (strcmp(r->call, call) || !strstr(path, r->path))
			continue;
		no = atomic_fetch_add(&r->seen, 1) + 1;
		if (no < r->first || no >= r->first + r->times)
			continue;
		if (r->happens == WAIT)
			return wait_a_moment();
		if (r->happens != EINTR || no % 2)
			return r->happens;
	}
	return 0;
}

static int verdict_fd(const char *call, int fd)
{
	char link[64], path[PATH_MAX] = "";
	ssize_t n;

	pthread_once(&once, read_rules);
	if (!n_rules)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return verdict(call, path);
}

static int verdict_at(const char *call, int dir, const char *name)
{
	char link[64], path[2 * PATH_MAX] = "";
	ssize_t n = 0;

	pthread_once(&once, read_rules);
	if (!n_rules)
		return 0;
	if (name[0] != '/' && dir != AT_FDCWD) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
		n = readlink(link, path, PATH_MAX);
	}
	snprintf(path + (n > 0 ? n : 0), PATH_MAX, "/%s", name);
	return verdict(call, path);
}

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found) {
		fprintf(stderr, "badio: there is no %s\n", name);
		abort();
	}
	return found;
}

/* Of n bytes. */
static size_t third(int happens, size_t n)
{
	return happens == SHORT && n > 2 ? n / 3 : n;
}

static int fail(int happens)
{
	errno = happens;
	return -1;
}

#define TRANSFER(name, call, buffer)                                                               \
	EXPORT ssize_t name(int fd, buffer buf, size_t n, off_t at);                               \
	EXPORT ssize_t name(int fd, buffer buf, size_t n, off_t at)                                \
	{                                                                                          \
		static ssize_t (*real)(int, buffer, size_t, off_t);                                \
		int happens = verdict_fd(call, fd);                                                \
                                                                                                   \
		if (!real)                                                                         \
			*(void **)&real = next(#name);                                             \
		return happens > 0 ? fail(happens) : real(fd, buf, third(happens, n), at);         \
	}
typedef const void *const_buffer;
typedef void *some_buffer;
TRANSFER(pwrite, "pwrite", const_buffer)
TRANSFER(pwrite64, "pwrite", const_buffer)
TRANSFER(pread, "pread", some_buffer)
TRANSFER(pread64, "pread", some_buffer)

#define STREAM(name, buffer)                                                                       \
	EXPORT ssize_t name(int fd, buffer buf, size_t n);                                         \
	EXPORT ssize_t name(int fd, buffer buf, size_t n)                                          \
	{                                                                                          \
		static ssize_t (*real)(int, buffer, size_t);                                       \
		int happens = verdict_fd(#name, fd);                                               \
                                                                                                   \
		if (!real)                                                                         \
			*(void **)&real = next(#name);                                             \
		return happens > 0 ? fail(happens) : real(fd, buf, third(happens, n));             \
	}
STREAM(write, const_buffer)
STREAM(read, some_buffer)

#define SYNC(name)                                                                                 \
	EXPORT int name(int fd);                                                                   \
	EXPORT int name(int fd)                                                                    \
	{                                                                                          \
		static int (*real)(int);                                                           \
		int happens = verdict_fd(#name, fd);                                               \
                                                                                                   \
		if (!real)                                                                         \
			*(void **)&real = next(#name);                                             \
		return happens > 0 ? fail(happens) : real(fd);                                     \
	}
SYNC(fsync)
SYNC(fdatasync)

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	static int (*real)(int, const char *, int, const char *);
	int happens = verdict_at("rename", to_dir, to);

	if (!real)
		*(void **)&real = next("renameat");
	return happens > 0 ? fail(happens) : real(from_dir, from, to_dir, to);
}

EXPORT int rename(const char *from, const char *to)
{
	static int (*real)(const char *, const char *);
	int happens = verdict_at("rename", AT_FDCWD, to);

	if (!real)
		*(void **)&real = next("rename");
	return happens > 0 ? fail(happens) : real(from, to);
}

#define OPEN(name, ...)                                                                            \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list more;                                                                      \
                                                                                                   \
		va_start(more, flags);                                                             \
		if (flags & (O_CREAT | O_TMPFILE))                                                 \
			mode = va_arg(more, mode_t);                                               \
		va_end(more);                                                                      \
		if (!real)                                                                         \
			*(void **)&real = next(name);                                              \
		return happens > 0 ? fail(happens) : real(__VA_ARGS__, flags, mode);               \
	}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	static int (*real)(int, const char *, int, ...);
	int happens = verdict_at("open", dir, path);

	OPEN("openat", dir, path)
}

EXPORT int open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	int happens = verdict_at("open", AT_FDCWD, path);

	OPEN("open", path)
}

EXPORT int access(const char *path, int mode)
{
	static int (*real)(const char *, int);
	int happens = verdict_at("access", AT_FDCWD, path);

	if (!real)
		*(void **)&real = next("access");
	return happens > 0 ? fail(happens) : real(path, mode);
}
