#include "cli/exit.h"

#include <string.h>

const struct exit_row exit_table[EXIT_N] = {
	[EXIT_DONE] = { "Everything asked for is done and proven.", "Nothing." },
	[EXIT_INTERNAL] = { "Internal error: a mistake in the program, or no memory.",
			    "Report it with the run's events.jsonl. `neonferry resume` is safe." },
	[EXIT_USAGE] = { "The command line or a setting is wrong.",
			 "Read the message; `neonferry COMMAND --help` lists the options." },
	[EXIT_REFUSED] = { "Cannot connect, or refused before anything was written.",
			   "Mend what the message names, then give the same command again." },
	[EXIT_STOPPED] = { "Stopped: by the user, or because a server stayed away.",
			   "`neonferry resume` finishes the run." },
	[EXIT_ACT] = { "Stopped: something must be done first (quota, disk, rights, data).",
		       "Do what the message says, then `neonferry resume`." },
	[EXIT_RESUME] = { "The resume was refused: it cannot be done as asked.",
			  "The message says why. Nothing was changed." },
	[EXIT_DIFFERENT] = { "Verification found differences.",
			     "Do not switch over. `neonferry verify --report DIR` names what "
			     "differs, `neonferry verify --repair` mends rows; or `neonferry "
			     "abort`." },
	[EXIT_UNPROVEN] = { "Something could not be verified.",
			    "Nothing is known to be wrong. Mend what the summary names, then "
			    "`neonferry verify`." },
};

void exit_add_next(struct text *t, enum exit_status status, const char *dir)
{
	static const char resume[] = "neonferry resume";
	const char *next = exit_table[status].next, *at = dir ? strstr(next, resume) : NULL;

	if (at)
		text_addf(t, "%.*s%s %s%s", (int)(at - next), next, resume, dir,
			  at + sizeof(resume) - 1);
	else
		text_add(t, next);
}

/* After something was written: can a resume finish without the user doing anything? */
static enum exit_status after_writing(const struct err *e)
{
	switch (e->kind) {
	case ERR_NETWORK:
	case ERR_SOURCE:
	case ERR_TARGET:
	case ERR_QUOTA:
		return e->next == ERR_GIVE_UP ? EXIT_ACT : EXIT_STOPPED;
	default:
		return EXIT_ACT; /* data, disk, a precondition */
	}
}

enum exit_status exit_of_error(const struct err *e, bool written)
{
	switch (e->kind) {
	case ERR_NONE:
	case ERR_INTERNAL:
		return EXIT_INTERNAL;
	case ERR_USAGE:
		return EXIT_USAGE;
	case ERR_RESUME:
		return EXIT_RESUME;
	case ERR_STOPPED:
		return EXIT_STOPPED;
	default:
		return written ? after_writing(e) : EXIT_REFUSED;
	}
}

enum exit_status exit_of_proof(int n_different, int n_unproven)
{
	if (n_different > 0)
		return EXIT_DIFFERENT;
	return n_unproven > 0 ? EXIT_UNPROVEN : EXIT_DONE;
}
