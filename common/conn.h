/*
 * conn - where and as whom to connect: settings of one end, from URI, keywords, environment.
 *
 * INVARIANT	The password is kept only here, is never printed, logged or put on a command line.
 * OWNER	conn_free(). Immutable after conn_parse()/conn_resolve(), so threads may share it.
 */
#ifndef COMMON_CONN_H
#define COMMON_CONN_H

#include "common/pg.h"

struct conn;

/* From a URI or keyword string, completed by libpq's own defaults (PG*, service, .pgpass). */
int conn_parse(struct conn **ret, enum pg_role role, const char *uri, struct err *e) MUST_CHECK;

/*
 * From the option's value (may be NULL) or the environment, in the documented order:
 *   source: --source, SOURCE_DATABASE_URL, LOCAL_DB_USER/NAME/HOST/PORT, POSTGRES_*, PG*
 *   target: --target, NEON_DATABASE_URL, DATABASE_URL_UNPOOLED, DATABASE_URL (ret_ask is set:
 *           it is usually the local database until cut-over, so the user must confirm)
 * Nothing found: ERR_USAGE with a hint that lists them.
 */
int conn_resolve(struct conn **ret, enum pg_role role, const char *option, bool *ret_ask,
		 struct err *e) MUST_CHECK;
/* The same server and role, another database. */
int conn_other_database(struct conn **ret, const struct conn *c, const char *dbname, struct err *e)
	MUST_CHECK;
void conn_free(struct conn *c);

enum pg_role conn_role(const struct conn *c);
/* For people: "user@host:port/dbname" without password; and where it came from. */
const char *conn_label(const struct conn *c);
const char *conn_origin(const struct conn *c); /* "--target", "NEON_DATABASE_URL", ... */
const char *conn_host(const struct conn *c);
const char *conn_dbname(const struct conn *c);
const char *conn_user(const struct conn *c);
/* A connection string with everything except the password. malloc'ed. */
char *conn_public_string(const struct conn *c);

/* True when a host's first label ends in -pooler; conn_unpool() gives the direct endpoint. */
bool conn_is_pooled(const struct conn *c);
int conn_unpool(struct conn **c, struct err *e) MUST_CHECK;

/*
 * NULL-terminated arrays for PQconnectStartParams(), valid while c lives. application_name and
 * keepalives are set here (connect_timeout=30 keepalives_idle=30 interval=10 count=6, no
 * tcp_user_timeout), unless the user's string says otherwise.
 */
void conn_params(const struct conn *c, const char *const **ret_keys,
		 const char *const **ret_values);

/*
 * Environment for pg_dump and pg_restore: a malloc'ed NULL-terminated envp: the current environment
 * without PG* that would disturb, with PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, PGSSLMODE,
 * ... of this end. Free with conn_free_env(). Passwords so never appear as arguments.
 */
int conn_env(const struct conn *c, char ***ret, struct err *e) MUST_CHECK;
void conn_free_env(char **env);

UNUSED static inline void auto_conn(struct conn **c)
{
	conn_free(*c);
}

#endif
