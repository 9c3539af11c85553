/*
 * audit - parts of the HTML report that an auditor reads first: exceptions, scope, control totals.
 * Each renders one part of the document, or nothing.
 */
#ifndef VERIFY_AUDIT_H
#define VERIFY_AUDIT_H

#include "common/text.h"

#include <jansson.h>

void audit_exceptions(struct text *t, const json_t *doc);
void audit_scope(struct text *t, const json_t *doc);
void audit_totals(struct text *t, const json_t *doc);

#endif
