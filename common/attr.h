/*
 * attr - compiler attributes, automatic clean-up and the visible hand-over.
 *
 * AUTO(free_fn) on a pointer variable calls free_fn(pointer) when the variable leaves its
 * scope, so that an early return leaks nothing. Every such free_fn takes NULL. GIVE(p) empties
 * the variable and returns what it held: the reader sees the hand-over.
 */
#ifndef COMMON_ATTR_H
#define COMMON_ATTR_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Declares auto_NAME() for variables of `type`, a pointer type, freed by `free_fn`. */
#define AUTO_DEFINE(name, type, free_fn)                                                           \
	UNUSED static inline void auto_##name(type *p)                                             \
	{                                                                                          \
		if (*p)                                                                            \
			free_fn(*p);                                                               \
	}                                                                                          \
	_Static_assert(sizeof(type) == sizeof(void *), "AUTO is for pointers")

/* UNUSED: clang would complain of a variable that exists only to free another name for it. */
#define AUTO(name) UNUSED __attribute__((cleanup(auto_##name)))

/* Empties *pp and returns what it held. */
#define GIVE(pp)                                                                                   \
	__extension__({                                                                            \
		__typeof__(*(pp)) given_ = *(pp);                                                  \
		*(pp) = NULL;                                                                      \
		given_;                                                                            \
	})

#include <stdlib.h>
UNUSED static inline void auto_free(void *p)
{
	free(*(void **)p);
}
/* For plain malloc'ed memory: `AUTO(free) char *s = NULL;` */

#endif
