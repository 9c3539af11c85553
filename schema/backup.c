#include "schema/backup.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/pg.h"
#include "common/program.h"
#include "schema/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct backup {
	const struct conn *source;
	struct stop *stop;
	char *path, *part, *note; /* the file, what it is while it grows, the document beside it */
	char *pg_dump, *pg_restore;
	char *server, *lsn;
	json_int_t entries, tables;
};

static void backup_done(struct backup *b)
{
	if (b->part)
		(void)unlink(b->part);
	free(b->path);
	free(b->part);
	free(b->note);
	free(b->pg_dump);
	free(b->pg_restore);
	free(b->server);
	free(b->lsn);
}

static int refuse_existing(const char *path, struct err *e)
{
	if (!file_exists(path))
		return 0;
	err_set(e, ERR_USAGE, "%s is there already", path);
	return err_hint(e, "name another file with --output: a backup never replaces one");
}

static int refuse_folder(const char *path, int why, struct err *e)
{
	err_sys(e, ERR_USAGE, why, "cannot write %s", path);
	return err_hint(e, "name a file in a folder that is there and may be written, with --output");
}

/* Absolute, because it is recorded; created here, so that two of the same name cannot meet. */
static int name_files(struct backup *b, const char *path, struct err *e)
{
	AUTO(free) char *copy = strdup(path);
	char folder[PATH_MAX];
	char *slash = copy ? strrchr(copy, '/') : NULL;

	if (!copy)
		return err_nomem(e);
	if (slash)
		*slash = '\0';
	if (!realpath(!slash ? "." : slash == copy ? "/" : copy, folder))
		return refuse_folder(path, errno, e);
	b->path = file_path(folder, slash ? slash + 1 : copy);
	if (!b->path || asprintf(&b->note, "%s.json", b->path) < 0)
		return err_nomem(e);
	if (refuse_existing(b->path, e) || refuse_existing(b->note, e))
		return -1;
	AUTO(free) char *part = NULL;
	if (asprintf(&part, "%s.part", b->path) < 0)
		return err_nomem(e);
	int fd = open(part, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST) {
		err_set(e, ERR_USAGE, "%s is there already: another backup is at work, or one was killed",
			part);
		return err_hint(e, "remove it if no backup is at work, or name another file with --output");
	}
	if (fd < 0)
		return refuse_folder(path, errno, e);
	close(fd);
	b->part = GIVE(&part); /* ours from here on */
	return 0;
}

static int ask_server(struct backup *b, struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;

	if (pg_open(&pg, b->source, "backup", b->stop, e) ||
	    pg_value(pg, "SELECT pg_catalog.current_setting('server_version')", &b->server, e) ||
	    pg_value(pg,
		     "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN "
		     "pg_catalog.pg_current_wal_lsn() END",
		     &b->lsn, e))
		return -1;
	return archive_find_tools(pg_version(pg) / 10000, &b->pg_dump, &b->pg_restore, e);
}

static int dump(struct backup *b, struct err *e)
{
	const char *const argv[] = { b->pg_dump,  "--format=custom", "--no-password", "--file",
				     b->part, NULL };
	char **env = NULL;

	if (conn_env(b->source, &env, e))
		return -1;
	struct program p = { .argv = argv, .env = env, .blame = ERR_SOURCE, .stop = b->stop };
	int failed = program_run(&p, NULL, e);
	conn_free_env(env);
	return failed;
}

/* Lines of the list that begin with ";" are comments. */
static void count_entries(struct backup *b, const char *list)
{
	for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, "\n");
		const char *data = strstr(line, " TABLE DATA ");

		if (len == 0 || *line == ';')
			continue;
		b->entries++;
		b->tables += data && data < line + len;
	}
}

/* The list needs the table of contents alone; writing it out as SQL unpacks every block. */
static int prove(struct backup *b, struct err *e)
{
	AUTO_TEXT struct text list = TEXT_INIT;
	const char *const listing[] = { b->pg_restore, "--list", b->part, NULL };
	const char *const reading[] = { b->pg_restore, "--file=/dev/null", b->part, NULL };
	struct program p = { .argv = listing, .blame = ERR_DISK, .stop = b->stop };

	if (program_run(&p, &list, e))
		return err_note(e, "listing the backup");
	count_entries(b, text_str(&list));
	p.argv = reading;
	if (program_run(&p, NULL, e))
		return err_note(e, "reading the backup again");
	return 0;
}

static int keep(struct backup *b, struct err *e)
{
	AUTO(free) char *folder = strdup(b->path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	int fd = open(b->part, O_RDONLY | O_CLOEXEC);
	bool failed = fd < 0 || fsync(fd) < 0 || rename(b->part, b->path) < 0;
	int why = errno;

	if (fd >= 0)
		close(fd);
	if (!folder)
		return err_nomem(e);
	if (failed)
		return err_sys(e, ERR_DISK, why, "cannot keep %s", b->path);
	free(GIVE(&b->part));
	slash[slash == folder] = '\0';
	return file_sync_dir(folder, e);
}

static int describe(json_t **ret, const struct backup *b, const char *began, uint64_t ms,
		    struct err *e)
{
	struct stat st;
	char sha256[65];

	if (stat(b->path, &st) < 0)
		return err_sys(e, ERR_DISK, errno, "cannot look at %s", b->path);
	if (file_sha256(b->path, sha256, e))
		return -1;
	*ret = json_pack("{s:s, s:I, s:s, s:I, s:I, s:s, s:s, s:s, s:s?, s:s, s:I}", "file", b->path,
			 "bytes", (json_int_t)st.st_size, "sha256", sha256, "entries", b->entries,
			 "tables", b->tables, "source", conn_label(b->source), "server", b->server,
			 "program", b->pg_dump, "lsn", b->lsn, "began", began, "ms", (json_int_t)ms);
	return *ret ? 0 : err_nomem(e);
}

int backup_make(json_t **ret, const struct conn *source, const char *path, struct stop *stop,
		struct err *e)
{
	struct backup b = { .source = source, .stop = stop };
	uint64_t started = clock_ms();
	char began[CLOCK_ISO_LEN];

	clock_iso(began);
	*ret = NULL;
	int failed = name_files(&b, path, e) || ask_server(&b, e) || dump(&b, e) || prove(&b, e) ||
		     keep(&b, e) || describe(ret, &b, began, clock_ms() - started, e) ||
		     file_write_json(b.note, *ret, e);
	if (failed) {
		json_decref(*ret);
		*ret = NULL;
	}
	backup_done(&b);
	return failed ? -1 : 0;
}
