#include "cli/command.h"
#include "cli/exit.h"
#include "cli/say.h"

#include <libpq-fe.h>

int cmd_version(UNUSED const struct opts *o)
{
	int libpq = PQlibVersion();
	json_t *all = json_pack("{s:s, s:i, s:s}", "neonferry", NEONFERRY_VERSION, "libpq", libpq,
				"jansson", jansson_version_str());

	say_out("neonferry %s\nlibpq %d.%d, jansson %s\n", NEONFERRY_VERSION, libpq / 10000,
		libpq % 10000, jansson_version_str());
	say_json(all, false);
	json_decref(all);
	return EXIT_DONE;
}
