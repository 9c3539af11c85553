/*
 * waiver - a known exception, written down by a person: is it complete?
 *
 * A waiver turns a failure into an exception, so one that says too little is refused, never guessed
 * at: what it is for, why, by whom, until when.
 */
#ifndef VERIFY_WAIVER_H
#define VERIFY_WAIVER_H

#include "common/err.h"

#include <jansson.h>

/*
 * A list of objects with object, reason, by and expires (a day, YYYY-MM-DD), and perhaps group.
 * Else ERR_USAGE, with the entry and the field; file is its name for people.
 */
int waiver_check(const json_t *list, const char *file, struct err *e) MUST_CHECK;

#endif
