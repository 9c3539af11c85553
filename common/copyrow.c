#include "common/copyrow.h"

#include "common/bytes.h"

#include <string.h>

#define SIGNATURE_LEN  11
#define CRITICAL_FLAGS 0xFFFF0000u

const char copyrow_header[COPYROW_HEADER_LEN] = { 'P',  'G',    'C',  'O',  'P', 'Y',
						  '\n', '\377', '\r', '\n', '\0' };
const char copyrow_trailer[COPYROW_TRAILER_LEN] = { '\377', '\377' };

int copyrow_skip_header(const char *data, size_t len, size_t *ret_skip, struct err *e)
{
	uint32_t flags, extension;

	if (len < SIGNATURE_LEN || memcmp(data, copyrow_header, SIGNATURE_LEN) != 0) {
		*ret_skip = 0;
		return 0;
	}
	if (len < COPYROW_HEADER_LEN)
		return err_set(e, ERR_DATA, "a COPY header is cut short: %zu bytes", len);
	flags = bytes_wire32(data + SIGNATURE_LEN);
	extension = bytes_wire32(data + SIGNATURE_LEN + 4);
	if (flags & CRITICAL_FLAGS)
		return err_set(e, ERR_DATA, "unknown flags in a COPY header: 0x%08x", flags);
	if (extension > len - COPYROW_HEADER_LEN)
		return err_set(e, ERR_DATA, "a COPY header is cut short: %zu bytes", len);
	*ret_skip = COPYROW_HEADER_LEN + extension;
	return 0;
}

static int cut_short(struct err *e, size_t len, size_t at)
{
	return err_set(e, ERR_DATA, "a COPY row is cut short: %zu bytes, at byte %zu", len, at);
}

int copyrow_binary(const char *data, size_t len, struct copyrow_field *fields, int max,
		   size_t *ret_used, struct err *e)
{
	size_t at = 2;
	int n;

	if (len < at)
		return cut_short(e, len, 0);
	n = (int16_t)bytes_wire16(data);
	if (n == -1) {
		*ret_used = COPYROW_TRAILER_LEN;
		return COPYROW_END;
	}
	if (n < 0 || n > max)
		return err_set(e, ERR_DATA, "a COPY row has %d fields where %d are expected", n,
			       max);
	for (int i = 0; i < n; i++) {
		int32_t size;

		if (len - at < 4)
			return cut_short(e, len, at);
		size = (int32_t)bytes_wire32(data + at);
		at += 4;
		if (size < -1)
			return err_set(e, ERR_DATA, "field %d of a COPY row has length %d", i + 1,
				       size);
		if (size > 0 && len - at < (size_t)size)
			return cut_short(e, len, at);
		fields[i] = (struct copyrow_field){ size < 0 ? NULL : data + at, size };
		at += size > 0 ? (size_t)size : 0;
	}
	*ret_used = at;
	return n;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Up to max digits of a base (8 or 16) at p, as one byte. Returns how many were read. */
static size_t read_digits(const char *p, const char *end, size_t max, int base, char *ret)
{
	unsigned value = 0;
	size_t n = 0;

	while (n < max && p + n < end && (base == 16 ? hex_digit(p[n]) >= 0 : is_octal(p[n]))) {
		value = value * (unsigned)base + (unsigned)hex_digit(p[n]);
		n++;
	}
	*ret = (char)(value & 0xFF);
	return n;
}

static char plain_escape(char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'v':
		return '\v';
	default:
		return c;
	}
}

/* One escape whose backslash stands before p; p < end. Returns the bytes read after it. */
static size_t unescape(const char *p, const char *end, char *ret)
{
	size_t n;

	if (is_octal(*p))
		return read_digits(p, end, 3, 8, ret);
	if (*p == 'x') {
		n = read_digits(p + 1, end, 2, 16, ret);
		if (n > 0)
			return n + 1;
	}
	*ret = plain_escape(*p);
	return 1;
}

/*
 * One field from *p up to a tab or the end, unescaped to *out. Returns 0, or -1 where the line ends
 * within an escape or holds a newline. A backslash before a tab makes it data.
 */
static int read_field(const char **p, const char *end, char **out, struct copyrow_field *ret)
{
	const char *begin = *p, *s = begin;
	char *to = *out;

	while (s < end && *s != '\t') {
		if (*s == '\n')
			return -1;
		if (*s != '\\') {
			*to++ = *s++;
			continue;
		}
		if (++s == end)
			return -1;
		s += unescape(s, end, to++);
	}
	if (s - begin == 2 && begin[0] == '\\' && begin[1] == 'N')
		*ret = (struct copyrow_field){ NULL, -1 };
	else
		*ret = (struct copyrow_field){ *out, (int32_t)(to - *out) };
	*out = to;
	*p = s;
	return 0;
}

static int too_many(struct err *e, int max)
{
	return err_set(e, ERR_DATA, "a COPY line has more than %d fields", max);
}

int copyrow_text(const char *line, size_t len, char *scratch, struct copyrow_field *fields, int max,
		 struct err *e)
{
	const char *p = line, *end;
	int n = 0;

	if (len > 0 && line[len - 1] == '\n')
		len--;
	if (len > INT32_MAX)
		return err_set(e, ERR_DATA, "a COPY line has %zu bytes", len);
	if (len == 2 && memcmp(line, "\\.", 2) == 0)
		return COPYROW_END;
	if (max <= 0)
		return len == 0 ? 0 : too_many(e, 0);
	for (end = line + len;; p++) {
		if (n == max)
			return too_many(e, max);
		if (read_field(&p, end, &scratch, &fields[n]))
			return err_set(e, ERR_DATA, "field %d of a COPY line is damaged", n + 1);
		n++;
		if (p == end)
			return n;
	}
}
