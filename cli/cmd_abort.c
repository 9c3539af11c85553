#include "cli/choose.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/say.h"
#include "cli/show.h"

#include <stdlib.h>

/* Shows what would go and asks. */
static int confirm(const struct opts *o, const char *dir, const struct conn *target, struct err *e)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	AUTO_TEXT struct text finished = TEXT_INIT;
	json_t *list = NULL;

	if (opt_flag(o, OPT_ID_KEEP_DATA)) {
		if (say_ask(o, e, "Forget the run %s, and leave what it wrote?", dir))
			return 0;
		return -1;
	}
	if (run_abort_list(dir, target, &list, e))
		return -1;
	say_json(list, true);
	if (choose_is_finished(dir)) {
		text_addf(&finished, "The run %s is finished: this takes back what it moved.", dir);
		show_words(&t, text_str(&finished), 0, 2);
	}
	text_addf(&t, "To be removed from %s:\n", conn_label(target));
	if (json_array_size(list))
		show_value(&t, list, 2);
	else
		text_add(&t, "  nothing but the run's own records\n");
	if (!say_is_quiet())
		say_out("%s", text_str(&t));
	json_decref(list);
	return say_ask(o, e, "Remove this from %s?", conn_label(target)) ? 0 : -1;
}

static int abort_run(const struct opts *o, struct endpoints *ends, char **ret_dir,
		     bool *ret_written, struct err *e)
{
	if (choose_run(ret_dir, o, CHOOSE_UNFINISHED, e))
		return -1;
	if (endpoints_of_run(ends, o, *ret_dir, false, e) || confirm(o, *ret_dir, ends->target, e))
		return -1;
	return run_abort(*ret_dir, ends->target, opt_flag(o, OPT_ID_KEEP_DATA), ret_written, e);
}

int cmd_abort(const struct opts *o)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	AUTO(free) char *dir = NULL;
	struct err e = ERR_INIT;
	bool written = false; /* a part may be gone already, but nothing of what is refused */

	if (abort_run(o, &ends, &dir, &written, &e)) {
		say_error(&e);
		return (int)exit_of_error(&e, written && e.kind != ERR_REFUSED);
	}
	say_out("%s: aborted%s\n", dir, opt_flag(o, OPT_ID_KEEP_DATA) ? ", its data left" : "");
	return EXIT_DONE;
}
