/*
 * A connection string of any bytes: refused with an error, or an end whose public string is a
 * connection string too, to the same place, without a password; and what is direct is not pooled.
 */
#include "fuzz.h"

#include "common/conn.h"

#include <string.h>

static const char *option(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val ? options->val : "";
	return "";
}

static void check_public(const struct conn *c)
{
	AUTO(free) char *public = conn_public_string(c);
	char *why = NULL;

	MUST(public);
	PQconninfoOption *options = PQconninfoParse(public, &why);
	MUST(options);
	MUST(option(options, "password")[0] == '\0' && option(options, "sslpassword")[0] == '\0');
	PQconninfoFree(options);
}

static void check_direct(struct conn **c)
{
	struct err e = ERR_INIT;

	if (conn_unpool(c, &e))
		MUST(e.len > 0);
	else
		MUST(!conn_is_pooled(*c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(conn) struct conn *c = NULL;
	AUTO(free) char *uri = malloc(len + 1);
	struct err e = ERR_INIT;

	MUST(uri);
	memcpy(uri, data, len);
	uri[len] = '\0';
	if (strstr(uri, "service") || strstr(uri, "passfile")) /* these read files of the machine */
		return 0;
	if (conn_parse(&c, PG_TARGET, uri, &e)) {
		MUST(!c && e.len > 0 && e.kind != ERR_NONE);
		return 0;
	}
	MUST(conn_label(c) && conn_host(c) && conn_dbname(c));
	check_public(c);
	check_direct(&c);
	return 0;
}
