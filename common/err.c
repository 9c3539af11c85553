#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length up to which text may be cut without cutting a UTF-8 character in two. */
static size_t whole_chars(const char *text, size_t len)
{
	while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
		len--;
	return len;
}

/* Marks a text that did not fit its buffer, and returns its new length. */
static size_t cut(char *buf, size_t size)
{
	size_t len = whole_chars(buf, size - sizeof("..."));

	memcpy(buf + len, "...", sizeof("..."));
	return len + 3;
}

/* Formats to the end of buf, of which len bytes are used. Returns the new length. */
static size_t append(char *buf, size_t size, size_t len, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf + len, size - len, fmt, ap);

	if (n < 0) {
		buf[len] = '\0';
		return len;
	}
	return (size_t)n < size - len ? len + (size_t)n : cut(buf, size);
}

static size_t appendf(char *buf, size_t size, size_t len, const char *fmt, ...) PRINTF_LIKE(4, 5);
static size_t appendf(char *buf, size_t size, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	len = append(buf, size, len, fmt, ap);
	va_end(ap);
	return len;
}

/* The arguments may point into *e itself, so the new error is built beside it. */
int(err_set)(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	struct err new = { .kind = kind };
	va_list ap;

	va_start(ap, fmt);
	new.len = append(new.text, sizeof(new.text), 0, fmt, ap);
	va_end(ap);
	*e = new;
	return -1;
}

static bool is_full_disk(int sys_errno)
{
	return sys_errno == ENOSPC || sys_errno == EDQUOT;
}

int(err_sys)(struct err *e, enum err_kind kind, int sys_errno, const char *fmt, ...)
{
	struct err new = { .kind = is_full_disk(sys_errno) ? ERR_DISK : kind,
			   .sys_errno = sys_errno };
	char reason[128];
	va_list ap;

	va_start(ap, fmt);
	new.len = append(new.text, sizeof(new.text), 0, fmt, ap);
	va_end(ap);
	new.len = appendf(new.text, sizeof(new.text), new.len, ": %s",
			  strerror_r(sys_errno, reason, sizeof(reason)));
	*e = new;
	if (is_full_disk(sys_errno))
		err_hint(e, "free some space on that disk and resume");
	return -1;
}

int(err_nomem)(struct err *e)
{
	err_set(e, ERR_INTERNAL, "out of memory");
	return err_hint(e, "lower --memory, or use a machine with more");
}

int(err_note)(struct err *e, const char *fmt, ...)
{
	char note[sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	append(note, sizeof(note), 0, fmt, ap);
	va_end(ap);
	e->len = appendf(e->text, sizeof(e->text), e->len, "; while %s", note);
	return -1;
}

int(err_hint)(struct err *e, const char *fmt, ...)
{
	char hint[sizeof(e->hint)];
	va_list ap;

	if (e->hint[0])
		return -1;
	va_start(ap, fmt);
	append(hint, sizeof(hint), 0, fmt, ap);
	va_end(ap);
	memcpy(e->hint, hint, sizeof(hint));
	return -1;
}

const char *err_kind_name(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return "none";
	case ERR_INTERNAL:
		return "internal";
	case ERR_USAGE:
		return "usage";
	case ERR_SOURCE:
		return "source";
	case ERR_TARGET:
		return "target";
	case ERR_NETWORK:
		return "network";
	case ERR_QUOTA:
		return "quota";
	case ERR_DATA:
		return "data";
	case ERR_DISK:
		return "disk";
	case ERR_REFUSED:
		return "refused";
	case ERR_RESUME:
		return "resume";
	case ERR_STOPPED:
		return "stopped";
	}
	return "unknown";
}
