/*
 * A COPY BINARY stream of any bytes: what is parsed must lie inside the input, and written down
 * again must give the same bytes. The first byte is the number of columns expected.
 */
#include "fuzz.h"

#include "common/copyrow.h"
#include "common/text.h"

#include <endian.h>
#include <string.h>

static void add16(struct text *t, int value)
{
	uint16_t wire = htobe16((uint16_t)value);

	text_addn(t, (const char *)&wire, sizeof(wire));
}

static void add32(struct text *t, int32_t value)
{
	uint32_t wire = htobe32((uint32_t)value);

	text_addn(t, (const char *)&wire, sizeof(wire));
}

static void check_row(const char *row, size_t used, const struct copyrow_field *fields, int n)
{
	AUTO_TEXT struct text back = TEXT_INIT;

	add16(&back, n);
	for (int i = 0; i < n; i++) {
		const struct copyrow_field *f = &fields[i];

		MUST(f->data ? f->len >= 0 : f->len == -1);
		MUST(!f->data || (f->data >= row && f->data + f->len <= row + used));
		add32(&back, f->len);
		if (f->len > 0)
			text_addn(&back, f->data, (size_t)f->len);
	}
	MUST(back.len == used);
	MUST(memcmp(text_str(&back), row, used) == 0);
}

static void parse(const char *data, size_t len, int max)
{
	struct copyrow_field fields[256];
	struct err e = ERR_INIT;
	size_t at, used;

	if (copyrow_skip_header(data, len, &at, &e)) {
		MUST(e.kind == ERR_DATA);
		return;
	}
	MUST(at <= len);
	while (at < len) {
		int n = copyrow_binary(data + at, len - at, fields, max, &used, &e);

		MUST(n >= -2 && n <= max);
		if (n == -1) {
			MUST(e.kind == ERR_DATA);
			return;
		}
		MUST(used > 0 && used <= len - at);
		if (n == COPYROW_END) {
			MUST(used == COPYROW_TRAILER_LEN);
			return;
		}
		check_row(data + at, used, fields, n);
		at += used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(free) char *exact = NULL;

	if (len == 0)
		return 0;
	exact = malloc(len - 1 ? len - 1 : 1);
	MUST(exact);
	memcpy(exact, data + 1, len - 1);
	parse(exact, len - 1, data[0]);
	return 0;
}
