#include "cli/choose.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "cli/say.h"
#include "cli/show.h"
#include "transfer/run.h"

#include <stdlib.h>

static int look(const struct opts *o, json_t **ret, struct err *e)
{
	AUTO(free) char *dir = NULL;

	if (choose_run(&dir, o, CHOOSE_NEWEST, e))
		return -1;
	return run_status(dir, ret, e);
}

int cmd_status(const struct opts *o)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err e = ERR_INIT;
	json_t *status = NULL;

	if (look(o, &status, &e)) {
		say_error(&e);
		return (int)exit_of_error(&e, false);
	}
	show_value(&t, status, 0);
	say_out("%s", text_str(&t));
	say_json(status, false);
	json_decref(status);
	return EXIT_DONE;
}
