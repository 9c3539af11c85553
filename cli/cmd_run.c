#include "cli/command.h"
#include "cli/move.h"

int cmd_run(const struct opts *o)
{
	return move(o, MOVE_RUN);
}
