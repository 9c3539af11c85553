/*
 * unit - cmocka with the headers it wants, in the order it wants them, and a few helpers.
 */
#ifndef TESTS_UNIT_COMMON_UNIT_H
#define TESTS_UNIT_COMMON_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"

#include <stdlib.h>
#include <string.h>

/* Calls that must succeed are given E, whose text is shown when they do not. */
UNUSED static struct err unit_err;
#define E (&unit_err)
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		unit_err = ERR_INIT;                                                               \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s", #call, unit_err.text);                                  \
	} while (0)

/* The text must hold the part. */
static inline void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

#endif
