#include "tests/unit/common/unit.h"

#include "cli/command.h"

#include <stdio.h>

#define MAX_ARGS 16

/* Parses words separated by spaces for a command, from memory that may be written to. */
struct line {
	struct opts o;
	struct err e;
	char words[512];
	char *argv[MAX_ARGS];
	int argc;
};

static int parse(struct line *l, const char *command, const char *words)
{
	const struct command *c = command_find(command);

	memset(l, 0, sizeof(*l));
	snprintf(l->words, sizeof(l->words), "%s", words);
	for (char *p = l->words, *word; (word = strsep(&p, " "));)
		if (*word)
			l->argv[l->argc++] = word;
	return opt_parse(&l->o, command_bit(c), c->name, c->max_args, l->argc, l->argv, &l->e);
}

static void refused(const char *command, const char *words, const char *text, const char *hint)
{
	struct line l;

	if (parse(&l, command, words) == 0)
		fail_msg("neonferry %s %s was taken", command, words);
	assert_int_equal(l.e.kind, ERR_USAGE);
	assert_has(l.e.text, text);
	assert_has(l.e.hint, hint);
	opts_done(&l.o);
}

static void both_forms_give_the_same(void **state)
{
	struct line a, b;

	(void)state;
	assert_ok(parse(&a, "run", "--jobs 3 --spill none --memory 64M"));
	assert_ok(parse(&b, "run", "--jobs=3 --spill=none --memory=64M"));
	assert_int_equal(opt_number(&a.o, OPT_ID_JOBS), 3);
	assert_int_equal(opt_number(&b.o, OPT_ID_JOBS), 3);
	assert_int_equal(opt_number(&a.o, OPT_ID_SPILL), 2);
	assert_int_equal(opt_number(&b.o, OPT_ID_SPILL), 2);
	assert_int_equal(opt_number(&a.o, OPT_ID_MEMORY), 64 << 20);
	opts_done(&a.o);
	opts_done(&b.o);
}

static void the_line_wins_over_the_environment_and_that_over_the_default(void **state)
{
	struct line l;
	char buf[96];

	(void)state;
	setenv("NEONFERRY_MEMORY", "32M", 1);
	assert_ok(parse(&l, "run", ""));
	assert_int_equal(opt_number(&l.o, OPT_ID_MEMORY), 32 << 20);
	assert_string_equal(opt_origin_text(&l.o, OPT_ID_MEMORY, buf, sizeof(buf)),
			    "environment variable NEONFERRY_MEMORY");
	opts_done(&l.o);
	assert_ok(parse(&l, "run", "--memory 64M"));
	assert_int_equal(opt_number(&l.o, OPT_ID_MEMORY), 64 << 20);
	assert_string_equal(opt_origin_text(&l.o, OPT_ID_MEMORY, buf, sizeof(buf)), "--memory");
	opts_done(&l.o);
	setenv("NEONFERRY_MEMORY", "much", 1);
	refused("run", "", "environment variable NEONFERRY_MEMORY: \"much\" is no size", "64M");
	unsetenv("NEONFERRY_MEMORY");
	assert_ok(parse(&l, "run", ""));
	assert_int_equal(opt_number(&l.o, OPT_ID_MEMORY), 256 << 20);
	assert_string_equal(opt_origin_text(&l.o, OPT_ID_MEMORY, buf, sizeof(buf)), "default");
	opts_done(&l.o);
}

static void lists_grow_and_flags_may_repeat(void **state)
{
	struct line l;

	(void)state;
	assert_ok(parse(&l, "run", "--table a --table=b.c --quiet --quiet --table d"));
	assert_int_equal(l.o.values[OPT_ID_TABLE].n_list, 3);
	assert_string_equal(l.o.values[OPT_ID_TABLE].list[1], "b.c");
	assert_true(opt_flag(&l.o, OPT_ID_QUIET));
	assert_false(opt_flag(&l.o, OPT_ID_YES));
	opts_done(&l.o);
}

static void arguments_are_told_from_options(void **state)
{
	struct line l;

	(void)state;
	assert_ok(parse(&l, "resume", "--quiet my-run"));
	assert_int_equal(l.o.n_args, 1);
	assert_string_equal(l.o.args[0], "my-run");
	opts_done(&l.o);
	assert_ok(parse(&l, "resume", "-- --odd-name"));
	assert_string_equal(l.o.args[0], "--odd-name");
	opts_done(&l.o);
}

static void wrong_usage_is_named_with_what_to_do(void **state)
{
	(void)state;
	refused("run", "--jbos 3", "unknown option --jbos", "did you mean --jobs?");
	refused("run", "--tables x", "unknown option --tables", "did you mean --table?");
	refused("run", "--xyzzy", "unknown option --xyzzy", "neonferry run --help");
	refused("run", "--tab x", "unknown option --tab", "did you mean --table?");
	refused("status", "--jobs 3", "`neonferry status` does not take the option --jobs",
		"status --help");
	refused("run", "--jobs", "option --jobs needs a value", "--jobs N");
	refused("run", "--jobs --quiet", "option --jobs needs a value", "--jobs N");
	refused("run", "--jobs=", "option --jobs has an empty value", "leave the option out");
	refused("run", "--jobs 0", "no whole number from 1 to 64", "digits");
	refused("run", "--jobs 65", "no whole number from 1 to 64", "digits");
	refused("run", "--jobs three", "\"three\"", "digits");
	refused("run", "--chunk-size 1k", "no size from 64k to 1G", "powers of 1024");
	refused("run", "--snapshot-ttl 90", "no time from 1m to 30d", "90m");
	refused("run", "--spill sometimes", "is not always, overflow or none", "one of these");
	refused("run", "--spill alwasy", "is not always", "did you mean always?");
	refused("run", "--quiet=yes", "--quiet takes no value", "write --quiet alone");
	refused("run", "--jobs 2 --jobs 2", "--jobs is given twice", "once");
	refused("run", "--schema-only --data-only", "exclude each other", "both");
	refused("run", "-j 3", "unknown option -j", "long names");
	refused("run", "something", "does not take the argument \"something\"", "run --help");
	refused("resume", "a b", "does not take the argument \"b\"", "resume --help");
}

static void a_password_is_in_no_message_and_leaves_the_argument_list(void **state)
{
	struct line l;

	(void)state;
	assert_ok(parse(&l, "run",
			"--source postgresql://u:sesame@h/d --target=postgresql://u:sesame@g/d"));
	assert_string_equal(opt_text(&l.o, OPT_ID_SOURCE), "postgresql://u:sesame@h/d");
	assert_string_equal(opt_text(&l.o, OPT_ID_TARGET), "postgresql://u:sesame@g/d");
	for (int i = 0; i < l.argc; i++)
		assert_null(strstr(l.argv[i], "sesame"));
	opts_done(&l.o);
	static const char *const wrong[] = {
		"postgresql://u:sesame@h/d",
		"--surce=postgresql://u:sesame@h/d",
		"--jobs postgresql://u:sesame@h/d",
		"--spill postgresql://u:sesame@h/d",
		"-xpostgresql://u:sesame@h/d",
		"--postgresql://u:sesame@h/d",
		"password=sesame",
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(parse(&l, "run", wrong[i]), -1);
		assert_null(strstr(l.e.text, "sesame"));
		assert_null(strstr(l.e.hint, "sesame"));
		opts_done(&l.o);
	}
}

static void help_is_given_even_where_the_rest_is_wrong_in_the_environment(void **state)
{
	struct line l;

	(void)state;
	setenv("NEONFERRY_JOBS", "many", 1);
	assert_ok(parse(&l, "run", "--help"));
	assert_true(opt_flag(&l.o, OPT_ID_HELP));
	opts_done(&l.o);
	unsetenv("NEONFERRY_JOBS");
}

static void every_row_of_the_table_is_whole(void **state)
{
	(void)state;
	for (int id = 0; id < OPT_N; id++) {
		const struct opt_spec *spec = &opt_table[id];
		bool number = spec->type == OPT_COUNT || spec->type == OPT_BYTES ||
			      spec->type == OPT_DURATION;

		assert_non_null(spec->name);
		assert_non_null(spec->help);
		assert_int_not_equal(spec->commands, 0);
		assert_true((spec->value == NULL) == (spec->type == OPT_FLAG));
		assert_true((spec->choices != NULL) == (spec->type == OPT_CHOICE));
		assert_true(!number || spec->max > spec->min);
		if (spec->help[strlen(spec->help) - 1] != '.')
			fail_msg("the help of --%s is no sentence", spec->name);
		for (int other = 0; other < id; other++)
			assert_string_not_equal(spec->name, opt_table[other].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_give_the_same),
		cmocka_unit_test(the_line_wins_over_the_environment_and_that_over_the_default),
		cmocka_unit_test(lists_grow_and_flags_may_repeat),
		cmocka_unit_test(arguments_are_told_from_options),
		cmocka_unit_test(wrong_usage_is_named_with_what_to_do),
		cmocka_unit_test(a_password_is_in_no_message_and_leaves_the_argument_list),
		cmocka_unit_test(help_is_given_even_where_the_rest_is_wrong_in_the_environment),
		cmocka_unit_test(every_row_of_the_table_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
