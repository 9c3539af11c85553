/* The archive: splitting at headers, what belongs to what, what is left out, what is rewritten. */
#include "common/attr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/archive.h"

#include <string.h>

#define HEAD(id, oids, depends, name)                                                              \
	"--\n-- TOC entry " id " (" oids ")\n" depends "-- Name: " name "\n-- Data Pos: 0\n--\n\n"

static const char preamble[] = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n"
			       "SET statement_timeout = 0;\n\n";
static const char trailer[] = "-- Completed on 2026-11-21 01:32:27 UTC\n\n--\n"
			      "-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";

static struct archive *read_text(const char *pre_list, const char *pre, const char *post_list,
				 const char *post)
{
	struct archive *a = calloc(1, sizeof *a);
	struct err e = ERR_INIT;

	assert_int_equal(archive_add_section(a, ARCHIVE_PRE_DATA, pre_list, pre, &e), 0);
	assert_int_equal(archive_add_section(a, ARCHIVE_POST_DATA, post_list, post, &e), 0);
	assert_int_equal(archive_finish(a, &e), 0);
	return a;
}

static struct archive *read_body(const char *list, const char *body)
{
	AUTO_TEXT struct text script = TEXT_INIT;

	text_addf(&script, "%s%s%s", preamble, body, trailer);
	return read_text(list, text_str(&script), "", "");
}

static void header_in_a_function_body_is_not_a_header(void **state)
{
	(void)state;
	struct archive *a = read_body(
		"; c\n7; 1255 70 FUNCTION app f() bob\n8; 1259 80 TABLE app t bob\n",
		HEAD(
			"7", "class 1255 OID 70", "",
			"f(); Type: FUNCTION; Schema: app; Owner: -") "CREATE FUNCTION app.f() AS "
								      "$$\n--\n-- TOC entry 9 "
								      "(class 1259 OID 90)\n"
								      "-- Name: x; Type: TABLE; "
								      "Schema: app; Owner: "
								      "-\n--\n\\restrict "
								      "x\n$$;\n\n\n" HEAD(
									      "8",
									      "class 1259 OID 80",
									      "",
									      "t; Type: TABLE; "
									      "Schema: app; Owner: "
									      "-") "CREATE TABLE "
										   "app.t "
										   "();\n\n\n");

	assert_int_equal(a->n_entries, 2);
	assert_string_equal(
		a->entries[0].sql,
		"CREATE FUNCTION app.f() AS $$\n--\n-- TOC entry 9 (class 1259 OID 90)\n"
		"-- Name: x; Type: TABLE; Schema: app; Owner: -\n--\n\\restrict x\n$$;");
	assert_string_equal(a->entries[1].sql, "CREATE TABLE app.t ();");
	assert_string_equal(a->entries[1].schema, "app");
	archive_free(a);
}

static void missing_entry_is_an_error(void **state)
{
	(void)state;
	struct archive *a = calloc(1, sizeof *a);
	struct err e = ERR_INIT;

	assert_int_equal(archive_add_section(a, ARCHIVE_PRE_DATA, "7; 1259 70 TABLE app t bob\n",
					     "-- nothing\n", &e),
			 -1);
	assert_non_null(strstr(e.text, "entry 7"));
	archive_free(a);
}

static void names_that_look_like_headers_are_read_right(void **state)
{
	(void)state;
	struct archive *a = read_body("5; 1259 50 TABLE odd schema a; Type: b; Schema: c bob\n",
				      HEAD("5", "class 1259 OID 50", "",
					   "a; Type: b; Schema: c; Type: TABLE; Schema: odd "
					   "schema; Owner: -") "CREATE TABLE x ();\n\n\n");

	assert_string_equal(a->entries[0].tag, "a; Type: b; Schema: c");
	assert_string_equal(a->entries[0].type, "TABLE");
	assert_string_equal(a->entries[0].schema, "odd schema");
	archive_free(a);
}

static void meta_commands_and_settings_are_not_part_of_entries(void **state)
{
	(void)state;
	struct archive *a = read_body(
		"1; 2615 10 SCHEMA - app bob\n2; 1259 20 TABLE app t bob\n3; 1259 30 TABLE app u "
		"bob\n",
		HEAD(
			"1", "class 2615 OID 10",
			"", "app; Type: SCHEMA; Schema: -; Owner: -") "CREATE SCHEMA app;\n\n\nSET "
								      "default_tablespace = '';\n\n"
								      "SET "
								      "default_table_access_method "
								      "= columnar;\n\n" HEAD(
									      "2",
									      "class 1259 OID 20",
									      "-- Dependencies: "
									      "1\n",
									      "t; Type: TABLE; "
									      "Schema: app; Owner: "
									      "-") "CREATE TABLE "
										   "app.t "
										   "();\n\n\nSET "
										   "default_table_"
										   "access_method "
										   "= "
										   "heap;\n\n" HEAD("3",
												    "class 1259 OID 30",
												    "-- Dependencies: 1 1 2\n",
												    "u; Type: TABLE; Schema: app; Owner: -") "CREATE TABLE app.u ();\n\n\n");

	assert_string_equal(a->entries[0].sql, "CREATE SCHEMA app;");
	assert_null(a->entries[0].schema);
	assert_string_equal(
		a->entries[1].sql,
		"SET LOCAL default_table_access_method = columnar;\nCREATE TABLE app.t ();"
		"\nSET LOCAL default_table_access_method = heap;");
	assert_string_equal(a->entries[2].sql, "CREATE TABLE app.u ();");
	assert_int_equal(a->entries[2].n_depends, 2);
	archive_free(a);
}

static void unlogged_and_unknown_options_are_rewritten_and_noted(void **state)
{
	(void)state;
	struct archive *a = read_body(
		"2; 1259 20 TABLE app t bob\n",
		HEAD("2", "class 1259 OID 20", "",
		     "t; Type: TABLE; Schema: app; Owner: -") "CREATE UNLOGGED TABLE app.t (\n    "
							      "a integer DEFAULT 'x;y'\n);\n"
							      "ALTER TABLE ONLY app.t ALTER COLUMN "
							      "a SET (pg_attver=12);\n"
							      "ALTER TABLE ONLY app.t ALTER COLUMN "
							      "\"b c\" SET (n_distinct=-0.5, "
							      "pg_attver=12);\n"
							      "ALTER TABLE ONLY app.t ALTER COLUMN "
							      "d SET (n_distinct=5);\n"
							      "ALTER TABLE ONLY app.t ALTER COLUMN "
							      "d SET STORAGE EXTERNAL;\n\n\n");

	assert_string_equal(a->entries[0].sql,
			    "CREATE TABLE app.t (\n    a integer DEFAULT 'x;y'\n);\n"
			    "ALTER TABLE ONLY app.t ALTER COLUMN \"b c\" SET (n_distinct=-0.5);\n"
			    "ALTER TABLE ONLY app.t ALTER COLUMN d SET (n_distinct=5);\n"
			    "ALTER TABLE ONLY app.t ALTER COLUMN d SET STORAGE EXTERNAL;");
	assert_int_equal(a->n_notes, 3);
	assert_string_equal(a->notes[0].name, "app.t");
	assert_string_equal(a->notes[1].name, "pg_attver of app.t.a");
	assert_string_equal(a->notes[2].name, "pg_attver of app.t.\"b c\"");
	json_t *list = archive_left_out(a);
	assert_int_equal(json_array_size(list), 3);
	json_decref(list);
	archive_free(a);
}

static void parts_know_their_table(void **state)
{
	(void)state;
	struct archive
		*a =
			read_text("1; 1259 10 TABLE app users bob\n2; 1259 20 TABLE app users more "
				  "bob\n",
				  HEAD(
					  "1", "class 1259 OID 10", "",
					  "users; Type: TABLE; Schema: app; Owner: -") "CREATE "
										       "TABLE "
										       "app.users "
										       "();"
										       "\n\n"
										       "\n" HEAD("2",
												 "c"
												 "l"
												 "a"
												 "s"
												 "s"
												 " "
												 "1"
												 "2"
												 "5"
												 "9"
												 " "
												 "O"
												 "I"
												 "D"
												 " "
												 "2"
												 "0",
												 "",
												 "u"
												 "s"
												 "e"
												 "r"
												 "s"
												 " "
												 "m"
												 "o"
												 "r"
												 "e"
												 ";"
												 " "
												 "T"
												 "y"
												 "p"
												 "e"
												 ":"
												 " "
												 "T"
												 "A"
												 "B"
												 "L"
												 "E"
												 ";"
												 " "
												 "S"
												 "c"
												 "h"
												 "e"
												 "m"
												 "a"
												 ":"
												 " "
												 "a"
												 "p"
												 "p"
												 ";"
												 " "
												 "O"
												 "w"
												 "n"
												 "e"
												 "r"
												 ":"
												 " "
												 "-") "CREATE TABLE app.\"users more\" ();\n\n\n",
				  "3; 2606 30 CONSTRAINT app users pk bob\n"
				  "4; 2606 40 FK CONSTRAINT app users more fk bob\n"
				  "5; 1259 50 INDEX app i bob\n6; 0 0 COMMENT app INDEX i bob\n"
				  "7; 0 0 COMMENT - EXTENSION vector bob\n8; 3466 80 EVENT TRIGGER "
				  "- evt bob\n",
				  HEAD("3", "class 2606 OID 30", "-- Dependencies: 1\n", "users pk; Type: CONSTRAINT; Schema: app; Owner: -") "ALTER;\n\n" HEAD(
					  "4", "class 2606 OID 40", "-- Dependencies: 3 1 2\n",
					  "users more fk; Type: FK CONSTRAINT; Schema: app; Owner: "
					  "-") "ALTER;\n\n" HEAD("5", "class 1259 OID 50",
								 "-- Dependencies: 2\n",
								 "i; Type: INDEX; Schema: app; "
								 "Owner: -") "CREATE;\n\n" HEAD("6",
												"cl"
												"as"
												"s "
												"0 "
												"OI"
												"D "
												"0",
												"--"
												" D"
												"ep"
												"en"
												"de"
												"nc"
												"ie"
												"s:"
												" 5"
												"\n",
												"IN"
												"DE"
												"X "
												"i;"
												" T"
												"yp"
												"e:"
												" C"
												"OM"
												"ME"
												"NT"
												"; "
												"Sc"
												"he"
												"ma"
												": "
												"ap"
												"p;"
												" O"
												"wn"
												"er"
												": "
												"-") "COMMENT;\n\n" HEAD("7",
															 "class 0 OID 0",
															 "-- Dependencies: 99\n",
															 "EXTENSION vector; Type: COMMENT; Schema: -; Owner: ") "COMMENT;\n\n" HEAD("8",
																								    "class 3466 OID 80",
																								    "",
																								    "evt; Type: EVENT TRIGGER; Schema: -; Owner: -") "CREATE EVENT TRIGGER;\n\n");

	assert_int_equal(a->n_entries, 8);
	assert_string_equal(archive_by_id(a, 3)->table, "users");
	assert_string_equal(archive_by_id(a, 4)->table, "users more");
	assert_string_equal(archive_by_id(a, 5)->table, "users more");
	assert_string_equal(archive_by_id(a, 6)->table, "users more");
	assert_int_equal(archive_by_id(a, 6)->parent, 4);
	assert_null(archive_by_id(a, 6)->left_out);
	assert_non_null(archive_by_id(a, 7)->left_out);
	assert_non_null(archive_by_id(a, 8)->left_out);
	archive_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_in_a_function_body_is_not_a_header),
		cmocka_unit_test(missing_entry_is_an_error),
		cmocka_unit_test(names_that_look_like_headers_are_read_right),
		cmocka_unit_test(meta_commands_and_settings_are_not_part_of_entries),
		cmocka_unit_test(unlogged_and_unknown_options_are_rewritten_and_noted),
		cmocka_unit_test(parts_know_their_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
