#include "common/connroots.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN ".neon.tech"

static const char *given(const struct conn *c, const char *key)
{
	const char *const *keys, *const *values;

	for (conn_params(c, &keys, &values); *keys; keys++, values++)
		if (strcmp(*keys, key) == 0)
			return *values;
	return "";
}

static bool is_neon(const char *host)
{
	size_t len = strlen(host), suffix = strlen(DOMAIN);

	return len > suffix && !strchr(host, ',') && strcasecmp(host + len - suffix, DOMAIN) == 0;
}

static bool is_readable(const char *path)
{
	return path && access(path, R_OK) == 0;
}

static const char *system_roots(void)
{
	static const char *const places[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
		"/etc/ssl/ca-bundle.pem",             /* SUSE */
		"/etc/ssl/cert.pem",                  /* Alpine */
	};
	const char *named = getenv("SSL_CERT_FILE");

	if (named && *named)
		return is_readable(named) ? named : NULL;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (is_readable(places[i]))
			return places[i];
	return NULL;
}

/* With a root.crt of the user's, libpq verifies by itself. */
static bool has_own_roots(void)
{
	const char *home = getenv("HOME");
	AUTO(free) char *path = NULL;

	return home && asprintf(&path, "%s/.postgresql/root.crt", home) > 0 && is_readable(path);
}

const char *connroots_file(const struct conn *c)
{
	if (strcmp(given(c, "sslmode"), "require") != 0 || given(c, "sslrootcert")[0] ||
	    !is_neon(given(c, "host")) || has_own_roots())
		return NULL;
	return system_roots();
}

const char *connroots_value(const struct conn *c, const char *key)
{
	bool mode = strcmp(key, "sslmode") == 0, roots = strcmp(key, "sslrootcert") == 0;
	const char *file = mode || roots ? connroots_file(c) : NULL;

	if (!file)
		return given(c, key);
	return mode ? "verify-full" : file;
}

int connroots_params(const struct conn *c, const char ***ret_keys, const char ***ret_values,
		     struct err *e)
{
	const char *const *keys, *const *values;
	const char **k, **v;
	size_t n = 0;

	conn_params(c, &keys, &values);
	while (keys[n])
		n++;
	k = calloc(n + 2, sizeof(*k));
	v = calloc(n + 2, sizeof(*v));
	if (!k || !v) {
		free(k);
		free(v);
		return err_nomem(e);
	}
	for (size_t i = 0; i < n; i++) {
		k[i] = keys[i];
		v[i] = connroots_value(c, keys[i]);
	}
	if (connroots_file(c)) { /* a later one wins over an empty one before it */
		k[n] = "sslrootcert";
		v[n] = connroots_file(c);
	}
	*ret_keys = k;
	*ret_values = v;
	return 0;
}
