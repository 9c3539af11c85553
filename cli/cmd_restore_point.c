#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/keep.h"
#include "cli/say.h"
#include "common/file.h"
#include "schema/restore_point.h"
#include "transfer/rundir.h"

static int take(const struct opts *o, struct stop *stop, json_t **ret, struct err *e)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	AUTO(free) char *record = NULL;
	AUTO(pg) struct pg *pg = NULL;

	if (endpoints_find(&ends, o, ENDPOINT_NONE, ENDPOINT_NEEDED, e) ||
	    keep_prepare(&record, o, RUNDIR_RESTORE_POINT, e) ||
	    pg_open(&pg, ends.target, "restore-point", stop, e) ||
	    restore_point_read(ret, pg, ends.target, e))
		return -1;
	if (restore_point_may_branch(*ret) && restore_point_branch(*ret, stop, e))
		return -1;
	return record ? file_write_json(record, *ret, e) : 0;
}

int cmd_restore_point(const struct opts *o)
{
	struct err e = ERR_INIT;
	json_t *document = NULL;
	int failed = keep_make(take, o, &document, &e);

	if (document)
		keep_show(failed ? "only the position is known:" : "restore point:", document);
	if (document && json_object_get(document, "go_back"))
		say_note("note: going back sets every database of the branch back, and removes replication slots");
	json_decref(document);
	if (!failed)
		return EXIT_DONE;
	say_error(&e);
	return (int)exit_of_error(&e, false);
}
