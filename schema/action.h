/*
 * action - foreign keys that act: what the server writes to other tables when rows of one go, or
 * change, whether those tables were asked for or not.
 *
 * OWNER	actions_done(); the keys' texts are the result's.
 */
#ifndef SCHEMA_ACTION_H
#define SCHEMA_ACTION_H

#include "common/pg.h"

/* A foreign key ON DELETE or ON UPDATE CASCADE, SET NULL or SET DEFAULT; all but the names is SQL. */
struct action_key {
	const char *name, *child_name;
	uint32_t child_oid;
	const char *child, *parent; /* FROM items: the table that refers, the one referred to */
	const char *columns;        /* referenced: a AS k1, b AS k2 */
	const char *match;          /* nf_old.k1 = nf_ref.x AND ...: that row refers to this */
	const char *was, *is;       /* o.k1, o.k2 and n.k1, n.k2 */
	bool is_generated;          /* a referenced column is: new values are not at hand */
	const char *on_delete, *on_update; /* "CASCADE"; NULL: does not act */
};

struct actions {
	int n;
	struct action_key *keys;
	PGresult *res;
};

/*
 * The keys that refer to a table, or to a partition of it. `table`: SQL of its oid; `which`: SQL
 * that is true of the constraints c (pg_constraint) that count.
 */
int actions_read(struct actions *ret, struct pg *pg, const char *table, const char *which,
		 struct err *e) MUST_CHECK;
void actions_done(struct actions *a);

#endif
