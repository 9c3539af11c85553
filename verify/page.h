/*
 * page - the frame of the HTML report and its tables of findings; panel.h has the pictures.
 */
#ifndef VERIFY_PAGE_H
#define VERIFY_PAGE_H

#include "common/text.h"

#include <jansson.h>

void page_render(struct text *t, const json_t *doc);

#endif
