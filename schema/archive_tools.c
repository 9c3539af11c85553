#include "schema/archive.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/program.h"
#include "schema/archive_select.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Newest major version whose folder is looked for. */
#define TOOLS_NEWEST 29

/* Where distributions keep the programs of each major version. */
static const char *const version_folders[] = {
	"/usr/lib/postgresql/%d/bin",       "/usr/pgsql-%d/bin",
	"/usr/libexec/postgresql%d",        "/opt/homebrew/opt/postgresql@%d/bin",
	"/usr/local/opt/postgresql@%d/bin", "/usr/local/pgsql-%d/bin",
};

/* The major version that `path --version` prints; 0 when it cannot be run. */
static int tool_version(const char *path)
{
	AUTO_TEXT struct text out = TEXT_INIT;
	struct err ignored = ERR_INIT;
	struct program p = { .argv = (const char *const[]){ path, "--version", NULL } };

	if (access(path, X_OK) < 0 || program_run(&p, &out, &ignored) < 0)
		return 0;
	/* "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)" */
	const char *number = strchr(text_str(&out), ')');
	return number ? (int)strtol(number + 1, NULL, 10) : 0;
}

/* The first pg_dump in PATH, unless it is a wrapper that picks a version of its own. */
static char *find_in_path(void)
{
	const char *path = getenv("PATH");
	AUTO(free) char *copy = strdup(path ? path : "");
	char *save = NULL, real[PATH_MAX];

	for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir;
	     dir = strtok_r(NULL, ":", &save)) {
		AUTO(free) char *file = file_path(dir, "pg_dump");
		if (!file || access(file, X_OK) < 0 || !realpath(file, real))
			continue;
		if (!strstr(real, "pg_wrapper"))
			return GIVE(&file);
	}
	return NULL;
}

static bool try_tool(const char *path, int low, int high, int *ret_version)
{
	int version = tool_version(path);

	if (version < low || version > high)
		return false;
	*ret_version = version;
	return true;
}

/* The pg_dump of the smallest version from major on; malloc'ed, or NULL. */
static char *find_pg_dump(int major)
{
	AUTO(free) char *in_path = find_in_path();
	int version = 0;

	if (in_path && try_tool(in_path, major, major, &version))
		return GIVE(&in_path);
	for (int v = major; v <= TOOLS_NEWEST; v++) {
		for (size_t i = 0; i < ARRAY_LEN(version_folders); i++) {
			char dir[PATH_MAX];
			snprintf(dir, sizeof dir, version_folders[i], v);
			AUTO(free) char *file = file_path(dir, "pg_dump");
			if (file && try_tool(file, v, v, &version))
				return GIVE(&file);
		}
	}
	if (in_path && try_tool(in_path, major, TOOLS_NEWEST, &version))
		return GIVE(&in_path);
	return NULL;
}

static char *sibling(const char *path, const char *name)
{
	AUTO(free) char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash)
		return NULL;
	*slash = '\0';
	return file_path(dir, name);
}

int archive_find_tools(int major, char **ret_pg_dump, char **ret_pg_restore, struct err *e)
{
	AUTO(free) char *dump = find_pg_dump(major);
	AUTO(free) char *restore = dump ? sibling(dump, "pg_restore") : NULL;

	if (!dump) {
		err_set(e, ERR_USAGE, "no pg_dump of version %d or newer was found", major);
		return err_hint(e,
				"install the PostgreSQL client programs of version %d (Debian and "
				"Ubuntu: postgresql-client-%d), or put their folder into PATH",
				major, major);
	}
	if (!restore || access(restore, X_OK) < 0) {
		err_set(e, ERR_USAGE, "there is no pg_restore beside %s", dump);
		return err_hint(e, "install the PostgreSQL client programs completely");
	}
	*ret_pg_dump = GIVE(&dump);
	*ret_pg_restore = GIVE(&restore);
	return 0;
}

/* --- dump --- */

/* Argument list with the strings it needs to own. */
struct args {
	const char **argv;
	int n, max;
	char **owned;
	int n_owned;
	bool failed;
};

static void args_add(struct args *a, const char *s)
{
	if (a->n + 1 >= a->max)
		a->failed = true;
	else
		a->argv[a->n++] = s;
}

static void args_add_value(struct args *a, const char *option, const char *value)
{
	char *s = NULL;

	if (asprintf(&s, "%s=%s", option, value) < 0) {
		a->failed = true;
		return;
	}
	a->owned[a->n_owned++] = s;
	args_add(a, s);
}

static int args_init(struct args *a, struct err *e)
{
	*a = (struct args){ .max = 32 };
	a->argv = calloc((size_t)a->max, sizeof *a->argv);
	a->owned = calloc((size_t)a->max, sizeof *a->owned);
	if (a->argv && a->owned)
		return 0;
	free(a->argv);
	free(a->owned);
	return err_nomem(e);
}

static void args_done(struct args *a)
{
	for (int i = 0; i < a->n_owned; i++)
		free(a->owned[i]);
	free(a->owned);
	free(a->argv);
}

static void dump_args(struct args *a, const char *pg_dump, const struct archive_options *o,
		      const char *file)
{
	static const char *const fixed[] = {
		"--format=custom",
		"--schema-only",
		"--no-password",
		"--no-owner",
		"--no-acl",
		"--no-tablespaces",
		"--no-publications",
		"--no-subscriptions",
		"--no-security-labels",
		"--encoding=UTF8",
		ARCHIVE_LOCK_WAIT_ARG,
		"--exclude-schema=neonferry",
		"--exclude-schema=neon",
		"--exclude-schema=neon_migration",
	};

	args_add(a, pg_dump);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		args_add(a, fixed[i]);
	if (o && o->snapshot)
		args_add_value(a, "--snapshot", o->snapshot);
	args_add_value(a, "--file", file);
}

static int run_pg_dump(const struct conn *source, const char *pg_dump,
		       const struct archive_options *o, const char *file, struct stop *stop,
		       struct err *e)
{
	struct args a;
	char **env = NULL;
	int rc = -1;

	if (args_init(&a, e) < 0)
		return -1;
	dump_args(&a, pg_dump, o, file);
	if (a.failed)
		err_nomem(e);
	else if (conn_env(source, &env, e) == 0) {
		struct program p = {
			.argv = a.argv, .env = env, .blame = ERR_SOURCE, .stop = stop
		};
		rc = program_run(&p, NULL, e);
	}
	conn_free_env(env);
	args_done(&a);
	return rc;
}

/* Its message is in the server's language, but the statement that failed, and the time, are not. */
bool archive_explain_lock(uint64_t began, struct err *e)
{
	enum err_kind kind = e->kind;

	if (kind == ERR_STOPPED || !strstr(e->text, "IN ACCESS SHARE MODE") ||
	    clock_ms() - began < ARCHIVE_LOCK_WAIT_S * 1000)
		return false;
	*e = ERR_INIT;
	err_set(e, kind, "a table is locked: pg_dump waited %d s for it", ARCHIVE_LOCK_WAIT_S);
	err_hint(e, "end or cancel the statement that holds the lock or waits for it "
		    "(pg_stat_activity shows it), then try again");
	return true;
}

/* Who waits for an exclusive lock stands in front of pg_dump: not for ever, and not without a word. */
static int dump_patiently(const struct conn *source, const char *pg_dump,
			  const struct archive_options *o, const char *file, struct stop *stop,
			  struct err *e)
{
	for (int tries = 1;; tries++) {
		uint64_t began = clock_ms();

		if (run_pg_dump(source, pg_dump, o, file, stop, e) == 0)
			return 0;
		if (!archive_explain_lock(began, e) || !o || !o->locked)
			return -1;
		*e = ERR_INIT;
		if (o->locked(o->ctx, tries, e) < 0)
			return -1;
	}
}

/* Durable under its own name only when it is whole. */
static int keep_file(const char *part, const char *path, struct err *e)
{
	AUTO(free) char *dir = strdup(path);
	int fd = open(part, O_RDONLY | O_CLOEXEC);

	if (!dir)
		err_nomem(e);
	if (!dir || fd < 0 || fsync(fd) < 0 || rename(part, path) < 0) {
		if (dir)
			err_sys(e, ERR_DISK, errno, "cannot keep %s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	char *slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	return file_sync_dir(slash ? (*dir ? dir : "/") : ".", e);
}

/* --- the choice of tables, beside the archive --- */

static char *choice_path(const char *path)
{
	char *s = NULL;

	return asprintf(&s, "%s.tables", path) < 0 ? NULL : s;
}

static json_t *names_json(const char *const *names, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static int write_choice(const char *path, const struct archive_options *o, struct err *e)
{
	AUTO(free) char *file = choice_path(path);

	if (!file)
		return err_nomem(e);
	if (!o || (o->n_tables == 0 && o->n_excluded == 0)) {
		unlink(file);
		return 0;
	}
	json_t *choice = json_pack("{s:o, s:o}", "tables", names_json(o->tables, o->n_tables),
				   "excluded", names_json(o->excluded, o->n_excluded));
	int rc = choice ? file_write_json(file, choice, e) : err_nomem(e);
	json_decref(choice);
	return rc;
}

/* The strings of a JSON array, borrowed; malloc'ed. */
static const char **names_of(const json_t *list, int *ret_n)
{
	size_t n = json_array_size(list);
	const char **names = calloc(n + 1, sizeof *names);

	for (size_t i = 0; names && i < n; i++) {
		const char *name = json_string_value(json_array_get(list, i));
		names[i] = name ? name : "";
	}
	*ret_n = (int)n;
	return names;
}

static int apply_choice(struct archive *a, const char *path, struct err *e)
{
	AUTO(free) char *file = choice_path(path);
	json_t *choice = NULL;
	int n_tables, n_excluded;

	if (!file)
		return err_nomem(e);
	if (!file_exists(file))
		return 0;
	if (file_read_json(file, &choice, e) < 0)
		return -1;
	const char **tables = names_of(json_object_get(choice, "tables"), &n_tables);
	const char **excluded = names_of(json_object_get(choice, "excluded"), &n_excluded);
	int rc = tables && excluded ? archive_select(a, tables, n_tables, excluded, n_excluded, e)
				    : err_nomem(e);
	free(tables);
	free(excluded);
	json_decref(choice);
	return rc;
}

int archive_dump(const struct conn *source, int source_version, const struct archive_options *o,
		 const char *path, struct stop *stop, struct err *e)
{
	AUTO(free) char *pg_dump = NULL;
	AUTO(free) char *pg_restore = NULL;
	AUTO(free) char *part = NULL;

	if (archive_find_tools(source_version / 10000, &pg_dump, &pg_restore, e) < 0)
		return -1;
	if (asprintf(&part, "%s.part", path) < 0) {
		part = NULL;
		return err_nomem(e);
	}
	unlink(part);
	int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", part);
	close(fd);
	if (dump_patiently(source, pg_dump, o, part, stop, e) < 0 || write_choice(path, o, e) < 0 ||
	    keep_file(part, path, e) < 0) {
		unlink(part);
		return err_note(e, "reading the schema of the source with pg_dump");
	}
	return 0;
}

/* --- read --- */

static int restore_text(const char *pg_restore, const char *path, enum archive_section section,
			bool list, struct stop *stop, struct text *ret, struct err *e)
{
	const char *which =
		section == ARCHIVE_PRE_DATA ? "--section=pre-data" : "--section=post-data";
	/* Verbose gives the script its headers, but makes the list forget the section. */
	const char *const argv[] = {
		pg_restore,
		"--no-owner",
		"--no-acl",
		"--no-tablespaces",
		which,
		path,
		list ? "--list" : "--file=-",
		list ? NULL : "--verbose",
		NULL,
	};
	struct program p = { .argv = argv, .blame = ERR_INTERNAL, .stop = stop };

	return program_run(&p, ret, e);
}

static int read_section(struct archive *a, const char *pg_restore, const char *path,
			enum archive_section section, struct stop *stop, struct err *e)
{
	AUTO_TEXT struct text list = TEXT_INIT;
	AUTO_TEXT struct text script = TEXT_INIT;

	if (restore_text(pg_restore, path, section, true, stop, &list, e) < 0 ||
	    restore_text(pg_restore, path, section, false, stop, &script, e) < 0)
		return -1;
	return archive_add_section(a, section, text_str(&list), text_str(&script), e);
}

int archive_read(struct archive **ret, const char *path, int source_version, struct stop *stop,
		 struct err *e)
{
	AUTO(free) char *pg_dump = NULL;
	AUTO(free) char *pg_restore = NULL;
	AUTO(archive) struct archive *a = calloc(1, sizeof *a);

	if (!a)
		return err_nomem(e);
	if (archive_find_tools(source_version / 10000, &pg_dump, &pg_restore, e) < 0)
		return -1;
	if (read_section(a, pg_restore, path, ARCHIVE_PRE_DATA, stop, e) < 0 ||
	    read_section(a, pg_restore, path, ARCHIVE_POST_DATA, stop, e) < 0 ||
	    archive_finish(a, e) < 0 || apply_choice(a, path, e) < 0)
		return err_note(e, "reading the schema archive %s", path);
	*ret = GIVE(&a);
	return 0;
}
