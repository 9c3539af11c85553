#include "transfer/withdraw.h"

#include "transfer/cascade.h"

#include <stdlib.h>

static int check_cascade(struct pg *target, const struct withdraw *w, struct err *e)
{
	AUTO_TEXT struct text rows = TEXT_INIT;
	struct cascade c = {
		.relation = w->relation, .doing = w->doing, .lock = true, .hint = w->hint
	};

	text_addf(&rows,
		  "FROM %s WHERE xmin = ANY (ARRAY(SELECT xid::pg_catalog.xid FROM neonferry.chunk "
		  "WHERE %s))",
		  w->relation, w->chunks);
	c.rows = text_str(&rows);
	return text_check(&rows, e) < 0 ? -1 : cascade_check(target, &c, e);
}

int withdraw_rows(struct pg *target, const struct withdraw *w, uint64_t *ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;

	if (check_cascade(target, w, e) < 0 ||
	    pg_queryf(target, &res, e,
		      "WITH gone AS (DELETE FROM neonferry.chunk WHERE %s RETURNING xid), "
		      "rows AS (DELETE FROM %s WHERE xmin = ANY (ARRAY(SELECT xid::pg_catalog.xid "
		      "FROM gone)) "
		      "RETURNING 1) SELECT pg_catalog.count(*) FROM rows",
		      w->chunks, w->relation) < 0)
		return -1;
	*ret = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	return 0;
}
