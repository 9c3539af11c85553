/* spillscan - all spill files of a folder. */
#include "transfer/spill.h"

#include "common/file.h"
#include "transfer/blockio.h"
#include "transfer/spillpriv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct scan {
	const char *dir, *run;
	const struct seal_key *key;
	struct chunk **chunks;
	int n, cap;
	void (*damaged)(void *ctx, const char *file, const struct err *why);
	void *ctx;
};

static int keep(struct scan *s, struct chunk *c, struct err *e)
{
	if (s->n == s->cap) {
		int cap = s->cap ? 2 * s->cap : 64;
		struct chunk **more = realloc(s->chunks, (size_t)cap * sizeof(struct chunk *));

		if (!more) {
			chunk_free(c);
			return err_nomem(e);
		}
		s->chunks = more;
		s->cap = cap;
	}
	s->chunks[s->n++] = c;
	return 0;
}

static int read_named(const struct scan *s, const char *name, struct chunk **ret, struct err *e)
{
	AUTO(free) char *path = file_path(s->dir, name);
	AUTO(chunk) struct chunk *c = NULL;
	char own[SPILL_NAME_LEN];

	if (!path)
		return err_nomem(e);
	if (spill_read_header(path, s->run, s->key, &c, e))
		return -1;
	spill_file_name(c, own);
	if (strcmp(name, own))
		return err_set(e, ERR_DISK, "the spill file %s was written as %s", path, own);
	*ret = GIVE(&c);
	return 0;
}

static bool is_chunk(const char *name)
{
	size_t len = strlen(name), suffix = strlen(SPILL_SUFFIX);

	return len > suffix && !strcmp(name + len - suffix, SPILL_SUFFIX);
}

bool spill_is_damage(const struct err *why)
{
	return why->kind == ERR_DISK && why->sys_errno != EMFILE && why->sys_errno != ENFILE &&
	       why->sys_errno != ENOMEM;
}

static int scan_one(struct scan *s, const char *name, struct err *e)
{
	struct err why = ERR_INIT;
	struct chunk *c = NULL;

	if (!is_chunk(name))
		return 0;
	if (!read_named(s, name, &c, &why))
		return keep(s, c, e);
	if (why.sys_errno == ENOENT) /* loaded and removed while we looked */
		return 0;
	if (!spill_is_damage(&why)) {
		*e = why;
		return -1;
	}
	if (s->damaged)
		s->damaged(s->ctx, name, &why);
	return 0;
}

static int scan_dir(struct scan *s, DIR *d, struct err *e)
{
	const struct dirent *entry;

	for (;;) {
		errno = 0;
		entry = readdir(d);
		if (!entry)
			break;
		if (!strncmp(entry->d_name, SPILL_TEMPORARY, strlen(SPILL_TEMPORARY)))
			(void)blockio_remove_stale(dirfd(d), entry->d_name);
		else if (scan_one(s, entry->d_name, e))
			return -1;
	}
	if (errno)
		return err_sys(e, ERR_DISK, errno, "cannot read the spill folder %s", s->dir);
	return 0;
}

void spill_count_files(const char *dir, int *ret_n, uint64_t *ret_bytes)
{
	const struct dirent *entry;
	DIR *d = opendir(dir);
	struct stat st;

	*ret_n = 0;
	*ret_bytes = 0;
	while (d && (entry = readdir(d))) {
		if (!is_chunk(entry->d_name) ||
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		(*ret_n)++;
		*ret_bytes += (uint64_t)st.st_size;
	}
	if (d)
		closedir(d);
}

static int by_place(const void *a, const void *b)
{
	const struct chunk *x = *(struct chunk *const *)a, *y = *(struct chunk *const *)b;

	if (x->plan != y->plan)
		return x->plan < y->plan ? -1 : 1;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	if (x->range != y->range)
		return x->range < y->range ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->route > y->route) - (x->route < y->route);
}

int spill_scan(const char *dir, const char *run, const struct seal_key *key, struct chunk ***ret,
	       int *ret_n, void (*damaged)(void *ctx, const char *file, const struct err *why),
	       void *ctx, struct err *e)
{
	struct scan s = { .dir = dir, .run = run, .key = key, .damaged = damaged, .ctx = ctx };
	DIR *d = opendir(dir);
	int r;

	if (!d)
		return err_sys(e, ERR_DISK, errno, "cannot open the spill folder %s", dir);
	r = scan_dir(&s, d, e);
	closedir(d);
	if (r) {
		while (s.n)
			chunk_free(s.chunks[--s.n]);
		free(s.chunks);
		return -1;
	}
	if (s.n)
		qsort(s.chunks, (size_t)s.n, sizeof(struct chunk *), by_place);
	*ret = s.chunks;
	*ret_n = s.n;
	return 0;
}
