/*
 * What a server, a proxy or libpq says about a connection, of any bytes: always an error with a
 * kind, one line, a code of five characters or none, and the rule that text and code meet.
 */
#include "fuzz.h"

#include "common/pgerr.h"

#include <ctype.h>
#include <string.h>

static char *said;

/* Stands before libpq's, so that any text can be the connection's. */
char *PQerrorMessage(const PGconn *conn)
{
	(void)conn;
	return said;
}

static void check(const struct err *e)
{
	MUST(e->kind != ERR_NONE && e->len == strlen(e->text) && e->len < sizeof(e->text));
	MUST(!strchr(e->text, '\n') && !strchr(e->text, '\r') && !strchr(e->text, '\t'));
	MUST(strlen(e->sqlstate) == 0 || strlen(e->sqlstate) == 5);
	for (const char *p = e->sqlstate; *p; p++)
		MUST(isupper((unsigned char)*p) || isdigit((unsigned char)*p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err e = ERR_INIT;

	said = malloc(len + 1);
	MUST(said);
	memcpy(said, data, len);
	said[len] = '\0';
	MUST(pgerr_set(&e, PG_TARGET, NULL, NULL, "connecting") == -1);
	check(&e);
	MUST(pgerr_find(said, said) && pgerr_find("XX000", said) && pgerr_find("", said));
	free(said);
	said = NULL;
	return 0;
}
