/*
 * ddl_state - what a run has already done with each entry, and what the target had before it.
 * Private to schema/ddl*.
 */
#ifndef SCHEMA_DDL_STATE_H
#define SCHEMA_DDL_STATE_H

#include "schema/ddl_batch.h"

#define DDL_PRE      "pre-data"
#define DDL_POST     "post-data"
#define DDL_VALIDATE "validate"
#define DDL_REFRESH  "refresh"
/* What was set aside and is put back: the same, with set_aside.seq as entry. */
#define DDL_ASIDE          "aside"
#define DDL_ASIDE_VALIDATE "aside-validate"

enum ddl_outcome { DDL_PENDING = 0, DDL_APPLIED, DDL_PRESENT, DDL_LEFT_OUT };

/* What the ledger says of each entry; indexes as in archive->entries. */
struct ddl_state {
	const struct archive *archive;
	enum ddl_outcome *outcome;
	bool *validated; /* DDL_VALIDATE row is there */
	bool *refreshed; /* DDL_REFRESH row is there */
	int n_known;     /* rows found */
};

/* aside: the rows of DDL_ASIDE..., else those of the archive. */
int ddl_state_load(struct ddl_state *ret, struct pg *pg, const char *run, const struct archive *a,
		   bool aside, struct err *e) MUST_CHECK;
void ddl_state_done(struct ddl_state *state);

/*
 * The outcome an entry must have because of what it belongs to, or because it is never applied;
 * DDL_PENDING where it is to be applied. *ret_why (may be NULL) is set for the others.
 */
enum ddl_outcome ddl_state_inherited(const struct ddl_state *state, int entry,
				     const char **ret_why);

const char *ddl_outcome_name(enum ddl_outcome outcome);
enum ddl_outcome ddl_outcome_parse(const char *name); /* of the ledger */

/*
 * Adds an entry with this outcome to items: its record, and its SQL where it is applied. sql (taken
 * over; NULL: the entry's own) replaces the entry's.
 */
int ddl_state_add(struct ddl_items *items, const struct ddl *d, const struct archive *a, int entry,
		  const char *section, enum ddl_outcome outcome, const char *why, char *sql,
		  struct err *e) MUST_CHECK;

/* A judge's answer: the record of an entry with another outcome, malloc'ed; NULL without memory. */
char *ddl_state_record(const struct ddl *d, const struct archive *a, int entry, const char *section,
		       enum ddl_outcome outcome, const char *why);

/*
 * How DROP names an operator, operator class or family: "app.+ (integer, NONE)". These need more
 * than the tag. False for other types.
 */
bool ddl_state_operator(const struct archive_entry *entry, struct text *ret);

/* --- what exists in the target, by kind and name --- */

struct ddl_present;

int ddl_present_load(struct ddl_present **ret, struct pg *pg, struct err *e) MUST_CHECK;
void ddl_present_free(struct ddl_present *p);
/* True where an object of the entry's kind and name exists; false also for kinds it does not know.
 */
bool ddl_present_has(const struct ddl_present *p, const struct archive_entry *entry);
/* True for the kinds that only the server's "already exists" can tell. */
bool ddl_present_asks_server(const struct archive_entry *entry);

UNUSED static inline void auto_ddl_present(struct ddl_present **p)
{
	ddl_present_free(*p);
}

#endif
