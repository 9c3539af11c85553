#include "unit.h"

#include "common/conn.h"

#include <stdio.h>
#include <unistd.h>

#define SECRET "s3cr3t"

/* The value that libpq is given, or "" */
static const char *param(const struct conn *c, const char *key)
{
	const char *const *keys, *const *values;

	for (conn_params(c, &keys, &values); *keys; keys++, values++)
		if (strcmp(*keys, key) == 0)
			return *values;
	return "";
}

static const char *const variables[] = {
	"SOURCE_DATABASE_URL",
	"NEON_DATABASE_URL",
	"DATABASE_URL_UNPOOLED",
	"DATABASE_URL",
	"LOCAL_DB_HOST",
	"LOCAL_DB_PORT",
	"LOCAL_DB_NAME",
	"LOCAL_DB_USER",
	"LOCAL_DB_PASSWORD",
	"POSTGRES_HOST",
	"POSTGRES_PORT",
	"POSTGRES_DB",
	"POSTGRES_USER",
	"POSTGRES_PASSWORD",
	"PGHOST",
	"PGHOSTADDR",
	"PGPORT",
	"PGDATABASE",
	"PGUSER",
	"PGPASSWORD",
	"PGPASSFILE",
	"PGSERVICE",
	"PGSERVICEFILE",
	"PGSSLMODE",
	"PGOPTIONS",
	"PGCONNECT_TIMEOUT",
};

/* Every test starts from an environment that says nothing. */
static int clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		unsetenv(variables[i]);
	return 0;
}

static struct conn *parsed(const char *uri)
{
	struct conn *c = NULL;

	assert_ok(conn_parse(&c, PG_TARGET, uri, E));
	return c;
}

/* --- parsing --- */

static void a_neon_uri_is_taken_apart(void **state)
{
	AUTO(conn) struct conn *c = NULL;

	(void)state;
	c = parsed("postgresql://alex:" SECRET "@ep-cool-darkness-123456.us-east-2.aws.neon.tech/"
		   "neondb?sslmode=require&channel_binding=require");
	assert_int_equal(conn_role(c), PG_TARGET);
	assert_string_equal(conn_host(c), "ep-cool-darkness-123456.us-east-2.aws.neon.tech");
	assert_string_equal(conn_user(c), "alex");
	assert_string_equal(conn_dbname(c), "neondb");
	assert_string_equal(conn_label(c),
			    "alex@ep-cool-darkness-123456.us-east-2.aws.neon.tech:5432/neondb");
	assert_string_equal(param(c, "password"), SECRET);
	assert_string_equal(param(c, "sslmode"), "require");
	assert_string_equal(param(c, "channel_binding"), "require");
}

static void the_endpoint_option_is_kept(void **state)
{
	AUTO(conn)
	struct conn *c = parsed("postgres://u@h/d?options=endpoint%3Dep-x-1%20-c%20a%3D1");

	(void)state;
	assert_string_equal(param(c, "options"), "endpoint=ep-x-1 -c a=1");
}

static void keywords_and_percent_signs_are_understood(void **state)
{
	AUTO(conn)
	struct conn *a = parsed("host=h port=6000 user='my user' dbname=d password='p q'");
	AUTO(conn) struct conn *b = parsed("postgresql://u%40x:p%2F%40%3Fq@h:6000/my%20db");

	(void)state;
	assert_string_equal(conn_label(a), "my user@h:6000/d");
	assert_string_equal(param(a, "password"), "p q");
	assert_string_equal(conn_label(b), "u@x@h:6000/my db");
	assert_string_equal(param(b, "password"), "p/@?q");
}

static void the_driver_name_of_python_is_ignored(void **state)
{
	AUTO(conn) struct conn *c = parsed("postgresql+asyncpg://u:p+q@h/d");

	(void)state;
	assert_string_equal(conn_label(c), "u@h:5432/d");
	assert_string_equal(param(c, "password"), "p+q");
}

static void the_settings_for_a_cloud_are_the_default(void **state)
{
	AUTO(conn) struct conn *c = parsed("postgresql://u@h/d");

	(void)state;
	assert_string_equal(param(c, "connect_timeout"), "30");
	assert_string_equal(param(c, "keepalives"), "1");
	assert_string_equal(param(c, "keepalives_idle"), "30");
	assert_string_equal(param(c, "keepalives_interval"), "10");
	assert_string_equal(param(c, "keepalives_count"), "6");
	assert_string_equal(param(c, "fallback_application_name"), "neonferry");
	assert_string_equal(param(c, "tcp_user_timeout"), "");
	assert_string_equal(param(c, "target_session_attrs"), "any");
}

static void what_the_user_says_goes_before_our_defaults(void **state)
{
	AUTO(conn)
	struct conn *c = parsed("postgresql://u@h/d?connect_timeout=7&keepalives_idle=99&"
				"tcp_user_timeout=5&target_session_attrs=read-write&"
				"passfile=/x");

	(void)state;
	assert_string_equal(param(c, "connect_timeout"), "7");
	assert_string_equal(param(c, "keepalives_idle"), "99");
	assert_string_equal(param(c, "tcp_user_timeout"), "5");
	assert_string_equal(param(c, "target_session_attrs"), "read-write");
	assert_string_equal(param(c, "passfile"), "/x");
}

static void libpq_variables_complete_the_string(void **state)
{
	AUTO(conn) struct conn *c = NULL;

	(void)state;
	setenv("PGPORT", "7777", 1);
	setenv("PGUSER", "fromenv", 1);
	setenv("PGPASSWORD", SECRET, 1);
	c = parsed("postgresql://h");
	assert_string_equal(conn_label(c), "fromenv@h:7777/fromenv");
	assert_string_equal(param(c, "password"), SECRET);
}

static void a_service_is_read_at_once(void **state)
{
	char path[] = "/tmp/neonferry-service-XXXXXX";
	static const char text[] = "[far]\nhost=service.host\nport=6543\ndbname=sdb\nuser=su\n";
	AUTO(conn) struct conn *c = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	setenv("PGSERVICEFILE", path, 1);
	c = parsed("service=far user=other");
	unlink(path);
	assert_string_equal(conn_label(c), "other@service.host:6543/sdb");
	assert_string_equal(param(c, "service"), "");
}

/* --- malformed strings --- */

static void refuse(const char *uri, const char *because)
{
	struct err e = ERR_INIT;
	struct conn *c = NULL;

	if (conn_parse(&c, PG_SOURCE, uri, &e) == 0)
		fail_msg("accepted: %s", uri);
	assert_null(c);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_has(e.text, "source");
	assert_has(e.text, because);
	if (strstr(e.text, SECRET) || strstr(e.hint, SECRET) || strstr(e.text, "s3"))
		fail_msg("the password is shown: %s", e.text);
}

static void a_malformed_string_is_refused_without_its_password(void **state)
{
	(void)state;
	refuse("postgresql://u:%zz" SECRET "@h/d", "percent-encoded");
	refuse("postgresql://u:s3/" SECRET "@h/d", "an @ too many");
	refuse("postgresql://u:s3@" SECRET "@h/d", "an @ too many");
	refuse("postgresql://u:s3@x/" SECRET "@h/d", "an @ too many");
	refuse("postgresql://u:" SECRET, "port");
	refuse("postgresql://u:" SECRET "@[::1/d", "IPv6");
	refuse("postgresql://u@h/d?password=" SECRET "&sslmod=require", "sslmod");
	refuse("postgresql://u@h/d?" SECRET "@", "missing");
	refuse("host=h password=x " SECRET " dbname=d", "missing");
	refuse("host=h password=x " SECRET "=y", "invalid connection option");
	refuse("password='" SECRET, "unterminated");
	refuse(SECRET, "neither");
	refuse("host=h port=" SECRET, "port");
	refuse("postgresql://u:" SECRET "@h/d?sslmode=maybe", "sslmode");
	refuse("host=h1,h2 port=1,2,3 password=" SECRET, "port");
}

static void a_mistyped_setting_is_named(void **state)
{
	(void)state;
	refuse("postgresql://u:" SECRET "@h/d?sslmod=require", "\"sslmod\"");
	refuse("hst=h dbname=d", "\"hst\"");
}

static void an_at_sign_may_stand_in_the_parameters(void **state)
{
	AUTO(conn) struct conn *c = parsed("postgresql://h/d?user=me@server");

	(void)state;
	assert_string_equal(conn_user(c), "me@server");
}

/* --- what people and files may see --- */

static void the_public_string_has_everything_but_the_password(void **state)
{
	AUTO(conn)
	struct conn *c = parsed("host=h dbname='it\\'s' user='a\\\\b' password=" SECRET
				" sslpassword=" SECRET "2 options='-c x=1'");
	AUTO(conn) struct conn *again = NULL;
	AUTO(free) char *s = conn_public_string(c);

	(void)state;
	assert_non_null(s);
	assert_null(strstr(s, SECRET));
	again = parsed(s);
	assert_string_equal(conn_label(again), conn_label(c));
	assert_string_equal(conn_user(again), "a\\b");
	assert_string_equal(param(again, "options"), "-c x=1");
	assert_string_equal(param(again, "password"), "");
}

/* --- where the settings come from --- */

static struct conn *resolved(enum pg_role role, const char *option, bool *ret_ask)
{
	struct conn *c = NULL;

	assert_ok(conn_resolve(&c, role, option, ret_ask, E));
	return c;
}

static void the_source_is_found_in_the_documented_order(void **state)
{
	bool ask = true;

	(void)state;
	setenv("PGHOST", "pg", 1);
	{
		AUTO(conn) struct conn *c = resolved(PG_SOURCE, NULL, &ask);
		assert_string_equal(conn_origin(c), "PG*");
		assert_string_equal(conn_host(c), "pg");
	}
	setenv("POSTGRES_DB", "pdb", 1);
	setenv("POSTGRES_PASSWORD", SECRET, 1);
	{
		AUTO(conn) struct conn *c = resolved(PG_SOURCE, NULL, &ask);
		assert_string_equal(conn_origin(c), "POSTGRES_*");
		assert_string_equal(conn_label(c), "postgres@localhost:5432/pdb");
		assert_string_equal(param(c, "password"), SECRET);
	}
	setenv("LOCAL_DB_PORT", "5433", 1);
	{
		AUTO(conn) struct conn *c = resolved(PG_SOURCE, NULL, &ask);
		assert_string_equal(conn_origin(c), "LOCAL_DB_*");
		assert_string_equal(conn_label(c), "postgres@localhost:5433/chat_pgvector");
		assert_string_equal(param(c, "password"), "");
	}
	setenv("SOURCE_DATABASE_URL", "postgresql://u@h/d", 1);
	{
		AUTO(conn) struct conn *c = resolved(PG_SOURCE, NULL, &ask);
		assert_string_equal(conn_origin(c), "SOURCE_DATABASE_URL");
	}
	{
		AUTO(conn) struct conn *c = resolved(PG_SOURCE, "postgresql://o/d", &ask);
		assert_string_equal(conn_origin(c), "--source");
		assert_string_equal(conn_host(c), "o");
	}
	assert_false(ask);
}

static void the_target_is_found_in_the_documented_order(void **state)
{
	bool ask = false;

	(void)state;
	setenv("PGHOST", "pg", 1);
	setenv("SOURCE_DATABASE_URL", "postgresql://u@h/d", 1);
	setenv("NEON_DATABASE_URL", "", 1);
	setenv("DATABASE_URL", "postgresql://last/d", 1);
	{
		AUTO(conn) struct conn *c = resolved(PG_TARGET, NULL, &ask);
		assert_string_equal(conn_origin(c), "DATABASE_URL");
		assert_true(ask);
	}
	setenv("DATABASE_URL_UNPOOLED", "postgresql://second/d", 1);
	{
		AUTO(conn) struct conn *c = resolved(PG_TARGET, NULL, &ask);
		assert_string_equal(conn_origin(c), "DATABASE_URL_UNPOOLED");
		assert_false(ask);
	}
	setenv("NEON_DATABASE_URL", "postgresql://first/d", 1);
	{
		AUTO(conn) struct conn *c = resolved(PG_TARGET, NULL, NULL);
		assert_string_equal(conn_origin(c), "NEON_DATABASE_URL");
	}
	{
		AUTO(conn) struct conn *c = resolved(PG_TARGET, "postgresql://o/d", &ask);
		assert_string_equal(conn_origin(c), "--target");
	}
}

static void nothing_given_is_a_usage_error_that_lists_the_ways(void **state)
{
	struct err e = ERR_INIT;
	struct conn *c = NULL;
	bool ask;

	(void)state;
	assert_int_equal(conn_resolve(&c, PG_SOURCE, NULL, &ask, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_has(e.hint, "--source");
	assert_has(e.hint, "SOURCE_DATABASE_URL");
	e = ERR_INIT;
	setenv("PGHOST", "never the target", 1);
	assert_int_equal(conn_resolve(&c, PG_TARGET, NULL, &ask, &e), -1);
	assert_has(e.hint, "NEON_DATABASE_URL");
	assert_null(c);
}

static void a_bad_port_variable_is_named(void **state)
{
	struct err e = ERR_INIT;
	struct conn *c = NULL;
	bool ask;

	(void)state;
	setenv("LOCAL_DB_PORT", "five", 1);
	assert_int_equal(conn_resolve(&c, PG_SOURCE, NULL, &ask, &e), -1);
	assert_has(e.text, "LOCAL_DB_PORT");
}

/* --- the pooler --- */

static void check_unpool(const char *uri, const char *host, const char *options)
{
	AUTO(conn) struct conn *c = parsed(uri);

	assert_true(conn_is_pooled(c));
	assert_ok(conn_unpool(&c, E));
	assert_false(conn_is_pooled(c));
	assert_string_equal(conn_host(c), host);
	assert_has(conn_label(c), host);
	assert_string_equal(param(c, "options"), options);
	assert_string_equal(param(c, "password"), SECRET);
}

/* P-007 */
static void a_pooled_host_is_seen_and_made_direct(void **state)
{
	(void)state;
	check_unpool("postgresql://u:" SECRET "@ep-a-1-pooler.us-east-2.aws.neon.tech/d",
		     "ep-a-1.us-east-2.aws.neon.tech", "");
	check_unpool("postgresql://u:" SECRET "@ep-a-1-pooler.c-2.us-east-2.aws.neon.tech/d",
		     "ep-a-1.c-2.us-east-2.aws.neon.tech", "");
	check_unpool("postgresql://u:" SECRET "@a.x,ep-b-pooler.x,c-pooler/d", "a.x,ep-b.x,c", "");
	check_unpool("postgresql://u:" SECRET "@a.x,ep-b-pooler-pooler.x/d", "a.x,ep-b.x", "");
	check_unpool("postgresql://u:" SECRET
		     "@1.2.3.4/d?options=endpoint%3Dep-a-pooler%20-c%20b%3D1",
		     "1.2.3.4", "endpoint=ep-a -c b=1");
}

static void a_direct_host_is_left_alone(void **state)
{
	static const char *const uris[] = { "postgresql://u@ep-a-1.us-east-2.aws.neon.tech/d",
					    "postgresql://u@x.my-pooler.net/d",
					    "postgresql://u@-pooler.net/d",
					    "postgresql://u@a-pooler-2.net/d",
					    "host=/var/run/x-pooler dbname=d" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
		AUTO(conn) struct conn *c = parsed(uris[i]);
		AUTO(free) char *before = conn_public_string(c);
		assert_false(conn_is_pooled(c));
		assert_ok(conn_unpool(&c, E));
		AUTO(free) char *after = conn_public_string(c);
		assert_string_equal(before, after);
	}
}

/* --- the environment of pg_dump --- */

static const char *entry(char **env, const char *name)
{
	const char *found = NULL;

	for (; *env; env++)
		if (strncmp(*env, name, strlen(name)) == 0 && (*env)[strlen(name)] == '=') {
			assert_null(found); /* twice would be a matter of luck */
			found = *env + strlen(name) + 1;
		}
	return found;
}

static void programs_get_this_end_and_nothing_of_the_other(void **state)
{
	AUTO(conn) struct conn *c = NULL;
	char **env = NULL;

	(void)state;
	setenv("SOME_THING", "kept", 1);
	setenv("PGDATABASE", "other", 1);
	setenv("PGOPTIONS", "-c bad=1", 1);
	setenv("PGPASSWORD", "other", 1);
	setenv("POSTGRES_PASSWORD", "other", 1);
	setenv("NEON_DATABASE_URL", "other", 1);
	setenv("DATABASE_URL", "other", 1);
	setenv("PGPASSFILE", "/the/passfile", 1);
	c = parsed("postgresql://u:" SECRET "@h:6000/d?sslmode=verify-full&sslrootcert=/ca&"
		   "options=endpoint%3Dep-x");
	assert_ok(conn_env(c, &env, E));
	assert_string_equal(entry(env, "SOME_THING"), "kept");
	assert_non_null(entry(env, "PATH"));
	assert_string_equal(entry(env, "PGHOST"), "h");
	assert_string_equal(entry(env, "PGPORT"), "6000");
	assert_string_equal(entry(env, "PGUSER"), "u");
	assert_string_equal(entry(env, "PGDATABASE"), "d");
	assert_string_equal(entry(env, "PGPASSWORD"), SECRET);
	assert_string_equal(entry(env, "PGSSLMODE"), "verify-full");
	assert_string_equal(entry(env, "PGSSLROOTCERT"), "/ca");
	assert_string_equal(entry(env, "PGOPTIONS"), "endpoint=ep-x");
	assert_string_equal(entry(env, "PGPASSFILE"), "/the/passfile");
	assert_null(entry(env, "POSTGRES_PASSWORD"));
	assert_null(entry(env, "NEON_DATABASE_URL"));
	assert_null(entry(env, "DATABASE_URL"));
	assert_null(entry(env, "PGSERVICE"));
	conn_free_env(env);
}

static void a_named_passfile_goes_before_that_of_the_environment(void **state)
{
	AUTO(conn) struct conn *c = NULL;
	char **env = NULL;

	(void)state;
	setenv("PGPASSFILE", "/the/passfile", 1);
	c = parsed("postgresql://u@h/d?passfile=/mine");
	assert_ok(conn_env(c, &env, E));
	assert_string_equal(entry(env, "PGPASSFILE"), "/mine");
	conn_free_env(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_neon_uri_is_taken_apart, clean),
		cmocka_unit_test_setup(the_endpoint_option_is_kept, clean),
		cmocka_unit_test_setup(keywords_and_percent_signs_are_understood, clean),
		cmocka_unit_test_setup(the_driver_name_of_python_is_ignored, clean),
		cmocka_unit_test_setup(the_settings_for_a_cloud_are_the_default, clean),
		cmocka_unit_test_setup(what_the_user_says_goes_before_our_defaults, clean),
		cmocka_unit_test_setup(libpq_variables_complete_the_string, clean),
		cmocka_unit_test_setup(a_service_is_read_at_once, clean),
		cmocka_unit_test_setup(a_malformed_string_is_refused_without_its_password, clean),
		cmocka_unit_test_setup(a_mistyped_setting_is_named, clean),
		cmocka_unit_test_setup(an_at_sign_may_stand_in_the_parameters, clean),
		cmocka_unit_test_setup(the_public_string_has_everything_but_the_password, clean),
		cmocka_unit_test_setup(the_source_is_found_in_the_documented_order, clean),
		cmocka_unit_test_setup(the_target_is_found_in_the_documented_order, clean),
		cmocka_unit_test_setup(nothing_given_is_a_usage_error_that_lists_the_ways, clean),
		cmocka_unit_test_setup(a_bad_port_variable_is_named, clean),
		cmocka_unit_test_setup(a_pooled_host_is_seen_and_made_direct, clean),
		cmocka_unit_test_setup(a_direct_host_is_left_alone, clean),
		cmocka_unit_test_setup(programs_get_this_end_and_nothing_of_the_other, clean),
		cmocka_unit_test_setup(a_named_passfile_goes_before_that_of_the_environment, clean),
	};

	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
