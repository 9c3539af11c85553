#include "schema/catalog.h"

#include "schema/coltype.h"
#include "schema/pattern.h"
#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

/* The strings of the catalog stay in the results they came in. */
struct catalog_store {
	PGresult *database, *tables, *columns, *extensions, *sequences;
	char *system_identifier;
	struct coltypes *types;
	struct column *all_columns;
	struct table **by_oid; /* sorted */
};

static void *zeroed(int n, size_t size)
{
	return calloc(n > 0 ? (size_t)n : 1, size);
}

/* --- one result into one array --- */

static void fill_database(struct catalog *c, const PGresult *res)
{
	c->version = (int)query_int(res, 0, QD_VERSION);
	c->database = query_text(res, 0, QD_NAME);
	c->encoding = query_text(res, 0, QD_ENCODING);
	c->collate = query_text(res, 0, QD_COLLATE);
	c->n_large_objects = query_int(res, 0, QD_LARGE_OBJECTS);
}

static void fill_table(struct table *t, const PGresult *res, int row)
{
	*t = (struct table){
		.schema = query_text(res, row, QT_SCHEMA),
		.name = query_text(res, row, QT_NAME),
		.qname = query_text(res, row, QT_QNAME),
		.oid = query_oid(res, row, QT_OID),
		.relfilenode = query_oid(res, row, QT_FILENODE),
		.kind = query_char(res, row, QT_KIND),
		.persistence = query_char(res, row, QT_PERSISTENCE),
		.access_method = query_text(res, row, QT_ACCESS_METHOD),
		.pages = query_int(res, row, QT_PAGES),
		.bytes = query_int(res, row, QT_BYTES),
		.est_rows = strtod(PQgetvalue(res, row, QT_ROWS), NULL),
		.row_security = query_bool(res, row, QT_ROW_SECURITY),
		.force_row_security = query_bool(res, row, QT_FORCE_ROW_SECURITY),
		.rls_blocks_us = query_bool(res, row, QT_RLS_BLOCKS_US),
		.can_select = query_bool(res, row, QT_CAN_SELECT),
		.can_insert = query_bool(res, row, QT_CAN_INSERT),
		.can_truncate = query_bool(res, row, QT_CAN_TRUNCATE),
		.is_owner = query_bool(res, row, QT_IS_OWNER),
		.has_primary_key = query_bool(res, row, QT_PRIMARY_KEY),
		.is_partition = query_bool(res, row, QT_IS_PARTITION),
		.partition_bound = query_text(res, row, QT_BOUND),
		.parent_oid = query_oid(res, row, QT_PARENT),
		.has_children = query_bool(res, row, QT_HAS_CHILDREN),
		.is_referenced = query_bool(res, row, QT_IS_REFERENCED),
		.options = query_text(res, row, QT_OPTIONS),
	};
}

static void fill_column(struct column *column, const PGresult *res, int row)
{
	*column = (struct column){
		.name = query_text(res, row, QC_NAME),
		.attnum = (int)query_int(res, row, QC_NUM),
		.type = query_text(res, row, QC_TYPE),
		.type_oid = query_oid(res, row, QC_TYPE_OID),
		.typmod = (int32_t)query_int(res, row, QC_TYPMOD),
		.not_null = query_bool(res, row, QC_NOT_NULL),
		.identity = query_char(res, row, QC_IDENTITY),
		.generated = query_char(res, row, QC_GENERATED),
		.default_expr = query_text(res, row, QC_DEFAULT),
		.collation = query_text(res, row, QC_COLLATION),
	};
}

static void fill_sequence(struct sequence *s, const PGresult *res, int row)
{
	*s = (struct sequence){
		.schema = query_text(res, row, QS_SCHEMA),
		.name = query_text(res, row, QS_NAME),
		.qname = query_text(res, row, QS_QNAME),
		.oid = query_oid(res, row, QS_OID),
		.data_type = query_text(res, row, QS_TYPE),
		.start = query_text(res, row, QS_START),
		.min = query_text(res, row, QS_MIN),
		.max = query_text(res, row, QS_MAX),
		.increment = query_text(res, row, QS_INCREMENT),
		.cache = query_text(res, row, QS_CACHE),
		.cycle = query_bool(res, row, QS_CYCLE),
		.owner_oid = query_oid(res, row, QS_OWNER),
		.owned_by_table = query_text(res, row, QS_OWNER_TABLE),
		.owned_by_column = query_text(res, row, QS_OWNER_COLUMN),
		.can_read = query_bool(res, row, QS_CAN_READ),
		.can_write = query_bool(res, row, QS_CAN_WRITE),
	};
}

/* --- tables by number --- */

static int compare_oid(const void *a, const void *b)
{
	uint32_t x = (*(struct table *const *)a)->oid, y = (*(struct table *const *)b)->oid;
	return x < y ? -1 : x > y;
}

static int index_tables(struct catalog *c, struct err *e)
{
	if (!c->store->by_oid)
		c->store->by_oid = zeroed(c->n_tables, sizeof(struct table *));
	if (!c->store->by_oid)
		return err_nomem(e);
	for (int i = 0; i < c->n_tables; i++)
		c->store->by_oid[i] = &c->tables[i];
	qsort(c->store->by_oid, (size_t)c->n_tables, sizeof(struct table *), compare_oid);
	return 0;
}

static struct table *find_oid(const struct catalog *c, uint32_t oid)
{
	struct table wanted = { .oid = oid }, *key = &wanted;
	struct table **found = NULL;
	if (c->store)
		found = bsearch(&key, c->store->by_oid, (size_t)c->n_tables, sizeof(key),
				compare_oid);
	return found ? *found : NULL;
}

/* The root of a partition's tree, as far up as the user's tables go. */
static void set_roots(struct catalog *c)
{
	for (int i = 0; i < c->n_tables; i++) {
		struct table *t = &c->tables[i];
		const struct table *root = t->is_partition ? find_oid(c, t->parent_oid) : NULL;
		for (const struct table *up = root; up && up->is_partition;) {
			up = find_oid(c, up->parent_oid);
			root = up ? up : root;
		}
		t->root_schema = root ? root->schema : NULL;
		t->root_name = root ? root->name : NULL;
	}
}

/* --- reading --- */

static int read_database(struct catalog *c, struct pg *pg, struct err *e)
{
	if (pg_query(pg, query_database, &c->store->database, e) != 0)
		return -1;
	if (PQntuples(c->store->database) != 1)
		return err_set(e, ERR_INTERNAL, "the current database is not in pg_database");
	fill_database(c, c->store->database);
	return 0;
}

/* Without the right to see it, or where the server cannot tell, it stays NULL. */
static int read_system_identifier(struct catalog *c, struct pg *pg, struct err *e)
{
	AUTO(free) char *allowed = NULL;
	struct err refused = ERR_INIT;

	if (pg_value(pg,
		     "SELECT pg_catalog.has_function_privilege("
		     "'pg_catalog.pg_control_system()', 'EXECUTE')",
		     &allowed, e) != 0)
		return -1;
	if (!allowed || strcmp(allowed, "t") != 0)
		return 0;
	if (pg_exec(pg, "SAVEPOINT neonferry_catalog", e) != 0)
		return -1;
	if (pg_value(pg, "SELECT system_identifier FROM pg_catalog.pg_control_system()",
		     &c->store->system_identifier, &refused) != 0) {
		if (!pg_is_alive(pg)) {
			*e = refused;
			return -1;
		}
		if (pg_exec(pg, "ROLLBACK TO SAVEPOINT neonferry_catalog", e) != 0)
			return -1;
	}
	c->system_identifier = c->store->system_identifier;
	return pg_exec(pg, "RELEASE SAVEPOINT neonferry_catalog", e);
}

static int read_tables(struct catalog *c, struct pg *pg, struct err *e)
{
	PGresult *res;

	if (pg_query(pg, query_tables, &res, e) != 0)
		return -1;
	c->store->tables = res;
	c->tables = zeroed(PQntuples(res), sizeof(*c->tables));
	if (!c->tables)
		return err_nomem(e);
	c->n_tables = PQntuples(res);
	for (int i = 0; i < c->n_tables; i++)
		fill_table(&c->tables[i], res, i);
	if (index_tables(c, e) != 0)
		return -1;
	set_roots(c);
	return 0;
}

static int read_types(struct catalog *c, struct pg *pg, struct err *e)
{
	PGresult *res;

	if (pg_query(pg, query_types, &res, e) != 0)
		return -1;
	return coltypes_new(&c->store->types, res, e);
}

/*
 * The rows come by table and attnum. A table that came into being between two statements (only
 * where each has its own snapshot) is passed over.
 */
static int read_columns(struct catalog *c, struct pg *pg, struct err *e)
{
	PGresult *res;

	if (pg_query(pg, query_columns, &res, e) != 0)
		return -1;
	c->store->columns = res;
	c->store->all_columns = zeroed(PQntuples(res), sizeof(struct column));
	if (!c->store->all_columns)
		return err_nomem(e);

	struct table *t = NULL;
	for (int i = 0; i < PQntuples(res); i++) {
		struct column *column = &c->store->all_columns[i];
		uint32_t oid = query_oid(res, i, QC_TABLE);
		if (!t || t->oid != oid) {
			t = find_oid(c, oid);
			if (t)
				t->columns = column;
		}
		if (!t)
			continue;
		fill_column(column, res, i);
		column->dropped_before = column->attnum != ++t->n_columns;
		if (coltypes_column(c->store->types, column, e) != 0)
			return err_note(e, "looking at %s.%s", t->qname, column->name);
	}
	return 0;
}

static int read_extensions(struct catalog *c, struct pg *pg, struct err *e)
{
	PGresult *res;

	if (pg_query(pg, query_extensions, &res, e) != 0)
		return -1;
	c->store->extensions = res;
	c->extensions = zeroed(PQntuples(res), sizeof(*c->extensions));
	if (!c->extensions)
		return err_nomem(e);
	for (int i = 0; i < PQntuples(res); i++) {
		c->extensions[i] = (struct extension){
			.name = query_text(res, i, QE_NAME),
			.version = query_text(res, i, QE_VERSION),
			.schema = query_text(res, i, QE_SCHEMA),
		};
		if (!query_bool(res, i, QE_AVAILABLE))
			c->n_extensions++;
	}
	c->available = c->extensions + c->n_extensions;
	c->n_available = PQntuples(res) - c->n_extensions;
	return 0;
}

static int read_sequences(struct catalog *c, struct pg *pg, struct err *e)
{
	PGresult *res;

	if (pg_query(pg, query_sequences, &res, e) != 0)
		return -1;
	c->store->sequences = res;
	c->sequences = zeroed(PQntuples(res), sizeof(*c->sequences));
	if (!c->sequences)
		return err_nomem(e);
	c->n_sequences = PQntuples(res);
	for (int i = 0; i < c->n_sequences; i++)
		fill_sequence(&c->sequences[i], res, i);
	return 0;
}

/* --- the filter --- */

/* By its own name or by that of a table it is a partition of. */
static bool named(const struct catalog *c, const struct pattern *p, const struct table *t)
{
	while (t && !pattern_matches(p, t->schema, t->name))
		t = t->is_partition ? find_oid(c, t->parent_oid) : NULL;
	return t != NULL;
}

/* Sets hits[i] for each table that one of the names stands for. */
static int find_named(const struct catalog *c, const char *const *names, int n, bool *hits,
		      struct err *e)
{
	for (int i = 0; i < n; i++) {
		struct pattern p;
		bool any = false;

		if (pattern_parse(&p, names[i], e) != 0)
			return -1;
		for (int k = 0; k < c->n_tables; k++)
			if (named(c, &p, &c->tables[k]))
				hits[k] = any = true;
		pattern_done(&p);
		if (any)
			continue;
		err_set(e, ERR_USAGE, "no table is named %s in database %s", names[i], c->database);
		return err_hint(e,
				"write schema.table; capital letters need double quotes inside, as "
				"in 'public.\"Users\"'; * stands for any characters");
	}
	return 0;
}

static void keep_sequences(struct catalog *c, bool owned_only)
{
	int n = 0;

	for (int i = 0; i < c->n_sequences; i++) {
		const struct sequence *s = &c->sequences[i];
		if (s->owner_oid ? find_oid(c, s->owner_oid) != NULL : !owned_only)
			c->sequences[n++] = *s;
	}
	c->n_sequences = n;
}

static int apply_filter(struct catalog *c, const struct catalog_filter *f, struct err *e)
{
	AUTO(free) bool *wanted = zeroed(c->n_tables, sizeof(bool));
	AUTO(free) bool *excluded = zeroed(c->n_tables, sizeof(bool));
	int n = 0;

	if (!wanted || !excluded)
		return err_nomem(e);
	if (find_named(c, f->tables, f->n_tables, wanted, e) != 0 ||
	    find_named(c, f->excluded, f->n_excluded, excluded, e) != 0)
		return -1;
	for (int i = 0; i < c->n_tables; i++)
		if ((wanted[i] || f->n_tables == 0) && !excluded[i])
			c->tables[n++] = c->tables[i];
	c->n_tables = n;
	if (index_tables(c, e) != 0)
		return -1;
	keep_sequences(c, f->n_tables > 0);
	return 0;
}

/* --- public --- */

static int read_all(struct catalog *c, struct pg *pg, const struct catalog_filter *filter,
		    struct err *e)
{
	if (read_database(c, pg, e) != 0 || read_system_identifier(c, pg, e) != 0 ||
	    read_tables(c, pg, e) != 0 || read_types(c, pg, e) != 0 ||
	    read_columns(c, pg, e) != 0 || read_extensions(c, pg, e) != 0 ||
	    read_sequences(c, pg, e) != 0)
		return -1;
	return filter ? apply_filter(c, filter, e) : 0;
}

/* All statements see the same catalogs: in one snapshot, unless the caller's transaction differs.
 */
static int read_in_transaction(struct catalog *c, struct pg *pg,
			       const struct catalog_filter *filter, struct err *e)
{
	bool own = PQtransactionStatus(pg_conn(pg)) == PQTRANS_IDLE;

	if (own && pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ, READ ONLY", e) != 0)
		return -1;
	if (read_all(c, pg, filter, e) != 0) {
		if (own)
			pg_rollback(pg);
		return err_note(e, "reading the catalogs of the %s", pg_role_name(pg_role(pg)));
	}
	return own ? pg_commit(pg, e) : 0;
}

int catalog_read(struct catalog **ret, struct pg *pg, const struct catalog_filter *filter,
		 struct err *e)
{
	AUTO(catalog) struct catalog *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	c->store = calloc(1, sizeof(*c->store));
	if (!c->store)
		return err_nomem(e);
	if (read_in_transaction(c, pg, filter, e) != 0)
		return -1;
	*ret = GIVE(&c);
	return 0;
}

static void store_free(struct catalog_store *s)
{
	if (!s)
		return;
	PQclear(s->database);
	PQclear(s->tables);
	PQclear(s->columns);
	PQclear(s->extensions);
	PQclear(s->sequences);
	free(s->system_identifier);
	coltypes_free(s->types);
	free(s->all_columns);
	free(s->by_oid);
	free(s);
}

void catalog_free(struct catalog *c)
{
	if (!c)
		return;
	store_free(c->store);
	free(c->tables);
	free(c->extensions);
	free(c->sequences);
	free(c->halfvec_cast);
	free(c->halfvec_send);
	free(c);
}

struct table *catalog_table(const struct catalog *c, const char *schema, const char *name)
{
	int low = 0, high = c->n_tables;

	while (low < high) {
		int middle = low + (high - low) / 2;
		struct table *t = &c->tables[middle];
		int order = strcmp(schema, t->schema);
		if (order == 0)
			order = strcmp(name, t->name);
		if (order == 0)
			return t;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct table *catalog_table_by_oid(const struct catalog *c, uint32_t oid)
{
	return find_oid(c, oid);
}

const struct extension *catalog_extension(const struct catalog *c, const char *name)
{
	for (int i = 0; i < c->n_extensions; i++)
		if (strcmp(c->extensions[i].name, name) == 0)
			return &c->extensions[i];
	return NULL;
}

const struct column *table_column(const struct table *t, const char *name)
{
	for (int i = 0; i < t->n_columns; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

int table_copy_columns(const struct table *t, int *order)
{
	int n = 0;

	for (int i = 0; i < t->n_columns; i++)
		if (!t->columns[i].generated)
			order[n++] = i;
	return n;
}

void table_copy_list(const struct table *t, struct text *ret)
{
	const char *comma = "";

	for (int i = 0; i < t->n_columns; i++) {
		if (t->columns[i].generated)
			continue;
		text_add(ret, comma);
		text_add_ident(ret, t->columns[i].name);
		comma = ", ";
	}
}

int table_digest_columns(const struct table *t, bool generated, struct digest_column **ret,
			 int *ret_n, struct err *e)
{
	struct digest_column *list = zeroed(t->n_columns, sizeof(*list));
	int n = 0;

	if (!list)
		return err_nomem(e);
	for (int i = 0; i < t->n_columns; i++)
		if ((t->columns[i].generated != '\0') == generated)
			list[n++] = t->columns[i].digest;
	*ret = list;
	*ret_n = n;
	return 0;
}

void table_digest_as_text(struct digest_column *columns, int n)
{
	for (int i = 0; i < n; i++) {
		columns[i].mode = DIGEST_TEXT;
		columns[i].type_oid = DIGEST_OID_TEXT;
		columns[i].send_fn = NULL;
	}
}

bool table_is_binary(const struct table *t, const struct column **ret_column)
{
	for (int i = 0; i < t->n_columns; i++) {
		if (t->columns[i].generated || t->columns[i].binary)
			continue;
		if (ret_column)
			*ret_column = &t->columns[i];
		return false;
	}
	return true;
}
