/* SQL text: nothing inside quotes, comments or dollar quotes is taken for SQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/ddl_post.h"
#include "schema/sqltext.h"

#include <stdlib.h>
#include <string.h>

static void statements_end_at_their_own_semicolon(void **state)
{
	(void)state;
	static const char *const statements[] = {
		"SELECT ';' || E'\\';' || \"a;b\" /* ; /* ; */ ; */ -- ;\n + 1;\n",
		"CREATE FUNCTION f() AS $a$ ; $b$ ; $$ $a$;\n\n",
		"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
		"SELECT 'it''s;'",
	};
	AUTO_TEXT struct text all = TEXT_INIT;

	for (size_t i = 0; i < ARRAY_LEN(statements); i++)
		text_add(&all, statements[i]);
	const char *p = text_str(&all);
	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		size_t len = sqltext_statement(p);
		assert_int_equal(len, strlen(statements[i]));
		p += len;
	}
	assert_int_equal(sqltext_statement(p), 0);
}

static void unfinished_quotes_end_with_the_text(void **state)
{
	(void)state;
	static const char *const texts[] = { "'abc",   "\"abc", "$a$ abc", "/* abc",
					     "-- abc", "E'a\\", "$",       "'" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(sqltext_statement(texts[i]), strlen(texts[i]));
}

static void names_are_read_as_they_stand(void **state)
{
	(void)state;
	const char *p = " \"odd \"\" schema\" . users rest";
	AUTO_TEXT struct text name = TEXT_INIT;

	assert_true(sqltext_qname(&p, &name));
	assert_string_equal(text_str(&name), "\"odd \"\" schema\".users");
	assert_true(sqltext_words(&p, (const char *const[]){ "REST", NULL }));
	assert_false(sqltext_qname(&p, &name));
	assert_false(sqltext_has_statement(" -- only a comment\n /* another */ "));
}

static void check_split(const char *sql, const char *add, const char *validate)
{
	char *got_add = NULL, *got_validate = NULL;

	assert_int_equal(ddl_foreign_split(sql, &got_add, &got_validate, NULL), add != NULL);
	if (add) {
		assert_string_equal(got_add, add);
		assert_string_equal(got_validate, validate);
	}
	free(got_add);
	free(got_validate);
}

static void foreign_keys_are_added_first_and_validated_later(void **state)
{
	(void)state;
	check_split(
		"ALTER TABLE ONLY a.b\n    ADD CONSTRAINT \"c d\" FOREIGN KEY (x) REFERENCES e(y) "
		"ON DELETE CASCADE DEFERRABLE;\nCOMMENT ON CONSTRAINT x ON y IS 'z;';",
		"ALTER TABLE ONLY a.b\n    ADD CONSTRAINT \"c d\" FOREIGN KEY (x) REFERENCES e(y) "
		"ON DELETE CASCADE DEFERRABLE NOT VALID;\nCOMMENT ON CONSTRAINT x ON y IS 'z;';",
		"ALTER TABLE a.b VALIDATE CONSTRAINT \"c d\";");
}

static void foreign_keys_that_cannot_or_need_not_be_split_stay(void **state)
{
	(void)state;
	/* partitioned */
	check_split("ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES e(y);", NULL, NULL);
	/* not valid in the source */
	check_split(
		"ALTER TABLE ONLY a ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES e(y) NOT VALID;",
		NULL, NULL);
	check_split(
		"ALTER TABLE ONLY a ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES e(y) NOT ENFORCED;",
		NULL, NULL);
	/* a primary key */
	check_split("ALTER TABLE ONLY a ADD CONSTRAINT c PRIMARY KEY (x);", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_end_at_their_own_semicolon),
		cmocka_unit_test(unfinished_quotes_end_with_the_text),
		cmocka_unit_test(names_are_read_as_they_stand),
		cmocka_unit_test(foreign_keys_are_added_first_and_validated_later),
		cmocka_unit_test(foreign_keys_that_cannot_or_need_not_be_split_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
