#include "verify/expected.h"

#include "schema/pattern.h"
#include "verify/finding.h"

#include <string.h>

static bool is_named(const struct table *t, const struct proof_table *told)
{
	return t && !strcmp(told->schema, t->schema) && !strcmp(told->name, t->name);
}

static const struct proof_table *find_told(const struct verification *v, const struct pair *p)
{
	for (int i = 0; i < v->settings->n_expected; i++)
		if (is_named(p->end[PG_TARGET], &v->settings->expected[i]))
			return &v->settings->expected[i];
	return NULL;
}

const struct proof_table *expected_of(const struct verification *v, const struct pair *p)
{
	const struct proof_table *t = find_told(v, p);

	return t && !t->untold ? t : NULL;
}

void expected_tell_untold(const struct verification *v, const struct pair *p)
{
	const struct proof_table *told = find_told(v, p);

	if (v->ends.plain[PG_SOURCE] || (told && !told->untold))
		return;
	if (told)
		finding_add(v->checks, "coverage", p->name, FINDING_UNKNOWN,
			    "the run added its rows to those that were there, of which its record "
			    "tells nothing, and there is no source: name it with --source");
	else if (v->settings->n_collections > 0)
		finding_add(v->checks, "coverage", p->name, FINDING_UNKNOWN,
			    "what the run read is not divided into collections, and there is no "
			    "source: name it with --source, or leave --collection out");
}

/* --- tables that are gone --- */

static int any_matches(const char *const *names, int n, const struct proof_table *told, bool *ret,
		       struct err *e)
{
	*ret = false;
	for (int i = 0; i < n && !*ret; i++) {
		struct pattern p;

		if (pattern_parse(&p, names[i], e))
			return -1;
		*ret = pattern_matches(&p, told->schema, told->name);
		pattern_done(&p);
	}
	return 0;
}

static int is_asked(const struct verification *v, const struct proof_table *told, bool *ret,
		    struct err *e)
{
	const struct catalog_filter *f = &v->settings->filter;
	bool named, excluded;

	if (any_matches(f->tables, f->n_tables, told, &named, e) ||
	    any_matches(f->excluded, f->n_excluded, told, &excluded, e))
		return -1;
	*ret = (named || f->n_tables == 0) && !excluded &&
	       (v->settings->n_collections == 0 || told->n_collections > 0);
	return 0;
}

/* Where only the source has it, its pair tells that it is missing. */
static bool is_paired(const struct verification *v, const struct proof_table *told)
{
	for (int i = 0; i < v->pairs.n; i++)
		if (is_named(v->pairs.pair[i].end[PG_SOURCE], told) ||
		    is_named(v->pairs.pair[i].end[PG_TARGET], told))
			return true;
	return false;
}

static int tell_missing(const struct verification *v, const struct proof_table *told, struct err *e)
{
	AUTO_TEXT struct text name = TEXT_INIT;

	text_addf(&name, "%s.%s", told->schema, told->name);
	if (text_check(&name, e))
		return -1;
	finding_add(v->checks, "schema", text_str(&name), FINDING_FAIL,
		    "table %s, which the run moved, is missing in the target", text_str(&name));
	if (verification_asked(v, VERIFY_COUNTS | VERIFY_DIGEST))
		json_array_append_new(
			v->tables,
			json_pack("{s:o, s:[o, n], s:[n, n], s:[i, i], s:s, s:[], s:s}", "name",
				  finding_string(text_str(&name)), "rows",
				  told->has_count ? json_integer((json_int_t)told->counted)
						  : json_null(),
				  "bytes", "ms", 0, 0, "method", "stream", "key", "verdict",
				  "missing"));
	return 0;
}

int expected_check_missing(const struct verification *v, struct err *e)
{
	for (int i = 0; i < v->settings->n_expected; i++) {
		const struct proof_table *told = &v->settings->expected[i];
		bool asked;

		if (is_paired(v, told))
			continue;
		if (is_asked(v, told, &asked, e) || (asked && tell_missing(v, told, e)))
			return -1;
	}
	return 0;
}
