#include "verify/orders.h"

#include <stdlib.h>
#include <string.h>

void orders_done(struct orders *o)
{
	text_done(&o->insert);
	text_done(&o->update);
	text_done(&o->delete);
}

/* A batch that is being decided. */
struct batch {
	const struct rewrite *w;
	const PGresult *beside, *places;
	struct flagged_row *rows;
	int n;
	int *row_of[2]; /* row of each line of `beside` and of `places`; -1: none, or used up */
	struct orders *orders;
};

static int *index_lines(const struct batch *b, const PGresult *res)
{
	int *rows = calloc((size_t)PQntuples(res) + 1, sizeof(*rows));

	for (int i = 0; rows && i < PQntuples(res); i++) {
		const struct flagged_row *row =
			look_find(b->rows, b->n, PQgetvalue(res, i, ORDERS_ID));

		rows[i] = row ? (int)(row - b->rows) : -1;
	}
	return rows;
}

static int find_beside(const struct batch *b, int row, const char *digest)
{
	for (int i = 0; i < PQntuples(b->beside); i++)
		if (b->row_of[0][i] == row &&
		    !strcmp(PQgetvalue(b->beside, i, ORDERS_DIGEST), digest))
			return i;
	return -1;
}

/* Uses the place up. */
static int take_place(const struct batch *b, int row, const char *digest)
{
	for (int i = 0; i < PQntuples(b->places); i++)
		if (b->row_of[1][i] == row &&
		    !strcmp(PQgetvalue(b->places, i, ORDERS_DIGEST), digest)) {
			b->row_of[1][i] = -1;
			return i;
		}
	return -1;
}

static void order_insert(const struct batch *b, int line, uint64_t copies)
{
	struct orders *o = b->orders;

	text_addf(&o->insert, "%s('%s'::pg_catalog.tid, %llu)", o->insert.len > 0 ? ", " : "",
		  PQgetvalue(b->beside, line, ORDERS_PLACE), (unsigned long long)copies);
	o->inserts += copies;
}

static void order_delete(const struct batch *b, int place)
{
	struct orders *o = b->orders;

	text_addf(&o->delete, "%s(%s::pg_catalog.oid, '%s'::pg_catalog.tid)",
		  o->delete.len > 0 ? ", " : "", PQgetvalue(b->places, place, ORDERS_TABLE),
		  PQgetvalue(b->places, place, ORDERS_PLACE));
	o->deletes++;
}

static void order_update(const struct batch *b, int place, int line)
{
	struct orders *o = b->orders;

	if (b->w->replace) {
		order_delete(b, place);
		order_insert(b, line, 1);
		return;
	}
	text_addf(&o->update, "%s(%s::pg_catalog.oid, '%s'::pg_catalog.tid, '%s'::pg_catalog.tid)",
		  o->update.len > 0 ? ", " : "", PQgetvalue(b->places, place, ORDERS_TABLE),
		  PQgetvalue(b->places, place, ORDERS_PLACE),
		  PQgetvalue(b->beside, line, ORDERS_PLACE));
	o->updates++;
}

/* The next row of the target that has to go or to change: others' contents before surplus copies.
 */
struct surplus {
	int copy;
	uint64_t used;
	bool twins;
};

static bool next_surplus(const struct flagged_row *row, struct surplus *s)
{
	for (;;) {
		for (; s->copy < row->n_copies; s->copy++, s->used = 0) {
			const uint64_t *n = row->copies[s->copy].n;

			if ((n[0] > 0) == s->twins && n[1] > n[0] && s->used < n[1] - n[0]) {
				s->used++;
				return true;
			}
		}
		if (s->twins)
			return false;
		*s = (struct surplus){ .twins = true };
	}
}

static void order_deletes(const struct batch *b, int at, struct surplus *s,
			  struct rewrite_row *result)
{
	const struct flagged_row *row = &b->rows[at];

	while (next_surplus(row, s)) {
		if (!s->twins && !b->w->delete_extra) {
			result->left++;
			continue;
		}
		order_delete(b, take_place(b, at, row->copies[s->copy].digest));
		result->deleted++;
	}
}

static void order_row(const struct batch *b, int at, struct rewrite_row *result)
{
	const struct flagged_row *row = &b->rows[at];
	struct surplus s = { .copy = 0 };

	for (int i = 0; i < row->n_copies; i++) {
		const struct flagged_copies *c = &row->copies[i];
		uint64_t missing = c->n[0] > c->n[1] ? c->n[0] - c->n[1] : 0;
		int line = missing > 0 ? find_beside(b, at, c->digest) : -1;

		for (; missing > 0 && next_surplus(row, &s); missing--) {
			order_update(b, take_place(b, at, row->copies[s.copy].digest), line);
			result->updated++;
		}
		if (missing > 0)
			order_insert(b, line, missing);
		result->inserted += missing;
	}
	order_deletes(b, at, &s, result);
}

/* Does the target hold what was compared, and is the source's row at hand? */
static int judge_row(const struct batch *b, int at, enum rewrite_outcome *ret, bool *ret_equal,
		     struct err *e)
{
	const struct flagged_row *row = &b->rows[at];
	struct flagged_row now = { .shown = -1 };
	int rc = 0;

	*ret = REWRITE_DONE;
	for (int i = 0; i < row->n_copies && rc == 0; i++)
		rc = flagged_count(&now, row->copies[i].digest, PG_SOURCE,
				   row->copies[i].n[PG_SOURCE], e);
	for (int i = 0; i < PQntuples(b->places) && rc == 0; i++)
		if (b->row_of[1][i] == at)
			rc = flagged_count(&now, PQgetvalue(b->places, i, ORDERS_DIGEST), PG_TARGET,
					   1, e);
	*ret_equal = rc == 0 && !flagged_differs(&now);
	for (int i = 0; i < now.n_copies; i++) {
		const struct flagged_copies *was = i < row->n_copies ? &row->copies[i] : NULL;

		if (now.copies[i].n[PG_TARGET] != (was ? was->n[PG_TARGET] : 0))
			*ret = REWRITE_STALE;
		else if (was && was->n[0] > was->n[1] && find_beside(b, at, was->digest) < 0 &&
			 *ret == REWRITE_DONE)
			*ret = REWRITE_SOURCE_MOVED;
	}
	flagged_rows_done(&now, 1);
	return rc;
}

static int decide(const struct batch *b, struct rewrite_row *results, struct err *e)
{
	for (int i = 0; i < b->n; i++) {
		bool equal = false;

		results[i] = (struct rewrite_row){ .outcome = REWRITE_DONE };
		if (judge_row(b, i, &results[i].outcome, &equal, e))
			return -1;
		if (equal) /* somebody else did it, or this run before it lost the answer */
			results[i].outcome = REWRITE_DONE;
		else if (results[i].outcome == REWRITE_DONE)
			order_row(b, i, &results[i]);
	}
	return 0;
}

int orders_decide(struct orders *ret, const struct rewrite *w, const PGresult *beside,
		  const PGresult *places, struct flagged_row *rows, int n,
		  struct rewrite_row *results, struct err *e)
{
	struct orders orders = { .inserts = 0 };
	struct batch b = {
		.w = w, .beside = beside, .places = places, .rows = rows, .n = n, .orders = &orders
	};
	int rc;

	b.row_of[0] = index_lines(&b, beside);
	b.row_of[1] = index_lines(&b, places);
	rc = b.row_of[0] && b.row_of[1] ? decide(&b, results, e) : err_nomem(e);
	free(b.row_of[0]);
	free(b.row_of[1]);
	if (rc == 0 && (text_check(&orders.insert, e) || text_check(&orders.update, e) ||
			text_check(&orders.delete, e)))
		rc = -1;
	if (rc) {
		orders_done(&orders);
		return -1;
	}
	*ret = orders;
	return 0;
}
