#include "schema/fit.h"

#include <string.h>

/* Whom a comparison is about; passed down so that the checks stay short. */
struct pair {
	struct comparison *ret;
	const struct catalog *source, *target;
	const struct table *from, *to;
	const struct fit_options *options;
	struct err *e;
};

/* --- collecting --- */

const char *difference_severity_name(enum difference_severity severity)
{
	static const char *const names[] = { "note", "warning", "error" };
	return names[severity];
}

void comparison_done(struct comparison *c)
{
	for (int i = 0; i < c->n; i++) {
		free(c->list[i].object);
		free(c->list[i].text);
		free(c->list[i].hint);
	}
	free(c->list);
	*c = COMPARISON_INIT;
}

static int reserve(struct comparison *c, struct err *e)
{
	if (c->n < c->capacity)
		return 0;
	int capacity = c->capacity ? c->capacity * 2 : 16;
	struct difference *list = realloc(c->list, (size_t)capacity * sizeof(*list));
	if (!list)
		return err_nomem(e);
	c->list = list;
	c->capacity = capacity;
	return 0;
}

/* Adds a difference; hint may be "". Takes the object's text over. */
static int add(struct comparison *c, struct err *e, enum difference_severity severity,
	       struct text object, const char *hint, const char *fmt, ...) PRINTF_LIKE(6, 7);

static int add(struct comparison *c, struct err *e, enum difference_severity severity,
	       struct text object, const char *hint, const char *fmt, ...)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	struct difference d = { .severity = severity };
	va_list ap;

	va_start(ap, fmt);
	text_addv(&text, fmt, ap);
	va_end(ap);
	d.object = text_take(&object, e);
	d.text = text_take(&text, e);
	d.hint = *hint ? strdup(hint) : NULL;
	if (!d.object || !d.text || (*hint && !d.hint) || reserve(c, e) != 0) {
		free(d.object);
		free(d.text);
		free(d.hint);
		return err_nomem(e);
	}
	c->list[c->n++] = d;
	c->n_errors += severity == DIFFERENCE_ERROR;
	c->n_warnings += severity == DIFFERENCE_WARNING;
	return 0;
}

static struct text about_table(const struct table *t)
{
	struct text object = TEXT_INIT;
	text_addf(&object, "table %s.%s", t->schema, t->name);
	return object;
}

static struct text about_column(const struct table *t, const struct column *column)
{
	struct text object = TEXT_INIT;
	text_addf(&object, "column %s.%s.%s", t->schema, t->name, column->name);
	return object;
}

static struct text about(const char *sort, const char *name)
{
	struct text object = TEXT_INIT;
	text_addf(&object, "%s %s", sort, name);
	return object;
}

#define ADD_TABLE(p, severity, hint, ...)                                                          \
	add((p)->ret, (p)->e, severity, about_table((p)->from), hint, __VA_ARGS__)
#define ADD_COLUMN(p, severity, column, hint, ...)                                                 \
	add((p)->ret, (p)->e, severity, about_column((p)->from, column), hint, __VA_ARGS__)

/* --- types --- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/*
 * The type's text without the schema that its extension stands in: that schema may differ. Types
 * of users keep theirs.
 */
static const char *portable_type(const struct catalog *c, const struct column *column)
{
	const struct extension *x =
		column->extension ? catalog_extension(c, column->extension) : NULL;
	AUTO_TEXT struct text quoted = TEXT_INIT;
	size_t len = x && x->schema ? strlen(x->schema) : 0;

	if (len == 0)
		return column->type;
	if (strncmp(column->type, x->schema, len) == 0 && column->type[len] == '.')
		return column->type + len + 1;
	text_add_ident(&quoted, x->schema);
	if (strncmp(column->type, text_str(&quoted), quoted.len) == 0 &&
	    column->type[quoted.len] == '.')
		return column->type + quoted.len + 1;
	return column->type;
}

/* Length of a type's text without its modifier, which stands in parentheses. */
static size_t name_len(const char *type)
{
	return strcspn(type, "(");
}

static bool same_name(const char *a_type, const char *b_type)
{
	size_t len = name_len(a_type);
	return len == name_len(b_type) && strncmp(a_type, b_type, len) == 0;
}

/* varchar(9) and varchar, vector(3) and vector: whatever the first holds fits the second. */
static bool is_same_but_unlimited(const struct column *a, const char *a_type,
				  const struct column *b, const char *b_type)
{
	return a->typmod >= 0 && b->typmod < 0 &&
	       (same_name(a_type, b_type) ||
		(a->digest.mode == DIGEST_SELF && a->type_oid == b->type_oid));
}

static bool same_rules(const struct digest_column *a, const struct digest_column *b)
{
	return a->mode == b->mode && a->type_oid == b->type_oid;
}

static int compare_dimension(struct pair *p, const struct column *a, const struct column *b)
{
	AUTO_TEXT struct text hint = TEXT_INIT;

	if (a->typmod < 0)
		return ADD_COLUMN(p, DIFFERENCE_WARNING, a,
				  "rows of another dimension will be refused by the target",
				  "vectors of any dimension on the source, of %d on the target",
				  (int)b->typmod);
	text_addf(&hint, "ALTER TABLE %s ALTER COLUMN ", p->to->qname);
	text_add_ident(&hint, b->name);
	text_addf(&hint, " TYPE %s on the target, if it is empty", portable_type(p->source, a));
	return ADD_COLUMN(p, DIFFERENCE_ERROR, a, text_str(&hint),
			  "vector dimension mismatch: %d on the source, %d on the target",
			  (int)a->typmod, (int)b->typmod);
}

/* A vector that becomes halfvec on the way (halfvec.h). */
static int compare_converted(struct pair *p, const struct column *a, const struct column *b)
{
	const char *b_type = portable_type(p->target, b);

	if (!same_name("halfvec", b_type))
		return ADD_COLUMN(
			p, DIFFERENCE_ERROR, a,
			"make the column a halfvec on the target, or go without --halfvec",
			"it becomes halfvec on the way, and is %s on the target", b->type);
	if (a->typmod == b->typmod || b->typmod < 0)
		return 0;
	if (a->typmod < 0)
		return compare_dimension(p, a, b);
	return ADD_COLUMN(p, DIFFERENCE_ERROR, a, "make the dimensions alike on both sides",
			  "vector dimension mismatch: %d on the source, %d on the target",
			  (int)a->typmod, (int)b->typmod);
}

static int compare_type(struct pair *p, const struct column *a, const struct column *b)
{
	const char *a_type = portable_type(p->source, a), *b_type = portable_type(p->target, b);

	if (a->digest.cast_fmt)
		return compare_converted(p, a, b);
	if (strcmp(a_type, b_type) == 0) {
		if (same_rules(&a->digest, &b->digest))
			return 0;
		return ADD_COLUMN(p, DIFFERENCE_ERROR, a, "make the type alike on both sides",
				  "type %s is made differently on source and target", a_type);
	}
	if (is_same_but_unlimited(a, a_type, b, b_type))
		return ADD_COLUMN(p, DIFFERENCE_WARNING, a, "",
				  "%s on the source, %s on the target", a->type, b->type);
	if (a->is_vector_like && b->is_vector_like && b->typmod >= 0 && same_name(a_type, b_type))
		return compare_dimension(p, a, b);
	return ADD_COLUMN(p, DIFFERENCE_ERROR, a,
			  a->is_vector && strncmp(b_type, "halfvec", 7) == 0
				  ? "give --halfvec TABLE.COLUMN to convert it on the way, or make "
				    "it a vector on the target"
				  : "change the column's type on one side, or leave the table out",
			  "type %s on the source, %s on the target", a->type, b->type);
}

/* --- columns --- */

static int compare_missing(struct pair *p, const struct column *a)
{
	AUTO_TEXT struct text hint = TEXT_INIT;

	text_addf(&hint, "ALTER TABLE %s ADD COLUMN ", p->to->qname);
	text_add_ident(&hint, a->name);
	text_addf(&hint, " %s on the target", portable_type(p->source, a));
	return ADD_COLUMN(p, a->generated ? DIFFERENCE_WARNING : DIFFERENCE_ERROR, a,
			  text_str(&hint), "%s is missing on the target",
			  a->generated ? "generated column" : "column");
}

static int compare_column(struct pair *p, const struct column *a)
{
	const struct column *b = table_column(p->to, a->name);

	if (!b)
		return compare_missing(p, a);
	if (!a->generated != !b->generated)
		return ADD_COLUMN(p, DIFFERENCE_ERROR, a,
				  "make the column generated on both sides, or on neither",
				  "generated on the %s only", a->generated ? "source" : "target");
	if (compare_type(p, a, b) != 0)
		return -1;
	if (b->not_null && !a->not_null && !a->generated &&
	    ADD_COLUMN(p, DIFFERENCE_WARNING, a,
		       "if the source has rows with NULL there, the load will stop at them",
		       "NOT NULL on the target, but not on the source") != 0)
		return -1;
	if (!same_text(a->collation, b->collation))
		return ADD_COLUMN(p, DIFFERENCE_NOTE, a, "",
				  "collation %s on the source, %s on the target",
				  a->collation ? a->collation : "the default",
				  b->collation ? b->collation : "the default");
	return 0;
}

static int compare_extra(struct pair *p, const struct column *b)
{
	bool fills_itself = !b->not_null || b->default_expr || b->identity || b->generated;

	if (table_column(p->from, b->name))
		return 0;
	if (fills_itself)
		return ADD_COLUMN(p, DIFFERENCE_WARNING, b, "",
				  "exists only on the target, and is left to its default");
	return ADD_COLUMN(p, DIFFERENCE_ERROR, b,
			  "give the column a default on the target, or drop it there",
			  "exists only on the target, is NOT NULL and has no default");
}

/* --- tables --- */

static const char *kind_name(const struct table *t)
{
	switch (t->kind) {
	case 'p':
		return "a partitioned table";
	case 'm':
		return "a materialized view";
	case 'f':
		return "a foreign table";
	case 'v':
		return "a view";
	default:
		return "a table";
	}
}

static int compare_kind(struct pair *p)
{
	if (p->from->kind == p->to->kind)
		return 0;
	bool loads = (p->to->kind == 'r' || p->to->kind == 'p') && p->from->kind != 'v';
	return ADD_TABLE(p, loads ? DIFFERENCE_WARNING : DIFFERENCE_ERROR,
			 loads ? "" : "rename or drop it on the target, or leave the table out",
			 "%s on the source, %s on the target", kind_name(p->from),
			 kind_name(p->to));
}

/* May our role read all rows there, and write here? */
static int compare_rights(struct pair *p)
{
	if (!p->from->can_select &&
	    ADD_TABLE(p, DIFFERENCE_ERROR, "grant SELECT on the table and USAGE on its schema",
		      "our role may not read it on the source") != 0)
		return -1;
	if (p->from->rls_blocks_us &&
	    ADD_TABLE(p, DIFFERENCE_ERROR,
		      "connect as the owner (without FORCE ROW LEVEL SECURITY) or as a role "
		      "with BYPASSRLS",
		      "row-level security hides rows from our role on the source") != 0)
		return -1;
	if (!p->to->can_insert &&
	    ADD_TABLE(p, DIFFERENCE_ERROR, "grant INSERT on the table and USAGE on its schema",
		      "our role may not write to it on the target") != 0)
		return -1;
	if (p->to->rls_blocks_us &&
	    ADD_TABLE(p, DIFFERENCE_ERROR,
		      "ALTER TABLE ... NO FORCE ROW LEVEL SECURITY during the load, or connect "
		      "as a role with BYPASSRLS",
		      "row-level security applies to our role on the target") != 0)
		return -1;
	return 0;
}

static int compare_persistence(struct pair *p)
{
	if (p->to->persistence != 'u')
		return 0;
	return ADD_TABLE(p, p->options->allow_unlogged ? DIFFERENCE_WARNING : DIFFERENCE_ERROR,
			 "ALTER TABLE ... SET LOGGED on the target, or --allow-unlogged",
			 "unlogged on the target: a restart of the server empties it");
}

static int compare_pair(struct pair *p)
{
	if (compare_kind(p) != 0 || compare_rights(p) != 0 || compare_persistence(p) != 0)
		return -1;
	for (int i = 0; i < p->from->n_columns; i++)
		if (compare_column(p, &p->from->columns[i]) != 0)
			return -1;
	for (int i = 0; i < p->to->n_columns; i++)
		if (compare_extra(p, &p->to->columns[i]) != 0)
			return -1;
	return 0;
}

int fit_tables(struct comparison *ret, const struct catalog *source, const struct table *from,
	       const struct catalog *target, const struct table *to,
	       const struct fit_options *options, struct err *e)
{
	struct pair p = { ret, source, target, from, to, options, e };
	return compare_pair(&p);
}

/* --- extensions --- */

/* Compares the first `parts` numbers of two versions like 0.8.0. */
static int compare_versions(const char *a, const char *b, int parts)
{
	for (int i = 0; i < parts; i++) {
		char *a_end, *b_end;
		unsigned long x = strtoul(a, &a_end, 10), y = strtoul(b, &b_end, 10);
		if (x != y)
			return x < y ? -1 : 1;
		a = *a_end == '.' ? a_end + 1 : "";
		b = *b_end == '.' ? b_end + 1 : "";
	}
	return 0;
}

/* The oldest pgvector that has what the source's tables use; *ret_column says which. */
static const char *vector_needed(const struct catalog *c, const char **ret_type)
{
	const char *needed = "0.5.0";

	*ret_type = "vector";
	for (int i = 0; i < c->n_tables; i++)
		for (int k = 0; k < c->tables[i].n_columns; k++)
			if (c->tables[i].columns[k].is_vector_like &&
			    !c->tables[i].columns[k].is_vector) {
				*ret_type = portable_type(c, &c->tables[i].columns[k]);
				return "0.7.0";
			}
	return needed;
}

static int compare_version(struct comparison *ret, const struct catalog *source,
			   const struct extension *a, const char *b, struct err *e)
{
	AUTO_TEXT struct text hint = TEXT_INIT;
	const char *type;

	text_addf(&hint, "ALTER EXTENSION %s UPDATE on the target", a->name);
	if (strcmp(a->name, "vector") == 0) {
		const char *needed = vector_needed(source, &type);
		if (compare_versions(b, needed, 3) < 0)
			return add(ret, e, DIFFERENCE_ERROR, about("extension", a->name),
				   text_str(&hint),
				   "version %s on the target is too old: %s needs at least %s", b,
				   type, needed);
	}
	if (compare_versions(b, a->version, 2) < 0)
		return add(ret, e, DIFFERENCE_WARNING, about("extension", a->name), text_str(&hint),
			   "version %s on the source, only %s on the target", a->version, b);
	return 0;
}

static bool is_used(const struct catalog *c, const char *extension)
{
	for (int i = 0; i < c->n_tables; i++)
		for (int k = 0; k < c->tables[i].n_columns; k++) {
			const char *x = c->tables[i].columns[k].extension;
			if (x && strcmp(x, extension) == 0)
				return true;
		}
	return false;
}

static const struct extension *find_available(const struct catalog *c, const char *name)
{
	for (int i = 0; i < c->n_available; i++)
		if (strcmp(c->available[i].name, name) == 0)
			return &c->available[i];
	return NULL;
}

/*
 * Not installed on the target. An extension that no column needs may still be needed by an index
 * or a function, which the schema phase will say: here it is only a warning.
 */
static int compare_absent(struct comparison *ret, const struct catalog *source,
			  const struct catalog *target, const struct extension *a,
			  const struct fit_options *options, struct err *e)
{
	const struct extension *available = find_available(target, a->name);
	enum difference_severity severity =
		is_used(source, a->name) ? DIFFERENCE_ERROR : DIFFERENCE_WARNING;
	AUTO_TEXT struct text hint = TEXT_INIT;

	if (!available)
		return add(ret, e, severity, about("extension", a->name),
			   "install it on the target's server, or leave out what needs it",
			   "missing on the target, whose server does not offer it");
	text_addf(&hint, "CREATE EXTENSION %s on the target", a->name);
	if (options->data_only)
		return add(ret, e, severity, about("extension", a->name), text_str(&hint),
			   "missing on the target");
	return compare_version(ret, source, a, available->version, e);
}

int fit_extensions(struct comparison *ret, const struct catalog *source,
		   const struct catalog *target, const struct fit_options *options, struct err *e)
{
	for (int i = 0; i < source->n_extensions; i++) {
		const struct extension *a = &source->extensions[i];
		const struct extension *b = catalog_extension(target, a->name);
		if ((b ? compare_version(ret, source, a, b->version, e)
		       : compare_absent(ret, source, target, a, options, e)) != 0)
			return -1;
	}
	return 0;
}

/* --- all --- */

int fit_databases(struct comparison *ret, const struct catalog *source,
		  const struct catalog *target, struct err *e)
{
	if (strcmp(target->encoding, "UTF8") != 0)
		return add(ret, e, DIFFERENCE_ERROR, about("database", target->database),
			   "create the target database with ENCODING 'UTF8'",
			   "encoding %s on the target: only UTF8 holds every text of the source",
			   target->encoding);
	if (strcmp(source->encoding, "SQL_ASCII") == 0)
		return add(ret, e, DIFFERENCE_WARNING, about("database", target->database),
			   "texts that are not valid UTF-8 will be refused by the target, by row",
			   "encoding SQL_ASCII on the source: texts of any encoding");
	return 0;
}

/* --- binary or text --- */

/* Extensions whose types have had one binary format in all versions that have one. */
static bool has_stable_format(const char *extension)
{
	static const char *const names[] = { "vector", "citext", "hstore", "ltree", "cube", "lo" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], extension) == 0)
			return true;
	return false;
}

static bool same_version(const struct catalog *source, const struct catalog *target,
			 const char *extension)
{
	const struct extension *a = catalog_extension(source, extension);
	const struct extension *b = catalog_extension(target, extension);
	return a && b && strcmp(a->version, b->version) == 0;
}

static bool column_is_binary(const struct catalog *source, const struct column *a,
			     const struct catalog *target, const struct column *b, struct text *why)
{
	if (!a->binary) {
		text_addf(why, "column %s: %s", a->name, a->not_binary_why);
		return false;
	}
	if (!b || a->digest.cast_fmt)
		return true;
	if (!b->binary) {
		text_addf(why, "column %s on the target: %s", a->name, b->not_binary_why);
		return false;
	}
	if (!same_rules(&a->digest, &b->digest) ||
	    (a->digest.mode != DIGEST_SELF &&
	     !same_name(portable_type(source, a), portable_type(target, b)))) {
		text_addf(why, "column %s: %s on the source, %s on the target", a->name, a->type,
			  b->type);
		return false;
	}
	if (a->extension && !has_stable_format(a->extension) &&
	    !same_version(source, target, a->extension)) {
		text_addf(why, "column %s: extension %s has another version on the target", a->name,
			  a->extension);
		return false;
	}
	return true;
}

bool fit_is_binary(const struct catalog *source, const struct table *from,
		   const struct catalog *target, const struct table *to, struct text *why)
{
	AUTO_TEXT struct text unwanted = TEXT_INIT;

	for (int i = 0; i < from->n_columns; i++) {
		const struct column *a = &from->columns[i];
		const struct column *b = to ? table_column(to, a->name) : NULL;
		if (!a->generated && !column_is_binary(source, a, target, b, why ? why : &unwanted))
			return false;
	}
	return true;
}
