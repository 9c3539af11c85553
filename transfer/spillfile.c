#include "transfer/spillfile.h"

#include "common/bytes.h"
#include "transfer/codec.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char header_magic[8] = { 'N', 'F', 'S', 'P', 'I', 'L', 'L', '1' };
static const char sealed_magic[8] = { 'N', 'F', 'S', 'P', 'I', 'L', 'L', '2' };
static const char trailer_magic[8] = { 'N', 'F', 'S', 'P', 'E', 'N', 'D', '1' };

uint64_t spillfile_check(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

uint64_t spillfile_chain(uint64_t chain, uint64_t check)
{
	char bytes[8];

	bytes_put64(bytes, check);
	return XXH3_64bits_withSeed(bytes, sizeof(bytes), chain);
}

static int damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_DISK, "damaged spill file: %s", what);
}

/* ---- header, out ---- */

/* JSON integers are signed 64 bits; the few numbers above are written as text. */
static json_t *u64_out(uint64_t v)
{
	char buf[SPILLFILE_NUMBER_MAX];

	if (v <= INT64_MAX)
		return json_integer((json_int_t)v);
	snprintf(buf, sizeof(buf), "%" PRIu64, v);
	return json_string(buf);
}

static json_t *tally_out(const struct tally *t)
{
	char sum[2][TALLY_TEXT];

	tally_text(t, 0, sum[0]);
	tally_text(t, 1, sum[1]);
	return json_pack("{s:o, s:[s, s]}", "rows", u64_out(t->rows), "sums", sum[0], sum[1]);
}

/* A name that is not UTF-8 (a database in SQL_ASCII) is kept as hexadecimal digits. */
static json_t *name_out(const char *name)
{
	json_t *s = name ? json_string(name) : json_null(), *hex;
	size_t len;
	char *digits;

	if (s)
		return s;
	len = strlen(name);
	digits = malloc(2 * len + 1);
	if (!digits)
		return NULL;
	for (size_t i = 0; i < len; i++)
		snprintf(digits + 2 * i, 3, "%02x", (unsigned)(unsigned char)name[i]);
	hex = json_pack("{s:s}", "hex", digits);
	free(digits);
	return hex;
}

static json_t *parts_out(const struct chunk *c)
{
	json_t *list = json_array();

	for (int i = 0; list && i < c->n_parts; i++) {
		json_t *part =
			json_pack("{s:o, s:o}", "collection", name_out(c->parts[i].collection),
				  "tally", tally_out(&c->parts[i].tally));

		if (json_array_append_new(list, part)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static char *header_json(const struct chunk *c, const char *run)
{
	char id[CHUNK_ID_LEN], *s;
	json_t *j;

	chunk_id(c, id);
	j = json_pack("{s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:b, s:o, s:o, s:o, s:o}",
		      "format", SPILLFILE_VERSION, "run", run, "chunk", id, "plan", c->plan,
		      "table", c->table, "range", c->range, "route", c->route, "from",
		      u64_out(c->from), "to", u64_out(c->to), "binary", (int)c->binary, "raw_bytes",
		      u64_out(c->raw_bytes), "read", tally_out(&c->read), "sent",
		      tally_out(&c->sent), "parts", parts_out(c));
	s = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	return s;
}

int spillfile_header(const struct chunk *c, const char *run, char **ret, size_t *ret_len,
		     uint64_t *ret_chain, struct err *e)
{
	AUTO(free) char *json = header_json(c, run);
	size_t len = json ? strlen(json) : 0, head = SPILLFILE_PREFIX + len;
	char *out;
	uint64_t check;

	if (!json)
		return err_nomem(e);
	if (len > UINT32_MAX - SPILLFILE_PREFIX - sizeof(check))
		return err_set(e, ERR_INTERNAL, "the header of a spill file is too long");
	out = malloc(head + sizeof(check) + SEAL_TAG);
	if (!out)
		return err_nomem(e);
	memcpy(out, header_magic, sizeof(header_magic));
	bytes_put32(out + 8, (uint32_t)len);
	bytes_put32(out + 12, 0);
	memcpy(out + SPILLFILE_PREFIX, json, len);
	check = spillfile_check(out, head);
	bytes_put64(out + head, check);
	*ret_chain = check;
	*ret_len = head + sizeof(check);
	*ret = out;
	return 0;
}

/* ---- header, in ---- */

static bool u64_in(const json_t *j, uint64_t *ret)
{
	const char *s;
	char *end;

	if (json_is_integer(j)) {
		*ret = (uint64_t)json_integer_value(j);
		return json_integer_value(j) >= 0;
	}
	s = json_string_value(j);
	if (!s || *s < '0' || *s > '9')
		return false;
	*ret = strtoull(s, &end, 10);
	return !*end;
}

static bool int_in(const json_t *j, int *ret)
{
	json_int_t v = json_integer_value(j);

	*ret = (int)v;
	return json_is_integer(j) && v >= INT_MIN && v <= INT_MAX;
}

static bool tally_in(const json_t *j, struct tally *ret)
{
	char rows[SPILLFILE_NUMBER_MAX];
	const json_t *sums = json_object_get(j, "sums");
	const char *sum0 = json_string_value(json_array_get(sums, 0));
	const char *sum1 = json_string_value(json_array_get(sums, 1));
	struct err ignored = ERR_INIT;
	uint64_t n;

	if (!sum0 || !*sum0 || !sum1 || !*sum1 || !u64_in(json_object_get(j, "rows"), &n))
		return false;
	snprintf(rows, sizeof(rows), "%" PRIu64, n);
	return !tally_parse(ret, rows, sum0, sum1, &ignored);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *unhex(const char *digits)
{
	size_t len = strlen(digits) / 2;
	char *s = calloc(len + 1, 1);

	for (size_t i = 0; s && i < len; i++) {
		int high = nibble(digits[2 * i]), low = nibble(digits[2 * i + 1]);

		if (high < 0 || low < 0 || !(high | low)) {
			free(s);
			return NULL;
		}
		s[i] = (char)(high << 4 | low);
	}
	return s;
}

static bool name_in(const json_t *j, char **ret)
{
	const char *hex = json_string_value(json_object_get(j, "hex"));

	if (json_is_null(j)) {
		*ret = NULL;
		return true;
	}
	*ret = json_is_string(j) ? strdup(json_string_value(j)) : hex ? unhex(hex) : NULL;
	return *ret;
}

static bool parts_in(const json_t *list, struct chunk *c)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > INT_MAX)
		return false;
	c->parts = n ? calloc(n, sizeof(*c->parts)) : NULL;
	if (n && !c->parts)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *part = json_array_get(list, i);

		if (!name_in(json_object_get(part, "collection"), &c->parts[i].collection))
			return false;
		c->n_parts++;
		if (!tally_in(json_object_get(part, "tally"), &c->parts[i].tally))
			return false;
	}
	return true;
}

static bool chunk_in(const json_t *j, struct chunk *c)
{
	const json_t *binary = json_object_get(j, "binary");
	const char *id = json_string_value(json_object_get(j, "chunk"));
	char own[CHUNK_ID_LEN];

	c->binary = json_is_true(binary);
	if (!json_is_boolean(binary) || !id || !int_in(json_object_get(j, "plan"), &c->plan) ||
	    !int_in(json_object_get(j, "table"), &c->table) ||
	    !int_in(json_object_get(j, "range"), &c->range) ||
	    !int_in(json_object_get(j, "route"), &c->route) ||
	    !u64_in(json_object_get(j, "from"), &c->from) ||
	    !u64_in(json_object_get(j, "to"), &c->to) ||
	    !u64_in(json_object_get(j, "raw_bytes"), &c->raw_bytes) ||
	    !tally_in(json_object_get(j, "read"), &c->read) ||
	    !tally_in(json_object_get(j, "sent"), &c->sent) ||
	    !parts_in(json_object_get(j, "parts"), c))
		return false;
	chunk_id(c, own);
	return !strcmp(id, own);
}

static int other_version(const char *version, struct err *e)
{
	err_set(e, ERR_DISK, "spill file of format %s, and this program knows only %d and %d",
		version, SPILLFILE_VERSION, SPILLFILE_SEALED);
	return err_hint(e, "resume with the version of neonferry that began the run");
}

static int check_identity(const json_t *j, const char *run, struct err *e)
{
	json_int_t version = json_integer_value(json_object_get(j, "format"));
	const char *of = json_string_value(json_object_get(j, "run"));
	char number[SPILLFILE_NUMBER_MAX];

	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, version);
	if (version != SPILLFILE_VERSION)
		return other_version(number, e);
	if (!of)
		return damaged(e, "its header names no run");
	if (strcmp(of, run)) {
		err_set(e, ERR_DISK, "spill file of another run, \"%.100s\" instead of \"%.100s\"",
			of, run);
		return err_hint(e, "remove it from this run's spill folder");
	}
	return 0;
}

int spillfile_header_len(const char prefix[SPILLFILE_PREFIX], bool *ret_sealed, uint64_t *ret,
			 struct err *e)
{
	if (memcmp(prefix, header_magic, 7))
		return damaged(e, "it does not begin as one");
	*ret_sealed = prefix[7] == sealed_magic[7];
	if (prefix[7] != header_magic[7] && !*ret_sealed) {
		char version[2] = { prefix[7], 0 };

		if (version[0] < '2' || version[0] > '9')
			return damaged(e, "it does not begin as one");
		return other_version(version, e);
	}
	if (bytes_get32(prefix + 12))
		return damaged(e, "its header is wrong");
	*ret = SPILLFILE_PREFIX + (uint64_t)bytes_get32(prefix + 8) + sizeof(uint64_t);
	return 0;
}

/* ---- the head of a sealed file ---- */

void spillfile_head(const struct spillfile_head *h, char out[SPILLFILE_HEAD])
{
	char *salt = out + SPILLFILE_PREFIX, *check = salt + SEAL_SALT;

	memcpy(out, sealed_magic, sizeof(sealed_magic));
	bytes_put32(out + 8, (uint32_t)h->header_len);
	bytes_put32(out + 12, 0);
	memcpy(salt, h->salt, SEAL_SALT);
	memcpy(check, h->check, SEAL_CHECK);
	bytes_put64(check + SEAL_CHECK, spillfile_check(out, SPILLFILE_HEAD - sizeof(uint64_t)));
}

int spillfile_parse_head(const char in[SPILLFILE_HEAD], struct spillfile_head *ret, struct err *e)
{
	const char *salt = in + SPILLFILE_PREFIX, *check = salt + SEAL_SALT;

	if (bytes_get64(check + SEAL_CHECK) !=
	    spillfile_check(in, SPILLFILE_HEAD - sizeof(uint64_t)))
		return damaged(e, "the checksum of its head is wrong");
	ret->header_len = bytes_get32(in + 8);
	memcpy(ret->salt, salt, SEAL_SALT);
	memcpy(ret->check, check, SEAL_CHECK);
	return 0;
}

void spillfile_length(uint32_t len, char out[SPILLFILE_LENGTH])
{
	bytes_put32(out, len);
}

int spillfile_parse_length(const char in[SPILLFILE_LENGTH], size_t *ret, struct err *e)
{
	*ret = bytes_get32(in);
	if (*ret < SPILLFILE_FRAME || *ret > SPILLFILE_FRAME + codec_bound(CODEC_FRAME))
		return damaged(e, "the length of a frame is wrong");
	return 0;
}

int spillfile_parse_header(const char *data, size_t len, const char *run, struct chunk **ret,
			   uint64_t *ret_chain, struct err *e)
{
	AUTO(chunk) struct chunk *c = NULL;
	size_t head = len - sizeof(uint64_t);
	uint64_t check;
	json_t *j;
	bool ok;

	if (len < SPILLFILE_PREFIX + sizeof(check))
		return damaged(e, "its header is cut short");
	check = spillfile_check(data, head);
	if (check != bytes_get64(data + head))
		return damaged(e, "the checksum of its header is wrong");
	j = json_loadb(data + SPILLFILE_PREFIX, head - SPILLFILE_PREFIX, JSON_REJECT_DUPLICATES,
		       NULL);
	if (!json_is_object(j) || check_identity(j, run, e) || chunk_new(&c, e)) {
		if (!json_is_object(j))
			damaged(e, "its header is not JSON");
		json_decref(j);
		return -1;
	}
	ok = chunk_in(j, c);
	json_decref(j);
	if (!ok)
		return damaged(e, "its header lacks a field or has a wrong one");
	*ret_chain = check;
	*ret = GIVE(&c);
	return 0;
}

/* ---- frames and trailer ---- */

void spillfile_frame(const struct spillfile_frame *f, char out[SPILLFILE_FRAME])
{
	bytes_put32(out, f->kind);
	bytes_put32(out + 4, f->raw);
	bytes_put32(out + 8, f->stored);
	bytes_put32(out + 12, 0);
	bytes_put64(out + 16, f->check);
}

int spillfile_parse_frame(const char in[SPILLFILE_FRAME], struct spillfile_frame *ret,
			  struct err *e)
{
	struct spillfile_frame f = {
		.kind = bytes_get32(in),
		.raw = bytes_get32(in + 4),
		.stored = bytes_get32(in + 8),
		.check = bytes_get64(in + 16),
	};

	if (!f.raw || f.raw > CODEC_FRAME || f.stored > codec_bound(f.raw) || bytes_get32(in + 12))
		return damaged(e, "the head of a frame is wrong");
	*ret = f;
	return 0;
}

void spillfile_trailer(const struct spillfile_trailer *t, char out[SPILLFILE_TRAILER])
{
	memcpy(out, trailer_magic, sizeof(trailer_magic));
	bytes_put32(out + 8, t->frames);
	bytes_put32(out + 12, 0);
	bytes_put64(out + 16, t->file_bytes);
	bytes_put64(out + 24, t->chain);
	bytes_put64(out + 32, spillfile_check(out, 32));
}

int spillfile_parse_trailer(const char in[SPILLFILE_TRAILER], uint64_t file_bytes,
			    struct spillfile_trailer *ret, struct err *e)
{
	struct spillfile_trailer t = {
		.frames = bytes_get32(in + 8),
		.file_bytes = bytes_get64(in + 16),
		.chain = bytes_get64(in + 24),
	};

	if (memcmp(in, trailer_magic, sizeof(trailer_magic)))
		return damaged(e, "its end is missing");
	if (bytes_get64(in + 32) != spillfile_check(in, 32) || bytes_get32(in + 12))
		return damaged(e, "the checksum of its end is wrong");
	if (t.file_bytes != file_bytes)
		return damaged(e, "it does not have the length it was written with");
	*ret = t;
	return 0;
}
