#include "unit.h"

#include "common/pgerr.h"

#include <stdio.h>

/* One message as a server, Neon's proxy or libpq writes it, and the rule it must meet. */
struct sample {
	const char *sqlstate, *message;
	const char *rule_sqlstate, *rule_text;
	enum err_kind kind;
	enum err_next next;
};

#define BY_ROLE     ERR_NONE
#define CONNECTING  "connection to server at \"ep-x.neon.tech\" (10.0.0.1), port 5432 failed: "
#define NEON(text)  "XX000", CONNECTING "ERROR:  " text
#define LIBPQ(text) "", CONNECTING text

static const struct sample samples[] = {
	/* the data */
	{ "22000", "different vector dimensions 3 and 4", "22000", "different vector dimensions",
	  ERR_DATA, ERR_GIVE_UP },
	{ "22000", "expected 1536 dimensions, not 768", "22000", "dimensions, not", ERR_DATA,
	  ERR_GIVE_UP },
	{ "22003", "\"70000\" is out of range for type halfvec", "22003", "for type halfvec",
	  ERR_DATA, ERR_GIVE_UP },
	{ "22023", "invalid snapshot identifier: \"00000003-0000001B-1\"", "22023",
	  "invalid snapshot identifier", ERR_SOURCE, ERR_GIVE_UP },
	{ "22021", "invalid byte sequence for encoding \"UTF8\": 0xff", "22021", "", ERR_DATA,
	  ERR_GIVE_UP },
	{ "22P05", "character with byte sequence 0xe2 has no equivalent in encoding \"LATIN1\"",
	  "22P05", "", ERR_DATA, ERR_GIVE_UP },
	{ "22P02", "invalid input syntax for type integer: \"connection refused\"", "22", "",
	  ERR_DATA, ERR_GIVE_UP },
	{ "22001", "value too long for type character varying(3)", "22", "", ERR_DATA,
	  ERR_GIVE_UP },
	{ "23505", "duplicate key value violates unique constraint \"chunk_pkey\"", "23505", "",
	  ERR_DATA, ERR_GIVE_UP },
	{ "23503", "insert or update on table \"a\" violates foreign key constraint \"b\"", "23503",
	  "", ERR_DATA, ERR_GIVE_UP },
	{ "23514", "new row for relation \"quota\" violates check constraint \"c\"", "23", "",
	  ERR_DATA, ERR_GIVE_UP },
	{ "23502", "null value in column \"id\" violates not-null constraint", "23", "", ERR_DATA,
	  ERR_GIVE_UP },
	{ "08P01", "insufficient data left in message", "08P01", "in message", ERR_DATA,
	  ERR_GIVE_UP },
	{ "P0001", "server closed the connection unexpectedly, says a trigger", "P0001", "",
	  ERR_DATA, ERR_GIVE_UP },

	/* three meanings of 53100, and other limits */
	{ "53100", "could not extend file because project size limit (512 MB) has been exceeded",
	  "53100", "project size limit", ERR_QUOTA, ERR_GIVE_UP },
	{ "53100",
	  "could not resize shared memory segment \"/PostgreSQL.12\" to 8589 bytes: No space left "
	  "on "
	  "device",
	  "53100", "shared memory segment", BY_ROLE, ERR_RETRY },
	{ "53100", "could not write to file \"base/pgsql_tmp/x\": No space left on device", "53100",
	  "", BY_ROLE, ERR_GIVE_UP },
	{ "53200", "out of shared memory", "53200", "out of shared memory", BY_ROLE, ERR_GIVE_UP },
	{ "53200", "out of memory", "53200", "", BY_ROLE, ERR_GIVE_UP },

	/* other sessions */
	{ "40001", "canceling statement due to conflict with recovery", "40001",
	  "conflict with recovery", BY_ROLE, ERR_GIVE_UP },
	{ "40001", "could not serialize access due to concurrent update", "40001", "", BY_ROLE,
	  ERR_RETRY },
	{ "40P01", "deadlock detected", "40P01", "", BY_ROLE, ERR_RETRY },
	{ "40003", "statement completion unknown", "40003", "", ERR_NETWORK, ERR_RETRY_ASK },
	{ "40000", "transaction rollback", "40", "", BY_ROLE, ERR_RETRY },
	{ "55P03", "canceling statement due to lock timeout", "55P03", "", BY_ROLE, ERR_RETRY },
	{ "55006", "database \"x\" is being accessed by other users", "55006", "", BY_ROLE,
	  ERR_RETRY },
	{ "57014", "canceling statement due to user request", "57014", "", BY_ROLE, ERR_RETRY_ASK },
	{ "72000", "snapshot too old", "72000", "", BY_ROLE, ERR_GIVE_UP },
	{ "42704", "snapshot \"00000003-0000001B-1\" does not exist", "42704", "snapshot \"",
	  ERR_SOURCE, ERR_GIVE_UP },
	{ "55000", "could not import the requested snapshot", "55000",
	  "could not import the requested snapshot", ERR_SOURCE, ERR_GIVE_UP },

	/* rights and objects */
	{ "25006", "cannot execute COPY FROM in a read-only transaction", "25006", "", BY_ROLE,
	  ERR_GIVE_UP },
	{ "25P02",
	  "current transaction is aborted, commands ignored until end of transaction block",
	  "25P02", "", ERR_INTERNAL, ERR_GIVE_UP },
	{ "42501", "query would be affected by row-level security policy for table \"t\"", "42501",
	  "row-level security", BY_ROLE, ERR_GIVE_UP },
	{ "42501", "permission denied to set parameter \"session_replication_role\"", "42501",
	  "session_replication_role", BY_ROLE, ERR_GIVE_UP },
	{ "42501", "permission denied for table quota", "42501", "", BY_ROLE, ERR_GIVE_UP },
	{ "0A000", "CREATE TABLESPACE is not supported on Neon", "0A000",
	  "tablespace is not supported", BY_ROLE, ERR_GIVE_UP },
	{ "58P01",
	  "could not open extension control file \"/x.control\": No such file or directory", "",
	  "extension control file", BY_ROLE, ERR_GIVE_UP },
	{ "0A000", "extension \"x\" is not available", "0A000", "is not available", BY_ROLE,
	  ERR_GIVE_UP },
	{ "42P01", "relation \"public.quota\" does not exist", "42P01", "", BY_ROLE, ERR_GIVE_UP },
	{ "3F000", "schema \"x\" does not exist", "3F000", "", BY_ROLE, ERR_GIVE_UP },
	{ "42704", "type \"snapshot\" does not exist", "42704", "", BY_ROLE, ERR_GIVE_UP },
	{ "42883", "function public.vector_send(public.vector) does not exist", "42883", "",
	  BY_ROLE, ERR_GIVE_UP },
	{ "42703", "column \"x\" does not exist", "42703", "", BY_ROLE, ERR_GIVE_UP },
	{ "42P07", "relation \"t\" already exists", "42P07", "", BY_ROLE, ERR_GIVE_UP },
	{ "42710", "extension \"vector\" already exists", "42710", "", BY_ROLE, ERR_GIVE_UP },
	{ "42P04", "database \"x\" already exists", "42P04", "", BY_ROLE, ERR_GIVE_UP },
	{ "54000", "column cannot have more than 2000 dimensions for hnsw index", "54000", "",
	  BY_ROLE, ERR_GIVE_UP },
	{ "54001", "stack depth limit exceeded", "54", "", BY_ROLE, ERR_GIVE_UP },
	{ "2BP01", "cannot drop table t because other objects depend on it", "2BP01", "", BY_ROLE,
	  ERR_GIVE_UP },
	{ "55000", "sequence \"s\" is not yet defined in this session", "55", "", BY_ROLE,
	  ERR_GIVE_UP },
	{ "42601", "syntax error at or near \"quota\"", "42601", "", BY_ROLE, ERR_GIVE_UP },

	{ "42809", "\"v\" is not a table", "42", "", BY_ROLE, ERR_GIVE_UP },

	/* the server itself */
	{ "XX001", "invalid page in block 7 of relation base/5/16384", "XX001", "", BY_ROLE,
	  ERR_GIVE_UP },
	{ "XX002", "index \"i\" contains unexpected zero page at block 0", "XX002", "", BY_ROLE,
	  ERR_GIVE_UP },
	{ "58030", "could not read block 1 in file \"base/5/1\": Input/output error", "58", "",
	  BY_ROLE, ERR_GIVE_UP },
	{ "58P01", "could not open file \"base/5/1\": No such file or directory", "58", "", BY_ROLE,
	  ERR_GIVE_UP },

	/* TLS */
	{ LIBPQ("server does not support SSL, but SSL was required"), "",
	  "server does not support ssl", BY_ROLE, ERR_GIVE_UP },
	{ NEON("connection is insecure (try using `sslmode=require`)"), "",
	  "connection is insecure", BY_ROLE, ERR_GIVE_UP },
	{ "08P01", "SSL connection is required", "", "ssl connection is required", BY_ROLE,
	  ERR_GIVE_UP },
	{ "28000",
	  CONNECTING
	  "FATAL:  no pg_hba.conf entry for host \"10.0.0.1\", user \"u\", database \"d\", no "
	  "encryption",
	  "", "no encryption", BY_ROLE, ERR_GIVE_UP },
	{ "28000",
	  CONNECTING
	  "FATAL:  no pg_hba.conf entry for host \"10.0.0.1\", user \"u\", database \"d\", "
	  "SSL encryption",
	  "", "no pg_hba.conf entry", BY_ROLE, ERR_GIVE_UP },
	{ LIBPQ("SSL error: certificate verify failed"), "", "certificate verify failed", BY_ROLE,
	  ERR_GIVE_UP },
	{ LIBPQ("server certificate for \"a.neon.tech\" does not match host name \"b\""), "",
	  "does not match host name", BY_ROLE, ERR_GIVE_UP },
	{ LIBPQ("root certificate file \"/root/.postgresql/root.crt\" does not exist"), "",
	  "root certificate file", ERR_USAGE, ERR_GIVE_UP },
	{ LIBPQ("SSL error: tlsv13 alert certificate required"), "", " alert ", BY_ROLE,
	  ERR_GIVE_UP },
	{ LIBPQ("SSL error: wrong version number"), "", "wrong version number", BY_ROLE,
	  ERR_GIVE_UP },
	{ LIBPQ("channel binding is required, but server did not offer an authentication method "
		"that "
		"supports channel binding"),
	  "", "channel binding", BY_ROLE, ERR_GIVE_UP },

	/* who and where */
	{ NEON("Endpoint ID is not specified. Either please upgrade the postgres client library "
	       "(libpq) "
	       "for SNI support or pass the endpoint ID (first part of the domain name) as a "
	       "parameter: '?options=endpoint%3D<endpoint-id>'. See more at https://neon.tech/sni"),
	  "", "endpoint id is not specified", BY_ROLE, ERR_GIVE_UP },
	{ NEON("Inconsistent project name inferred from SNI ('a') and project option ('b')."), "",
	  "inconsistent project name", BY_ROLE, ERR_GIVE_UP },
	{ NEON("Project name ('x y') must contain only alphanumeric characters and hyphen."), "",
	  "must contain only alphanumeric", BY_ROLE, ERR_GIVE_UP },
	{ LIBPQ("fe_sendauth: no password supplied"), "", "no password supplied", ERR_USAGE,
	  ERR_GIVE_UP },
	{ NEON("password authentication failed for user 'x'"), "", "password authentication failed",
	  BY_ROLE, ERR_GIVE_UP },
	{ "28P01", CONNECTING "FATAL:  password authentication failed for user \"x\"", "",
	  "password authentication failed", BY_ROLE, ERR_GIVE_UP },
	{ "", CONNECTING "FATAL:  password authentication failed for user \"x\"", "",
	  "password authentication failed", BY_ROLE, ERR_GIVE_UP },
	{ "28P01", CONNECTING "FATAL:  Passwort-Authentifizierung fehlgeschlagen", "28P01", "",
	  BY_ROLE, ERR_GIVE_UP },
	{ "28000", CONNECTING "FATAL:  role \"x\" is not permitted to log in", "28", "", BY_ROLE,
	  ERR_GIVE_UP },
	{ LIBPQ("FATAL:  Peer authentication failed for user \"x\""), "",
	  "authentication failed for user", BY_ROLE, ERR_GIVE_UP },
	{ NEON("Control plane request failed: endpoint cannot be found"), "",
	  "endpoint cannot be found", BY_ROLE, ERR_GIVE_UP },
	{ NEON("Control plane request failed: endpoint is disabled"), "", "endpoint is disabled",
	  BY_ROLE, ERR_GIVE_UP },
	{ NEON("Control plane request failed: endpoint is temporarily unavailable. Check your "
	       "quotas "
	       "and/or contact our support."),
	  "", "temporarily unavailable. check your quotas", ERR_QUOTA, ERR_GIVE_UP },
	{ NEON("Your account or project has exceeded the compute time quota. Upgrade your plan to "
	       "increase limits."),
	  "", "compute time quota", ERR_QUOTA, ERR_GIVE_UP },
	{ NEON("Your project has exceeded the data transfer quota. Upgrade your plan."), "",
	  "data transfer quota", ERR_QUOTA, ERR_GIVE_UP },
	{ NEON("Your project has exceeded the written data quota."), "", "written data quota",
	  ERR_QUOTA, ERR_GIVE_UP },
	{ NEON("Your project has exceeded the logical size quota."), "", "logical size quota",
	  ERR_QUOTA, ERR_GIVE_UP },
	{ NEON("You have exceeded the limit of concurrently active endpoints"), "",
	  "active endpoints", ERR_QUOTA, ERR_GIVE_UP },
	{ NEON("active endpoints limit exceeded"), "", "active endpoints", ERR_QUOTA, ERR_GIVE_UP },
	{ NEON("This IP address 1.2.3.4 is not allowed to connect to this endpoint. Please add it "
	       "to "
	       "the allowed list in the Neon console. Make sure to check for IPv4 or IPv6 "
	       "addresses."),
	  "", "is not allowed to connect to this endpoint", BY_ROLE, ERR_GIVE_UP },
	{ NEON("This connection is trying to access this endpoint from a blocked network."), "",
	  "from a blocked network", BY_ROLE, ERR_GIVE_UP },
	{ NEON("unsupported startup parameter in options: work_mem. Please use unpooled connection "
	       "or "
	       "remove this parameter from the startup package."),
	  "", "unsupported startup parameter", BY_ROLE, ERR_GIVE_UP },
	{ "08P01", "query_wait_timeout", "", "query_wait_timeout", BY_ROLE, ERR_GIVE_UP },
	{ "3D000", CONNECTING "FATAL:  database \"x\" does not exist", "3D000", "", BY_ROLE,
	  ERR_GIVE_UP },
	{ "57P04", "database \"x\" was dropped", "57P04", "", BY_ROLE, ERR_GIVE_UP },

	/* not now */
	{ NEON("Failed to acquire permit to connect to the database. Too many database connection "
	       "attempts are currently ongoing."),
	  "", "failed to acquire permit", ERR_NETWORK, ERR_RETRY },
	{ NEON("Too many connections attempts"), "", "too many connections attempts", ERR_NETWORK,
	  ERR_RETRY },
	{ NEON("Too many connections to this endpoint. Please try again later."), "",
	  "too many connections to this endpoint", ERR_NETWORK, ERR_RETRY },
	{ NEON("Couldn't connect to compute node"), "", "couldn't connect to compute node",
	  ERR_NETWORK, ERR_RETRY },
	{ NEON("Control plane request failed"), "", "control plane request failed", ERR_NETWORK,
	  ERR_RETRY },
	{ NEON("Authentication timed out"), "", "authentication timed out", ERR_NETWORK,
	  ERR_RETRY },
	{ NEON("concurrency limit reached"), "", "concurrency limit reached", ERR_NETWORK,
	  ERR_RETRY },
	{ NEON("project has running operations"), "", "running operations", ERR_NETWORK,
	  ERR_RETRY },
	{ NEON("lock already taken"), "", "lock already taken", ERR_NETWORK, ERR_RETRY },
	{ NEON("project is under maintenance"), "", "under maintenance", ERR_NETWORK, ERR_RETRY },
	{ NEON("endpoint is idle"), "", "endpoint is idle", ERR_NETWORK, ERR_RETRY },
	{ NEON("Some new quota has been exceeded"), "", "quota", ERR_QUOTA, ERR_GIVE_UP },
	{ "53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute",
	  "53300", "", BY_ROLE, ERR_RETRY },
	{ LIBPQ("FATAL:  sorry, too many clients already"), "", "too many clients already", BY_ROLE,
	  ERR_RETRY },
	{ LIBPQ("FATAL:  remaining connection slots are reserved for non-replication superuser "
		"connections"),
	  "", "remaining connection slots are reserved", BY_ROLE, ERR_RETRY },
	{ "57P03", CONNECTING "FATAL:  the database system is starting up", "57P03", "",
	  ERR_NETWORK, ERR_RETRY },
	{ LIBPQ("FATAL:  the database system is shutting down"), "", "the database system is",
	  ERR_NETWORK, ERR_RETRY },
	{ "",
	  "could not translate host name \"x\" to address: Temporary failure in name resolution",
	  "", "temporary failure in name resolution", ERR_NETWORK, ERR_RETRY },
	{ "", "could not translate host name \"x\" to address: Name or service not known", "",
	  "could not translate host name", ERR_NETWORK, ERR_GIVE_UP },
	{ LIBPQ("Connection refused"), "", "connection refused", ERR_NETWORK, ERR_RETRY },
	{ "",
	  "connection to server on socket \"/x/.s.PGSQL.5432\" failed: No such file or directory",
	  "", "no such file or directory", ERR_NETWORK, ERR_RETRY },
	{ LIBPQ("timeout expired"), "", "timeout expired", ERR_NETWORK, ERR_RETRY },
	{ LIBPQ("Network is unreachable"), "", "network is unreachable", ERR_NETWORK, ERR_RETRY },
	{ LIBPQ("No route to host"), "", "no route to host", ERR_NETWORK, ERR_RETRY },

	/* the connection is gone */
	{ "57P01", "terminating connection due to administrator command", "57P01", "", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ "57P02", "terminating connection because of crash of another server process", "57P02", "",
	  ERR_NETWORK, ERR_RETRY_ASK },
	{ "57P05", "terminating connection due to idle-session timeout", "57P05", "", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ "25P03", "terminating connection due to idle-in-transaction timeout", "25P03", "",
	  ERR_NETWORK, ERR_RETRY_ASK },
	{ "25P04", "terminating connection due to transaction timeout", "25P04", "", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ "08006", "connection failure", "08", "", ERR_NETWORK, ERR_RETRY_ASK },
	{ "08P01", "invalid frontend message type 0", "08", "", ERR_NETWORK, ERR_RETRY_ASK },
	{ "",
	  "FATAL:  terminating connection due to immediate shutdown command; SSL SYSCALL error: "
	  "EOF "
	  "detected",
	  "", "terminating connection due to", ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "SSL SYSCALL error: EOF detected", "", "ssl syscall error", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ "", "SSL error: unexpected eof while reading", "", "ssl error", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ "", "SSL connection has been closed unexpectedly", "", "ssl connection has been closed",
	  ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "server closed the connection unexpectedly", "",
	  "server closed the connection unexpectedly", ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "connection not open", "", "connection not open", ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "no connection to the server", "", "no connection to the server", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ "", "connection pointer is NULL", "", "connection pointer is null", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ "", "the connection was lost", "", "connection was lost", ERR_NETWORK, ERR_RETRY_ASK },
	{ LIBPQ("Connection reset by peer"), "", "connection reset by peer", ERR_NETWORK,
	  ERR_RETRY_ASK },
	{ LIBPQ("Connection timed out"), "", "connection timed out", ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "could not write: Broken pipe", "", "broken pipe", ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "could not receive data from server: Software caused connection abort", "",
	  "could not receive data from server", ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "could not send data to server: No buffer space available", "",
	  "could not send data to server", ERR_NETWORK, ERR_RETRY_ASK },
	{ "", "lost synchronization with server: got message type \"x\"", "",
	  "lost synchronization with server", ERR_NETWORK, ERR_RETRY_ASK },

	/* the rest */
	/* errors of the compute at the connect, of which the proxy leaves only the text */
	{ NEON("database \"nowhere\" does not exist"), "XX000", "\" does not exist", BY_ROLE,
	  ERR_GIVE_UP },
	{ NEON("permission denied for database \"d\""), "XX000", "permission denied for database",
	  BY_ROLE, ERR_GIVE_UP },
	{ NEON("database \"d\" is not currently accepting connections"), "XX000",
	  "is not currently accepting connections", BY_ROLE, ERR_GIVE_UP },
	{ NEON("too many connections for role \"r\""), "", "too many connections for", BY_ROLE,
	  ERR_RETRY },
	{ "XX000", "cache lookup failed for type 1", "", "", BY_ROLE, ERR_GIVE_UP },
	{ "", "", "", "", BY_ROLE, ERR_GIVE_UP },
};

static void meets_its_rule(void **state)
{
	const struct sample *s = *state;
	const struct pgerr_rule *rule = pgerr_find(s->sqlstate, s->message);

	assert_string_equal(rule->sqlstate, s->rule_sqlstate);
	assert_string_equal(rule->text, s->rule_text);
	assert_int_equal(rule->kind, s->kind);
	assert_int_equal(rule->next, s->next);
}

static void no_sqlstate_and_no_message_are_the_unknown_error(void **state)
{
	(void)state;
	assert_ptr_equal(pgerr_find(NULL, NULL), &pgerr_rules[pgerr_n_rules - 1]);
}

/* P-117. Also: no rule stands behind another one that takes everything it could match. */
static void every_rule_has_a_sample(void **state)
{
	(void)state;
	for (size_t i = 0; i < pgerr_n_rules; i++) {
		bool met = false;
		for (size_t j = 0; j < ARRAY_LEN(samples); j++)
			met |= pgerr_find(samples[j].sqlstate, samples[j].message) ==
			       &pgerr_rules[i];
		if (!met)
			fail_msg("no sample for \"%s\" \"%s\"", pgerr_rules[i].sqlstate,
				 pgerr_rules[i].text);
	}
}

static void every_rule_is_fit_for_the_docs(void **state)
{
	(void)state;
	for (size_t i = 0; i < pgerr_n_rules; i++) {
		const struct pgerr_rule *rule = &pgerr_rules[i];
		size_t n = strlen(rule->means);
		assert_true(n > 0 && rule->means[n - 1] == '.');
		assert_non_null(rule->hint);
		assert_true(strlen(rule->hint) < sizeof(((struct err *)0)->hint));
		for (const char *p = rule->text; *p; p++)
			assert_false(*p >= 'A' && *p <= 'Z');
		/* Who must act must be told what to do. */
		if (rule->next == ERR_GIVE_UP &&
		    (rule->kind == ERR_QUOTA || rule->kind == ERR_DATA))
			assert_true(rule->hint[0] != '\0');
	}
}

static void a_broken_connection_is_told_with_the_role_and_what_was_done(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(pgerr_set(&e, PG_SOURCE, NULL, NULL, "reading t"), -1);
	assert_int_equal(e.kind, ERR_NETWORK);
	assert_int_equal(e.next, ERR_RETRY_ASK);
	assert_string_equal(e.text, "source: connection pointer is NULL; while reading t");
	assert_string_equal(e.sqlstate, "");
}

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(no_sqlstate_and_no_message_are_the_unknown_error),
		cmocka_unit_test(every_rule_has_a_sample),
		cmocka_unit_test(every_rule_is_fit_for_the_docs),
		cmocka_unit_test(a_broken_connection_is_told_with_the_role_and_what_was_done),
	};
	static struct CMUnitTest tests[ARRAY_LEN(samples)];
	static char names[ARRAY_LEN(samples)][100];

	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		snprintf(names[i], sizeof(names[i]), "%s %.80s", samples[i].sqlstate,
			 samples[i].message);
		tests[i] = (struct CMUnitTest){ .name = names[i],
						.test_func = meets_its_rule,
						.initial_state = (void *)(uintptr_t)&samples[i] };
	}
	int failed = cmocka_run_group_tests_name("pgerr", others, NULL, NULL);
	return failed + cmocka_run_group_tests_name("pgerr rules", tests, NULL, NULL) ? 1 : 0;
}
