#include "common/conn.h"

#include "common/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct conn {
	enum pg_role role;
	int n;
	char **keys; /* NULL-terminated, as libpq wants them */
	char **values;
	char *label;
	char origin[32];
};

/* What a setting is when neither the user nor libpq says anything else. */
static const struct {
	const char *key, *value;
} defaults[] = {
	{ "connect_timeout", "30" }, { "keepalives", "1" },
	{ "keepalives_idle", "30" }, { "keepalives_interval", "10" },
	{ "keepalives_count", "6" }, { "fallback_application_name", "neonferry" },
};

/* --- one value --- */

static const char *get(const struct conn *c, const char *key)
{
	for (int i = 0; i < c->n; i++)
		if (strcmp(c->keys[i], key) == 0)
			return c->values[i];
	return "";
}

static int put(struct conn *c, const char *key, const char *value, struct err *e)
{
	for (int i = 0; i < c->n; i++) {
		if (strcmp(c->keys[i], key) != 0)
			continue;
		char *copy = strdup(value);
		if (!copy)
			return err_nomem(e);
		free(c->values[i]);
		c->values[i] = copy;
		return 0;
	}
	char **keys = realloc(c->keys, ((size_t)c->n + 2) * sizeof(*keys));
	if (!keys)
		return err_nomem(e);
	c->keys = keys;
	char **values = realloc(c->values, ((size_t)c->n + 2) * sizeof(*values));
	if (!values)
		return err_nomem(e);
	c->values = values;
	keys[c->n] = strdup(key);
	values[c->n] = strdup(value);
	if (!keys[c->n] || !values[c->n]) {
		free(keys[c->n]);
		free(values[c->n]);
		keys[c->n] = values[c->n] = NULL;
		return err_nomem(e);
	}
	c->n++;
	keys[c->n] = values[c->n] = NULL;
	return 0;
}

static bool is_secret(const char *key)
{
	return strcmp(key, "password") == 0 || strcmp(key, "sslpassword") == 0 ||
	       strcmp(key, "oauth_client_secret") == 0 || strcmp(key, "scram_client_key") == 0 ||
	       strcmp(key, "scram_server_key") == 0;
}

/* --- a malformed string, shown without its secrets --- */

static const char *after_scheme(const char *uri)
{
	if (strncmp(uri, "postgresql://", 13) == 0)
		return uri + 13;
	return strncmp(uri, "postgres://", 11) == 0 ? uri + 11 : NULL;
}

/*
 * A URI that libpq does not accept, or takes apart otherwise than the user meant, because of a
 * character in the password that had to be percent-encoded. So everything up to the last @ is
 * hidden, wherever it stands, and the parameters (which may hold a password too) are left out.
 */
static int malformed(struct err *e, enum pg_role role, const char *uri, const char *what)
{
	const char *rest = after_scheme(uri);
	const char *at = rest ? strrchr(rest, '@') : NULL;

	err_set(e, ERR_USAGE, "the %s's connection string is malformed: %s", pg_role_name(role),
		what);
	if (at)
		err_note(e, "reading postgresql://***@%.*s", (int)strcspn(at + 1, "?#"), at + 1);
	return err_hint(e,
			"the form is postgresql://user:password@host:port/dbname?sslmode=require; "
			"special characters in user and password must be percent-encoded, "
			"for example %%40 for @, %%2F for /, %%3F for ?, %%23 for #, %%25 for %%");
}

/* Whether a complaint about an unknown setting can only name that, not a piece of a password. */
static bool names_a_setting(const char *uri, const char *complaint)
{
	const char *query = strchr(uri, '?');

	if (after_scheme(uri))
		return query && !strchr(query, '@') &&
		       strstr(complaint, "invalid URI query parameter");
	return !strcasestr(uri, "passw") && strstr(complaint, "invalid connection option");
}

/* libpq's own complaint quotes pieces of the string, perhaps of the password: those are hidden. */
static int refused_by_libpq(struct err *e, enum pg_role role, const char *uri,
			    const char *complaint)
{
	AUTO_TEXT struct text what = TEXT_INIT;
	bool keep = names_a_setting(uri, complaint);

	if (!after_scheme(uri) && !strchr(uri, '='))
		return malformed(e, role, uri, "it is neither a URI nor keyword=value pairs");
	for (bool quoted = false; *complaint && *complaint != '\n'; complaint++) {
		if (*complaint == '"') {
			text_add(&what, quoted || keep ? "\"" : "\"...");
			quoted = !quoted;
		} else if (!quoted || keep) {
			text_addn(&what, complaint, 1);
		}
	}
	return malformed(e, role, uri, text_str(&what));
}

/*
 * A second @ before the host, or one in the path: the password (or user) has a character that had
 * to be percent-encoded, and libpq would take a piece of it for the host or the database. In the
 * parameters an @ may stand, as in user=me@server.
 */
static bool has_stray_at(const char *uri)
{
	const char *rest = after_scheme(uri);

	if (!rest)
		return false;
	size_t authority = strcspn(rest, "/");
	const char *at = memchr(rest, '@', authority);
	if (at && memchr(at + 1, '@', authority - (size_t)(at + 1 - rest)))
		return true;
	const char *path = rest + authority;
	return memchr(path, '@', strcspn(path, "?"));
}

/* --- parsing --- */

static int put_all(struct conn *c, const PQconninfoOption *options, struct err *e)
{
	for (; options->keyword; options++)
		if (options->val && options->val[0] && put(c, options->keyword, options->val, e))
			return -1;
	return 0;
}

static bool ports_are_numbers(const char *ports)
{
	return strspn(ports, "0123456789, \t") == strlen(ports);
}

/*
 * Asks libpq to complete the settings: service file, PG*, its own defaults. There is no call for
 * that, but a connect that fails on a setting before anything is sent leaves the completed
 * settings behind. The setting that fails is one of ours.
 */
static int complete(struct conn *c, struct err *e)
{
	char *attrs = strdup(get(c, "target_session_attrs"));
	char *passfile = strdup(get(c, "passfile"));
	PQconninfoOption *options = NULL;
	PGconn *probe = NULL;
	int done = -1;

	if (!attrs || !passfile || put(c, "target_session_attrs", "none of them", e) ||
	    put(c, "passfile", "/dev/null/none", e)) /* it is read at the connect, not now */
		goto out;
	probe = PQconnectStartParams((const char *const *)c->keys, (const char *const *)c->values,
				     0);
	if (!strstr(PQerrorMessage(probe), "target_session_attrs")) {
		err_set(e, ERR_USAGE, "the %s's connection settings are not valid: %.*s",
			pg_role_name(c->role), (int)strcspn(PQerrorMessage(probe), "\n"),
			PQerrorMessage(probe));
		goto out;
	}
	options = PQconninfo(probe);
	if (!options) {
		err_nomem(e);
		goto out;
	}
	if (put_all(c, options, e) || put(c, "passfile", passfile, e) ||
	    put(c, "target_session_attrs", attrs[0] ? attrs : "any", e))
		goto out;
	done = 0;
out:
	PQconninfoFree(options);
	PQfinish(probe);
	free(attrs);
	free(passfile);
	return done;
}

static int add_defaults(struct conn *c, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		if (!get(c, defaults[i].key)[0] && put(c, defaults[i].key, defaults[i].value, e))
			return -1;
	/* Rows are always UTF8, set after the connect; what the service file says is in here now. */
	return put(c, "client_encoding", "", e) ? -1 : put(c, "service", "", e);
}

static int make_label(struct conn *c, struct err *e)
{
	const char *host = get(c, "host"), *port = get(c, "port");
	AUTO_TEXT struct text label = TEXT_INIT;

	if (!host[0])
		host = get(c, "hostaddr");
	text_addf(&label, "%s@%s", get(c, "user"), host[0] ? host : "[local]");
	if (port[0])
		text_addf(&label, ":%s", port);
	text_addf(&label, "/%s", get(c, "dbname"));
	char *s = text_take(&label, e);
	if (!s)
		return -1;
	free(c->label);
	c->label = s;
	return 0;
}

/* Everything after the given settings are in: completes, checks, labels. Takes c in any case. */
static int finish(struct conn **ret, struct conn *given, const char *origin, struct err *e)
{
	AUTO(conn) struct conn *c = given;

	strncpy(c->origin, origin, sizeof(c->origin) - 1);
	if (complete(c, e) || add_defaults(c, e) || make_label(c, e))
		return -1;
	*ret = GIVE(&c);
	return 0;
}

static struct conn *new_conn(enum pg_role role, struct err *e)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c) {
		c->role = role;
		c->keys = calloc(1, sizeof(*c->keys));
		c->values = calloc(1, sizeof(*c->values));
	}
	if (c && c->keys && c->values)
		return c;
	conn_free(c);
	err_nomem(e);
	return NULL;
}

/* "postgresql+asyncpg://..." as Python programs write it becomes "postgresql://...". */
static char *without_driver(const char *uri, struct err *e)
{
	const char *colon = strstr(uri, "://");
	const char *plus = strchr(uri, '+');
	AUTO_TEXT struct text clean = TEXT_INIT;

	uri += strspn(uri, " \t\r\n");
	if (colon && plus && plus < colon && strncmp(uri, "postgres", 8) == 0)
		text_addf(&clean, "postgresql%s", colon);
	else
		text_add(&clean, uri);
	return text_take(&clean, e);
}

static int parse(struct conn **ret, enum pg_role role, const char *given, const char *origin,
		 struct err *e)
{
	AUTO(free) char *uri = without_driver(given, e);
	AUTO(conn) struct conn *c = NULL;
	char *complaint = NULL;

	if (!uri)
		return -1;
	if (has_stray_at(uri))
		return malformed(e, role, uri, "there is an @ too many");
	PQconninfoOption *options = PQconninfoParse(uri, &complaint);
	if (!options) {
		refused_by_libpq(e, role, uri, complaint ? complaint : "out of memory");
		PQfreemem(complaint);
		return -1;
	}
	c = new_conn(role, e);
	int failed = c ? put_all(c, options, e) : -1;
	PQconninfoFree(options);
	if (failed)
		return -1;
	if (!ports_are_numbers(get(c, "port")))
		return malformed(e, role, uri, "the port is not a number");
	return finish(ret, GIVE(&c), origin, e);
}

int conn_parse(struct conn **ret, enum pg_role role, const char *uri, struct err *e)
{
	return parse(ret, role, uri, "given", e);
}

void conn_free(struct conn *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->n; i++) {
		if (is_secret(c->keys[i]))
			explicit_bzero(c->values[i], strlen(c->values[i]));
		free(c->keys[i]);
		free(c->values[i]);
	}
	free(c->keys);
	free(c->values);
	free(c->label);
	free(c);
}

/* --- finding the settings --- */

/* Separate variables that together say where to connect. */
struct variables {
	const char *origin;
	const char *host, *port, *dbname, *user, *password; /* names of variables */
	const char *default_host, *default_port, *default_dbname, *default_user;
};

static const struct variables local_db = {
	"LOCAL_DB_*",        "LOCAL_DB_HOST", "LOCAL_DB_PORT", "LOCAL_DB_NAME", "LOCAL_DB_USER",
	"LOCAL_DB_PASSWORD", "localhost",     "5432",          "chat_pgvector", "postgres",
};
static const struct variables postgres_env = {
	"POSTGRES_*",        "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER",
	"POSTGRES_PASSWORD", "localhost",     "5432",          "postgres",    "postgres",
};

/* The variable's value; an empty one counts as not set. */
static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

static int put_variable(struct conn *c, const char *key, const char *name, const char *otherwise,
			struct err *e)
{
	const char *value = env(name);

	if (!value)
		value = otherwise;
	return value ? put(c, key, value, e) : 0;
}

static int from_variables(struct conn **ret, enum pg_role role, const struct variables *v,
			  struct err *e)
{
	AUTO(conn) struct conn *c = new_conn(role, e);

	if (!c || put_variable(c, "host", v->host, v->default_host, e) ||
	    put_variable(c, "port", v->port, v->default_port, e) ||
	    put_variable(c, "dbname", v->dbname, v->default_dbname, e) ||
	    put_variable(c, "user", v->user, v->default_user, e) ||
	    put_variable(c, "password", v->password, NULL, e))
		return -1;
	if (!ports_are_numbers(get(c, "port")))
		return err_set(e, ERR_USAGE, "%s is not a port number", v->port);
	return finish(ret, GIVE(&c), v->origin, e);
}

static int resolve_source(struct conn **ret, const char *option, struct err *e)
{
	if (option)
		return parse(ret, PG_SOURCE, option, "--source", e);
	if (env("SOURCE_DATABASE_URL"))
		return parse(ret, PG_SOURCE, env("SOURCE_DATABASE_URL"), "SOURCE_DATABASE_URL", e);
	if (env("LOCAL_DB_USER") || env("LOCAL_DB_NAME") || env("LOCAL_DB_HOST") ||
	    env("LOCAL_DB_PORT") || env("LOCAL_DB_PASSWORD"))
		return from_variables(ret, PG_SOURCE, &local_db, e);
	if (env("POSTGRES_HOST") || env("POSTGRES_DB"))
		return from_variables(ret, PG_SOURCE, &postgres_env, e);
	if (env("PGHOST") || env("PGDATABASE") || env("PGSERVICE"))
		return parse(ret, PG_SOURCE, "", "PG*", e);
	err_set(e, ERR_USAGE, "no source database is given");
	return err_hint(e,
			"give --source postgresql://..., or set SOURCE_DATABASE_URL, LOCAL_DB_NAME "
			"and the other LOCAL_DB_*, POSTGRES_DB and the other POSTGRES_*, or PGHOST "
			"and PGDATABASE");
}

static int resolve_target(struct conn **ret, const char *option, bool *ret_ask, struct err *e)
{
	static const char *const names[] = { "NEON_DATABASE_URL", "DATABASE_URL_UNPOOLED",
					     "DATABASE_URL" };

	if (option)
		return parse(ret, PG_TARGET, option, "--target", e);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!env(names[i]))
			continue;
		if (parse(ret, PG_TARGET, env(names[i]), names[i], e))
			return -1;
		*ret_ask = i == ARRAY_LEN(names) - 1;
		return 0;
	}
	err_set(e, ERR_USAGE, "no target database is given");
	return err_hint(e,
			"give --target postgresql://..., or set NEON_DATABASE_URL, "
			"DATABASE_URL_UNPOOLED or DATABASE_URL to Neon's direct connection string");
}

int conn_resolve(struct conn **ret, enum pg_role role, const char *option, bool *ret_ask,
		 struct err *e)
{
	bool ask = false;

	if (option && !option[0])
		option = NULL;
	int failed = role == PG_SOURCE ? resolve_source(ret, option, e)
				       : resolve_target(ret, option, &ask, e);
	if (!failed && ret_ask)
		*ret_ask = ask;
	return failed;
}

int conn_other_database(struct conn **ret, const struct conn *c, const char *dbname, struct err *e)
{
	AUTO(conn) struct conn *other = calloc(1, sizeof(*other));

	if (!other)
		return err_nomem(e);
	other->role = c->role;
	memcpy(other->origin, c->origin, sizeof(other->origin));
	for (int i = 0; i < c->n; i++)
		if (put(other, c->keys[i], c->values[i], e))
			return -1;
	if (put(other, "dbname", dbname, e) || make_label(other, e))
		return -1;
	*ret = GIVE(&other);
	return 0;
}

/* --- facts --- */

enum pg_role conn_role(const struct conn *c)
{
	return c->role;
}

const char *conn_label(const struct conn *c)
{
	return c->label;
}

const char *conn_origin(const struct conn *c)
{
	return c->origin;
}

const char *conn_host(const struct conn *c)
{
	return get(c, "host");
}

const char *conn_dbname(const struct conn *c)
{
	return get(c, "dbname");
}

const char *conn_user(const struct conn *c)
{
	return get(c, "user");
}

void conn_params(const struct conn *c, const char *const **ret_keys, const char *const **ret_values)
{
	*ret_keys = (const char *const *)c->keys;
	*ret_values = (const char *const *)c->values;
}

char *conn_public_string(const struct conn *c)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err ignored;

	for (int i = 0; i < c->n; i++) {
		if (is_secret(c->keys[i]) || !c->values[i][0])
			continue;
		text_addf(&t, "%s%s='", t.len ? " " : "", c->keys[i]);
		for (const char *p = c->values[i]; *p; p++) {
			if (*p == '\'' || *p == '\\')
				text_add(&t, "\\");
			text_addn(&t, p, 1);
		}
		text_add(&t, "'");
	}
	return text_take(&t, &ignored);
}

/* --- Neon's pooler --- */

#define POOLER "-pooler"

/* The endpoint's name in the options, as clients without SNI give it: options=endpoint=<name>. */
static const char *endpoint_option(const char *options)
{
	const char *p = strstr(options, "endpoint=");

	return p ? p + strlen("endpoint=") : "";
}

/*
 * The first label (or option word) at p, ended by one of ends, of len bytes: its length without
 * -pooler, however often that stands there; len where it is no pooler's.
 */
static size_t direct_length(const char *p, const char *ends, size_t *len)
{
	const size_t suffix = strlen(POOLER);
	size_t n = *len = strcspn(p, ends);

	while (n > suffix && strncmp(p + n - suffix, POOLER, suffix) == 0)
		n -= suffix;
	return n;
}

static bool is_pooler_label(const char *p, const char *ends)
{
	size_t len;

	return direct_length(p, ends, &len) < len;
}

bool conn_is_pooled(const struct conn *c)
{
	for (const char *host = get(c, "host"); *host; host += strspn(host, ",")) {
		if (host[0] != '/' && is_pooler_label(host, ".,"))
			return true;
		host += strcspn(host, ",");
	}
	return is_pooler_label(endpoint_option(get(c, "options")), " ");
}

/* The label at p as it is without the pooler. Returns what follows it. */
static const char *add_direct_label(struct text *t, const char *p, const char *ends)
{
	size_t len, n = direct_length(p, ends, &len);

	text_addn(t, p, n);
	return p + len;
}

static int unpool_hosts(struct conn *c, struct err *e)
{
	AUTO_TEXT struct text hosts = TEXT_INIT;
	const char *host = get(c, "host");

	while (*host) {
		const char *rest = host[0] == '/' ? host : add_direct_label(&hosts, host, ".,");
		const char *end = rest + strcspn(rest, ",");
		end += *end == ',';
		text_addn(&hosts, rest, (size_t)(end - rest));
		host = end;
	}
	return text_check(&hosts, e) ? -1 : put(c, "host", text_str(&hosts), e);
}

static int unpool_options(struct conn *c, struct err *e)
{
	AUTO_TEXT struct text options = TEXT_INIT;
	const char *old = get(c, "options");
	const char *endpoint = endpoint_option(old);

	if (!is_pooler_label(endpoint, " "))
		return 0;
	text_addn(&options, old, (size_t)(endpoint - old));
	text_add(&options, add_direct_label(&options, endpoint, " "));
	return text_check(&options, e) ? -1 : put(c, "options", text_str(&options), e);
}

int conn_unpool(struct conn **c, struct err *e)
{
	if (!conn_is_pooled(*c))
		return 0;
	if (unpool_hosts(*c, e) || unpool_options(*c, e))
		return -1;
	return make_label(*c, e);
}
