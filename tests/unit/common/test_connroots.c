#include "unit.h"

#include "common/connroots.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUIRE "?sslmode=require"
#define NEON    "postgresql://u@ep-x.eu-central-1.aws.neon.tech/d"

static char home[64], roots[96];

/* A home without roots of its own, and a file that is the system's. */
static int set_up(void **state)
{
	FILE *f;

	(void)state;
	unsetenv("PGSSLMODE");
	unsetenv("PGSSLROOTCERT");
	strcpy(home, "/tmp/neonferry-home-XXXXXX");
	if (!mkdtemp(home))
		return -1;
	snprintf(roots, sizeof(roots), "%s/roots.pem", home);
	f = fopen(roots, "w");
	if (!f || fclose(f))
		return -1;
	return setenv("HOME", home, 1) || setenv("SSL_CERT_FILE", roots, 1);
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/.postgresql/root.crt", home);
	unlink(path);
	snprintf(path, sizeof(path), "%s/.postgresql", home);
	rmdir(path);
	unlink(roots);
	return rmdir(home);
}

static struct conn *parsed(const char *uri)
{
	struct conn *c = NULL;

	assert_ok(conn_parse(&c, PG_TARGET, uri, E));
	return c;
}

static bool are_used(const char *uri)
{
	AUTO(conn) struct conn *c = parsed(uri);

	return connroots_file(c) != NULL;
}

static void require_on_neon_gets_the_roots_of_the_system(void **state)
{
	AUTO(conn) struct conn *c = parsed(NEON REQUIRE);
	AUTO(free) const char **keys = NULL, **values = NULL;
	AUTO(free) char *public = conn_public_string(c);
	const char *mode = NULL, *file = NULL;

	(void)state;
	assert_string_equal(connroots_file(c), roots);
	assert_string_equal(connroots_value(c, "sslmode"), "verify-full");
	assert_string_equal(connroots_value(c, "sslrootcert"), roots);
	assert_string_equal(connroots_value(c, "user"), "u");
	assert_ok(connroots_params(c, &keys, &values, E));
	for (int i = 0; keys[i]; i++) {
		mode = strcmp(keys[i], "sslmode") ? mode : values[i];
		file = strcmp(keys[i], "sslrootcert") ? file : values[i];
	}
	assert_string_equal(mode, "verify-full");
	assert_string_equal(file, roots);
	assert_has(public, "sslmode='require'");
	assert_null(strstr(public, "roots"));
}

static void everything_else_is_left_as_it_is(void **state)
{
	(void)state;
	assert_true(are_used("postgresql://u@EP-X.AZURE.NEON.TECH/d" REQUIRE));
	assert_false(are_used(NEON "?sslmode=prefer"));
	assert_false(are_used(NEON "?sslmode=disable"));
	assert_false(are_used(NEON "?sslmode=verify-ca"));
	assert_false(are_used(NEON REQUIRE "&sslrootcert=/mine"));
	assert_false(are_used("postgresql://u@db.example.org/d" REQUIRE));
	assert_false(are_used("postgresql://u@neon.tech.example.org/d" REQUIRE));
	assert_false(are_used("postgresql://u@notneon.tech/d" REQUIRE));
	assert_false(are_used("postgresql://u@a.neon.tech,b.neon.tech/d" REQUIRE));
}

static void roots_of_the_users_own_are_libpqs_to_find(void **state)
{
	char path[128];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/.postgresql", home);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.postgresql/root.crt", home);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_false(are_used(NEON REQUIRE));
}

static void without_any_roots_require_is_what_libpq_makes_of_it(void **state)
{
	AUTO(conn) struct conn *c = parsed(NEON REQUIRE);

	(void)state;
	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	assert_null(connroots_file(c));
	assert_string_equal(connroots_value(c, "sslmode"), "require");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(require_on_neon_gets_the_roots_of_the_system,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(everything_else_is_left_as_it_is, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(roots_of_the_users_own_are_libpqs_to_find, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_any_roots_require_is_what_libpq_makes_of_it,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
