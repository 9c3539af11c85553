/*
 * appendix - the end of the HTML report: identity, method and statistics, how to repeat it, the
 * evidence and a place to sign.
 */
#ifndef VERIFY_APPENDIX_H
#define VERIFY_APPENDIX_H

#include "common/text.h"

#include <jansson.h>

void appendix_render(struct text *t, const json_t *doc);

#endif
