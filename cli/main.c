/*
 * main - finds the command, reads its options, calls it; its exit status is the program's.
 */
#include "cli/command.h"
#include "cli/exit.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/spillkey.h"
#include "transfer/holder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int usage(struct err *e)
{
	say_error(e);
	return EXIT_USAGE;
}

static int unknown_command(const char *name)
{
	const struct command *nearest = command_nearest(name);
	struct err e = ERR_INIT;

	if (name[0] == '-') {
		err_set(&e, ERR_USAGE, "the option %s stands before the command", opt_public(name));
		err_hint(&e, "write `neonferry COMMAND [OPTION...]`");
		return usage(&e);
	}
	err_set(&e, ERR_USAGE, "unknown command \"%s\"", opt_public(name));
	if (nearest)
		err_hint(&e, "did you mean `neonferry %s`? `neonferry help` lists the commands",
			 nearest->name);
	else if (strncmp(name, "schema ", 7) == 0)
		err_hint(&e, "`neonferry help schema` lists its commands");
	else
		err_hint(&e, "`neonferry help` lists the commands");
	return usage(&e);
}

/* "--help" and "--version" are commands by another name. */
static const char *command_name(const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return "help";
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		return "version";
	return word;
}

/* Some commands have two words, "schema apply". Returns how many were taken. */
static int words_of_command(int argc, char **argv, char *name, size_t len)
{
	bool two = strcmp(argv[1], "schema") == 0 && argc > 2 && argv[2][0] != '-';

	if (two)
		snprintf(name, len, "%s %s", argv[1], argv[2]);
	else
		snprintf(name, len, "%s", command_name(argv[1]));
	return two ? 2 : 1;
}

static bool moves(const struct command *c)
{
	enum command_id id = command_id(c);

	return id == COMMAND_RUN || id == COMMAND_COPY || id == COMMAND_RESUME;
}

/* A result that nobody got is none. What a run did is in its folder, and its status stands. */
static int conclude(const struct command *c, int status)
{
	struct err e = ERR_INIT;

	if (!say_lost_output(&e))
		return status;
	say_error(&e);
	return status == EXIT_DONE && !moves(c) ? EXIT_ACT : status;
}

static int call(const struct command *c, const struct opts *o)
{
	struct err e = ERR_INIT;

	if (signals_start(&e)) {
		say_error(&e);
		return EXIT_INTERNAL;
	}
	int status = c->call(o);
	signals_end();
	return status;
}

/* Memory holds passwords and keys: no crash of ours, or of what we start, writes it to a disk. */
static void leave_no_core(void)
{
	struct rlimit none;

	if (getrlimit(RLIMIT_CORE, &none))
		return;
	none.rlim_cur = 0;
	(void)setrlimit(RLIMIT_CORE, &none);
}

/*
 * Where the caller closed one of the standard three, the next file would take its number, and what is
 * printed would go into that file. Opened to read, so that printing fails.
 */
static void keep_standard_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
			_exit(EXIT_INTERNAL);
}

int main(int argc, char **argv)
{
	AUTO_OPTS struct opts o = OPTS_INIT;
	struct err e = ERR_INIT;

	keep_standard_descriptors();
	leave_no_core();
	spillkey_take();
	if (argc == 2 &&
	    strcmp(argv[1], "__hold") == 0) /* the snapshot holder, see transfer/holder.h */
		return holder_main();
	if (argc < 2) {
		err_set(&e, ERR_USAGE, "no command is given");
		err_hint(&e, "`neonferry help` lists the commands");
		return usage(&e);
	}
	char name[64];
	int n = words_of_command(argc, argv, name, sizeof(name));
	const struct command *c = command_find(name);
	if (!c)
		return unknown_command(name);
	int failed =
		opt_parse(&o, command_bit(c), c->name, c->max_args, argc - 1 - n, argv + 1 + n, &e);
	say_init(&o);
	if (failed)
		return usage(&e);
	if (opt_flag(&o, OPT_ID_HELP)) {
		help_command(c);
		return conclude(c, EXIT_DONE);
	}
	return conclude(c, call(c, &o));
}
