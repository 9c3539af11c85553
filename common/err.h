/*
 * err - one error, as a value.
 *
 * A function that can fail returns 0, or -1 with *e set. The error is set exactly once, where it
 * is first seen, and classified there: what kind it is (for people and exit statuses) and what
 * the caller may do next (for code). Every level on the way out may add what it was doing.
 * Only cli/ prints errors.
 *
 * INVARIANT	`text` is the cause first, then "; while <context>" per level, innermost first.
 * OWNER	Lives on the caller's stack, owns nothing, is copied by assignment.
 * LIMIT	Longer texts are cut at the end with "...". Never contains a password.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include "common/attr.h"

#include <stdbool.h>
#include <stddef.h>

/* Who or what is to blame; decides the exit status (cli/exit.h). */
enum err_kind {
	ERR_NONE = 0,
	ERR_INTERNAL, /* our own mistake, or out of memory */
	ERR_USAGE,    /* the command line, a setting, a file the user named */
	ERR_SOURCE,   /* the source server refused or failed */
	ERR_TARGET,   /* the target server refused or failed */
	ERR_NETWORK,  /* a connection could not be made, or broke */
	ERR_QUOTA,    /* a limit of the target: size, compute time, transfer */
	ERR_DATA,     /* the data itself: duplicate key, bad value, too large a row */
	ERR_DISK,     /* the local disk: spill folder full, unreadable, damaged file */
	ERR_REFUSED,  /* a precondition failed; nothing was written */
	ERR_RESUME,   /* a resume that cannot be done as asked */
	ERR_STOPPED,  /* stopped on request, or because another thread failed first */
};

/* What code may do about it. Decided once, where the error is first seen. */
enum err_next {
	ERR_GIVE_UP = 0, /* asking again would fail again; the user must act */
	ERR_RETRY,       /* nothing happened on the server: do it again */
	ERR_RETRY_ASK,   /* it may have happened: ask the ledger before doing it again */
};

struct err {
	enum err_kind kind;
	enum err_next next;
	int sys_errno;       /* errno at the failure, or 0 */
	char sqlstate[6];    /* five characters, or "" */
	char constraint[64]; /* the server's constraint name field, or "" */
	int position;        /* where in the statement, in characters from 1, or 0 */
	size_t len;          /* bytes used in text, without the NUL */
	char text[2048];     /* cause, then each context */
	char hint[512];      /* what the user can do, or "" */
};

#define ERR_INIT ((struct err){ 0 })

/* Sets *e. Returns -1, so that a failing function can `return err_set(e, ...)`. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set(), with ": <strerror>" appended and sys_errno kept. ENOSPC becomes ERR_DISK. */
int err_sys(struct err *e, enum err_kind kind, int sys_errno, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Out of memory, in one word. Returns -1. */
int err_nomem(struct err *e);

/* Adds "; while <context>" to an error that is already set. Returns -1. */
int err_note(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Sets what the user can do: one sentence. The first hint stays. Returns -1. */
int err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Compilers and checkers are told that these return -1, and so which outputs a success has set.
 */
static inline int err_minus_one(int minus_one)
{
	(void)minus_one;
	return -1;
}
#define err_set(...)  err_minus_one(err_set(__VA_ARGS__))
#define err_sys(...)  err_minus_one(err_sys(__VA_ARGS__))
#define err_nomem(e)  err_minus_one(err_nomem(e))
#define err_note(...) err_minus_one(err_note(__VA_ARGS__))
#define err_hint(...) err_minus_one(err_hint(__VA_ARGS__))

/* The kind as a lower-case word for logs and JSON: "target", "quota", ... */
const char *err_kind_name(enum err_kind kind);

#endif
