#include "common/conn.h"

#include "common/connroots.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

/*
 * Variables that a program of PostgreSQL would obey although they are not of this end, and such
 * that carry the other end's password.
 */
static bool is_disturbing(const char *entry, bool own_passfile)
{
	static const char *const keep[] = { "PGSYSCONFDIR=", "PGLOCALEDIR=" };
	static const char *const drop[] = { "PG",           "LOCAL_DB_",           "POSTGRES_",
					    "DATABASE_URL", "SOURCE_DATABASE_URL", "NEON_" };

	if (strncmp(entry, "PGPASSFILE=", 11) == 0)
		return own_passfile;
	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		if (strncmp(entry, keep[i], strlen(keep[i])) == 0)
			return false;
	for (size_t i = 0; i < ARRAY_LEN(drop); i++)
		if (strncmp(entry, drop[i], strlen(drop[i])) == 0)
			return true;
	return false;
}

/* One entry into the array, which has room. */
static int add(char **env, size_t *n, const char *name, const char *value, struct err *e)
{
	AUTO_TEXT struct text entry = TEXT_INIT;

	text_addf(&entry, "%s%s%s", name, value ? "=" : "", value ? value : "");
	env[*n] = text_take(&entry, e);
	return env[*n] ? ((*n)++, 0) : -1;
}

/* libpq's own table says which variable stands for which setting. */
static int add_settings(char **env, size_t *n, const struct conn *c,
			const PQconninfoOption *options, struct err *e)
{
	for (; options->keyword; options++) {
		const char *value = connroots_value(c, options->keyword);
		if (!options->envvar || !value[0] || strcmp(options->keyword, "service") == 0)
			continue;
		if (add(env, n, options->envvar, value, e))
			return -1;
	}
	return 0;
}

int conn_env(const struct conn *c, char ***ret, struct err *e)
{
	PQconninfoOption *options = PQconndefaults();
	bool own_passfile = connroots_value(c, "passfile")[0];
	size_t room = 2, n = 0;
	int failed = 0;

	if (!options)
		return err_nomem(e);
	for (char **p = environ; *p; p++)
		room++;
	for (PQconninfoOption *o = options; o->keyword; o++)
		room++;
	char **env = calloc(room, sizeof(*env));
	if (!env)
		failed = err_nomem(e);
	for (char **p = environ; *p && !failed; p++)
		if (!is_disturbing(*p, own_passfile))
			failed = add(env, &n, *p, NULL, e);
	if (!failed)
		failed = add_settings(env, &n, c, options, e);
	PQconninfoFree(options);
	if (failed) {
		conn_free_env(env);
		return -1;
	}
	*ret = env;
	return 0;
}

void conn_free_env(char **env)
{
	for (char **p = env; p && *p; p++) {
		explicit_bzero(*p, strlen(*p));
		free(*p);
	}
	free(env);
}
