#include "cli/command.h"
#include "cli/exit.h"
#include "cli/help.h"
#include "cli/manual.h"
#include "cli/say.h"

static int page_of_command(const char *name)
{
	const struct command *c = command_find(name);
	struct err e = ERR_INIT;

	if (c) {
		help_command(c);
		return EXIT_DONE;
	}
	err_set(&e, ERR_USAGE, "there is no command \"%s\"", opt_public(name));
	if (command_nearest(name))
		err_hint(&e, "did you mean `neonferry help %s`?", command_nearest(name)->name);
	else
		err_hint(&e, "`neonferry help` lists the commands");
	say_error(&e);
	return EXIT_USAGE;
}

int cmd_help(const struct opts *o)
{
	static const struct {
		enum opt_id id;
		void (*print)(void);
	} pages[] = {
		{ OPT_ID_MAN, manual_man },
		{ OPT_ID_MARKDOWN, manual_options },
		{ OPT_ID_ERRORS_MARKDOWN, manual_errors },
		{ OPT_ID_EXIT_MARKDOWN, manual_exit },
		{ OPT_ID_ENVIRONMENT_MARKDOWN, manual_environment },
	};

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (opt_flag(o, pages[i].id)) {
			pages[i].print();
			return EXIT_DONE;
		}
	}
	if (!o->n_args) {
		help_overview();
		return EXIT_DONE;
	}
	AUTO_TEXT struct text name = TEXT_INIT; /* of one word or two: "schema apply" */
	for (int i = 0; i < o->n_args; i++)
		text_addf(&name, "%s%s", i ? " " : "", o->args[i]);
	return page_of_command(text_str(&name));
}
