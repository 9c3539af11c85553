/*
 * A spill file of any bytes: refused as a damaged file, or a chunk whose lengths agree. Read once
 * as it is, once as a sealed one with the key of the kept inputs, and once with the checksums of
 * header, trailer and head put right, so that what lies behind them is reached too.
 */
#include "fuzz.h"

#include "transfer/spill.h"
#include "transfer/spillfile.h"

#include <endian.h>
#include <string.h>

#define KEY "abababababababababababababababababababababababababababababababab"

static struct seal_key *key;

static void parse_with(const char *bytes, size_t len, const struct seal_key *with)
{
	AUTO(chunk) struct chunk *c = NULL;
	struct err e = ERR_INIT;

	if (spill_parse(bytes, len, "run", with, &c, &e)) {
		MUST(!c && e.kind == ERR_DISK && e.len);
		return;
	}
	MUST(c->data && c->len == c->raw_bytes && c->file_bytes == len);
	MUST((c->n_parts > 0) == (c->parts != NULL));
}

static void parse(const char *bytes, size_t len)
{
	parse_with(bytes, len, NULL);
	parse_with(bytes, len, key);
}

static void mend_head(char *bytes, size_t len)
{
	uint64_t check;

	if (len < SPILLFILE_HEAD)
		return;
	check = htole64(spillfile_check(bytes, SPILLFILE_HEAD - sizeof(check)));
	memcpy(bytes + SPILLFILE_HEAD - sizeof(check), &check, sizeof(check));
}

static void mend_header(char *bytes, size_t len)
{
	struct err ignored = ERR_INIT;
	uint64_t head = 0, check;
	bool sealed = false;

	if (len < SPILLFILE_PREFIX || spillfile_header_len(bytes, &sealed, &head, &ignored))
		return;
	if (sealed)
		mend_head(bytes, len);
	if (sealed || head > len)
		return;
	head -= sizeof(check);
	check = htole64(spillfile_check(bytes, (size_t)head));
	memcpy(bytes + head, &check, sizeof(check));
}

static void mend_trailer(char *bytes, size_t len)
{
	struct spillfile_trailer t = { .file_bytes = len };
	char *at = bytes + len - SPILLFILE_TRAILER;

	if (len < SPILLFILE_TRAILER)
		return;
	memcpy(&t.frames, at + 8, sizeof(t.frames));
	memcpy(&t.chain, at + 24, sizeof(t.chain));
	t.frames = le32toh(t.frames);
	t.chain = le64toh(t.chain);
	spillfile_trailer(&t, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *bytes = malloc(len + 1);
	struct err e = ERR_INIT;

	MUST(bytes && (key || !seal_key_parse(&key, KEY, &e)));
	memcpy(bytes, data, len);
	parse(bytes, len);
	mend_header(bytes, len);
	parse(bytes, len);
	mend_trailer(bytes, len);
	parse(bytes, len);
	free(bytes);
	return 0;
}
