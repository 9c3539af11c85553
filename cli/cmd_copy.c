#include "cli/command.h"
#include "cli/move.h"

int cmd_copy(const struct opts *o)
{
	return move(o, MOVE_COPY);
}
