/*
 * ddl_batch - statements with their ledger rows, many in one round trip. Private to schema/ddl*.
 *
 * A batch is one transaction of at most DDL_BATCH items: for each first its record (a ledger
 * statement that carries the fence and is the claim), then its SQL. When a batch fails, its items
 * are done one by one, so that the culprit can be named and the others are kept.
 */
#ifndef SCHEMA_DDL_BATCH_H
#define SCHEMA_DDL_BATCH_H

#include "schema/ddl_session.h"

struct ddl_item {
	char *label;  /* for messages: "INDEX public.t_i" */
	char *record; /* the ledger statement, with its semicolon */
	char *sql;  /* what it does, or NULL: the record alone; semicolon at the end is optional */
	int number; /* the caller's own: which entry */
};

struct ddl_items {
	int n, cap;
	struct ddl_item *list;
};

void ddl_items_done(struct ddl_items *items);
/* Takes the three strings over, also on error. label and record that are NULL: out of memory. */
int ddl_items_add(struct ddl_items *items, int number, char *label, char *record, char *sql,
		  struct err *e) MUST_CHECK;

/*
 * Asked about an item that failed for good: *e is why. Returns a ledger statement (malloc'ed) that
 * settles it otherwise ("present", "kept"), or NULL: the error stands.
 */
typedef char *ddl_judge(struct ddl_session *s, void *ctx, const struct ddl_item *item,
			struct err *e);

/*
 * Does all items in order. judge may be NULL. A claim that somebody else has made meanwhile, and a
 * lost connection, come back as errors that ddl_session_do() answers by asking again.
 */
int ddl_batch_run(struct ddl_session *s, const struct ddl_items *items, struct ddl_phase *phase,
		  ddl_judge *judge, void *ctx, struct err *e) MUST_CHECK;

/* One item alone, in a transaction of its own; no judge. For long statements. */
int ddl_batch_one(struct ddl_session *s, const struct ddl_item *item, struct err *e) MUST_CHECK;

/*
 * Adds the claim of a schema entry: INSERT INTO neonferry.object. detail is JSON or NULL (its
 * reference is taken).
 */
void ddl_object_record(struct text *t, const struct ddl *d, const char *section, int entry,
		       const char *tag, const char *outcome, json_t *detail);

#endif
