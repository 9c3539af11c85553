/*
 * checklist - the cut-over checklists people keep by hand, each line with the evidence of this
 * report.
 */
#ifndef VERIFY_CHECKLIST_H
#define VERIFY_CHECKLIST_H

#include <jansson.h>

/*
 * Array of {list, item, done, evidence, at}: done is "yes", "no", or "open" where this report
 * cannot tell. New reference.
 */
json_t *checklist_make(const json_t *doc);

#endif
