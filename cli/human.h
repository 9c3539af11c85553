/*
 * human - numbers as people write and read them: sizes, durations, counts.
 *
 * Sizes are powers of 1024 both ways: 64M and "64.0 MB" are 67,108,864 bytes.
 */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H

#include "common/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUMAN_LEN 48 /* enough for every function below */

/* "512", "64k", "16M", "16MB", "2GiB", "1T". False: not a whole number with a known unit, or too
 * large. */
bool human_parse_bytes(const char *s, uint64_t *ret) MUST_CHECK;

/* "500ms", "90s", "15m", "24h", "7d", "1h30m" into milliseconds. A number alone is refused. */
bool human_parse_duration(const char *s, uint64_t *ret_ms) MUST_CHECK;

/* A whole number without sign. */
bool human_parse_count(const char *s, uint64_t *ret) MUST_CHECK;

/* "0 B", "999 B", "16.0 MB", "1.2 GB". Returns buf, as all below. */
char *human_bytes(char buf[HUMAN_LEN], uint64_t bytes);
/* "16M", "256M", "1000": the shortest form that human_parse_bytes() reads back. */
char *human_exact_bytes(char buf[HUMAN_LEN], uint64_t bytes);
/* "1,234,567" */
char *human_count(char buf[HUMAN_LEN], uint64_t n);
/* "0.4 s", "12.3 s", "4 min 05 s", "2 h 07 min", "3 d 4 h" */
char *human_duration(char buf[HUMAN_LEN], uint64_t ms);
/* "1m", "24h", "30d": the shortest form that human_parse_duration() reads back. */
char *human_exact_duration(char buf[HUMAN_LEN], uint64_t ms);
/* "0:42", "12:05", "1:02:33": for a clock that runs. */
char *human_clock(char buf[HUMAN_LEN], uint64_t ms);

#endif
