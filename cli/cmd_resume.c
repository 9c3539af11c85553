#include "cli/command.h"
#include "cli/move.h"

int cmd_resume(const struct opts *o)
{
	return move(o, MOVE_RESUME);
}
