#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/keep.h"
#include "cli/say.h"
#include "common/file.h"
#include "schema/backup.h"
#include "transfer/rundir.h"

#include <ctype.h>
#include <time.h>

/* "backup_chat_pgvector_20261121_101500.dump"; a database may have any name, a file may not. */
static void dated_name(struct text *t, const char *database)
{
	time_t now = time(NULL);
	struct tm tm;
	char date[32];

	text_add(t, "backup_");
	for (const char *s = database; *s; s++)
		text_addf(t, "%c", isalnum((unsigned char)*s) || *s == '-' ? *s : '_');
	strftime(date, sizeof(date), "_%Y%m%d_%H%M%S.dump", gmtime_r(&now, &tm));
	text_add(t, date);
}

static int back_up(const struct opts *o, struct stop *stop, json_t **ret, struct err *e)
{
	AUTO_ENDPOINTS struct endpoints ends = { 0 };
	AUTO_TEXT struct text name = TEXT_INIT;
	AUTO(free) char *record = NULL;
	const char *path = opt_text(o, OPT_ID_OUTPUT);

	if (endpoints_find(&ends, o, ENDPOINT_NEEDED, ENDPOINT_NONE, e) ||
	    keep_prepare(&record, o, RUNDIR_BACKUP, e))
		return -1;
	dated_name(&name, conn_dbname(ends.source));
	if (!path)
		path = text_str(&name);
	if (record && rundir_holds(opt_text(o, OPT_ID_RUN_DIR), path)) {
		err_set(e, ERR_USAGE, "%s is in the run folder, which `neonferry forget` removes", path);
		return err_hint(e, "name a file elsewhere with --output");
	}
	say_note("pg_dump writes %s, then pg_restore reads it; this takes as long as the database is large",
		 path);
	if (backup_make(ret, ends.source, path, stop, e))
		return -1;
	return record ? file_write_json(record, *ret, e) : 0;
}

int cmd_backup(const struct opts *o)
{
	struct err e = ERR_INIT;
	json_t *document = NULL;
	int failed = keep_make(back_up, o, &document, &e);

	if (document)
		keep_show("backup made, listed and read again:", document);
	json_decref(document);
	if (!failed)
		return EXIT_DONE;
	say_error(&e);
	return (int)exit_of_error(&e, e.kind == ERR_DISK);
}
