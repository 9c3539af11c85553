#include "verify/definitions.h"

#include "verify/alike.h"
#include "verify/finding.h"
#include "verify/objectname.h"

#include <pthread.h>
#include <string.h>

enum sort {
	EXTENSION,
	SCHEMA,
	TABLE,
	COLUMN,
	INDEX,
	PARTITION_INDEX,
	CONSTRAINT,
	TRIGGER,
	RULE,
	STATISTICS,
	FUNCTION,
	VIEW,
	FOREIGN_TABLE,
	TYPE,
	SEQUENCE,
	POLICY,
	ROW_SECURITY, /* of tables: an attribute in the model, a kind for those who read a report */
	DATABASE_SETTING,
	ROLE_SETTING,
	SORTS,
	NOT_LOOKED_AT
};

/* PASS: no difference. extra: only in the target. */
static const struct {
	const char *word;
	enum finding_verdict missing, different, extra;
} sorts[SORTS] = {
	[EXTENSION] = { "extension", FINDING_FAIL, FINDING_FAIL, FINDING_PASS },
	[SCHEMA] = { "schema", FINDING_WARNING, FINDING_WARNING, FINDING_PASS },
	/* Those that hold rows of their own are judged with their contents: this is partitions. */
	[TABLE] = { "table", FINDING_WARNING, FINDING_WARNING, FINDING_PASS },
	[COLUMN] = { "column", FINDING_FAIL, FINDING_FAIL, FINDING_FAIL },
	[INDEX] = { "index", FINDING_FAIL, FINDING_FAIL, FINDING_PASS },
	[PARTITION_INDEX] = { "index of a partition", FINDING_PASS, FINDING_PASS, FINDING_PASS },
	[CONSTRAINT] = { "constraint", FINDING_FAIL, FINDING_FAIL, FINDING_PASS },
	[TRIGGER] = { "trigger", FINDING_FAIL, FINDING_FAIL, FINDING_WARNING },
	/* Even one more: DO INSTEAD NOTHING swallows what applications write. */
	[RULE] = { "rule", FINDING_FAIL, FINDING_FAIL, FINDING_FAIL },
	[STATISTICS] = { "statistics", FINDING_WARNING, FINDING_WARNING, FINDING_PASS },
	[FUNCTION] = { "function", FINDING_FAIL, FINDING_FAIL, FINDING_PASS },
	[VIEW] = { "view", FINDING_FAIL, FINDING_WARNING, FINDING_PASS },
	[FOREIGN_TABLE] = { "foreign table", FINDING_WARNING, FINDING_WARNING, FINDING_PASS },
	[TYPE] = { "type", FINDING_FAIL, FINDING_FAIL, FINDING_PASS },
	[SEQUENCE] = { "sequence", FINDING_FAIL, FINDING_WARNING, FINDING_PASS },
	[POLICY] = { "policy", FINDING_FAIL, FINDING_FAIL, FINDING_WARNING },
	[ROW_SECURITY] = { "row security", FINDING_FAIL, FINDING_FAIL, FINDING_WARNING },
	[DATABASE_SETTING] = { "setting of the database", FINDING_WARNING, FINDING_WARNING,
			       FINDING_PASS },
	/* Roles are the server's: not every one is known to both. */
	[ROLE_SETTING] = { "setting of a role", FINDING_INFO, FINDING_WARNING, FINDING_PASS },
};

static const char *const model_kinds[] = {
	"extension",     "schema",  "table",    "column", "index",
	"constraint",    "trigger", "function", "view",   "materialized view",
	"foreign table", "type",    "sequence", "policy", "rule",
	"statistics",    "setting", NULL
};

struct definitions {
	struct model *model[2]; /* by enum pg_role; NULL: not read */
	const struct pairs *pairs;
	struct parity_want want;
	struct alike alike;
	json_t *checks;
	int n[2][SORTS], different[SORTS];
	struct text name, shown; /* of the object at hand */
};

/* --- what an object is --- */

static bool is_true(const struct model_object *o, const char *attribute)
{
	const char *v = model_value(o, attribute);
	return v && v[0] == 't';
}

/* The table that this one is a partition of, or NULL. */
static const char *parent_of(const struct model *m, const char *table)
{
	const struct model_object *o = table ? model_find(m, "table", table) : NULL;

	return o && model_value(o, "partition_bound") ? model_value(o, "parents") : NULL;
}

static enum sort sort_of_setting(const struct model_object *o)
{
	const char *name = objectname_setting(o->name);

	if (name == o->name)
		return ROLE_SETTING;
	/* Those of searches are judged as they are in force. */
	return strncmp(name, "hnsw.", 5) != 0 && strncmp(name, "ivfflat.", 8) != 0
		       ? DATABASE_SETTING
		       : NOT_LOOKED_AT;
}

/* Partitions may be divided otherwise and their parts have other names: only their state counts. */
static enum sort sort_of_part(const struct model *m, const struct model_object *o, enum sort sort)
{
	if (sort == COLUMN && model_find(m, "view", o->table))
		return NOT_LOOKED_AT; /* its definition says it */
	if (sort == POLICY || sort == RULE || !parent_of(m, o->table) ||
	    (sort == INDEX && !model_value(o, "_parent"))) /* no other one stands for it */
		return sort;
	return sort == INDEX ? PARTITION_INDEX : NOT_LOOKED_AT;
}

static enum sort sort_of(const struct model *m, const struct model_object *o)
{
	if (!strcmp(o->kind, "setting"))
		return sort_of_setting(o);
	if (!strcmp(o->kind, "materialized view"))
		return VIEW;
	for (int i = 0; i < SORTS; i++)
		if (!strcmp(o->kind, sorts[i].word))
			return sort_of_part(m, o, (enum sort)i);
	return NOT_LOOKED_AT;
}

static const char *shown_name(struct definitions *d, const struct model_object *o)
{
	text_clear(&d->shown);
	objectname_show(&d->shown, o);
	return text_str(&d->shown);
}

/* The pair of a table, by its name in the model, or NULL. */
static const struct pair *pair_of(struct definitions *d, const char *table)
{
	int low = 0, high = d->pairs->n;

	text_clear(&d->name);
	objectname_plain(&d->name, table);
	while (low < high) {
		int middle = low + (high - low) / 2;
		int order = strcmp(text_str(&d->name), d->pairs->pair[middle].name);

		if (order == 0)
			return &d->pairs->pair[middle];
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* A partition goes with the table that it is one of. */
static bool is_looked_at(struct definitions *d, const struct model *m, const struct model_object *o,
			 enum sort sort)
{
	const char *table = sort == TABLE ? o->name : o->table;

	if (sort == NOT_LOOKED_AT || !d->want.only_tables)
		return sort != NOT_LOOKED_AT;
	while (table && !pair_of(d, table))
		table = parent_of(m, table);
	return table != NULL;
}

/* --- one end alone --- */

/* What is wrong with it whatever the other end looks like, or NULL. */
static const char *state_of(const struct model_object *o, enum sort sort)
{
	const char *enabled;

	switch (sort) {
	case INDEX:
	case PARTITION_INDEX:
		return is_true(o, "valid") ? NULL : "is not valid";
	case CONSTRAINT:
		return is_true(o, "validated") ? NULL : "is not validated";
	case TRIGGER:
	case RULE:
		enabled = model_value(o, "enabled");
		return enabled && !strcmp(enabled, "no") ? "is disabled" : NULL;
	default:
		return NULL;
	}
}

static void judge_state(struct definitions *d, const struct model_object *o, enum sort sort)
{
	const struct model *source = d->model[PG_SOURCE];
	const struct model_object *there = source ? model_find(source, o->kind, o->name) : NULL;
	const char *state = state_of(o, sort);

	if (!state || (there && state_of(there, sort)))
		return;
	d->different[sort]++;
	finding_add(d->checks, "schema", shown_name(d, o), FINDING_FAIL, "%s %s %s in the target",
		    sorts[sort].word, shown_name(d, o), state);
}

static void look_at_end(struct definitions *d, enum pg_role role)
{
	const struct model *m = d->model[role];

	for (int i = 0; i < m->n; i++) {
		const struct model_object *o = &m->list[i];
		enum sort sort = sort_of(m, o);

		if (!is_looked_at(d, m, o, sort))
			continue;
		d->n[role][sort]++;
		d->n[role][ROW_SECURITY] += sort == TABLE && is_true(o, "row_security");
		if (role == PG_TARGET)
			judge_state(d, o, sort);
	}
}

/* --- it is at one end only --- */

static bool holds_extension(const struct model *m, const char *schema)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->list[i].kind, "extension") &&
		    !strcmp(model_value(&m->list[i], "schema"), schema))
			return true;
	return false;
}

/* The table's finding names the column already. */
static bool is_told(struct definitions *d, const struct model_object *o, enum sort sort)
{
	const char *table = sort == TABLE ? o->name : sort == COLUMN ? o->table : NULL;
	const struct pair *p = table ? pair_of(d, table) : NULL;

	if (!p || sort == TABLE)
		return p != NULL;
	text_clear(&d->name);
	text_add(&d->name, "column \"");
	objectname_plain(&d->name, o->name + strlen(o->table) + 1);
	text_add(&d->name, "\" is ");
	return strstr(p->why, text_str(&d->name)) != NULL;
}

/* Why the target has no such object though nothing went wrong, or "". */
static const char *excuse(struct definitions *d, const struct model_object *o, enum sort sort)
{
	const char *definition = model_value(o, "definition");
	const char *table = definition ? strstr(definition, " REFERENCES ") : NULL;
	AUTO_TEXT struct text name = TEXT_INIT;

	if (sort == INDEX && state_of(o, sort))
		return ", which is invalid in the source,";
	if (sort != CONSTRAINT || !table)
		return "";
	table += strlen(" REFERENCES ");
	text_addn(&name, table, strcspn(table, "("));
	return model_find(d->model[PG_TARGET], "table", text_str(&name))
		       ? ""
		       : ", which refers to a table that is not there,";
}

/* What a run took as the target has it, and has proven its rows in, is an exception. */
static enum finding_verdict taken(bool moved, enum finding_verdict v)
{
	return moved && v == FINDING_FAIL ? FINDING_WARNING : v;
}

static void one_end(struct definitions *d, const struct model_object *o, enum pg_role role,
		    enum sort sort)
{
	const struct pair *p = sort == COLUMN ? pair_of(d, o->table) : NULL;
	enum finding_verdict v =
		role == PG_SOURCE ? sorts[sort].missing : taken(p && p->moved, sorts[sort].extra);
	const char *why = role == PG_SOURCE ? excuse(d, o, sort) : "";

	if (v == FINDING_PASS ||
	    (sort == SCHEMA && holds_extension(d->model[role], shown_name(d, o))))
		return;
	d->different[sort]++;
	if (!is_told(d, o, sort))
		finding_add(d->checks, "schema", shown_name(d, o), *why ? FINDING_WARNING : v,
			    "%s %s%s is %s the target", sorts[sort].word, shown_name(d, o), why,
			    role == PG_SOURCE ? "missing in" : "only in");
}

/* --- it is another at the other end --- */

struct words {
	enum finding_verdict verdict;
	struct text text;
};

static bool is_attribute(const struct model_change *c, const char *attribute)
{
	return !strcmp(c->attribute, attribute);
}

/* The target's state is judged by itself; where an extension lives is its own affair. */
static bool is_overlooked(struct definitions *d, const struct model_change *c, enum sort sort)
{
	const struct pair *p = c->before->table ? pair_of(d, c->before->table) : NULL;

	if ((sort == EXTENSION && is_attribute(c, "schema")) ||
	    (sort == INDEX && is_attribute(c, "valid")) ||
	    (sort == CONSTRAINT && is_attribute(c, "validated")))
		return true;
	if ((sort == TRIGGER || sort == RULE) && is_attribute(c, "enabled") &&
	    state_of(c->after, sort))
		return true;
	return alike_text(&d->alike, c->from, c->to, p && p->converted && sort != COLUMN);
}

static void add_value(struct text *t, const char *value)
{
	if (value)
		text_addf(t, "\"%.200s\"", value);
	else
		text_add(t, "none");
}

static void add_values(struct text *t, const char *attribute, const char *from, const char *to)
{
	text_addf(t, "%s%s", text_str(t)[0] ? "; " : "", attribute);
	text_add(t, attribute[0] ? " " : "");
	add_value(t, from);
	text_add(t, " in the source, ");
	add_value(t, to);
	text_add(t, " in the target");
}

static void say_column_type(struct definitions *d, const struct model_change *c, struct words *w,
			    const char *name)
{
	const struct pair *p = pair_of(d, c->before->table);
	const struct column *s = NULL, *t = NULL;

	text_clear(&d->name);
	objectname_plain(&d->name, c->before->name + strlen(c->before->table) + 1);
	if (p && p->end[PG_SOURCE] && p->end[PG_TARGET]) {
		s = table_column(p->end[PG_SOURCE], text_str(&d->name));
		t = table_column(p->end[PG_TARGET], text_str(&d->name));
	}
	w->verdict = s && t && s->is_vector && t->is_vector_like
			     ? FINDING_INFO
			     : taken(p && p->moved, FINDING_FAIL);
	text_addf(&w->text, "column %s is %s in the source, %s in the target", name, c->from,
		  c->to);
}

/* Columns have findings of their own for every attribute. "": another attribute says it. */
static void say_column(struct definitions *d, const struct model_change *c, struct words *w)
{
	const char *name = shown_name(d, c->before);

	w->verdict = FINDING_FAIL;
	if (is_attribute(c, "type")) {
		say_column_type(d, c, w, name);
	} else if (is_attribute(c, "not_null")) {
		text_addf(&w->text, "column %s is NOT NULL in the %s only", name,
			  c->from && c->from[0] == 't' ? "source" : "target");
	} else if (is_attribute(c, "identity") || is_attribute(c, "stored")) {
		text_addf(&w->text, "column %s is not generated in the same way", name);
	} else if (!is_attribute(c, "generated")) {
		w->verdict = is_attribute(c, "default") ? FINDING_WARNING : FINDING_FAIL;
		text_addf(&w->text, "column %s has the %s %s in the source, %s in the target", name,
			  c->attribute, c->from ? c->from : "none", c->to ? c->to : "none");
	} else if (c->from && c->to) {
		w->verdict = FINDING_WARNING; /* versions may print an expression otherwise */
		text_addf(&w->text, "column %s is generated as %s in the source, %s in the target",
			  name, c->from, c->to);
	}
}

static void say_row_security(struct definitions *d, const struct model_change *c, struct words *w)
{
	const char *name = shown_name(d, c->before);
	bool s = is_true(c->before, "row_security"), t = is_true(c->after, "row_security");

	if (s && t) {
		w->verdict = sorts[ROW_SECURITY].different;
		text_addf(&w->text,
			  "row security %s: forced \"%s\" in the source, \"%s\" in the target",
			  name, c->from, c->to);
	} else if (is_attribute(c, "row_security")) {
		w->verdict = s ? sorts[ROW_SECURITY].missing : sorts[ROW_SECURITY].extra;
		text_addf(&w->text, "row security %s is %s the target", name,
			  s ? "missing in" : "only in");
	}
}

/* One finding for all attributes of an object, but those with findings of their own. */
static void say_whole(const struct definitions *d, enum sort sort, const struct model_change *c,
		      struct words *w)
{
	bool alone = is_attribute(c, "definition") || is_attribute(c, "version") ||
		     is_attribute(c, "value");

	if (sort == INDEX) {
		text_clear(&w->text);
		add_values(&w->text, "", model_value(c->before, "_definition"),
			   model_value(c->after, "_definition"));
	} else {
		add_values(&w->text, alone ? "" : c->attribute, c->from, c->to);
	}
	/* A run makes unlogged tables logged, as the server would empty them. */
	if (!is_attribute(c, "persistence") || strcmp(c->to, "permanent") != 0)
		w->verdict = sort == EXTENSION ? taken(d->want.moved, sorts[sort].different)
					       : sorts[sort].different;
	else if (w->verdict == FINDING_PASS)
		w->verdict = FINDING_INFO;
}

static int tell(struct definitions *d, const struct model_object *o, enum sort sort,
		struct words *w, struct err *e)
{
	int failed = text_check(&w->text, e);

	if (!failed && text_str(&w->text)[0]) {
		d->different[sort]++;
		finding_add(d->checks, "schema", shown_name(d, o), w->verdict, "%s",
			    text_str(&w->text));
	}
	text_done(&w->text);
	return failed;
}

static int tell_whole(struct definitions *d, const struct model_object *o, enum sort sort,
		      struct words *w, struct err *e)
{
	struct words full = { .verdict = w->verdict, .text = TEXT_INIT };

	if (sort == FUNCTION && text_str(&w->text)[0])
		text_addf(&full.text, "function %s has another definition in the target",
			  shown_name(d, o));
	else if (text_str(&w->text)[0])
		text_addf(&full.text, "%s %s: %s", sorts[sort].word, shown_name(d, o),
			  text_str(&w->text));
	text_done(&w->text);
	return tell(d, o, sort, &full, e);
}

/* c[0 .. n - 1]: all that differs in one object. */
static int both_ends(struct definitions *d, const struct model_change *c, int n, enum sort sort,
		     struct err *e)
{
	struct words whole = { .verdict = FINDING_PASS, .text = TEXT_INIT };
	int failed = 0;

	for (int i = 0; i < n && !failed; i++) {
		struct words own = { .verdict = FINDING_PASS, .text = TEXT_INIT };

		if (is_overlooked(d, &c[i], sort))
			continue;
		if (sort == COLUMN) {
			say_column(d, &c[i], &own);
			failed = tell(d, c[i].before, COLUMN, &own, e);
		} else if (strstr(c[i].attribute, "row_security")) {
			say_row_security(d, &c[i], &own);
			failed = tell(d, c[i].before, ROW_SECURITY, &own, e);
		} else {
			say_whole(d, sort, &c[i], &whole);
		}
	}
	if (failed) {
		text_done(&whole.text);
		return failed;
	}
	return tell_whole(d, c->before, sort, &whole, e);
}

static int judge_changes(struct definitions *d, const struct model_changes *all, struct err *e)
{
	int failed = 0;

	for (int i = 0, n; i < all->n && !failed; i += n) {
		const struct model_change *c = &all->list[i];
		enum pg_role role = c->before ? PG_SOURCE : PG_TARGET;
		const struct model_object *o = c->before ? c->before : c->after;
		enum sort sort = sort_of(d->model[role], o);

		for (n = 1; i + n < all->n && c->attribute && c[n].before == c->before; n++)
			;
		if (!is_looked_at(d, d->model[role], o, sort) || sort == PARTITION_INDEX)
			continue;
		if (c->attribute)
			failed = both_ends(d, c, n, sort, e);
		else
			one_end(d, o, role, sort);
	}
	return failed;
}

static int compare_ends(struct definitions *d, struct err *e)
{
	const struct model *s = d->model[PG_SOURCE], *t = d->model[PG_TARGET];
	AUTO_MODEL_CHANGES struct model_changes changes = { 0 };

	if (alike_make(&d->alike, s, t, e) || model_compare(&changes, s, t, NULL, model_kinds, e))
		return -1;
	return judge_changes(d, &changes, e);
}

/* --- all of it --- */

struct end {
	struct pg *pg;
	struct model *model;
	int failed;
	struct err err;
};

static void *read_model(void *arg)
{
	struct end *end = arg;

	end->failed = model_read(&end->model, end->pg, &end->err);
	return NULL;
}

/* Both ends at once: each is waited for. */
static void read_models(struct end ends[2])
{
	pthread_t thread;
	bool beside = ends[0].pg && ends[1].pg &&
		      pthread_create(&thread, NULL, read_model, &ends[0]) == 0;

	for (int role = beside ? 1 : 0; role < 2; role++)
		if (ends[role].pg)
			read_model(&ends[role]);
	if (beside)
		pthread_join(thread, NULL);
}

/* An end that cannot be read is a finding; the other one is still judged by its state. */
static int take_end(struct definitions *d, const struct end *end, enum pg_role role, struct err *e)
{
	d->model[role] = end->model;
	if (!end->failed)
		return 0;
	if (end->err.kind == ERR_STOPPED || end->err.next != ERR_GIVE_UP) {
		*e = end->err;
		return err_note(e, "comparing definitions");
	}
	finding_add(d->checks, "schema", "definitions", FINDING_UNKNOWN,
		    "definitions of the %s could not be read and are not compared: %s",
		    pg_role_name(role), end->err.text);
	return 0;
}

static void add_counts(const struct definitions *d, json_t *objects)
{
	bool has[2] = { d->model[PG_SOURCE] != NULL, d->model[PG_TARGET] != NULL };

	for (int i = 0; has[PG_TARGET] && i < SORTS; i++)
		json_array_append_new(
			objects,
			json_pack("{s:s, s:o, s:i, s:i}", "kind", sorts[i].word, "source",
				  has[PG_SOURCE] ? json_integer(d->n[PG_SOURCE][i]) : json_null(),
				  "target", d->n[PG_TARGET][i], "different", d->different[i]));
}

int definitions_check(struct pg *const pg[2], const struct pairs *pairs, struct parity_want want,
		      json_t *checks, json_t *objects, struct err *e)
{
	struct definitions d = { .pairs = pairs, .want = want, .checks = checks };
	struct end ends[2] = { { .pg = pg[0], .err = ERR_INIT }, { .pg = pg[1], .err = ERR_INIT } };
	int failed = 0;

	read_models(ends);
	for (int role = 0; role < 2; role++) {
		struct err err = ERR_INIT;
		if (take_end(&d, &ends[role], (enum pg_role)role, &err) && !failed++)
			*e = err;
	}
	for (int role = 0; role < 2 && !failed; role++)
		if (d.model[role])
			look_at_end(&d, (enum pg_role)role);
	if (!failed && d.model[PG_SOURCE] && d.model[PG_TARGET])
		failed = compare_ends(&d, e);
	if (!failed)
		add_counts(&d, objects);
	for (int role = 0; role < 2; role++)
		model_free(d.model[role]);
	alike_done(&d.alike);
	text_done(&d.name);
	text_done(&d.shown);
	return failed;
}
