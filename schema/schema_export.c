#include "schema/schema_export.h"

#include "common/clock.h"
#include "common/program.h"
#include "schema/archive.h"

#include <stdlib.h>
#include <string.h>

/* Lines of psql's own, outside of any statement: \restrict and \unrestrict with a random word. */
static bool is_left_out(const char *line)
{
	return strncmp(line, "\\restrict ", 10) == 0 || strncmp(line, "\\unrestrict ", 12) == 0;
}

static void copy_lines(struct text *ret, const char *s)
{
	while (*s) {
		size_t len = strcspn(s, "\n");
		len += s[len] == '\n';
		if (!is_left_out(s))
			text_addn(ret, s, len);
		s += len;
	}
}

static int run(struct text *ret, const struct conn *c, const char *pg_dump, struct stop *stop, struct err *e)
{
	const char *const argv[] = { pg_dump, "--schema-only", "--no-password", "--no-owner",
				     "--no-tablespaces", "--encoding=UTF8", ARCHIVE_LOCK_WAIT_ARG, "--exclude-schema=neonferry",
				     "--exclude-schema=neon", "--exclude-schema=neon_migration", NULL };
	char **env = NULL;

	if (conn_env(c, &env, e))
		return -1;
	struct program p = { .argv = argv, .env = env, .blame = ERR_TARGET, .stop = stop };
	uint64_t began = clock_ms();
	int failed = program_run(&p, ret, e);
	if (failed)
		archive_explain_lock(began, e);
	conn_free_env(env);
	return failed;
}

int schema_export(struct text *ret, const struct conn *c, int version, struct stop *stop, struct err *e)
{
	AUTO(free) char *pg_dump = NULL;
	AUTO(free) char *pg_restore = NULL;
	AUTO_TEXT struct text raw = TEXT_INIT;

	if (archive_find_tools(version / 10000, &pg_dump, &pg_restore, e) || run(&raw, c, pg_dump, stop, e))
		return err_note(e, "exporting the schema");
	copy_lines(ret, text_str(&raw));
	return text_check(ret, e);
}
