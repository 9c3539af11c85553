#include "schema/archive.h"

#include "schema/archive_rules.h"

#include <stdlib.h>
#include <string.h>

/* Entries of one line of the list: "id; class oid rest". */
struct listed {
	int id;
	unsigned class_oid, oid;
	const char *rest; /* "TYPE schema tag owner", borrowed */
	size_t len;
};

struct list {
	struct listed *items;
	int n;
};

/* --- the list --- */

/* pg_restore puts these at the end of the script, whatever their place in the list. */
static bool comes_last(const struct listed *l)
{
	static const char event[] = "EVENT TRIGGER ", comment[] = "COMMENT - EVENT TRIGGER ";

	return strncmp(l->rest, event, sizeof event - 1) == 0 ||
	       strncmp(l->rest, comment, sizeof comment - 1) == 0;
}

static int count_lines(const char *s)
{
	int n = 1;

	for (; (s = strchr(s, '\n')); s++)
		n++;
	return n;
}

static void add_listed(struct list *all, const char *line, bool last)
{
	struct listed l;
	char *p;

	/* Not sscanf(): it measures the whole text behind the line each time. */
	l.id = (int)strtol(line, &p, 10);
	if (p == line || *p != ';')
		return;
	l.class_oid = (unsigned)strtoul(p + 1, &p, 10);
	l.oid = (unsigned)strtoul(p, &p, 10);
	if (*p != ' ')
		return;
	l.rest = p + 1;
	l.len = strcspn(l.rest, "\n");
	if (comes_last(&l) == last)
		all->items[all->n++] = l;
}

static int parse_list(const char *text, struct list *ret, struct err *e)
{
	struct list all = { .items = calloc((size_t)count_lines(text), sizeof *all.items) };

	if (!all.items)
		return err_nomem(e);
	for (int last = 0; last < 2; last++) {
		for (const char *line = text; line; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (*line != ';')
				add_listed(&all, line, last);
		}
	}
	*ret = all;
	return 0;
}

/* --- the script --- */

/*
 * Start of the header "--\n-- TOC entry N (class C OID O)\n" of this entry at or behind `from`, or
 * NULL. *ret_behind is behind that line.
 */
static const char *find_header(const char *from, const struct listed *l, const char **ret_behind)
{
	char mark[96];
	size_t len = (size_t)snprintf(mark, sizeof mark, "--\n-- TOC entry %d (class %u OID %u)\n",
				      l->id, l->class_oid, l->oid);

	for (const char *s = from; (s = strstr(s, mark)); s++) {
		if (s == from || s[-1] == '\n') {
			*ret_behind = s + len;
			return s;
		}
	}
	return NULL;
}

static int parse_depends(const char *line, struct archive_entry *entry)
{
	const char *p = line + strlen("-- Dependencies:");
	int max = 0;

	for (const char *s = p; *s && *s != '\n'; s++)
		max += *s == ' ';
	entry->depends = calloc((size_t)max + 1, sizeof *entry->depends);
	if (!entry->depends)
		return -1;
	while (*p == ' ') {
		char *end;
		int id = (int)strtol(p, &end, 10);
		if (end == p)
			break;
		p = end;
		/* pg_dump repeats them; equal ones stand together or a few apart. */
		bool known = false;
		for (int i = 0; i < entry->n_depends && !known; i++)
			known = entry->depends[i] == id;
		if (!known)
			entry->depends[entry->n_depends++] = id;
	}
	return 0;
}

/*
 * "-- Name: tag; Type: type; Schema: schema; Owner: ...". A tag may hold these very words, so a
 * division counts only if the list says the same: "type schema tag ...".
 */
static int parse_name(const char *line, const struct listed *l, struct archive_entry *entry)
{
	static const char type_is[] = "; Type: ", schema_is[] = "; Schema: ",
			  owner_is[] = "; Owner: ";
	const char *name = line + strlen("-- Name: ");
	const char *end = name + strcspn(name, "\n");

	for (const char *t = name; (t = strstr(t, type_is)) && t < end; t++) {
		const char *type = t + sizeof type_is - 1;
		const char *s = strstr(type, schema_is);
		if (!s || s >= end)
			return 0;
		size_t type_len = (size_t)(s - type), tag_len = (size_t)(t - name);
		const char *schema = s + sizeof schema_is - 1;
		for (const char *o = schema; (o = strstr(o, owner_is)) && o < end; o++) {
			size_t schema_len = (size_t)(o - schema);
			AUTO_TEXT struct text want = TEXT_INIT;
			text_addn(&want, type, type_len);
			text_add(&want, " ");
			text_addn(&want, schema, schema_len);
			text_add(&want, " ");
			text_addn(&want, name, tag_len);
			if (want.len > l->len || strncmp(text_str(&want), l->rest, want.len) != 0)
				continue;
			entry->type = strndup(type, type_len);
			entry->tag = strndup(name, tag_len);
			if (schema_len != 1 || *schema != '-')
				entry->schema = strndup(schema, schema_len);
			return entry->type && entry->tag ? 1 : -1;
		}
	}
	return 0;
}

/* Reads the header's lines; returns the first byte of SQL, or NULL. */
static const char *parse_header(const char *p, const struct listed *l, struct archive_entry *entry,
				struct err *e)
{
	int found = 0;

	for (; strncmp(p, "-- ", 3) == 0; p += strcspn(p, "\n"), p += *p == '\n') {
		if (strncmp(p, "-- Dependencies:", 16) == 0 && parse_depends(p, entry) < 0)
			found = -1;
		else if (strncmp(p, "-- Name: ", 9) == 0)
			found = parse_name(p, l, entry);
		if (found < 0) {
			err_nomem(e);
			return NULL;
		}
	}
	if (found != 1 || strncmp(p, "--\n", 3) != 0) {
		err_set(e, ERR_INTERNAL,
			"the archive's entry %d (%.*s) has a header of unknown form", l->id,
			(int)l->len, l->rest);
		return NULL;
	}
	return p + 3;
}

/* The script ends with "dump complete", a line of the time, and meta-commands. */
static const char *script_end(const char *script)
{
	static const char *const marks[] = { "\n--\n-- PostgreSQL database dump complete\n",
					     "\n-- Completed on " };
	size_t len = strlen(script);

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		size_t mark = strlen(marks[i]);
		for (size_t at = len; at >= mark; at--) {
			if (strncmp(script + at - mark, marks[i], mark) == 0) {
				len = at - mark;
				break;
			}
		}
	}
	return script + len;
}

static bool is_space(char c)
{
	return c == '\n' || c == ' ';
}

/*
 * Takes a trailing "SET default_... = x;" off [sql, end): pg_restore puts it before the next
 * header, for the next entry. Returns the new end; *ret_method is the access method, if it set one.
 */
static const char *trim_settings(const char *sql, const char *end, const char **ret_method,
				 size_t *ret_len)
{
	static const char method[] = "SET default_table_access_method = ";
	static const char space[] = "SET default_tablespace = ";

	for (;;) {
		const char *line;
		while (end > sql && is_space(end[-1]))
			end--;
		for (line = end; line > sql && line[-1] != '\n'; line--)
			;
		size_t len = (size_t)(end - line);
		if (len > sizeof method && strncmp(line, method, sizeof method - 1) == 0) {
			*ret_method = line + sizeof method - 1;
			*ret_len = len - sizeof method; /* without the semicolon */
		} else if (len < sizeof space || strncmp(line, space, sizeof space - 1) != 0) {
			return end;
		}
		end = line;
	}
}

/* A table of another access method names it for itself; the next one must not inherit it. */
static char *with_method(const char *sql, size_t len, const char *method, size_t method_len)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err ignored = ERR_INIT;
	bool heap = method_len == 0 || (method_len == 4 && strncmp(method, "heap", 4) == 0);

	if (!heap)
		text_addf(&t, "SET LOCAL default_table_access_method = %.*s;\n", (int)method_len,
			  method);
	text_addn(&t, sql, len);
	if (!heap)
		text_add(&t, "\nSET LOCAL default_table_access_method = heap;");
	return text_take(&t, &ignored);
}

/* Where the reading of a script stands. */
struct cursor {
	const char *at, *behind,
		*end;       /* the next header, behind its first line, the script's end */
	const char *method; /* access method that holds for the next entry */
	size_t method_len;
};

/* Reads the entry whose header is at the cursor; next is what the list says of the one after, or
 * NULL. */
static int read_entry(struct cursor *c, const struct listed *l, const struct listed *next,
		      struct archive_entry *entry, struct err *e)
{
	const char *method = c->method, *sql, *stop, *next_at = NULL;
	size_t method_len = c->method_len;

	if (!c->at || c->at >= c->end)
		return err_set(e, ERR_INTERNAL, "the archive's script lacks entry %d (%.*s)", l->id,
			       (int)l->len, l->rest);
	if (!(sql = parse_header(c->behind, l, entry, e)))
		return -1;
	if (next)
		next_at = find_header(sql, next, &c->behind);
	stop = trim_settings(sql, next_at ? next_at : c->end, &c->method, &c->method_len);
	while (sql < stop && is_space(*sql))
		sql++;
	c->at = next_at;
	entry->sql = with_method(sql, (size_t)(stop - sql), method, method_len);
	return entry->sql ? 0 : err_nomem(e);
}

static int read_entries(struct archive *a, enum archive_section section, const struct list *all,
			const char *script, struct err *e)
{
	struct cursor c = { .end = script_end(script) };

	if (all->n > 0 && (c.at = find_header(script, &all->items[0], &c.behind)))
		trim_settings(script, c.at, &c.method, &c.method_len);
	for (int i = 0; i < all->n; i++) {
		struct archive_entry *entry = &a->entries[a->n_entries++];
		const struct listed *next = i + 1 < all->n ? &all->items[i + 1] : NULL;

		*entry = (struct archive_entry){ .dump_id = all->items[i].id,
						 .section = section,
						 .parent = -1 };
		if (read_entry(&c, &all->items[i], next, entry, e) < 0)
			return -1;
	}
	return 0;
}

int archive_add_section(struct archive *a, enum archive_section section, const char *list,
			const char *script, struct err *e)
{
	struct list all;
	int rc = -1;

	if (parse_list(list, &all, e) < 0)
		return -1;
	struct archive_entry *grown =
		reallocarray(a->entries, (size_t)(a->n_entries + all.n) + 1, sizeof *a->entries);
	if (grown) {
		a->entries = grown;
		rc = read_entries(a, section, &all, script, e);
	} else {
		err_nomem(e);
	}
	free(all.items);
	return rc;
}

/* --- the whole --- */

static int compare_ids(const void *a, const void *b)
{
	const struct archive_entry *x = *(const struct archive_entry *const *)a;
	const struct archive_entry *y = *(const struct archive_entry *const *)b;

	return (x->dump_id > y->dump_id) - (x->dump_id < y->dump_id);
}

struct archive_entry *archive_by_id(const struct archive *a, int dump_id)
{
	struct archive_entry key = { .dump_id = dump_id }, *p = &key, **found;

	if (a->by_id) {
		found = bsearch(&p, a->by_id, (size_t)a->n_entries, sizeof p, compare_ids);
		return found ? *found : NULL;
	}
	for (int i = 0; i < a->n_entries; i++) {
		if (a->entries[i].dump_id == dump_id)
			return &a->entries[i];
	}
	return NULL;
}

int archive_sort_ids(struct archive *a, struct err *e)
{
	struct archive_entry **by_id = calloc((size_t)a->n_entries + 1, sizeof(void *));

	if (!by_id)
		return err_nomem(e);
	for (int i = 0; i < a->n_entries; i++)
		by_id[i] = &a->entries[i];
	qsort(by_id, (size_t)a->n_entries, sizeof *by_id, compare_ids);
	free(a->by_id);
	a->by_id = by_id;
	return 0;
}

int archive_finish(struct archive *a, struct err *e)
{
	if (archive_sort_ids(a, e) < 0)
		return -1;
	for (int i = 0; i < a->n_entries; i++) {
		if (archive_rules_apply(a, &a->entries[i], e) < 0)
			return err_note(e, "reading entry %d of the archive",
					a->entries[i].dump_id);
	}
	return 0;
}

void archive_entry_done(struct archive_entry *entry)
{
	free(entry->type);
	free(entry->schema);
	free(entry->tag);
	free(entry->table);
	free(entry->sql);
	free(entry->left_out);
	free(entry->depends);
}

void archive_free(struct archive *a)
{
	if (!a)
		return;
	for (int i = 0; i < a->n_entries; i++)
		archive_entry_done(&a->entries[i]);
	for (int i = 0; i < a->n_notes; i++) {
		free(a->notes[i].what);
		free(a->notes[i].name);
		free(a->notes[i].why);
	}
	free(a->entries);
	free(a->notes);
	free(a->by_id);
	free(a);
}

void archive_entry_label(const struct archive_entry *entry, struct text *ret)
{
	text_addf(ret, "%s ", entry->type);
	if (entry->schema)
		text_addf(ret, "%s.", entry->schema);
	text_add(ret, entry->tag);
}

static int add_fact(json_t *list, const char *what, const char *name, const char *why)
{
	return json_array_append_new(
		list, json_pack("{s:s, s:s, s:s}", "what", what, "name", name, "why", why));
}

int archive_add_note(struct archive *a, const char *what, const char *name, const char *why,
		     struct err *e)
{
	struct archive_note *grown =
		reallocarray(a->notes, (size_t)a->n_notes + 1, sizeof *a->notes);

	if (!grown)
		return err_nomem(e);
	a->notes = grown;
	a->notes[a->n_notes++] = (struct archive_note){ .what = strdup(what),
							.name = strdup(name),
							.why = strdup(why) };
	return 0;
}

json_t *archive_left_out(const struct archive *a)
{
	json_t *list = json_array();
	int bad = !list;

	for (int i = 0; i < a->n_entries && !bad; i++) {
		const struct archive_entry *entry = &a->entries[i];
		AUTO_TEXT struct text name = TEXT_INIT;
		if (!entry->left_out)
			continue;
		if (entry->schema)
			text_addf(&name, "%s.", entry->schema);
		text_add(&name, entry->tag);
		bad = add_fact(list, entry->type, text_str(&name), entry->left_out);
	}
	for (int i = 0; i < a->n_notes && !bad; i++)
		bad = add_fact(list, a->notes[i].what, a->notes[i].name, a->notes[i].why);
	if (bad) {
		json_decref(list);
		return NULL;
	}
	return list;
}
