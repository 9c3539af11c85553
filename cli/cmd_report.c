/*
 * report - renders a verification's report again, from the document it left.
 */
#include "cli/choose.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "cli/say.h"
#include "cli/verdict.h"
#include "common/file.h"
#include "verify/report.h"
#include "verify/reread.h"

#include <stdlib.h>
#include <string.h>

/* RUN is a folder that holds report.json itself, or a run whose folder has it in report/. */
static int find_document(char **ret_dir, const char *word, struct err *e)
{
	AUTO(free) char *own = file_path(word, "report.json");
	AUTO(free) char *run = NULL;

	if (!own)
		return err_nomem(e);
	if (file_exists(own)) {
		*ret_dir = strdup(word);
		return *ret_dir ? 0 : err_nomem(e);
	}
	if (choose_named(&run, word, e)) {
		err_set(e, ERR_USAGE, "there is no report in %s: no report.json, and it is no run",
			opt_public(word));
		return err_hint(e,
				"name a folder that `neonferry verify --report` wrote, or a run");
	}
	*ret_dir = file_path(run, "report");
	return *ret_dir ? 0 : err_nomem(e);
}

static int render(const struct opts *o, json_t **ret, char **ret_out, struct err *e)
{
	const char *to = opt_text(o, OPT_ID_REPORT);
	AUTO(free) char *dir = NULL;
	AUTO(free) char *rows = NULL;
	AUTO(free) char *repaired = NULL;

	if (o->n_args == 0) {
		err_set(e, ERR_USAGE, "which report? no folder is named");
		return err_hint(e,
				"name a folder that `neonferry verify --report` wrote, or a run");
	}
	if (find_document(&dir, o->args[0], e))
		return -1;
	rows = file_path(dir, "differences.ndjson");
	repaired = file_path(dir, "repaired.ndjson");
	*ret_out = strdup(to ? to : dir);
	if (!rows || !repaired || !*ret_out)
		return err_nomem(e);
	if (reread_document(dir, ret, e))
		return -1;
	return report_write(*ret_out, *ret, rows, repaired, e);
}

int cmd_report(const struct opts *o)
{
	AUTO(free) char *out = NULL;
	struct err e = ERR_INIT;
	json_t *doc = NULL;
	int failed = render(o, &doc, &out, &e);

	if (failed) {
		say_error(&e);
	} else {
		verdict_print(doc);
		say_out("Report: %s/report.html\n", out);
		say_json(doc, false);
	}
	json_decref(doc);
	return failed ? (int)exit_of_error(&e, false) : EXIT_DONE;
}
