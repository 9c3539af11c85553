#include "common/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

void tally_text(const struct tally *t, int i, char buf[TALLY_TEXT])
{
	i128 sum = t->sum[i];
	u128 left = sum < 0 ? -(u128)sum : (u128)sum;
	char digits[TALLY_TEXT];
	int n = 0, len = 0;

	do {
		digits[n++] = (char)('0' + (int)(left % 10));
		left /= 10;
	} while (left > 0);
	if (sum < 0)
		buf[len++] = '-';
	while (n > 0)
		buf[len++] = digits[--n];
	buf[len] = '\0';
}

static int parse_sum(i128 *ret, const char *s, struct err *e)
{
	const u128 most = (u128)1 << 127;
	bool negative;
	u128 sum = 0;
	const char *p = s;

	if (!s || !*s) {
		*ret = 0;
		return 0;
	}
	negative = *p == '-';
	p += negative;
	do {
		if (*p < '0' || *p > '9')
			return err_set(e, ERR_INTERNAL, "not a whole number: \"%.60s\"", s);
		if (sum > (most - (unsigned)(*p - '0')) / 10)
			return err_set(e, ERR_INTERNAL, "past 128 bits: \"%.60s\"", s);
		sum = sum * 10 + (unsigned)(*p - '0');
	} while (*++p);
	if (sum == most && !negative)
		return err_set(e, ERR_INTERNAL, "past 128 bits: \"%.60s\"", s);
	*ret = (i128)(negative ? -sum : sum);
	return 0;
}

static int parse_rows(uint64_t *ret, const char *s, struct err *e)
{
	unsigned long long rows;
	char *end;

	if (!s || *s < '0' || *s > '9')
		return err_set(e, ERR_INTERNAL, "not a row count: \"%.60s\"", s ? s : "");
	errno = 0;
	rows = strtoull(s, &end, 10);
	if (*end || errno)
		return err_set(e, ERR_INTERNAL, "not a row count: \"%.60s\"", s);
	*ret = rows;
	return 0;
}

int tally_parse(struct tally *ret, const char *rows, const char *sum0, const char *sum1,
		struct err *e)
{
	struct tally t;

	if (parse_rows(&t.rows, rows, e) || parse_sum(&t.sum[0], sum0, e) ||
	    parse_sum(&t.sum[1], sum1, e))
		return -1;
	*ret = t;
	return 0;
}
