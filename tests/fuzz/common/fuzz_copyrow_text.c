/*
 * A line of COPY text of any bytes: fields must lie inside the scratch space without overlap, and
 * escaped again as the server would they must parse to the same fields. The first byte is the
 * number of columns expected.
 */
#include "fuzz.h"

#include "common/copyrow.h"
#include "common/text.h"

#include <string.h>

static void add_escaped(struct text *t, const struct copyrow_field *f)
{
	static const char special[] = "\b\f\n\r\t\v\\", letters[] = "bfnrtv\\";

	if (!f->data) {
		text_add(t, "\\N");
		return;
	}
	for (int i = 0; i < f->len; i++) {
		const char *at = memchr(special, f->data[i], sizeof(special) - 1);

		if (at)
			text_addf(t, "\\%c", letters[at - special]);
		else
			text_addn(t, &f->data[i], 1);
	}
}

static bool same(const struct copyrow_field *a, const struct copyrow_field *b)
{
	if (a->len != b->len || !a->data != !b->data)
		return false;
	return a->len <= 0 || memcmp(a->data, b->data, (size_t)a->len) == 0;
}

static void check_again(const struct copyrow_field *fields, int n, int max)
{
	AUTO_TEXT struct text line = TEXT_INIT;
	AUTO(free) char *scratch = NULL;
	struct copyrow_field again[256];
	struct err e = ERR_INIT;

	for (int i = 0; i < n; i++) {
		text_add(&line, i > 0 ? "\t" : "");
		add_escaped(&line, &fields[i]);
	}
	text_add(&line, "\n");
	scratch = malloc(line.len);
	MUST(scratch);
	MUST(copyrow_text(text_str(&line), line.len, scratch, again, max, &e) == n);
	for (int i = 0; i < n; i++)
		MUST(same(&fields[i], &again[i]));
}

static void parse(const char *line, size_t len, int max)
{
	AUTO(free) char *scratch = malloc(len ? len : 1);
	struct copyrow_field fields[256];
	struct err e = ERR_INIT;
	const char *end = scratch;
	int n;

	MUST(scratch);
	n = copyrow_text(line, len, scratch, fields, max, &e);
	MUST(n >= -2 && n <= max);
	if (n < 0) {
		MUST(n == COPYROW_END || e.kind == ERR_DATA);
		return;
	}
	for (int i = 0; i < n; i++) {
		MUST(fields[i].data ? fields[i].len >= 0 : fields[i].len == -1);
		if (!fields[i].data)
			continue;
		MUST(fields[i].data >= end);
		end = fields[i].data + fields[i].len;
		MUST(end <= scratch + len);
	}
	check_again(fields, n, max);
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
