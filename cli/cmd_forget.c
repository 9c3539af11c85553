#include "cli/choose.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/say.h"

#include <stdlib.h>

static int forget(const struct opts *o, struct endpoints *ends, char **ret_dir, struct err *e)
{
	if (choose_run(ret_dir, o, CHOOSE_NAMED, e) ||
	    endpoints_of_run(ends, o, *ret_dir, false, e))
		return -1;
	if (!say_ask(o, e, "Remove the records of %s in %s and the run folder?", *ret_dir,
		     conn_label(ends->target)))
		return -1;
	return run_forget(*ret_dir, ends->target, e);
}

int cmd_forget(const struct opts *o)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	AUTO(free) char *dir = NULL;
	struct err e = ERR_INIT;

	if (forget(o, &ends, &dir, &e)) {
		say_error(&e);
		/* a part may be gone already; where nobody answered, nothing is */
		return (int)exit_of_error(&e, e.kind != ERR_NETWORK && e.kind != ERR_REFUSED);
	}
	say_out("%s: forgotten\n", dir);
	return EXIT_DONE;
}
