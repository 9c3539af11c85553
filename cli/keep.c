#include "cli/keep.h"

#include "cli/say.h"
#include "cli/signals.h"
#include "cli/show.h"
#include "common/file.h"
#include "transfer/rundir.h"

int keep_prepare(char **ret, const struct opts *o, const char *name, struct err *e)
{
	const char *dir = opt_text(o, OPT_ID_RUN_DIR);

	*ret = NULL;
	if (!dir)
		return 0;
	if (rundir_prepare(dir, e))
		return -1;
	AUTO(free) char *path = file_path(dir, name);
	if (!path)
		return err_nomem(e);
	if (file_exists(path)) {
		err_set(e, ERR_USAGE, "%s is there already", path);
		return err_hint(e, "a run keeps its first one; leave out --run-dir, or name another folder");
	}
	*ret = GIVE(&path);
	return 0;
}

int keep_make(keep_work *work, const struct opts *o, json_t **ret, struct err *e)
{
	struct stop stop;

	if (stop_init(&stop, e))
		return -1;
	signals_aim(&stop, NULL);
	int failed = work(o, &stop, ret, e);
	signals_aim(NULL, NULL);
	stop_done(&stop);
	return failed;
}

void keep_show(const char *title, const json_t *document)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	AUTO_TEXT struct text clean = TEXT_INIT;

	say_json(document, false);
	text_addf(&t, "%s\n", title);
	if (!say_is_quiet())
		show_value(&t, document, 2);
	say_add_clean(&clean, text_str(&t));
	say_out("%s", text_str(&clean));
}
