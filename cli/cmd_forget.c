#include "cli/choose.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/say.h"

#include <stdlib.h>

static int forget(const struct opts *o, struct endpoints *ends, char **ret_dir, bool *ret_written,
		  struct err *e)
{
	if (choose_run(ret_dir, o, CHOOSE_NAMED, e) ||
	    endpoints_of_run(ends, o, *ret_dir, false, e))
		return -1;
	if (!say_ask(o, e,
		     "Remove the records of %s in %s, and the run folder with the report in it?",
		     *ret_dir, conn_label(ends->target)))
		return -1;
	return run_forget(*ret_dir, ends->target, ret_written, e);
}

int cmd_forget(const struct opts *o)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	AUTO(free) char *dir = NULL;
	struct err e = ERR_INIT;
	bool written = false; /* a part may be gone already, but nothing of what is refused */

	if (forget(o, &ends, &dir, &written, &e)) {
		say_error(&e);
		return (int)exit_of_error(&e, written && e.kind != ERR_REFUSED);
	}
	say_out("%s: forgotten\n", dir);
	return EXIT_DONE;
}
