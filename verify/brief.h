/*
 * brief - the first screen of the HTML report: the verdict, and in seven lines what was moved, by
 * whom, when, from which snapshot, what was left out, and how it is proven. Each line links to its
 * evidence.
 */
#ifndef VERIFY_BRIEF_H
#define VERIFY_BRIEF_H

#include "common/text.h"

#include <jansson.h>

void brief_render(struct text *t, const json_t *doc);

/* "2026-01-31 12:00:05 UTC" of "2026-01-31T12:00:05.123Z"; nothing of "". */
void brief_time(struct text *t, const char *iso);

#endif
