#include "cli/tell.h"

#include "cli/say.h"
#include "schema/notify.h"

void tell_post(const struct opts *o, const char *sentence)
{
	const char *url = opt_text(o, OPT_ID_NOTIFY);
	struct err failed = ERR_INIT;

	if (url && notify_post(url, sentence, &failed))
		say_warning("%s", failed.text);
}
