#include "transfer/chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int chunk_copy(struct chunk **ret, const struct chunk *from, struct err *e)
{
	AUTO(chunk) struct chunk *c = malloc(sizeof(*c));

	if (!c)
		return err_nomem(e);
	*c = *from;
	c->data = NULL;
	c->len = c->cap = 0;
	c->budget = NULL;
	c->charged = 0;
	c->shelf = NULL;
	c->n_parts = 0;
	c->parts = NULL;
	if (from->n_parts > 0)
		c->parts = calloc((size_t)from->n_parts, sizeof(*c->parts));
	if (from->n_parts > 0 && !c->parts)
		return err_nomem(e);
	for (int i = 0; i < from->n_parts; i++) {
		const char *name = from->parts[i].collection;

		c->parts[i].tally = from->parts[i].tally;
		c->parts[i].collection = name ? strdup(name) : NULL;
		c->n_parts++;
		if (name && !c->parts[i].collection)
			return err_nomem(e);
	}
	*ret = GIVE(&c);
	return 0;
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
