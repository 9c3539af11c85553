#include "schema/migration.h"

#include "common/file.h"
#include "common/text.h"
#include "schema/migration_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Numbers of more digits are time stamps: between those nothing is missing. */
#define SEQUENCE_DIGITS 6

AUTO_DEFINE(dir, DIR *, closedir);

/* --- versions --- */

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

int migration_version_compare(const char *a, const char *b)
{
	if (!is_number(a) || !is_number(b))
		return is_number(a) ? -1 : is_number(b) ? 1 : strcmp(a, b);
	a += strspn(a, "0");
	b += strspn(b, "0");
	size_t n = strlen(a), m = strlen(b);
	return n != m ? (n < m ? -1 : 1) : strcmp(a, b);
}

const struct migration *migration_find(const struct migration_folder *f, const char *version)
{
	for (int i = 0; i < f->n; i++)
		if (migration_version_compare(f->list[i].version, version) == 0)
			return &f->list[i];
	return NULL;
}

/* --- names --- */

enum name_kind { NAME_OTHER, NAME_UP, NAME_DOWN };

struct name {
	enum name_kind kind;
	char *version, *description;
};

static void name_done(struct name *n)
{
	free(n->version);
	free(n->description);
	*n = (struct name){ 0 };
}

static bool cut_end(char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	if (n < m || strcmp(s + n - m, end) != 0)
		return false;
	s[n - m] = '\0';
	return true;
}

/* "001_create_users" into version and description; false where it is no such name. */
static bool split_stem(const char *stem, struct name *ret)
{
	size_t digits = strspn(stem, "0123456789");
	const char *rest = stem + digits;

	if (digits == 0 || (*rest && *rest != '_' && *rest != '-'))
		return false;
	rest += strspn(rest, "_-");
	ret->version = strndup(stem, digits);
	ret->description = strdup(rest);
	for (char *p = ret->description; p && *p; p++)
		if (*p == '_' || *p == '-')
			*p = ' ';
	return true;
}

static int parse_name(const char *file, struct name *ret, struct err *e)
{
	AUTO(free) char *stem = strdup(file);

	*ret = (struct name){ 0 };
	if (!stem)
		return err_nomem(e);
	if (!cut_end(stem, ".sql"))
		return 0;
	enum name_kind kind = cut_end(stem, ".down") ? NAME_DOWN : NAME_UP;
	if (kind == NAME_UP)
		cut_end(stem, ".up");
	if (!split_stem(stem, ret))
		return 0;
	if (!ret->version || !ret->description)
		return err_nomem(e);
	ret->kind = kind;
	return 0;
}

/* --- collecting --- */

static int add_string(char ***list, int *n, const char *s, struct err *e)
{
	char **grown = realloc(*list, ((size_t)*n + 1) * sizeof(*grown));

	if (!grown)
		return err_nomem(e);
	*list = grown;
	grown[*n] = strdup(s);
	if (!grown[*n])
		return err_nomem(e);
	(*n)++;
	return 0;
}

/* The migration of this version, made where there is none yet. The name's strings are taken over. */
static struct migration *entry_for(struct migration_folder *f, struct name *name, struct err *e)
{
	for (int i = 0; i < f->n; i++)
		if (migration_version_compare(f->list[i].version, name->version) == 0)
			return &f->list[i];
	struct migration *grown = realloc(f->list, ((size_t)f->n + 1) * sizeof(*grown));
	if (!grown) {
		err_nomem(e);
		return NULL;
	}
	f->list = grown;
	grown[f->n] = (struct migration){ .version = GIVE(&name->version),
					  .description = GIVE(&name->description) };
	return &f->list[f->n++];
}

static int add_script(struct migration_folder *f, struct name *name, const char *path,
		      const char *shown, struct err *e)
{
	enum name_kind kind = name->kind;
	struct migration *m = entry_for(f, name, e);

	if (!m)
		return -1;
	struct migration_script *s = kind == NAME_UP ? &m->up : &m->down;
	if (s->path) {
		err_set(e, ERR_USAGE, "version %s is there twice: %s and %s", m->version, s->name, shown);
		return err_hint(e, "Give one of them a number of its own.");
	}
	if (kind == NAME_UP && name->description) { /* the down script came first */
		free(m->description);
		m->description = GIVE(&name->description);
	}
	return migration_script_read(s, path, shown, e);
}

/* A folder NNN_name with migration.sql, and perhaps down.sql, in it. */
static int add_subfolder(struct migration_folder *f, const char *dir, const char *entry, struct err *e)
{
	static const char *const files[] = { "migration.sql", "down.sql" };

	for (int i = 0; i < 2; i++) {
		struct name name = { .kind = i == 0 ? NAME_UP : NAME_DOWN };
		AUTO(free) char *path = file_path(dir, files[i]);
		AUTO_TEXT struct text shown = TEXT_INIT;

		text_addf(&shown, "%s/%s", entry, files[i]);
		if (!path)
			return err_nomem(e);
		if (!file_exists(path) || !split_stem(entry, &name))
			continue;
		int failed = name.version && name.description
				     ? add_script(f, &name, path, text_str(&shown), e) : err_nomem(e);
		name_done(&name);
		if (failed)
			return -1;
	}
	return 0;
}

static int add_entry(struct migration_folder *f, const char *entry, struct err *e)
{
	AUTO(free) char *path = file_path(f->dir, entry);
	size_t len = strlen(entry);
	struct name name;
	struct stat st;

	if (!path)
		return err_nomem(e);
	if (entry[0] == '.' || stat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return add_subfolder(f, path, entry, e);
	if (parse_name(entry, &name, e))
		return -1;
	int failed = 0;
	if (name.kind != NAME_OTHER)
		failed = add_script(f, &name, path, entry, e);
	else if (len > 4 && strcmp(entry + len - 4, ".sql") == 0)
		failed = add_string(&f->ignored, &f->n_ignored, entry, e);
	name_done(&name);
	return failed;
}

/* --- the whole --- */

static int by_version(const void *a, const void *b)
{
	return migration_version_compare(((const struct migration *)a)->version,
					 ((const struct migration *)b)->version);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_gap(struct migration_folder *f, long from, long to, int digits, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_addf(&t, "%0*ld", digits, from);
	if (to > from)
		text_addf(&t, " to %0*ld", digits, to);
	return add_string(&f->gaps, &f->n_gaps, text_str(&t), e);
}

static int find_gaps(struct migration_folder *f, struct err *e)
{
	for (int i = 1; i < f->n; i++) {
		const char *a = f->list[i - 1].version, *b = f->list[i].version;
		long from = strtol(a, NULL, 10) + 1, to = strtol(b, NULL, 10) - 1;

		if (strlen(b + strspn(b, "0")) > SEQUENCE_DIGITS)
			return 0;
		size_t digits = strlen(a) > strlen(b) ? strlen(a) : strlen(b);
		if (to >= from && add_gap(f, from, to, (int)digits, e))
			return -1;
	}
	return 0;
}

static int check_pairs(const struct migration_folder *f, struct err *e)
{
	for (int i = 0; i < f->n; i++) {
		if (f->list[i].up.path)
			continue;
		err_set(e, ERR_USAGE, "%s undoes a migration that is not there", f->list[i].down.name);
		return err_hint(e, "A down script has the number of its migration.");
	}
	return 0;
}

/* In byte order, so that messages do not depend on the file system. */
static int list_entries(const char *dir, char ***ret, int *ret_n, struct err *e)
{
	AUTO(dir) DIR *d = opendir(dir);
	struct dirent *entry;

	if (!d) {
		err_sys(e, ERR_USAGE, errno, "cannot read the migrations in %s", dir);
		return err_hint(e, "Name the folder with --dir.");
	}
	while ((entry = readdir(d)))
		if (add_string(ret, ret_n, entry->d_name, e))
			return -1;
	qsort(*ret, (size_t)*ret_n, sizeof(**ret), by_bytes);
	return 0;
}

static void free_strings(char **list, int n)
{
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static int fill(struct migration_folder *f, struct err *e)
{
	char **entries = NULL;
	int n = 0, failed = list_entries(f->dir, &entries, &n, e);

	for (int i = 0; i < n && !failed; i++)
		failed = add_entry(f, entries[i], e);
	free_strings(entries, n);
	if (failed)
		return -1;
	if (f->n)
		qsort(f->list, (size_t)f->n, sizeof(*f->list), by_version);
	return check_pairs(f, e) ? -1 : find_gaps(f, e);
}

int migration_folder_read(struct migration_folder **ret, const char *dir, struct err *e)
{
	AUTO(migration_folder) struct migration_folder *f = calloc(1, sizeof(*f));

	if (!f || !(f->dir = strdup(dir)))
		return err_nomem(e);
	if (fill(f, e))
		return -1;
	*ret = GIVE(&f);
	return 0;
}

void migration_folder_free(struct migration_folder *f)
{
	for (int i = 0; f && i < f->n; i++) {
		free(f->list[i].version);
		free(f->list[i].description);
		migration_script_done(&f->list[i].up);
		migration_script_done(&f->list[i].down);
	}
	if (!f)
		return;
	free(f->list);
	free_strings(f->ignored, f->n_ignored);
	free_strings(f->gaps, f->n_gaps);
	free(f->dir);
	free(f);
}

int migration_folder_checksum(const struct migration_folder *f, char ret_hex[65], struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	for (int i = 0; i < f->n; i++)
		text_addf(&t, "%s %s\n", f->list[i].version + strspn(f->list[i].version, "0"),
			  f->list[i].up.checksum);
	return text_check(&t, e) ? -1 : migration_sha256(text_str(&t), t.len, ret_hex, e);
}
