#include "verify/flagged.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct flagged_store {
	FILE *file;
	char *line; /* of getline() */
	size_t room;
	bool at_end; /* where the next row is written: no seek is needed */
};

int flagged_open(struct flagged_store **ret, struct err *e)
{
	struct flagged_store *store = calloc(1, sizeof(*store));

	if (!store)
		return err_nomem(e);
	store->file = tmpfile();
	if (!store->file) {
		free(store);
		return err_sys(e, ERR_DISK, errno, "cannot make a file for the differing rows");
	}
	*ret = store;
	return 0;
}

void flagged_close(struct flagged_store *store)
{
	if (!store)
		return;
	(void)fclose(store->file);
	free(store->line);
	free(store);
}

/* --- writing --- */

static int failed(struct err *e)
{
	return err_sys(e, ERR_DISK, errno, "cannot keep the differing rows in a temporary file");
}

struct flagged flagged_list(struct flagged_store *store)
{
	struct flagged list = { .store = store };

	/* A seek that fails fails again where a row is added, and is told there. */
	store->at_end = fseeko(store->file, 0, SEEK_END) == 0;
	list.start = list.next = ftello(store->file);
	return list;
}

static json_t *copies_json(const struct flagged_row *row)
{
	json_t *copies = json_array();

	for (int i = 0; i < row->n_copies; i++)
		json_array_append_new(copies, json_pack("[s, I, I]", row->copies[i].digest,
							(json_int_t)row->copies[i].n[0],
							(json_int_t)row->copies[i].n[1]));
	return copies;
}

int flagged_add(struct flagged *list, const struct flagged_row *row, struct err *e)
{
	struct flagged_store *store = list->store;
	json_t *line = json_pack("{s:s, s:O?, s:b, s:i, s:o, s:i, s:s?}", "id", row->id, "key",
				 row->key, "lossy", row->lossy, "shown", row->shown, "copies",
				 copies_json(row), "state", (int)row->state, "note", row->note);
	int rc = 0;

	if (!line)
		return err_nomem(e);
	if ((!store->at_end && fseeko(store->file, 0, SEEK_END) != 0) ||
	    json_dumpf(line, store->file, JSON_COMPACT) || fputc('\n', store->file) == EOF)
		rc = failed(e);
	store->at_end = true;
	json_decref(line);
	list->n += rc == 0;
	return rc;
}

/* --- reading --- */

void flagged_rewind(struct flagged *list)
{
	list->next = list->start;
	list->read = 0;
}

static int take_copies(struct flagged_row *row, const json_t *copies, struct err *e)
{
	const json_t *one;
	size_t i;

	json_array_foreach(copies, i, one) for (int role = 0; role < 2; role++)
	{
		uint64_t n = (uint64_t)json_integer_value(json_array_get(one, (size_t)role + 1));

		if (flagged_count(row, json_string_value(json_array_get(one, 0)), role, n, e))
			return -1;
	}
	return 0;
}

static int take_line(struct flagged_row *row, const json_t *line, struct err *e)
{
	const char *id = json_string_value(json_object_get(line, "id"));
	const char *note = json_string_value(json_object_get(line, "note"));
	json_t *key = json_object_get(line, "key");

	*row = (struct flagged_row){
		.id = id ? strdup(id) : NULL,
		.key = json_is_array(key) ? json_incref(key) : NULL,
		.lossy = json_is_true(json_object_get(line, "lossy")),
		.shown = (int)json_integer_value(json_object_get(line, "shown")),
		.state = (enum flagged_state)json_integer_value(json_object_get(line, "state")),
		.note = note ? strdup(note) : NULL,
	};
	if (!row->id || (note && !row->note) ||
	    take_copies(row, json_object_get(line, "copies"), e)) {
		flagged_rows_done(row, 1);
		return err_nomem(e);
	}
	return 0;
}

static int read_row(struct flagged_store *store, struct flagged_row *row, struct err *e)
{
	ssize_t len = getline(&store->line, &store->room, store->file);
	json_t *line = len > 0 ? json_loadb(store->line, (size_t)len, 0, NULL) : NULL;
	int rc;

	if (!line)
		return failed(e);
	rc = take_line(row, line, e);
	json_decref(line);
	return rc;
}

int flagged_next(struct flagged *list, struct flagged_row *rows, int max, int *ret_n, struct err *e)
{
	int n = 0;

	list->store->at_end = false;
	if (list->read < list->n && fseeko(list->store->file, list->next, SEEK_SET) != 0)
		return failed(e);
	for (; n < max && list->read < list->n; n++, list->read++)
		if (read_row(list->store, &rows[n], e)) {
			flagged_rows_done(rows, n);
			return -1;
		}
	list->next = ftello(list->store->file);
	*ret_n = n;
	return 0;
}

void flagged_rows_done(struct flagged_row *rows, int n)
{
	for (int i = 0; i < n; i++) {
		free(rows[i].id);
		json_decref(rows[i].key);
		free(rows[i].copies);
		free(rows[i].note);
		rows[i] = (struct flagged_row){ .shown = -1 };
	}
}

/* --- contents --- */

int flagged_count(struct flagged_row *row, const char *digest, int role, uint64_t n, struct err *e)
{
	struct flagged_copies *more;
	int i = 0;

	while (i < row->n_copies && strcmp(row->copies[i].digest, digest) != 0)
		i++;
	if (i == row->n_copies) {
		more = realloc(row->copies, ((size_t)i + 1) * sizeof(*more));
		if (!more)
			return err_nomem(e);
		more[i] = (struct flagged_copies){ .n = { 0, 0 } };
		(void)snprintf(more[i].digest, sizeof(more[i].digest), "%s", digest);
		row->copies = more;
		row->n_copies++;
	}
	row->copies[i].n[role] += n;
	return 0;
}

bool flagged_differs(const struct flagged_row *row)
{
	for (int i = 0; i < row->n_copies; i++)
		if (row->copies[i].n[0] != row->copies[i].n[1])
			return true;
	return false;
}

/* Rows of the target in the place of a changed row are those that the source does not have. */
void flagged_sum(struct flagged_sums *sums, const struct flagged_row *row)
{
	uint64_t source = 0, lacking = 0, other = 0, twins = 0, changed, rest;

	for (int i = 0; i < row->n_copies; i++) {
		const uint64_t *n = row->copies[i].n;

		source += n[0];
		if (n[0] > n[1])
			lacking += n[0] - n[1];
		else if (n[0] == 0)
			other += n[1];
		else
			twins += n[1] - n[0];
	}
	changed = lacking < other + twins ? lacking : other + twins;
	rest = other + twins - changed;
	sums->changed += changed;
	sums->missing += lacking - changed;
	if (source == 0)
		sums->extra += rest;
	else
		sums->doubled += rest;
	sums->surplus += twins < rest ? twins : rest;
}

const char *flagged_state_word(enum flagged_state state)
{
	static const char *const words[] = { NULL, "transient", "moving", "lasting" };

	return words[state];
}
