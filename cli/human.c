#include "cli/human.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits at *s; moves *s behind them. strtoull alone would take signs and spaces. */
static bool digits(const char **s, uint64_t *ret)
{
	char *end;

	if (**s < '0' || **s > '9')
		return false;
	errno = 0;
	unsigned long long n = strtoull(*s, &end, 10);
	if (errno)
		return false;
	*s = end;
	*ret = n;
	return true;
}

bool human_parse_count(const char *s, uint64_t *ret)
{
	uint64_t n;

	if (!digits(&s, &n) || *s)
		return false;
	*ret = n;
	return true;
}

/* 0: unknown. Accepts "", "B" and for each power "M", "MB", "MiB", in any case. */
static uint64_t byte_unit(const char *unit)
{
	static const char letters[] = "kmgt";
	char lower = (char)(*unit | 0x20);
	const char *at = *unit ? strchr(letters, lower) : NULL;

	if (!*unit || !strcasecmp(unit, "b"))
		return 1;
	if (!at)
		return 0;
	if (unit[1] && strcasecmp(unit + 1, "b") != 0 && strcasecmp(unit + 1, "ib") != 0)
		return 0;
	return UINT64_C(1) << (10 * (at - letters + 1));
}

bool human_parse_bytes(const char *s, uint64_t *ret)
{
	uint64_t n, unit, total;

	if (!digits(&s, &n))
		return false;
	while (*s == ' ')
		s++;
	unit = byte_unit(s);
	if (!unit || __builtin_mul_overflow(n, unit, &total))
		return false;
	*ret = total;
	return true;
}

static const struct {
	const char *name;
	uint64_t ms;
} time_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
};

static uint64_t time_unit(const char **s)
{
	for (size_t i = 0; i < ARRAY_LEN(time_units); i++) {
		size_t len = strlen(time_units[i].name);
		if (strncmp(*s, time_units[i].name, len) == 0) {
			*s += len;
			return time_units[i].ms;
		}
	}
	return 0;
}

bool human_parse_duration(const char *s, uint64_t *ret_ms)
{
	uint64_t total = 0, n, unit, part;

	do {
		if (!digits(&s, &n))
			return false;
		unit = time_unit(&s);
		if (!unit || __builtin_mul_overflow(n, unit, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return false;
	} while (*s);
	*ret_ms = total;
	return true;
}

char *human_bytes(char buf[HUMAN_LEN], uint64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(buf, HUMAN_LEN, "%" PRIu64 " B", bytes);
		return buf;
	}
	/* 1023.95 would be printed as 1024.0 */
	for (value /= 1024; value >= 1023.95 && unit + 1 < ARRAY_LEN(units); unit++)
		value /= 1024;
	snprintf(buf, HUMAN_LEN, "%.1f %s", value, units[unit]);
	return buf;
}

char *human_exact_bytes(char buf[HUMAN_LEN], uint64_t bytes)
{
	static const char letters[] = "\0kMGT";
	size_t unit = 0;

	while (bytes && bytes % 1024 == 0 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	snprintf(buf, HUMAN_LEN, "%" PRIu64 "%.1s", bytes, letters + unit);
	return buf;
}

char *human_count(char buf[HUMAN_LEN], uint64_t n)
{
	char plain[24];
	int len = snprintf(plain, sizeof(plain), "%" PRIu64, n);
	char *out = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = plain[i];
	}
	*out = '\0';
	return buf;
}

char *human_duration(char buf[HUMAN_LEN], uint64_t ms)
{
	uint64_t s = (ms + 500) / 1000, min = s / 60, h = min / 60;

	if (ms < 59950)
		snprintf(buf, HUMAN_LEN, "%" PRIu64 ".%" PRIu64 " s", (ms + 50) / 1000,
			 (ms + 50) / 100 % 10);
	else if (min < 60)
		snprintf(buf, HUMAN_LEN, "%" PRIu64 " min %02" PRIu64 " s", min, s % 60);
	else if (h < 48)
		snprintf(buf, HUMAN_LEN, "%" PRIu64 " h %02" PRIu64 " min", h, min % 60);
	else
		snprintf(buf, HUMAN_LEN, "%" PRIu64 " d %" PRIu64 " h", h / 24, h % 24);
	return buf;
}

char *human_exact_duration(char buf[HUMAN_LEN], uint64_t ms)
{
	size_t unit = ARRAY_LEN(time_units) - 1;

	while (unit > 0 && ms % time_units[unit].ms != 0)
		unit--;
	snprintf(buf, HUMAN_LEN, "%" PRIu64 "%s", ms / time_units[unit].ms, time_units[unit].name);
	return buf;
}

char *human_clock(char buf[HUMAN_LEN], uint64_t ms)
{
	uint64_t s = ms / 1000, min = s / 60, h = min / 60;

	if (h)
		snprintf(buf, HUMAN_LEN, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, h, min % 60,
			 s % 60);
	else
		snprintf(buf, HUMAN_LEN, "%" PRIu64 ":%02" PRIu64, min, s % 60);
	return buf;
}
