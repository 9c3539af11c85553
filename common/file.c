#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define JSON_LIMIT ((size_t)1 << 30)

UNUSED static inline void auto_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

char *file_path(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int make_one(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return err_sys(e, ERR_DISK, errno == EEXIST ? ENOTDIR : errno, "cannot make the folder %s",
		       path);
}

int file_mkdir(const char *path, struct err *e)
{
	AUTO(free) char *copy = strdup(path);

	if (!copy)
		return err_nomem(e);
	for (char *p = copy + 1; copy[0] && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (make_one(copy, e))
			return -1;
		*p = '/';
	}
	return make_one(copy, e);
}

int file_sync_dir(const char *dir, struct err *e)
{
	AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return err_sys(e, ERR_DISK, errno, "cannot sync the folder %s", dir);
	return 0;
}

static int sync_parent(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO(free) char *dir = NULL;

	if (!slash)
		return file_sync_dir(".", e);
	dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	return dir ? file_sync_dir(dir, e) : err_nomem(e);
}

/* Returns 0, or an errno. */
static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What a new file gets. Returns 0, or an errno. */
struct content {
	const void *data;
	size_t len;
	int from; /* another file; -1: the data */
};

static int fill(int fd, const struct content *c)
{
	ssize_t n;

	if (c->from < 0)
		return write_all(fd, c->data, c->len);
	while ((n = sendfile(fd, c->from, NULL, 1 << 20)) != 0)
		if (n < 0 && errno != EINTR)
			return errno;
	return 0;
}

/* Closes fd. Returns 0, or an errno. */
static int fill_and_close(int fd, const struct content *c)
{
	int sys_errno = fill(fd, c);

	if (!sys_errno && fsync(fd))
		sys_errno = errno;
	if (close(fd) && !sys_errno)
		sys_errno = errno;
	return sys_errno;
}

static int replace(const char *path, const struct content *c, struct err *e)
{
	AUTO(free) char *temporary = NULL;
	int fd, sys_errno;

	if (asprintf(&temporary, "%s.tmp-XXXXXX", path) < 0) {
		temporary = NULL;
		return err_nomem(e);
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", path);
	sys_errno = fill_and_close(fd, c);
	if (!sys_errno && rename(temporary, path))
		sys_errno = errno;
	if (sys_errno) {
		unlink(temporary);
		return err_sys(e, ERR_DISK, sys_errno, "cannot write %s", path);
	}
	return sync_parent(path, e);
}

int file_write(const char *path, const void *data, size_t len, struct err *e)
{
	return replace(path, &(struct content){ .data = data, .len = len, .from = -1 }, e);
}

int file_copy(const char *from, const char *to, struct err *e)
{
	AUTO(fd) int fd = open(from, O_RDONLY | O_CLOEXEC);
	struct stat ours, theirs;

	if (fd < 0 || fstat(fd, &ours))
		return err_sys(e, ERR_DISK, errno, "cannot read %s", from);
	if (stat(to, &theirs) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return 0;
	return replace(to, &(struct content){ .from = fd }, e);
}

int file_write_json(const char *path, const json_t *value, struct err *e)
{
	AUTO(free) char *text = json_dumps(value, JSON_INDENT(1) | JSON_ENCODE_ANY);

	return text ? file_write(path, text, strlen(text), e) : err_nomem(e);
}

static int too_long(const char *path, size_t limit, struct err *e)
{
	return err_set(e, ERR_DISK, "%s is longer than %zu bytes", path, limit);
}

/* Reads to the end, whatever fstat() said: a file of /proc has no size. */
static int read_all(int fd, const char *path, size_t limit, char **ret, size_t *ret_len,
		    struct err *e)
{
	size_t cap = 64 << 10, len = 0;
	AUTO(free) char *data = malloc(cap);

	for (;;) {
		ssize_t n;

		if (!data)
			return err_nomem(e);
		n = read(fd, data + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_DISK, errno, "cannot read %s", path);
		len += (size_t)n;
		if (len > limit)
			return too_long(path, limit, e);
		if (n == 0)
			break;
		if (len + 1 == cap) {
			char *more = realloc(data, cap *= 2);

			if (!more)
				return err_nomem(e);
			data = more;
		}
	}
	data[len] = '\0';
	*ret = GIVE(&data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int file_read(const char *path, size_t limit, char **ret, size_t *ret_len, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, ERR_DISK, errno, "cannot read %s", path);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
		return too_long(path, limit, e);
	return read_all(fd, path, limit, ret, ret_len, e);
}

int file_read_json(const char *path, json_t **ret, struct err *e)
{
	AUTO(free) char *text = NULL;
	json_error_t where;
	json_t *value;
	size_t len;

	if (file_read(path, JSON_LIMIT, &text, &len, e))
		return -1;
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
	if (!value)
		return err_set(e, ERR_DISK, "%s is damaged: line %d, column %d: %s", path,
			       where.line, where.column, where.text);
	*ret = value;
	return 0;
}

/* Removes one entry of the walk. Returns 0, or an errno. */
static int remove_entry(const FTSENT *entry)
{
	switch (entry->fts_info) {
	case FTS_D: /* comes again as FTS_DP, when it is empty */
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		return entry->fts_errno == ENOENT ? 0 : entry->fts_errno;
	case FTS_DP:
		return rmdir(entry->fts_accpath) && errno != ENOENT ? errno : 0;
	default:
		return unlink(entry->fts_accpath) && errno != ENOENT ? errno : 0;
	}
}

int file_remove_tree(const char *path, struct err *e)
{
	AUTO(free) char *copy = strdup(path);
	char *const roots[] = { copy, NULL };
	int result = 0;
	FTSENT *entry;
	FTS *walk;

	if (!copy)
		return err_nomem(e);
	walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!walk)
		return err_sys(e, ERR_DISK, errno, "cannot read %s", path);
	while (!result && (entry = fts_read(walk))) {
		int sys_errno = remove_entry(entry);

		if (sys_errno)
			result = err_sys(e, ERR_DISK, sys_errno, "cannot remove %s",
					 entry->fts_path);
	}
	if (!result && errno) /* fts_read() ends with errno 0 when it saw everything */
		result = err_sys(e, ERR_DISK, errno, "cannot read %s", path);
	fts_close(walk);
	return result;
}

static int hash_file(int fd, EVP_MD_CTX *ctx, const char *path, struct err *e)
{
	AUTO(free) char *block = malloc(1 << 20);
	ssize_t n;

	if (!block || !ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return err_nomem(e);
	while ((n = read(fd, block, 1 << 20)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_DISK, errno, "cannot read %s", path);
		if (!EVP_DigestUpdate(ctx, block, (size_t)n))
			return err_nomem(e);
	}
	return 0;
}

int file_sha256(const char *path, char ret_hex[65], struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char hash[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx;
	int result;

	if (fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot read %s", path);
	ctx = EVP_MD_CTX_new();
	result = hash_file(fd, ctx, path, e);
	if (!result && !EVP_DigestFinal_ex(ctx, hash, NULL))
		result = err_nomem(e);
	EVP_MD_CTX_free(ctx);
	for (int i = 0; !result && i < 32; i++)
		snprintf(ret_hex + 2 * (size_t)i, 3, "%02x", hash[i]);
	return result;
}

int file_lock(const char *path, int *ret_fd, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int sys_errno;

	if (fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot open the lock file %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*ret_fd = fd;
		return 0;
	}
	sys_errno = errno;
	close(fd);
	if (sys_errno == EWOULDBLOCK)
		return 1;
	return err_sys(e, ERR_DISK, sys_errno, "cannot lock %s", path);
}
