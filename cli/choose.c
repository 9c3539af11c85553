#include "cli/choose.h"

#include "common/file.h"
#include "common/text.h"
#include "transfer/run.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool is_run(const char *dir)
{
	AUTO(free) char *path = file_path(dir, "run.json");

	return path && file_exists(path);
}

/* One that cannot be read is for the command itself to complain about. */
bool choose_is_finished(const char *dir)
{
	struct err ignored = ERR_INIT;
	json_t *status = NULL;

	if (run_status(dir, &status, &ignored))
		return false;
	bool finished = json_is_true(json_object_get(status, "finished"));
	json_decref(status);
	return finished;
}

int choose_named(char **ret, const char *name, struct err *e)
{
	AUTO(free) char *below = file_path(CHOOSE_FOLDER, name);

	if (!below)
		return err_nomem(e);
	const char *found = is_run(name) ? name : is_run(below) ? below : NULL;
	if (!found) {
		err_set(e, ERR_USAGE, "there is no run in %s", opt_public(name));
		return err_hint(
			e, "name a run folder, or a run in ./" CHOOSE_FOLDER
			   "; where the folder is gone, DROP TABLE neonferry.run, neonferry.chunk, "
			   "neonferry.relation, neonferry.object, neonferry.set_aside, "
			   "neonferry.format in the target removes the records of all runs");
	}
	char *copy = strdup(found);
	if (!copy)
		return err_nomem(e);
	*ret = copy;
	return 0;
}

const char *choose_to_name(const char *dir)
{
	char here[PATH_MAX], full[PATH_MAX];

	if (!dir || !realpath(CHOOSE_FOLDER, here) || !realpath(dir, full))
		return dir;
	size_t n = strlen(here);
	bool below = strncmp(full, here, n) == 0 && full[n] == '/' && !strchr(full + n + 1, '/');
	return below ? NULL : dir;
}

static int only_folders(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Runs in the folder that fit, oldest first: names begin with the time. */
struct candidates {
	int n;
	char *newest;
	struct text names;
};

static void look(struct candidates *c, enum choose_which which)
{
	struct dirent **entries = NULL;
	int n = scandir(CHOOSE_FOLDER, &entries, only_folders, alphasort);

	for (int i = 0; i < n; i++) {
		char *dir = file_path(CHOOSE_FOLDER, entries[i]->d_name);
		free(entries[i]);
		if (!dir || !is_run(dir) || (which == CHOOSE_UNFINISHED && choose_is_finished(dir))) {
			free(dir);
			continue;
		}
		text_addf(&c->names, "%s%s", c->n ? ", " : "", strrchr(dir, '/') + 1);
		c->n++;
		free(c->newest);
		c->newest = dir;
	}
	free(entries);
}

static int pick(char **ret, struct candidates *c, enum choose_which which, struct err *e)
{
	const char *kind = which == CHOOSE_UNFINISHED ? "unfinished run" : "run";

	if (c->n == 0) {
		err_set(e, ERR_USAGE, "there is no %s in ./" CHOOSE_FOLDER, kind);
		return err_hint(e, "name the run folder, or go to where ./" CHOOSE_FOLDER " is");
	}
	if (which == CHOOSE_NEWEST || (which == CHOOSE_UNFINISHED && c->n == 1)) {
		*ret = GIVE(&c->newest);
		return 0;
	}
	if (which == CHOOSE_NAMED) {
		err_set(e, ERR_USAGE, "no run is named; in ./" CHOOSE_FOLDER ": %s", text_str(&c->names));
		return err_hint(e, "name the run that is meant");
	}
	err_set(e, ERR_USAGE, "%d runs in ./" CHOOSE_FOLDER " are unfinished: %s", c->n,
		text_str(&c->names));
	return err_hint(e, "name the run that is meant");
}

int choose_run(char **ret, const struct opts *o, enum choose_which which, struct err *e)
{
	struct candidates c = { .names = TEXT_INIT };

	if (o->n_args && opt_given(o, OPT_ID_RUN_DIR) &&
	    strcmp(o->args[0], opt_text(o, OPT_ID_RUN_DIR)) != 0 &&
	    o->values[OPT_ID_RUN_DIR].origin == OPT_FROM_LINE) {
		err_set(e, ERR_USAGE, "two runs are named: %s and --run-dir %s", opt_public(o->args[0]),
			opt_text(o, OPT_ID_RUN_DIR));
		return err_hint(e, "name one");
	}
	if (o->n_args)
		return choose_named(ret, o->args[0], e);
	if (opt_given(o, OPT_ID_RUN_DIR))
		return choose_named(ret, opt_text(o, OPT_ID_RUN_DIR), e);
	look(&c, which);
	int failed = pick(ret, &c, which, e);
	free(c.newest);
	text_done(&c.names);
	return failed;
}
