#include "verify/collections.h"

#include "common/text.h"
#include "verify/expected.h"
#include "verify/finding.h"

#include <string.h>

int collections_check_asked(const struct verification *v, struct err *e)
{
	if (v->settings->n_collections == 0)
		return 0;
	for (int i = 0; i < v->pairs.n; i++)
		if (v->pairs.pair[i].collection_column)
			return 0;
	err_set(e, ERR_USAGE, "no table that is compared is divided into collections");
	return err_hint(
		e, "collections are the values of the column collection_name, or of another one: "
		   "--collection-column TABLE=COLUMN");
}

static bool is_among(const struct proof_collection *c, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (c[i].name && !strcmp(c[i].name, name))
			return true;
	return false;
}

/* Also where it is not known: a table that could not be read has a finding of its own. */
static bool may_be_in(const struct verification *v, int i, const char *name)
{
	const struct content *c = &v->content[i];
	const struct proof_table *t = expected_of(v, c->pair);

	if (!c->pair->collection_column)
		return false;
	for (int role = 0; role < 2; role++)
		if (c->end[role].why[0] ||
		    is_among(c->end[role].collections, c->end[role].n_collections, name))
			return true;
	return t && is_among(t->collections, t->n_collections, name);
}

static void add_columns(struct text *t, const struct pairs *pairs)
{
	for (int i = 0; i < pairs->n; i++)
		if (pairs->pair[i].collection_column)
			text_addf(t, "%s%s.%s", t->len > 0 ? ", " : "", pairs->pair[i].name,
				  pairs->pair[i].collection_column);
}

int collections_check_found(const struct verification *v, struct err *e)
{
	AUTO_TEXT struct text columns = TEXT_INIT;

	if (v->settings->n_collections == 0 || v->settings->proven)
		return 0;
	add_columns(&columns, &v->pairs);
	if (text_check(&columns, e))
		return -1;
	for (int i = 0; i < v->settings->n_collections; i++) {
		const char *name = v->settings->collections[i];
		bool found = false;

		for (int j = 0; j < v->pairs.n && !found; j++)
			found = may_be_in(v, j, name);
		if (!found)
			finding_add(v->checks, "coverage", name, FINDING_UNKNOWN,
				    "no row of either end is of the collection %s: nothing was "
				    "compared; collections are the values of %.300s",
				    name, text_str(&columns));
	}
	return 0;
}
