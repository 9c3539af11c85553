#include "schema/migration_file.h"

#include "common/file.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTIVE "neonferry:"

int migration_sha256(const void *data, size_t len, char ret_hex[65], struct err *e)
{
	unsigned char hash[EVP_MAX_MD_SIZE];

	if (!EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL))
		return err_nomem(e);
	for (size_t i = 0; i < 32; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", hash[i]);
	return 0;
}

void migration_script_done(struct migration_script *s)
{
	free(s->path);
	free(s->name);
	free(s->sql);
	*s = (struct migration_script){ 0 };
}

/* Bytes of the UTF-8 character at p (at most left), or 0: overlong, surrogate, cut, not UTF-8. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		: p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* Valid UTF-8 without NUL; else the line and the byte are named. */
static int check_text(const char *name, const char *s, size_t len, struct err *e)
{
	const unsigned char *p = (const unsigned char *)s;
	int line = 1;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_len(p + i, len - i);
		if (n == 0) {
			err_set(e, ERR_USAGE, "%s: line %d is not UTF-8 (byte 0x%02x)", name, line, p[i]);
			return err_hint(e, "Convert the file, for example with iconv -t UTF-8.");
		}
		if (p[i] == 0)
			return err_set(e, ERR_USAGE, "%s: line %d holds a zero byte", name, line);
		line += p[i] == '\n';
		i += n;
	}
	return 0;
}

/* Without byte order mark, "\r\n" as "\n". */
static char *clean(const char *s, size_t len, size_t *ret_len)
{
	char *out = malloc(len + 1);
	size_t n = 0, i = len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	for (; out && i < len; i++)
		if (!(s[i] == '\r' && i + 1 < len && s[i + 1] == '\n'))
			out[n++] = s[i];
	if (out)
		out[n] = '\0';
	*ret_len = n;
	return out;
}

/* One word of a directive. */
static int take_word(struct migration_script *s, const char *word, size_t len, struct err *e)
{
	static const char pause[] = "pause=";
	char *end;

	if (len == 5 && strncmp(word, "batch", len) == 0) {
		s->batch = true;
	} else if (len == 14 && strncmp(word, "no-transaction", len) == 0) {
		s->no_transaction = true;
	} else if (s->batch && len > 6 && strncmp(word, pause, 6) == 0 && isdigit((unsigned char)word[6])) {
		s->pause_ms = strtoull(word + 6, &end, 10);
		if (end != word + len || s->pause_ms > 3600000)
			return err_set(e, ERR_USAGE, "%s: the pause is not a number of milliseconds up to "
						     "an hour", s->name);
	} else {
		err_set(e, ERR_USAGE, "%s: unknown directive \"%.*s\"", s->name, (int)len, word);
		return err_hint(e, "Directives are: batch, batch pause=MILLISECONDS, no-transaction.");
	}
	return 0;
}

/* "neonferry: word word" of one comment line, from behind the dashes to the line's end. */
static int take_line(struct migration_script *s, const char *line, size_t len, struct err *e)
{
	const char *end = line + len;

	while (line < end && isspace((unsigned char)*line))
		line++;
	if ((size_t)(end - line) < strlen(DIRECTIVE) || strncmp(line, DIRECTIVE, strlen(DIRECTIVE)) != 0)
		return 0;
	line += strlen(DIRECTIVE);
	while (line < end) {
		size_t space = strspn(line, " \t,");
		line += space;
		size_t word = strcspn(line, " \t,\n");
		if (line >= end || word == 0)
			break;
		if (take_word(s, line, word, e))
			return -1;
		line += word;
	}
	return 0;
}

/* Behind the block comment at p: they nest. */
static const char *skip_block(const char *p)
{
	int depth = 0;

	do {
		bool opens = p[0] == '/' && p[1] == '*', closes = p[0] == '*' && p[1] == '/';
		depth += opens - closes;
		p += opens || closes ? 2 : 1;
	} while (*p && depth > 0);
	return p;
}

/* The comment lines before the first statement. */
static int take_directives(struct migration_script *s, struct err *e)
{
	const char *p = s->sql;

	for (;;) {
		p += strspn(p, " \t\n\r");
		if (p[0] == '/' && p[1] == '*') {
			p = skip_block(p);
			continue;
		}
		if (p[0] != '-' || p[1] != '-')
			return 0;
		p += 2;
		size_t len = strcspn(p, "\n");
		if (take_line(s, p, len, e))
			return -1;
		p += len;
	}
}

int migration_script_parse(struct migration_script *ret, const char *path, const char *name,
			   const char *sql, size_t len, struct err *e)
{
	struct migration_script s = { .path = strdup(path), .name = strdup(name) };

	s.sql = clean(sql, len, &s.len);
	if (!s.path || !s.name || !s.sql) {
		migration_script_done(&s);
		return err_nomem(e);
	}
	if (check_text(s.name, s.sql, s.len, e) || take_directives(&s, e) ||
	    migration_sha256(s.sql, s.len, s.checksum, e)) {
		migration_script_done(&s);
		return -1;
	}
	*ret = s;
	return 0;
}

int migration_script_read(struct migration_script *ret, const char *path, const char *name,
			  struct err *e)
{
	AUTO(free) char *raw = NULL;
	size_t len;

	if (file_read(path, MIGRATION_MAX_BYTES, &raw, &len, e))
		return err_note(e, "reading the migration %s", name);
	return migration_script_parse(ret, path, name, raw, len, e);
}
