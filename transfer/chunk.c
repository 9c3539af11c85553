#include "transfer/chunk.h"

#include <stdio.h>
#include <stdlib.h>

int chunk_new(struct chunk **ret, struct err *e)
{
	struct chunk *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	*ret = c;
	return 0;
}

void chunk_free(struct chunk *c)
{
	if (!c)
		return;
	chunk_drop_data(c);
	for (int i = 0; i < c->n_parts; i++)
		free(c->parts[i].collection);
	free(c->parts);
	free(c);
}

void chunk_drop_data(struct chunk *c)
{
	if (c->data)
		c->raw_bytes = c->len;
	if (c->data && c->shelf)
		shelf_give(c->shelf, c->data);
	else
		free(c->data);
	c->shelf = NULL;
	c->data = NULL;
	c->len = c->cap = 0;
	if (c->budget && c->charged)
		budget_give(c->budget, c->charged);
	c->charged = 0;
}

void chunk_id(const struct chunk *c, char buf[CHUNK_ID_LEN])
{
	snprintf(buf, CHUNK_ID_LEN, "%d.%d.%d.%d.%u.%u", c->plan, c->table, c->range, c->route,
		 chunk_block(c->from), (unsigned)chunk_offset(c->from));
}
