#include "transfer/rundir.h"

#include "common/clock.h"
#include "common/file.h"
#include "schema/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *rundir_file(const struct rundir *d, const char *name)
{
	return file_path(d->path, name);
}

bool rundir_is_run(const char *path)
{
	AUTO(free) char *file = file_path(path, "run.json");

	return file && file_exists(file);
}

/* Nothing is in it but what is made before a run. */
static bool is_empty(const char *path)
{
	static const char *const known[] = { ".", "..", RUNDIR_BACKUP, RUNDIR_RESTORE_POINT };
	DIR *d = opendir(path);
	struct dirent *entry;
	bool empty = true;

	while (d && (entry = readdir(d))) {
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			is_known |= strcmp(entry->d_name, known[i]) == 0;
		empty &= is_known;
	}
	if (d)
		closedir(d);
	return empty;
}

/* "20261121-010203-4f2a": sorts by time, unique enough for one ledger. */
static void new_name(char name[41])
{
	uint16_t salt = 0;
	time_t now = time(NULL);
	struct tm tm;

	(void)!getrandom(&salt, sizeof(salt), 0);
	gmtime_r(&now, &tm);
	(void)snprintf(name, 41, "%04d%02d%02d-%02d%02d%02d-%04x", (tm.tm_year + 1900) % 10000,
		       (tm.tm_mon + 1) % 100, tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
		       tm.tm_sec % 100, (unsigned)salt);
}

static int set_path(struct rundir *d, const char *path, struct err *e)
{
	char full[PATH_MAX];

	if (!realpath(path, full))
		return err_sys(e, ERR_DISK, errno, "cannot open the run folder %s", path);
	d->path = strdup(full);
	d->spill = d->path ? rundir_file(d, "spill") : NULL;
	return d->spill ? 0 : err_nomem(e);
}

static char *default_path(const char *name)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err ignored = ERR_INIT;

	text_addf(&t, "neonferry-runs/%s", name);
	return text_take(&t, &ignored);
}

int rundir_renew(struct rundir *d, const json_t *identity, struct err *e)
{
	AUTO(free) char *file = rundir_file(d, "run.json");
	json_t *copy = json_deep_copy(identity);

	if (!copy || !file) {
		json_decref(copy);
		return err_nomem(e);
	}
	json_object_set_new(copy, "run", json_string(d->name));
	json_decref(d->identity);
	d->identity = copy;
	return file_write_json(file, copy, e);
}

int rundir_prepare(const char *path, struct err *e)
{
	if (rundir_is_run(path))
		return 0;
	if (file_mkdir(path, e) < 0) {
		err_hint(e, "name a folder that can be made here: --run-dir DIR");
		return err_note(e, "making the run folder");
	}
	if (is_empty(path))
		return 0;
	err_set(e, ERR_USAGE, "the run folder %s is not empty and holds no run", path);
	return err_hint(e, "name an empty or a new folder with --run-dir");
}

bool rundir_holds(const char *path, const char *file)
{
	char folder[PATH_MAX], of_file[PATH_MAX];
	AUTO(free) char *copy = strdup(file);
	char *slash = copy ? strrchr(copy, '/') : NULL;
	size_t len;

	if (slash)
		*slash = '\0';
	if (!realpath(path, folder) || !realpath(!slash ? "." : slash == copy ? "/" : copy, of_file))
		return false;
	len = strlen(folder);
	return strncmp(of_file, folder, len) == 0 && (of_file[len] == '/' || !of_file[len]);
}

int rundir_create(struct rundir *d, const char *path, const json_t *identity, struct err *e)
{
	AUTO(free) char *fallback = NULL;

	*d = (struct rundir){ .lock_fd = -1 };
	new_name(d->name);
	if (!path)
		path = fallback = default_path(d->name);
	if (!path)
		return err_nomem(e);
	if (rundir_prepare(path, e) < 0)
		return -1;
	if (set_path(d, path, e) < 0 || file_mkdir(d->spill, e) < 0 || rundir_lock(d, e) < 0)
		return -1;
	if (chmod(d->path, 0700) < 0)
		return err_sys(e, ERR_DISK, errno, "cannot close %s to others", d->path);
	return rundir_renew(d, identity, e);
}

static int read_identity(struct rundir *d, struct err *e)
{
	AUTO(free) char *file = rundir_file(d, "run.json");
	const char *name;

	if (!file)
		return err_nomem(e);
	if (file_read_json(file, &d->identity, e) < 0)
		return -1;
	name = json_string_value(json_object_get(d->identity, "run"));
	if (!name || !ledger_run_name_ok(name)) {
		err_set(e, ERR_DISK, "%s names no run", file);
		return err_hint(e, "put the file of that run back, or name another folder");
	}
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	return 0;
}

int rundir_open(struct rundir *d, const char *path, struct err *e)
{
	AUTO(free) char *named = NULL;

	*d = (struct rundir){ .lock_fd = -1 };
	if (!rundir_is_run(path)) {
		named = default_path(path);
		if (!named || !rundir_is_run(named)) {
			err_set(e, ERR_USAGE, "there is no run in %s", path);
			return err_hint(e, "name the folder given to --run-dir, or a name below "
					   "./neonferry-runs");
		}
		path = named;
	}
	if (set_path(d, path, e) < 0)
		return -1;
	return read_identity(d, e);
}

int rundir_lock(struct rundir *d, struct err *e)
{
	AUTO(free) char *file = rundir_file(d, "run.lock");
	int rc;

	if (!file)
		return err_nomem(e);
	rc = file_lock(file, &d->lock_fd, e);
	if (rc <= 0)
		return rc;
	d->lock_fd = -1;
	err_set(e, ERR_RESUME, "another process is working on the run in %s", d->path);
	return err_hint(e, "wait for it, or stop it; neonferry status shows what it does");
}

void rundir_done(struct rundir *d)
{
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	free(d->path);
	free(d->spill);
	json_decref(d->identity);
	*d = (struct rundir){ .lock_fd = -1 };
}
