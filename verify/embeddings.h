/*
 * embeddings - the part of the HTML report about vectors: how many, of which lengths.
 */
#ifndef VERIFY_EMBEDDINGS_H
#define VERIFY_EMBEDDINGS_H

#include "common/text.h"

#include <jansson.h>

void embeddings_render(struct text *t, const json_t *doc);

#endif
