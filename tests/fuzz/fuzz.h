/*
 * fuzz - what every fuzz target offers: one input, judged by aborting.
 *
 * Built twice: with clang's fuzzer (preset fuzz), and with replay.c, which runs the kept inputs of
 * tests/fuzz/corpus/<target>/ in every build.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* As assert(), also in builds without assertions. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
