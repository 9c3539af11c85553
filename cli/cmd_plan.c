#include "cli/choose.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/say.h"
#include "cli/show.h"
#include "cli/signals.h"

#include <stdlib.h>

static int new_plan(const struct opts *o, json_t **ret, struct err *e)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	struct run_settings settings;
	struct stop stop;

	if (endpoints_settings(o, &settings, e) ||
	    endpoints_find(&ends, o, ENDPOINT_NEEDED, ENDPOINT_OPTIONAL, e) || stop_init(&stop, e))
		return -1;
	signals_aim(&stop, NULL);
	int failed = run_plan_only(ends.source, ends.target, &settings, &stop, ret, e);
	signals_aim(NULL, NULL);
	stop_done(&stop);
	return failed;
}

static int plan_of_run(const struct opts *o, json_t **ret, struct err *e)
{
	AUTO(free) char *dir = NULL;
	json_t *status = NULL;

	if (choose_run(&dir, o, CHOOSE_NAMED, e) || run_status(dir, &status, e))
		return -1;
	json_t *plan = json_object_get(status, "plan");
	if (!plan || json_is_null(plan)) {
		json_decref(status);
		err_set(e, ERR_USAGE, "the run in %s has no plan yet", dir);
		return err_hint(e, "`neonferry resume %s` makes it.", dir);
	}
	*ret = json_incref(plan);
	json_decref(status);
	return 0;
}

int cmd_plan(const struct opts *o)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err e = ERR_INIT;
	json_t *plan = NULL;

	if (o->n_args ? plan_of_run(o, &plan, &e) : new_plan(o, &plan, &e)) {
		say_error(&e);
		return (int)exit_of_error(&e, false);
	}
	show_value(&t, plan, 0);
	say_out("%s", text_str(&t));
	say_json(plan, false);
	json_decref(plan);
	return EXIT_DONE;
}
