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

/* In words: what is known without asking a server. */
static void add_state(struct text *t, const json_t *status)
{
	const char *dir = choose_to_name(json_string_value(json_object_get(status, "folder")));

	if (json_is_true(json_object_get(status, "working")))
		text_add(t, "working now");
	else if (json_is_true(json_object_get(status, "finished")))
		text_add(t, "finished");
	else
		text_addf(t, "stopped: `neonferry resume%s%s` goes on", dir ? " " : "",
			  dir ? dir : "");
}

static const char *next_of(const json_t *status)
{
	if (json_is_true(json_object_get(status, "capture_complete")))
		return "not needed any more: everything was read";
	if (json_is_true(json_object_get(status, "holder")))
		return "kept: a resume goes on with the same one";
	return json_is_null(json_object_get(status, "plan")) ? "not taken yet"
							     : "lost: a resume proves what it has "
							       "under a new one";
}

static void print(const json_t *status)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	AUTO_TEXT struct text state = TEXT_INIT;
	const json_t *identity = json_object_get(status, "identity");

	add_state(&state, status);
	json_t *shown = json_pack(
		"{s:O, s:O, s:s, s:s, s:O*, s:O, s:O}", "run", json_object_get(status, "run"),
		"folder", json_object_get(status, "folder"), "state", text_str(&state), "snapshot",
		next_of(status), "started", json_object_get(identity, "started"), "plan",
		json_object_get(status, "plan"), "spill", json_object_get(status, "spill"));

	show_value(&t, shown, 0);
	say_out("%s", text_str(&t));
	json_decref(shown);
}

int cmd_status(const struct opts *o)
{
	struct err e = ERR_INIT;
	json_t *status = NULL;

	if (look(o, &status, &e)) {
		say_error(&e);
		return (int)exit_of_error(&e, false);
	}
	print(status);
	say_json(status, false);
	json_decref(status);
	return EXIT_DONE;
}
