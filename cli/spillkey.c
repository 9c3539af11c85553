#include "cli/spillkey.h"

#include <stdlib.h>
#include <string.h>

/* Longer than any key, so that a longer text is still refused for its length. */
static char taken[128];
static bool given;

void spillkey_take(void)
{
	char *value = getenv(SPILLKEY_VARIABLE);

	if (!value)
		return;
	given = true;
	strncpy(taken, value, sizeof(taken) - 1);
	explicit_bzero(value, strlen(value));
	unsetenv(SPILLKEY_VARIABLE);
}

int spillkey_parse(struct seal_key **ret, struct err *e)
{
	int failed;

	*ret = NULL;
	if (!given)
		return 0;
	failed = seal_key_parse(ret, taken, e);
	explicit_bzero(taken, sizeof(taken));
	given = false;
	return failed ? err_note(e, "reading " SPILLKEY_VARIABLE) : 0;
}
