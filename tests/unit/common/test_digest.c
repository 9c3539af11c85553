#include "unit.h"

#include "common/digest.h"

#include <endian.h>
#include <openssl/evp.h>

#define INT8_OID 20
#define TEXT_OID 25

static struct digest_ctx *ctx;

static int begin(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return digest_new(&ctx, &e);
}

static int finish(void **state)
{
	(void)state;
	digest_free(ctx);
	return 0;
}

/* The words of SHA-256 over bytes that the test lays out itself. */
static void words_of(const void *data, size_t len, int64_t ret_word[2])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	uint64_t word;

	assert_int_equal(EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL), 1);
	for (int i = 0; i < 2; i++) {
		memcpy(&word, hash + 8 * i, sizeof(word));
		ret_word[i] = (int64_t)be64toh(word);
	}
}

static void add32(struct text *t, uint32_t value)
{
	value = htobe32(value);
	text_addn(t, (const char *)&value, sizeof(value));
}

/* The bytes that the server's record_send() writes for the row. */
static void record_send(struct text *t, const uint32_t *oids, const struct copyrow_field *f, int n)
{
	add32(t, (uint32_t)n);
	for (int i = 0; i < n; i++) {
		add32(t, oids[i]);
		add32(t, (uint32_t)f[i].len);
		if (f[i].len > 0)
			text_addn(t, f[i].data, (size_t)f[i].len);
	}
}

static void assert_words(const int64_t a[2], const int64_t b[2])
{
	assert_true(a[0] == b[0]);
	assert_true(a[1] == b[1]);
}

/* Taken from a server: SELECT sha256(record_send(ROW(...))). */
static void the_words_are_those_of_a_server(void **state)
{
	static const struct digest_column columns[] = {
		{ "a", DIGEST_SELF, INT8_OID, NULL, NULL, NULL },
		{ "b", DIGEST_TEXT, 0, NULL, NULL, NULL },
		{ "c", DIGEST_SELF, TEXT_OID, NULL, NULL, NULL },
	};
	const struct copyrow_field fields[] = { { "\0\0\0\0\0\0\0\52", 8 },
						{ NULL, -1 },
						{ "gr\303\274n", 5 } };
	int64_t word[2];

	(void)state;
	digest_row(ctx, columns, fields, 3, word);
	assert_true(word[0] == -2988910699672472870);
	assert_true(word[1] == -6413753481191021218);
	digest_row(ctx, columns, fields, 0, word);
	assert_true(word[0] == -2360060374177730597);
	assert_true(word[1] == 4636202025757824840);
}

static void fields_of_every_size_are_hashed_as_they_stand(void **state)
{
	static const int32_t sizes[] = { 0, -1, 1, 7, 1023, 1024, 1025, 4087, 4088, 4096, 70000 };
	enum { N = ARRAY_LEN(sizes) };
	struct digest_column columns[N];
	struct copyrow_field fields[N];
	uint32_t oids[N];
	AUTO(free) char *data = malloc(70000);

	(void)state;
	for (int i = 0; i < 70000; i++)
		data[i] = (char)(i * 31);
	/* Each rotation meets the gathering buffer's limits at other places. */
	for (int shift = 0; shift < N; shift++) {
		AUTO_TEXT struct text bytes = TEXT_INIT;
		int64_t expected[2], word[2];

		for (int i = 0; i < N; i++) {
			oids[i] = 1000 + (uint32_t)i;
			columns[i] = (struct digest_column){ "c",  DIGEST_SELF, oids[i],
							     NULL, NULL,        NULL };
			fields[i].len = sizes[(i + shift) % N];
			fields[i].data = fields[i].len < 0 ? NULL : data + i;
			if (fields[i].len == 70000)
				fields[i].data = data;
		}
		record_send(&bytes, oids, fields, N);
		words_of(text_str(&bytes), bytes.len, expected);
		digest_row(ctx, columns, fields, N, word);
		assert_words(word, expected);
	}
}

static void many_small_fields_overflow_the_gathering_buffer_safely(void **state)
{
	enum { N = 1600 };
	static struct digest_column columns[N];
	static struct copyrow_field fields[N];
	static uint32_t oids[N];
	AUTO_TEXT struct text bytes = TEXT_INIT;
	int64_t expected[2], word[2];

	(void)state;
	for (int i = 0; i < N; i++) {
		columns[i] = (struct digest_column){ "c", DIGEST_SELF, 23, NULL, NULL, NULL };
		fields[i] = (struct copyrow_field){ "0123456789", i % 11 };
		oids[i] = 23;
	}
	record_send(&bytes, oids, fields, N);
	words_of(text_str(&bytes), bytes.len, expected);
	digest_row(ctx, columns, fields, N, word);
	assert_words(word, expected);
}

static void the_mode_decides_the_type_that_is_hashed(void **state)
{
	static const struct digest_column columns[] = {
		{ "a", DIGEST_SEND, 77777, NULL, "s.send", NULL },
		{ "b", DIGEST_TEXT, 77777, NULL, NULL, NULL },
	};
	const struct copyrow_field fields[] = { { "x", 1 }, { "y", 1 } };
	const uint32_t oids[] = { DIGEST_OID_BYTEA, DIGEST_OID_TEXT };
	AUTO_TEXT struct text bytes = TEXT_INIT;
	int64_t expected[2], word[2];

	(void)state;
	record_send(&bytes, oids, fields, 2);
	words_of(text_str(&bytes), bytes.len, expected);
	digest_row(ctx, columns, fields, 2, word);
	assert_words(word, expected);
}

static void null_and_empty_and_moved_borders_differ(void **state)
{
	static const struct digest_column columns[] = {
		{ "a", DIGEST_SELF, TEXT_OID, NULL, NULL, NULL },
		{ "b", DIGEST_SELF, TEXT_OID, NULL, NULL, NULL },
	};
	const struct copyrow_field rows[][2] = {
		{ { "", 0 }, { "", 0 } },    { { NULL, -1 }, { "", 0 } },
		{ { "", 0 }, { NULL, -1 } }, { { "ab", 2 }, { "c", 1 } },
		{ { "a", 1 }, { "bc", 2 } }, { { "bc", 2 }, { "a", 1 } },
		{ { "abc", 3 }, { "", 0 } }, { { "abc", 3 }, { NULL, -1 } },
	};
	int64_t word[ARRAY_LEN(rows)][2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		digest_row(ctx, columns, rows[i], 2, word[i]);
		for (size_t j = 0; j < i; j++) {
			assert_true(word[i][0] != word[j][0]);
			assert_true(word[i][1] != word[j][1]);
		}
	}
}

static void columns_are_ordered_by_the_bytes_of_their_names(void **state)
{
	static const char *const names[] = { "b", "a", "B", "\303\244", "aa", "_", "Z", "1" };
	static const int expected[] = { 7, 2, 6, 5, 1, 4, 0, 3 };
	struct digest_column columns[ARRAY_LEN(names)] = { 0 };
	int order[ARRAY_LEN(names)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		columns[i].name = names[i];
	digest_order(columns, ARRAY_LEN(names), order);
	assert_memory_equal(order, expected, sizeof(expected));
	digest_order(columns, 0, order);
}

static void each_mode_has_its_expression(void **state)
{
	static const struct {
		struct digest_column column;
		const char *sql;
	} cases[] = {
		{ { "a\"b", DIGEST_SELF, 20, NULL, NULL, NULL }, "\"t\".\"a\"\"b\"" },
		{ { "a", DIGEST_SELF, 23, "\"pg_catalog\".\"int4\"", NULL, NULL },
		  "(\"t\".\"a\")::\"pg_catalog\".\"int4\"" },
		{ { "e", DIGEST_SEND, 17, NULL, "\"p\".\"vector_send\"", NULL },
		  "\"p\".\"vector_send\"(\"t\".\"e\")" },
		{ { "e", DIGEST_SEND, 17, NULL, "\"p\".\"halfvec_send\"", "(%s)::\"p\".\"100%s\"" },
		  "\"p\".\"halfvec_send\"((\"t\".\"e\")::\"p\".\"100%s\")" },
		{ { "e", DIGEST_SEND, 17, "\"p\".\"hv\"", "\"p\".\"f\"", "cast(%s as d)" },
		  "\"p\".\"f\"((cast(\"t\".\"e\" as d))::\"p\".\"hv\")" },
		{ { "%s", DIGEST_TEXT, 25, NULL, NULL, NULL },
		  "CASE WHEN pg_catalog.num_nulls(\"t\".\"%s\") = 0 THEN "
		  "pg_catalog.format('%s', \"t\".\"%s\") END" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_TEXT struct text t = TEXT_INIT;

		digest_sql_column(&t, &cases[i].column, "t");
		assert_string_equal(text_str(&t), cases[i].sql);
	}
}

static void the_hash_puts_columns_into_order(void **state)
{
	static const struct digest_column columns[] = {
		{ "b", DIGEST_SELF, 20, NULL, NULL, NULL },
		{ "A", DIGEST_SELF, 20, NULL, NULL, NULL },
	};
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	digest_sql_hash(&t, columns, 2, "x");
	assert_string_equal(
		text_str(&t),
		"pg_catalog.sha256(pg_catalog.record_send(ROW(\"x\".\"A\", \"x\".\"b\")))");
	text_clear(&t);
	digest_sql_hash(&t, columns, 0, "x");
	assert_string_equal(text_str(&t), "pg_catalog.sha256(pg_catalog.record_send(ROW()))");
}

#define SUMS                                                                                       \
	"pg_catalog.count(*), pg_catalog.sum((('x' || pg_catalog.encode(pg_catalog.substr(s, 1, "  \
	"8), 'hex'))::pg_catalog.bit(64)::pg_catalog.int8)), pg_catalog.sum((('x' || "             \
	"pg_catalog.encode(pg_catalog.substr(s, 9, 8), "                                           \
	"'hex'))::pg_catalog.bit(64)::pg_catalog.int8))"

static void the_tally_query_is_fenced_and_grouped(void **state)
{
	static const struct digest_column columns[] = { { "a", DIGEST_SELF, 20, NULL, NULL,
							  NULL } };
	AUTO_TEXT struct text t = TEXT_INIT;

	(void)state;
	digest_sql_tally(&t, columns, 1, "ONLY \"s\".\"t\"", NULL, NULL);
	assert_string_equal(text_str(&t),
			    "SELECT " SUMS
			    " FROM (SELECT pg_catalog.sha256(pg_catalog.record_send(ROW("
			    "\"nf_src\".\"a\"))) AS s, pg_catalog.pg_is_in_recovery() FROM ONLY "
			    "\"s\".\"t\" AS nf_src) q");
	text_clear(&t);
	digest_sql_tally(&t, columns, 1, "\"s\".\"t\"", "a > 1", "c");
	assert_string_equal(
		text_str(&t),
		"SELECT g, " SUMS " FROM (SELECT pg_catalog.sha256(pg_catalog.record_send(ROW("
		"\"nf_src\".\"a\"))) AS s, (\"nf_src\".\"c\")::pg_catalog.text COLLATE "
		"pg_catalog.\"C\" AS g, pg_catalog.pg_is_in_recovery() FROM \"s\".\"t\" AS nf_src "
		"WHERE a > 1) q GROUP BY 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_words_are_those_of_a_server),
		cmocka_unit_test(fields_of_every_size_are_hashed_as_they_stand),
		cmocka_unit_test(many_small_fields_overflow_the_gathering_buffer_safely),
		cmocka_unit_test(the_mode_decides_the_type_that_is_hashed),
		cmocka_unit_test(null_and_empty_and_moved_borders_differ),
		cmocka_unit_test(columns_are_ordered_by_the_bytes_of_their_names),
		cmocka_unit_test(each_mode_has_its_expression),
		cmocka_unit_test(the_hash_puts_columns_into_order),
		cmocka_unit_test(the_tally_query_is_fenced_and_grouped),
	};

	return cmocka_run_group_tests(tests, begin, finish);
}
