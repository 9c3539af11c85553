/*
 * room - the parts of the HTML report about space, connections, and the run that moved the rows.
 */
#ifndef VERIFY_ROOM_H
#define VERIFY_ROOM_H

#include "common/text.h"

#include <jansson.h>

void room_resources(struct text *t, const json_t *doc);
void room_transfer(struct text *t, const json_t *doc);

#endif
